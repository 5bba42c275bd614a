import numpy as np
import pytest
import torch

from cloudtrainer.config import Config
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.batches import BatchMaker, Steps, augment, join
from cloudtrainer.training.labelled import LabelledFrames, split_labelled
from cloudtrainer.video import Video

CPU = torch.device("cpu")
NO_CHANGE = {"flip_lr": False, "flip_ud": False, "rotate": False, "brightness": False}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def marked(images=16, size=20, seed=0):
    """Return crops that are 0 but for pixels of 1, 2, 3 at their labelled positions."""
    rng = np.random.default_rng(seed)
    pixels = torch.zeros(images, size, size)
    x, y = torch.zeros(images, 4), torch.zeros(images, 4)
    present = torch.zeros(images, 4, dtype=torch.bool)
    present[:, :3] = True
    for image in range(images):
        for i, place in enumerate(rng.choice(size * size, 3, replace=False)):
            row, column = divmod(int(place), size)
            pixels[image, row, column] = i + 1
            x[image, i], y[image, i] = column, row
    return Scenes(pixels, x, y, present)


def changed(**wanted):
    return Config.from_dict({"augmentation": {**NO_CHANGE, **wanted}})


@pytest.mark.parametrize(
    "wanted",
    [
        {"flip_lr": True},
        {"flip_ud": True},
        {"rotate": True},
        {"flip_lr": True, "flip_ud": True, "rotate": True},
    ],
)
def test_positions_move_with_their_pixels(wanted):
    before = marked()
    after = augment(before, changed(**wanted), generator())
    moved = 0
    for image in range(16):
        for i in range(3):
            row, column = int(after.y[image, i]), int(after.x[image, i])
            assert float(after.images[image, row, column]) == i + 1
        moved += not torch.equal(after.images[image], before.images[image])
    assert 2 <= moved <= 16
    assert torch.equal(after.present, before.present)


def test_turns_and_mirrors_give_all_eight_orientations():
    one = marked(images=1)
    many = Scenes(*(values.expand(400, *values.shape[1:]) for values in vars(one).values()))
    after = augment(many, changed(flip_lr=True, flip_ud=True, rotate=True), generator())
    assert len({image.numpy().tobytes() for image in after.images}) == 8


def test_brightness_stays_between_08_and_12():
    ones = Scenes(torch.ones(300, 4, 4), *(torch.zeros(300, 1),) * 2, torch.zeros(300, 1) > 0)
    after = augment(ones, changed(brightness=True), generator()).images
    factor = after[:, 0, 0]
    assert torch.equal(after, factor[:, None, None].expand_as(after))
    assert 0.8 <= float(factor.min()) < 0.83
    assert 1.17 < float(factor.max()) <= 1.2


def test_nothing_changes_when_augmentation_is_off():
    before = marked()
    off = Config.from_dict({"augmentation": {"enabled": False}})
    assert augment(before, off, generator()) is before


def test_joined_batches_keep_their_particles_apart():
    first, second = marked(images=2), marked(images=3, seed=1)
    wide = Scenes(
        second.images,
        *(torch.nn.functional.pad(part, (0, 5)) for part in (second.x, second.y, second.present)),
    )
    both = join([first, wide])
    assert both.images.shape == (5, 20, 20)
    assert both.x.shape == both.y.shape == both.present.shape == (5, 9)
    assert both.present.sum(dim=1).tolist() == [3] * 5
    assert torch.equal(both.x[:2, :4], first.x)
    assert torch.equal(both.y[2:, :4], second.y)


def test_steps_count_from_0():
    assert [Steps(4)[i] for i in range(len(Steps(4)))] == [0, 1, 2, 3]


@pytest.fixture
def labelled(experiment):
    video = Video(experiment.frames)
    return LabelledFrames([split_labelled(video, experiment.truth, 0.2)])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_batch_holds_its_share_of_simulated_crops(tiny, labelled, monkeypatch, share):
    asked = []
    crops = LabelledFrames.crops

    def spy(self, number, *rest):
        asked.append(number)
        return crops(self, number, *rest)

    monkeypatch.setattr(LabelledFrames, "crops", spy)
    config = tiny(batch_size=8, simulated_share=share)
    batch = BatchMaker(config, labelled).draw(0, CPU)
    assert batch.images.shape == (8, 32, 32)
    assert sum(asked) == 8 - round(8 * share)


@pytest.mark.parametrize("with_labels", [True, False])
def test_a_step_always_has_the_same_batch(tiny, labelled, with_labels):
    frames = labelled if with_labels else None
    first = BatchMaker(tiny(), frames).draw(7, CPU)
    again = BatchMaker(tiny(), frames).draw(7, CPU)
    for name, values in vars(first).items():
        assert torch.equal(values, getattr(again, name)), name
    assert not torch.equal(BatchMaker(tiny(), frames).draw(8, CPU).images, first.images)
    assert not torch.equal(BatchMaker(tiny(seed=1), frames).draw(7, CPU).images, first.images)

"""Training with neighbouring frames: crops, augmentation, what is kept, and what is continued."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.config import AugmentationSettings, Config
from cloudtrainer.detector import load_model
from cloudtrainer.errors import ConfigError
from cloudtrainer.simulation.backdrop import measure_backdrop
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training import fit, train
from cloudtrainer.training.augment import augment, source_side
from cloudtrainer.training.batches import BatchMaker, join
from cloudtrainer.training.collect import collect
from cloudtrainer.training.crops import LabelledFrames, held_out_frames
from cloudtrainer.training.frame_cache import VideoFrames
from cloudtrainer.training.labelled import labelled_video, split_labelled
from cloudtrainer.training.ledger import Ledger, VideoRecord
from cloudtrainer.training.model_list import list_models
from cloudtrainer.training.models import compare_models
from cloudtrainer.training.neighbours import Neighbours, numbers_around
from cloudtrainer.training.rehearsal import keep, kept_videos
from cloudtrainer.training.start import Start, choose_start
from cloudtrainer.training.validation_sets import validation_sets
from cloudtrainer.video import Video

CPU = torch.device("cpu")
NOTHING = {
    name: False if isinstance(value, bool) else 0.0
    for name, value in AugmentationSettings().model_dump().items()
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(frames=12, height=40, width=44):
    """Return a video in which every pixel says its frame, row and column."""
    frame, row, column = np.indices((frames, height, width))
    return (10_000 * frame + 100 * row + column).astype(np.float32)


def labels_on(*frames, x=20.0, y=20.0):
    return pd.DataFrame({"frame": frames, "x": x, "y": y})


def seeing(config, context):
    config = config.model_copy(deep=True)
    config.model.context_frames = context
    return config


@pytest.mark.parametrize(
    ("labelled", "context", "frames", "around"),
    [
        ([3], 1, 10, [2, 3, 4]),
        ([0, 9], 2, 10, [0, 1, 2, 7, 8, 9]),
        ([4, 5], 3, 6, [1, 2, 3, 4, 5]),
        ([1, 8], 0, 10, [1, 8]),
    ],
)
def test_frames_around_labelled_ones_lie_within_the_video(labelled, context, frames, around):
    assert numbers_around(np.array(labelled), context, frames).tolist() == around


def test_the_nearest_frame_stands_for_one_that_is_not_there():
    film = numbered()
    numbers = np.array([3, 4, 5, 7])
    around = Neighbours(numbers, VideoFrames(Video(film), numbers), 1)
    shown = [int(frame[0, 0]) // 10_000 for frame in around.stack(4, 3)]
    assert shown == [3, 3, 3, 4, 5, 5, 7]
    assert [int(frame[0, 0]) // 10_000 for frame in around.stack(7, 1)] == [7, 7, 7]
    chosen = around.chosen(np.array([7, 3]))
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen[0], film[7])


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize(("size_px", "margin_px"), [(16, 0), (24, 9), (48, 3)])
def test_crops_come_with_the_same_place_of_the_frames_around(polarity, size_px, margin_px):
    film = numbered()
    labels = labels_on(0, 5, 6, 11)
    labelled = split_labelled(Video(film), labels, 0.25, context_frames=2)
    frames = LabelledFrames([labelled], as_filmed=polarity > 0)
    crops = frames.crops(12, size_px, generator(), margin_px, context_frames=2)
    side = size_px + 2 * margin_px
    assert crops.context.shape == (12, 5, side, side)
    assert torch.equal(crops.context[:, 2], crops.images)
    sign = 1 if polarity > 0 else labelled.polarity
    shown = set()
    for stack in sign * crops.context:
        middle = int(stack[2, 0, 0]) // 10_000
        shown.add(middle)
        for step in range(-2, 3):
            number = min(max(middle + step, 0), 11)
            assert torch.equal(
                stack[2 + step] - stack[2], torch.full_like(stack[2], 10_000.0) * (number - middle)
            )
    # The last labelled frame is held out; frames that carry no label are neighbours only.
    assert shown == {0, 5, 6}
    alone = frames.crops(12, size_px, generator(), margin_px)
    assert alone.context is None
    assert torch.equal(alone.images, crops.images)


def test_held_out_frames_come_with_their_neighbours():
    labelled = split_labelled(Video(numbered(12, 300, 30)), labels_on(2, 9), 0.4, context_frames=1)
    parts = held_out_frames(labelled, 4, context_frames=1)
    assert [part.context.shape for part in parts] == [(1, 3, 150, 30)] * 2
    for part in parts:
        steps = labelled.polarity * (part.context[0] - part.images)[:, 7, 3]
        assert steps.tolist() == [-10_000, 0, 10_000]
        assert torch.equal(part.images, part.context[:, 1])


def film_of(positions, sigma, side):
    """Draw a Gaussian spot of height 1 at each position, (crops, frames, 2)."""
    pixel = np.arange(side)
    across, down = (
        np.exp(-0.5 * ((pixel - positions[..., axis, None]) / sigma) ** 2) for axis in (0, 1)
    )
    return torch.as_tensor(down[..., :, None] * across[..., None, :], dtype=torch.float32)


def test_all_frames_of_a_crop_are_moved_alike():
    moved = {"flip_lr": True, "flip_ud": True, "rotate": True, "free_rotation": True, "scale": 0.1}
    settings = AugmentationSettings(**{**NOTHING, "enabled": True, **moved})
    size, crops = 64, 60
    side = source_side(settings, size)
    rng = np.random.default_rng(0)
    start = (side - 1) / 2 + rng.uniform(-12, 12, (crops, 1, 2))
    positions = start + np.cumsum(rng.normal(0, 2, (crops, 3, 2)), axis=1)
    frames = film_of(positions, 1.8, side)
    # The places in all three frames are given as labels: all must end where the light does.
    x, y = (torch.as_tensor(positions[..., axis], dtype=torch.float32) for axis in (0, 1))
    present = torch.ones(crops, 3, dtype=torch.bool)
    before = Scenes(frames[:, 1], x, y, present, torch.ones(crops), frames)
    after = augment(before, settings, size, generator())
    assert after.context.shape == (crops, 3, size, size)
    assert torch.equal(after.context[:, 1], after.images)
    light = after.context.double().numpy()
    light /= light.sum(axis=(2, 3), keepdims=True)
    pixel = np.arange(size)
    np.testing.assert_allclose((light.sum(axis=2) * pixel).sum(axis=2), after.x, atol=0.02)
    np.testing.assert_allclose((light.sum(axis=3) * pixel).sum(axis=2), after.y, atol=0.02)


def test_all_frames_of_a_crop_are_lit_alike_and_their_noise_is_their_own():
    rng = np.random.default_rng(0)
    frame = torch.as_tensor(rng.normal(100, 5, (40, 1, 32, 32)), dtype=torch.float32)
    frames = frame.expand(40, 3, 32, 32)
    place = torch.full((40, 1), 16.0)
    before = Scenes(frame[:, 0], place, place, place > 0, torch.ones(40), frames)
    light = {"contrast": 0.2, "gamma": 0.1, "brightness": True, "gradient": 0.3, "blur_px": 0.5}
    settings = AugmentationSettings(**{**NOTHING, "enabled": True, **light})
    seen = augment(before, settings, 32, generator()).context
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert torch.equal(seen[:, 2], seen[:, 1])
    assert not torch.allclose(seen, frames)
    noisy = AugmentationSettings(**{**NOTHING, "enabled": True, "gaussian_noise": 1.0})
    added = (augment(before, noisy, 32, generator()).context - frames).flatten(2)
    spread = added.std(dim=2)
    torch.testing.assert_close(spread[:, 0], spread[:, 2], rtol=0.15, atol=0.1)
    strong = spread[:, 1] > 1
    alike = (added[:, 0] * added[:, 2]).mean(dim=1) / (spread[:, 0] * spread[:, 2])
    assert float(alike[strong].abs().max()) < 0.15


def test_batches_hold_neighbours_of_every_kind_of_crop(tiny):
    config = seeing(tiny(batch_size=8, crop_px=32), 1)
    video = Video(np.random.default_rng(0).poisson(50, (12, 40, 44)).astype(np.uint16))
    new = LabelledFrames([split_labelled(video, labels_on(3, 5, 8), 0.3, context_frames=1)])
    batch = BatchMaker(config, new, None, [measure_backdrop(video)]).draw(3, CPU)
    assert batch.context.shape == (8, 3, 32, 32)
    assert torch.equal(batch.context[:, 1], batch.images)
    assert bool((batch.context[:, 0] != batch.context[:, 1]).any(dim=2).any(dim=1).sum() >= 6)


def test_crops_without_neighbours_join_with_their_own_frame_repeated():
    place = torch.zeros(2, 1)
    alone = Scenes(torch.rand(2, 8, 8), place, place, place > 0, torch.ones(2))
    frames = torch.rand(2, 3, 8, 8)
    several = Scenes(frames[:, 1], place, place, place > 0, torch.ones(2), frames)
    both = join([alone, several])
    assert torch.equal(both.context[:2], alone.images[:, None].expand(2, 3, 8, 8))
    assert torch.equal(both.context[2:], frames)


def record(name="gel.tif"):
    return VideoRecord(name, "0" * 32, "1" * 64, "2" * 64, ((9, 9),), 4)


def kept_of(folder, context):
    film = numbered()
    labels = labels_on(0, 4, 5, 9)
    numbers = np.array([0, 4, 5, 9])
    around = None
    if context:
        wanted = numbers_around(numbers, context, 12)
        around = Neighbours(wanted, VideoFrames(Video(film), wanted), context)
    images = VideoFrames(Video(film), numbers)
    video = labelled_video("gel.tif", images, labels, ((9, 9),), around=around)
    keep(folder, video, record())
    [kept], notes = kept_videos(folder)
    assert notes == []
    return film, kept.video


@pytest.mark.parametrize("context", [1, 2])
def test_kept_frames_are_kept_with_their_neighbours(tmp_path, context):
    film, again = kept_of(tmp_path, context)
    assert again.numbers.tolist() == [0, 4, 5, 9]
    for index, number in enumerate(again.numbers):
        steps = np.clip(np.arange(number - context, number + context + 1), 0, 11)
        for frame, wanted in zip(again.stack(index, context), steps, strict=True):
            np.testing.assert_array_equal(frame, film[wanted])
        np.testing.assert_array_equal(again.images[index], film[number])
    # Asked for more than was kept, the nearest frame stands for those that were not.
    after = [int(frame[0, 0]) // 10_000 for frame in again.stack(0, 3)[4:]]
    assert after == {1: [1, 1, 3], 2: [1, 2, 3]}[context]
    # Kept again, from the very file that is written.
    keep(tmp_path, again, record())
    [[more], _] = kept_videos(tmp_path)
    np.testing.assert_array_equal(more.video.stack(1, 1)[0], film[3])


def test_frames_kept_alone_are_their_own_neighbours(tmp_path):
    film, again = kept_of(tmp_path, 0)
    assert again.around is None
    assert [frame[0, 0] for frame in again.stack(1, 2)] == [film[4, 0, 0]] * 5


def test_kept_frames_without_neighbours_are_told_of(workspace, tiny):
    kept_of(workspace.rehearsal, 0)
    ledger = Ledger.open(workspace.ledger, [])
    for context, told in ((0, False), (2, True)):
        data = collect(workspace, ledger, tiny().training, set(), context_frames=context)
        assert any("none of the 2 frames" in note for note in data.notes) == told


def test_validation_frames_come_with_as_many_neighbours_as_are_asked_for(tiny):
    config = seeing(tiny(), 1)
    labelled = split_labelled(Video(numbered()), labels_on(2, 9), 0.4, context_frames=2)
    for asked, frames in ((None, 3), (2, 5), (0, 1)):
        for one in validation_sets(config, [labelled], [], context_frames=asked):
            assert all(part.frames.shape[1] == frames for part in one.scenes)


@pytest.fixture
def bundled_channels(tiny):
    """Return tiny settings with the network of the bundled model."""
    config = tiny(start="bundled", epochs=1, steps_per_epoch=1, batch_size=2)
    config.model.grid_channels = load_model().config.model.grid_channels
    return config


def test_the_bundled_model_begins_with_the_same_answers(workspace, bundled_channels):
    config = seeing(bundled_channels, 1)
    start, config = choose_start(workspace, config, None)
    assert start.source == "the bundled model"
    assert start.sees_more
    assert any("learns to see 3 frames at once" in note for note in start.notes)
    bundled = load_model()
    assert start.detector.context_frames == 1
    assert start.detector.threshold == bundled.threshold
    frames = np.random.default_rng(0).poisson(40, (4, 40, 44)).astype(float)
    frames[:, 20:23, 10:13] += 60
    seen = bundled.normalise(torch.as_tensor(frames))
    with torch.no_grad():
        wanted = bundled.answer(seen[:, None])
        stacks = torch.stack([seen.roll(1, 0), seen, seen.roll(-1, 0)], dim=1)
        torch.testing.assert_close(start.detector.answer(stacks), wanted, rtol=1e-4, atol=1e-4)
    alone, _ = choose_start(workspace, bundled_channels, None)
    assert not alone.sees_more
    assert alone.notes == ()


def test_a_training_outside_a_workspace_widens_its_start_too(bundled_channels):
    config = seeing(bundled_channels, 1)
    detector, _ = fit(config, start=Start("the bundled model", load_model()), progress_bar=False)
    assert detector.context_frames == 1
    own = detector.model.stem[0].weight.detach()
    given = load_model().model.stem[0].weight.detach()
    channels = given.shape[1]
    # One small step from where it began.
    torch.testing.assert_close(own[:, channels : 2 * channels], given, atol=0.01, rtol=0)
    around = torch.cat([own[:, :channels], own[:, 2 * channels :]], dim=1)
    assert 0 < float(around.abs().max()) < 0.01


def test_a_workspace_learns_to_see_neighbours_and_keeps_what_it_learned(workspace, tiny):
    first = train(workspace, tiny(), progress_bar=False, say=lambda line: None)
    lines = []
    config = seeing(tiny(), 1)
    second = train(workspace, config, progress_bar=False, say=lines.append)
    # Nothing new to look at, but more of it to see.
    assert second.model_dir != first.model_dir
    assert any(
        f"the current model {first.model_dir.name}: saw each frame alone" in line for line in lines
    )
    settings = json.loads((second.model_dir / "config.json").read_text())
    assert settings["model"]["context_frames"] == 1
    assert (
        "between the 1 before and the 1 after it"
        in (second.model_dir / "MODEL_CARD.md").read_text()
    )
    model = load_model(second.model_dir)
    assert model.context_frames == 1
    assert second.old_scores is not None
    networks = list_models(workspace.root)["network"].tolist()
    assert networks == ["grid 8-12", "grid 8-12, 3 frames at once"]
    compared = compare_models(workspace.root, tiny())
    assert {first.model_dir.name, second.model_dir.name} < set(compared["model"])
    # The settings ask for one frame again: the model that sees three is not continued.
    workspace.set_current(second.model_dir.name)
    start, _ = choose_start(workspace, tiny(), None)
    assert start.version is None
    assert any("has another network (grid 8-12, 3 frames at once)" in note for note in start.notes)
    given, taken = choose_start(workspace, tiny(), second.model_dir)
    assert taken.model.context_frames == 1
    assert not given.sees_more
    given, taken = choose_start(workspace, seeing(tiny(), 2), second.model_dir)
    assert taken.model.context_frames == given.detector.context_frames == 2
    [kept], _ = kept_videos(workspace.rehearsal)
    assert kept.video.around.context_frames == 1


def test_a_u_net_that_is_given_cannot_see_neighbours(workspace, tiny, tmp_path):
    from cloudtrainer.detector import ParticleDetector, export_model

    unet = ParticleDetector(tiny(architecture="unet"), normalisation="video_maximum")
    export_model(unet, tmp_path / "unet", scores={}, origin={})
    with pytest.raises(ConfigError, match="is a U-Net, which sees each frame alone"):
        choose_start(workspace, seeing(tiny(), 1), tmp_path / "unet")
    _, config = choose_start(workspace, tiny(), tmp_path / "unet")
    assert Config.from_dict(config.to_dict()).model.context_frames == 0

"""Batches: how many crops of what, from where, and the same ones each time."""

import itertools
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.config import Config
from cloudtrainer.simulation.backdrop import measure_backdrop
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training import batches
from cloudtrainer.training.batches import (
    BatchMaker,
    BatchStock,
    Shares,
    Steps,
    drawn_together,
    join,
)
from cloudtrainer.training.crops import LabelledFrames
from cloudtrainer.training.labelled import labelled_video, split_labelled
from cloudtrainer.video import Video

CPU = torch.device("cpu")


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
    return Scenes(pixels, x, y, present, pixels.amax(dim=(1, 2)))


def test_joined_batches_keep_their_particles_apart():
    first, second = marked(images=2), marked(images=3, seed=1)
    wide = Scenes(
        second.images,
        *(torch.nn.functional.pad(part, (0, 5)) for part in (second.x, second.y, second.present)),
        second.brightest,
    )
    both = join([first, wide])
    assert both.images.shape == (5, 20, 20)
    assert both.x.shape == both.y.shape == both.present.shape == (5, 9)
    assert both.present.sum(dim=1).tolist() == [3] * 5
    assert torch.equal(both.x[:2, :4], first.x)
    assert torch.equal(both.y[2:, :4], second.y)
    assert both.brightest.tolist() == [3.0] * 5


def test_steps_count_from_0():
    assert [Steps(4)[i] for i in range(len(Steps(4)))] == [0, 1, 2, 3]


def film(first, name):
    """Return labelled frames in which every pixel is a hundred times the number of its film."""
    frames = np.full((6, 40, 44), 100.0 * first) + np.arange(6)[:, None, None]
    labels = pd.DataFrame({"frame": range(6), "x": 20.0, "y": 20.0})
    return labelled_video(name, frames.astype(np.float32), labels, ((5, 5),))


@pytest.fixture
def new():
    return LabelledFrames([film(1, "a.tif"), film(2, "b.tif")])


@pytest.fixture
def earlier():
    return LabelledFrames([film(3, "c.tif"), film(4, "d.tif")])


@pytest.fixture(scope="session")
def backdrop():
    rng = np.random.default_rng(0)
    return measure_backdrop(Video(rng.poisson(50, (5, 40, 44)).astype(np.uint16)))


def plain(**training):
    """Return settings without variations, so that a crop says which frame it is from."""
    training = {"crop_px": 32, **training}
    return Config.from_dict({"training": training, "augmentation": {"enabled": False}})


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 8, 16, 32])
def test_shares_add_up_to_the_batch_and_over_the_steps_to_what_was_asked(
    new, earlier, backdrop, batch_size
):
    for simulated, rehearsed, own_new, own_earlier, drawn_over in itertools.product(
        (0.0, 0.1, 0.25, 0.5, 0.7, 1.0),
        (0.0, 0.3, 0.5, 0.9),
        (None, new),
        (None, earlier),
        ([], [backdrop]),
    ):
        config = plain(batch_size=batch_size, simulated_share=simulated, rehearsal_share=rehearsed)
        maker = BatchMaker(config, own_new, own_earlier, drawn_over)
        steps = [astuple(maker.shares(step)) for step in range(60)]
        assert all(min(parts) >= 0 and sum(parts) == batch_size for parts in steps)
        labelled = 1 - simulated if own_new or own_earlier else 0.0
        rehearsed = (rehearsed if own_new else 1.0) if own_earlier else 0.0
        wanted = (
            (1 - labelled) * (0.5 if drawn_over else 1.0),
            (1 - labelled) * (0.5 if drawn_over else 0.0),
            labelled * (1 - rehearsed),
            labelled * rehearsed,
            0.0,
        )
        for drawn, share in zip(np.sum(steps, axis=0), wanted, strict=True):
            assert drawn == 0 if share == 0 else abs(drawn - share * 60 * batch_size) < 2


def test_a_batch_of_usual_size_is_divided_in_the_same_way_in_each_step(new, earlier, backdrop):
    maker = BatchMaker(plain(batch_size=32), new, earlier, [backdrop])
    assert {maker.shares(step) for step in range(100)} == {Shares(8, 8, 8, 8)}


def test_labelled_frames_of_which_none_is_learned_are_none():
    whole = labelled_video(
        "out", np.ones((1, 40, 40)), pd.DataFrame({"frame": [0], "x": 1, "y": 1}), ((0, 0),)
    )
    maker = BatchMaker(plain(batch_size=4), LabelledFrames([whole]), LabelledFrames([]))
    assert maker.shares(0) == Shares(4, 0, 0, 0)
    assert maker.draw(0, CPU).images.shape == (4, 32, 32)


def drawn(maker, step):
    """Return how many crops of a batch show which frame; 0 stands for simulation."""
    crops = maker.draw(step, CPU)
    names = {1: "a.tif", 2: "b.tif", 3: "c.tif", 4: "d.tif"}
    found = []
    for image in crops.images:
        film_number, frame = divmod(abs(float(image[0, 0])), 100)
        constant = bool((image == image[0, 0]).all())
        found.append(f"{names[film_number]} frame {int(frame)}" if constant else "simulated")
    return found


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_what_is_described_is_what_is_drawn(new, earlier, backdrop, batch_size):
    config = plain(batch_size=batch_size, seed=3)
    for both in ((new, earlier), (new, None), (None, earlier), (None, None)):
        maker = BatchMaker(config, *both, [backdrop])
        for step in (0, 1, 1000):
            crops = drawn(maker, step)
            simulated = crops.count("simulated")
            assert simulated == maker.shares(step).simulated + maker.shares(step).over_backdrops
            parts = maker.describe(step, CPU).split("; ")
            assert (f"{simulated} simulated crops" in parts) == (simulated > 0)
            named = {name for part in parts if "simulated" not in part for name in part.split(", ")}
            assert named == set(crops) - {"simulated"}


def three_at_once(config, step, device):
    return step - step % 3, 3


def test_batches_drawn_together_are_divided_as_those_of_single_steps(new, earlier, backdrop):
    other = measure_backdrop(Video(np.full((3, 40, 40), 7)))
    maker = BatchMaker(plain(batch_size=7), new, earlier, [backdrop, other])
    for first in (0, 5):
        several = maker.draw_several(first, 4, CPU)
        assert [len(crops.images) for crops in several] == [7] * 4
        for step, crops in enumerate(several, start=first):
            shares = maker.shares(step)
            constant = [bool((image == image[0, 0]).all()) for image in crops.images]
            assert sum(constant) == shares.new + shares.earlier


def test_what_is_described_is_what_is_drawn_together(new, earlier, backdrop, monkeypatch):
    monkeypatch.setattr(batches, "drawn_together", three_at_once)
    maker = BatchMaker(plain(batch_size=5, seed=3), new, earlier, [backdrop])
    stock = BatchStock(maker)
    for step in (0, 1, 2, 3, 1000):
        monkeypatch.setattr(maker.__class__, "draw", lambda _, step, device: stock.take(step, CPU))
        crops = drawn(maker, step)
        named = {
            name
            for part in maker.describe(step, CPU).split("; ")
            if "simulated" not in part
            for name in part.split(", ")
        }
        assert named == set(crops) - {"simulated"}


def test_a_stock_gives_each_step_the_same_batch_in_any_order(new, earlier, monkeypatch):
    monkeypatch.setattr(batches, "drawn_together", three_at_once)
    maker = BatchMaker(plain(batch_size=4), new, earlier)
    onwards, back = BatchStock(maker), BatchStock(maker)
    taken = {step: onwards.take(step, CPU) for step in range(7)}
    for step in (6, 2, 0, 5, 1):
        assert torch.equal(back.take(step, CPU).images, taken[step].images)
    assert not torch.equal(taken[0].images, taken[1].images)


def test_a_processor_draws_each_step_alone_and_a_gpu_as_many_as_its_memory_holds():
    gpu = torch.device("cuda")
    usual = plain(batch_size=32)
    assert drawn_together(usual, 37, CPU) == (37, 1)
    assert drawn_together(usual, 37, gpu) == (32, 32)
    large = Config.from_dict({"training": {"batch_size": 64, "crop_px": 512}})
    assert drawn_together(large, 37, gpu) == (36, 2)
    huge = Config.from_dict({"training": {"batch_size": 1024, "crop_px": 512}})
    assert drawn_together(huge, 37, gpu) == (37, 1)


def test_frames_that_are_held_out_are_never_drawn(new, earlier):
    maker = BatchMaker(plain(batch_size=32, simulated_share=0.0), new, earlier)
    seen = {name for step in range(10) for name in drawn(maker, step)}
    assert seen == {f"{film}.tif frame {frame}" for film in "abcd" for frame in range(5)}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_earlier_videos_are_rehearsed_by_their_share(new, earlier, share):
    config = plain(batch_size=20, simulated_share=0.0, rehearsal_share=share)
    crops = drawn(BatchMaker(config, new, earlier), 0)
    assert sum(crop[0] in "cd" for crop in crops) == share * 20


def test_each_backdrop_has_its_turn(backdrop, monkeypatch):
    used = []
    draw = batches.draw_over

    def spy(chosen, *rest):
        used.append(chosen)
        return draw(chosen, *rest)

    monkeypatch.setattr(batches, "draw_over", spy)
    others = [backdrop, *(measure_backdrop(Video(np.full((3, 40, 40), i))) for i in (1, 2))]
    maker = BatchMaker(plain(batch_size=2), backdrops=others)
    for step in range(6):
        maker.draw(step, CPU)
    assert used == [*others, *others]


@pytest.fixture
def labelled(experiment):
    video = Video(experiment.frames)
    return LabelledFrames([split_labelled(video, experiment.truth, 0.2)])


@pytest.mark.parametrize("kinds", ["new", "earlier", "both", "none", "backdrops"])
def test_a_step_always_has_the_same_batch(tiny, labelled, backdrop, kinds):
    parts = {
        "new": (labelled,),
        "earlier": (None, labelled),
        "both": (labelled, labelled),
        "none": (),
        "backdrops": (labelled, None, [backdrop]),
    }[kinds]
    first = BatchMaker(tiny(), *parts).draw(7, CPU)
    assert first.images.shape == (4, 32, 32)
    torch.rand(3)
    again = BatchMaker(tiny(), *parts).draw(7, CPU)
    for name in ("images", "x", "y", "present", "brightest"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    others = [
        BatchMaker(tiny(), *parts).draw(8, CPU),
        BatchMaker(tiny(seed=1), *parts).draw(7, CPU),
    ]
    for other in others:
        for image in first.images:
            assert not (other.images == image).all(dim=(1, 2)).any()


@pytest.mark.parametrize("seed", [0, 20_260_301_120_000, 2**63])
def test_any_seed_has_batches_of_its_own(tiny, seed):
    first = BatchMaker(tiny(seed=seed)).draw(0, CPU)
    other = BatchMaker(tiny(seed=seed + 1)).draw(0, CPU)
    assert not torch.equal(first.images, other.images)


def test_crops_and_labels_are_varied_together(tiny):
    rng = np.random.default_rng(0)
    frames = np.zeros((2, 60, 60))
    places = [tuple(place) for place in rng.integers(8, 52, (4, 2))]
    row, column = np.indices((60, 60))
    for y, x in places:
        frames += 1000 * np.exp(-((row - y) ** 2 + (column - x) ** 2) / 8)
    labels = pd.DataFrame(
        [(f, x, y) for f in (0, 1) for y, x in places], columns=["frame", "x", "y"]
    )
    video = LabelledFrames([split_labelled(Video(frames), labels, 0.4)])
    config = tiny(batch_size=64, simulated_share=0.0)
    for setting in ("gaussian_noise", "poisson_noise", "gradient"):
        setattr(config.augmentation, setting, 0.0)
    crops = BatchMaker(config, video).draw(0, CPU)
    assert crops.present.any()
    for image, x, y, own in zip(crops.images, crops.x, crops.y, crops.present, strict=True):
        middle = float(image.median())
        for right, down in zip(x[own].round().int(), y[own].round().int(), strict=True):
            assert float(image[down, right]) > middle + 200

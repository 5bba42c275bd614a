"""Labelled frames: which are held out, and what is found out about their particles."""

import numpy as np
import pandas as pd
import pytest
import torch
from numbered_frames import labels_on, numbered

from cloudtrainer.training.crops import LabelledFrames
from cloudtrainer.training.frame_cache import VideoFrames
from cloudtrainer.training.labelled import labelled_video, split_labelled
from cloudtrainer.video import Video


@pytest.mark.parametrize(
    ("frames", "split", "held_out"),
    [
        (range(10), 0.2, [8, 9]),
        (range(10), 0.4, [6, 7, 8, 9]),
        (range(3), 0.1, [2]),
        ([0, 3, 4, 9], 0.25, [9]),
        ([0, 9], 0.4, [9]),
        ([4], 0.4, []),
    ],
)
def test_the_last_labelled_frames_are_held_out_in_one_block(frames, split, held_out):
    labelled = split_labelled(Video(numbered()), labels_on(*frames), split)
    assert labelled.frame_numbers(held_out=True) == held_out
    rest = [frame for frame in frames if frame not in held_out]
    assert labelled.frame_numbers(held_out=False) == rest


def test_rows_in_any_order_are_labels_of_their_own_frames():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"frame": rng.integers(0, 10, 60), "x": rng.random(60) * 29, "y": rng.random(60) * 23}
    )
    labelled = split_labelled(Video(numbered()), table, 0.2)
    assert labelled.numbers.tolist() == sorted(set(table["frame"]))
    for number, xy in zip(labelled.numbers, labelled.positions, strict=True):
        own = table[table["frame"] == number][["x", "y"]].to_numpy(np.float32)
        np.testing.assert_array_equal(xy, own)


@pytest.mark.parametrize("sign", [1, -1])
def test_polarity_comes_from_the_labelled_pixels(experiment, sign):
    frames = experiment.frames.astype(float) * sign
    assert split_labelled(Video(frames), experiment.truth, 0.2).polarity == sign


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_polarity_of_few_particles_on_uneven_ground(sign, dtype):
    frames = np.linspace(20, 200, 40 * 50).reshape(1, 40, 50).repeat(3, axis=0)
    for y, x in ((3, 4), (20, 25), (37, 46)):
        frames[:, y, x] += 15 * sign
    labels = pd.DataFrame(
        [(f, x, y) for f in range(3) for y, x in ((3, 4.3), (20, 24.6), (37, 46))],
        columns=["frame", "x", "y"],
    )
    assert split_labelled(Video(frames.astype(dtype)), labels, 0.2).polarity == sign


def test_the_largest_intensity_is_that_of_the_labelled_frames_unless_it_is_given():
    frames = numbered(4, 8, 8)
    labels = labels_on(0, 2)
    images = VideoFrames(Video(frames), np.array([0, 2]))
    assert labelled_video("v", images, labels, ()).brightest == frames[2].max()
    crops = LabelledFrames([labelled_video("v", images, labels, (), 7.5)]).crops(
        3, 8, torch.Generator()
    )
    assert crops.brightest.tolist() == [7.5] * 3

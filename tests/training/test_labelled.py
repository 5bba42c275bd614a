import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.training.labelled import LabelledFrames, held_out_frames, split_labelled
from cloudtrainer.video import Video


def labels_on(*frames):
    return pd.DataFrame({"frame": frames, "x": 5.0, "y": 5.0})


def numbered(frames=10, height=24, width=30):
    """Return a video in which every pixel says its frame, row and column."""
    frame, row, column = np.indices((frames, height, width))
    return (10_000 * frame + 100 * row + column).astype(np.float32)


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


@pytest.mark.parametrize("sign", [1, -1])
def test_polarity_comes_from_the_labelled_pixels(experiment, sign):
    frames = experiment.frames.astype(float) * sign
    assert split_labelled(Video(frames), experiment.truth, 0.2).polarity == sign


def test_crops_are_pieces_of_learned_frames_with_their_labels():
    pixels = numbered()
    xy = [(f, x, y) for f in range(10) for x, y in ((0, 0), (7.25, 11.5), (29, 23), (15, 3.75))]
    labels = pd.DataFrame(xy, columns=["frame", "x", "y"])
    labelled = split_labelled(Video(pixels), labels, 0.3)
    polarity = labelled.polarity
    crops = LabelledFrames([labelled]).crops(200, 16, torch.Generator().manual_seed(0))
    seen, corners = set(), set()
    for i in range(200):
        values = polarity * crops.images[i].numpy()
        frame, rest = divmod(int(values[0, 0]), 10_000)
        top, left = divmod(rest, 100)
        np.testing.assert_array_equal(values, pixels[frame, top : top + 16, left : left + 16])
        seen.add(frame)
        corners.add((top, left))
        wanted = {
            (x - left, y - top)
            for f, x, y in xy
            if f == frame and -0.5 < x - left < 15.5 and -0.5 < y - top < 15.5
        }
        own = crops.present[i]
        found = set(zip(crops.x[i][own].tolist(), crops.y[i][own].tolist(), strict=True))
        assert found == wanted
    assert seen == set(range(7))
    assert {(0, 0), (8, 14)} & corners
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(15))


def test_frames_smaller_than_a_crop_are_mirrored_outwards():
    labelled = split_labelled(Video(numbered(4, 10, 12)), labels_on(0, 1, 2, 3), 0.25)
    crops = LabelledFrames([labelled]).crops(5, 32, torch.Generator().manual_seed(0))
    assert crops.images.shape == (5, 32, 32)
    image = (labelled.polarity * crops.images[0]).numpy()
    np.testing.assert_array_equal(image[10:20], image[9::-1][:10])
    assert crops.present.sum(dim=1).tolist() == [1] * 5
    assert bool((crops.x[crops.present] == 5).all())


def test_dark_particles_are_shown_bright():
    frames = np.full((4, 20, 20), 100.0)
    frames[:, 5, 5] = 20.0
    labelled = split_labelled(Video(frames), labels_on(0, 1, 2, 3), 0.25)
    assert labelled.polarity == -1
    crops = LabelledFrames([labelled]).crops(3, 20, torch.Generator().manual_seed(0))
    assert torch.equal(crops.images[:, 5, 5], torch.full((3,), -20.0))
    whole = held_out_frames(labelled)[0].images
    assert float(whole[0, 5, 5]) > float(whole[0, 0, 0])


def test_held_out_frames_come_whole_with_their_labels():
    labelled = split_labelled(Video(numbered()), labels_on(*range(10)), 0.4)
    scenes = held_out_frames(labelled)
    shown = [int(labelled.polarity * scene.images[0, 0, 0]) // 10_000 for scene in scenes]
    assert shown == [6, 7, 8, 9]
    for scene in scenes:
        assert scene.images.shape == (1, 24, 30)
        assert scene.x.tolist() == scene.y.tolist() == [[5.0]]
        assert scene.present.all()


def test_of_many_held_out_frames_some_are_taken_from_end_to_end():
    labelled = split_labelled(Video(numbered(100, 8, 8)), labels_on(*range(100)), 0.4)
    scenes = held_out_frames(labelled, most=5)
    shown = [int(labelled.polarity * scene.images[0, 0, 0]) // 10_000 for scene in scenes]
    assert len(shown) == 5
    assert (shown[0], shown[-1]) == (60, 99)


def test_a_video_with_one_labelled_frame_has_nothing_held_out():
    labelled = split_labelled(Video(numbered()), labels_on(4), 0.2)
    assert held_out_frames(labelled) == []

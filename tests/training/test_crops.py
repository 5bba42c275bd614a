"""Crops and held-out frames: every pixel says where it is from, so labels are checked by it."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from numbered_frames import labels_on, numbered

from cloudtrainer.training.crops import LabelledFrames, held_out_frames
from cloudtrainer.training.labelled import labelled_video, split_labelled
from cloudtrainer.video import Video


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_it_was(crops, index, polarity):
    """Return the pixels of a crop as they were filmed, and its labels."""
    own = crops.present[index]
    xy = torch.stack([crops.x[index][own], crops.y[index][own]], dim=1)
    return polarity * crops.images[index].numpy(), xy.numpy()


PLACES = [(0, 0), (7.25, 11.375), (29, 23), (15, 3.75), (3, 3), (3, 4.375)]


@pytest.mark.parametrize(
    ("height", "width", "size_px", "margin_px"),
    [
        (24, 30, 16, 0),
        (24, 30, 16, 9),
        (24, 30, 24, 0),
        (24, 30, 24, 5),
        (25, 31, 24, 1),
        (24, 30, 27, 0),
        (10, 12, 32, 0),
        (9, 13, 32, 5),
        (10, 60, 32, 17),
        (60, 9, 33, 16),
        (5, 7, 33, 20),
        (6, 1, 32, 3),
        (3, 2, 32, 20),
    ],
)
def test_labels_are_where_their_pixels_are_mirrored_or_not(height, width, size_px, margin_px):
    pixels = numbered(3, height, width)
    places = [(x, y) for x, y in PLACES if x <= width - 1 and y <= height - 1]
    places.append((width - 1, height - 1))
    labels = pd.DataFrame(
        [(f, x, y) for f in range(3) for x, y in dict.fromkeys(places)], columns=["frame", "x", "y"]
    )
    labelled = split_labelled(Video(pixels), labels, 0.3)
    crops = LabelledFrames([labelled]).crops(10, size_px, generator(), margin_px)
    side = size_px + 2 * margin_px
    assert crops.images.shape == (10, side, side)
    for index in range(10):
        image, xy = as_it_was(crops, index, labelled.polarity)
        frame = int(image[0, 0]) // 10_000
        assert set(image.flat) <= set(pixels[frame].flat)
        # Every pixel of the crop that shows the pixel nearest to a label has a label at it.
        expected = Counter()
        for x, y in dict.fromkeys(places):
            copies = np.argwhere(image == pixels[frame, round(y), round(x)])
            expected.update((row, column, 100 * y + x) for row, column in copies.tolist())
        found = Counter()
        for x, y in xy:
            # The pixels count linearly, so what lies between them says the true position.
            value = between_pixels(image, x, y) - 10_000 * frame
            found[round(float(y)), round(float(x)), round(value, 3)] += 1
        assert found == expected


def between_pixels(image, x, y):
    """Read an image between its pixels; beyond its border its slope goes on."""
    padded = np.pad(image.astype(float), 1, mode="reflect", reflect_type="odd")
    column, row = np.floor([x, y]).astype(int)
    right, down = x - column, y - row
    square = padded[row + 1 : row + 3, column + 1 : column + 3]
    return float(np.array([1 - down, down]) @ square @ np.array([1 - right, right]))


def test_crops_are_pieces_of_learned_frames_from_everywhere():
    pixels = numbered()
    labelled = split_labelled(Video(pixels), labels_on(*range(10)), 0.3)
    crops = LabelledFrames([labelled]).crops(400, 16, generator())
    seen, corners = set(), set()
    for index in range(400):
        image, _ = as_it_was(crops, index, labelled.polarity)
        frame, rest = divmod(int(image[0, 0]), 10_000)
        top, left = divmod(rest, 100)
        np.testing.assert_array_equal(image, pixels[frame, top : top + 16, left : left + 16])
        seen.add(frame)
        corners.add((top, left))
    assert seen == set(range(7))
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(15))
    assert len(corners) > 100


def test_a_margin_reaches_out_and_the_crop_inside_it_does_not():
    pixels = numbered(1, 40, 50)
    labelled = split_labelled(Video(pixels), labels_on(0), 0.3)
    crops = LabelledFrames([labelled]).crops(300, 32, generator(), margin_px=12)
    corners = set()
    for index in range(300):
        image, _ = as_it_was(crops, index, labelled.polarity)
        inner = image[12:-12, 12:-12]
        top, left = divmod(int(inner[0, 0]), 100)
        np.testing.assert_array_equal(inner, pixels[0, top : top + 32, left : left + 32])
        around = np.pad(pixels[0], 12, mode="symmetric")
        np.testing.assert_array_equal(image, around[top : top + 56, left : left + 56])
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(19))


@pytest.mark.parametrize("margin_px", [0, 4])
def test_labels_on_the_edge_of_the_frame_are_not_lost(margin_px):
    corners = [(-0.5, -0.5), (29.5, 23.5), (29.5, 2.0), (2.0, -0.5)]
    labels = pd.DataFrame([(f, *xy) for f in (0, 1) for xy in corners], columns=["frame", "x", "y"])
    labelled = split_labelled(Video(numbered(2)), labels, 0.4)
    [whole] = held_out_frames(labelled, 1)
    assert int(whole.present.sum()) == 4
    crops = LabelledFrames([labelled]).crops(5, 30, generator(), margin_px)
    assert bool((crops.present.sum(dim=1) >= 4).all())


def random_frames(seed, held_out):
    """Return a labelled video whose frames are named by a number of ten thousands."""
    numbers = np.flatnonzero(np.random.default_rng(seed).random(30) < 0.7)
    stretches = tuple((int(n), int(n)) for n in numbers if n in held_out)
    images = numbered(30, 12, 14, first=100 * seed)[numbers]
    return labelled_video(f"video {seed}.tif", images, labels_on(*numbers), stretches)


def test_every_learned_frame_is_reached_and_no_held_out_one_ever():
    videos = [random_frames(seed, {1, 2, 3, 17, 29}) for seed in (1, 2, 3)]
    frames = LabelledFrames(videos)
    learned = {
        (video.name, number) for video in videos for number in video.frame_numbers(held_out=False)
    }
    assert len(frames) == len(learned)
    crops = frames.crops(3000, 8, generator())
    polarity = {video.name: video.polarity for video in videos}
    seen = set()
    for source, corner in zip(
        frames.sources(3000, generator()), crops.images[:, 0, 0], strict=True
    ):
        name, _, number = source.rpartition(" frame ")
        seen.add((name, int(number)))
        film, frame = divmod(int(polarity[name] * corner) // 10_000, 100)
        assert (f"video {film}.tif", frame) == (name, int(number))
    assert seen == learned


def test_each_video_is_drawn_from_equally_often_however_many_frames_are_labelled():
    few = labelled_video("few", numbered(2, 12, 14), labels_on(0, 1), ())
    many = labelled_video("many", numbered(50, 12, 14), labels_on(*range(50)), ())
    names = [name.split()[0] for name in LabelledFrames([few, many]).sources(4000, generator())]
    # Three standard deviations of a fair coin.
    assert abs(names.count("few") - 2000) < 3 * np.sqrt(1000)


def test_a_video_that_is_held_out_as_a_whole_is_not_drawn_from():
    out = labelled_video("out", numbered(3, 12, 14), labels_on(0, 1, 2), ((0, 2),))
    other = labelled_video("in", numbered(3, 12, 14), labels_on(0, 1, 2), ((2, 2),))
    frames = LabelledFrames([out, other])
    assert len(frames) == 2
    assert {name.split()[0] for name in frames.sources(50, generator())} == {"in"}
    assert len(LabelledFrames([out])) == 0


def dark():
    frames = np.full((4, 20, 20), 100.0)
    frames[:, 5, 5] = 20.0
    return split_labelled(Video(frames), labels_on(0, 1, 2, 3), 0.25)


@pytest.mark.parametrize(("as_filmed", "sign"), [(False, -1), (True, 1)])
def test_dark_particles_are_shown_bright_except_as_filmed(as_filmed, sign):
    labelled = dark()
    assert labelled.polarity == -1
    crops = LabelledFrames([labelled], as_filmed).crops(3, 20, generator())
    assert torch.equal(crops.images[:, 5, 5], torch.full((3,), sign * 20.0))
    assert torch.equal(crops.images[:, 0, 0], torch.full((3,), sign * 100.0))
    [whole] = held_out_frames(labelled, 1, as_filmed=as_filmed)
    assert float(whole.images[0, 5, 5]) == sign * 20.0
    # Models that divide by the largest intensity see the frames as they were filmed.
    assert crops.brightest.tolist() == [100.0] * 3
    assert whole.brightest.tolist() == [100.0]


def test_held_out_frames_come_whole_with_their_labels():
    labelled = split_labelled(Video(numbered()), labels_on(*range(10)), 0.4)
    scenes = held_out_frames(labelled, 10)
    shown = [int(labelled.polarity * scene.images[0, 0, 0]) // 10_000 for scene in scenes]
    assert shown == [6, 7, 8, 9]
    for scene in scenes:
        assert scene.images.shape == (1, 24, 30)
        assert scene.x.tolist() == scene.y.tolist() == [[5.0]]
        assert scene.present.all()


@pytest.mark.parametrize(
    ("shape", "parts"),
    [((300, 520), 6), ((256, 256), 1), ((257, 256), 2), ((40, 700), 3), ((20, 30), 1)],
)
def test_large_frames_come_in_parts_that_hold_every_pixel_and_label_once(shape, parts):
    rng = np.random.default_rng(0)
    frame = rng.permutation(shape[0] * shape[1]).reshape(shape).astype(np.float32)
    row, column = np.divmod(rng.choice(frame.size, 200, replace=False), shape[1])
    # Also on both sides of where parts meet, to the half of a pixel.
    right = rng.choice([-0.5, 0.0, 0.25, 0.49], 200)
    table = pd.DataFrame({"x": column + right, "y": row + right})
    labels = pd.concat([table.assign(frame=number) for number in (0, 1)])
    labelled = split_labelled(Video(np.stack([frame, frame])), labels, 0.4)
    scenes = held_out_frames(labelled, 1)
    assert len(scenes) == parts
    assert all(max(scene.images.shape) <= 256 for scene in scenes)
    values, marked = [], []
    for scene in scenes:
        image = labelled.polarity * scene.images[0].numpy()
        own = scene.present[0]
        values += image.flatten().tolist()
        x, y = scene.x[0][own].numpy(), scene.y[0][own].numpy()
        # The pixel that a label lies in; one between two pixels lies in the later one.
        marked += image[np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)].tolist()
    assert sorted(values) == list(range(frame.size))
    assert sorted(marked) == sorted(frame[row, column].tolist())


@pytest.mark.parametrize(("most", "shown"), [(1, [60]), (2, [60, 99]), (5, [60, 69, 79, 89, 99])])
def test_of_many_held_out_frames_some_are_taken_from_end_to_end(most, shown):
    labelled = split_labelled(Video(numbered(100, 8, 8)), labels_on(*range(100)), 0.4)
    scenes = held_out_frames(labelled, most)
    found = [int(labelled.polarity * scene.images[0, 0, 0]) // 10_000 for scene in scenes]
    assert found == shown


def test_a_video_with_one_labelled_frame_has_nothing_held_out():
    labelled = split_labelled(Video(numbered()), labels_on(4), 0.2)
    assert held_out_frames(labelled, 4) == []


def test_a_frame_without_particles_in_the_crop_has_no_labels():
    frames = numbered(2, 100, 100)
    labelled = split_labelled(Video(frames), labels_on(0, 1, x=2.0, y=2.0), 0.4)
    crops = LabelledFrames([labelled]).crops(200, 16, generator())
    assert set(crops.present.sum(dim=1).tolist()) == {0, 1}
    assert crops.x.shape == crops.y.shape == crops.present.shape == (200, 1)

"""Which axis is time, and which choices a file needs."""

import pytest

from cloudtrainer.errors import VideoError
from cloudtrainer.video.axes import select_frames


@pytest.mark.parametrize(
    ("axes", "shape", "channel", "plane", "time", "fixed"),
    [
        ("YX", (8, 9), None, None, None, {}),
        ("TYX", (5, 8, 9), None, None, 0, {}),
        ("ZYX", (5, 8, 9), None, None, 0, {}),  # ImageJ's plain stacks
        ("QYX", (5, 8, 9), None, None, 0, {}),
        ("CYX", (5, 8, 9), None, None, 0, {}),  # tifffile's plain stacks for ImageJ
        ("IYXS", (5, 8, 9, 3), None, None, 0, {}),
        ("TZCYXS", (5, 1, 1, 8, 9, 1), None, None, 0, {1: 0, 2: 0}),
        ("TZCYXS", (5, 1, 2, 8, 9, 1), 1, None, 0, {1: 0, 2: 1}),
        ("TZCYXS", (5, 4, 2, 8, 9, 1), 1, 3, 0, {1: 3, 2: 1}),
        ("ZTCYX", (1, 5, 1, 8, 9), 0, 0, 1, {0: 0, 2: 0}),
        ("ZCYX", (6, 2, 8, 9), 0, None, 0, {1: 0}),  # without T the planes are the movie
        ("CYX", (2, 8, 9), 1, None, None, {0: 1}),
        ("ZYX", (5, 8, 9), None, 4, None, {0: 4}),
    ],
)
def test_selects_time_and_fixes_the_rest(axes, shape, channel, plane, time, fixed):
    selection = select_frames(axes, shape, channel, plane, "a.tif")

    assert selection.time == time
    assert selection.fixed == fixed


@pytest.mark.parametrize(
    ("axes", "shape", "channel", "plane", "words"),
    [
        ("TCYX", (5, 2, 8, 9), None, None, "2 channels: pass channel=0 or 1"),
        ("TCYX", (5, 4, 8, 9), None, None, "4 channels: pass channel=0 to 3"),
        ("TZYX", (5, 3, 8, 9), None, None, "3 Z-planes: pass plane=0 to 2"),
        (
            "TZCYX",
            (5, 3, 2, 8, 9),
            None,
            None,
            "2 channels: pass channel=0 or 1 and 3 Z-planes: pass plane=0 to 2",
        ),
        ("TZCYX", (5, 3, 2, 8, 9), None, 1, "2 channels: pass channel=0 or 1"),
        ("ZCYX", (6, 2, 8, 9), None, None, "2 channels: pass channel=0 or 1"),
        ("TCYX", (5, 2, 8, 9), 2, None, "channel 2 does not exist; 2 channels"),
        ("TCYX", (5, 2, 8, 9), -1, None, "channel -1 does not exist"),
        ("TYX", (5, 8, 9), 1, None, "channel 1 does not exist; it has 1 channel"),
        ("TYX", (5, 8, 9), None, 1, "plane 1 does not exist; it has 1 Z-plane"),
        ("QQYX", (5, 3, 8, 9), None, None, r"array\[:, 0\] for 5 frames or array\[0, :\] for 3"),
        ("TQYX", (5, 3, 8, 9), None, None, "do not say which is time"),
    ],
)
def test_names_the_choices(axes, shape, channel, plane, words):
    with pytest.raises(VideoError, match=words) as raised:
        select_frames(axes, shape, channel, plane, "a.tif")

    assert str(raised.value).startswith("a.tif: ")
    assert "\n" not in str(raised.value)

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import estimate_diffusion
from cloudtrainer.errors import CalibrationError
from cloudtrainer.tracking import number_frames


@pytest.mark.parametrize(
    ("times", "numbers", "interval", "missing"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 1, 0),
        ([5, 6, 7, 9, 10, 14, 15], [0, 1, 2, 4, 5, 9, 10], 1, 4),
        ([0, 2, 3, 5, 7, 9, 10, 12, 14, 16], [0, 2, 3, 5, 7, 9, 10, 12, 14, 16], 1, 7),
        ([0, 1, 2, 3, 4, 6, 8, 10, 12], [0, 1, 2, 3, 4, 6, 8, 10, 12], 1, 4),
        ([0, 1, 2, 3, 1000.3, 1001.3], [0, 1, 2, 3, 1000, 1001], 1, 996),
        ([0, 0.7], [0, 1], 0.7, 0),
    ],
)
def test_frames_are_numbered_by_their_times(times, numbers, interval, missing):
    clock = number_frames(np.array(times) * 0.04)
    assert clock.numbers.tolist() == numbers
    assert clock.interval_s == pytest.approx(0.04 * interval, rel=1e-3)
    assert (clock.missing, clock.regular) == (missing, True)
    assert len(clock.warnings) == (missing > 0)


def test_times_rounded_to_ms_are_even():
    clock = number_frames(np.round(np.arange(500) / 30, 3))
    assert clock.interval_s == pytest.approx(1 / 30, rel=1e-4)
    assert clock.warnings == ()


def test_missing_frames_are_found_among_jitter():
    rng = np.random.default_rng(0)
    there = np.flatnonzero(rng.random(2000) > 0.1)
    clock = number_frames((there + rng.normal(0, 0.05, there.size)) * 0.05)
    assert np.array_equal(clock.numbers, there - there[0])
    assert clock.interval_s == pytest.approx(0.05, rel=2e-3)
    assert clock.jitter == pytest.approx(0.05 * np.sqrt(2), rel=0.1)
    first, second = clock.warnings
    assert first.startswith(f"{clock.missing} frames are missing from the video in ")
    assert "steps scatter by 7%" in second
    assert "up to 0.2% larger" in second


@pytest.mark.parametrize("frames", [20, 60, 400])
def test_exponential_times_have_no_clock(frames):
    for seed in range(40):
        times = np.cumsum(np.random.default_rng(seed).exponential(0.1, frames))
        assert not number_frames(times).regular


def test_times_without_a_clock_are_said():
    clock = number_frames(np.cumsum(np.random.default_rng(0).exponential(0.1, 400)))
    assert not clock.regular
    assert clock.numbers.tolist() == list(range(400))
    assert clock.interval_s == pytest.approx(0.1, rel=0.15)
    assert "not taken at regular times" in clock.warnings[0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, np.nan, 2], "that of frame 1 is nan"),
        ([0, 1, 1, 2], r"frame 2 \(1 s\) is not later than the frame before .* there twice"),
        ([0, 2, 1], "frame 2"),
        ([], "a list of one number a frame"),
        ([[0, 1]], "a list of one number a frame"),
    ],
)
def test_times_that_cannot_be_are_refused(times, message):
    with pytest.raises(CalibrationError, match=message):
        number_frames(times)


def test_a_single_frame_has_no_interval():
    clock = number_frames([3.0])
    assert clock.numbers.tolist() == [0]
    assert np.isnan(clock.interval_s)


@pytest.mark.parametrize(
    ("kind", "indexed"), [("missing", 1.11), ("jitter", 1.0), ("exponential", 1.44)]
)
def test_d_of_uneven_videos_is_right_by_their_times(kind, indexed):
    """The times are drawn, and D = 0.5 um^2/s; counted by index at the median step it is off."""
    rng = np.random.default_rng(7)
    times = {
        "missing": np.flatnonzero(rng.random(300) > 0.1) * 0.04,
        "jitter": np.cumsum(0.04 * (1 + 0.1 * rng.uniform(-1, 1, 300))),
        "exponential": np.cumsum(rng.exponential(0.04, 300)),
    }[kind]
    steps = (
        rng.normal(size=(60, times.size, 2)) * np.sqrt(2 * 0.5 * np.diff(times, prepend=0))[:, None]
    )
    position = (steps.cumsum(axis=1) + rng.normal(0, 0.03, steps.shape)).reshape(-1, 2) / 0.1
    clock = number_frames(times)

    def estimated(numbers, interval):
        tracks = pd.DataFrame(position, columns=["x", "y"]).assign(
            frame=np.tile(numbers, 60), particle=np.repeat(np.arange(60), times.size)
        )
        return estimate_diffusion(tracks, interval, 0.1, interval="model").value

    assert estimated(clock.numbers, clock.interval_s) == pytest.approx(0.5, rel=0.03)
    by_index = estimated(np.arange(times.size), float(np.median(np.diff(times))))
    assert by_index / 0.5 == pytest.approx(indexed, abs=0.08)


def test_text_is_no_time():
    with pytest.raises(CalibrationError, match="not all are numbers"):
        number_frames(["a", "b"])

"""Frames that are missing or late, told by the times of those that are there."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudtrainer.errors import CalibrationError

# A step this far from a whole number of intervals is not on the grid; of a long pause, this share.
_OFF_GRID, _OFF_GRID_SHARE = 0.25, 0.01
# With more steps than this off the grid, or fewer single ones, there is no grid.
_MOST_OFF_GRID, _FEWEST_SINGLE = 0.05, 0.2
# Scatter of the intervals that is worth a sentence.
_JITTER = 0.03


@dataclass(frozen=True)
class FrameClock:
    """When the frames of a video were taken, in whole intervals.

    Attributes
    ----------
    numbers : ndarray of int64, shape (T,)
        Number of each frame, counted in intervals from the first, with gaps where frames are
        missing.
    interval_s : float
        The interval, s: that between consecutive numbers, on average; NaN for a single frame.
    missing : int
        Numbers without a frame.
    jitter : float
        Standard deviation of the steps in time about whole intervals, in intervals.
    regular : bool
        Whether the times are those of a regular clock; otherwise the frames are numbered as they
        come, and the interval is their mean distance in time.
    """

    numbers: NDArray[np.int64]
    interval_s: float
    missing: int
    jitter: float
    regular: bool

    def part(self, first: int, after: int) -> "FrameClock":
        """Return the clock of the frames ``first`` to ``after - 1``, their numbers as they are."""
        numbers = self.numbers[first:after]
        missing = int(numbers[-1] - numbers[0]) + 1 - len(numbers)
        return replace(self, numbers=numbers, missing=missing)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on missing frames and on uneven times."""
        said = []
        if self.missing:
            gaps = int(np.sum(np.diff(self.numbers) > 1))
            said.append(
                f"{self.missing} frames are missing from the video in {gaps} places, by the times "
                f"of the others: frames are numbered in intervals of {self.interval_s:.6g} s, and "
                "steps across the missing ones count as longer."
            )
        if not self.regular:
            said.append(
                f"The frames were not taken at regular times: the steps in time scatter by "
                f"{100 * self.jitter:.0f}% (standard deviation) and are no multiples of one "
                f"interval. Their mean, {self.interval_s:.6g} s, is taken, with which D and alpha "
                "are right on average as long as the scatter is the same throughout; frames that "
                "are missing cannot be told from late ones."
            )
        elif self.jitter > _JITTER:
            said.append(
                f"The frames are uneven in time: steps scatter by {100 * self.jitter:.0f}% "
                f"(standard deviation) about the interval of {self.interval_s:.6g} s. On average D "
                f"is not changed by it; its standard error is up to "
                f"{100 * (np.hypot(1, self.jitter) - 1):.1g}% larger than stated."
            )
        return tuple(said)


def number_frames(timestamps_s: ArrayLike) -> FrameClock:
    """Return the numbers of frames in whole intervals of a regular clock, from their times.

    The interval is the median of the steps in time that are not much longer than the shortest ones,
    corrected to the mean over all steps that are whole multiples of it. Where more than one step in
    20 is no whole multiple (by more than a quarter of an interval, or 1% of a longer pause), or
    fewer than one in five is a single interval, the times are not those of a regular clock.

    Parameters
    ----------
    timestamps_s
        Time of each frame (T,), s, increasing; from any origin.

    Raises
    ------
    CalibrationError
        When there is no time, or a time is not finite or not later than the one before.
    """
    try:
        times = np.asarray(timestamps_s, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise CalibrationError(
            "times of frames: not all are numbers; give a list of one number a frame, in seconds"
        ) from None
    if times.ndim != 1 or times.size == 0:
        raise CalibrationError(
            f"times of frames: a list of one number a frame is needed, not shape {times.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise CalibrationError(f"times of frames: that of frame {bad[0]} is {times[bad[0]]}")
    steps = np.diff(times)
    back = np.flatnonzero(steps <= 0)
    if back.size:
        raise CalibrationError(
            f"times of frames: frame {back[0] + 1} ({times[back[0] + 1]:.6g} s) is not later than "
            f"the frame before ({times[back[0]]:.6g} s); is a frame there twice?"
        )
    count = np.arange(times.size, dtype=np.int64)
    if steps.size == 0:
        return FrameClock(count, float("nan"), 0, 0.0, regular=True)

    shortest = np.quantile(steps, 0.05, method="higher")
    interval = float(np.median(steps[steps <= 1.5 * shortest]))
    for _ in range(2):
        whole = np.maximum(np.rint(steps / interval), 1)
        off = steps / interval - whole
        on_grid = np.abs(off) <= np.maximum(_OFF_GRID, _OFF_GRID_SHARE * whole)
        if np.mean(on_grid) < 1 - _MOST_OFF_GRID or np.mean(whole == 1) < _FEWEST_SINGLE:
            mean = float(steps.mean())
            return FrameClock(count, mean, 0, float(steps.std() / mean), regular=False)
        interval = float(steps[on_grid].sum() / whole[on_grid].sum())
    numbers = np.concatenate([[0], np.cumsum(whole.astype(np.int64))])
    missing = int(numbers[-1]) + 1 - times.size
    jitter = float(np.std(off[whole == 1])) if np.any(whole == 1) else 0.0
    return FrameClock(numbers, interval, missing, jitter, regular=True)

"""Which particles of a video are in focus, by the height of their peaks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.video import Video

# A parabola through the pixels this near gives the height of a peak.
_CORE_PX = 2.2
_AROUND_PX = (6, 9)
_REACH_PX = 9
_IN_FOCUS_QUANTILE = 0.95
_DEPTH_OF_FIELD = 0.5


@dataclass(frozen=True)
class Focus:
    """What tells particles in focus from those that are not.

    A particle is in focus while its peak is at least half as high as it is in the focal plane: the
    full width at half maximum along the optical axis. The height in the focal plane is taken to be
    the 95th percentile of all that are found.

    Attributes
    ----------
    peak : float
        Height of the peak of a particle in focus above its surroundings, counts.
    least : float
        Height from which a particle counts as in focus, counts.
    """

    peak: float
    least: float

    @classmethod
    def of(cls, peaks: NDArray[np.floating]) -> "Focus":
        """Return what the peaks of all candidates say."""
        peak = float(np.quantile(peaks, _IN_FOCUS_QUANTILE))
        return cls(peak, _DEPTH_OF_FIELD * peak)


def peak_heights(
    frame: NDArray[np.floating], x: NDArray[np.floating], y: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the heights of peaks above their surroundings, counts.

    The peak is the top of the parabola, round about the position, that fits the pixels within
    2.2 px; the surroundings are the median of the pixels between 6 and 9 px.

    Parameters
    ----------
    frame : ndarray
        Counts; particles are brighter than the ground, (height, width).
    x, y : ndarray
        Sub-pixel positions, (particles,).
    """
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    padded = np.pad(frame.astype(np.float32), _REACH_PX, mode="edge")
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    patch = padded[
        row[:, None, None] + _REACH_PX + steps[:, None], column[:, None, None] + _REACH_PX + steps
    ]
    across, down = (column - x)[:, None] + steps, (row - y)[:, None] + steps
    squared = down[:, :, None] ** 2 + across[:, None, :] ** 2
    core = squared < _CORE_PX**2

    def summed(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray((core * values).sum(axis=(1, 2)))

    number, second, fourth = summed(np.ones_like(squared)), summed(squared), summed(squared**2)
    light, moment = summed(patch), summed(patch * squared)
    top = (fourth * light - second * moment) / (number * fourth - second**2)
    around = (steps[:, None] ** 2 + steps**2 > _AROUND_PX[0] ** 2) & (
        steps[:, None] ** 2 + steps**2 < _AROUND_PX[1] ** 2
    )
    ground = np.median(patch[:, around], axis=1)
    return np.asarray(top - ground, np.float32)


def peaks_in_video(video: Video, positions: pd.DataFrame, polarity: int) -> NDArray[np.float32]:
    """Return the heights of the peaks of a table of positions in a video, counts.

    Parameters
    ----------
    video : Video
        The video.
    positions : DataFrame
        ``frame, x, y``, pixels.
    polarity : {1, -1}
        1 for bright particles, -1 for dark ones.
    """
    heights = np.zeros(len(positions), np.float32)
    frames = positions["frame"].to_numpy()
    order = np.argsort(frames, kind="stable")
    starts = np.flatnonzero(np.diff(frames[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        if len(rows):
            number = int(frames[rows[0]])
            frame = polarity * video.frames(number, number + 1)[0].astype(np.float32)
            here = positions.iloc[rows]
            heights[rows] = peak_heights(frame, here["x"].to_numpy(), here["y"].to_numpy())
    return heights

"""Which displacements begin so far from the border of the field that their ends are seen."""

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.tracks import FloatArray, IntArray

# Of steps that begin farther away than so many of their standard deviations, 1 in 160 leaves.
_STEPS_AWAY = 2.5
# Light that the edge cuts is found less surely.
_CUT_LIGHT_PX = 2.0


def begins_inside(
    displacement: FloatArray, frames: IntArray, to_border: FloatArray
) -> NDArray[np.bool_]:
    """Return which displacements begin so far from the border that all they lead to is seen.

    Parameters
    ----------
    displacement : ndarray of float64, shape (steps, 2)
        Pixels.
    frames : ndarray of int64, shape (steps,)
        Frames that each takes.
    to_border : ndarray of float64, shape (steps,)
        Distance from the border where each begins, px; NaN where it is not known.

    Returns
    -------
    ndarray of bool, shape (steps,)
    """
    if not len(frames):
        return np.ones(0, dtype=bool)
    shortest = frames == frames.min()
    step = np.sqrt((displacement[shortest] ** 2).mean() / frames.min())
    return np.asarray(~(to_border < _CUT_LIGHT_PX + _STEPS_AWAY * step * np.sqrt(frames)))

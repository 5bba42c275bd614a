"""The border of the field of view, which hides where the particles go that step over it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.errors import ConfigError, LabelError

FloatArray = NDArray[np.float64]

BORDER_COLUMN = "to_border_px"
# Of steps that begin farther away than so many of their standard deviations, 1 in 160 leaves.
_STEPS_AWAY = 2.5
# Light that the edge cuts is found less surely.
_CUT_LIGHT_PX = 2.0


def with_distance_to_border(tracks: pd.DataFrame, width_px: int, height_px: int) -> pd.DataFrame:
    """Return tracks with the column ``to_border_px``: how far each position is from the border.

    A particle that steps over the border is not seen again: of the steps that begin near it, the
    long ones are missing, and D and alpha come out too small, D of a Brownian ensemble by about
    1.5 times the standard deviation of a step over the side of the field. `estimate_diffusion`,
    `estimate_anomalous` and `classify_motion` of an ensemble therefore take no displacement that
    begins near the border, where this column is in the table. Whether a displacement is taken then
    depends on where it begins, never on where it leads, and nothing is selected by its length.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``x, y`` in pixels, where the particles are in the frames, drift included.
    width_px, height_px : int
        Size of a frame.

    Raises
    ------
    LabelError
        There is no column ``x`` or ``y``.
    ConfigError
        A size is not positive.
    """
    for name in ("x", "y"):
        if name not in tracks.columns:
            raise LabelError(f"tracks: no column '{name}': positions in pixels are needed")
    if not (width_px > 0 and height_px > 0):
        raise ConfigError(f"a frame of {width_px} x {height_px} px has no border")
    x, y = (tracks[name].to_numpy(np.float64) for name in ("x", "y"))
    nearest = np.minimum(
        np.minimum(x + 0.5, width_px - 0.5 - x), np.minimum(y + 0.5, height_px - 0.5 - y)
    )
    return tracks.assign(**{BORDER_COLUMN: nearest})


def begins_inside(
    displacement: FloatArray, frames: NDArray[np.int64], to_border: FloatArray
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

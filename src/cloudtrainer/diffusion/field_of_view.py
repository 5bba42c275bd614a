"""The border of the field of view, which hides where the particles go that step over it."""

import numpy as np
import pandas as pd

from cloudtrainer.arguments import number
from cloudtrainer.diffusion.tracks import BORDER_COLUMN, track_arrays


def with_distance_to_border(tracks: pd.DataFrame, width_px: int, height_px: int) -> pd.DataFrame:
    """Return tracks with the column ``to_border_px``: how far each position is from the border.

    A particle that steps over the border is not seen again: of the steps that begin near it, the
    long ones are missing, and D and alpha come out too small, D of a Brownian ensemble by about
    1.2 times the standard deviation of a step over the side of the field. `estimate_diffusion`,
    `estimate_anomalous` and `classify_motion` of an ensemble therefore take no displacement that
    begins near the border, where this column is in the table. Whether a displacement is taken then
    depends on where it begins, never on where it leads, and nothing is selected by its length.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; x and y in pixels, where the particles are in the
        frames, drift included.
    width_px, height_px : int
        Size of a frame.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    ConfigError
        A size is no positive number.
    """
    width, height = (
        number(name, value, "pixels", above=True)
        for name, value in (("width_px", width_px), ("height_px", height_px))
    )
    track_arrays(tracks)
    x, y = (pd.to_numeric(tracks[name]).to_numpy(np.float64) for name in ("x", "y"))
    nearest = np.minimum(
        np.minimum(x + 0.5, width - 0.5 - x), np.minimum(y + 0.5, height - 0.5 - y)
    )
    return tracks.assign(**{BORDER_COLUMN: nearest})

"""Filters that keep or drop whole tracks."""

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, number, shown
from cloudtrainer.errors import ConfigError
from cloudtrainer.tracking.tables import checked_positions


def filter_tracks(
    tracks: pd.DataFrame,
    min_frames: int = 5,
    min_mean_probability: float | None = None,
    min_median_intensity: float | None = None,
    min_net_displacement_px: float | None = None,
) -> pd.DataFrame:
    """Keep the tracks that are long, sure, bright or mobile enough.

    Single detections are never dropped: that would cut tracks and keep slow moments. Dropping
    tracks of small net displacement makes D too large; use it only to leave out stuck particles
    that are far from the threshold.

    Parameters
    ----------
    tracks
        Table with ``frame, x, y`` (pixels) and ``particle``.
    min_frames
        Fewest frames in which the particle is seen.
    min_mean_probability
        Least mean of the column ``probability``; None does not ask.
    min_median_intensity
        Least median of the column ``intensity``; None does not ask.
    min_net_displacement_px
        Least distance between the first and the last position, pixels; None does not ask.

    Returns
    -------
    pandas.DataFrame
        The rows of the tracks that pass, as given.

    Raises
    ------
    LabelError
        When the table lacks a column that is asked about or holds something that is not a finite
        number.
    ConfigError
        When a limit is no number.
    """
    number("min_frames", min_frames, "frames")
    for name, value in (
        ("min_mean_probability", min_mean_probability),
        ("min_median_intensity", min_median_intensity),
        ("min_net_displacement_px", min_net_displacement_px),
    ):
        if value is not None and not is_number(value):
            raise ConfigError(f"{name} is {shown(value)}: give a number, or None")
    columns = ["frame", "x", "y", "particle"]
    if min_mean_probability is not None:
        columns.append("probability")
    if min_median_intensity is not None:
        columns.append("intensity")
    table = checked_positions(tracks, columns, name="tracks")
    by_track = table.sort_values("frame", kind="stable").groupby("particle")
    keep = by_track["frame"].size() >= min_frames
    if min_mean_probability is not None:
        keep &= by_track["probability"].mean() >= min_mean_probability
    if min_median_intensity is not None:
        keep &= by_track["intensity"].median() >= min_median_intensity
    if min_net_displacement_px is not None:
        net = by_track[["x", "y"]].last() - by_track[["x", "y"]].first()
        keep &= np.hypot(net["x"], net["y"]) >= min_net_displacement_px
    return tracks.loc[table["particle"].map(keep).to_numpy(dtype=bool)]

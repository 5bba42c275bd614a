"""Tracks that rest in the frame while the others drift: dirt, or particles that the flow passes."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Shorter tracks of moving particles stay near one place by chance.
_FEWEST_FRAMES = 20
# Scatter about the mean place, squared: as a share of that after the drift is subtracted, and of
# that of a Brownian particle that moves as the others do, which it is by chance in less than 1e-3.
_IN_PLACE, _OF_BROWNIAN = 0.25, 0.15


def at_rest_in_frame(tracks: pd.DataFrame, corrected: pd.DataFrame) -> NDArray[np.int64]:
    """Return the particles that rest in the frame, and would move if drift were subtracted.

    A drifting stage carries everything along, a flowing liquid only what it holds. The positions of
    a Brownian path of n steps scatter about their mean by n / 6 mean square steps.

    Parameters
    ----------
    tracks, corrected : DataFrame
        ``particle, frame, x, y`` as in the frames, and without drift, with the same rows; px.

    Returns
    -------
    ndarray of int64
        Their numbers.
    """
    moved = corrected.sort_values(["particle", "frame"])[["particle", "frame", "x", "y"]].diff()
    step = moved.loc[(moved["particle"] == 0) & (moved["frame"] == 1), ["x", "y"]]
    if step.empty:
        return np.empty(0, np.int64)
    square_step = float((step**2).sum(axis=1).mean())
    frame = tracks.groupby("particle")["frame"]
    in_place, without_drift = (
        table.groupby("particle")[["x", "y"]].var(ddof=0).sum(axis=1)
        for table in (tracks, corrected)
    )
    span = frame.max() - frame.min()
    resting = (frame.size() >= _FEWEST_FRAMES) & (in_place < _IN_PLACE * without_drift)
    resting &= in_place < _OF_BROWNIAN * square_step * span / 6
    return resting.index[resting].to_numpy(np.int64)

"""Tracks that rest in the frame while the others drift: dirt, or particles that the flow passes."""

from typing import NamedTuple

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
    in_frame, in_liquid = (_scatter(table) for table in (tracks, corrected))
    frame = tracks.groupby("particle")["frame"]
    resting = (frame.size() >= _FEWEST_FRAMES) & (in_frame.place < _IN_PLACE * in_liquid.place)
    # What a shaking stage shakes has shorter steps without the drift, and does not rest.
    resting &= in_frame.step <= in_liquid.step
    others = in_liquid.step[~resting].mean()
    span = frame.max() - frame.min()
    resting &= in_frame.place < _OF_BROWNIAN * others * span / 6
    return resting.index[resting].to_numpy(np.int64)


class _Scatter(NamedTuple):
    """Of each particle, px²: about its mean place, and mean square step of one frame."""

    place: pd.Series
    step: pd.Series


def _scatter(tracks: pd.DataFrame) -> _Scatter:
    ordered = tracks.sort_values(["particle", "frame"])
    moved = ordered[["particle", "frame", "x", "y"]].diff()
    step = (moved[["x", "y"]] ** 2).sum(axis=1)
    step[(moved["particle"] != 0) | (moved["frame"] != 1)] = np.nan
    return _Scatter(
        place=tracks.groupby("particle")[["x", "y"]].var(ddof=0).sum(axis=1),
        step=step.groupby(ordered["particle"]).mean(),
    )

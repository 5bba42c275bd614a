"""What the tracks of a population are: their effective diffusivities and slopes."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.anomalous import estimate_anomalous
from cloudtrainer.diffusion.coefficient import estimate_diffusion
from cloudtrainer.diffusion.mobility_offset import Offset
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays


def described(
    arrays: TrackArrays, msd: MeanSquaredDisplacement, frame_interval_s: float
) -> pd.DataFrame:
    """Return what tracks of two positions or more are, in the order of `msd`."""
    long = arrays.lengths > 1
    first, last = arrays.frame[arrays.start[:-1]][long], arrays.frame[arrays.start[1:] - 1][long]
    return pd.DataFrame(
        {
            "particle": msd.particle,
            "first_frame": first,
            "frames": arrays.lengths[long],
            "duration_s": (last - first) * frame_interval_s,
        }
    )


def estimates_of(
    tracks: pd.DataFrame, frame_interval_s: float, pixel_size_um: float, exposure_s: float | None
) -> pd.DataFrame:
    """Return D and alpha of single tracks with the intervals of their likelihoods."""
    parts = [
        estimate(
            tracks, frame_interval_s, pixel_size_um, exposure_s, per_track=True, interval="model"
        )
        for estimate in (estimate_diffusion, estimate_anomalous)
    ]
    return parts[0].merge(parts[1], on="particle", how="outer")


def effective_diffusivities(msd: MeanSquaredDisplacement, lag: int, offset: Offset) -> FloatArray:
    """Return the effective diffusivity of each track at a lag, um^2/s; NaN if none is so long."""
    if lag > len(msd.lag):
        return np.full(len(msd.particle), np.nan)
    time = msd.lag_time[lag - 1] - offset.blur_s
    return np.asarray((msd.per_track[:, lag - 1] - offset.um2) / (4 * time))


def slopes(msd: MeanSquaredDisplacement, reference: int) -> FloatArray:
    """Return the slope of ln MSD against ln lag of each track.

    Over the lags up to the reference time, and to a quarter of the track where that is shorter, but
    of three lags at least.
    """
    lags = min(max(reference, 3), len(msd.lag))
    value, pairs = msd.per_track[:, :lags], msd.pairs
    longest = np.where(pairs > 0, msd.lag, 0).max(axis=1, initial=0)
    used = msd.lag[:lags] <= np.maximum(longest / 4, 3)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.log(value)
        used &= np.isfinite(y)
        x = np.broadcast_to(np.log(msd.lag[:lags]), y.shape)
        y = np.where(used, y, 0.0)
        number = used.sum(axis=1)
        x = np.where(used, x - (x * used).sum(axis=1, keepdims=True) / number[:, None], 0.0)
        slope = (x * y).sum(axis=1) / (x**2).sum(axis=1)
    return np.asarray(np.where(number >= 3, slope, np.nan))


def msd_table(msd: MeanSquaredDisplacement) -> pd.DataFrame:
    """Return the lags, s, and a column of MSD, um^2, a particle; nothing is taken out."""
    table = pd.DataFrame(msd.per_track.T, columns=[str(name) for name in msd.particle])
    table.insert(0, "lag_s", msd.lag_time)
    return table

"""What the tracks of a population are: their effective diffusivities, slopes and offset."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.coefficient import estimate_diffusion
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays

_FEWEST_IMMOBILE = 3
OF_IMMOBILE = "immobile particles"


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


def offset_of(
    msd: MeanSquaredDisplacement,
    immobile: pd.Series,
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    exposure_s: float | None,
) -> tuple[float, str]:
    """Return what is not motion in the MSD, um^2, and where it is from."""
    chosen = immobile.to_numpy()
    if chosen.sum() >= _FEWEST_IMMOBILE:
        pairs = msd.pairs[chosen, :3]
        sums = np.nan_to_num(msd.per_track[chosen, :3]) * pairs
        return float(sums.sum() / pairs.sum()), f"the MSD of {chosen.sum()} {OF_IMMOBILE}"
    D = estimate_diffusion(tracks, frame_interval_s, pixel_size_um, exposure_s, interval="model")
    if np.isfinite(D.offset):
        return D.offset, "the Brownian estimate of the ensemble"
    return 0.0, "nothing: there is no estimate of it"


def effective_diffusivities(msd: MeanSquaredDisplacement, lag: int, offset: float) -> FloatArray:
    """Return the effective diffusivity of each track at a lag, um^2/s; NaN if none is so long."""
    if lag > len(msd.lag):
        return np.full(len(msd.particle), np.nan)
    return np.asarray((msd.per_track[:, lag - 1] - offset) / (4 * msd.lag_time[lag - 1]))


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

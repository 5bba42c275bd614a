"""What is not motion in the MSD of single tracks: localisation error, and motion blur."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.coefficient import estimate_diffusion
from cloudtrainer.diffusion.estimate import PARTICLES_DIFFER
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement

_FEWEST_IMMOBILE = 3
_BROWNIAN = "the Brownian estimate of the ensemble"
OF_IMMOBILE = "immobile particles"


@dataclass(frozen=True)
class Offset:
    """What is taken out of the MSD.

    Attributes
    ----------
    um2 : float
        Taken out of the MSD of every track, um^2.
    origin : str
        Where it is from.
    blur_s : float
        Taken out of the time scale, s: a third of the exposure, for the blur of each track's own
        motion; 0 where the exposure is unknown.
    warnings : tuple of str
    """

    um2: float
    origin: str
    blur_s: float = 0.0
    warnings: tuple[str, ...] = ()


def offset_of(
    msd: MeanSquaredDisplacement,
    immobile: pd.Series,
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    exposure_s: float | None,
    localisation_error_um: float | None,
    stride: int,
    seed: int,
) -> Offset:
    """Return what is not motion in the MSD of single tracks.

    The MSD of a Brownian particle is ``4 D (t - exposure / 3) + 4 sigma^2`` (Berglund 2010): the
    blur of its motion goes with its own D, so that the offset of an ensemble, ``4 sigma^2 - 4/3 D
    exposure``, fits particles alone that are alike. With a known exposure the static part is taken
    out of all tracks and the blur out of the time.
    """
    blur_s = 0.0 if exposure_s is None else exposure_s / 3
    if localisation_error_um is not None:
        return Offset(4 * localisation_error_um**2, "the localisation error given", blur_s)
    chosen = immobile.to_numpy()
    if chosen.sum() >= _FEWEST_IMMOBILE and msd.pairs[chosen, stride - 1 : stride + 2].any():
        # The first lags, of positions that are independent.
        lags = slice(stride - 1, stride + 2)
        pairs = msd.pairs[chosen, lags]
        sums = np.nan_to_num(msd.per_track[chosen, lags]) * pairs
        origin = f"the MSD of {chosen.sum()} {OF_IMMOBILE}"
        return Offset(float(sums.sum() / pairs.sum()), origin, blur_s)
    D = estimate_diffusion(
        tracks, frame_interval_s, pixel_size_um, exposure_s, interval="model", stride=stride
    )
    if not np.isfinite(D.offset):
        return Offset(0.0, "nothing: there is no estimate of it", blur_s)
    if exposure_s is not None:
        return Offset(max(D.offset + 4 * D.value * blur_s, 0.0), _BROWNIAN, blur_s)
    if D.offset >= 0:
        return Offset(D.offset, _BROWNIAN)
    D = estimate_diffusion(tracks, frame_interval_s, pixel_size_um, stride=stride, seed=seed)
    return Offset(D.offset, _BROWNIAN, warnings=_mixed(D.spread_ratio, D.offset))


def _mixed(spread_ratio: float, offset_um2: float) -> tuple[str, ...]:
    """Say that one offset with motion blur does not fit particles that differ."""
    if not spread_ratio > PARTICLES_DIFFER:
        return ()
    return (
        f"The offset of the MSD is negative ({offset_um2:.3g} um^2) from motion blur, and the "
        "particles differ: it holds the blur of the fast ones, and the effective diffusivities of "
        "slow particles at short times are too high. Give the exposure time (--exposure-s): each "
        "track is then corrected for its own blur.",
    )

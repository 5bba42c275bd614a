"""What a reader of storage and loss moduli must know of them."""

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.tracks import FloatArray, IntArray

# Whose 99% interval begins above is faster than in a liquid.
_FASTER = 1.1
# Share of the MSD from which on its offset is worth a word.
_MOST_OFFSET = 0.5


def doubts(
    msd: MeanSquaredDisplacement,
    lags: IntArray,
    least_slope: FloatArray,
    offset: float,
    *,
    told: bool,
) -> tuple[str, ...]:
    """Say where the moduli may not hold.

    Parameters
    ----------
    msd : MeanSquaredDisplacement
    lags : ndarray of int64
        Lags that are used, frames.
    least_slope : ndarray
        Lower end of the 99% interval of d ln MSD / d ln t; NaN where there is none.
    offset : float
        What was taken out of the MSD, um^2.
    told : bool
        Whether the user told it.
    """
    said = []
    mean = msd.ensemble[lags - 1]
    if not told:
        said.append(
            "No offset was taken out of the MSD: localisation error looks like elasticity at high "
            "frequency. Film beads stuck to the glass with the same optics and give their tracks, "
            "or their localisation error (--static-error-um)."
        )
    hidden = offset > _MOST_OFFSET * mean
    if hidden.any():
        said.append(
            f"At lags up to {msd.lag_time[lags[hidden].max() - 1]:.3g} s more than half of the MSD "
            "is localisation error: the moduli there rest on a small difference."
        )
    if lags[0] > 1:
        said.append(
            f"The MSD of lags under {lags[0]} frames is no larger than the offset: they are left "
            "out."
        )
    faster = least_slope[least_slope > _FASTER]
    if len(faster):
        said.append(
            f"The MSD rises faster than in a liquid (slope above {faster.max():.2f}): drift or "
            "active motion, which the relation does not hold for; G' is not elasticity there."
        )
    said.append(
        "Within a factor of two of either end the moduli rest on how the MSD is continued beyond "
        "the lags that were measured, and are less certain "
        + ("than the intervals say." if np.isfinite(least_slope).any() else "there.")
    )
    return tuple(said)


def about_intervals(
    particles: int, storage: FloatArray, loss: FloatArray, low: NDArray[np.complex128]
) -> tuple[str, ...]:
    """Say why there are no intervals, or where a modulus lies outside its own."""
    if particles == 1:
        return (
            "They rest on one particle: there is no interval, and how far they hold is unknown.",
        )
    if np.isnan(low).all():
        return (
            "No interval is given: drawn anew, too many sets of particles have an MSD below the "
            "offset.",
        )
    outside = np.isnan(storage) | np.isnan(loss)
    if outside.any():
        return (
            f"At {outside.sum()} of {len(outside)} frequencies a modulus lies outside its own "
            "interval and is left out: too few particles for so long lags.",
        )
    return ()

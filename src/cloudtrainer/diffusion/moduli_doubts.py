"""What a reader of storage and loss moduli must know of them."""

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.moduli_lags import quarter_of_longest, tracks_behind
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.tracks import FloatArray, IntArray

# Whose 99% interval begins above is faster than in a liquid.
_FASTER = 1.1
# Share of the MSD from which on its offset is worth a word.
_MOST_OFFSET = 0.5
# Share of |G*| from which on blur spoils it.
_MOST_BLUR = 0.1
# A storage modulus whose interval ends below minus this share of the loss modulus is none.
_NEGATIVE = 0.1
# Lags up to so many times the first are where an exposure shows.
_NEAR = 4.0
# Share of the motion at the first lag that blur hides from which on it is a matter of the model.
_MOST_HIDDEN = 2 / 3


def about_offset(
    msd: MeanSquaredDisplacement, lags: IntArray, offset: float, min_lag: int, *, told: bool
) -> tuple[str, ...]:
    """Say where localisation error makes up much of the MSD, or was not taken out."""
    said = []
    if not told:
        said.append(
            "No offset was taken out of the MSD: localisation error looks like elasticity at high "
            "frequency, and motion blur lowers the MSD. Film beads stuck to the glass with the "
            "same optics and give their tracks, or their localisation error (--static-error-um)."
        )
    hidden = offset > _MOST_OFFSET * msd.ensemble[lags - 1]
    if hidden.any():
        said.append(
            f"At lags up to {msd.lag_time[lags[hidden].max() - 1]:.3g} s more than half of the MSD "
            "is localisation error: the moduli there rest on a small difference."
        )
    if lags[0] > min_lag:
        said.append(
            f"The MSD of lags under {lags[0]} frames is no larger than the offset: they are left "
            "out."
        )
    return tuple(said)


def about_blur(
    frequency: FloatArray, possible: FloatArray, hidden_share: float, *, missing: bool
) -> tuple[str, ...]:
    """Say what motion blur could change, or how far it had to be guessed.

    Parameters
    ----------
    frequency, possible : ndarray, shape (frequencies,)
        Angular frequency, and how much of |G*| a full exposure could change there.
    hidden_share : float
        Share of the MSD at the first lag that was put back.
    missing : bool
        Whether a static error was taken out and the exposure is unknown.
    """
    if hidden_share > _MOST_HIDDEN:
        return (
            f"{100 * hidden_share:.0f}% of the MSD at the shortest lag was hidden by the exposure "
            "and is put back: the moduli at high frequency rest on how the particles move within "
            "a frame, which is not seen. Shorten the exposure.",
        )
    if not missing:
        return ()
    said = (
        "Motion blur is not taken out, as the exposure is unknown, and stuck beads do not show it: "
        "with a full exposure G* at the highest frequency would be off by "
        f"{100 * possible[-1]:.0f}% of its size"
    )
    spoiled = frequency[possible > _MOST_BLUR]
    if len(spoiled) == len(frequency):
        said += ", and by more than 10% at all frequencies: none of them is valid without it"
    elif len(spoiled):
        said += (
            f", and by more than 10% from {spoiled.min():.3g} rad/s on: take moduli below alone "
            "as valid"
        )
    return (f"{said}. Give the exposure (--exposure-s), 0 for a strobe.",)


def about_speed(
    time: FloatArray,
    frequency: FloatArray,
    least_slope: FloatArray,
    storage_high: FloatArray,
    loss: FloatArray,
    *,
    blurred: bool,
) -> tuple[str, ...]:
    """Say where the MSD rises faster than in a liquid, so that G' is below 0.

    Parameters
    ----------
    time, frequency : ndarray
        Lags, s, and angular frequencies, rad/s.
    least_slope : ndarray
        Lower end of the 99% interval of d ln MSD / d ln t; NaN where there is none.
    storage_high, loss : ndarray
        Upper end of the interval of G', and G''.
    blurred : bool
        Whether motion blur may still be in the MSD.
    """
    near = frequency * _NEAR * time[0] >= 1
    with np.errstate(invalid="ignore"):
        faster = least_slope > _FASTER
        negative = storage_high < -_NEGATIVE * loss
    # One interval in forty ends below the truth: one alone says nothing.
    for part in (near, ~near):
        if (negative & part).sum() > 1:
            faster = faster | (negative & part)
    if not faster.any():
        return ()
    steep = least_slope[faster & (least_slope > _FASTER)]
    slope = f" (slope above {steep.max():.2f})" if len(steep) else ""
    said = []
    if (faster & near).any():
        first = (
            "motion blur is the first suspect: give the exposure (--exposure-s), and see whether "
            "it stays"
            if blurred
            else "motion blur is the first suspect: check the exposure, and then whether the "
            "localisation error taken out is too large"
        )
        said.append(
            f"At high frequency the MSD rises faster than in a liquid{slope}, G' is below 0: "
            f"{first}. Only then think of drift or active motion."
        )
    if (faster & ~near).any():
        said.append(
            f"The MSD rises faster than in a liquid{'' if said else slope} at lags beyond "
            f"{_NEAR * time[0]:.3g} s: drift or active motion, which the relation does not hold "
            "for; G' is not elasticity there."
        )
    return tuple(said)


def about_lags(
    msd: MeanSquaredDisplacement, lags: IntArray, max_lag: int | None
) -> tuple[str, ...]:
    """Say where the lags end early for want of tracks."""
    if max_lag is not None or lags[-1] >= min(quarter_of_longest(msd), len(msd.lag)):
        return ()
    beyond = tracks_behind(msd)[lags[-1]]
    return (
        f"Lags end at {msd.lag_time[lags[-1] - 1]:.3g} s, not at a quarter of the longest track: "
        f"beyond, the MSD rests on as much as {max(beyond, 1):.0f} tracks, too few to tell their "
        "scatter.",
    )


def about_ends(least_slope: FloatArray) -> tuple[str, ...]:
    """Say that the ends are less certain."""
    return (
        "Within a factor of two of either end the moduli rest on how the MSD is continued beyond "
        "the lags that were measured, and are less certain "
        + ("than the intervals say." if np.isfinite(least_slope).any() else "there."),
    )


def about_intervals(
    particles: int,
    storage: FloatArray,
    loss: FloatArray,
    low: NDArray[np.complex128],
    *,
    without_tracks: float,
) -> tuple[str, ...]:
    """Say why there are no intervals, or where a modulus lies outside its own.

    `without_tracks` is the share of the replicates with a lag that none of their tracks reaches.
    """
    if particles == 1:
        return (
            "They rest on one particle: there is no interval, and how far they hold is unknown.",
        )
    if np.isnan(low).all():
        why = (
            "hold no track that reaches the longest lags. Choose a shorter max_lag."
            if without_tracks > 0.025
            else "have an MSD below the offset."
        )
        return (f"No interval is given: drawn anew, too many sets of particles {why}",)
    outside = np.isnan(storage) | np.isnan(loss)
    if outside.any():
        return (
            f"At {outside.sum()} of {len(outside)} frequencies a modulus lies outside its own "
            "interval and is left out: too few particles for so long lags.",
        )
    return ()

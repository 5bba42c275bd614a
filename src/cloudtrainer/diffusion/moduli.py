"""Storage and loss modulus of a soft material from the motion of beads in it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import is_number, shown
from cloudtrainer.diffusion.msd import (
    MeanSquaredDisplacement,
    mean_squared_displacement,
    offset_exceeds,
)
from cloudtrainer.diffusion.resample import bootstrap_weights
from cloudtrainer.diffusion.stokes_einstein import BOLTZMANN
from cloudtrainer.diffusion.tracks import FloatArray, IntArray
from cloudtrainer.errors import CalibrationError, ConfigError

_LAGS_A_DECADE, _FREQUENCIES_A_DECADE = 16, 8
_LEAST_LAGS = 8
# The compliance is continued by a power law for so many decades beyond the lags at either end; the
# slope at an end is that of so many lags.
_DECADES_BEYOND, _POINTS_A_DECADE = 3, 60
_LAGS_AT_END = 5
_REPLICATES, _FEWEST_DRAWN = 400, 0.95
# Whose 99% interval begins above is faster than in a liquid.
_FASTER = 1.1
# Of the longest track: beyond, few pairs of positions are left.
_LONGEST_SHARE = 0.25
_MOST_OFFSET = 0.5
_UM3 = 1e-18


@dataclass(frozen=True)
class ShearModuli:
    """Storage and loss modulus at some angular frequencies.

    Attributes
    ----------
    angular_frequency : ndarray, shape (frequencies,)
        One over the lag time, rad/s, ascending.
    storage, loss : ndarray, shape (frequencies,)
        G' and G'', Pa; NaN where the value lies outside its own interval.
    storage_low, storage_high, loss_low, loss_high : ndarray, shape (frequencies,)
        95% intervals from a bootstrap over particles; NaN for a single particle, and where too
        many replicates have an MSD below the offset.
    slope : ndarray, shape (frequencies,)
        d ln MSD / d ln t: 1 in a liquid, 0 in a solid.
    offset_um2 : float
        Offset of the two-dimensional MSD that was taken out first, um^2.
    particles : int
        What they rest on.
    warnings : tuple of str
        Where they may not hold, in sentences.
    """

    angular_frequency: FloatArray
    storage: FloatArray
    loss: FloatArray
    storage_low: FloatArray
    storage_high: FloatArray
    loss_low: FloatArray
    loss_high: FloatArray
    slope: FloatArray
    offset_um2: float
    particles: int
    warnings: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Return the moduli as a table, a row for each frequency."""
        return pd.DataFrame(
            {
                "angular_frequency_rad_per_s": self.angular_frequency,
                "storage_modulus_Pa": self.storage,
                "storage_low_Pa": self.storage_low,
                "storage_high_Pa": self.storage_high,
                "loss_modulus_Pa": self.loss,
                "loss_low_Pa": self.loss_low,
                "loss_high_Pa": self.loss_high,
                "slope_of_msd": self.slope,
            }
        )


def shear_moduli(
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    *,
    temperature_K: float,
    radius_um: float,
    stuck: pd.DataFrame | None = None,
    offset_um2: float | None = None,
    max_lag: int | None = None,
    seed: int = 0,
) -> ShearModuli:
    """Return G' and G'' from the tracks of beads, by the generalised Stokes-Einstein relation.

    The creep compliance is ``J(t) = 3 pi radius MSD(t) / (2 k_B T)`` for a two-dimensional MSD
    (Mason & Weitz 1995, Phys. Rev. Lett. 74:1250, in space 1/3 of it for 1/2), and ``G*`` its
    transform, computed exactly for straight lines between points (Evans et al. 2009, Phys. Rev. E
    80:012501, equation 10); beyond the lags J goes on as a power law. The usual approximation by
    the slope of ln MSD (Mason 2000, Rheol. Acta 39:371) is off by up to a quarter of ``|G*|`` where
    the slope changes.

    Parameters
    ----------
    tracks : DataFrame
        ``particle, frame, x, y``, pixels; without drift.
    frame_interval_s, pixel_size_um : float
        Calibration.
    temperature_K, radius_um : float
        Absolute temperature (K) and radius of the beads (um).
    stuck : DataFrame, optional
        Tracks of beads stuck to the glass, filmed with the same optics, light and exposure: their
        MSD is the static localisation error.
    offset_um2 : float, optional
        The two-dimensional offset of the MSD, 4 sigma^2 - 8 R D dt, where it is known otherwise.
        Without both nothing is taken out, and a warning says up to which frequency that matters.
    max_lag : int, optional
        Longest lag, frames; default: a quarter of the longest track.
    seed : int
        Of the bootstrap.

    Returns
    -------
    ShearModuli
        At about eight angular frequencies a decade.

    Raises
    ------
    CalibrationError
        Temperature, radius or calibration cannot be, or the offset is larger than the MSD.
    ConfigError
        ``stuck`` and ``offset_um2`` are both given, or the tracks are too short for slopes.
    LabelError
        A table is not one of tracks.
    """
    if stuck is not None and offset_um2 is not None:
        raise ConfigError("give the tracks of stuck beads or offset_um2, not both")
    for name, value in (("temperature_K", temperature_K), ("radius_um", radius_um)):
        if not (is_number(value) and value > 0):
            raise CalibrationError(f"{name} {value!r}: must be above 0")
    msd = mean_squared_displacement(
        tracks, max_lag, frame_interval_s=frame_interval_s, pixel_size_um=pixel_size_um
    )
    if not len(msd.lag):
        raise ConfigError("no track has two positions: there is no MSD to take moduli from")
    longest = max_lag or max(int(_LONGEST_SHARE * (len(msd.lag) + 1)), 1)
    offset = _offset(stuck, offset_um2, frame_interval_s, pixel_size_um)
    if offset_exceeds(msd, offset):
        raise CalibrationError(
            f"the offset of {offset:.3g} um^2, localisation error of {math.sqrt(offset) / 2:.3g} "
            "um, is larger than the particles' whole motion: their MSD at the first lag is "
            f"{msd.ensemble[0]:.3g} um^2; check the error and its unit"
        )
    lags = _above(offset, msd, _spread_lags(min(longest, len(msd.lag))))
    sums = np.nan_to_num(msd.per_track[:, lags - 1]) * msd.pairs[:, lags - 1]
    pairs = msd.pairs[:, lags - 1].astype(np.float64)
    transform = _Transform((lags * frame_interval_s).astype(np.float64))
    compliance = 3 * math.pi * radius_um * _UM3 / (2 * BOLTZMANN * temperature_K)

    def motion(weights: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ sums) / (weights @ pairs) - offset)

    whole = motion(np.ones((1, len(sums))))
    found = transform.modulus(compliance * whole)[0]
    slope = transform.slope(whole[0])
    low = high = np.full(found.shape, np.nan + 1j * np.nan)
    least_slope = np.full(slope.shape, np.nan)
    if len(sums) > 1:
        drawn = motion(bootstrap_weights(len(sums), seed)[:_REPLICATES])
        # Where replicates have no compliance, the others are no fair sample of them.
        drawn = drawn[(drawn > 0).all(axis=1)]
        if len(drawn) >= _FEWEST_DRAWN * _REPLICATES:
            of_drawn = transform.modulus(compliance * drawn)
            low, high = (
                np.percentile(of_drawn.real, share, axis=0)
                + 1j * np.percentile(of_drawn.imag, share, axis=0)
                for share in (2.5, 97.5)
            )
            slopes = np.stack([transform.slope(one) for one in drawn])
            least_slope = np.percentile(slopes, 0.5, axis=0)
    storage, loss = (
        np.where((value < least) | (value > most), np.nan, value)
        for value, least, most in (
            (found.real, low.real, high.real),
            (found.imag, low.imag, high.imag),
        )
    )
    return ShearModuli(
        angular_frequency=transform.angular_frequency,
        storage=storage,
        loss=loss,
        storage_low=low.real,
        storage_high=high.real,
        loss_low=low.imag,
        loss_high=high.imag,
        slope=slope,
        offset_um2=offset,
        particles=len(sums),
        warnings=_warnings(
            msd, lags, least_slope, offset, told=not (stuck is None and offset_um2 is None)
        )
        + _about_intervals(len(sums), storage, loss, low),
    )


def _spread_lags(longest: int) -> IntArray:
    number = max(2, round(_LAGS_A_DECADE * math.log10(max(longest, 2))) + 1)
    return np.unique(np.geomspace(1, longest, number).round().astype(np.int64))


def _above(offset: float, msd: MeanSquaredDisplacement, lags: IntArray) -> IntArray:
    """Leave out the shortest lags, whose MSD the offset explains."""
    hidden = np.flatnonzero(~(msd.ensemble[lags - 1] > offset))
    kept = lags[hidden.max() + 1 :] if len(hidden) else lags
    if len(kept) < _LEAST_LAGS:
        raise ConfigError(
            f"the longest track gives {len(msd.lag)} lags, of which {len(kept)} can be used: "
            "moduli need tracks of 30 frames or more, and an MSD above the offset"
        )
    return kept


def _offset(
    stuck: pd.DataFrame | None, given: float | None, frame_interval_s: float, pixel_size_um: float
) -> float:
    if stuck is None:
        if given is not None and not is_number(given):
            raise CalibrationError(f"offset_um2 is {shown(given)}: give a number in um^2, or None")
        return given or 0.0
    still = mean_squared_displacement(
        stuck, 10, frame_interval_s=frame_interval_s, pixel_size_um=pixel_size_um
    )
    # Vibration and drift of the stage grow with the lag: the shortest lags are the error alone.
    shortest = still.ensemble[:3]
    if not np.isfinite(shortest).any():
        raise ConfigError(
            "the tracks of stuck beads have no two positions one to three frames apart: they tell "
            "no localisation error"
        )
    return float(np.nanmean(shortest))


class _Transform:
    """From the creep compliance at some times to the complex modulus.

    Parameters
    ----------
    time : ndarray, shape (lags,)
        s, ascending.
    """

    def __init__(self, time: FloatArray) -> None:
        self.time = time
        ends = np.log10(time[[0, -1]])
        number = max(2, round(_FREQUENCIES_A_DECADE * (ends[1] - ends[0])) + 1)
        self.angular_frequency = np.logspace(-ends[1], -ends[0], number)
        beyond = np.linspace(0, _DECADES_BEYOND, _DECADES_BEYOND * _POINTS_A_DECADE + 1)[1:]
        between = np.linspace(ends[0], ends[1], max(2, int(_POINTS_A_DECADE * (ends[1] - ends[0]))))
        self._log_dense = np.log(10) * np.concatenate(
            [ends[0] - beyond[::-1], between, ends[1] + beyond]
        )
        self._dense = np.exp(self._log_dense)
        self._waves = np.exp(-1j * self.angular_frequency[:, None] * self._dense)

    def slope(self, msd: FloatArray) -> FloatArray:
        """Return d ln MSD / d ln t at one over each frequency."""
        with np.errstate(invalid="ignore", divide="ignore"):
            slopes = np.gradient(np.log(msd), np.log(self.time))
        return np.asarray(
            np.interp(-np.log(self.angular_frequency), np.log(self.time), slopes), np.float64
        )

    def modulus(self, compliance: FloatArray) -> NDArray[np.complex128]:
        """Return the complex modulus, Pa, (curves, frequencies), of J(t), 1/Pa, (curves, lags)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log = np.log(compliance)
        dense = np.exp(np.stack([self._continued(curve) for curve in log]))
        slopes = np.diff(dense, axis=1) / np.diff(self._dense)
        # From J(0) = 0 in a straight line to the first point, on as between the last two.
        first = dense[:, :1] / self._dense[0] * (1 - self._waves[:, 0])
        between = slopes @ (self._waves[:, :-1] - self._waves[:, 1:]).T
        last = slopes[:, -1:] * self._waves[:, -1]
        return np.asarray(1j * self.angular_frequency / (first + between + last))

    def _continued(self, log_compliance: FloatArray) -> FloatArray:
        if not np.isfinite(log_compliance).all():
            return np.full(self._log_dense.shape, np.nan)
        log_time, end = np.log(self.time), _LAGS_AT_END
        dense = np.interp(self._log_dense, log_time, log_compliance)
        for part, here in ((slice(end), 0), (slice(-end, None), -1)):
            rise = np.polyfit(log_time[part], log_compliance[part], 1)[0]
            beyond = self._log_dense < log_time[0] if here == 0 else self._log_dense > log_time[-1]
            away = self._log_dense[beyond] - log_time[here]
            dense[beyond] = log_compliance[here] + min(max(rise, 0.0), 1.0) * away
        return np.asarray(dense)


def _warnings(
    msd: MeanSquaredDisplacement,
    lags: IntArray,
    least_slope: FloatArray,
    offset: float,
    *,
    told: bool,
) -> tuple[str, ...]:
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


def _about_intervals(
    particles: int, storage: FloatArray, loss: FloatArray, low: NDArray[np.complex128]
) -> tuple[str, ...]:
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

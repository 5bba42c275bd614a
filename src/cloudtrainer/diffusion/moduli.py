"""Storage and loss modulus of a soft material from the motion of beads in it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, shown
from cloudtrainer.diffusion.compliance import ComplianceTransform
from cloudtrainer.diffusion.moduli_doubts import about_intervals, doubts
from cloudtrainer.diffusion.msd import (
    MeanSquaredDisplacement,
    mean_squared_displacement,
    offset_exceeds,
)
from cloudtrainer.diffusion.resample import bootstrap_weights
from cloudtrainer.diffusion.stokes_einstein import BOLTZMANN
from cloudtrainer.diffusion.tracks import FloatArray, IntArray
from cloudtrainer.errors import CalibrationError, ConfigError

_LAGS_A_DECADE = 16
_LEAST_LAGS = 8
_REPLICATES, _FEWEST_DRAWN = 400, 0.95
# Of the longest track: beyond, few pairs of positions are left.
_LONGEST_SHARE = 0.25
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
    transform = ComplianceTransform((lags * frame_interval_s).astype(np.float64))
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
        warnings=doubts(
            msd, lags, least_slope, offset, told=not (stuck is None and offset_um2 is None)
        )
        + about_intervals(len(sums), storage, loss, low),
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

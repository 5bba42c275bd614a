"""Storage and loss modulus of a soft material from the motion of beads in it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, whole_number
from cloudtrainer.diffusion.blur import MotionBlur
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.compliance import ComplianceTransform
from cloudtrainer.diffusion.moduli_doubts import (
    about_blur,
    about_ends,
    about_intervals,
    about_lags,
    about_offset,
    about_speed,
)
from cloudtrainer.diffusion.moduli_lags import usable_lags
from cloudtrainer.diffusion.moduli_offset import Offset, offset_of
from cloudtrainer.diffusion.msd import (
    MeanSquaredDisplacement,
    mean_squared_displacement,
    offset_exceeds,
)
from cloudtrainer.diffusion.resample import bootstrap_weights
from cloudtrainer.diffusion.stokes_einstein import BOLTZMANN
from cloudtrainer.diffusion.tracks import FloatArray, IntArray
from cloudtrainer.errors import CalibrationError, ConfigError

_REPLICATES, _FEWEST_DRAWN = 400, 0.95
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
        95% intervals from a bootstrap over particles, and over the stuck beads where their tracks
        are given; NaN for a single particle, and where too many replicates have no MSD.
    slope : ndarray, shape (frequencies,)
        d ln MSD / d ln t: 1 in a liquid, 0 in a solid.
    offset_um2 : float
        Offset of the two-dimensional MSD that was taken out first, um^2.
    exposure_s : float or None
        Exposure whose motion blur was taken out, s; None: unknown, none was.
    possible_blur : ndarray, shape (frequencies,)
        By how much motion blur could have changed G*, as a share of |G*|, had each frame been
        exposed for the whole interval; 0 where blur was taken out, NaN where no offset was.
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
    exposure_s: float | None
    possible_blur: FloatArray
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
                "possible_blur_share": self.possible_blur,
            }
        )


def shear_moduli(
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    *,
    temperature_K: float,
    radius_um: float,
    exposure_s: float | None = None,
    stuck: pd.DataFrame | None = None,
    static_error_um: float | None = None,
    offset_um2: float | None = None,
    offset_error_um2: float = 0.0,
    min_lag: int = 1,
    max_lag: int | None = None,
    seed: int = 0,
) -> ShearModuli:
    """Return G' and G'' from the tracks of beads, by the generalised Stokes-Einstein relation.

    The creep compliance is ``J(t) = 3 pi radius MSD(t) / (2 k_B T)`` for a two-dimensional MSD
    (Mason & Weitz 1995, Phys. Rev. Lett. 74:1250, in space 1/3 of it for 1/2), and ``G*`` its
    transform, computed exactly for straight lines between points (Evans et al. 2009, Phys. Rev. E
    80:012501, equation 10); beyond the lags J goes on as a power law. The usual approximation by
    the slope of ln MSD (Mason 2000, Rheol. Acta 39:371) is off by up to a quarter of ``|G*|`` where
    the slope changes. Localisation error and motion blur are taken out of the MSD first.

    Parameters
    ----------
    tracks : DataFrame
        ``particle, frame, x, y``, pixels; without drift.
    frame_interval_s, pixel_size_um : float
        Calibration.
    temperature_K, radius_um : float
        Absolute temperature (K) and radius of the beads (um).
    exposure_s : float, optional
        Exposure of a frame, s, 0 for a strobe: motion blur is taken out beside the localisation
        error (`MotionBlur`). None: unknown; `possible_blur` then tells what blur could change.
    stuck : DataFrame, optional
        Tracks of beads stuck to the glass, filmed with the same optics, light and exposure: their
        MSD is the static localisation error. They do not show motion blur: give the exposure.
    static_error_um : float, optional
        Localisation error of each axis, um, that stuck beads show: the offset is 4 sigma^2.
    offset_um2 : float, optional
        The whole two-dimensional offset of the MSD, 4 sigma^2 - 8 R D dt, blur and all, where it
        is known otherwise, as from `estimate_anomalous`. Without any of the three nothing is taken
        out, and a warning says so.
    offset_error_um2 : float
        Standard error of `offset_um2`: the intervals allow for it.
    min_lag : int
        Shortest lag, frames: more than 1 where positions of neighbouring frames are not independent
        (`check_model`), which looks like elasticity.
    max_lag : int, optional
        Longest lag, frames; default: a quarter of the longest track, as far as ten tracks or, of
        few, half as many as at the shortest lag reach, each counted by its pairs of positions.
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
        More than one of ``stuck``, ``static_error_um`` and ``offset_um2`` is given, or the tracks
        are too short for slopes.
    LabelError
        A table is not one of tracks.
    """
    for name, value in (("temperature_K", temperature_K), ("radius_um", radius_um)):
        if not (is_number(value) and value > 0):
            raise CalibrationError(f"{name} {value!r}: must be above 0")
    Calibration(frame_interval_s, pixel_size_um, exposure_s)
    min_lag = whole_number("min_lag", min_lag, "frames", least=1)
    offset = offset_of(
        stuck, static_error_um, offset_um2, offset_error_um2, frame_interval_s, pixel_size_um, seed
    )
    msd = mean_squared_displacement(
        tracks, max_lag, frame_interval_s=frame_interval_s, pixel_size_um=pixel_size_um
    )
    if not len(msd.lag):
        raise ConfigError("no track has two positions: there is no MSD to take moduli from")
    if offset_exceeds(msd, offset.value):
        raise CalibrationError(
            f"the offset of {offset.value:.3g} um^2, localisation error of "
            f"{math.sqrt(offset.value) / 2:.3g} um, is larger than the particles' whole motion: "
            f"their MSD at the first lag is {msd.ensemble[0]:.3g} um^2; check the error and its "
            "unit"
        )
    lags = usable_lags(msd, offset.value, min_lag, max_lag)
    sums = np.nan_to_num(msd.per_track[:, lags - 1]) * msd.pairs[:, lags - 1]
    pairs = msd.pairs[:, lags - 1].astype(np.float64)
    transform = ComplianceTransform((lags * frame_interval_s).astype(np.float64))
    compliance = 3 * math.pi * radius_um * _UM3 / (2 * BOLTZMANN * temperature_K)
    blur = _blur(msd, lags, offset, exposure_s)

    def motion(weights: FloatArray, taken: FloatArray, blur: MotionBlur | None) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            seen = np.asarray((weights @ sums) / (weights @ pairs) - taken[:, None])
        return seen if blur is None else blur.taken_out(seen)

    everything, taken = np.ones((1, len(sums))), np.array([offset.value])
    whole = motion(everything, taken, blur)
    found = transform.modulus(compliance * whole)[0]
    slope = transform.slope(whole[0])
    possible = np.full(slope.shape, 0.0 if offset.told else np.nan)
    unknown = exposure_s is None and offset.static
    if unknown:
        full = motion(everything, taken, _blur(msd, lags, offset, frame_interval_s))
        sharp = transform.modulus(compliance * full)[0]
        possible = np.abs(found - sharp) / np.abs(sharp)
    low = high = np.full(found.shape, np.nan + 1j * np.nan)
    least_slope = np.full(slope.shape, np.nan)
    without_tracks = 0.0
    if len(sums) > 1:
        weights = bootstrap_weights(len(sums), seed)[:_REPLICATES]
        drawn = motion(weights, offset.drawn(_REPLICATES), blur)
        without_tracks = float(np.mean(~np.isfinite(drawn).all(axis=1)))
        # Where replicates have no compliance, the others are no fair sample of them.
        with np.errstate(invalid="ignore"):
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
    seen = motion(everything, taken, None)
    hidden_share = float(1 - seen[0, 0] / whole[0, 0]) if offset.static else 0.0
    return ShearModuli(
        angular_frequency=transform.angular_frequency,
        storage=storage,
        loss=loss,
        storage_low=low.real,
        storage_high=high.real,
        loss_low=low.imag,
        loss_high=high.imag,
        slope=slope,
        offset_um2=offset.value,
        exposure_s=exposure_s if offset.told else None,
        possible_blur=possible,
        particles=len(sums),
        warnings=about_offset(msd, lags, offset.value, min_lag, told=offset.told)
        + about_blur(transform.angular_frequency, possible, hidden_share, missing=unknown)
        + about_speed(
            transform.time,
            transform.angular_frequency,
            least_slope,
            high.real,
            loss,
            blurred=exposure_s is None or not offset.told,
        )
        + about_lags(msd, lags, max_lag)
        + about_ends(least_slope)
        + about_intervals(len(sums), storage, loss, low, without_tracks=without_tracks),
    )


def _blur(
    msd: MeanSquaredDisplacement, lags: IntArray, offset: Offset, exposure_s: float | None
) -> MotionBlur | None:
    """Return the blur to take out; None where there is none, or localisation error hides it."""
    if not exposure_s or not offset.told:
        return None
    time = msd.lag_time[lags - 1]
    # The scatter of an MSD grows with its size and with the root of the lag.
    weights = 1 / (time * msd.ensemble[lags - 1] ** 2)
    return MotionBlur(time, exposure_s, weights, offset_holds_blur=not offset.static)

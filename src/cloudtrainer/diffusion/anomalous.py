"""`estimate_anomalous`: the anomalous exponent and the generalised diffusion coefficient."""

from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
import pandas as pd

from cloudtrainer.arguments import choice
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.estimate import Estimate
from cloudtrainer.diffusion.fractional import blocks_of
from cloudtrainer.diffusion.fractional_ensemble import end_of_search, fit_ensemble
from cloudtrainer.diffusion.fractional_tracks import fit_tracks
from cloudtrainer.diffusion.resample import (
    NO_SCATTER,
    NORMAL_95,
    bootstrap_error,
    bootstrap_weights,
    scatters,
    student_quantile,
)
from cloudtrainer.diffusion.steps import Steps, steps_of, still_axes, why_without_motion
from cloudtrainer.diffusion.surface import FractionalSurface
from cloudtrainer.diffusion.tracks import track_arrays

Interval = Literal["bootstrap", "model"]

# Displacements in a row that motion, noise and exponent need at the least.
SHORTEST_RUN = 3
# With more of the bootstrap at an end of the searched range, its spread is not that of alpha.
_MOST_AT_END = 0.05
DOES_NOT_MOVE = "the particles do not move: nothing is seen beyond their localisation error"


@dataclass(frozen=True)
class AnomalousEstimate:
    """Exponent and coefficient of the two-dimensional MSD: 4 K t^alpha + offset.

    Attributes
    ----------
    K : Estimate
        ``um^2/s^alpha``; its interval holds for the unit of time it is given in.
    alpha : Estimate
        Without unit.
    alpha_full_exposure : float or None
        What alpha would be if each frame were exposed for the whole interval; only where the
        exposure is unknown and `alpha` therefore takes it to be short.
    p_beyond : float
        Where alpha lies at an end of the searched range, and so has no value: p of alpha = 1, by
        the bootstrap samples on the other side of 1. NaN otherwise.
    end : float or None
        That end.
    """

    K: Estimate
    alpha: Estimate
    alpha_full_exposure: float | None
    p_beyond: float = float("nan")
    end: float | None = None


@overload
def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Literal["mle"] = ...,
    interval: Interval = ...,
    per_track: Literal[False] = ...,
    *,
    stride: int = ...,
    seed: int = ...,
) -> AnomalousEstimate: ...


@overload
def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Literal["mle"] = ...,
    interval: Interval = ...,
    *,
    per_track: Literal[True],
    stride: int = ...,
    seed: int = ...,
) -> pd.DataFrame: ...


def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    localisation_error_um: float | None = None,
    method: Literal["mle"] = "mle",
    interval: Interval = "bootstrap",
    per_track: bool = False,
    *,
    stride: int = 1,
    seed: int = 0,
) -> AnomalousEstimate | pd.DataFrame:
    """Estimate the exponent alpha and K of fractional Brownian motion by maximum likelihood.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels. Tracks are cut at missing frames,
        and those of an ensemble near the border where ``to_border_px`` tells it.
    frame_interval_s : float or None
        Seconds a frame; None: times stay in frames.
    pixel_size_um : float or None
        Micrometres a pixel; None: lengths stay in pixels.
    exposure_s : float or None
        Exposure of a frame in seconds, 0 for a strobe. None: unknown; `alpha_full_exposure` then
        tells what a full exposure would change. The offset of the MSD is free in sign either way.
    localisation_error_um : float or None
        Localisation error per axis, if known (0 is a value); needs `exposure_s`.
    method : {"mle"}
        Maximum likelihood.
    interval : {"bootstrap", "model"}
        ``bootstrap``: the particles are drawn anew 2000 times. ``model``: the likelihood.
    per_track : bool
        Return a table with one row a particle, with the model's intervals.
    stride : int
        Use displacements over this many frames, in all interleaved phases.
    seed : int
        Of the bootstrap.

    Returns
    -------
    AnomalousEstimate
        Or, with `per_track`, a DataFrame ``particle, alpha, alpha_standard_error, alpha_low,
        alpha_high, K, K_low, K_high, displacements, unit, reason``. Where the likelihood is
        largest at an end of the searched range only the interval is given, open to that end.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        Non-positive calibration, or an exposure longer than the frame interval.
    ConfigError
        An unknown method or interval, or a stride below 1.

    Notes
    -----
    No exponent is given where the likelihood is largest at an end of the searched range (0.02 to
    1.98), as for particles in cages, where more than 5% of the bootstrap samples are, or where
    localisation error alone is not rejected at 1% (likelihood ratio, two degrees of freedom).
    MSD under exposure: Backlund, Joyner & Moerner 2015 (Phys. Rev. E 91, 062716). Tracks of more
    than 256 displacements count as several.
    """
    choice("method", method, ("mle",))
    choice("interval", interval, ("bootstrap", "model"))
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s, localisation_error_um)
    steps = steps_of(track_arrays(tracks), stride, inner=not per_track)
    if per_track:
        return _table(steps, calibration)
    return _ensemble(steps, calibration, interval, seed)


def _runs(steps: Steps) -> np.ndarray:
    """Return the longest gap-free run of displacements of each particle, shape (particles,)."""
    longest = np.zeros(len(steps.particle), dtype=np.int64)
    if not len(steps.gap):
        return longest
    subtrack = np.repeat(np.arange(len(steps.owner)), np.diff(steps.start))
    unit = steps.gap == 1
    ends = ~unit
    ends[1:] |= np.diff(subtrack) != 0
    run = np.cumsum(ends)
    length = np.bincount(run[unit], minlength=run[-1] + 1)
    owner = np.zeros(len(length), dtype=np.int64)
    owner[run] = steps.owner[subtrack]
    np.maximum.at(longest, owner, length)
    return longest


def _why_not(steps: Steps) -> str | None:
    """Return why there can be no estimate, or None."""
    longest = _runs(steps)
    if not len(longest) or longest.max() < SHORTEST_RUN:
        return f"no track has {SHORTEST_RUN + 1} positions in a row"
    return why_without_motion(steps)


def _surface(steps: Steps, calibration: Calibration) -> FractionalSurface:
    return FractionalSurface(
        blocks_of(steps),
        calibration.exposure_fraction(steps.stride) or 0.0,
        calibration.localisation_error_px,
    )


def _coefficient_unit(calibration: Calibration) -> str:
    return f"{calibration.length_unit}^2/{calibration.time_unit}^alpha"


# Particles that never moved have no likelihood: their NaN is dealt with, numpy need not warn.
@np.errstate(invalid="ignore", divide="ignore")
def _ensemble(
    steps: Steps, calibration: Calibration, interval: Interval, seed: int
) -> AnomalousEstimate:
    particles = len(steps.particle)
    log_tau = float(np.log(calibration.time * steps.stride))
    to_square = calibration.length**2
    reason = _why_not(steps)
    nan = float("nan")
    alpha = K = offset = nan
    alpha_error = K_error = alpha_model = K_model = nan
    alpha_ends = K_ends = (nan, nan)
    sigma: float | None = None
    full: float | None = None
    end: float | None = None
    p_beyond = nan
    how: str = interval
    if reason is None:
        resampled = interval == "bootstrap" and particles > 1
        weights = bootstrap_weights(particles, seed) if resampled else None
        surface = _surface(steps, calibration)
        found = fit_ensemble(surface, steps.stride, weights)
        alpha = found.alpha
        K = float(np.exp(found.log_coefficient - alpha * log_tau)) * to_square
        # log K in calibrated time is log K - alpha log(tau).
        turn = np.array([-log_tau, 1.0])
        alpha_model = float(np.sqrt(found.covariance[0, 0]))
        K_model = K * float(np.sqrt(turn @ found.covariance @ turn))
        alpha_error, K_error, quantile = alpha_model, K_model, NORMAL_95
        if weights is not None and not scatters(found.alpha_replicates):
            how = NO_SCATTER
        elif weights is not None:
            alpha_error = bootstrap_error(found.alpha_replicates, particles)
            K_error = K * bootstrap_error(
                found.log_coefficient_replicates - found.alpha_replicates * log_tau, particles
            )
            quantile = student_quantile(particles)
        elif interval == "bootstrap":
            how = "model (one particle cannot be resampled)"
        half = quantile * alpha_error
        alpha_ends = (max(alpha - half, 0.0), min(alpha + half, 2.0))
        ratio = float(np.exp(min(quantile * K_error / K, 700.0))) if K > 0 else np.inf
        K_ends = (K / ratio, K * ratio if K > 0 else 0.0)
        noise = found.variance * (1 - found.motion_part) / 2
        fraction = calibration.exposure_fraction(steps.stride)
        if fraction is None:
            offset = 4 * noise * to_square
            full = _alpha_full_exposure(steps)
        else:
            sigma = calibration.localisation_error_um
            if sigma is None:
                sigma = float(np.sqrt(max(noise, 0.0))) * calibration.length
            blur = 2 * fraction**alpha / ((alpha + 1) * (alpha + 2))
            offset = 4 * (noise - float(np.exp(found.log_coefficient)) * blur) * to_square
        if not found.moves:
            reason = DOES_NOT_MOVE
        else:
            end = end_of_search(alpha)
            reason = _why_no_power_law(end, found.alpha_replicates)
        if end is not None and len(found.alpha_replicates):
            opposite = (found.alpha_replicates >= 1) if end < 1 else (found.alpha_replicates <= 1)
            p_beyond = float(min(2 * (opposite.sum() + 1) / (len(opposite) + 1), 1.0))
        if reason is not None:
            alpha = K = alpha_error = K_error = alpha_model = K_model = offset = nan
            alpha_ends = K_ends = (nan, nan)
            sigma = None
            full = full if end is not None else None

    def estimate(
        value: float, error: float, ends: tuple[float, float], unit: str, model_error: float
    ) -> Estimate:
        return Estimate(
            value=value,
            standard_error=error,
            low=ends[0],
            high=ends[1],
            method="mle",
            unit=unit,
            interval=how,
            model_standard_error=model_error,
            offset=offset,
            localisation_error=sigma,
            length_unit=calibration.length_unit,
            particles=particles,
            displacements=len(steps.gap),
            stride=steps.stride,
            reason=reason,
        )

    return AnomalousEstimate(
        K=estimate(K, K_error, K_ends, _coefficient_unit(calibration), K_model),
        alpha=estimate(alpha, alpha_error, alpha_ends, "1", alpha_model),
        alpha_full_exposure=full,
        p_beyond=p_beyond,
        end=end,
    )


def _why_no_power_law(end: float | None, replicates: np.ndarray) -> str | None:
    """Return why an exponent would say nothing although the particles move, or None."""
    if end is not None:
        like = "a cage" if end < 1 else "motion at a constant velocity"
        return (
            "no power law describes the MSD: alpha is at the end of what was searched "
            f"({end:g}), as in {like}"
        )
    ends = [end_of_search(float(value)) is not None for value in replicates]
    if ends and np.mean(ends) > _MOST_AT_END:
        return (
            f"too uncertain: in {100 * np.mean(ends):.0f}% of the bootstrap samples alpha is at "
            "an end of what was searched"
        )
    return None


def _alpha_full_exposure(steps: Steps) -> float:
    """Return alpha if the exposure lasted the whole frame interval."""
    surface = FractionalSurface(blocks_of(steps), 1.0 / steps.stride, None)
    return fit_ensemble(surface, steps.stride, None).alpha


@np.errstate(invalid="ignore", divide="ignore")
def _table(steps: Steps, calibration: Calibration) -> pd.DataFrame:
    """Return one row a particle; too short tracks have NaN and the reason."""
    particles = len(steps.particle)
    log_tau = float(np.log(calibration.time * steps.stride))
    reason = np.full(particles, "", dtype=object)
    still = still_axes(steps)
    reason[still.any(axis=1)] = "every displacement along one axis is exactly zero"
    reason[_runs(steps) < SHORTEST_RUN] = f"fewer than {SHORTEST_RUN + 1} positions in a row"
    reason[still.all(axis=1)] = "every displacement is exactly zero"
    names = ("alpha", "alpha_standard_error", "alpha_low", "alpha_high", "K", "K_low", "K_high")
    columns = {name: np.full(particles, np.nan) for name in names}
    good = reason == ""
    if good.any():
        fits = fit_tracks(_surface(steps, calibration), steps.stride, log_tau)
        K = np.exp(fits.log_coefficient) * calibration.length**2
        ratio = np.exp(np.minimum(NORMAL_95 * fits.coefficient_error, 700))
        still = ~fits.moves & (fits.alpha_low == 0) & (fits.alpha_high == 2)
        reason[good & fits.at_end] = (
            "no power law describes the MSD: alpha is at the end of what was searched"
        )
        reason[good & still] = "the particle does not move beyond its localisation error"
        K[fits.at_end | still] = np.nan
        error = (fits.alpha_high - fits.alpha_low) / (2 * NORMAL_95)
        columns = {
            "alpha": np.where(fits.at_end | still, np.nan, fits.alpha),
            "alpha_standard_error": np.where(fits.at_end | still, np.nan, error),
            "alpha_low": fits.alpha_low,
            "alpha_high": fits.alpha_high,
            "K": K,
            "K_low": K / ratio,
            "K_high": K * ratio,
        }
    return pd.DataFrame(
        {
            "particle": steps.particle,
            **{name: np.where(good, values, np.nan) for name, values in columns.items()},
            "displacements": steps.per_particle,
            "unit": _coefficient_unit(calibration),
            "reason": reason,
        }
    )

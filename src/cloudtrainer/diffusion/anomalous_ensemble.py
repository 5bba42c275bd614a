"""Exponent and coefficient of all tracks together, with their intervals, or why there are none."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.estimate import Estimate, Interval
from cloudtrainer.diffusion.fractional import SHORTEST_RUN, Blocks, blocks_of, blurred_power_law
from cloudtrainer.diffusion.fractional_ensemble import EnsembleFit, end_of_search, fit_ensemble
from cloudtrainer.diffusion.resample import (
    NO_SCATTER,
    NORMAL_95,
    ONE_PARTICLE,
    bootstrap_error,
    bootstrap_weights,
    scatters,
    student_quantile,
)
from cloudtrainer.diffusion.steps import Steps, longest_runs, why_without_motion
from cloudtrainer.diffusion.surface import FractionalSurface, surface_of
from cloudtrainer.diffusion.tracks import FloatArray
from cloudtrainer.diffusion.unequal import degrees_of_freedom, share_of_variance

# With more of the bootstrap at an end of the searched range, its spread is not that of alpha.
_MOST_AT_END = 0.05
_NAN = float("nan")


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
    offset_standard_error : float
        Bootstrap standard error of the offset of the MSD, um^2; NaN without a bootstrap.
    """

    K: Estimate
    alpha: Estimate
    alpha_full_exposure: float | None
    p_beyond: float = float("nan")
    end: float | None = None
    offset_standard_error: float = float("nan")


@dataclass(frozen=True)
class _Value:
    """A number with its 95% interval, its standard error, and that by the likelihood alone."""

    value: float = _NAN
    error: float = _NAN
    low: float = _NAN
    high: float = _NAN
    model_error: float = _NAN


@dataclass(frozen=True)
class _Calibrated:
    """What a fit says, in calibrated units: the parts of an `Estimate` of alpha and of one of K."""

    alpha: _Value = _Value()
    K: _Value = _Value()
    offset: float = _NAN
    localisation_error: float | None = None
    freedom: float = float("inf")


# Particles that never moved have no likelihood: their NaN is dealt with, numpy need not warn.
@np.errstate(invalid="ignore", divide="ignore")
def estimate_ensemble(
    steps: Steps, calibration: Calibration, interval: Interval, seed: int
) -> AnomalousEstimate:
    """Estimate one alpha and one K of all tracks; see `estimate_anomalous`."""
    particles = len(steps.particle)
    reason = _why_not(steps)
    how: str = interval
    numbers = _Calibrated()
    full: float | None = None
    end: float | None = None
    p_beyond = offset_error = _NAN
    if reason is None:
        resampled = interval == "bootstrap" and particles > 1
        weights = bootstrap_weights(particles, seed) if resampled else None
        surface = surface_of(steps, calibration)
        found = fit_ensemble(surface, steps.stride, weights)
        replicates = found.alpha_replicates
        if interval == "bootstrap" and not scatters(replicates):
            how = NO_SCATTER if resampled else ONE_PARTICLE
        if found.moves:
            end = end_of_search(found.alpha)
            reason = _why_no_power_law(end, replicates)
        else:
            reason = "the particles do not move: nothing is seen beyond their localisation error"
        if reason is None:
            weight = np.diff(steps.start).astype(np.float64)
            numbers = _calibrated(found, calibration, steps.stride, weight)
            if weights is not None and scatters(replicates):
                exposure = calibration.exposure_fraction(steps.stride) or 0.0
                offsets = _offsets(found, surface.blocks, exposure, weights)
                offset_error = bootstrap_error(offsets, weight) * calibration.length**2
        if end is not None and len(replicates):
            opposite = (replicates >= 1) if end < 1 else (replicates <= 1)
            p_beyond = float(min(2 * (opposite.sum() + 1) / (len(opposite) + 1), 1.0))
        if calibration.exposure_s is None and (reason is None or end is not None):
            full = _alpha_full_exposure(steps)

    def estimate(of: _Value, unit: str) -> Estimate:
        return Estimate(
            value=of.value,
            standard_error=of.error,
            low=of.low,
            high=of.high,
            method="mle",
            unit=unit,
            interval=how,
            model_standard_error=of.model_error,
            offset=numbers.offset,
            localisation_error=numbers.localisation_error,
            length_unit=calibration.length_unit,
            particles=particles,
            displacements=len(steps.gap),
            degrees_of_freedom=numbers.freedom,
            stride=steps.stride,
            reason=reason,
        )

    return AnomalousEstimate(
        K=estimate(numbers.K, f"{calibration.diffusion_unit}^alpha"),
        alpha=estimate(numbers.alpha, "1"),
        alpha_full_exposure=full,
        p_beyond=p_beyond,
        end=end,
        offset_standard_error=offset_error,
    )


def _offsets(
    found: EnsembleFit, blocks: Blocks, exposure: float, weights: FloatArray
) -> FloatArray:
    """Return the offset of the two-dimensional MSD in each replicate, px^2: M(1) less 4 K t^alpha.

    M(1) is that of the replicate itself, not of its fit.
    """
    squares = np.zeros(len(blocks.size))
    for x, owner in zip(blocks.displacement, blocks.owner, strict=True):
        squares += np.bincount(owner, (x**2).sum(0), minlength=len(squares))
    first = 2 * (weights @ squares) / (weights @ blocks.size)
    one = np.ones(1)
    seen = [
        float(blurred_power_law(one, alpha, exposure)[0])
        + 2 * exposure**alpha / ((alpha + 1) * (alpha + 2)) * (exposure > 0)
        for alpha in found.alpha_replicates
    ]
    return np.asarray(first - 4 * np.exp(found.log_coefficient_replicates) * seen)


def _calibrated(
    found: EnsembleFit, calibration: Calibration, stride: int, weight: FloatArray
) -> _Calibrated:
    log_tau = float(np.log(calibration.time * stride))
    to_square = calibration.length**2
    alpha = found.alpha
    K = float(np.exp(found.log_coefficient - alpha * log_tau)) * to_square
    # log K in calibrated time is log K - alpha log(tau).
    turn = np.array([-log_tau, 1.0])
    alpha_model = float(np.sqrt(found.covariance[0, 0]))
    K_model = K * float(np.sqrt(turn @ found.covariance @ turn))
    alpha_error, K_error, quantile = alpha_model, K_model, NORMAL_95
    freedom = float("inf")
    if scatters(found.alpha_replicates):
        log_K = found.log_coefficient_replicates - found.alpha_replicates * log_tau
        alpha_error = bootstrap_error(found.alpha_replicates, weight)
        K_error = K * bootstrap_error(log_K, weight)
        alike = share_of_variance(alpha_model, alpha_error)
        freedom = degrees_of_freedom(weight, alike)
        quantile = student_quantile(freedom)
    half = quantile * alpha_error
    ratio = float(np.exp(min(quantile * K_error / K, 700.0))) if K > 0 else np.inf

    noise = found.variance * (1 - found.motion_part) / 2
    fraction = calibration.exposure_fraction(stride)
    sigma: float | None = None
    if fraction is None:
        offset = 4 * noise * to_square
    else:
        sigma = calibration.localisation_error_um
        if sigma is None:
            sigma = float(np.sqrt(max(noise, 0.0))) * calibration.length
        blur = 2 * fraction**alpha / ((alpha + 1) * (alpha + 2))
        offset = 4 * (noise - float(np.exp(found.log_coefficient)) * blur) * to_square
    return _Calibrated(
        alpha=_Value(
            alpha, alpha_error, max(alpha - half, 0.0), min(alpha + half, 2.0), alpha_model
        ),
        K=_Value(K, K_error, K / ratio, K * ratio if K > 0 else 0.0, K_model),
        offset=offset,
        localisation_error=sigma,
        freedom=freedom,
    )


def _why_not(steps: Steps) -> str | None:
    """Return why there can be no estimate, or None."""
    longest = longest_runs(steps)
    if not len(longest) or longest.max() < SHORTEST_RUN:
        return f"no track has {SHORTEST_RUN + 1} positions in a row"
    return why_without_motion(steps)


def _why_no_power_law(end: float | None, replicates: FloatArray) -> str | None:
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

"""Maximum-likelihood alpha and K of single tracks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.profile_likelihood import HALF_CHI2_95, peak
from cloudtrainer.diffusion.surface import LEAST_FOR_MOTION, FractionalSurface
from cloudtrainer.diffusion.tracks import FloatArray

_PLATEAU = 400


@dataclass(frozen=True)
class TrackFits:
    """Fits of single particles, shape (particles,).

    `alpha_low` and `alpha_high` are the 95% interval by profile likelihood, `log_coefficient`
    is log K in calibrated units,
    `coefficient_error` is its standard deviation under the likelihood; `at_end` is whether the
    likelihood is largest at an end of the lattice, and `moves` whether localisation error alone is
    rejected, at 1%. `profile`, shape (particles, points), is the log-likelihood at each alpha of
    `grid`, shape (points,), with K and the offset at their best.
    """

    alpha: FloatArray
    alpha_low: FloatArray
    alpha_high: FloatArray
    log_coefficient: FloatArray
    coefficient_error: FloatArray
    at_end: NDArray[np.bool_]
    moves: NDArray[np.bool_]
    grid: FloatArray
    profile: FloatArray


def fit_tracks(
    surface: FractionalSurface, stride: int, log_tau: float, points: int = 28
) -> TrackFits:
    """Fit each particle alone, all at once on one lattice that covers every alpha and offset.

    Parameters
    ----------
    surface : FractionalSurface
    stride : int
        Interleaved phases in the data; they count as one.
    log_tau : float
        Logarithm of the time unit: K is for lags in the calibrated time.
    points : int
        Lattice points for alpha; as many for the other parameter.
    """
    from scipy.interpolate import CubicSpline

    alphas = np.linspace(0.03, 1.97, points)
    low, high = surface.beta_bounds
    betas = np.linspace(low, high, points)
    rows = len(surface.blocks.size)
    form = np.empty((rows, points, points))
    logs = np.empty_like(form)
    for i, alpha in enumerate(alphas):
        for j, beta in enumerate(betas):
            form[:, i, j], logs[:, i, j] = surface.forms(float(alpha), float(beta))
    size = surface.blocks.size
    value, log_K = np.empty_like(form), np.empty_like(form)
    for i, alpha in enumerate(alphas):
        for j, beta in enumerate(betas):
            theta = (float(alpha), float(beta))
            with np.errstate(invalid="ignore"):
                log_a = surface.log_variance(form[:, i, j], size, *theta)
            value[:, i, j] = surface.log_likelihood(form[:, i, j], logs[:, i, j], size, *theta)
            log_K[:, i, j] = surface.log_coefficient(log_a, *theta)
    value /= stride

    # The best offset for each alpha, then a smooth curve through those.
    flat = value.reshape(-1, points)
    beta_best, top = peak(flat, betas)
    profile = top.reshape(rows, points)
    # Particles without any likelihood (they never moved) are left out by the caller.
    profile = np.where(np.isfinite(profile), profile, 0.0)
    fine = np.linspace(alphas[0], alphas[-1], _PLATEAU)
    curve = CubicSpline(alphas, profile, axis=1)(fine)
    alpha_hat = fine[np.argmax(curve, axis=1)]
    threshold = curve.max(1, keepdims=True) - HALF_CHI2_95
    inside = curve >= threshold
    first, last = np.argmax(inside, axis=1), _PLATEAU - 1 - np.argmax(inside[:, ::-1], axis=1)
    alpha_low = np.where(first == 0, 0.0, fine[first])
    alpha_high = np.where(last == _PLATEAU - 1, 2.0, fine[last])

    nearest = np.clip(np.searchsorted(betas, beta_best), 1, points - 1)
    flat_K = log_K.reshape(-1, points)
    line = np.arange(len(flat_K))
    ahead = (beta_best - betas[nearest - 1]) / (betas[nearest] - betas[nearest - 1])
    with np.errstate(invalid="ignore"):
        along = flat_K[line, nearest - 1] * (1 - ahead) + flat_K[line, nearest] * ahead
    along = np.where(np.isfinite(along), along, flat_K[line, nearest]).reshape(rows, points)
    log_K_hat = np.array([np.interp(a, alphas, ks) for a, ks in zip(alpha_hat, along, strict=True)])

    share = np.exp(value - value.max((1, 2), keepdims=True))
    share = np.where(np.isfinite(log_K), share, 0)
    share /= share.sum((1, 2), keepdims=True)
    calibrated = np.where(np.isfinite(log_K), log_K, 0) - alphas[:, None] * log_tau
    mean = (share * calibrated).sum((1, 2), keepdims=True)
    spread = (share * (calibrated - mean) ** 2).sum((1, 2))
    with np.errstate(divide="ignore"):
        spread = spread + 2 * stride / size
    return TrackFits(
        alpha_hat,
        alpha_low,
        alpha_high,
        log_K_hat - alpha_hat * log_tau,
        np.sqrt(spread),
        at_end=(alpha_hat == fine[0]) | (alpha_hat == fine[-1]),
        moves=value.max((1, 2)) - value[:, :, 0].max(1) > LEAST_FOR_MOTION,
        grid=fine,
        profile=curve,
    )

"""Likelihoods of fractional Brownian tracks over the two parameters left when the scale is gone."""

import numpy as np

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.fractional import (
    ALPHA_BOUNDS,
    Blocks,
    blocks_of,
    blurred_power_law,
    largest_motion_part,
    toeplitz_forms,
)
from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray

# Log-likelihood by which motion must exceed localisation error alone: half of the 99% quantile of
# chi-square with two degrees of freedom, exponent and coefficient.
LEAST_FOR_MOTION = 4.605170185988092


class FractionalSurface:
    """Log-likelihoods over (alpha, beta).

    beta is psi, ``v = v_max(alpha) sin^2(psi)``, where the offset is a parameter, and log K where
    exposure and localisation error are known.

    Parameters
    ----------
    blocks : Blocks
    exposure : float
        In time units; 0 also where it is unknown.
    sigma : float or None
        Known localisation error per axis in pixels.
    """

    def __init__(self, blocks: Blocks, exposure: float, sigma: float | None) -> None:
        self.blocks = blocks
        self._exposure = exposure
        self._sigma = sigma
        squares = sum(float((x**2).sum()) for x in blocks.displacement)
        scale = squares / blocks.size.sum()
        self.beta_bounds = (
            (0.0, np.pi / 2)
            if sigma is None
            else (float(np.log(scale * 1e-5)), float(np.log(scale * 1e2)))
        )

    def restricted(self, blocks: Blocks) -> "FractionalSurface":
        """Return the same model of other blocks, with the same bounds."""
        other = FractionalSurface(blocks, self._exposure, self._sigma)
        other.beta_bounds = self.beta_bounds
        return other

    def motion_part(self, alpha: float, beta: float) -> float:
        """Return v, the part of M(1) that is motion."""
        if self._sigma is not None:
            motion = 2 * np.exp(beta) * self.first(alpha)
            return float(motion / (motion + 2 * self._sigma**2))
        largest = largest_motion_part(alpha, self._exposure)
        return float(min(largest, 1e3) * np.sin(beta) ** 2)

    def first(self, alpha: float) -> float:
        """Return B(1)."""
        return float(blurred_power_law(np.ones(1), alpha, self._exposure)[0])

    def forms(self, alpha: float, beta: float) -> tuple[FloatArray, FloatArray]:
        """Return quadratic form and log-determinant of each particle; infinite where impossible."""
        found = toeplitz_forms(self.blocks, alpha, self.motion_part(alpha, beta), self._exposure)
        if found is None:
            impossible = np.full(len(self.blocks.size), np.inf)
            return impossible, impossible
        return found

    def log_variance(
        self, form: FloatArray, size: FloatArray, alpha: float, beta: float
    ) -> FloatArray:
        """Return log M(1): fitted to each row, or given by K and sigma."""
        if self._sigma is None:
            return np.log(form / size)
        motion = 2 * np.exp(beta) * self.first(alpha)
        return np.full_like(form, np.log(motion + 2 * self._sigma**2))

    def log_likelihood(
        self, form: FloatArray, logs: FloatArray, size: FloatArray, alpha: float, beta: float
    ) -> FloatArray:
        """Return the log-likelihood of each row, with its best scale where that is free."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log_a = self.log_variance(form, size, alpha, beta)
            value = -0.5 * (size * log_a + logs + form * np.exp(-log_a))
        return np.where(np.isfinite(value), value, -np.inf)

    def total(self, alpha: float, beta: float) -> float:
        """Return the log-likelihood of all particles together."""
        form, logs = self.forms(alpha, beta)
        return float(
            self.log_likelihood(
                form.sum(keepdims=True),
                logs.sum(keepdims=True),
                self.blocks.size.sum(keepdims=True),
                alpha,
                beta,
            )[0]
        )

    def log_coefficient(self, log_a: FloatArray, alpha: float, beta: float) -> FloatArray:
        """Return log K in px^2 per time unit^alpha, given log M(1)."""
        with np.errstate(divide="ignore"):
            part = np.log(self.motion_part(alpha, beta) / (2 * self.first(alpha)))
        return np.asarray(log_a + part)

    def clip(self, alpha: float, beta: float) -> tuple[float, float]:
        """Return the nearest allowed point; psi is even about both of its ends."""
        low, high = self.beta_bounds
        if self._sigma is None:
            beta = abs(beta)
            beta = beta if beta <= high else 2 * high - beta
        return float(np.clip(alpha, *ALPHA_BOUNDS)), float(np.clip(beta, low, high))


def surface_of(steps: Steps, calibration: Calibration) -> FractionalSurface:
    """Return the likelihoods of the tracks' displacements; an unknown exposure counts as none."""
    return FractionalSurface(
        blocks_of(steps),
        calibration.exposure_fraction(steps.stride) or 0.0,
        calibration.localisation_error_px,
    )

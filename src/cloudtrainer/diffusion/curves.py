"""Likelihoods of Brownian tracks along the one parameter that is left when the scale is gone.

Everything is in pixels^2 per time unit; rows are particles, sums of particles, or bootstrap
replicates (weighted sums), columns are points of a grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.likelihood import PaddedSteps, quadratic_forms
from cloudtrainer.diffusion.profile_likelihood import HALF_CHI2_95, peak
from cloudtrainer.diffusion.tracks import FloatArray

_BISECTIONS = 30
# Particles without any displacement have a quadratic form of 0, whose logarithm is wanted.
_TINY = 1e-280

Parts = tuple[FloatArray, ...]


@dataclass(frozen=True)
class BrownianFit:
    """Likelihood fits of one or many rows, in px^2 and time units.

    Attributes
    ----------
    D, s, low, high : ndarray of float64, shape (rows,)
        Estimate, half the offset of the MSD of one axis, and the 95% interval of D by profile
        likelihood.
    """

    D: FloatArray
    s: FloatArray
    low: FloatArray
    high: FloatArray


def _between(values: FloatArray, grid: FloatArray, where: FloatArray) -> FloatArray:
    """Return each row of `values` at its own place, by the parabola through three points."""
    k = np.clip(np.searchsorted(grid, where), 1, len(grid) - 2)
    # The middle point is the nearer one.
    k = np.where((k > 1) & (where - grid[k - 1] < grid[k] - where), k - 1, k)
    rows = np.arange(len(values))
    a, b, c = grid[k - 1], grid[k], grid[k + 1]
    return (
        values[rows, k - 1] * (where - b) * (where - c) / ((a - b) * (a - c))
        + values[rows, k] * (where - a) * (where - c) / ((b - a) * (b - c))
        + values[rows, k + 1] * (where - a) * (where - b) / ((c - a) * (c - b))
    )


class FreeOffset:
    """The offset is a parameter: the grid is psi, sin^2(psi) = p = D / (2 D + 2 s).

    Parameters
    ----------
    padded : PaddedSteps
    R : float or None
        Exposure over six time units. Known: sigma^2 >= 0 bounds psi. None: psi is bounded only
        where the covariance ceases to be positive definite.
    """

    def __init__(self, padded: PaddedSteps, R: float | None) -> None:
        self._padded = padded
        highest = np.pi / 2 if R is None else float(np.arcsin(np.sqrt(0.5 / (1 - 2 * R))))
        self.bounds = (0.0, highest)

    def whole_grid(self, points: int) -> FloatArray:
        """Return points over all psi: like its standard error, their distance is as sqrt(psi)."""
        return self.bounds[1] * np.linspace(0, 1, points) ** 2

    def at(self, grid: FloatArray) -> Parts:
        """Return quadratic forms, log-determinants and sizes of each particle."""
        form, logs = quadratic_forms(self._padded, np.sin(grid) ** 2)
        return form, logs, self._padded.size[:, None]

    def profile(self, parts: Parts) -> FloatArray:
        """Return the log-likelihood with the best scale at each point, shape (rows, points)."""
        form, logs, size = parts
        return np.asarray(-0.5 * (size * np.log(np.maximum(form, _TINY) / size) + logs + size))

    def maximise(self, parts: Parts, grid: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return D, s and psi of each row's maximum."""
        form, _, size = parts
        psi, _ = peak(self.profile(parts), grid)
        variance = np.exp(_between(np.log(np.maximum(form, _TINY)), grid, psi)) / size[:, 0]
        p = np.sin(psi) ** 2
        return p * variance, (0.5 - p) * variance, psi

    def at_diffusion(self, parts: Parts, grid: FloatArray, log_D: FloatArray) -> FloatArray:
        """Return the log-likelihood of each row at a D, with its best offset."""
        form, logs, size = parts
        p = np.sin(grid) ** 2
        moving = p > 0
        log_p = np.log(p[moving])
        ratio = np.exp(log_p - log_D[:, None])
        values = -0.5 * (
            size * (log_D[:, None] - log_p) + logs[:, moving] + form[:, moving] * ratio
        )
        return peak(values, grid[moving])[1]

    def fit(self, parts: Parts, grid: FloatArray) -> BrownianFit:
        """Return estimates and profile-likelihood intervals of each row."""
        profile = self.profile(parts)
        D, s, _ = self.maximise(parts, grid)
        _, top = peak(profile, grid)
        threshold = top - HALF_CHI2_95

        def excess(log_D: FloatArray) -> FloatArray:
            return self.at_diffusion(parts, grid, log_D) - threshold

        variance = D + s
        floor = np.log(np.maximum(D, 1e-9 * variance))
        low = np.exp(_bisect(excess, floor - 14, np.log(np.maximum(D, 2e-9 * variance))))
        reaches_zero = (excess(floor - 14) > 0) | (D <= 0)
        if grid[0] == 0:
            reaches_zero |= profile[:, 0] > threshold
        high = np.exp(_bisect(excess, np.log(2 * variance) + 14, floor))
        return BrownianFit(D, s, np.where(reaches_zero, 0.0, np.minimum(low, D)), high)


class KnownOffset:
    """Exposure and localisation error are known: the grid is log D.

    Parameters
    ----------
    padded : PaddedSteps
    R : float
        Exposure over six time units.
    sigma : float
        Localisation error per axis in pixels; 0 is a value.
    """

    def __init__(self, padded: PaddedSteps, R: float, sigma: float) -> None:
        self._padded = padded
        self._R = R
        self._sigma = sigma
        scale = float((padded.displacement**2).sum() / padded.size.sum())
        # Below the first D these data see no motion; above the last they would be larger.
        self.bounds = (float(np.log(scale * 1e-6)), float(np.log(scale * 1e3)))

    def whole_grid(self, points: int) -> FloatArray:
        """Return points over all of log D."""
        return np.linspace(*self.bounds, 3 * points)

    def at(self, grid: FloatArray) -> Parts:
        """Return the log-likelihood of each particle, shape (particles, points)."""
        D = np.exp(grid)
        variance = 2 * D * (1 - 2 * self._R) + 2 * self._sigma**2
        p = D / variance
        if self._sigma == 0:
            p = p[:1]
        form, logs = quadratic_forms(self._padded, p)
        size = self._padded.size[:, None]
        return (-0.5 * (size * np.log(variance) + logs + form / variance),)

    def profile(self, parts: Parts) -> FloatArray:
        """Return the log-likelihood at each point."""
        return parts[0]

    def maximise(self, parts: Parts, grid: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return D, s and log D of each row's maximum; D is 0 at the lower bound."""
        log_D, _ = peak(parts[0], grid)
        D = np.where(log_D <= self.bounds[0], 0.0, np.exp(log_D))
        return D, self._sigma**2 - 2 * self._R * D, log_D

    def fit(self, parts: Parts, grid: FloatArray) -> BrownianFit:
        """Return estimates and likelihood-ratio intervals of each row."""
        values = parts[0]
        D, s, log_D = self.maximise(parts, grid)
        threshold = peak(values, grid)[1] - HALF_CHI2_95

        def excess(place: FloatArray) -> FloatArray:
            return _between(values, grid, np.clip(place, grid[0], grid[-1])) - threshold

        first, last = np.full(len(D), grid[0]), np.full(len(D), grid[-1])
        low = np.exp(_bisect(excess, first, log_D))
        high = np.exp(_bisect(excess, last, log_D))
        return BrownianFit(D, s, np.where((excess(first) > 0) | (D <= 0), 0.0, low), high)


def _bisect(
    excess: Callable[[FloatArray], FloatArray], outside: FloatArray, inside: FloatArray
) -> FloatArray:
    """Return where `excess` of each row changes sign between a place outside and one inside."""
    for _ in range(_BISECTIONS):
        middle = (outside + inside) / 2
        above = excess(middle) > 0
        inside = np.where(above, middle, inside)
        outside = np.where(above, outside, middle)
    return (outside + inside) / 2

"""Maximum-likelihood D of an ensemble, with its bootstrap, and of single tracks."""

import numpy as np

from cloudtrainer.diffusion.curves import BrownianFit, FreeOffset, KnownOffset
from cloudtrainer.diffusion.likelihood import PaddedSteps, pad_steps
from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray

_GRID = 33
# Tracks of one pass of the interval search: what stays in a core's cache.
_ROWS = 400


def _curves(padded: PaddedSteps, R: float | None, sigma: float | None) -> FreeOffset | KnownOffset:
    if R is not None and sigma is not None:
        return KnownOffset(padded, R, sigma)
    return FreeOffset(padded, R)


def fit_ensemble(
    steps: Steps, R: float | None, sigma: float | None, weights: FloatArray | None
) -> tuple[BrownianFit, FloatArray, FloatArray]:
    """Fit all particles with one D, and again in every bootstrap replicate.

    Parameters
    ----------
    steps : Steps
    R : float or None
        Exposure over six time units; None: unknown, the offset is free in sign.
    sigma : float or None
        Known localisation error per axis in pixels; None: a parameter.
    seed : int

    Returns
    -------
    fit : BrownianFit
        One row, px^2 per time unit. Its interval takes all particles to be alike.
    replicates : ndarray of float64, shape (replicates,)
        D refitted with the particles drawn anew; empty for fewer than two particles.

    Notes
    -----
    The scale of the covariance is eliminated analytically, so one parameter is left. Every
    replicate is refitted exactly, from the particles' likelihoods on one grid of that parameter.
    """
    padded = pad_steps(steps)
    curves = _curves(padded, R, sigma)
    grid = curves.whole_grid(_GRID)
    for _ in range(8):
        summed = tuple(part.sum(0, keepdims=True) for part in curves.at(grid))
        profile = curves.profile(summed)[0]
        best = int(np.argmax(profile))
        left, right = max(best - 1, 0), min(best + 1, len(grid) - 1)
        drop = float(profile[best] - min(profile[left], profile[right]))
        if drop < 0.5:
            break
        grid = np.linspace(grid[left], grid[right], 13)
    centre = float(grid[best])
    error = float(grid[right] - grid[left]) / (right - left) / np.sqrt(2 * max(drop, 1e-3))

    def around(widths: float) -> FloatArray:
        low, high = curves.bounds
        return np.linspace(
            max(centre - widths * error, low), min(centre + widths * error, high), _GRID
        )

    grid = around(5.0)
    parts = curves.at(grid)
    fit = curves.fit(tuple(part.sum(0, keepdims=True) / steps.stride for part in parts), grid)
    if weights is None:
        return fit, np.empty(0), np.empty(0)
    replicates, _, where = curves.maximise(tuple(weights @ part for part in parts), grid)
    # Particles that differ make the replicates wander further than the likelihood is wide.
    for widths in (12.0, 30.0, 80.0):
        at_edge = np.zeros(len(where), dtype=bool)
        if grid[0] > curves.bounds[0]:
            at_edge |= where <= grid[1]
        if grid[-1] < curves.bounds[1]:
            at_edge |= where >= grid[-2]
        if at_edge.mean() < 0.002:
            break
        grid = around(widths)
        parts = curves.at(grid)
        replicates, _, where = curves.maximise(tuple(weights @ part for part in parts), grid)
    others = tuple(part.sum(0) - part for part in parts)
    left_out, _, _ = curves.maximise(others, grid)
    return fit, replicates, left_out


def fit_tracks(steps: Steps, R: float | None, sigma: float | None) -> BrownianFit:
    """Fit each particle alone, all at once; rows in the order of ``steps.particle``.

    The phases of a stride overlap almost wholly, so m of them count as one.
    """
    padded = pad_steps(steps)
    curves = _curves(padded, R, sigma)
    grid = curves.whole_grid(_points(padded))
    parts = tuple(part / steps.stride for part in curves.at(grid))
    fits = [
        curves.fit(tuple(part[first : first + _ROWS] for part in parts), grid)
        for first in range(0, len(padded.size), _ROWS)
    ]
    return BrownianFit(
        D=np.concatenate([fit.D for fit in fits]),
        s=np.concatenate([fit.s for fit in fits]),
        low=np.concatenate([fit.low for fit in fits]),
        high=np.concatenate([fit.high for fit in fits]),
    )


def likelihoods_of_tracks(steps: Steps, R: float | None, D: FloatArray) -> FloatArray:
    """Return the log-likelihood of each particle at each D, each with its own best offset.

    Parameters
    ----------
    steps : Steps
    R : float or None
        Exposure over six time units; None: unknown.
    D : ndarray of float64, shape (points,)
        px^2 per time unit, positive.

    Returns
    -------
    ndarray of float64, shape (particles, points)
    """
    padded = pad_steps(steps)
    curves = FreeOffset(padded, R)
    grid = curves.whole_grid(_points(padded))
    parts = tuple(part / steps.stride for part in curves.at(grid))
    found = np.empty((len(padded.size), len(D)))
    for first in range(0, len(found), _ROWS):
        rows = slice(first, first + _ROWS)
        part = tuple(values[rows] for values in parts)
        for column, value in enumerate(np.log(D)):
            log_D = np.full(len(part[0]), value)
            found[rows, column] = curves.at_diffusion(part, grid, log_D)
    return found


def _points(padded: PaddedSteps) -> int:
    """Return the points over all of the grid that the sharpest track needs."""
    return int(np.clip(3 * np.sqrt(padded.size.max()), 64, 192))

"""Profile likelihoods: where one is highest, and how far it falls to the ends of an interval."""

import numpy as np

from cloudtrainer.diffusion.tracks import FloatArray

# Half the 95% quantile of chi-square with one degree of freedom: where the log-likelihood has
# fallen by this, the 95% interval ends.
HALF_CHI2_95 = 1.920729410347062


def peak(values: FloatArray, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where the parabola through the three highest points of each row peaks, and how high.

    A row whose highest point is the first or last keeps that point.

    Parameters
    ----------
    values : ndarray, shape (rows, points)
    grid : ndarray, shape (points,)
    """
    best = np.argmax(values, axis=1)
    rows = np.arange(len(values))
    where, top = grid[best].copy(), values[rows, best].copy()
    inner = np.flatnonzero((best > 0) & (best < len(grid) - 1))
    k = best[inner]
    left, right = grid[k - 1] - grid[k], grid[k + 1] - grid[k]
    with np.errstate(invalid="ignore", divide="ignore"):
        down_left = (values[inner, k - 1] - values[inner, k]) / left
        down_right = (values[inner, k + 1] - values[inner, k]) / right
        curvature = (down_right - down_left) / (right - left)
        slope = down_left - curvature * left
        shift = -slope / (2 * curvature)
    good = np.isfinite(shift) & (curvature < 0)
    shift = np.where(good, np.clip(shift, left, right), 0.0)
    where[inner] += shift
    top[inner] += np.where(good, shift * (slope + curvature * shift), 0.0)
    return where, top

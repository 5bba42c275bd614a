"""The fastest tenth of particles, without what the noise of single tracks adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.diffusion_spread import (
    MOST_FOR_DENSITY,
    independent_products,
    likelihoods_on_grid,
    long_enough,
)
from cloudtrainer.diffusion.resample import bootstrap_error, student_quantile
from cloudtrainer.diffusion.spread import FEWEST_PARTICLES, drawn
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays
from cloudtrainer.diffusion.unequal import degrees_of_freedom
from cloudtrainer.diffusion.weighting import TENTH, Population

# Bootstrap replicates, and iterations of the density, of which 16 to 2000 give a mean of the
# fastest tenth within 2% once its spread is set right.
_REPLICATES, _ITERATIONS = 200, 32
# The D of short displacements tells those at the reference time where particles are Brownian.
_MOST_NOT_BROWNIAN = 0.1


@dataclass(frozen=True)
class Fastest:
    """Mean D of the fastest tenth, the noise of single tracks taken out.

    Attributes
    ----------
    value, low, high : float
        The mean effective diffusivity of the fastest tenth, um^2/s, with its 95% interval.
    over_mean : float
        The same over the mean of all.
    reason : str
        Why there is none; otherwise empty.
    """

    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    over_mean: float = float("nan")
    reason: str = ""


def fastest_without_noise(
    arrays: TrackArrays,
    values: FloatArray,
    found: pd.DataFrame,
    people: Mapping[str, Population],
    calibration: Calibration,
    seed: int,
) -> dict[str, Fastest]:
    """Return the fastest tenth by each weighting.

    Parameters
    ----------
    arrays : TrackArrays
    values : ndarray, shape (tracks,)
        Effective diffusivities at the reference time, um^2/s, of tracks of two positions or more.
    found : DataFrame
        ``class`` and ``frames`` of the same tracks.
    people : mapping of str to Population
    calibration : Calibration
    seed : int

    Notes
    -----
    The mean of `values` times the mean of the highest tenth of D over that of all. The shape of the
    distribution of D is that of its deconvolved density (`diffusion_spread`), which is too wide
    where particles are alike: it is drawn together, or apart, about its mean until its coefficient
    of variation is the one that products of independent estimates give, which no noise enters.
    """
    kind = found["class"].to_numpy()
    told = (kind == "diffusive") | (kind == "immobile")
    other = (kind == "hindered") | (kind == "active")
    frames = found["frames"].to_numpy(np.float64)
    if frames[other].sum() > _MOST_NOT_BROWNIAN * frames[told | other].sum():
        return dict.fromkeys(
            people,
            Fastest(reason="particles are hindered or active: D at the reference time is not that "
                    "of short displacements"),
        )  # fmt: skip
    sums = independent_products(arrays, 1)
    numbers = drawn(np.flatnonzero(long_enough(sums, 1)), MOST_FOR_DENSITY, seed)
    if len(numbers) < FEWEST_PARTICLES:
        reason = f"fewer than {FEWEST_PARTICLES} tracks have 12 frames or more"
        return dict.fromkeys(people, Fastest(reason=reason))
    grid, likelihood, _ = likelihoods_on_grid(arrays.only(numbers), calibration, 1)
    if not len(grid):
        reason = "no track moves beyond its localisation error"
        return dict.fromkeys(people, Fastest(reason=reason))
    row = (np.cumsum(arrays.lengths > 1) - 1)[numbers]
    return {
        weighting: _fastest(sums[numbers], grid, likelihood, values, row, population)
        for weighting, population in people.items()
    }


def _fastest(
    sums: FloatArray,
    grid: FloatArray,
    likelihood: FloatArray,
    values: FloatArray,
    row: np.ndarray,
    population: Population,
) -> Fastest:
    (mean, mean_low, _), means = population.mean(values)
    if not mean_low > 0:
        return Fastest(reason="the mean effective diffusivity cannot be told from 0")
    weights = population.weight[row] * np.vstack(
        [np.ones(len(row)), population.drawn[:_REPLICATES, row]]
    )
    spread = _variation(sums, weights)
    if not np.isfinite(spread[0]):
        return Fastest(reason="the mean D cannot be told from 0")
    over = 1 + _shape(_shares(likelihood, weights), grid) * spread
    value = float(mean * over[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = np.log(over[1:] * means[:_REPLICATES])
    replicates = replicates[np.isfinite(replicates)]
    weight = population.weight[row]
    quantile = student_quantile(degrees_of_freedom(weight))
    ratio = float(np.exp(quantile * bootstrap_error(replicates, weight)))
    return Fastest(value, value / ratio, value * ratio, float(over[0]))


def _variation(sums: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the coefficient of variation of D by each row of weights; NaN where D may be 0."""
    number, total, pairs, products = sums.T
    single = total / number
    weight = weights.sum(axis=1)
    mean = weights @ single / weight
    influence = weights[0] * (single - mean[0]) / weight[0]
    particles = len(single)
    # The square of a mean is too large by the variance of the mean.
    square = mean**2 - float((influence**2).sum()) * particles / (particles - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = weights @ (products / pairs) / weight / square - 1
    told = (mean > 0) & (square > 0.75 * mean**2)
    return np.where(told, np.sqrt(np.maximum(excess, 0.0)), np.nan)


def _shares(likelihood: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the share of each grid point by each row of weights, shape (rows, points)."""
    points = likelihood.shape[1]
    share = np.full((len(weights), points), 1 / points)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_ITERATIONS):
            share *= (weights / (share @ likelihood.T)) @ likelihood
            share /= share.sum(axis=1, keepdims=True)
    return share


def _shape(share: FloatArray, grid: FloatArray) -> FloatArray:
    """Return how many standard deviations the mean of the highest tenth lies above the mean."""
    falling = share[:, ::-1]
    after = np.cumsum(falling, axis=1)
    used = np.clip(TENTH - (after - falling), 0, falling)
    mean = share @ grid
    spread = np.sqrt(np.maximum(share @ grid**2 - mean**2, 0.0))
    return np.asarray((used @ grid[::-1] / TENTH - mean) / np.maximum(spread, 1e-9 * mean))

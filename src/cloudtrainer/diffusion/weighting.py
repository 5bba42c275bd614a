"""Means, medians, shares and the fastest tenth of weighted particles, with their intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.resample import (
    NORMAL_95,
    bootstrap_error,
    bootstrap_interval,
    bootstrap_weights,
)
from cloudtrainer.diffusion.tracks import FloatArray
from cloudtrainer.diffusion.unequal import degrees_of_freedom

TENTH = 0.1
_NONE = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Population:
    """Particles, each with a weight, and how often each bootstrap replicate draws it.

    Attributes
    ----------
    weight : ndarray, shape (particles,)
        1 for each particle, or its number of frames.
    drawn : ndarray, shape (replicates, particles)
    """

    weight: FloatArray
    drawn: FloatArray

    def mean(self, values: FloatArray) -> tuple[tuple[float, float, float], FloatArray]:
        """Return the mean with its 95% interval, and its replicates; NaN values do not enter."""
        there = np.isfinite(values)
        weight = np.where(there, self.weight, 0.0)
        product = weight * np.where(there, values, 0.0)
        if not there.any():
            return _NONE, np.full(len(self.drawn), np.nan)
        value = float(product.sum() / weight.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (self.drawn @ product) / (self.drawn @ weight)
            left_out = (product.sum() - product[there]) / (weight.sum() - weight[there])
        if there.sum() < 2:
            return (value, float("nan"), float("nan")), replicates
        error = bootstrap_error(replicates[np.isfinite(replicates)], weight[there])
        freedom = degrees_of_freedom(weight[there])
        return (value, *bootstrap_interval(value, error, left_out, freedom)), replicates

    def median(self, values: FloatArray) -> tuple[float, float, float]:
        """Return the weighted median with its 95% bootstrap interval."""
        there = np.isfinite(values)
        if not there.any():
            return _NONE
        order = np.argsort(values[there])
        ordered = values[there][order]
        weight = self.weight[there][order]

        def middle(drawn: FloatArray) -> FloatArray:
            total = np.cumsum(drawn * weight, axis=1)
            return np.asarray(ordered[np.argmax(total >= total[:, -1:] / 2, axis=1)])

        value = weighted_median(values, self.weight)
        if len(ordered) < 2:
            return value, float("nan"), float("nan")
        low, high = np.percentile(middle(self.drawn[:, there][:, order]), (2.5, 97.5))
        return value, float(low), float(high)

    def share(self, chosen: NDArray[np.bool_]) -> tuple[tuple[float, float, float], FloatArray]:
        """Return the share of the weight that is chosen, with its 95% interval, and replicates.

        The interval is Wilson's, for as many independent particles as the scatter of the replicates
        speaks of: it does not close at 0 and 1, where no replicate differs.
        """
        if not len(self.weight):
            return _NONE, np.full(len(self.drawn), np.nan)
        product = self.weight * chosen
        share = float(product.sum() / self.weight.sum())
        replicates = (self.drawn @ product) / (self.drawn @ self.weight)
        number = float(self.weight.sum() ** 2 / (self.weight**2).sum())
        error = float(np.std(replicates, ddof=1))
        if 0 < share < 1 and error > 0:
            number = min(share * (1 - share) / error**2, float(len(self.weight)))
        square = NORMAL_95**2 / number
        middle = (share + square / 2) / (1 + square)
        half = (
            NORMAL_95 / (1 + square) * np.sqrt(share * (1 - share) / number + square / 4 / number)
        )
        low = max(middle - half, 0.0) if share > 0 else 0.0
        high = min(middle + half, 1.0) if share < 1 else 1.0
        return (share, low, high), replicates


def populations(frames: FloatArray, seed: int) -> dict[str, Population]:
    """Return the particles with equal weights, and weighted by their numbers of frames."""
    drawn = bootstrap_weights(len(frames), seed) if len(frames) else np.zeros((0, 0))
    return {
        "particle": Population(np.ones(len(frames)), drawn),
        "frame": Population(frames.astype(np.float64), drawn),
    }


def weighted_median(values: FloatArray, weight: FloatArray) -> float:
    """Return where half of the weight is below; values that are NaN do not enter."""
    there = np.isfinite(values)
    if not there.any():
        return float("nan")
    order = np.argsort(values[there])
    total = np.cumsum(weight[there][order])
    return float(values[there][order][np.argmax(total >= total[-1] / 2)])


def highest_tenth(values: FloatArray, weight: FloatArray) -> float:
    """Return the mean of the highest tenth of the weight; values that are NaN do not enter."""
    there = np.isfinite(values)
    if not there.any():
        return float("nan")
    order = np.argsort(-values[there])
    ordered, weight = values[there][order], weight[there][order]
    after = np.cumsum(weight)
    limit = TENTH * after[-1]
    return float(np.clip(limit - (after - weight), 0, weight) @ ordered / limit)


def percentiles(replicates: FloatArray) -> tuple[float, float]:
    """Return the 95% interval of replicates; NaN where there are none."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)

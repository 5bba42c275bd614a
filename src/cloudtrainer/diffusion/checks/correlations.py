"""Whether displacements beyond lag 1 are uncorrelated, as under Brownian motion."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import whole_number
from cloudtrainer.diffusion.checks.check import (
    FEWEST_PARTICLES,
    Curve,
    Finding,
    UnitSteps,
    unit_steps,
    untold,
)
from cloudtrainer.diffusion.tracks import FloatArray, track_arrays

SMALLEST_CORRELATION = 0.02
LONGEST_LAG = 5
_FARTHEST_LAG = 16
# Their covariance has the square of so many numbers.
_MOST_LAGS = 5000


@dataclass(frozen=True)
class DisplacementCorrelations:
    """Correlation of displacements with those k frames later, over all particles.

    Attributes
    ----------
    lag : ndarray, shape (lags,)
        Frames, from 1.
    value, standard_error : ndarray of float64, shape (lags,)
        The error is from the scatter between particles.
    covariance : ndarray of float64, shape (lags, lags)
    products : ndarray of float64, shape (lags,)
        Products of displacements behind each value.
    particles : int
    """

    lag: np.ndarray
    value: FloatArray
    standard_error: FloatArray
    covariance: FloatArray
    products: FloatArray
    particles: int


def displacement_correlations(
    tracks: pd.DataFrame, longest_lag: int = LONGEST_LAG
) -> DisplacementCorrelations:
    """Return the correlations of displacements at lags of 1 to `longest_lag` frames.

    This is the velocity autocorrelation function over that at lag 0 (Weber, Thompson, Moerner,
    Spakowitz & Theriot 2012, Biophys. J. 102, 2443), for velocities over one frame. Only
    displacements between consecutive frames, with no gap between, count.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    ConfigError
        `longest_lag` is no whole number from 1 to 5000.
    """
    lags = whole_number("longest_lag", longest_lag, "frames", least=1, most=_MOST_LAGS)
    return correlations(unit_steps(track_arrays(tracks)), lags)


def correlations(steps: UnitSteps, longest_lag: int = LONGEST_LAG) -> DisplacementCorrelations:
    """Return the correlations of displacements that are checked and drawn."""
    lags = np.arange(1, longest_lag + 1)
    particles, owner = steps.particles, steps.owner
    sums = np.zeros((longest_lag + 1, particles))
    counts = np.zeros((longest_lag + 1, particles))
    for k in range(min(longest_lag, len(owner) - 1) + 1):
        here, there = slice(0, len(owner) - k), slice(k, None)
        together = steps.run[here] == steps.run[there]
        product = (steps.displacement[here] * steps.displacement[there]).sum(1)
        sums[k] = np.bincount(owner[here][together], product[together], minlength=particles)
        counts[k] = 2 * np.bincount(owner[here][together], minlength=particles)
    nan = np.full(longest_lag, np.nan)
    enough = counts.sum(1) > 0
    if particles == 0 or not enough[0] or sums[0].sum() == 0:
        square = np.full((longest_lag, longest_lag), np.nan)
        return DisplacementCorrelations(lags, nan, nan, square, counts[1:].sum(1), particles)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = counts.sum(1)
        variance = sums[0].sum() / total[0]
        value = sums[1:].sum(1) / total[1:] / variance
        # Linear influence of each particle on the ratio of two means.
        influence = (
            sums[1:] / total[1:, None] / variance
            - value[:, None] * counts[1:] / total[1:, None]
            - value[:, None] * (sums[0] / total[0] / variance - counts[0] / total[0])
        )
    contributing = int((counts[0] > 0).sum())
    widen = contributing / (contributing - 1) if contributing > 1 else np.nan
    covariance = influence @ influence.T * widen
    return DisplacementCorrelations(
        lags, value, np.sqrt(np.diag(covariance)), covariance, counts[1:].sum(1), contributing
    )


def correlation_check(steps: UnitSteps) -> Finding:
    """Test the correlations of displacements 2 to 4 frames apart (Hotelling's test)."""
    found = correlations(steps, _FARTHEST_LAG)
    name = "displacement correlations"
    description = "largest correlation of displacements 2 to 4 frames apart"
    beyond = slice(1, 4)
    shown = slice(0, LONGEST_LAG)
    value = found.value[beyond]
    p_value = _probability(found, beyond)
    if not np.isfinite(p_value):
        sentence = "The tracks are too short or too few to test displacements for correlations."
        return untold(name, description, sentence)
    largest = float(value[np.argmax(np.abs(value))])
    listed = ", ".join(
        f"r{k} = {r:+.3f}" for k, r in zip(found.lag[shown], found.value[shown], strict=True)
    )
    # What compression leaves is gone after a few frames; drift and slow vibration stay.
    dies_away = not (np.abs(_far(found.value)) > abs(largest) / 3).any()
    both = value.max() > SMALLEST_CORRELATION and value.min() < -SMALLEST_CORRELATION
    if both:
        cause = (
            "They change sign with the lag, as a vibration makes them: look at the spectrum of "
            "displacements for its frequency."
        )
    elif largest > 0 and dies_away:
        cause = (
            "Positions that are not independent from frame to frame, as in compressed or smoothed "
            "video, make displacements alike; D from long lags (stride 5 or more) is free of it."
        )
    elif largest > 0:
        cause = (
            "They do not die away within a few frames: drift that is left, flow, directed motion "
            "or a slow vibration. Look at the drift and at the spectrum; displacements over more "
            "frames would only hold more of it."
        )
    else:
        cause = (
            "Displacements turn back, as in a cage or a gel, or where links swap particles: "
            "report the anomalous exponent and D at stated time scales, not one D."
        )
    return Finding(
        name=name,
        number=largest,
        description=description,
        p_value=p_value,
        matters=abs(largest) >= SMALLEST_CORRELATION,
        fine=f"Displacements beyond lag 1 are uncorrelated, as the model has it ({listed}).",
        wrong=f"Displacements beyond lag 1 are correlated ({listed}). {cause}",
        # Where displacements turn back, as in a cage, no lag is better than another.
        long_lags_help=largest > 0 and dies_away and not both,
        curve=Curve(
            x=found.lag[shown].astype(np.float64),
            y=found.value[shown],
            error=found.standard_error[shown],
            expected=np.where(found.lag[shown] > 1, 0.0, np.nan),
            x_label="frames between displacements",
            y_label="correlation",
        ),
    )


def _far(value: FloatArray) -> FloatArray:
    """Return means of four correlations each, from lags of 5 frames on."""
    return np.asarray(value[LONGEST_LAG - 1 :].reshape(-1, 4).mean(1))


def _probability(found: DisplacementCorrelations, lags: slice) -> float:
    """Return the p-value of zero correlations at these lags (Hotelling's test)."""
    from scipy import stats

    value = found.value[lags]
    if not np.isfinite(value).all():
        return float("nan")
    degrees = len(value)
    if found.particles >= FEWEST_PARTICLES:
        covariance = found.covariance[lags, lags]
        if np.linalg.matrix_rank(covariance) == degrees:
            square = float(value @ np.linalg.solve(covariance, value))
            free = found.particles - degrees
            ratio = square * free / (degrees * (found.particles - 1))
            return float(stats.f.sf(ratio, degrees, free))
    # Too few particles for their scatter: Bartlett's formula for correlations beyond lag 1.
    first = float(found.value[0])
    beside = {0: 1 + 2 * first**2, 1: 2 * first, 2: first**2}
    apart = np.abs(np.subtract.outer(np.arange(degrees), np.arange(degrees)))
    pairs = np.sqrt(np.outer(found.products[lags], found.products[lags]))
    covariance = np.vectorize(beside.__getitem__)(apart) / pairs
    return float(stats.chi2.sf(value @ np.linalg.solve(covariance, value), degrees))

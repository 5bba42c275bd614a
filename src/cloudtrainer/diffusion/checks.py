"""Tests of the Brownian model: are displacements what the likelihood takes them for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.tracks import FloatArray, Steps, TrackArrays, steps_of, track_arrays

# A test fails at 1%, and only where the effect is large enough to matter for D.
LEVEL = 0.01
SMALLEST_CORRELATION = 0.02
SMALLEST_PHASE_RATIO = 1.1
LONGEST_LAG = 5
LONGEST_PERIOD = 16
FEWEST_OF_A_PHASE = 5
FEWEST_PARTICLES = 12


@dataclass(frozen=True)
class Check:
    """One test of the model.

    Attributes
    ----------
    name : str
    passed : bool
        True also where there are too few data to tell; the sentence says so.
    number : float
        What was measured; NaN where it could not be.
    description : str
        What `number` is.
    p_value : float
        Of the test; NaN where there is none.
    sentence : str
        What was found and, where the check failed, what to do.
    """

    name: str
    passed: bool
    number: float
    description: str
    p_value: float
    sentence: str


@dataclass(frozen=True)
class DisplacementCorrelations:
    """Correlation of displacements with those k frames later, over all particles.

    Attributes
    ----------
    lag : ndarray, shape (lags,)
        1 to 5.
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


def check_model(tracks: pd.DataFrame) -> list[Check]:
    """Test whether the tracks are what the estimate of D takes them for.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; frames may be missing.

    Returns
    -------
    list of Check
        ``displacement correlations`` and ``variance by frame phase``.

    Raises
    ------
    LabelError
        The table is not one of tracks.

    Notes
    -----
    Under Brownian motion with localisation error and motion blur the displacements of a particle
    are uncorrelated beyond lag 1 (Vestergaard et al. 2014, Phys. Rev. E 89, 022726).
    Each test is at the 1% level; to fail it also needs a correlation of at least 0.02, or a
    variance that differs by at least 10% between phases: a huge data set is not failed for what
    does not matter.
    """
    arrays = track_arrays(tracks)
    steps = steps_of(arrays)
    return [_correlation_check(steps), _phase_check(arrays)]


def displacement_correlations(tracks: pd.DataFrame) -> DisplacementCorrelations:
    """Return the correlations of displacements at lags of 1 to 5 frames.

    Only displacements between consecutive frames, with no gap between, count.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    """
    return _correlations(steps_of(track_arrays(tracks)))


def _correlations(steps: Steps) -> DisplacementCorrelations:
    lags = np.arange(1, LONGEST_LAG + 1)
    particles = len(steps.particle)
    subtrack = np.repeat(np.arange(len(steps.owner)), np.diff(steps.start))
    owner = steps.owner[subtrack]
    unit = steps.gap == 1
    # A run ends with its sub-track, and at a step across a gap.
    ends = ~unit
    ends[1:] |= np.diff(subtrack) != 0
    run = np.cumsum(ends)
    sums = np.zeros((LONGEST_LAG + 1, particles))
    counts = np.zeros((LONGEST_LAG + 1, particles))
    for k in range(min(LONGEST_LAG, len(owner) - 1) + 1):
        here, there = slice(0, len(owner) - k), slice(k, None)
        together = unit[here] & unit[there] & (run[here] == run[there])
        product = (steps.displacement[here] * steps.displacement[there]).sum(1)
        sums[k] = np.bincount(owner[here][together], product[together], minlength=particles)
        counts[k] = 2 * np.bincount(owner[here][together], minlength=particles)
    nan = np.full(LONGEST_LAG, np.nan)
    enough = counts.sum(1) > 0
    if particles == 0 or not enough[0] or sums[0].sum() == 0:
        square = np.full((LONGEST_LAG, LONGEST_LAG), np.nan)
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


def _correlation_check(steps: Steps) -> Check:
    name = "displacement correlations"
    description = "largest correlation of displacements 2 to 4 frames apart"
    found = _correlations(steps)
    beyond = slice(1, 4)
    value = found.value[beyond]
    p_value = _probability(found, beyond)
    if not np.isfinite(p_value):
        return Check(
            name, True, float("nan"), description, float("nan"),
            "The tracks are too short or too few to test displacements for correlations.",
        )  # fmt: skip
    largest = float(value[np.argmax(np.abs(value))])
    listed = ", ".join(f"r{k} = {r:+.3f}" for k, r in zip(found.lag, found.value, strict=True))
    if p_value >= LEVEL or abs(largest) < SMALLEST_CORRELATION:
        sentence = f"Displacements beyond lag 1 are uncorrelated, as the model has it ({listed})."
        return Check(name, True, largest, description, p_value, sentence)
    if value.sum() > 0:
        cause = (
            "Video compression, drift that is left, or directed motion make displacements alike: "
            "use D from long lags (stride 5 or more) and look at the drift."
        )
    else:
        cause = (
            "Displacements turn back, as in a cage or a gel, or where links swap particles: "
            "report the anomalous exponent and D at stated time scales, not one D."
        )
    sentence = f"Displacements beyond lag 1 are correlated ({listed}). {cause}"
    return Check(name, False, largest, description, p_value, sentence)


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


def _phase_check(arrays: TrackArrays) -> Check:
    """Compare the variance of displacements between frames of one phase, for periods of 2 to 16.

    The mean square displacement of each frame, over all particles, is ranked (Kruskal & Wallis
    1952); the p-value is that of the best period times the number of periods tried.
    """
    from scipy.stats import kruskal

    name = "variance by frame phase"
    description = "largest over median variance of displacements by frame modulo the period"
    consecutive = (np.diff(arrays.frame) == 1) & (
        np.diff(np.repeat(np.arange(len(arrays.particle)), arrays.lengths)) == 0
    )
    frame = arrays.frame[1:][consecutive]
    square = (np.diff(arrays.position, axis=0)[consecutive] ** 2).sum(1)
    best_p, best_period = 1.0, 0
    periods = range(2, LONGEST_PERIOD + 1)
    if len(frame):
        count = np.bincount(frame - frame.min())
        total = np.bincount(frame - frame.min(), square)
        seen = np.flatnonzero(count)
        mean = total[seen] / count[seen]
        for period in periods:
            groups = [mean[seen % period == phase] for phase in range(period)]
            if min(map(len, groups)) < FEWEST_OF_A_PHASE or np.ptp(mean) == 0:
                continue
            p = float(kruskal(*groups).pvalue)
            if p < best_p:
                best_p, best_period = p, period
    if not best_period:
        return Check(
            name, True, float("nan"), description, float("nan"),
            "The video is too short to test the variance of displacements by frame phase.",
        )  # fmt: skip
    phase = (frame - frame.min()) % best_period
    variance = np.bincount(phase, square) / np.bincount(phase)
    loudest = int(np.argmax(variance))
    ratio = float(variance.max() / np.median(variance))
    p_value = min(1.0, best_p * len(periods))
    if p_value >= LEVEL or ratio < SMALLEST_PHASE_RATIO:
        sentence = "The variance of displacements does not depend on the frame's phase."
        return Check(name, True, ratio, description, p_value, sentence)
    number = (loudest + int(frame.min())) % best_period
    sentence = (
        f"The variance of displacements is {ratio:.2f} times higher at every {best_period}th frame "
        f"(frame {number}, {number + best_period}, ...), as in compressed video or where frames "
        "are repeated: go back to the uncompressed recording, or use D from long lags (stride 5 "
        "or more)."
    )
    return Check(name, False, ratio, description, p_value, sentence)

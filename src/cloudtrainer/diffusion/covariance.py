"""Covariance-based D (Vestergaard, Blainey & Flyvbjerg 2014, Phys. Rev. E 89, 022726)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from cloudtrainer.diffusion.resample import NORMAL_95
from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray

# Beyond, a score interval has no upper end, or one that says nothing.
_MOST_BENT = 0.9


@dataclass(frozen=True)
class CovarianceFit:
    """Estimates of one or many rows, in px^2 and time units.

    Attributes
    ----------
    D, s, standard_error : ndarray of float64, shape (rows,)
        D, half the offset of the MSD of one axis, and the standard error of D for particles that
        are alike. D may be negative: it is not bounded, so that it is not biased.
    low, high : ndarray of float64, shape (rows,)
        95% interval of D for particles that are alike.
    """

    D: FloatArray
    s: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray


def displacement_sums(steps: Steps) -> FloatArray:
    """Return sums over each particle's displacements of one time unit, shape (particles, 4).

    The columns are the squares (both axes), their number, the products of neighbouring
    displacements, and their number. Displacements across a gap are left out.
    """
    unit = steps.gap == 1
    subtrack = np.repeat(np.arange(len(steps.owner)), np.diff(steps.start))
    owner = steps.owner[subtrack]
    beside = unit[1:] & unit[:-1] & (np.diff(subtrack) == 0)
    squares = (steps.displacement**2).sum(1) * unit
    products = (steps.displacement[1:] * steps.displacement[:-1]).sum(1) * beside
    particles = len(steps.particle)

    def per_particle(owners: np.ndarray, values: np.ndarray) -> FloatArray:
        return np.bincount(owners, values, minlength=particles).astype(np.float64)

    return np.column_stack(
        [
            per_particle(owner, squares),
            2.0 * per_particle(owner, unit),
            per_particle(owner[1:], products),
            2.0 * per_particle(owner[1:], beside),
        ]
    )


def covariance_estimates(
    sums: FloatArray, R: float | None, sigma: float | None, stride: int
) -> CovarianceFit:
    """Estimate D from sums of squares and neighbouring products.

    Parameters
    ----------
    sums : ndarray, shape (rows, 4)
        As `displacement_sums` gives them, for particles, or added up.
    R, sigma : float or None
        Exposure over six time units; known localisation error per axis in pixels.
    stride : int
        Interleaved phases in the sums; they count as one.

    Notes
    -----
    Per axis ``D = <dx^2> / 2 + <dx dx'>``, with sigma known ``D = (<dx^2> - 2 sigma^2) /
    (2 - 4 R)``. With e = s / D, N displacements and two axes the variance of the first over D^2
    is ``[(6 + 4 e + 2 e^2) / N + 4 (1 + e)^2 / N^2] / 2``.

    The interval is a score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209): it holds each D
    that lies within 1.96 of the standard deviations that the estimate would have if that D were
    true, the variance a of displacements being as found. The variance of D is then ``(2 D^2 +
    a^2 / 4) / N + a^2 / (2 N^2)``. A standard error taken at the estimate is too small where D
    came out too small.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        square = sums[:, 0] / sums[:, 1]
        product = sums[:, 2] / sums[:, 3]
        N = sums[:, 1] / 2 / stride
        if R is not None and sigma is not None:
            D = (square - 2 * sigma**2) / (2 * (1 - 2 * R))
            s = sigma**2 - 2 * R * D
            # Variance of a mean square with the covariance a on the diagonal and -s beside it.
            slope = 2 * (1 - 2 * R)
            variance = (square**2 + 2 * s**2) / N / slope**2
            bends = (slope**2 + 8 * R**2) / N / slope**2
            rises = (4 * slope - 8 * R) * sigma**2 / N / slope**2
            begins = 6 * sigma**4 / N / slope**2
            most = (_largest_variance(square, s, N) - 2 * sigma**2) / slope
        else:
            D = square / 2 + product
            s = -product
            variance = ((6 * D**2 + 4 * s * D + 2 * s**2) / N + 4 * (D + s) ** 2 / N**2) / 2
            total = 2 * (D + s)
            bends, rises = 2 / N, np.zeros_like(N)
            begins = total**2 / 4 / N + total**2 / 2 / N**2
            # At no exposure is the variance of a displacement less than 4 D / 3.
            most = 0.75 * _largest_variance(total, s, N)
        error = np.sqrt(variance)
        low, high = _score_interval(D, error, (bends, rises, begins), most)
    return CovarianceFit(D, s, error, low, high)


def _largest_variance(a: FloatArray, s: FloatArray, N: FloatArray) -> FloatArray:
    """Return the upper 97.5% limit of the variance a of displacements, -s of neighbouring ones."""
    freedom = 2 * N * a**2 / (a**2 + 2 * s**2)
    return np.asarray(freedom * a / chdtri(freedom, 0.975))


def _score_interval(
    D: FloatArray,
    error: FloatArray,
    variance: tuple[FloatArray, FloatArray, FloatArray],
    most: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the ends x of ``(D - x)^2 = 1.96^2 (A x^2 + B x + C)``, the upper no more than `most`.

    Of so few displacements that every large D is in it, the lower end is that by the error.
    """
    A, B, C = (NORMAL_95**2 * part for part in variance)
    root = np.sqrt(np.maximum((2 * D + B) ** 2 - 4 * (1 - A) * (D**2 - C), 0))
    bounded = A < _MOST_BENT
    low = np.where(bounded, (2 * D + B - root) / (2 * (1 - A)), D - NORMAL_95 * error)
    high = np.where(bounded, (2 * D + B + root) / (2 * (1 - A)), np.inf)
    highest = np.maximum(most, D + NORMAL_95 * error)
    return low, np.where(np.isfinite(D), np.minimum(high, highest), np.nan)

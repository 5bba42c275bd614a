"""The exact likelihood of fractional Brownian motion seen with noise and blur.

One axis has M(n) = 2 K B(n) + 2 sigma^2 at a lag of n time units, where B is the motion blurred by
the exposure; its displacements are Gaussian with the Toeplitz covariance gamma(k) =
(M(k + 1) + M(k - 1) - 2 M(k)) / 2, M(0) = 0. Divided by a = M(1) they depend on the exponent alpha
and on v, the part of a that is motion. With an unknown exposure B(n) = n^alpha. v may exceed 1, up
to where the spectrum at the highest frequency would vanish: an offset free in sign, so that no
estimate is pushed off a boundary.
"""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray, IntArray

# A track is cut into blocks of at most this many displacements: the cost grows with its square.
LONGEST_BLOCK = 256
# Displacements in a row that motion, noise and exponent need at the least.
SHORTEST_RUN = 3
ALPHA_BOUNDS = (0.02, 1.98)
_SERIES_FROM = 4.0
_SERIES_TERMS = 14
_SPECTRUM_TERMS = 129


def blurred_power_law(lag: FloatArray, alpha: float, exposure: float) -> FloatArray:
    """Return B(n), the MSD over 2 K of fractional Brownian motion averaged over each exposure.

    Parameters
    ----------
    lag : ndarray of float64
        Time units; 0 or at least `exposure`.
    alpha : float
        Exponent, in (0, 2).
    exposure : float
        In time units, from 0 (``lag ** alpha``) to 1.

    Notes
    -----
    ``[(n + e)^(a + 2) + |n - e|^(a + 2) - 2 n^(a + 2) - 2 e^(a + 2)] / (e^2 (a + 1)(a + 2))``
    (Savin & Doyle 2005, Biophys. J. 88, 623; Backlund, Joyner & Moerner 2015, Phys. Rev. E 91,
    062716). The differences cancel for small e / n: from n = 4 e on, their binomial series.
    """
    lag = np.asarray(lag, dtype=np.float64)
    if exposure == 0:
        return lag**alpha
    norm = (alpha + 1) * (alpha + 2)
    result = np.zeros_like(lag)
    near = (lag > 0) & (lag < _SERIES_FROM * exposure)
    t = lag[near] / exposure
    power = alpha + 2
    result[near] = (
        exposure**alpha * ((t + 1) ** power + np.abs(t - 1) ** power - 2 * t**power - 2) / norm
    )
    far = lag >= _SERIES_FROM * exposure
    ratio = (exposure / lag[far]) ** 2
    series = np.ones_like(ratio)
    coefficient, term = 1.0, np.ones_like(ratio)
    for j in range(2, _SERIES_TERMS):
        # Binomial(a + 2, 2 j), over half of (a + 1)(a + 2).
        coefficient *= (power - 2 * j + 2) * (power - 2 * j + 1) / ((2 * j - 1) * (2 * j))
        term = term * ratio
        series += coefficient * term
    result[far] = lag[far] ** alpha * series - 2 * exposure**alpha / norm
    return result


def largest_motion_part(alpha: float, exposure: float) -> float:
    """Return the v at which the spectrum at the highest frequency vanishes.

    That spectrum is 2 for the noise and, without exposure, ``8 sin(pi H) Gamma(2 H + 1)
    pi^(-2 H - 1) (1 - 2^(-2 H - 1)) zeta(2 H + 1)``, H = alpha / 2, for the motion (Beran 1994,
    Statistics for Long-Memory Processes); with exposure it is the alternating sum of the
    covariance.
    """
    from scipy.special import gamma, zeta

    if exposure == 0:
        h = alpha + 1
        spectrum = 8 * np.sin(np.pi * alpha / 2) * gamma(h) * np.pi**-h * (1 - 2**-h) * zeta(h)
    else:
        covariance = normalised_covariance(_SPECTRUM_TERMS, alpha, 1.0, exposure)
        sums = 2 * np.cumsum(covariance * (-1.0) ** np.arange(_SPECTRUM_TERMS)) - 1
        # Partial sums of an alternating series lie to both sides of its limit.
        spectrum = float(sums[-1] + 2 * sums[-2] + sums[-3]) / 4
    return float(2 / (2 - spectrum)) if spectrum < 2 else float("inf")


def normalised_covariance(n: int, alpha: float, v: float, exposure: float) -> FloatArray:
    """Return gamma(k) / a for k from 0 to n - 1."""
    B = blurred_power_law(np.arange(n + 1, dtype=np.float64), alpha, exposure)
    M = v * B / B[1] + (1 - v)
    M[0] = 0
    gamma = np.empty(n)
    gamma[0] = 1.0
    gamma[1:] = (M[2:] + M[:-2] - 2 * M[1:-1]) / 2
    return gamma


@dataclass(frozen=True)
class Blocks:
    """Gap-free pieces of tracks, grouped by length.

    Attributes
    ----------
    displacement : list of ndarray of float64, shape (longest of the group, columns)
        One column a block and axis, padded with zeros.
    length : list of ndarray of int64, shape (columns,)
    owner : list of ndarray of int64, shape (columns,)
        Particle of each column.
    size : ndarray of float64, shape (particles,)
        Measured numbers of each particle: two axes times its displacements.
    """

    displacement: list[FloatArray]
    length: list[IntArray]
    owner: list[IntArray]
    size: FloatArray

    @property
    def longest(self) -> int:
        """Displacements of the longest block."""
        return max(len(group) for group in self.displacement)


def blocks_of(steps: Steps, longest: int = LONGEST_BLOCK) -> Blocks:
    """Cut tracks at their gaps, and long ones into equal blocks of at most `longest`."""
    subtrack = np.repeat(np.arange(len(steps.owner)), np.diff(steps.start))
    unit = steps.gap == 1
    fresh = np.ones(len(unit), dtype=bool)
    fresh[1:] = (np.diff(subtrack) != 0) | ~unit[:-1]
    run = (np.cumsum(fresh) - 1)[unit]
    _, run, run_length = np.unique(run, return_inverse=True, return_counts=True)
    place = np.arange(len(run)) - np.repeat(np.cumsum(run_length) - run_length, run_length)
    parts = -(-run_length // longest)
    piece = place * parts[run] // run_length[run]
    block = np.concatenate([[0], np.cumsum(parts)[:-1]])[run] + piece
    length = np.bincount(block)
    owner = steps.owner[subtrack[unit]][np.cumsum(length) - length]
    row = np.arange(len(block)) - np.repeat(np.cumsum(length) - length, length)
    displacement = steps.displacement[unit]

    groups: list[FloatArray] = []
    lengths: list[IntArray] = []
    owners: list[IntArray] = []
    upper = 0
    for bound in (8, 16, 32, 64, 128, 256, 512):
        chosen = np.flatnonzero((length > upper) & (length <= bound))
        upper = bound
        if not len(chosen):
            continue
        column = np.full(len(length), -1)
        column[chosen] = np.arange(len(chosen))
        member = column[block] >= 0
        padded = np.zeros((int(length[chosen].max()), 2, len(chosen)))
        padded[row[member], :, column[block[member]]] = displacement[member]
        groups.append(padded.reshape(len(padded), -1))
        lengths.append(np.tile(length[chosen], 2))
        owners.append(np.tile(owner[chosen], 2))
    count = np.bincount(steps.owner[subtrack[unit]], minlength=len(steps.particle))
    size = np.asarray(2 * count, dtype=np.float64)
    return Blocks(groups, lengths, owners, size)


def toeplitz_forms(
    blocks: Blocks, alpha: float, v: float, exposure: float
) -> tuple[FloatArray, FloatArray] | None:
    """Return x' C^-1 x and log det C of each particle, or None where C is not positive definite.

    The leading blocks of a Toeplitz matrix nest, and so do those of its Cholesky factor: one
    factor serves blocks of all lengths.

    Returns
    -------
    form, log_determinant : ndarray of float64, shape (particles,)
    """
    from scipy.linalg import LinAlgError, cholesky, solve_triangular, toeplitz

    n = blocks.longest
    gamma = normalised_covariance(n, alpha, v, exposure)
    try:
        factor = cholesky(toeplitz(gamma), lower=True, check_finite=False)
    except LinAlgError:
        return None
    logs = 2 * np.cumsum(np.log(np.diag(factor)))
    form = np.zeros(len(blocks.size))
    log_determinant = np.zeros(len(blocks.size))
    for x, length, owner in zip(blocks.displacement, blocks.length, blocks.owner, strict=True):
        rows = len(x)
        white = solve_triangular(factor[:rows, :rows], x, lower=True, check_finite=False)
        white *= white
        white[np.arange(rows)[:, None] >= length] = 0
        form += np.bincount(owner, white.sum(0), minlength=len(form))
        log_determinant += np.bincount(owner, logs[length - 1], minlength=len(form))
    return form, log_determinant

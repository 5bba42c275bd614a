"""Covariance-based D (Vestergaard, Blainey & Flyvbjerg 2014, Phys. Rev. E 89, 022726)."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.tracks import FloatArray, Steps


@dataclass(frozen=True)
class CovarianceFit:
    """Estimates of one or many rows, in px^2 and time units.

    Attributes
    ----------
    D, s, standard_error : ndarray of float64, shape (rows,)
        D, half the offset of the MSD of one axis, and the standard error of D for particles that
        are alike. D may be negative: it is not bounded, so that it is not biased.
    """

    D: FloatArray
    s: FloatArray
    standard_error: FloatArray


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
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        square = sums[:, 0] / sums[:, 1]
        product = sums[:, 2] / sums[:, 3]
        N = sums[:, 1] / 2 / stride
        if R is not None and sigma is not None:
            D = (square - 2 * sigma**2) / (2 * (1 - 2 * R))
            s = sigma**2 - 2 * R * D
            # Variance of a mean square with the covariance a on the diagonal and -s beside it.
            variance = 2 * (square**2 + 2 * s**2) / N / (2 * (1 - 2 * R)) ** 2 / 2
        else:
            D = square / 2 + product
            s = -product
            variance = ((6 * D**2 + 4 * s * D + 2 * s**2) / N + 4 * (D + s) ** 2 / N**2) / 2
    return CovarianceFit(D, s, np.sqrt(variance))

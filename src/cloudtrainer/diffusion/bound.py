"""The Cramer-Rao bound of D: what no estimator can do better than."""

import numpy as np
from numpy.typing import ArrayLike


def diffusion_bound(
    displacements: ArrayLike,
    D_um2_per_s: float,
    localisation_error_um: float,
    frame_interval_s: float,
    exposure_s: float = 0.0,
) -> float:
    """Return the smallest standard error of D that unbiased estimation from tracks allows.

    D and the localisation error are both unknown. The displacements of one axis of a track are
    Gaussian; a sine transform makes their covariance diagonal, with the eigenvalues 2 D dt +
    2 s (1 - cos(k pi / (N + 1))), s = sigma^2 - 2 R D dt, R = t_exp / (6 dt) (Berglund 2010,
    Phys. Rev. E 82, 011917; Michalet & Berglund 2012, Phys. Rev. E 85, 061916).

    Parameters
    ----------
    displacements : array_like of int
        Displacements N of each track, without gaps.
    D_um2_per_s : float
        Diffusion coefficient, um^2/s.
    localisation_error_um : float
        Localisation error per axis, um.
    frame_interval_s, exposure_s : float
        Times in seconds.

    Returns
    -------
    float
        Standard error in um^2/s, for two dimensions.
    """
    dt = frame_interval_s
    s = localisation_error_um**2 - 2 * exposure_s / (6 * dt) * D_um2_per_s * dt
    information = np.zeros((2, 2))
    for number, tracks in zip(*np.unique(displacements, return_counts=True), strict=True):
        if number < 1:
            continue
        by_s = 2 * (1 - np.cos(np.arange(1, number + 1) * np.pi / (number + 1)))
        by_D = np.full(number, 2 * dt)
        slope = np.stack([by_D, by_s]) / (by_D * D_um2_per_s + by_s * s)
        # Half the sum for each of the two axes.
        information += tracks * (slope @ slope.T)
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))

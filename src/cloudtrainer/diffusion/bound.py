"""The Cramer-Rao bound of D: what no estimator can do better than."""

import numpy as np
from numpy.typing import ArrayLike

from cloudtrainer.arguments import number, shown
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.errors import ConfigError

_MOST_DISPLACEMENTS = 100_000


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

    Raises
    ------
    CalibrationError
        A time is not positive, or the exposure is longer than the frame interval.
    ConfigError
        Another number cannot be, or no track has two displacements.
    """
    Calibration(frame_interval_s, None, exposure_s)
    D_um2_per_s = number("D_um2_per_s", D_um2_per_s, "um^2/s", above=True)
    number("localisation_error_um", localisation_error_um, "um")
    try:
        counts = np.asarray(displacements, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        counts = np.array([np.nan])
    if not np.isin(counts, np.arange(_MOST_DISPLACEMENTS + 1)).all() or not (counts > 1).any():
        raise ConfigError(
            f"displacements is {shown(displacements)}: give the whole numbers of displacements of "
            f"the tracks, {_MOST_DISPLACEMENTS:,} at most, one of them 2 or more"
        )
    dt = frame_interval_s
    s = localisation_error_um**2 - 2 * exposure_s / (6 * dt) * D_um2_per_s * dt
    information = np.zeros((2, 2))
    for count, tracks in zip(*np.unique(counts.astype(np.int64), return_counts=True), strict=True):
        if count < 1:
            continue
        by_s = 2 * (1 - np.cos(np.arange(1, count + 1) * np.pi / (count + 1)))
        by_D = np.full(count, 2 * dt)
        slope = np.stack([by_D, by_s]) / (by_D * D_um2_per_s + by_s * s)
        # Half the sum for each of the two axes.
        information += tracks * (slope @ slope.T)
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))

"""How far particles get in their cages, and how fast directed ones are, in calibrated units."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.motion_decision import LEVEL
from cloudtrainer.diffusion.motion_fit import MotionFits
from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray


@dataclass(frozen=True)
class Lengths:
    """Radii and speeds with their standard errors, in calibrated units; NaN where there are none.

    Each of shape (rows,).
    """

    confinement_radius: FloatArray
    confinement_radius_error: FloatArray
    speed: FloatArray
    speed_error: FloatArray


def lengths_of(
    fits: MotionFits,
    model: np.ndarray,
    p_immobile: FloatArray,
    size: FloatArray,
    steps: Steps,
    calibration: Calibration,
) -> Lengths:
    """Return radii where the motion is confined and speeds where it is directed.

    Parameters
    ----------
    fits : MotionFits
    model : ndarray of str, shape (rows,)
        Kind of motion of each row.
    p_immobile : ndarray, shape (rows,)
        p-value of D = 0.
    size : ndarray, shape (rows,)
        Measured numbers of each row.
    steps : Steps
    calibration : Calibration
    """
    half = fits.rate * (calibration.exposure_fraction(steps.stride) or 0.0) / 2
    # Positions averaged over an exposure forget by the same factor, from a larger variance.
    with np.errstate(invalid="ignore", divide="ignore"):
        blur = np.where(half > 0, np.sinh(half) / half, 1.0)
    radius = 2 * np.sqrt(fits.well_variance) / blur
    error = radius * fits.well_error / 2
    sigma = calibration.localisation_error_px
    if sigma is not None:
        # Confined without a visible rate: what the positions scatter beyond their error.
        rattling = p_immobile >= LEVEL
        beyond = np.sqrt(np.maximum(fits.noise_variance - sigma**2, 0))
        with np.errstate(divide="ignore"):
            spread = fits.noise_variance * np.sqrt(2 / size) / beyond
        radius = np.where(rattling, 2 * beyond, radius)
        error = np.where(rattling, spread, error)
    confined, directed = model == "confined", model == "directed"
    length = calibration.length
    speed_unit = length / (calibration.time * steps.stride)
    return Lengths(
        confinement_radius=np.where(confined, radius * length, np.nan),
        confinement_radius_error=np.where(confined, error * length, np.nan),
        speed=np.where(directed, fits.speed * speed_unit, np.nan),
        speed_error=np.where(directed, fits.speed_error * speed_unit, np.nan),
    )

"""The Cramer-Rao bound of a spot's position: what no detector can do better than."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from cloudtrainer.arguments import number
from cloudtrainer.errors import ConfigError

_BOUND_CHUNK = 256


def localisation_bound_px(
    photons: ArrayLike,
    sigma_px: ArrayLike,
    background_photons: ArrayLike,
    read_noise: float = 0.0,
) -> NDArray[np.float64]:
    """Compute the Cramer-Rao bound of the position of one Gaussian spot, per axis.

    The Fisher information of position, amplitude and background (all four unknown) is summed over
    the pixels, each the integral of the spot over its square (Smith et al. 2010, Nature Methods
    7:373, eqs. 3-10; Ober et al. 2004, Biophys. J. 86:1185). Read noise is added to the variance
    of each pixel (Huang et al. 2013, Nature Methods 10:653). The variance is averaged over where
    in its pixel the spot sits.

    Parameters
    ----------
    photons
        Photons of the whole spot (its integral, not its peak).
    sigma_px
        Standard deviation of the Gaussian before integration over pixels, pixels.
    background_photons
        Photons of background a pixel.
    read_noise
        Standard deviation of the camera's noise, electrons a pixel.

    Returns
    -------
    numpy.ndarray
        Smallest standard deviation of an unbiased x (or y), pixels; the shape is that to which
        the three arguments broadcast.

    Raises
    ------
    ConfigError
        When photons or sigma are not positive, or background or read noise are negative.
    """
    read_noise = number("read_noise", read_noise, "electrons")
    try:
        n, s, b = np.broadcast_arrays(
            *(
                np.asarray(given, dtype=np.float64)
                for given in (photons, sigma_px, background_photons)
            )
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(
            "photons, sigma_px and background_photons must be numbers, of one shape or single: "
            f"{error}"
        ) from None
    known = np.isfinite(n) & np.isfinite(s) & np.isfinite(b)
    if not (np.all(known) and np.all(n > 0) and np.all(s > 0) and np.all(b >= 0)):
        raise ConfigError(
            "photons and sigma_px must be positive, background_photons and read_noise at least 0."
        )
    bound = np.empty(n.size)
    for start in range(0, n.size, _BOUND_CHUNK):
        part = slice(start, start + _BOUND_CHUNK)
        bound[part] = _bound(n.ravel()[part], s.ravel()[part], b.ravel()[part], read_noise)
    return bound.reshape(n.shape)


def _bound(
    n: NDArray[np.float64], s: NDArray[np.float64], b: NDArray[np.float64], read_noise: float
) -> NDArray[np.float64]:
    half = int(np.ceil(5 * s.max())) + 1
    centres = np.arange(-half, half + 1, dtype=np.float64)
    # The bound is even in both coordinates and symmetric in their exchange.
    positions = [
        (i, j)
        for i in (0.0625, 0.1875, 0.3125, 0.4375)
        for j in (0.0625, 0.1875, 0.3125, 0.4375)
        if j <= i
    ]
    variance = np.zeros(n.size)
    weight = 0.0
    for cx, cy in positions:
        times = 1.0 if cx == cy else 2.0
        gx, dgx = _pixel_profile(centres - cx, s)
        gy, dgy = _pixel_profile(centres - cy, s)
        shape = (n.size, centres.size**2)
        spot = (gy[:, :, None] * gx[:, None, :]).reshape(shape)
        gradient = np.stack(
            [
                n[:, None] * (gy[:, :, None] * dgx[:, None, :]).reshape(shape),
                n[:, None] * (dgy[:, :, None] * gx[:, None, :]).reshape(shape),
                # Amplitude and background as fractions keep the matrix well conditioned.
                n[:, None] * spot,
                np.broadcast_to(np.sqrt(n)[:, None], shape),
            ],
            axis=1,
        )
        # A pixel expects at least a trace of light, so that a dark one far out does not divide 0/0.
        expected = np.maximum(n[:, None] * spot + b[:, None] + read_noise**2, 1e-12)
        information = np.einsum("pak,pbk,pk->pab", gradient, gradient, 1 / expected, optimize=True)
        covariance = np.linalg.inv(information)
        variance += times * (covariance[:, 0, 0] + covariance[:, 1, 1]) / 2
        weight += times
    result: NDArray[np.float64] = np.sqrt(variance / weight)
    return result


def _pixel_profile(
    distance: NDArray[np.float64], s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate a unit Gaussian over pixels, and differentiate by its centre: shapes (spots, n)."""
    low, high = (distance - 0.5) / s[:, None], (distance + 0.5) / s[:, None]
    area = 0.5 * (erf(high / np.sqrt(2)) - erf(low / np.sqrt(2)))
    slope = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / (np.sqrt(2 * np.pi) * s[:, None])
    return area, slope

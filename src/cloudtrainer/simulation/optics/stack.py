"""The image of one particle at every height: computed once for a microscope and a particle."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import j1

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.deeptrack2 import SIDES, point_image, sphere_fields

# Between planes so far apart, in radians of the phase by which the steepest ray in the aperture
# runs away from the axis, a cubic spline is right to 0.1% of the peak.
_PHASE_STEP = 0.7
_FEWEST_PLANES = 5
# Farther out than where the light, or the field, of every plane is below this share of its peak,
# it counts as 0.
_FAINTEST = 1e-3
_FARTHEST_POINTS = 180
_TAPER = 0.15

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DefocusStack:
    """What one particle sends to the camera, in planes of different height.

    Attributes
    ----------
    planes : ndarray
        float32, (heights, parts, side, side), the particle at the middle of the odd side. One part
        is the light of an incoherent image; its sum over a plane is that of the points in a pixel,
        so that the pixels add up to 1. Two parts are real and imaginary part of a coherent field:
        in brightfield relative to the lamp's, in darkfield such that its square adds up to 1.
    heights_um : ndarray
        Heights of the particle over the focal plane, float64, (heights,), evenly spaced.
    samples : int
        Points along a camera pixel.
    """

    planes: NDArray[np.float32]
    heights_um: _Floats
    samples: int

    @property
    def coherent(self) -> bool:
        """Whether the planes are fields."""
        return len(self.planes[0]) == 2

    @property
    def reach(self) -> int:
        """Points from the particle to the end of its light."""
        return len(self.planes[0, 0]) // 2

    @property
    def width_px(self) -> float:
        """Standard deviation of the Gaussian as high as the sharpest plane, and as bright, px."""
        light = self.planes[:, 0] if not self.coherent else (self.planes**2).sum(axis=1)
        sharpest = light[light.max(axis=(1, 2)).argmax()]
        return math.sqrt(float(sharpest.sum() / sharpest.max()) / (2 * math.pi)) / self.samples

    def components(self, tolerance: float) -> tuple[NDArray[np.float32], _Floats]:
        """Write every plane as a sum of a few images: a singular value decomposition.

        Parameters
        ----------
        tolerance : float
            Largest error of a point of any plane, over the largest value of all planes.

        Returns
        -------
        images : ndarray
            float32, (components, parts, side, side).
        weights : ndarray
            float64, (heights, components).
        """
        flat = self.planes.reshape(len(self.planes), -1).astype(np.float64)
        # Of a few planes of many points; the other way around the matrix would be huge.
        _, vectors = np.linalg.eigh(flat @ flat.T)
        vectors = vectors[:, ::-1]
        most = tolerance * np.abs(flat).max()
        number, left = 0, flat
        while number == 0 or (number < len(flat) and np.abs(left).max() > most):
            vector = vectors[:, number]
            left = left - np.outer(vector, vector @ left)
            number += 1
        kept = vectors[:, :number]
        images = (kept.T @ flat).reshape(-1, *self.planes.shape[1:])
        return images.astype(np.float32), kept


def compute_stack(optics: OpticsSettings) -> DefocusStack:
    """Compute the stack of a microscope and a particle with DeepTrack2; this takes seconds.

    Fluorescent spheres are evenly filled: each is a pile of discs, whose images are that of a point
    at the disc's height, convolved with the disc.

    Parameters
    ----------
    optics : OpticsSettings
        The microscope, of another kind than gaussian.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed.
    """
    samples = optics.samples
    pitch_um = optics.pixel_size_um / samples
    side = _side(optics, pitch_um)
    heights = _heights(optics)
    if optics.kind == "fluorescence":
        planes = _fluorescence(optics, side, heights, pitch_um)[:, None] * samples**2
    else:
        planes = _fields(optics, side, heights)
        if optics.kind == "darkfield":
            planes *= samples / math.sqrt(float((planes[0].astype(float) ** 2).sum()))
    return DefocusStack(_cropped(planes), heights, samples)


def _side(optics: OpticsSettings, pitch_um: float) -> int:
    """Return the side of a grid that is wide enough for the blur, as DeepTrack2 likes it."""
    wanted = 4 * optics.blur_um / pitch_um
    return next((side for side in SIDES if side >= wanted), SIDES[-1])


def _heights(optics: OpticsSettings) -> _Floats:
    low, high = optics.defocus_um.low, optics.defocus_um.high
    if low == high:
        return np.array([low])
    planes = math.ceil((high - low) / _height_step_um(optics)) + 1
    return np.linspace(low, high, max(planes, _FEWEST_PLANES))


def _height_step_um(optics: OpticsSettings) -> float:
    index, aperture = optics.refractive_index_medium, optics.numerical_aperture
    wave_number = 2 * math.pi * index / (optics.wavelength_nm / 1000)
    return _PHASE_STEP / (wave_number * (1 - math.sqrt(1 - (aperture / index) ** 2)))


def _fluorescence(
    optics: OpticsSettings, side: int, heights: _Floats, pitch_um: float
) -> NDArray[np.float32]:
    radius = optics.particle_radius_um
    step = _height_step_um(optics)
    grid, spectra = _point_spectra(optics, side, heights[0] - radius, heights[-1] + radius)
    discs = 1 if radius == 0 else math.ceil(2 * radius / step) + 3
    nodes, shares = np.polynomial.legendre.leggauss(discs)
    shares = shares * (1 - nodes**2)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) / pitch_um
    planes = np.zeros((len(heights), side, side), np.float32)
    for plane, height in zip(planes, heights, strict=True):
        spectrum = np.zeros_like(spectra[0])
        for node, share in zip(nodes, shares / shares.sum(), strict=True):
            # A spline is linear in its values: this is what each of them adds.
            adds = CubicSpline(grid, np.eye(len(grid)))(height + radius * node)
            own = np.tensordot(adds, spectra, axes=1)
            spectrum += share * own * _disc(frequency, radius * math.sqrt(1 - node**2))
        plane[:] = np.fft.fftshift(np.fft.irfft2(spectrum, (side, side)))
    return planes


def _point_spectra(
    optics: OpticsSettings, side: int, low_um: float, high_um: float
) -> tuple[_Floats, NDArray[np.complex64]]:
    """Return heights and the spectra of a point's images there, the point at the first pixel."""
    step = min(_height_step_um(optics), max(high_um - low_um, 0.1) / (_FEWEST_PLANES - 1))
    numbers = np.arange(math.floor(low_um / step) - 1, math.ceil(high_um / step) + 2)
    # Without aberrations the image is the same above and below the focal plane.
    images = {
        number: np.fft.rfft2(np.fft.ifftshift(point_image(optics, side, number * step)))
        for number in np.unique(np.abs(numbers))
    }
    spectra = np.stack([images[abs(number)] for number in numbers])
    return np.asarray(numbers * step, np.float64), spectra.astype(np.complex64)


def _disc(frequency: _Floats, radius_um: float) -> _Floats:
    """Return the Fourier transform of an even disc of integral 1: 2 J1(v) / v, v = 2 pi f r."""
    v = np.maximum(2 * math.pi * frequency * radius_um, 1e-6)
    return np.asarray(2 * j1(v) / v)


def _fields(optics: OpticsSettings, side: int, heights: _Floats) -> NDArray[np.float32]:
    planes = np.zeros((len(heights), 2, side, side), np.float32)
    for plane, field in zip(planes, sphere_fields(optics, side, heights), strict=True):
        plane[0], plane[1] = field.real, field.imag
    return planes


def _cropped(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off what counts as 0, and lead the rest down to 0 at the border."""
    middle = planes.shape[-1] // 2
    offsets = np.arange(planes.shape[-1]) - middle
    distance = np.hypot(offsets[:, None], offsets)
    strength = np.sqrt((planes**2).sum(axis=1)).max(axis=0)
    lit = distance[strength > _FAINTEST * strength.max()].max()
    reach = min(math.ceil((lit + 2) / (1 - _TAPER)), _FARTHEST_POINTS, middle - 2)
    inner = slice(middle - reach, middle + reach + 1)
    edge = np.clip((distance[inner, inner] / reach - (1 - _TAPER)) / _TAPER, 0, 1)
    return np.ascontiguousarray(
        planes[..., inner, inner] * (np.cos(math.pi / 2 * edge) ** 2).astype(np.float32)
    )

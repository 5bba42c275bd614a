"""A microscope in use: places particles at any position and height, and images them in batches.

Particles are added up in Fourier space, where placing one exactly is a product: each is spread over
a few points of a grid with a Kaiser-Bessel window, the grid's spectrum is multiplied with that of
the particle's image, and the window is divided out ("gridding", the non-uniform fast Fourier
transform: Jackson et al. 1991, IEEE Trans. Med. Imaging 10:473; Greengard & Lee 2004, SIAM Rev.
46:443). The images of a particle at different heights are sums of a few components, so a handful of
transforms serves any number of particles, each at a height of its own.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.interpolate import CubicSpline
from torch import Tensor

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.cache import load_stack
from cloudtrainer.simulation.optics.stack import DefocusStack

# Of the largest value in the stack; left out are components that add less.
_TOLERANCE = 1e-3
_HEIGHTS_A_PLANE = 16
_PEAKS_A_PLANE = 4
# Points that a particle is spread over, and the window's shape: its error is below 1e-4 up to the
# highest frequency that the grid is used for.
_WINDOW = 8
_SHAPE = 14.8
_BYTES_AT_ONCE = 1 << 27


@dataclass(frozen=True)
class Placed:
    """Particles of a batch of images; every tensor has shape (images, particles).

    Attributes
    ----------
    x, y : Tensor
        Centres in pixels; the centre of the first pixel is (0, 0).
    height_um : Tensor
        Height over the focal plane; outside the stack's range the nearest end counts.
    strength : Tensor
        What the particle's light (fluorescence) or field (brightfield, darkfield) is multiplied
        by; 0 where a place is unused.
    """

    x: Tensor
    y: Tensor
    height_um: Tensor
    strength: Tensor


class Microscope:
    """The images of a stack's particle, wherever it is, on one device.

    Parameters
    ----------
    stack : DefocusStack
        The particle at every height.
    settings : OpticsSettings
        The settings that the stack was made for.
    device : torch.device
        Where to compute.
    """

    def __init__(self, stack: DefocusStack, settings: OpticsSettings, device: torch.device) -> None:
        images, weights = stack.components(_TOLERANCE)
        self.settings = settings
        self.device = device
        self.samples = stack.samples
        self.coherent = stack.coherent
        self._images = torch.from_numpy(images).to(device)
        self._heights = stack.heights_um
        self._weights = _fine(stack.heights_um, weights).to(device=device, dtype=torch.float32)
        self._spectra: dict[tuple[int, int], Tensor] = {}
        self.width_px = stack.width_px
        self.peaks = self._peaks()

    @property
    def reach_px(self) -> int:
        """Pixels from a particle to the end of its light."""
        return math.ceil(self._images.shape[-1] // 2 / self.samples)

    def peak_at(self, height_um: Tensor) -> Tensor:
        """Return the light of a particle where it differs most from the ground.

        Parameters
        ----------
        height_um : Tensor
            Heights of particles of strength 1 over the focal plane, of any shape.

        Returns
        -------
        Tensor
            Of the brightest pixel, were the particle at its middle. In brightfield, of the pixel
            that differs most from the lamp's light, less that light: negative where it is darker.
        """
        return _at(height_um.flatten(), self._heights, self.peaks[:, None]).view(height_um.shape)

    def _peaks(self) -> Tensor:
        number = max(1, (len(self._heights) - 1) * _PEAKS_A_PLANE + 1)
        heights = torch.linspace(
            float(self._heights[0]), float(self._heights[-1]), number, device=self.device
        )[:, None]
        blur_px = self.settings.blur_um / self.settings.pixel_size_um
        middle = min(math.ceil(blur_px + 4 * self.width_px) + 1, self.reach_px)
        ones = torch.ones_like(heights)
        placed = Placed(middle * ones, middle * ones, heights, ones)
        size = 2 * middle + 1
        light = self.light(placed, size, size, margin_px=middle).flatten(1)
        self._spectra.clear()
        light = light - 1.0 if self.settings.kind == "brightfield" else light
        return light.gather(1, light.abs().argmax(dim=1, keepdim=True))[:, 0]

    def light(
        self, placed: Placed, height: int, width: int, margin_px: int | None = None
    ) -> Tensor:
        """Return what the camera sees of particles, without the noise.

        A pixel's value is the mean light over its sensitive area, a square of ``pixel_fill`` of its
        side.

        Parameters
        ----------
        placed : Placed
            Particles of each image, on the device of the microscope.
        height, width : int
            Size of an image in pixels.
        margin_px : int, optional
            What is computed around an image; default: all that particles outside it reach into it
            from. Light that leaves a narrower margin comes back on the other side of it.

        Returns
        -------
        Tensor
            float32, (images, height, width). Fluorescence: intensities, for particles of strength
            1 with a sum of 1. Darkfield: the same, for a strength of 1 and a particle apart.
            Brightfield: relative to the lamp's light, 1 where no particle is.
        """
        margin = self.reach_px if margin_px is None else min(margin_px, self.reach_px)
        sides = [
            next_fast_len((length + 2 * margin) * self.samples, real=True)
            for length in (height, width)
        ]
        spectra = self._spectra_for(*sides)
        at_once = max(1, _BYTES_AT_ONCE // (4 * len(spectra) * sides[0] * sides[1]))
        parts = []
        for first in range(0, len(placed.x), at_once):
            some = Placed(**{n: v[first : first + at_once] for n, v in vars(placed).items()})
            canvas = self._canvas(some, spectra, margin, sides)
            rows, columns = (
                slice(margin * self.samples, (margin + length) * self.samples, self.samples)
                for length in (height, width)
            )
            parts.append(canvas[:, rows, columns])
        return torch.cat(parts).contiguous()

    def _canvas(self, placed: Placed, spectra: Tensor, margin: int, sides: list[int]) -> Tensor:
        """Return the light of images with their margins, at all points."""
        grids = self._spread(placed, margin, sides)
        whole = torch.zeros(
            (len(placed.x), *spectra.shape[1:]), dtype=spectra.dtype, device=self.device
        )
        for component, spectrum in enumerate(spectra):
            whole += torch.fft.rfft2(grids[..., component])[:, None] * spectrum
        parts: Tensor = torch.fft.irfft2(whole, s=sides)
        if not self.coherent:
            return parts[:, 0].clamp(min=0)
        lamp = 1.0 if self.settings.kind == "brightfield" else 0.0
        light: Tensor = (lamp + parts[:, 0]).square() + parts[:, 1].square()
        if self.settings.pixel_fill == 0:
            return light
        light = torch.fft.irfft2(torch.fft.rfft2(light) * self._pixel(*sides), s=sides)
        return light.clamp(min=0)

    def _spread(self, placed: Placed, margin: int, sides: list[int]) -> Tensor:
        """Spread the particles' weights over grids, (images, rows, columns, components)."""
        images = len(placed.x)
        grid = torch.zeros(
            (images * sides[0] * sides[1], self._weights.shape[1]), device=self.device
        )
        edge = margin * self.samples
        column, row = placed.x * self.samples + edge, placed.y * self.samples + edge
        seen = (placed.strength != 0) & (row > -1) & (row < sides[0])
        image, place = torch.nonzero(seen & (column > -1) & (column < sides[1]), as_tuple=True)
        if len(image) == 0:
            return grid.view(images, *sides, -1)
        rows, down = _window(row[image, place], sides[0])
        columns, across = _window(column[image, place], sides[1])
        weights = _at(placed.height_um[image, place], self._heights, self._weights)
        weights = weights * placed.strength[image, place, None]
        values = (down[:, :, None] * across[:, None, :]).flatten(1)[:, :, None] * weights[:, None]
        index = (image[:, None, None] * sides[0] + rows[:, :, None]) * sides[1]
        index = index + columns[:, None, :]
        grid.index_add_(0, index.flatten(), values.flatten(0, 1))
        return grid.view(images, *sides, -1)

    def _spectra_for(self, rows: int, columns: int) -> Tensor:
        """Return the components' spectra on a grid, (components, parts, rows, columns // 2 + 1)."""
        key = (rows, columns)
        if key not in self._spectra:
            reach = self._images.shape[-1] // 2
            offsets = torch.arange(-reach, reach + 1, device=self.device)
            index = (offsets % rows)[:, None] * columns + offsets % columns
            folded = torch.zeros(
                (*self._images.shape[:2], rows * columns), device=self.device
            ).index_add_(2, index.flatten(), self._images.flatten(2))
            spectra = torch.fft.rfft2(folded.view(*folded.shape[:2], rows, columns))
            window = _window_spectrum(rows)[:, None] * _window_spectrum(columns)[: columns // 2 + 1]
            spectra = spectra / window.to(self.device)
            if not self.coherent:
                spectra = spectra * self._pixel(rows, columns)
            self._spectra[key] = spectra
        return self._spectra[key]

    def _pixel(self, rows: int, columns: int) -> Tensor:
        """Return the Fourier transform of a pixel's sensitive area, (rows, columns // 2 + 1)."""
        width = self.settings.pixel_fill * self.samples
        down = torch.sinc(width * torch.fft.fftfreq(rows, device=self.device))
        return down[:, None] * torch.sinc(width * torch.fft.rfftfreq(columns, device=self.device))


@lru_cache(maxsize=8)
def _microscope(settings: str, device: str) -> Microscope:
    optics = OpticsSettings.model_validate_json(settings)
    return Microscope(load_stack(optics), optics, torch.device(device))


def microscope_for(optics: OpticsSettings, device: torch.device) -> Microscope:
    """Return the microscope of these settings on a device; the last few are kept in memory.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed.
    """
    return _microscope(optics.model_dump_json(), str(device))


def _at(height_um: Tensor, heights_um: np.ndarray, table: Tensor) -> Tensor:
    """Read a table of evenly spaced heights, (heights, columns), as (particles, columns)."""
    last = len(table) - 1
    if last == 0:
        return table.expand(len(height_um), -1)
    low, high = float(heights_um[0]), float(heights_um[-1])
    place = ((height_um - low) / (high - low) * last).clamp(0, last)
    before = place.floor().clamp(max=last - 1).long()
    share = (place - before)[:, None]
    return (1 - share) * table[before] + share * table[before + 1]


def _fine(heights_um: np.ndarray, weights: np.ndarray) -> Tensor:
    """Interpolate weights by a cubic spline to planes so close that a straight line will do."""
    if len(heights_um) == 1:
        return torch.from_numpy(weights)
    number = (len(heights_um) - 1) * _HEIGHTS_A_PLANE + 1
    fine = np.linspace(heights_um[0], heights_um[-1], number)
    return torch.from_numpy(CubicSpline(heights_um, weights)(fine))


def _window(places: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the points that particles are spread over, and the shares, (particles, points)."""
    first = torch.floor(places).long() - _WINDOW // 2 + 1
    points = first[:, None] + torch.arange(_WINDOW, device=places.device)
    squared = 1 - ((points - places[:, None]) / (_WINDOW / 2)) ** 2
    shares = torch.special.i0(_SHAPE * squared.clamp(min=0).sqrt()) * (squared >= 0)
    return points % side, shares / math.sinh(_SHAPE) * _SHAPE


def _window_spectrum(side: int) -> Tensor:
    """Return the window's Fourier transform at a grid's frequencies, (side,)."""
    argument = (np.pi * _WINDOW * np.fft.fftfreq(side)) ** 2
    root = np.sqrt((_SHAPE**2 - argument).astype(complex))
    transform = _WINDOW * np.real(np.sinh(root) / root) / math.sinh(_SHAPE) * _SHAPE
    return torch.from_numpy(transform).float()

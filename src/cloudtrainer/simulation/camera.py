"""What a camera makes of light: photon noise, read noise, a fixed pattern, steps, saturation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.config import CameraSettings

# Widths of the bumps of an uneven background.
_BUMPS_PX = (64, 32, 16, 8, 4)


@dataclass(frozen=True)
class FixedPattern:
    """How the pixels of one camera differ: the same in every frame.

    Attributes
    ----------
    gain : Tensor
        Gain of each pixel over their mean, (..., height, width).
    offset : Tensor
        Offset of each pixel from their mean, electrons, (..., height, width).
    """

    gain: Tensor
    offset: Tensor


@dataclass(frozen=True)
class Camera:
    """A camera whose pixels differ in gain and offset (Huang et al. 2013, Nat. Methods 10:653).

    A value may be a tensor of shape (images, 1, 1) or alike: then each image has a camera of its
    own.

    Attributes
    ----------
    gain : float
        Counts that an electron adds.
    offset : float
        Counts without light.
    read_noise : Tensor or float
        Standard deviation, electrons.
    gain_spread : Tensor or float
        Standard deviation of the pixels' gains over their mean (photo-response non-uniformity).
    offset_spread : Tensor or float
        Standard deviation of the pixels' offsets, electrons (dark-signal non-uniformity).
    full_well : float
        Electrons that a pixel holds at most.
    bits : int
        Bits of a count.
    """

    gain: float = 1.0
    offset: float = 0.0
    read_noise: Tensor | float = 0.0
    gain_spread: Tensor | float = 0.0
    offset_spread: Tensor | float = 0.0
    full_well: float = float("inf")
    bits: int = 16

    @classmethod
    def of(cls, settings: CameraSettings) -> "Camera":
        """Return the camera of these settings."""
        return cls(**settings.model_dump())

    def draw_pattern(
        self, shape: tuple[int, ...] | torch.Size, generator: torch.Generator
    ) -> FixedPattern:
        """Draw the pixels of a camera, of the shape of a frame or of one frame an image."""
        gain = 1 + self.gain_spread * _normal(shape, generator)
        return FixedPattern(gain.clamp(min=0), self.offset_spread * _normal(shape, generator))

    def expose(
        self, expected: Tensor, generator: torch.Generator, pattern: FixedPattern | None = None
    ) -> Tensor:
        """Take frames.

        A pixel's counts are ``gain * (gain of the pixel * electrons + offset of the pixel + read
        noise) + offset``, rounded and cut off at 0 and at the largest number of its bits. Where
        nothing is cut off, their variance is ``gain * (mean - offset) + (gain * read_noise)**2 +
        1/12``: the line of photon transfer (European Machine Vision Association, standard 1288).

        Parameters
        ----------
        expected : Tensor
            Expected electrons (detected photons) of each pixel, (..., height, width).
        generator : torch.Generator
            Source of the noise.
        pattern : FixedPattern, optional
            The camera's pixels; default: all are alike.

        Returns
        -------
        Tensor
            Counts, float32, whole numbers, of the shape of ``expected``.
        """
        electrons = photon_noise(expected, generator).clamp(max=self.full_well)
        if pattern is not None:
            electrons = electrons * pattern.gain + pattern.offset
        counts = self.gain * read_noise(electrons, self.read_noise, generator) + self.offset
        return counts.round().clamp(0, 2**self.bits - 1)


def photon_noise(expected: Tensor, generator: torch.Generator) -> Tensor:
    """Draw photon counts with the expected values, float32, of the same shape."""
    return torch.poisson(expected.clamp(min=0), generator=generator)


def read_noise(photons: Tensor, sd: Tensor | float, generator: torch.Generator) -> Tensor:
    """Add Gaussian read noise of standard deviation ``sd`` photons."""
    return photons + sd * _normal(photons.shape, generator)


def uneven_background(images: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw smooth random backgrounds between 0 and 1, (images, height, width).

    A random gradient and random bumps about 64, 32, 16, 8 and 4 px wide, each octave weaker than
    the one before: in some images by little, in others by so much that no fine bumps are seen.
    """
    device = generator.device
    roughness = 0.1 + 0.75 * torch.rand((images, 1, 1, 1), generator=generator, device=device)
    field = torch.zeros(images, 1, height, width, device=device)
    grids = [(2, 2)] + [
        (height // bump_px + 2, width // bump_px + 2)
        for bump_px in _BUMPS_PX
        if bump_px < max(height, width)
    ]
    for octave, cells in enumerate(grids):
        coarse = _normal((images, 1, *cells), generator)
        field += roughness**octave * torch.nn.functional.interpolate(
            coarse, size=(height, width), mode="bicubic", align_corners=True
        )
    low = field.amin(dim=(2, 3), keepdim=True)
    high = field.amax(dim=(2, 3), keepdim=True)
    return ((field - low) / (high - low).clamp(min=1e-6))[:, 0]


def _normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, device=generator.device, generator=generator)

"""What a camera makes of light: photon noise, read noise, steps of the converter."""

import torch
from torch import Tensor


def photon_noise(expected: Tensor, generator: torch.Generator) -> Tensor:
    """Draw photon counts with the expected values, float32, of the same shape."""
    return torch.poisson(expected.clamp(min=0), generator=generator)


def read_noise(photons: Tensor, sd: Tensor | float, generator: torch.Generator) -> Tensor:
    """Add Gaussian read noise of standard deviation ``sd`` photons."""
    return photons + sd * _normal(photons.shape, generator)


def uneven_background(images: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw smooth random backgrounds between 0 and 1, (images, height, width).

    A random gradient and random bumps about a quarter, an eighth and a sixteenth of the frame wide,
    each octave weaker than the one before.
    """
    field = torch.zeros(images, 1, height, width, device=generator.device)
    for cells, weight in ((2, 1.0), (4, 0.6), (8, 0.3), (16, 0.1)):
        coarse = _normal((images, 1, cells, cells), generator)
        field += weight * torch.nn.functional.interpolate(
            coarse, size=(height, width), mode="bicubic", align_corners=True
        )
    low = field.amin(dim=(2, 3), keepdim=True)
    high = field.amax(dim=(2, 3), keepdim=True)
    return ((field - low) / (high - low).clamp(min=1e-6))[:, 0]


def _normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, device=generator.device, generator=generator)

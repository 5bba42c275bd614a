"""What the particles of some frames have in common: width, growth of the noise, brightness."""

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import Self

import torch
from torch import Tensor

# Brightness as the signal-to-noise ratio of a matched filter; any detector sees what is brighter.
BRIGHTNESS = torch.logspace(math.log10(2.5), math.log10(40.0), 20, dtype=torch.float64)

# Light never takes more than this share of the noise away (dark particles are fewer photons).
LEAST_VARIANCE = 0.25
_ALIKE_SPREAD, _ALIKE_MISFIT = 0.2, 0.03
_ALIKE_VARIANCE = (0.6, 1.6)


@dataclass(frozen=True)
class Population:
    """How many particles there are of each brightness.

    Attributes
    ----------
    density_px2 : tuple of float
        Particles a px² of each brightness in ``BRIGHTNESS``.
    variance : float
        Variance of the noise of the ground of the frames that this was measured on, counts².
    shared_noise : float
        Standard deviation of the noise at the scale of a particle, in that of neighbouring pixels;
        1 where the noise of each pixel is its own.
    excess : float
        Particles by their photons over those by the network.
    """

    density_px2: tuple[float, ...]
    variance: float
    shared_noise: float = 1.0
    excess: float = 1.0

    def alike(self, variance: Tensor) -> Tensor:
        """Return which frames have about the noise of those that this was measured on, bool."""
        low, high = _ALIKE_VARIANCE
        return (variance > low * self.variance) & (variance < high * self.variance)


@dataclass(frozen=True)
class Appearance:
    """How the particles of some frames look.

    Attributes
    ----------
    sigma_px : float
        Typical standard deviation of a spot, px.
    sigma_spread : float
        Standard deviation of the logarithm of the widths from particle to particle.
    gain : float
        Variance that a count of light adds, counts: the camera's counts a photon. Negative for
        dark particles, which are fewer photons.
    misfit : float
        What a spot differs from a Gaussian by, as a share of its squared signal-to-noise ratio.
    population : Population or None
        How many there are of each brightness; None where the photons cannot tell.
    """

    sigma_px: float
    sigma_spread: float
    gain: float
    misfit: float
    population: Population | None = None

    @property
    def gaussian(self) -> bool:
        """Whether spots are close enough to a Gaussian for what is dim to be read as one."""
        return self.misfit < _ALIKE_MISFIT

    @property
    def tells_pairs(self) -> bool:
        """Whether spots are so alike that what looks different is likely two of them.

        Rings, and particles at many depths, are not.
        """
        return self.sigma_spread < _ALIKE_SPREAD and self.gaussian

    def without_population(self) -> Self:
        """Return the same appearance, by which doubtful spots are not weighed."""
        return replace(self, population=None)

    @classmethod
    def typical(cls, of: list[Self]) -> Self | None:
        """Return the median of several, without population; None of none, and one as it is."""
        if len(of) < 2:
            return of[0] if of else None
        numbers = ("sigma_px", "sigma_spread", "gain", "misfit")
        return cls(**{name: median(getattr(one, name) for one in of) for name in numbers})

    def variance(self, ground: Tensor, light: Tensor) -> Tensor:
        """Return the variance of pixels with a light on a ground of this variance, counts²."""
        return self.variance_of_ground(ground, light.clamp(min=0))

    def variance_of_ground(self, typical: Tensor, more: Tensor) -> Tensor:
        """Return the variance of a ground with so much more light than is typical, counts²."""
        grown = typical + self.gain * more
        return grown.maximum(LEAST_VARIANCE * typical)

"""What the particles of some frames have in common: their width, and how their noise grows."""

from dataclasses import dataclass
from statistics import median
from typing import Self

from torch import Tensor

# Light never takes more than this share of the noise away (dark particles are fewer photons).
_LEAST_VARIANCE = 0.25
_ALIKE_SPREAD, _ALIKE_MISFIT = 0.2, 0.03


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
    """

    sigma_px: float
    sigma_spread: float
    gain: float
    misfit: float

    @property
    def tells_pairs(self) -> bool:
        """Whether spots are so alike that what looks different is likely two of them.

        Rings, and particles at many depths, are not.
        """
        return self.sigma_spread < _ALIKE_SPREAD and self.misfit < _ALIKE_MISFIT

    @classmethod
    def typical(cls, of: list[Self]) -> Self | None:
        """Return the median of several; None of none."""
        if not of:
            return None
        return cls(**{name: median(getattr(one, name) for one in of) for name in vars(of[0])})

    def variance(self, ground: Tensor, light: Tensor) -> Tensor:
        """Return the variance of pixels with a light on a ground of this variance, counts²."""
        grown = ground + self.gain * light.clamp(min=0)
        return grown.maximum(_LEAST_VARIANCE * ground)

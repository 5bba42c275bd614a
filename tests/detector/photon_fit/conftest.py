"""Frames of Gaussian spots whose light is integrated over each pixel, and their true places."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.special import erf

from cloudtrainer.detector.photon_fit import Seen

BACKGROUND = 20.0


@dataclass(frozen=True)
class Film:
    """Counts and truth; ``places`` holds one array of x, y a frame."""

    counts: np.ndarray
    places: list[np.ndarray]
    gain: float

    @property
    def frames(self) -> torch.Tensor:
        return torch.as_tensor(self.counts, dtype=torch.float32)

    @property
    def variance(self) -> torch.Tensor:
        """Variance of the ground, counts²."""
        return torch.full((len(self.counts),), BACKGROUND * self.gain**2)

    def seen(self, rng: np.random.Generator | None = None, off_px: float = 0.2) -> Seen:
        """Return the true places, off by a little, as a network would see them."""
        rng = rng or np.random.default_rng(0)
        frame = np.repeat(np.arange(len(self.places)), [len(xy) for xy in self.places])
        xy = np.concatenate(self.places) + rng.normal(0, off_px, (len(frame), 2))
        x, y = torch.as_tensor(xy.T.copy(), dtype=torch.float32)
        full = torch.full_like
        return Seen(torch.as_tensor(frame), x, y, full(x, 0.3), full(x, 0.3), full(x, 0.9))

    @property
    def truth(self) -> np.ndarray:
        return np.concatenate(self.places)


def expected(
    places: np.ndarray, photons: float, sigma: float | np.ndarray, side: int
) -> np.ndarray:
    """Return the expected photons of a frame."""
    edges = np.arange(side + 1) - 0.5
    light = np.full((side, side), BACKGROUND)
    for (x, y), width in zip(places, np.broadcast_to(sigma, len(places)), strict=True):
        across = np.diff(erf((edges - x) / (width * np.sqrt(2)))) / 2
        down = np.diff(erf((edges - y) / (width * np.sqrt(2)))) / 2
        light += photons * np.outer(down, across)
    return light


@pytest.fixture
def film():
    """Make frames of spots 20 px apart on a shaken grid, or of given places."""

    def make(
        photons=1000.0, sigma=1.5, frames=4, side=240, gain=1.0, offset=0.0, places=None, seed=0
    ):
        rng = np.random.default_rng(seed)
        if places is None:
            grid = np.stack(np.meshgrid(*[np.arange(15, side - 14, 20.0)] * 2), -1).reshape(-1, 2)
            places = [grid + rng.uniform(-3, 3, grid.shape) for _ in range(frames)]
        counts = [offset + gain * rng.poisson(expected(xy, photons, sigma, side)) for xy in places]
        return Film(np.stack(counts).astype(float), list(places), gain)

    return make

"""Brownian motion, as a camera with an exposure sees it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Paths:
    """Positions of particles during the exposures of a video, in pixels.

    Attributes
    ----------
    x, y : ndarray
        float64, (frames, particles, moments): the moments of a frame are evenly spaced over its
        exposure and have equal weight.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean positions during each exposure, (frames, particles, 2) with x first.

        What a camera records of a moving particle is centred there.
        """
        return np.stack([self.x.mean(axis=2), self.y.mean(axis=2)], axis=-1)


def brownian_paths(
    start: NDArray[np.float64],
    frames: int,
    step_variance_px2: float,
    exposure_share: float,
    rng: np.random.Generator,
    moments: int = 8,
) -> Paths:
    """Move particles by Brownian motion and record where they are while the shutter is open.

    Parameters
    ----------
    start : ndarray
        Positions at the beginning of the first exposure, (particles, 2), pixels, x first.
    frames : int
        Number of frames.
    step_variance_px2 : float
        Variance of the displacement in one frame interval along one axis, 2 D dt, in px².
    exposure_share : float
        Exposure over frame interval, 0 (a strobe) to 1.
    rng : numpy.random.Generator
        Source of the steps.
    moments : int
        Moments at which the position is recorded within an exposure.

    Returns
    -------
    Paths
        Positions at the moments of every frame.
    """
    if exposure_share == 0:
        moments = 1
    # A moment stands for the middle of its slice of the exposure.
    slice_share = exposure_share / moments
    waits = np.full(moments, slice_share)
    waits[0] = 1 - (moments - 1) * slice_share
    sd = np.sqrt(step_variance_px2 * np.tile(waits, frames))
    steps = rng.standard_normal((frames * moments, len(start), 2)) * sd[:, None, None]
    steps[0] = 0
    places = start + np.cumsum(steps, axis=0)
    places = places.reshape(frames, moments, len(start), 2).transpose(0, 2, 1, 3)
    return Paths(x=places[..., 0], y=places[..., 1])

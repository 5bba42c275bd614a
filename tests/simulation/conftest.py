"""Videos of a known camera, made with NumPy alone."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from cloudtrainer.video import Video


@dataclass(frozen=True)
class Camera:
    """What films the particles of `film`: counts = gain * (photons + read noise) + offset."""

    gain: float = 2.0
    read_photons: float = 8.0
    offset: float = 0.0
    blur_px: float = 0.0
    dtype: type = np.uint16

    def variance(self, ground):
        """Return the true variance where there are ``ground`` counts."""
        return self.gain * (ground - self.offset) + (self.gain * self.read_photons) ** 2


def smooth_background(height=128, width=160, low=20.0, high=220.0):
    """Return photons of a light spot off the middle."""
    y, x = np.mgrid[:height, :width]
    distance = (x - 0.4 * width) ** 2 + (y - 0.6 * height) ** 2
    return low + (high - low) * np.exp(-distance / (2 * (0.35 * width) ** 2))


def film(camera, photons, frames=60, particles=30, dark=False, seed=0):
    """Film Gaussian particles that move 4 px a frame; return the video and the ground in counts."""
    rng = np.random.default_rng(seed)
    height, width = photons.shape
    y, x = np.mgrid[:height, :width]
    places = rng.uniform(0, 1, (particles, 2)) * [width, height]
    filmed = []
    for _ in range(frames):
        places = (places + rng.normal(0, 4, places.shape)) % [width, height]
        spots = np.zeros(photons.shape)
        for left, top in places:
            spots += np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * 1.6**2))
        light = photons * np.clip(1 - 0.7 * spots, 0, 1) if dark else photons + 250 * spots
        noise = rng.poisson(light) - light + rng.normal(0, camera.read_photons, light.shape)
        if camera.blur_px:
            kernel = np.exp(-0.5 * (np.arange(-6, 7) / camera.blur_px) ** 2)
            kernel /= np.sqrt((kernel**2).sum())
            noise = ndimage.convolve1d(ndimage.convolve1d(noise, kernel, 0), kernel, 1)
        filmed.append(camera.gain * (light + noise) + camera.offset)
    counts = np.array(filmed)
    if np.issubdtype(camera.dtype, np.integer):
        counts = np.clip(np.rint(counts), 0, np.iinfo(camera.dtype).max)
    return Video(counts.astype(camera.dtype)), camera.gain * photons + camera.offset


@pytest.fixture(name="Camera")
def camera_class():
    return Camera


@pytest.fixture(name="film")
def film_function():
    return film


@pytest.fixture(name="smooth_background")
def smooth_background_function():
    return smooth_background

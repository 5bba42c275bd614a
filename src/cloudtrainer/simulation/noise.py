"""The noise of a real video: measured where no particle is passing, and drawn again."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from cloudtrainer.simulation.camera import photon_noise, read_noise
from cloudtrainer.video import Video

_Floats = NDArray[np.float32]

_PAIRS = 30
_WINDOW_PX = 256
# Wide enough that the mean over a patch shows a particle that a single pixel's noise hides.
_PATCH_PX = 5
_BINS = 20
_LEAST_IN_BIN = 200
# As in `cloudtrainer.detector.normalise`: cancels any slope; the sum of its squares is 36.
_KERNEL = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
_BLUR_REACH_PX = 4
_WIDEST_BLUR_PX = 1.5


@dataclass(frozen=True)
class Noise:
    """Noise whose variance is ``gain * (counts - offset) + read_noise**2``.

    Attributes
    ----------
    gain : float
        Counts a photon; 0 where the noise does not depend on the intensity; negative in a video
        that was turned over, where more counts are fewer photons.
    offset : float
        Counts without light. Of a straight line only this or the read noise can be known: it is 0
        where the line allows it.
    read_noise : float
        Standard deviation of the noise that does not depend on the intensity, counts.
    blur_px : float
        Standard deviation of the Gaussian that the noise looks smoothed with; 0 where
        neighbouring pixels are independent.
    """

    gain: float
    offset: float
    read_noise: float
    blur_px: float

    def variance(self, counts: Tensor) -> Tensor:
        """Return the variance at intensities in counts, counts²."""
        return (self.gain * (counts - self.offset)).clamp(min=0) + self.read_noise**2

    @property
    def left_by_blur(self) -> float:
        """Share of a pixel's variance that the smoothing has left."""
        return float((_gaussian(self.blur_px) ** 2).sum() ** 2)

    def turned_over(self, highest: float) -> "Noise":
        """Return the noise of ``highest - counts``."""
        return replace(self, gain=0.0 - self.gain, offset=highest - self.offset)

    def add(self, expected: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to expected counts, (images, height, width)."""
        counts = expected
        if self.gain != 0:
            photons = ((expected - self.offset) / self.gain).clamp(min=0)
            expected = photons * self.gain + self.offset
            counts = photon_noise(photons, generator) * self.gain + self.offset
        counts = read_noise(counts, self.read_noise, generator)
        if self.blur_px == 0:
            return counts
        kernel = torch.as_tensor(_gaussian(self.blur_px), dtype=counts.dtype, device=counts.device)
        kernel = kernel / kernel.square().sum().sqrt()
        noise = functional.pad((counts - expected)[:, None], (_BLUR_REACH_PX,) * 4, "reflect")
        noise = functional.conv2d(noise, kernel[None, None, :, None])
        return expected + functional.conv2d(noise, kernel[None, None, None, :])[:, 0]


def measure_noise(
    video: Video,
    numbers: list[int],
    ground: _Floats,
    step: float,
    limits: tuple[float, float],
) -> Noise:
    """Measure the noise of a video from differences of consecutive frames.

    Where the variance does not grow with the intensity as that of photons does (compressed
    videos, even backgrounds), the noise is constant. Where consecutive frames are alike though
    pixels of one frame are not, it is that between neighbouring pixels.

    Parameters
    ----------
    video : Video
        The video.
    numbers : list of int
        Frames to begin pairs with; at most 30 of them are used.
    ground : ndarray
        The background, counts, (height, width).
    step : float
        Counts between neighbouring values of the video; 0 where there is only one value.
    limits : tuple of float
        Least and largest counts of the video: pixels cut off there show no noise.
    """
    pairs = [number for number in numbers if number < len(video) - 1]
    chosen = np.unique(np.linspace(0, len(pairs) - 1, _PAIRS).round().astype(int))
    pixels = _Pixels.of(video, [pairs[index] for index in chosen], ground, step)
    pixels = pixels.between(*limits)
    # Just below the largest value part of the noise is cut off, too.
    pixels = pixels.between(limits[0], limits[1] - 3 * pixels.temporal)
    # A codec that repeats what it takes for still leaves less noise between frames than in one.
    if pixels.temporal < 0.8 * pixels.spatial:
        return Noise(0.0, 0.0, pixels.spatial, 0.0)
    line = pixels.line()
    if line is None:
        return Noise(0.0, 0.0, pixels.temporal, pixels.blur_px())
    gain, constant = line
    offset = min(0.0, float(ground.min()))
    squared = constant + gain * offset
    if squared < 0:
        return Noise(gain, -constant / gain, 0.0, pixels.blur_px())
    return Noise(gain, offset, math.sqrt(squared), pixels.blur_px())


@dataclass(frozen=True)
class _Pixels:
    """Pixels of pairs of consecutive frames where no particle is passing; all of one length.

    ``intensity`` is the background, averaged over a patch so that its own noise does not sort the
    pixels; ``ground`` is the pixel's own. ``rough`` is the kernel's answer to the difference of
    the two frames, ``rough_one`` to the first frame without the background.
    """

    step: float
    intensity: _Floats
    ground: _Floats
    difference: _Floats
    rough: _Floats
    rough_one: _Floats

    @classmethod
    def of(cls, video: Video, numbers: list[int], ground: _Floats, step: float) -> "_Pixels":
        found = list(_calm_pixels(video, numbers, ground))
        return cls(step, *(np.concatenate(part) for part in zip(*found, strict=True)))

    def between(self, low: float, high: float) -> "_Pixels":
        """Return the pixels with a background between two counts; all if these are too few."""
        chosen = (self.ground > low) & (self.ground < high)
        if chosen.mean() < 0.05:
            return self
        arrays = {name: part[chosen] for name, part in vars(self).items() if name != "step"}
        return replace(self, **arrays)

    @property
    def temporal(self) -> float:
        """Standard deviation of a pixel, counts."""
        return math.sqrt(_variance(self.difference, self.step) / 2)

    @property
    def spatial(self) -> float:
        """Standard deviation that differences between neighbouring pixels show, counts."""
        return math.sqrt(_variance(self.rough_one, self.step / 6))

    def blur_px(self) -> float:
        """Return the smoothing that explains how alike the noise of neighbouring pixels is."""
        if self.temporal == 0:
            return 0.0
        widths = np.linspace(0.0, _WIDEST_BLUR_PX, 61)
        kernels = [_gaussian(float(width)) for width in widths]
        left = [
            float((np.convolve(kernel, [1, -2, 1]) ** 2).sum() / (kernel**2).sum() / 6)
            for kernel in kernels
        ]
        ratio = math.sqrt(_variance(self.rough, self.step / 6) / 2) / self.temporal
        width = float(np.interp(-ratio, [-share for share in left], widths))
        # White noise, too, gives a little less or more than exactly 0.
        return width if width > 0.35 else 0.0

    def line(self) -> tuple[float, float] | None:
        """Fit variance = gain * counts + constant; None if the variance does not grow so."""
        low, high = (float(end) for end in np.percentile(self.intensity, [1, 99]))
        edges = np.linspace(low, high, _BINS + 1)
        place = np.digitize(self.intensity, edges) - 1
        means, variances, weights = [], [], []
        for index in range(_BINS):
            chosen = place == index
            variance = _variance(self.difference[chosen], self.step) / 2
            if chosen.sum() >= _LEAST_IN_BIN and variance > 0:
                means.append(self.ground[chosen].mean(dtype=float))
                variances.append(variance)
                weights.append(math.sqrt(chosen.sum()) / variance)
        if len(means) < 5:
            return None
        (gain, constant), covariance = np.polyfit(means, variances, 1, w=weights, cov=True)
        least, most = gain * min(means) + constant, gain * max(means) + constant
        sensible = gain > 4 * math.sqrt(covariance[0, 0]) and 0 < 1.2 * least < most
        return (float(gain), float(constant)) if sensible else None


def _calm_pixels(
    video: Video, numbers: list[int], ground: _Floats
) -> Iterator[tuple[_Floats, ...]]:
    """Yield, of a window of each pair of frames, the pixels whose mean is near the background.

    The mean of two frames says nothing about the noise of their difference, so choosing by it
    leaves out particles and not noise.
    """
    rng = np.random.default_rng(0)
    smooth = ndimage.uniform_filter(ground, _PATCH_PX)
    any_lively = False
    for number in numbers:
        corner = [rng.integers(max(1, side - _WINDOW_PX + 1)) for side in ground.shape]
        rows, columns = (slice(start, start + _WINDOW_PX) for start in corner)
        pair = video.frames(number, number + 2)
        # Frames of a single value (dropped, or saturated) show no noise: the last resort.
        lively = bool(np.ptp(pair, axis=(1, 2)).all())
        any_lively |= lively
        if not lively and (any_lively or number != numbers[-1]):
            continue
        first, second = pair[:, rows, columns].astype(np.float32)
        own = ground[rows, columns]
        residual = (first + second) / 2 - own
        distance = np.abs(ndimage.uniform_filter(residual - np.median(residual), _PATCH_PX))
        calm = distance <= np.median(distance)
        difference = second - first
        # A lamp that flickers is not noise.
        difference -= difference[calm].mean()
        rough, rough_one = (ndimage.convolve(part, _KERNEL) for part in (difference, first - own))
        yield tuple(
            part[calm] for part in (smooth[rows, columns], own, difference, rough, rough_one)
        )


def _variance(values: _Floats, step: float) -> float:
    """Return the variance from the median absolute value, of values in steps around 0."""
    if len(values) == 0:
        return 0.0
    # Between two steps the median would jump; noise as wide as a step fills the gaps.
    rng = np.random.default_rng(0)
    spread = np.median(np.abs(values + step * (rng.random(len(values), np.float32) - 0.5)))
    return max(0.0, (1.4826 * float(spread)) ** 2 - step**2 / 12)


def _gaussian(width: float) -> NDArray[np.float64]:
    """Return a Gaussian at whole pixels whose sum is 1."""
    offsets = np.arange(-_BLUR_REACH_PX, _BLUR_REACH_PX + 1)
    kernel = np.exp(-0.5 * (offsets / max(width, 1e-3)) ** 2)
    return np.asarray(kernel / kernel.sum())

"""What a video shows without its particles: the still background, and light that comes and goes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

_ROWS_AT_ONCE = 1 << 22
# Light smoother than this is that of particles far out of focus, or of the lamp; px.
SLOW_PX = 10.0
_SPREAD_OF_SPIKES = 4.0


@dataclass(frozen=True)
class Background:
    """The median over the times at which no particle covers a pixel.

    Attributes
    ----------
    counts : ndarray
        float32, (height, width).
    never_free : float
        Share of the pixels that a particle covers in every frame; they are filled from around.
    frames : float
        Frames that the median of a typical pixel is taken over.
    """

    counts: Floats
    never_free: float
    frames: float


def free_median(frames: Floats, covered: NDArray[np.bool_]) -> Background:
    """Take the median of each pixel over the frames in which no particle covers it.

    So particles that hardly move leave no trace either, as long as they are found. Where a pixel is
    never free, the background around it is continued: the mean of near pixels, weighted by a
    Gaussian as wide as the gap.

    Parameters
    ----------
    frames : ndarray
        Counts, (frames, height, width).
    covered : ndarray
        Where particles are, bool, of the same shape.
    """
    count, height, width = frames.shape
    counts = np.empty((height, width), np.float32)
    free = (~covered).sum(axis=0)
    at_once = max(1, _ROWS_AT_ONCE // (count * width))
    for top in range(0, height, at_once):
        rows = slice(top, top + at_once)
        stack = np.where(covered[:, rows], np.inf, frames[:, rows])
        stack.sort(axis=0)
        last = (free[rows] - 1).clip(min=0)
        middle = [
            np.take_along_axis(stack, place[None], axis=0)[0]
            for place in (last // 2, (last + 1) // 2)
        ]
        counts[rows] = (middle[0] + middle[1]) / 2
    known = free > 0
    if not known.any():
        counts[:] = np.median(frames)
    elif not known.all():
        counts = _filled(counts, known)
    return Background(counts, float((~known).mean()), float(np.median(free)))


def smooth_ground(frame: Floats, covered: NDArray[np.bool_]) -> Background:
    """Return the background of a single frame: smooth, for its noise cannot be told from it."""
    weight = (~covered).astype(np.float32)
    wide = SLOW_PX
    share = ndimage.gaussian_filter(weight, wide)
    smooth = ndimage.gaussian_filter(np.where(covered, 0, frame), wide) / np.maximum(share, 1e-6)
    counts = np.where(share > 1e-3, smooth, np.median(frame))
    return Background(counts.astype(np.float32), float(covered.mean()), 1.0)


def slow_light(residual: Floats, covered: NDArray[np.bool_], noise: float) -> Floats:
    """Return the light that comes and goes over more than about 10 px, frame by frame.

    Parameters
    ----------
    residual : ndarray
        Frames without background and without the particles that are simulated,
        (frames, height, width).
    covered : ndarray
        Where these particles are: what is left of them there is not looked at.
    noise : float
        Standard deviation of a pixel; spikes are cut off at four of them.
    """
    light = np.empty_like(residual)
    limit = _SPREAD_OF_SPIKES * noise
    for number, frame in enumerate(residual):
        weight = (~covered[number]).astype(np.float32)
        middle = np.median(frame[~covered[number]]) if weight.any() else np.float32(0)
        cut = np.clip(frame - middle, -limit, limit) * weight
        share = ndimage.gaussian_filter(weight, SLOW_PX, mode="reflect")
        smooth = ndimage.gaussian_filter(cut, SLOW_PX, mode="reflect") / np.maximum(share, 0.02)
        light[number] = smooth + middle
    return light


def _filled(counts: Floats, known: NDArray[np.bool_]) -> Floats:
    """Continue an image into its gaps, widest Gaussian last."""
    result = np.where(known, counts, 0).astype(np.float32)
    missing = ~known
    for width in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0):
        share = ndimage.gaussian_filter(known.astype(np.float32), width)
        smooth = ndimage.gaussian_filter(np.where(known, counts, 0), width)
        reached = missing & (share > 0.1)
        result[reached] = smooth[reached] / share[reached]
        missing &= ~reached
        if not missing.any():
            return result
    result[missing] = np.median(counts[known])
    return result

"""Whether particles can be told from the background and its noise, and where these hide some."""

import math

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.backdrop import filmed
from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.twin.ground import Background
from cloudtrainer.simulation.twin.profiles import Floats, covered
from cloudtrainer.simulation.twin.sample import Limits, Sample, candidates_in
from cloudtrainer.video import Video

# Around a candidate, before it is known how far it reaches.
FIRST_RADIUS_PX = 8.0
_PIXELS_LOOKED_AT, _MOST_FRAMES = 1 << 20, 16
_ALWAYS = 0.6
_FEWEST_CANDIDATES = 5
_MOST_FALSE = 0.2
_HEIGHTS = (0.5, 0.75, 0.9, 1.0)
_SURE = 0.8
# Larger particles are looked for in frames made smaller by these factors.
_SHRUNK = (4, 8, 16)


def found_in_empty(
    sample: Sample, background: Background, noise: Noise, detector: ParticleDetector
) -> pd.DataFrame:
    """Return what a detector finds in frames of the background and noise alone.

    Returns
    -------
    DataFrame
        ``frame, x, y, probability, peak``; ``attrs["frames"]`` is the number of frames.
    """
    height, width = background.counts.shape
    most = _PIXELS_LOOKED_AT // (height * width)
    number = int(np.clip(most, 2, min(_MOST_FRAMES, max(len(sample.frames), 2))))
    ground = torch.as_tensor(background.counts).expand(number, height, width)
    generator = torch.Generator().manual_seed(0)
    frames = filmed(ground, noise, sample.step, float(sample.frames.min()), generator)
    found = candidates_in(frames.numpy(), detector)
    found.attrs["frames"] = number
    return found


def like_particles(
    empty: pd.DataFrame, detector: ParticleDetector, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return where the background looks like a particle whatever its noise, (height, width)."""
    number = int(empty.attrs["frames"])
    sure = empty[empty["probability"] >= detector.threshold]
    where = covered((number, *shape), sure, FIRST_RADIUS_PX)
    return np.asarray(where.sum(axis=0) >= max(2, _ALWAYS * number))


def believable(
    sample: Sample, empty: pd.DataFrame, detector: ParticleDetector, video: Video
) -> tuple[Limits, float]:
    """Return from where on few candidates are found in the background and noise alone as well.

    Of the limits of probability and of the height of peaks that leave at most a fifth of false
    ones, those that keep most.

    Returns
    -------
    limits : Limits
        What a candidate must pass.
    false : float
        False ones a frame that pass.

    Raises
    ------
    VideoError
        There are no such limits: no particle is to be seen.
    """
    share = len(sample.frames) / int(empty.attrs["frames"])
    peaks = (*np.quantile(empty["peak"], _HEIGHTS), -np.inf) if len(empty) else (-np.inf,)
    best, found, false_found = 0.0, None, 0.0
    for peak in peaks:
        for least in np.linspace(detector.threshold / 2, 0.95, 8):
            limits = Limits(float(least), float(peak))
            real = int(limits.passed(sample.candidates).sum())
            false = share * int(limits.passed(empty).sum())
            unsure = 2 * math.sqrt(share * false)
            if real < _FEWEST_CANDIDATES or false + unsure > _MOST_FALSE * real:
                continue
            if real - false > best:
                best, found, false_found = real - false, limits, false
    if found is None:
        raise VideoError(nothing_seen(video, sample.frames, detector))
    return found, false_found / len(sample.frames)


def nothing_seen(video: Video, frames: Floats, detector: ParticleDetector) -> str:
    """Say that a video shows no particle, or only such as are too large."""
    for factor in _SHRUNK:
        if _seen_when_shrunk(frames, factor, detector):
            return (
                f"{video.name}: its particles are too large for the detector, which sees those in "
                f"frames made {factor} times smaller; shrink the video and try again"
            )
    return (
        f"{video.name}: no particle can be told from the noise, so there is nothing to simulate; "
        "look at the frames, say which polarity its particles have, or label some and train on them"
    )


def only_specks(video: Video, found_per_frame: float) -> str:
    """Say that what is found is narrower than a particle, and that nothing else is."""
    return (
        f"{video.name}: what the detector finds ({found_per_frame:.3g} a frame) is narrower than a "
        "particle, as hot pixels are and noise on a background with structure: no particle can be "
        "told from it, so there is nothing to simulate; look at the frames, or label some "
        "particles and train on them"
    )


def _seen_when_shrunk(frames: Floats, factor: int, detector: ParticleDetector) -> bool:
    """Tell whether particles are found in frames made smaller, one or more in each."""
    height, width = (side // factor for side in frames.shape[1:])
    if min(height, width) < 16:
        return False
    squares = frames[:8, : height * factor, : width * factor]
    small = squares.reshape(-1, height, factor, width, factor).mean(axis=(2, 4))
    found = detector.detect(small, fit=False)
    return int((found["probability"] > _SURE).sum()) >= len(small)

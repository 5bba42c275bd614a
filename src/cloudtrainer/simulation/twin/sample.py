"""Frames of a video with the candidates for particles in them, found by a detector."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.polarity import SignsSeen
from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.twin.focus import peak_heights
from cloudtrainer.video import Video

Floats = NDArray[np.float32]

# Enough for a median over time that is free of particles in most places.
_FRAMES = 40
_PIXELS = 1 << 26
_FRAMES_FOR_POLARITY = 6
_LEAST_SIDE_PX = 16
# Squares of these fit into float32 by far.
_LARGEST_COUNT = 1e12
# Candidates are wanted, not detections: those that the detector half believes in as well.
_SHARE_OF_THRESHOLD = 0.5


@dataclass(frozen=True)
class Limits:
    """From where on a candidate is believed to be a particle.

    Attributes
    ----------
    probability : float
        Least probability.
    peak : float
        Height that its peak must exceed, counts.
    """

    probability: float
    peak: float

    def passed(self, candidates: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which candidates pass."""
        sure = candidates["probability"].to_numpy() >= self.probability
        return np.asarray(sure & (candidates["peak"].to_numpy() > self.peak))


@dataclass(frozen=True)
class Sample:
    """Frames of a video, turned over where its particles are dark, and the candidates in them.

    Attributes
    ----------
    frames : ndarray
        Counts, float32, (frames, height, width); particles are brighter than the ground.
    numbers : list of int
        Which frames of the video these are.
    polarity : int
        1 if the video's particles are bright, -1 if they are dark and all counts were turned over:
        the largest became 0.
    signs : SignsSeen
        What is found in a few frames, bright and dark.
    candidates : DataFrame
        ``frame`` (index in ``frames``), ``x, y, probability``, and ``peak``, its height in counts.
    lowest, highest, step : float
        Least and largest counts of the video's own frames, and the distance of its values.
    blank : list of int
        Frames of a single value, which were left out.
    """

    frames: Floats
    numbers: list[int]
    polarity: int
    signs: SignsSeen
    candidates: pd.DataFrame
    lowest: float
    highest: float
    step: float
    blank: list[int]

    def kept(self, limits: Limits) -> "Sample":
        """Return the sample with the candidates that are believed."""
        passed = limits.passed(self.candidates)
        return replace(self, candidates=self.candidates[passed].reset_index(drop=True))


def take_sample(video: Video, detector: ParticleDetector, polarity: int | None = None) -> Sample:
    """Read up to 40 evenly spaced frames and look for particles in them.

    Parameters
    ----------
    video : Video
        The video.
    detector : ParticleDetector
        What finds the candidates.
    polarity : {1, -1, None}
        Whether particles are bright or dark; None: the sign that gives more and surer detections.

    Raises
    ------
    VideoError
        The frames are too small, or their counts too large to reckon with.
    """
    count, height, width = video.shape
    if min(height, width) < _LEAST_SIDE_PX:
        raise VideoError(
            f"{video.name}: frames of {width} x {height} px are too small for a twin, which needs "
            f"{_LEAST_SIDE_PX} x {_LEAST_SIDE_PX} px or more"
        )
    most = max(8, min(_FRAMES, _PIXELS // (height * width)))
    numbers = np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()
    filmed = np.concatenate([video.frames(n, n + 1) for n in numbers])
    if float(np.abs(filmed).max()) > _LARGEST_COUNT:
        raise VideoError(
            f"{video.name}: counts of up to {float(np.abs(filmed).max()):.2g} are too large to "
            "reckon with; divide them, so that the largest is below 1e9"
        )
    blank = [n for n, frame in zip(numbers, filmed, strict=True) if frame.min() == frame.max()]
    if len(blank) < len(numbers):
        filmed = filmed[[n not in blank for n in numbers]]
        numbers = [n for n in numbers if n not in blank]
    values = np.unique(filmed.reshape(-1)[:: max(1, filmed.size // 2_000_000)])
    frames = filmed.astype(np.float32)
    lowest, highest = float(frames.min()), float(frames.max())
    few = np.unique(np.linspace(0, len(frames) - 1, _FRAMES_FOR_POLARITY).round().astype(int))
    evidence = np.array(
        [[_summed_probability(detector, frames[n : n + 1] * sign) for sign in (1, -1)] for n in few]
    )
    signs = SignsSeen([numbers[n] for n in few], evidence)
    if polarity is None:
        polarity = signs.sign
    if polarity < 0:
        frames = highest - frames
    return Sample(
        frames=frames,
        numbers=numbers,
        polarity=polarity,
        signs=signs,
        candidates=candidates_in(frames, detector),
        lowest=lowest,
        highest=highest,
        step=float(np.diff(values).min()) if len(values) > 1 else 0.0,
        blank=blank,
    )


def candidates_in(frames: Floats, detector: ParticleDetector) -> pd.DataFrame:
    """Return what a detector at least half believes to be particles, each frame by itself.

    Parameters
    ----------
    frames : ndarray
        Counts with bright particles, (frames, height, width).

    Returns
    -------
    DataFrame
        ``frame, x, y, probability``, and ``peak``, its height above what is around, counts.
    """
    least = _SHARE_OF_THRESHOLD * detector.threshold
    tables = []
    for number in range(len(frames)):
        found = detector.detect(frames[number : number + 1], threshold=least, fit=False)
        x, y = found["x"].to_numpy(), found["y"].to_numpy()
        heights = peak_heights(frames[number], x, y)
        tables.append(found[["x", "y", "probability"]].assign(frame=number, peak=heights))
    return pd.concat(tables, ignore_index=True)[["frame", "x", "y", "probability", "peak"]]


def _summed_probability(detector: ParticleDetector, frames: Floats) -> float:
    return float(detector.detect(frames, fit=False)["probability"].sum())

"""Frames of a video with the candidates for particles in them, found by a detector."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.simulation.twin.focus import peak_heights
from cloudtrainer.video import Video

Floats = NDArray[np.float32]

# Enough for a median over time that is free of particles in most places.
_FRAMES = 40
_PIXELS = 1 << 26
_FRAMES_FOR_POLARITY = 6
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
    evidence : ndarray
        Summed probability of what is found in each of a few frames, bright and dark, (frames, 2).
    candidates : DataFrame
        ``frame`` (index in ``frames``), ``x, y, probability``, and ``peak``, its height in counts.
    lowest, highest, step : float
        Least and largest counts of the video's own frames, and the distance of its values.
    """

    frames: Floats
    numbers: list[int]
    polarity: int
    evidence: NDArray[np.float64]
    candidates: pd.DataFrame
    lowest: float
    highest: float
    step: float

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
    """
    count, height, width = video.shape
    most = max(8, min(_FRAMES, _PIXELS // (height * width)))
    numbers = np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()
    filmed = np.concatenate([video.frames(n, n + 1) for n in numbers])
    values = np.unique(filmed.reshape(-1)[:: max(1, filmed.size // 2_000_000)])
    frames = filmed.astype(np.float32)
    lowest, highest = float(frames.min()), float(frames.max())
    few = np.unique(np.linspace(0, len(frames) - 1, _FRAMES_FOR_POLARITY).round().astype(int))
    evidence = np.array(
        [[_summed_probability(detector, frames[n : n + 1] * sign) for sign in (1, -1)] for n in few]
    )
    if polarity is None:
        bright, dark = evidence.sum(axis=0)
        polarity = -1 if dark > bright else 1
    if polarity < 0:
        frames = highest - frames
    return Sample(
        frames=frames,
        numbers=numbers,
        polarity=polarity,
        evidence=evidence,
        candidates=candidates_in(frames, detector),
        lowest=lowest,
        highest=highest,
        step=float(np.diff(values).min()) if len(values) > 1 else 0.0,
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

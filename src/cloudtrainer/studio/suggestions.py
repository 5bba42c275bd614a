"""Positions proposed by a model, and the frames in which it is least sure."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.photon_fit import Appearance
from cloudtrainer.evaluation import match_detections
from cloudtrainer.inference import (
    polarity_sign,
    read_stacks,
    video_appearance,
    video_maximum,
)
from cloudtrainer.studio.preview import LEAST_THRESHOLD
from cloudtrainer.video import Video

# A label this near to a proposal is of the same particle.
SAME_PARTICLE_PX = 3.0


@dataclass
class Proposer:
    """A model that looks at single frames of a video.

    Attributes
    ----------
    video : Video
        The video.
    model : ParticleDetector
        The model.
    """

    video: Video
    model: ParticleDetector
    _sign: int = field(init=False)
    _maximum: float | None = field(init=False, default=None)
    _appearance: Appearance | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._sign = polarity_sign(self.model, self.video)
        if self.model.normalisation == "video_maximum":
            self._maximum = video_maximum(self.video)
        self._appearance = video_appearance(self.model, self.video, self._sign)

    def propose(self, number: int) -> pd.DataFrame:
        """Return ``x, y, probability`` of what the model finds in a frame, as an analysis does.

        Its threshold is the model's own, and positions are refined by a fit to the photons.
        """
        return self._detect(number, self.model.threshold, fit=True)

    def doubt(self, number: int) -> float:
        """Return how many of its calls in a frame the model expects to be wrong.

        A candidate of probability p that is called a particle is none with probability 1 - p; one
        that is not called is one with probability p. The sum over all candidates of 0.03 and more
        is the expected number of wrong calls, as far as the probabilities are true: it ranks
        frames and is no error rate. A mask model (U-Net) has no candidates below its threshold.
        """
        grid = self.model.config.model.architecture == "grid"
        limit = LEAST_THRESHOLD if grid else self.model.threshold
        found = self._detect(number, min(limit, self.model.threshold), fit=False)
        return expected_wrong_calls(found["probability"].to_numpy(), self.model.threshold)

    def _detect(self, number: int, threshold: float, *, fit: bool) -> pd.DataFrame:
        ((frames, margins),) = read_stacks(self.video, [number], self.model.context_frames)
        return self.model.detect(
            frames,
            polarity=self._sign,
            video_maximum=self._maximum,
            threshold=threshold,
            margins=margins,
            fit=fit,
            appearance=self._appearance,
        )[["x", "y", "probability"]]


def expected_wrong_calls(probability: NDArray[Any], threshold: float) -> float:
    """Return the sum of 1 - p over what is called a particle and of p over what is not."""
    called = probability >= threshold
    return float((1 - probability[called]).sum() + probability[~called].sum())


def unlabelled(proposed: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the proposals that have no label of their own within 3 px.

    Parameters
    ----------
    proposed, labels : DataFrame
        ``x, y`` (px) of one frame.
    """
    if proposed.empty or labels.empty:
        return proposed
    pairs = match_detections(proposed.assign(frame=0), labels.assign(frame=0), SAME_PARTICLE_PX)
    return proposed.drop(proposed.index[pairs["found"]])


def spread_out(frames: int, most: int) -> list[int]:
    """Return frames evenly over a video in an order whose every beginning is spread as well.

    The order is that of the van der Corput sequence: the middle, the quarters, the eighths.
    """
    count = min(frames, most)
    places = np.unique(np.linspace(0, frames - 1, count).round().astype(int))
    bits = max(1, int(len(places) - 1).bit_length())
    turned = [int(f"{index:0{bits}b}"[::-1], 2) for index in range(2**bits)]
    return [int(places[index]) for index in turned if index < len(places)]


def least_sure(doubts: dict[int, float], most: int, frames: int) -> list[int]:
    """Choose frames of large doubt that are no neighbours, the least sure first.

    Neighbouring frames show the same particles in nearly the same places: a second one teaches
    little. Chosen frames are at least 1/(2 most) of the video apart.

    Parameters
    ----------
    doubts : dict of int to float
        The doubt of each frame that was looked at.
    most : int
        How many to choose at most.
    frames : int
        Length of the video.
    """
    apart = max(1, frames // (2 * most))
    chosen: list[int] = []
    for frame in sorted(doubts, key=lambda one: (-doubts[one], one)):
        if doubts[frame] > 0 and all(abs(frame - other) >= apart for other in chosen):
            chosen.append(frame)
        if len(chosen) == most:
            break
    return chosen

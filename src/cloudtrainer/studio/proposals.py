"""Positions that a model proposes as labels of single frames."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.evaluation import match_detections
from cloudtrainer.studio.preview import LEAST_THRESHOLD
from cloudtrainer.studio.single_frames import SingleFrames
from cloudtrainer.studio.suggestions import expected_wrong_calls
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

    @cached_property
    def _frames(self) -> SingleFrames:
        return SingleFrames(self.video, self.model)

    def propose(self, number: int) -> pd.DataFrame:
        """Return ``x, y, probability`` of what the model finds in a frame, as an analysis does.

        Its threshold is the model's own, and positions are refined by a fit to the photons.
        """
        return self._frames.detect(number, self.model.threshold, fit=True)

    def doubt(self, number: int) -> float:
        """Return how many of its calls in a frame the model expects to be wrong.

        A candidate of probability p that is called a particle is none with probability 1 - p; one
        that is not called is one with probability p. The sum over all candidates of 0.03 and more
        is the expected number of wrong calls, as far as the probabilities are true: it ranks
        frames and is no error rate. A mask model (U-Net) has no candidates below its threshold.
        """
        grid = self.model.config.model.architecture == "grid"
        limit = LEAST_THRESHOLD if grid else self.model.threshold
        found = self._frames.detect(number, min(limit, self.model.threshold), fit=False)
        return expected_wrong_calls(found["probability"].to_numpy(), self.model.threshold)


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

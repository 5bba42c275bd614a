"""What a model finds in single frames, at any threshold, before a whole video is analysed."""

import gc
from dataclasses import dataclass, field
from functools import cache, cached_property

import pandas as pd

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.inference import Polarity
from cloudtrainer.studio.single_frames import SingleFrames
from cloudtrainer.video import Video

# Below it a grid model's answers are noise; the page's slider begins here.
LEAST_THRESHOLD = 0.03
_FRAMES_KEPT = 64


@cache
def settle() -> None:
    """Spare what is there from the collection of garbage, once a process.

    Looking through all that PyTorch and Panel hold halts the page for 0.2 s now and then.
    """
    gc.collect()
    gc.freeze()


@dataclass
class Preview:
    """A model looking at one frame after the other.

    Of a grid model all candidates of the last frames are kept, so that another threshold takes no
    time. Their positions are the network's own; an analysis refines them by a fit to the photons,
    which also parts close pairs.

    Attributes
    ----------
    video : Video
        The video.
    model : ParticleDetector
        The model.
    polarity : {"auto", "bright", "dark"}
        As of an analysis.
    """

    video: Video
    model: ParticleDetector
    polarity: Polarity = "auto"
    _limit: float = 1.0
    _kept: dict[int, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def _frames(self) -> SingleFrames:
        return SingleFrames(self.video, self.model, self.polarity)

    def find(self, number: int, threshold: float) -> pd.DataFrame:
        """Return ``x, y, probability`` of what is found in a frame.

        Parameters
        ----------
        number : int
            The frame, from 0.
        threshold : float
            Least probability.
        """
        grid = self.model.config.model.architecture == "grid"
        # The areas of a mask model change with the threshold.
        limit = LEAST_THRESHOLD if grid else threshold
        if limit != self._limit:
            self._kept, self._limit = {}, limit
        kept = self._kept
        found = kept.get(number)
        if found is None:
            found = kept[number] = self._frames.detect(number, limit, fit=False)
            while len(kept) > _FRAMES_KEPT:
                kept.pop(next(iter(kept)), None)
        return found[found["probability"] >= threshold]

    def knows(self, number: int) -> bool:
        """Tell whether another threshold of this frame takes no time."""
        return number in self._kept and self._limit == LEAST_THRESHOLD

"""A model that looks at single frames of a video, as an analysis looks at all of them."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.photon_fit import Appearance
from cloudtrainer.inference import (
    Polarity,
    polarity_sign,
    read_stacks,
    video_appearance,
    video_maximum,
)
from cloudtrainer.video import Video


@dataclass
class SingleFrames:
    """What a model finds in one frame after the other.

    What the frames of a video have in common is measured once, where it is first needed.

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

    def detect(self, number: int, threshold: float, *, fit: bool) -> pd.DataFrame:
        """Return ``x, y, probability`` of what is found in a frame.

        Parameters
        ----------
        number : int
            The frame, from 0.
        threshold : float
            Least probability.
        fit : bool
            Refine positions by a fit to the photons, which also parts close pairs.
        """
        ((frames, margins),) = read_stacks(self.video, [number], self.model.context_frames)
        return self.model.detect(
            frames,
            polarity=self._sign,
            video_maximum=self._maximum,
            threshold=threshold,
            margins=margins,
            fit=fit,
            appearance=self._appearance if fit else None,
        )[["x", "y", "probability"]]

    @cached_property
    def _sign(self) -> int:
        return polarity_sign(self.model, self.video, self.polarity)

    @cached_property
    def _maximum(self) -> float | None:
        whole = self.model.normalisation == "video_maximum"
        return video_maximum(self.video) if whole else None

    @cached_property
    def _appearance(self) -> Appearance | None:
        return video_appearance(self.model, self.video, self._sign)

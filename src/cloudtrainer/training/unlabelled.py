"""Videos without labels: their twins, and their background to draw simulated particles over."""

import numpy as np
import torch

from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.errors import VideoError
from cloudtrainer.inference import polarity_sign, read_stacks
from cloudtrainer.simulation.backdrop import Backdrop, measure_backdrop
from cloudtrainer.simulation.twin import Twin, measure_twin
from cloudtrainer.video import Video

# Of the particles that are seen in a frame, at most this share may be left in the background.
_LEFT_OVER = 0.1
_SAMPLES = 3


def twin_of(video: Video, polarity: int | None = None) -> Twin:
    """Measure the twin of a video, with the bundled model to propose candidates.

    Parameters
    ----------
    video : Video
        A video without labels.
    polarity : {1, -1, None}
        Whether its particles are bright or dark; None: decided from the video.

    Raises
    ------
    VideoError
        No particle can be seen in the video, or it cannot be used.
    """
    return measure_twin(video, load_model(), polarity)


def backdrop_of(video: Video, detector: ParticleDetector) -> Backdrop:
    """Measure the background of a video, and make sure that its particles are not part of it.

    Particles that hardly move stay in the background, and would be taught as if they were none.

    Parameters
    ----------
    video : Video
        A video without labels.
    detector : ParticleDetector
        What tells bright particles from dark ones, and counts what is left of them.

    Raises
    ------
    VideoError
        The video has too few frames, or its particles stay in its background.
    """
    sign = polarity_sign(detector, video)
    backdrop = measure_backdrop(video, sign)
    generator = torch.Generator().manual_seed(0)
    empty = torch.stack(
        [backdrop.noise.add(backdrop.background[None], generator)[0] for _ in range(_SAMPLES)]
    )
    left = len(detector.detect(empty.numpy()))
    numbers = np.linspace(0, len(video) - 1, _SAMPLES).astype(int).tolist()
    seen = sum(
        len(detector.detect(frames, polarity=sign, margins=margins))
        for frames, margins in read_stacks(video, numbers, detector.context_frames)
    )
    if left > max(_LEFT_OVER * seen, _SAMPLES):
        raise VideoError(
            f"{video.name}: its particles hardly move, and {left / _SAMPLES:.0f} of about "
            f"{seen / _SAMPLES:.0f} stay in its background; label some frames instead"
        )
    return backdrop

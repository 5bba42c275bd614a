"""The labelled frames of a video: which are learned from, and which are held out.

A frame that was confirmed to hold no particle is one of them, with no position.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.training.frame_cache import Frames, VideoFrames
from cloudtrainer.training.hold_out import hold_out_frames, is_held_out
from cloudtrainer.training.ledger import Ranges
from cloudtrainer.training.neighbours import Neighbours, numbers_around
from cloudtrainer.video import Video

_FRAMES_FOR_POLARITY = 20


@dataclass(frozen=True)
class LabelledVideo:
    """The labelled frames of a video, and which of them are held out.

    Attributes
    ----------
    name : str
        Its file name.
    images : Frames
        Its labelled frames, each read when it is asked for.
    numbers : ndarray of int64
        Their numbers in the video.
    positions : list of ndarray
        x, y of every particle of each frame, float32, (particles, 2), pixels; none, (0, 2), where
        it was confirmed that there is none.
    held_out : ndarray of bool
        Which frames are for validation only.
    polarity : int
        1 if the labelled particles are brighter than their surroundings, -1 if darker; 1 where
        there are none.
    brightest : float
        Largest intensity of the video.
    around : Neighbours or None
        Its labelled frames with those around them; None where these are not needed or not there.
    """

    name: str
    images: Frames
    numbers: NDArray[np.int64]
    positions: list[NDArray[np.float32]]
    held_out: NDArray[np.bool_]
    polarity: int
    brightest: float
    around: Neighbours | None = None

    def stack(self, index: int, context_frames: int) -> list[NDArray[Any]]:
        """Return a labelled frame between its neighbours, 2 context_frames + 1 in all.

        The nearest frame that is there stands for one that is not.
        """
        if context_frames == 0 or self.around is None:
            return [self.images[index]] * (2 * context_frames + 1)
        return self.around.stack(int(self.numbers[index]), context_frames)

    @property
    def particles(self) -> int:
        """The number of labels."""
        return sum(len(xy) for xy in self.positions)

    @property
    def scores(self) -> bool:
        """Whether a held-out frame has particles: what is found in others has no recall."""
        return any(len(self.positions[index]) > 0 for index in np.flatnonzero(self.held_out))

    def frame_numbers(self, held_out: bool) -> list[int]:
        """Return the labelled frames of one of the two parts."""
        return [int(number) for number in self.numbers[self.held_out == held_out]]


def labelled_video(
    name: str,
    images: Frames,
    labels: pd.DataFrame,
    stretches: Ranges,
    brightest: float | None = None,
    around: Neighbours | None = None,
    empty: NDArray[np.int64] | None = None,
) -> LabelledVideo:
    """Join the labelled frames of a video with their labels, and find its polarity.

    Parameters
    ----------
    name : str
        The video's file name.
    images : Frames
        Its labelled frames, in their order.
    labels : DataFrame
        ``frame, x, y`` of every particle of the frames that are labelled.
    stretches : tuple of (int, int)
        First and last frame of what is held out.
    brightest : float, optional
        Largest intensity of the whole video; default: that of the labelled frames.
    around : Neighbours, optional
        The labelled frames with those around them.
    empty : ndarray of int64, optional
        Numbers of frames that hold no particle; they are among the images.
    """
    numbers = np.unique(labels["frame"].to_numpy(np.int64))
    if empty is not None:
        numbers = np.union1d(numbers, empty)
    ordered = labels.sort_values("frame", kind="stable")
    cuts = np.searchsorted(ordered["frame"].to_numpy(), numbers[1:])
    # A label on the outer edge of the last pixel belongs to that pixel.
    height, width = images[0].shape
    xy = ordered[["x", "y"]].to_numpy(np.float32).clip(-0.5, [width - 0.501, height - 0.501])
    positions = np.split(xy.astype(np.float32), cuts)
    if brightest is None:
        brightest = max(float(images[index].max()) for index in range(len(images)))
    return LabelledVideo(
        name=name,
        images=images,
        numbers=numbers,
        positions=positions,
        held_out=is_held_out(numbers, stretches),
        polarity=_polarity(images, positions),
        brightest=brightest,
        around=around,
    )


def split_labelled(
    video: Video, labels: pd.DataFrame, validation_split: float, context_frames: int = 0
) -> LabelledVideo:
    """Hold out the last labelled frames of a video, in one block."""
    numbers = np.unique(labels["frame"].to_numpy(np.int64))
    stretches = hold_out_frames(numbers, validation_split)
    around = None
    if context_frames:
        wanted = numbers_around(numbers, context_frames, len(video))
        around = Neighbours(wanted, VideoFrames(video, wanted), context_frames)
    frames = VideoFrames(video, numbers)
    return labelled_video(video.name, frames, labels, stretches, around=around)


def _polarity(images: Frames, positions: list[NDArray[np.float32]]) -> int:
    contrast = []
    shown = [index for index, xy in enumerate(positions) if len(xy)]
    if not shown:
        return 1
    for index in shown[:_FRAMES_FOR_POLARITY]:
        frame = images[index].astype(float)
        column, row = positions[index].round().astype(int).T
        inside = frame[row.clip(0, frame.shape[0] - 1), column.clip(0, frame.shape[1] - 1)]
        contrast.append(float(np.median(inside) - np.median(frame)))
    return 1 if np.median(contrast) >= 0 else -1

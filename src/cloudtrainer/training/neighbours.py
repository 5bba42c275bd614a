"""The frames around labelled ones, for detectors that see several frames at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.training.frame_cache import Frames


@dataclass(frozen=True)
class Neighbours:
    """Frames of a video: the labelled ones and those around them.

    Attributes
    ----------
    numbers : ndarray of int64
        Their numbers in the video, rising.
    frames : Frames
        The frames, each read when it is asked for.
    context_frames : int
        Frames before and after each labelled one that are there, as far as the video has them.
    """

    numbers: NDArray[np.int64]
    frames: Frames
    context_frames: int

    def stack(self, number: int, context_frames: int) -> list[NDArray[Any]]:
        """Return a frame with those before and after it, in the order of time.

        For a frame that is not there the nearest one towards the middle is given.
        """
        steps = range(-context_frames, context_frames + 1)
        places = [self._place(number, step) for step in steps]
        read = {place: self.frames[place] for place in set(places)}
        return [read[place] for place in places]

    def chosen(self, numbers: NDArray[np.int64]) -> Frames:
        """Return some of the frames by their numbers in the video."""
        return _Chosen(self.frames, np.searchsorted(self.numbers, numbers))

    def _place(self, number: int, step: int) -> int:
        while True:
            place = int(np.searchsorted(self.numbers, number + step))
            if step == 0 or (place < len(self.numbers) and self.numbers[place] == number + step):
                return place
            step -= 1 if step > 0 else -1


@dataclass(frozen=True)
class _Chosen:
    """Some frames of others."""

    frames: Frames
    places: NDArray[np.intp]

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        return self.frames[int(self.places[index])]

    def __len__(self) -> int:
        return len(self.places)


def numbers_around(
    numbers: NDArray[np.int64], context_frames: int, frames: int
) -> NDArray[np.int64]:
    """Return the numbers of frames and of those before and after them within a video, rising.

    Parameters
    ----------
    numbers : ndarray of int64
        The frames.
    context_frames : int
        Frames before and after each.
    frames : int
        Frames of the video.
    """
    steps = np.arange(-context_frames, context_frames + 1)
    around = np.unique(numbers[:, None] + steps)
    inside: NDArray[np.int64] = around[(around >= 0) & (around < frames)]
    return inside

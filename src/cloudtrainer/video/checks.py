"""Whether a video's frames hold anything to analyse."""

import numpy as np

from cloudtrainer.errors import VideoError
from cloudtrainer.video.video import Video

SAMPLED_FRAMES = 50


def check_frames(video: Video) -> None:
    """Raise VideoError if every frame is of one value, or all frames are identical.

    All frames are looked at up to 50; of longer videos 50 spread evenly from first to last. A
    video of a single frame passes unless that frame is of one value.

    Parameters
    ----------
    video
        The video to look at.

    Raises
    ------
    VideoError
        If every frame looked at is black or otherwise constant, or equal to the first; and
        whatever `Video.frames` raises.
    """
    count = len(video)
    numbers = np.linspace(0, count - 1, min(count, SAMPLED_FRAMES)).round().astype(int).tolist()
    first = video.frames(0, 1)[0]
    constant = identical = True
    for number in numbers:
        frame = video.frames(number, number + 1)[0]
        constant = constant and bool(frame.min() == frame.max())
        identical = identical and np.array_equal(frame, first)
        if not constant and (count == 1 or not identical):
            return
    looked = (
        f"all {count} frames" if len(numbers) == count else f"the {len(numbers)} frames sampled"
    )
    if constant:
        value = "black" if not first.any() and identical else "of one value"
        raise VideoError(
            f"{video.name}: {looked} are {value} throughout; check the export and its channel"
        )
    raise VideoError(f"{video.name}: {looked} are identical; nothing moves: check the export")

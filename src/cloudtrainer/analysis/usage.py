"""Names of version 3.0 that take a video by its path."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from cloudtrainer import figures
from cloudtrainer.video import Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def visualize_tracking_results(
    video: Video | str | Path | NDArray[Any], tracks: pd.DataFrame, frame_idx: int = 0
) -> "Figure":
    """Show a frame with its detections, and the tracks over it.

    Parameters
    ----------
    video : Video, path or ndarray (frames, height, width)
        The video.
    tracks : DataFrame
        ``particle, frame, x, y`` in pixels, from `track_particles`.
    frame_idx : int
        The frame to show.

    Raises
    ------
    VideoError
        The video cannot be read.
    """
    opened = video if isinstance(video, Video) else Video(video)
    return figures.visualize_tracking_results(opened, tracks, frame_idx)

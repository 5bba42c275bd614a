"""Frames to detections: polarity, batches, and the whole video in one pass."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.errors import ConfigError, VideoError
from cloudtrainer.video import Video

Polarity = Literal["auto", "bright", "dark"]
Progress = Callable[[int, int], None]

# About 64 MB of float32 features a batch at half resolution.
_PIXELS_AT_ONCE = 1 << 20
_FRAMES_FOR_POLARITY = 5


def extract_particles_from_predictions(
    model: ParticleDetector,
    video: Video | str | Path | NDArray[Any],
    threshold: float | None = None,
    min_area: int = 3,
    *,
    polarity: Polarity = "auto",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Find the particles of every frame of a video.

    Parameters
    ----------
    model : ParticleDetector
        The detector, see `cloudtrainer.load_model`.
    video : Video, path, or ndarray (frames, height, width)
        What to look at; a path is opened as a `Video`.
    threshold : float, optional
        Least probability of a detection, 0 to 1; None: the model's own.
    min_area : int
        Least area of a detection in px²; only mask models (U-Net) have areas.
    polarity : {"auto", "bright", "dark"}
        Whether particles are brighter or darker than their surroundings. Models of versions 2.0
        and 3.0 take the frames as they are.
    progress : callable, optional
        Called with the number of frames done and the number of all frames.

    Returns
    -------
    DataFrame
        One row a detection: ``frame`` (from 0), ``x, y, x_error, y_error`` (pixels; the centre of
        the first pixel is (0, 0); errors are standard errors, NaN for mask models),
        ``probability``, ``intensity`` (counts), and ``area`` (px², mask models).

    Raises
    ------
    VideoError
        The video cannot be read.
    ConfigError
        The threshold is not between 0 and 1.
    """
    if threshold is not None and not 0 < threshold < 1:
        raise ConfigError(f"threshold {threshold}: must lie between 0 and 1")
    video = video if isinstance(video, Video) else Video(video)
    sign = polarity_sign(model, video, polarity)
    maximum = video_maximum(video) if model.normalisation == "video_maximum" else None
    tables = []
    for first, frames in _read_ahead(video):
        found = model.detect(
            frames,
            polarity=sign,
            video_maximum=maximum,
            threshold=threshold,
            min_area=min_area,
        )
        found["frame"] += first
        tables.append(found)
        if progress is not None:
            progress(first + len(frames), len(video))
    return pd.concat(tables, ignore_index=True)


def polarity_sign(model: ParticleDetector, video: Video, polarity: Polarity = "auto") -> int:
    """Return 1 where particles are brighter than their surroundings, -1 where darker.

    Decided, if not given, by running the model on a few frames as they are and inverted: the
    particles' own sign is the one that gives more and surer detections.
    """
    if model.normalisation == "video_maximum":
        return 1
    if polarity != "auto":
        return 1 if polarity == "bright" else -1
    sample = np.unique(np.linspace(0, len(video) - 1, _FRAMES_FOR_POLARITY).round().astype(int))
    frames = np.concatenate([video.frames(int(i), int(i) + 1) for i in sample])
    sure = {sign: model.detect(frames, polarity=sign)["probability"].sum() for sign in (1, -1)}
    return -1 if sure[-1] > sure[1] else 1


def video_maximum(video: Video) -> float:
    return max(float(frames.max()) for _, frames in _read_ahead(video))


def _read_ahead(video: Video) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield batches of frames with the number of their first, the next one read meanwhile."""
    frames, height, width = video.shape
    if frames == 0:
        raise VideoError(f"{video.name}: holds no frames")
    at_once = max(1, _PIXELS_AT_ONCE // (height * width))
    starts = range(0, frames, at_once)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(video.frames, 0, min(at_once, frames))
        for start in starts:
            ready = coming.result()
            if start + at_once < frames:
                coming = reader.submit(
                    video.frames, start + at_once, min(start + 2 * at_once, frames)
                )
            yield start, ready

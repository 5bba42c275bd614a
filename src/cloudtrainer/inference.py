"""Frames to detections: polarity, batches, and the whole video in one pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.photon_fit import Appearance
from cloudtrainer.detector.polarity import SignsSeen
from cloudtrainer.errors import ConfigError, VideoError
from cloudtrainer.video import Video

Polarity = Literal["auto", "bright", "dark"]
Progress = Callable[[int, int], None]

# Eight frames of 512 x 512 px: what is done once a batch is spread over them. A GPU does as many
# small orders for 64 frames as for one.
_PIXELS_AT_ONCE = 1 << 21
_TIMES_ON_A_GPU = 8
_FRAMES_LOOKED_AT = 5


def extract_particles_from_predictions(
    model: ParticleDetector,
    video: Video | str | Path | NDArray[Any],
    threshold: float | None = None,
    min_area: int = 3,
    *,
    polarity: Polarity = "auto",
    appearance: Appearance | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Find the particles of every frame of a video.

    A model that sees neighbouring frames (``model.context_frames``) is shown those of the video;
    before the first and behind the last frame these are repeated.

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
    appearance : Appearance, optional
        What the video's particles have in common, see `video_appearance`; default: measured here.
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
    appearance = appearance or video_appearance(model, video, sign)
    tables = []
    times = _TIMES_ON_A_GPU if model.device.type == "cuda" else 1
    for first, frames, margins in _with_margins(
        _read_ahead(video, times), model.context_frames, len(video)
    ):
        found = model.detect(
            frames,
            polarity=sign,
            video_maximum=maximum,
            threshold=threshold,
            min_area=min_area,
            margins=margins,
            appearance=appearance,
        )
        found["frame"] += first
        tables.append(found)
        if progress is not None:
            progress(first + len(frames) - margins[1], len(video))
    return pd.concat(tables, ignore_index=True)


def read_stacks(
    video: Video, numbers: Sequence[int], context_frames: int
) -> list[tuple[NDArray[Any], tuple[int, int]]]:
    """Read some frames of a video, each with its neighbours.

    Returns
    -------
    list of (ndarray, (int, int))
        Frames and their margins, as `ParticleDetector.detect` takes them; without neighbours all in
        one stack.
    """
    if context_frames == 0:
        return [(np.concatenate([video.frames(n, n + 1) for n in numbers]), (0, 0))]
    stacks = []
    for number in numbers:
        first, after = max(0, number - context_frames), min(len(video), number + context_frames + 1)
        stacks.append((video.frames(first, after), (number - first, after - number - 1)))
    return stacks


def missing_neighbours(model: ParticleDetector, video: Video) -> str | None:
    """Say, in a sentence, that a video is too short for what a model sees at once; None if not."""
    wanted = 2 * model.context_frames + 1
    if len(video) >= wanted:
        return None
    held = "a single frame" if len(video) == 1 else f"{len(video)} frames"
    return (
        f"The model sees {wanted} frames at once and the video has {held}: the first and the last "
        "stand for those that are missing, and dim particles are found less surely."
    )


def polarity_sign(model: ParticleDetector, video: Video, polarity: Polarity = "auto") -> int:
    """Return 1 where particles are brighter than their surroundings, -1 where darker.

    Decided, if not given, by running the model on a few frames as they are and inverted: the
    particles' own sign is the one that gives more and surer detections.
    """
    if model.normalisation == "video_maximum":
        return 1
    if polarity != "auto":
        return 1 if polarity == "bright" else -1
    return signs_seen(model, video).sign


def signs_seen(model: ParticleDetector, video: Video) -> SignsSeen:
    """Run a model on a few frames of a video as they are and inverted."""
    numbers = _sample(video)
    evidence = np.zeros((len(numbers), 2))
    for column, sign in enumerate((1, -1)):
        first = 0
        for frames, margins in read_stacks(video, numbers, model.context_frames):
            found = model.detect(frames, polarity=sign, margins=margins, fit=False)
            count = len(frames) - sum(margins)
            evidence[first : first + count, column] = np.bincount(
                found["frame"] - margins[0], found["probability"], minlength=count
            )
            first += count
    return SignsSeen(numbers, evidence)


def video_appearance(model: ParticleDetector, video: Video, sign: int) -> Appearance | None:
    """Measure, on a few frames, what a video's particles have in common; None for mask models."""
    measured = [
        model.appearance(frames, polarity=sign, margins=margins)
        for frames, margins in read_stacks(video, _sample(video), model.context_frames)
    ]
    return Appearance.typical([one for one in measured if one is not None])


def _sample(video: Video) -> list[int]:
    """Choose a few frames, evenly over the video."""
    places = np.linspace(0, len(video) - 1, _FRAMES_LOOKED_AT).round().astype(int)
    return [int(place) for place in np.unique(places)]


def video_maximum(video: Video) -> float:
    return max(float(frames.max()) for _, frames in _read_ahead(video))


def _read_ahead(video: Video, times: int = 1) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield batches of frames with the number of their first, the next one read meanwhile."""
    frames, height, width = video.shape
    if frames == 0:
        raise VideoError(f"{video.name}: holds no frames")
    at_once = max(1, times * _PIXELS_AT_ONCE // (height * width))
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


def _with_margins(
    batches: Iterable[tuple[int, NDArray[Any]]], context_frames: int, total: int
) -> Iterator[tuple[int, NDArray[Any], tuple[int, int]]]:
    """Add to each batch the frames before and behind it, as far as the video has any.

    Yields the number of the first frame, frames, and how many before and behind were added; every
    frame is taken from ``batches`` once.
    """
    held: NDArray[Any] = np.empty(0)
    begin = 0
    waiting: list[tuple[int, int]] = []
    for number, frames in batches:
        held = np.concatenate([held, frames]) if len(held) else frames
        waiting.append((number, number + len(frames)))
        while waiting and begin + len(held) >= min(waiting[0][1] + context_frames, total):
            first, after = waiting.pop(0)
            low, high = max(begin, first - context_frames), min(after + context_frames, total)
            yield low, held[low - begin : high - begin], (first - low, high - after)
            kept = max(begin, after - context_frames)
            held, begin = held[kept - begin :], kept

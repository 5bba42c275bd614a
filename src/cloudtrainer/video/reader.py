"""What a reader of one format offers, and what all of them share."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cloudtrainer.errors import VideoError
from cloudtrainer.video.calibration import Calibration

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
MOVIE_SUFFIXES = (".avi", ".mp4", ".mov")
MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2", ".oir")

Frames = npt.NDArray[Any]


class Reader(Protocol):
    """Frames (T, Y, X) of one file, folder or array."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels that `read` returns."""

    @property
    def calibration(self) -> Calibration:
        """What the source itself says of its pixel size and times."""

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as a new array (t, Y, X)."""


def one_line(error: BaseException, limit: int = 160) -> str:
    """Return an exception's message on one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


@contextmanager
def quiet_log(name: str) -> Iterator[None]:
    """Keep what a reading library logs of damaged files off the screen: it is in an exception."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def grey_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """Return the type in which pixels of `dtype` are handed out: native order, bool as uint8.

    Raises
    ------
    VideoError
        If the pixels are complex numbers, text or objects.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind not in "uif":
        raise VideoError(f"{where}: pixels of type {dtype} are not intensities; use real numbers")
    return dtype.newbyteorder("=")


def check_not_empty(path: Path) -> None:
    """Raise VideoError if `path` cannot be opened for reading or holds no bytes."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise VideoError(f"{path}: cannot be opened ({reason}); check the path") from error
    if empty:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy or export it again")

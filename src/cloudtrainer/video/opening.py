"""Opening what a video is made of: a file of any format, a folder of images, or an array."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtrainer.errors import VideoError
from cloudtrainer.video.calibration import Calibration
from cloudtrainer.video.reader import (
    IMAGE_SUFFIXES,
    MICROSCOPE_SUFFIXES,
    MOVIE_SUFFIXES,
    TIFF_SUFFIXES,
    Frames,
    Reader,
    check_not_empty,
    grey_dtype,
)


def open_path(path: Path, channel: int | None, plane: int | None, image: int | None) -> Reader:
    """Return the reader for a file or folder; choices as of `Video`.

    Raises
    ------
    VideoError
        It is missing, empty, damaged or of an unknown kind, or a choice does not exist.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        from cloudtrainer.video.folder import ImageReader, images_of

        images = images_of(path)
        if not images:
            kinds = " ".join((*IMAGE_SUFFIXES, *TIFF_SUFFIXES))
            raise VideoError(f"{path}: the folder holds no images ({kinds}); check the path")
        _refuse(path, plane=plane, image=image)
        return ImageReader(images, channel)
    if not path.exists():
        raise VideoError(f"{path}: no such file or folder; check the path")
    check_not_empty(path)
    if suffix in TIFF_SUFFIXES:
        from cloudtrainer.video.tiff import TiffReader

        return TiffReader(path, channel, plane, image)
    if suffix in IMAGE_SUFFIXES:
        from cloudtrainer.video.folder import ImageReader

        _refuse(path, plane=plane, image=image)
        return ImageReader([path], channel)
    if suffix in MOVIE_SUFFIXES:
        from cloudtrainer.video.movie import MovieReader

        _refuse(path, plane=plane, image=image)
        return MovieReader(path, channel)
    if suffix in MICROSCOPE_SUFFIXES:
        from cloudtrainer.video.microscope import MicroscopeReader

        return MicroscopeReader(path, channel, plane, image)
    known = " ".join((*TIFF_SUFFIXES, *IMAGE_SUFFIXES, *MOVIE_SUFFIXES, *MICROSCOPE_SUFFIXES))
    raise VideoError(
        f"{path}: videos with the extension {suffix or '(none)'} are not supported; use a folder "
        f"of images or one of {known}"
    )


def open_array(
    array: npt.NDArray[Any], channel: int | None, plane: int | None, image: int | None
) -> Reader:
    """Return the reader for an array, in which there is nothing to choose.

    Raises
    ------
    VideoError
        It is no video, or a choice other than the first is made.
    """
    _refuse("array", channel=channel, plane=plane, image=image)
    return _ArrayReader(array)


def _refuse(where: Path | str, **choices: int | None) -> None:
    """Raise VideoError if a choice other than the first is made where there is only one."""
    for name, index in choices.items():
        if index:
            raise VideoError(f"{where}: {name} {index} does not exist; leave {name} out")


class _ArrayReader:
    """Frames of an array (T, Y, X) or (Y, X), which is kept and not copied."""

    calibration = Calibration()

    def __init__(self, array: npt.NDArray[Any]) -> None:
        array = np.asarray(array)
        self.dtype = grey_dtype(array.dtype, "array")
        if array.ndim not in (2, 3):
            raise VideoError(
                f"array: a video has the axes (T, Y, X) or (Y, X), this one has {array.ndim} of "
                f"lengths {array.shape}; choose one channel and plane"
            )
        if array.size == 0:
            raise VideoError(f"array: shape {array.shape} holds no pixels")
        self._array = array if array.ndim == 3 else array[np.newaxis]
        self.shape: tuple[int, int, int] = self._array.shape

    def read(self, start: int, stop: int) -> Frames:
        return self._array[start:stop].astype(self.dtype)

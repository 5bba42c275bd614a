"""Folders of images, one a frame, and single images."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from cloudtrainer.errors import VideoError
from cloudtrainer.video.calibration import Calibration, resolution_hint
from cloudtrainer.video.greyscale import luminance
from cloudtrainer.video.reader import (
    IMAGE_SUFFIXES,
    TIFF_SUFFIXES,
    Frames,
    check_not_empty,
    one_line,
)
from cloudtrainer.video.tiff import TiffReader

_GREY_MODES = {
    "1": np.uint8,
    "L": np.uint8,
    "LA": np.uint8,
    "I;16": np.uint16,
    "I;16B": np.uint16,
    "I;16L": np.uint16,
    "I": np.int32,
    "F": np.float32,
}


def natural_order(path: Path) -> tuple[Any, ...]:
    """Return a sorting key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple(int(part) if part.isdigit() else part for part in parts), path.name


def images_of(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; hidden and other files are left out."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES + TIFF_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]
    return sorted(images, key=natural_order)


class ImageReader:
    """One image, or a sequence of images of one size, as frames.

    Opening reads every file's header and no pixels.

    Parameters
    ----------
    paths
        The images in their order.
    channel
        0, 1 or 2: red, green or blue of colour images in place of their luminance.

    Raises
    ------
    VideoError
        If a file is no image, or differs from the first in size or type.
    """

    def __init__(self, paths: list[Path], channel: int | None) -> None:
        self._paths = paths
        self._channel = channel
        first, self._calibration = _header(paths[0], channel)
        for path in paths[1:]:
            header, _ = _header(path, channel)
            if header != first:
                raise VideoError(
                    f"{path}: it is {_describe(header)}, but the first image {paths[0].name} is "
                    f"{_describe(first)}; keep images of one size and type in the folder"
                )
        (rows, columns), self._dtype = first
        self._shape = (len(paths), rows, columns)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels; float32 for colour, which becomes luminance."""
        return self._dtype

    @property
    def calibration(self) -> Calibration:
        """What the first image states of its pixel size."""
        return self._calibration

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as an array (t, Y, X)."""
        frames = np.empty((stop - start, *self._shape[1:]), self._dtype)
        for i, path in enumerate(self._paths[start:stop]):
            frames[i] = self._image(path)
        return frames

    def _image(self, path: Path) -> Frames:
        if path.suffix.lower() in TIFF_SUFFIXES:
            page: Frames = TiffReader(path, self._channel, None, None).read(0, 1)[0]
            return page
        from PIL import Image

        try:
            with Image.open(path) as image:
                if image.mode in _GREY_MODES:
                    return np.asarray(image.convert("L") if image.mode == "LA" else image)
                colour: Frames = np.asarray(image.convert("RGB"))
        except Exception as error:  # Pillow's decoders raise exceptions of many kinds
            raise VideoError(
                f"{path}: the image cannot be decoded ({one_line(error)}); copy or export it again"
            ) from error
        if self._channel is None:
            return luminance(colour)
        chosen: Frames = colour[..., self._channel]
        return chosen


_Header = tuple[tuple[int, int], np.dtype[Any]]


def _header(path: Path, channel: int | None) -> tuple[_Header, Calibration]:
    """Return an image's rows and columns, its type as a frame, and its calibration."""
    check_not_empty(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        tiff = TiffReader(path, channel, None, None)
        if tiff.shape[0] != 1:
            raise VideoError(
                f"{path}: this TIFF holds {tiff.shape[0]} frames, where each image of a folder is "
                "one frame; give the file itself as the video"
            )
        return (tiff.shape[1:], tiff.dtype), tiff.calibration
    from PIL import Image

    try:
        with Image.open(path) as image:
            size, mode, dpi = (image.height, image.width), image.mode, image.info.get("dpi")
    except Exception as error:  # Pillow's openers raise exceptions of many kinds
        raise VideoError(
            f"{path}: not an image that can be read ({one_line(error)}); remove or export it again"
        ) from error
    colour = mode not in _GREY_MODES
    if channel is not None and not 0 <= channel < (3 if colour else 1):
        choices = "0, 1 or 2 (red, green, blue)" if colour else "only 0"
        raise VideoError(f"{path}: channel {channel} does not exist; {choices}")
    chosen = np.uint8 if channel is not None else np.float32
    dtype = np.dtype(chosen if colour else _GREY_MODES[mode])
    hint = resolution_hint(float(dpi[0]), "inch") if dpi else None
    return (size, dtype), Calibration(hint=hint)


def _describe(header: _Header) -> str:
    (rows, columns), dtype = header
    return f"{rows} x {columns} {dtype}"

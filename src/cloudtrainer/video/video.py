"""A video: lazy greyscale frames with their calibration."""

import hashlib
import math
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtrainer.errors import CalibrationError, VideoError
from cloudtrainer.video.calibration import Calibration, Source
from cloudtrainer.video.opening import open_array, open_path
from cloudtrainer.video.reader import Frames

_HASH_CHUNK = 1 << 20


class Video:
    """Frames (T, Y, X) of a file, a folder of images or an array, read when they are asked for.

    Colour becomes luminance. What is known of the scale comes from the file, unless given here.

    Parameters
    ----------
    source
        Path to a file (TIFF, PNG, JPEG, BMP, AVI, MP4, MOV, CZI, LIF, ND2, OIR) or to a folder of
        images in the order of the numbers in their names; or an array (T, Y, X) or (Y, X).
    channel
        Index of the channel where the file has several; of colour images 0, 1, 2 for red, green,
        blue.
    plane
        Index of the Z-plane where the file has several beside time.
    image
        Index of the image (position, series, scene) where the file has several.
    pixel_size_um
        Side of a pixel in the sample, um, in place of the file's own.
    frame_interval_s
        Time between frames, s, in place of the file's own.

    Raises
    ------
    VideoError
        If the source is missing, empty, damaged, of an unknown kind, or has axes that need a
        choice.
    CalibrationError
        If a given pixel size or interval is not a positive number.

    Examples
    --------
    >>> video = Video(np.zeros((10, 32, 48), np.uint16), pixel_size_um=0.1)
    >>> video.shape, video.frames(2, 5).shape, video.pixel_size_um, video.frame_interval_s
    ((10, 32, 48), (3, 32, 48), 0.1, None)
    """

    def __init__(
        self,
        source: str | PathLike[str] | npt.NDArray[Any],
        *,
        channel: int | None = None,
        plane: int | None = None,
        image: int | None = None,
        pixel_size_um: float | None = None,
        frame_interval_s: float | None = None,
    ) -> None:
        _check_positive("pixel_size_um", pixel_size_um, "um")
        _check_positive("frame_interval_s", frame_interval_s, "s")
        self._path: Path | None = None
        if isinstance(source, str | PathLike):
            self._path = Path(source).expanduser()
            self._choices = (channel, plane, image)
            self._reader = open_path(self._path, *self._choices)
        else:
            self._reader = open_array(source, channel, plane, image)
        self._calibration = _override(self._reader.calibration, pixel_size_um, frame_interval_s)
        count, rows, columns = self._reader.shape
        self._window = (slice(0, count), slice(0, rows), slice(0, columns))
        self._lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files out: another process opens them anew."""
        state = {key: value for key, value in self.__dict__.items() if key != "_lock"}
        if self._path is not None:
            del state["_reader"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = RLock()
        if self._path is not None:
            self._reader = open_path(self._path, *self._choices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns (T, Y, X)."""
        frames, rows, columns = (part.stop - part.start for part in self._window)
        return frames, rows, columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels; float32 for colour sources."""
        return self._reader.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        frames, rows, columns = self.shape
        return (
            f"Video({self.name!r}, {frames} frames of {rows} x {columns} {self.dtype}, "
            f"pixel_size_um={self.pixel_size_um}, frame_interval_s={self.frame_interval_s})"
        )

    @property
    def path(self) -> Path | None:
        """The file or folder; None for an array."""
        return self._path

    @property
    def name(self) -> str:
        """Name of the file or folder; "array" for an array."""
        return "array" if self._path is None else self._path.resolve().name

    @property
    def stem(self) -> str:
        """Name without the last extension; a folder's whole name."""
        if self._path is None or self._path.is_dir():
            return self.name
        return self._path.stem

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in the sample, um; None when unknown."""
        return self._calibration.pixel_size_um

    @property
    def frame_interval_s(self) -> float | None:
        """Time between frames, s; None when unknown."""
        return self._calibration.frame_interval_s

    @property
    def timestamps_s(self) -> npt.NDArray[np.float64] | None:
        """Time of each frame (T,), s, where the file states it; None otherwise."""
        return self._calibration.timestamps_s

    @property
    def calibration_source(self) -> Source:
        """Where the calibration comes from: "ImageJ", "OME", "vendor", "given" or "unknown"."""
        return self._calibration.source

    @property
    def calibration_hint(self) -> str | None:
        """A sentence on what in the file looks like a calibration and is not one, or None."""
        return self._calibration.hint

    def frames(self, start: int = 0, stop: int | None = None) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as a new array (t, Y, X), reading only those.

        Parameters
        ----------
        start
            First frame, from 0.
        stop
            One past the last frame; None for all that follow.

        Raises
        ------
        VideoError
            If the frames do not exist or cannot be decoded, or a pixel is NaN or infinite.
        """
        count = len(self)
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise VideoError(
                f"{self.name}: frames {start}:{stop} do not exist; it has frames 0:{count}"
            )
        first, (rows, columns) = self._window[0].start, self._window[1:]
        with self._lock:
            frames = self._reader.read(first + start, first + stop)
        if frames.shape[1:] != self.shape[1:]:
            frames = np.ascontiguousarray(frames[:, rows, columns])
        if frames.dtype.kind == "f":
            for i, frame in enumerate(frames):
                bad = ~np.isfinite(frame)
                if bad.any():
                    y, x = (int(v) for v in np.argwhere(bad)[0])
                    raise VideoError(
                        f"{self.name}: frame {first + start + i} holds {int(bad.sum())} pixel(s) "
                        f"that are NaN or infinite, the first at x = {x + columns.start}, "
                        f"y = {y + rows.start}; replace them first"
                    )
        return frames

    def crop(
        self,
        frames: tuple[int, int] | None = None,
        region: tuple[int, int, int, int] | None = None,
    ) -> "Video":
        """Return a view of some frames or part of the field, which reads from this video's source.

        Parameters
        ----------
        frames
            First frame and one past the last; None for all.
        region
            Left column x, top row y, width and height in pixels; None for the whole field.

        Returns
        -------
        Video
            With the same scale, name, path and hash; positions in it count from (x, y).

        Raises
        ------
        VideoError
            If the frames or the region are empty or reach outside the video.
        """
        count, rows, columns = self.shape
        a, b = (0, count) if frames is None else frames
        if not 0 <= a < b <= count:
            raise VideoError(
                f"{self.name}: frames {a}:{b} do not exist; choose within 0:{count}, at least one"
            )
        x, y, width, height = (0, 0, columns, rows) if region is None else region
        inside = 0 <= x <= x + width <= columns and 0 <= y <= y + height <= rows
        if not inside or width < 1 or height < 1:
            raise VideoError(
                f"{self.name}: region x={x}, y={y}, width={width}, height={height} is not within "
                f"its {columns} x {rows} pixels (width x height)"
            )
        view = object.__new__(Video)
        view.__dict__.update(self.__dict__)
        first, top, left = (part.start for part in self._window)
        view._window = (
            slice(first + a, first + b),
            slice(top + y, top + y + height),
            slice(left + x, left + x + width),
        )
        times = self.timestamps_s
        view._calibration = replace(
            self._calibration, timestamps_s=None if times is None else times[a:b]
        )
        return view

    def middle(self, height: int, width: int) -> "Video":
        """Return a view of the middle of the field, of this height and width in pixels.

        Raises
        ------
        VideoError
            The field is smaller.
        """
        _, rows, columns = self.shape
        if (rows, columns) == (height, width):
            return self
        return self.crop(region=((columns - width) // 2, (rows - height) // 2, width, height))

    @cached_property
    def sha256(self) -> str:
        """Hash of the source: a file's bytes; a folder's sorted names and bytes; an array's bytes.

        Of a cropped video it is that of the whole source.
        """
        digest = hashlib.sha256()
        if self._path is None:
            array = self._reader.read(0, self._reader.shape[0])
            digest.update(f"{array.dtype.str} {array.shape} ".encode())
            digest.update(array.tobytes())
        elif self._path.is_dir():
            from cloudtrainer.video.folder import images_of

            for path in sorted(images_of(self._path), key=lambda path: path.name):
                digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                _hash_file(digest, path)
        else:
            _hash_file(digest, self._path)
        return digest.hexdigest()


def _check_positive(name: str, value: float | None, unit: str) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise CalibrationError(f"{name} = {value} {unit} cannot be right; give a positive number")


def _override(
    stated: Calibration, pixel_size_um: float | None, frame_interval_s: float | None
) -> Calibration:
    """Return the calibration with the given numbers in place of the file's."""
    if pixel_size_um is not None:
        stated = replace(stated, pixel_size_um=float(pixel_size_um), source="given")
    if frame_interval_s is not None:
        # Times of the file that contradict the given interval must not survive it; others still
        # tell which frames are missing.
        agrees = math.isclose(stated.frame_interval_s or 0.0, frame_interval_s, rel_tol=0.01)
        times = stated.timestamps_s if agrees else None
        stated = replace(
            stated, frame_interval_s=float(frame_interval_s), timestamps_s=times, source="given"
        )
    return stated


def _hash_file(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)

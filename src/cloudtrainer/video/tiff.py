"""TIFF, BigTIFF, ImageJ and OME-TIFF stacks, page by page."""

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtrainer.errors import VideoError
from cloudtrainer.video.axes import select_frames
from cloudtrainer.video.calibration import (
    Calibration,
    imagej_calibration,
    ome_calibration,
    resolution_hint,
)
from cloudtrainer.video.greyscale import luminance
from cloudtrainer.video.reader import Frames, grey_dtype, one_line, quiet_log

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_COLOUR = ("RGB", "YCBCR", "CMYK", "CIELAB")


class TiffReader:
    """Frames of a TIFF file; opening it reads the pages' directories and no pixels.

    Parameters
    ----------
    path
        The file.
    channel, plane, image
        Index of the channel, Z-plane and image (position) where the file holds several.

    Raises
    ------
    VideoError
        If the file is no TIFF, is cut short, or needs a choice that was not made.
    """

    def __init__(
        self, path: Path, channel: int | None, plane: int | None, image: int | None
    ) -> None:
        import tifffile

        self._path = path
        try:
            with quiet_log("tifffile"), tifffile.TiffFile(path, _multifile=False) as self._tiff:
                self._open(channel, plane, image)
        except VideoError:
            raise
        except tifffile.TiffFileError as error:
            raise VideoError(
                f"{path}: not a TIFF file ({one_line(error)}); export it again, or give the file "
                "the extension of its true format"
            ) from error
        except Exception as error:  # damaged files make tifffile raise almost anything
            raise VideoError(
                f"{path}: the TIFF file is damaged or of an unknown kind ({one_line(error)}); "
                "export it again"
            ) from error

    def _open(self, channel: int | None, plane: int | None, image: int | None) -> None:
        import tifffile

        tiff, where = self._tiff, str(self._path)
        image = self._check_image(image)
        series = tiff.series[image]
        self._series = series
        axes, shape = series.get_axes(False), series.get_shape(False)
        self._first_page = series.keyframe
        self._photometric = tifffile.PHOTOMETRIC(self._first_page.photometric).name
        self._samples_are_colour = self._photometric in _COLOUR
        if "S" in axes and (not self._samples_are_colour or self._colour_is_chosen(axes, channel)):
            if _length(axes, shape, "C") > 1 and _length(axes, shape, "S") > 1:
                raise VideoError(
                    f"{where}: it has both channels and several values a pixel; save one of them"
                )
            axes = axes.replace("S", "C") if _length(axes, shape, "C") == 1 else axes
            self._samples_are_colour = False
        if axes.count("C") == 2:
            kept = axes.rindex("C")
            axes = axes[:kept].replace("C", "A") + axes[kept:]
        self._split = _leading(axes, shape, self._first_page.size)
        self._axes, self._full_shape = axes, shape
        self._selection = select_frames(axes, shape, channel, plane, where)
        time = self._selection.time
        self._frames = 1 if time is None else shape[time]
        self._rows, self._columns = _length(axes, shape, "Y"), _length(axes, shape, "X")
        if time is not None and time >= self._split:
            raise VideoError(f"{where}: one page holds several frames; save one frame a page")
        self._check_complete(tiff)
        self._dtype = grey_dtype(np.dtype(series.dtype), where)
        if self._samples_are_colour or self._palette is not None:
            self._dtype = np.dtype(np.float32)
        self._calibration = self._read_calibration(tiff, image, channel or 0, plane or 0)

    def _check_image(self, image: int | None) -> int:
        """Return which series of pages is meant, after checking that there is that choice."""
        series, where = self._tiff.series, self._path
        if not series:
            raise VideoError(f"{where}: the TIFF file holds no image; export it again")
        first = series[0]
        if len(series) > 1 and first.kind in ("generic", "uniform", "shaped"):
            odd = series[1]
            raise VideoError(
                f"{where}: its pages differ: the first is {_describe(first)}, another is "
                f"{_describe(odd)}; save frames of one size and type"
            )
        if image is None and len(series) > 1:
            raise VideoError(
                f"{where}: the file holds {len(series)} images: pass image=0 to {len(series) - 1}"
            )
        if image is not None and not 0 <= image < len(series):
            raise VideoError(
                f"{where}: image {image} does not exist; the file holds {len(series)}, from 0"
            )
        return image or 0

    @staticmethod
    def _colour_is_chosen(axes: str, channel: int | None) -> bool:
        return channel is not None and "C" not in axes

    @cached_property
    def _palette(self) -> Frames | None:
        """Luminance of each index of a palette, or None; ImageJ's indices are the intensities."""
        page = self._first_page
        if self._photometric != "PALETTE" or self._tiff.is_imagej:
            return None
        colours = np.asarray(page.colormap, dtype=np.float64)  # (3, n), 16 bits
        return luminance(np.moveaxis(colours, 0, -1) / 257)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""
        return self._frames, self._rows, self._columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels; float32 for colour, which becomes luminance."""
        return self._dtype

    @property
    def calibration(self) -> Calibration:
        """What the file states of pixel size and times."""
        return self._calibration

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as an array (t, Y, X)."""
        frames = np.empty((stop - start, self._rows, self._columns), self._dtype)
        try:
            if self._series.dataoffset is not None:
                self._read_contiguous(start, frames)
            else:
                self._read_pages(start, frames)
        except VideoError:
            raise
        except OSError as error:
            raise VideoError(f"{self._path}: cannot be read ({one_line(error)})") from error
        return frames

    def _read_contiguous(self, start: int, frames: Frames) -> None:
        # One page and then nothing but pixels: ImageJ's stacks over 4 GB are stored like this.
        series = self._series
        stored = np.memmap(
            self._path,
            dtype=np.dtype(series.dtype).newbyteorder(self._tiff.byteorder),
            mode="r",
            offset=series.dataoffset or 0,
            shape=self._full_shape,
        )
        for i in range(len(frames)):
            frames[i] = self._grey(np.asarray(stored[self._lead(start + i)]))

    def _read_pages(self, start: int, frames: Frames) -> None:
        lead_shape, frame_shape = self._full_shape[: self._split], self._full_shape[self._split :]
        self._tiff.filehandle.open()
        try:
            for i in range(len(frames)):
                lead = self._lead(start + i)
                number = int(np.ravel_multi_index(lead, lead_shape)) if lead else 0
                try:
                    page = self._series.pages[number]
                    if page is None:
                        raise ValueError("never written")
                    stored = page.asarray().reshape(frame_shape)
                except Exception as error:  # codecs raise exceptions of their own
                    raise VideoError(
                        f"{self._path}: frame {start + i} cannot be decoded ({one_line(error)}); "
                        "the file is damaged: copy or export it again"
                    ) from error
                frames[i] = self._grey(stored)
        finally:
            self._tiff.filehandle.close()

    def _lead(self, frame: int) -> tuple[int, ...]:
        return tuple(
            frame if i == self._selection.time else self._selection.fixed[i]
            for i in range(self._split)
        )

    def _grey(self, stored: Frames) -> Frames:
        """Return one frame (Y, X) of what a page holds."""
        axes = self._axes[self._split :]
        index = tuple(
            slice(None) if axis in "YXS" else self._selection.fixed[self._split + i]
            for i, axis in enumerate(axes)
        )
        kept = "".join(axis for axis in axes if axis in "YXS")
        frame = stored[index]
        if "S" in kept:
            frame = np.moveaxis(frame, kept.index("S"), -1)
            return luminance(frame) if self._samples_are_colour else frame[..., 0]
        return frame if self._palette is None else self._palette[frame]

    def _check_complete(self, tiff: "TiffFile") -> None:
        """Raise VideoError if the directories or the pixels they point to end before their time."""
        where, size, series = self._path, tiff.filehandle.size, self._series
        again = "the file is cut short: copy or export it again"
        if series.dataoffset is not None:
            if series.dataoffset + series.nbytes > size:
                page_bytes = self._first_page.nbytes
                whole = max(0, size - series.dataoffset) // page_bytes
                raise VideoError(
                    f"{where}: frame {whole} of {math.prod(self._full_shape[: self._split])} has "
                    f"no data beyond byte {size}; {again}"
                )
        else:
            for number, page in enumerate(series.pages):
                if page is None:
                    raise VideoError(
                        f"{where}: image {number} is not in this file (another file of the set, or "
                        "never written); save the stack as one file"
                    )
                ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
                if max(ends, default=0) > size:
                    raise VideoError(f"{where}: image {number} ends beyond byte {size}; {again}")
        planes = math.prod(self._full_shape[: self._split])
        stated = self._stated_planes(tiff)
        if stated is not None and stated > planes * max(1, len(tiff.series)):
            raise VideoError(f"{where}: it states {stated} images and holds {planes}; {again}")
        position = tiff.pages.next_page_offset
        if position is not None:
            tiff.filehandle.seek(position)
            following = tiff.filehandle.read(tiff.tiff.offsetsize)
            if len(following) < tiff.tiff.offsetsize or any(following):
                raise VideoError(
                    f"{where}: nothing readable follows page {len(tiff.pages) - 1}; {again}"
                )

    def _stated_planes(self, tiff: "TiffFile") -> int | None:
        if tiff.is_imagej and tiff.imagej_metadata:
            return int(tiff.imagej_metadata.get("images", 1))
        if tiff.is_shaped and tiff.shaped_metadata:
            stated = math.prod(tiff.shaped_metadata[0].get("shape", (0,)))
            return int(stated) // self._first_page.size
        return None

    def _read_calibration(
        self, tiff: "TiffFile", image: int, channel: int, plane: int
    ) -> Calibration:
        page = self._first_page
        x, y = _resolution(page, "XResolution"), _resolution(page, "YResolution")
        if tiff.is_ome and tiff.ome_metadata:
            time = self._selection.time
            return ome_calibration(
                tiff.ome_metadata,
                image,
                None if time is None else self._axes[time],
                channel,
                plane,
                self._frames,
            )
        if tiff.is_imagej and tiff.imagej_metadata:
            return imagej_calibration(tiff.imagej_metadata, x, y)
        unit = page.tags.get("ResolutionUnit")
        name = {2: "inch", 3: "cm"}.get(int(unit.value), "") if unit is not None else "inch"
        return Calibration(hint=resolution_hint(x, name))


def _leading(axes: str, shape: tuple[int, ...], page_size: int) -> int:
    """Return how many axes come before those that one page holds."""
    last = min(axes.index("Y"), axes.index("X"))
    for split in range(last, -1, -1):
        if math.prod(shape[split:]) == page_size:
            return split
    raise ValueError(f"pages of {page_size} pixels do not make up {axes} of {shape}")


def _length(axes: str, shape: tuple[int, ...], axis: str) -> int:
    return shape[axes.index(axis)] if axis in axes else 1


def _describe(series: "TiffPageSeries") -> str:
    page = series.keyframe
    return f"{' x '.join(map(str, page.shape))} {page.dtype}"


def _resolution(page: Any, tag: str) -> float | None:
    found = page.tags.get(tag)
    try:
        numerator, denominator = found.value
        return float(numerator) / float(denominator) or None
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None

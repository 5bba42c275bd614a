"""Microscope makers' own files (.czi, .lif, .nd2, .oir) through BioIO."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cloudtrainer.errors import VideoError
from cloudtrainer.video.axes import select_frames
from cloudtrainer.video.calibration import Calibration, ome_calibration, with_times
from cloudtrainer.video.greyscale import luminance
from cloudtrainer.video.reader import Frames, grey_dtype, one_line, quiet_log


class MicroscopeReader:
    """Frames of a microscope's file; only the planes asked for are decoded.

    Parameters
    ----------
    path
        The file.
    channel, plane, image
        Index of the channel, Z-plane and image (scene, position) where the file holds several.

    Raises
    ------
    VideoError
        If BioIO is missing, the file cannot be read, or it needs a choice that was not made.
    """

    def __init__(
        self, path: Path, channel: int | None, plane: int | None, image: int | None
    ) -> None:
        try:
            import bioio
            import bioio_openreadout
        except ImportError as error:
            raise VideoError(
                f"{path}: files of microscopes need BioIO: "
                "pip install 'deeptrack-cloud-trainer[microscopes]'"
            ) from error
        self._path = path
        try:
            # Kept open: reading the directory of a long file again for each frame is slow.
            with quiet_log("bioio"):
                self._file = bioio.BioImage(path, reader=bioio_openreadout.Reader, keep_open=True)
                self._open(channel, plane, image)
        except VideoError:
            raise
        except Exception as error:  # BioIO, OpenReadout and ome-types raise errors of many types
            raise VideoError(
                f"{path}: not a {path.suffix} file that can be read, or cut short "
                f"({one_line(error)}); copy it again, or export it as OME-TIFF"
            ) from error

    def _open(self, channel: int | None, plane: int | None, image: int | None) -> None:
        file, where = self._file, str(self._path)
        self._check_complete()
        count = len(file.scenes)
        if image is None and count > 1:
            raise VideoError(f"{where}: the file holds {count} images: pass image=0 to {count - 1}")
        if image is not None and not 0 <= image < count:
            raise VideoError(
                f"{where}: image {image} does not exist; the file holds {count}, from 0"
            )
        file.set_scene(image or 0)
        axes, shape = file.dims.order, file.shape
        selection = select_frames(axes, shape, channel, plane, where)
        self._time = None if selection.time is None else axes[selection.time]
        self._fixed = {axes[i]: index for i, index in selection.fixed.items()}
        self._colour = "S" in axes
        frames = 1 if self._time is None else shape[axes.index(self._time)]
        self._shape = (frames, shape[axes.index("Y")], shape[axes.index("X")])
        self._dtype = grey_dtype(np.dtype(file.dtype), where)
        if self._colour:
            self._dtype = np.dtype(np.float32)
        stated = ome_calibration(
            file.ome_metadata.to_xml(), image or 0, self._time, channel or 0, plane or 0, frames
        )
        # Zeiss keeps the measured times apart from the interval that was asked for.
        reader: Any = file.reader
        times = reader.file.images[image or 0].get("extra", {}).get("time_stamps_s", [])
        if self._time == "T" and len(times) == frames:
            stated = with_times(stated, np.array(times, dtype=np.float64))
        known = stated.pixel_size_um is not None or stated.frame_interval_s is not None
        self._calibration = replace(stated, source="vendor" if known else "unknown")

    def _check_complete(self) -> None:
        """Raise VideoError if the file is cut short: OpenReadout opens what is left of one."""
        reader: Any = self._file.reader
        for finding in reader.file.check()["findings"]:
            message = finding["message"]
            if finding["code"] == "truncated" or (
                finding["severity"] == "error" and "end of file" in message
            ):
                raise VideoError(
                    f"{self._path}: the file is cut short ({message}); copy or export it again"
                )

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
        """What the file states of pixel size and times."""
        return self._calibration

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as an array (t, Y, X)."""
        order = "YXS" if self._colour else "YX"
        chosen: dict[str, int | range] = dict(self._fixed)
        if self._time is not None:
            order = self._time + order
            chosen[self._time] = range(start, stop)
        if start == stop:
            return np.empty((0, *self._shape[1:]), self._dtype)
        try:
            planes: Any = self._file.get_image_dask_data(order, **chosen)
            stored = np.asarray(planes.compute())
        except Exception as error:  # as above
            raise VideoError(
                f"{self._path}: frames {start}:{stop} cannot be decoded ({one_line(error)}); the "
                "file is damaged: copy or export it again"
            ) from error
        frames = luminance(stored) if self._colour else stored.astype(self._dtype)
        return frames.reshape(stop - start, *self._shape[1:])

"""AVI, MP4 and MOV movies through PyAV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cloudtrainer.errors import VideoError
from cloudtrainer.video.calibration import Calibration
from cloudtrainer.video.greyscale import luminance
from cloudtrainer.video.reader import Frames, one_line

SEEK_BEYOND = 100  # frames ahead up to which decoding on is quicker than opening anew


class MovieReader:
    """Frames of a movie, decoded in order and only as far as asked for.

    Opening counts the packets of the whole file without decoding them: containers often state a
    wrong number of frames. Reading on from the last frame is quick; going elsewhere starts from
    the key frame before.

    Parameters
    ----------
    path
        The file.
    channel
        0, 1 or 2: red, green or blue of a colour movie in place of its luma.

    Raises
    ------
    VideoError
        If PyAV is missing, or the file holds no movie or is cut short.
    """

    def __init__(self, path: Path, channel: int | None) -> None:
        self._path = path
        self._channel = channel
        self._movie: Any = None
        self._decoded: Iterator[tuple[int, Any]] = iter(())
        self._next = 0
        self._times, self._calibration = self._count()
        first = self._grey(self._frame(0))
        self._shape = (len(self._times), *first.shape)
        self._dtype = first.dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels: uint8 or uint16, or float32 for movies stored as RGB."""
        return self._dtype

    @property
    def calibration(self) -> Calibration:
        """No calibration; the playback rate as a hint."""
        return self._calibration

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop - 1`` as an array (t, Y, X)."""
        frames = np.empty((stop - start, *self._shape[1:]), self._dtype)
        for i in range(len(frames)):
            frame = self._grey(self._frame(start + i))
            if frame.shape != self._shape[1:]:
                raise VideoError(
                    f"{self._path}: frame {start + i} is {frame.shape[0]} x {frame.shape[1]}, the "
                    f"first is {self._shape[1]} x {self._shape[2]}; export frames of one size"
                )
            frames[i] = frame
        return frames

    def _open(self) -> Any:
        try:
            import av
        except ImportError as error:
            raise VideoError(
                f"{self._path}: movies need PyAV: pip install 'deeptrack-cloud-trainer[movies]'"
            ) from error
        try:
            movie = av.open(str(self._path))
        except Exception as error:  # FFmpeg's errors have many types
            raise VideoError(
                f"{self._path}: not a movie that can be read, or cut short ({one_line(error)}); "
                "copy or export it again"
            ) from error
        if not movie.streams.video:
            raise VideoError(f"{self._path}: the file holds no video stream; export it again")
        movie.streams.video[0].thread_type = "AUTO"
        return movie

    def _count(self) -> tuple[list[int | None], Calibration]:
        """Return the presentation times of all frames in order, and what the container states."""
        times: list[int | None] = []
        packets = 0
        with self._open() as movie:
            stream = movie.streams.video[0]
            try:
                for packet in movie.demux(stream):
                    if packet.size:
                        packets += 1
                        if not packet.is_discard:
                            times.append(packet.pts if packet.pts is not None else packet.dts)
            except Exception as error:  # FFmpeg's errors have many types
                raise VideoError(
                    f"{self._path}: the movie breaks off after {len(times)} frames "
                    f"({one_line(error)}); copy or export it again"
                ) from error
            rate, stated = stream.average_rate, stream.frames
        if not times:
            raise VideoError(f"{self._path}: the movie holds no frames; export it again")
        if self._is_cut_short(packets, stated):
            raise VideoError(
                f"{self._path}: the movie is cut short after {packets} of {stated} frames; copy or "
                "export it again"
            )
        known = [time for time in times if time is not None]
        ordered: list[int | None] = [*sorted(known)]
        if len(known) < len(times) or len(set(known)) < len(known):
            ordered = [None] * len(times)
        hint = None
        if rate:
            hint = f"the movie plays at {float(rate):.6g} frames/s, which is not a calibration"
        return ordered, Calibration(hint=hint)

    def _is_cut_short(self, packets: int, stated: int) -> bool:
        with self._path.open("rb") as file:
            start = file.read(12)
        if start[:4] == b"RIFF":
            # An AVI may drop frames and still count them, but not state more bytes than it has.
            return int.from_bytes(start[4:8], "little") + 8 > self._path.stat().st_size + 1
        return packets < stated

    def _frame(self, number: int) -> Any:
        """Return one decoded frame."""
        reason = "no such frame follows"
        try:
            if self._movie is None or not self._next <= number <= self._next + SEEK_BEYOND:
                self._seek(number)
            for index, frame in self._decoded:
                self._next = index + 1
                if index == number:
                    return frame
        except VideoError:
            raise
        except Exception as error:  # FFmpeg's errors have many types
            reason = one_line(error)
        self._movie = None
        raise VideoError(
            f"{self._path}: frame {number} of {len(self._times)} cannot be decoded ({reason}); the "
            "movie is damaged: copy or export it again"
        )

    def _seek(self, number: int) -> None:
        """Make `_decoded` start at or before a frame."""
        self._movie = self._open()
        stream = self._movie.streams.video[0]
        time = self._times[number]
        if number and time is not None:
            self._movie.seek(time, stream=stream, backward=True)
            index_of = {time: index for index, time in enumerate(self._times)}
            frames = self._movie.decode(stream)
            first = next(frames, None)
            index = None if first is None else index_of.get(first.pts)
            if index is not None and index <= number:
                self._decoded = _numbered(first, frames, index)
                self._next = index
                return
            # Without trustworthy times the only sure way is to count from the beginning.
            self._movie = self._open()
            stream = self._movie.streams.video[0]
        self._decoded = enumerate(self._movie.decode(stream))
        self._next = 0

    def _grey(self, frame: Any) -> Frames:
        """Return a frame's luma as stored, or the luminance of RGB, as an array (Y, X)."""
        layout = frame.format
        colour = layout.is_rgb or layout.has_palette
        if self._channel is not None and not layout.name.startswith("gray"):
            if not 0 <= self._channel < 3:
                raise VideoError(
                    f"{self._path}: channel {self._channel} does not exist; choose 0, 1 or 2 "
                    "(red, green, blue)"
                )
            chosen: Frames = frame.to_ndarray(format="rgb24")[..., self._channel]
            return chosen
        if self._channel:
            raise VideoError(f"{self._path}: a grey movie has one channel; leave channel out")
        if colour:
            return luminance(frame.to_ndarray(format="rgb24"))
        if not layout.is_planar and len(layout.components) > 1:
            frame = frame.reformat(format="yuv422p")
            layout = frame.format
        plane = frame.planes[0]
        deep = layout.components[0].bits > 8
        pixels = np.frombuffer(plane, np.dtype(">u2" if "be" in layout.name[-2:] else "<u2"))
        if not deep:
            pixels = np.frombuffer(plane, np.uint8)
        width = plane.line_size // pixels.itemsize
        luma = pixels.reshape(-1, width)[: frame.height, : frame.width]
        return luma.astype(np.uint16 if deep else np.uint8)


def _numbered(first: Any, rest: Iterator[Any], index: int) -> Iterator[tuple[int, Any]]:
    """Yield decoded frames with their numbers, the first of which is `index`."""
    yield index, first
    yield from enumerate(rest, index + 1)

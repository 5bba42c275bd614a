"""Decoded frames on disk, found again by the content of their video and read lazily."""

import hashlib
import io
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.atomic import replacing
from cloudtrainer.video import Video

# Larger sets of labelled frames are decoded from the video each time.
_LARGEST_BYTES = 8 << 30
# Ours, and what a killed run left of them; never the "<stem>_processed.npy" of earlier versions.
_OWN = re.compile(r"\.?[0-9a-f]{32}_[0-9a-f]{16}\.npy(\.part)?")


class Frames(Protocol):
    """A row of frames, each read when it is asked for."""

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        """Return one frame, (height, width)."""

    def __len__(self) -> int:
        """Return the number of frames."""


class VideoFrames:
    """Some frames of a video, decoded when they are asked for."""

    def __init__(self, video: Video, numbers: NDArray[np.int64]) -> None:
        self.video = video
        self.numbers = numbers

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        number = int(self.numbers[index])
        frame: NDArray[Any] = self.video.frames(number, number + 1)[0]
        return frame

    def __len__(self) -> int:
        return len(self.numbers)


class FrameCache:
    """Decoded frames of a workspace's videos.

    Parameters
    ----------
    folder : Path
        The cache.
    write : bool
        Whether to put missing frames into it and to take old ones away; without, missing ones are
        decoded when they are asked for.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.folder = folder
        self.write = write
        self._used: set[str] = set()

    def frames(self, video: Video, sha256: str, numbers: NDArray[np.int64]) -> Frames:
        """Return frames of a video, from the cache where they are there.

        Parameters
        ----------
        video : Video
            The video.
        sha256 : str
            Hash of its content: a replaced video does not find the frames of the old one.
        numbers : ndarray
            The frames wanted.

        Returns
        -------
        Frames
            A memory-mapped array (frames, height, width), or the video itself where there is no
            room on the disk for its frames.

        Raises
        ------
        VideoError
            A frame cannot be decoded.
        """
        chosen = hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()[:16]
        path = self.folder / f"{sha256[:32]}_{chosen}.npy"
        self._used.add(path.name)
        shape = (len(numbers), *video.shape[1:])
        decoded = VideoFrames(video, numbers)
        header = _header(video.dtype, shape)
        nbytes = int(np.prod(shape)) * video.dtype.itemsize
        # The cache only saves time: training goes on from the video where the disk is full.
        try:
            if not _is_whole(path, header, nbytes):
                if not self.write or not self._make_room(sha256, nbytes):
                    return decoded
                _write(path, header, decoded, video.dtype)
            mapped: NDArray[Any] = np.memmap(
                path, dtype=video.dtype, mode="r", offset=len(header), shape=shape
            )
        except OSError:
            return decoded
        return mapped

    def remove_unused(self) -> None:
        """Take away the frames of videos that are gone or were replaced, and of other labels."""
        if self.write:
            self._remove("", self._used)

    def _make_room(self, sha256: str, nbytes: int) -> bool:
        """Take away other frames of a video; tell whether there is room, and more for the run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove(sha256[:32], set())
        return nbytes <= min(_LARGEST_BYTES, shutil.disk_usage(self.folder).free // 2)

    def _remove(self, beginning: str, kept: set[str]) -> None:
        with suppress(OSError):
            for file in self.folder.iterdir():
                ours = _OWN.fullmatch(file.name) and file.name.lstrip(".").startswith(beginning)
                if ours and file.name not in kept:
                    # On Windows a file that another program reads cannot be removed.
                    with suppress(OSError):
                        file.unlink()


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the first bytes of an array file, by which a damaged or foreign one is told."""
    descr = np.lib.format.dtype_to_descr(dtype)
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _is_whole(path: Path, header: bytes, nbytes: int) -> bool:
    if not path.is_file() or path.stat().st_size != len(header) + nbytes:
        return False
    with path.open("rb") as file:
        return file.read(len(header)) == header


def _write(path: Path, header: bytes, frames: Frames, dtype: np.dtype[Any]) -> None:
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(header)
        for index in range(len(frames)):
            file.write(frames[index].astype(dtype, copy=False).tobytes())

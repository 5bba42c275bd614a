"""Hashes that tell videos and labels apart by what they hold, whatever they are called."""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.atomic import write_json
from cloudtrainer.video import Video
from cloudtrainer.video.folder import images_of

_CHUNK = 1 << 20
_SAMPLE = 1 << 16
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


class ContentHashes:
    """Hashes of videos, remembered so that a large video is not read again in every run.

    Parameters
    ----------
    path : Path
        The file that they are remembered in; one that is missing or damaged remembers nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, object] = {}
        with suppress(OSError, ValueError, RecursionError):
            values = json.loads(path.read_text(encoding="utf-8"))
            self._known = values if isinstance(values, dict) else {}

    def of(self, video: Path) -> tuple[str, str]:
        """Return MD5 and SHA-256 of a video's content.

        A folder of images has its SHA-256 twice, since earlier versions knew no folders.

        Raises
        ------
        OSError
            The video cannot be read.
        """
        stamp = _stamp(images_of(video) if video.is_dir() else [video])
        match self._known.get(video.name):
            case [str(known), str(md5), str(sha256)] if (
                known == stamp and is_hash(md5) and is_sha256(sha256)
            ):
                return md5, sha256
        md5, sha256 = _folder_hashes(video) if video.is_dir() else _file_hashes(video)
        self._known[video.name] = [stamp, md5, sha256]
        return md5, sha256

    def save(self) -> None:
        """Write the file; where that fails, the next run reads the videos again."""
        with suppress(OSError):
            write_json(self.path, self._known)


def labels_hash(labels: pd.DataFrame, empty: NDArray[np.int64] | None = None) -> str:
    """Return the SHA-256 of labels, whatever their order and the format they came from.

    Parameters
    ----------
    labels : DataFrame
        ``frame, x, y`` of every particle.
    empty : ndarray of int64, optional
        Frames that were confirmed to hold none.
    """
    rows = labels[["frame", "x", "y"]].astype({"frame": "int64", "x": "float64", "y": "float64"})
    # Rounded before they are sorted: formats differ in the last digits. 0 is added since -0 is
    # another number of bits.
    rows[["x", "y"]] = rows[["x", "y"]].round(4) + 0.0
    rows = rows.sort_values(["frame", "x", "y"])
    digest = hashlib.sha256(rows["frame"].to_numpy().tobytes())
    digest.update(rows[["x", "y"]].to_numpy().tobytes())
    if empty is not None and len(empty):
        digest.update(b"empty" + np.unique(empty).tobytes())
    return digest.hexdigest()


def is_hash(text: str) -> bool:
    """Tell whether a text is an MD5 or a SHA-256 in hexadecimal."""
    return _HASH.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Tell whether a text is a SHA-256 in hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def _stamp(files: list[Path]) -> str:
    """Return what changes when a video is replaced, without reading all of it.

    Size and time alone do not tell: of videos that one program wrote in the same second, or that
    were copied with their times, both may be the same.
    """
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        digest.update(repr((file.name, state.st_size, state.st_mtime_ns)).encode())
    for index in _ends_and_middle(len(files)):
        chunks = -(-files[index].stat().st_size // _SAMPLE)
        with files[index].open("rb") as opened:
            for chunk in _ends_and_middle(chunks):
                opened.seek(chunk * _SAMPLE)
                digest.update(opened.read(_SAMPLE))
    return digest.hexdigest()


def _ends_and_middle(length: int) -> list[int]:
    return sorted({0, length // 2, length - 1}) if length else []


def _folder_hashes(folder: Path) -> tuple[str, str]:
    sha256 = Video(folder).sha256
    return sha256, sha256


def _file_hashes(file: Path) -> tuple[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
    return md5.hexdigest(), sha256.hexdigest()

"""The file of a video's labels: read with all it holds, written whole, others' changes noticed."""

import hashlib
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pandas as pd

from cloudtrainer.annotations import write_labels
from cloudtrainer.annotations.labels import read_label_table
from cloudtrainer.annotations.looked_at import (
    check_folder,
    empty_frames,
    looked_at_file,
    make_folder,
    read_looked_at,
    with_empty_frames,
    write_looked_at,
)
from cloudtrainer.atomic import replacing
from cloudtrainer.errors import LabelError
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace, comparable_name, label_names

_OURS = "CSV"
# Two tabs of one server compare and write one after the other.
_ONE_AT_A_TIME = threading.RLock()


class LabelsChangedError(LabelError):
    """The file is no longer the one that was read."""


class LabelFile:
    """The file of a video's labels.

    Beside the labels lie two folders: ``originals`` holds files as they were before the Studio
    wrote over them, and no training reads it; ``looked_at`` a JSON file a video with the frames
    that were confirmed to be empty, which the table of labels cannot say.

    Parameters
    ----------
    place : Workspace
        The workspace.
    path : Path
        The video's file or folder.
    video : Video
        The video.
    videos : list of Path
        All videos of the workspace that can be opened: whose labels a file is, is told by name.

    Attributes
    ----------
    notice : str
        What the first change will do to a file that the Studio did not write; empty where nothing
        but the change.
    """

    def __init__(self, place: Workspace, path: Path, video: Video, videos: list[Path]) -> None:
        self.place, self.path, self.video = place, path, video
        self._videos = videos
        self._known: tuple[Path, str] | None = None
        self._stamp: tuple[object, ...] = ()
        self.notice = ""

    @property
    def target(self) -> Path:
        """The CSV file that changes are written to."""
        return self.place.labels_csv(self.path, self._known[0] if self._known else None)

    def read(self) -> pd.DataFrame:
        """Return the labels, ``frame, x, y`` and the file's other columns; empty without a file.

        Raises
        ------
        LabelError
            The file holds no valid labels, or it is not clear which file is the video's.
        """
        with _ONE_AT_A_TIME:
            source = self._source()
            stamp = _stamp(source)
            if source is None:
                self._known, self._stamp, self.notice = None, stamp, ""
                return pd.DataFrame({"frame": pd.Series(dtype="int64"), "x": [], "y": []})
            digest = _digest(source)
            spots = read_label_table(source, self.video.shape, self.video.pixel_size_um)
            # What could not be read is never taken for known, and so never written over.
            self._known, self._stamp = (source, digest), stamp
            self.notice = self._notice(source, spots.format, list(spots.table.columns))
            return spots.table

    def changed(self) -> bool:
        """Tell whether the file is no longer as it was read or written here."""
        source = self._source()
        stamp = _stamp(source)
        if stamp == self._stamp:
            return False
        now = None if source is None else (source, _digest(source))
        if now == self._known:
            self._stamp = stamp
            return False
        return True

    def save(self, table: pd.DataFrame) -> None:
        """Write the labels; without any, the file is taken away.

        A table without rows would say that the video holds no particles at all.

        Raises
        ------
        LabelsChangedError
            The file was changed since it was read; nothing is written.
        LabelError
            It cannot be written; the old one is as it was.
        """
        with _ONE_AT_A_TIME:
            if self.changed():
                raise LabelsChangedError(f"{self.target.name}: was changed by another program")
            target = self.target
            if self._known is None:
                self._check_name(target)
            try:
                self._write(target, table)
            except OSError as error:
                raise LabelError(
                    f"{target.name}: could not be saved ({error.strerror or error}); make room on "
                    "the disk, and check that the folder can be written to"
                ) from None
        self.notice = ""

    @property
    def empty_frames(self) -> set[int]:
        """The frames that were confirmed to hold no particle."""
        return empty_frames(self._notes(), len(self.video))

    def set_empty(self, frame: int, empty: bool) -> None:
        """Note that a frame holds no particle, or that this is not known.

        Raises
        ------
        LabelError
            The note cannot be written.
        """
        with _ONE_AT_A_TIME:
            notes = self._notes()
            frames = empty_frames(notes, len(self.video))
            frames = frames | {frame} if empty else frames - {frame}
            try:
                write_looked_at(self._notes_path, with_empty_frames(notes, frames))
            except OSError as error:
                raise LabelError(
                    f"{self._notes_path.name}: could not be saved ({error.strerror or error})"
                ) from None

    def _source(self) -> Path | None:
        videos = self._videos if self.path in self._videos else [*self._videos, self.path]
        return self.place.labels_of(videos).get(self.path)

    def _check_name(self, target: Path) -> None:
        name = comparable_name(target)
        for other in self._videos:
            if other != self.path and label_names(other).get(name) == 0:
                raise LabelError(
                    f"{self.path.name} and {other.name}: labels of both would be named "
                    f"{target.name}; rename one of the videos first"
                )

    def _write(self, target: Path, table: pd.DataFrame) -> None:
        source = self._known[0] if self._known is not None else None
        # Before anything is written: afterwards the labels would be called unsaved, and are not.
        check_folder(self._notes_path.parent)
        if source is not None and not self._written_here():
            _keep(source, self.place.annotations / "originals")
        if table.empty:
            target.unlink(missing_ok=True)
        else:
            write_labels(target, table)
        # Until here both are there, which every reader of the folder refuses in words.
        if source is not None and source != target:
            source.unlink()
        self._known = None if table.empty else (target, _digest(target))
        self._stamp = _stamp(None if table.empty else target)
        written = self._known[1] if self._known is not None else ""
        write_looked_at(self._notes_path, {**self._notes(), "written_sha256": written})

    def _written_here(self) -> bool:
        return self._known is not None and self._notes().get("written_sha256") == self._known[1]

    def _notice(self, source: Path, format: str, columns: list[str]) -> str:
        said = []
        if source.suffix.lower() != ".csv" or format != _OURS:
            said.append(
                f"The labels were brought in as {format} ({source.name}). Your first change writes "
                f"all of them to {self.target.name}."
            )
        others = [str(name) for name in columns if name not in ("frame", "x", "y")]
        if others:
            said.append(
                f"Their other columns ({', '.join(others)}) stay with them, also with one that you "
                "move; a label that you add has none."
            )
        if not self._written_here():
            said.append("The file as it is now is then kept in annotations/originals.")
        return " ".join(said)

    @property
    def _notes_path(self) -> Path:
        return looked_at_file(self.target)

    def _notes(self) -> dict[str, object]:
        with suppress(LabelError):
            return read_looked_at(self._notes_path)
        return {}


def _stamp(file: Path | None) -> tuple[object, ...]:
    """Return what changes when a file is written anew, without reading it."""
    if file is None:
        return ()
    with suppress(OSError):
        state = file.stat()
        return (str(file), state.st_mtime_ns, state.st_size, state.st_ino)
    return (str(file),)


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise LabelError(f"{file.name}: cannot be read ({error.strerror})") from None


def _keep(file: Path, folder: Path) -> None:
    """Copy a file into a folder, unless what it holds is there, under a name that is free."""
    make_folder(folder)
    copy, number = folder / file.name, 1
    while copy.exists():
        if _digest(copy) == _digest(file):
            return
        number += 1
        copy = folder / f"{file.stem}_{number}{file.suffix}"
    with replacing(copy) as unfinished:
        shutil.copyfile(file, unfinished)

"""The ledger of learned videos: which content was learned, by which model, from which frames.

It is the ``training_tracker.json`` of versions 2.0 and 3.0, whose keys it keeps, so that those
still read it: ``{"<video file name>": {"hash": "<md5>", "trained_date", "model_version"}}``.
"""

import json
import shutil
from collections.abc import Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cloudtrainer.atomic import write_json
from cloudtrainer.detector.versions import read_metadata
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.training.hashes import is_hash, is_sha256

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class VideoRecord:
    """What is known of a video that was learned, or is about to be.

    Attributes
    ----------
    name : str
        Its file name.
    md5, sha256 : str
        Hashes of its content; of the entries of earlier versions only the first is known.
    labels_sha256 : str
        Hash of its labels; empty where not known.
    held_out : tuple of (int, int)
        First and last frame of each stretch that is never learned from.
    labelled_frames : int
        Number of frames with labels.
    labelled : tuple of (int, int)
        First and last frame of each stretch of frames that have, or had, labels.
    model_version : str
        The model that learned it; empty before.
    models : tuple of str
        Every model that has learned or rehearsed it with these labels: an older one may become the
        current one again.
    trained_date : str
        When it was learned, ISO 8601.
    """

    name: str
    md5: str
    sha256: str = ""
    labels_sha256: str = ""
    held_out: Ranges = ()
    labelled_frames: int = 0
    labelled: Ranges = ()
    model_version: str = ""
    models: tuple[str, ...] = ()
    trained_date: str = ""

    def known_to(self, versions: Set[str]) -> bool:
        """Tell whether one of the models has learned it."""
        return not versions.isdisjoint({self.model_version, *self.models} - {""})

    @property
    def own_name(self) -> str:
        """A name that no other video has, where another has the file name."""
        mark = f" ({(self.sha256 or self.md5)[:8]})"
        return self.name if self.name.endswith(mark) else self.name + mark

    def same_content(self, other: "VideoRecord") -> bool:
        """Tell whether both are the same video, whatever they are called."""
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return self.md5 == other.md5

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as it is written, with the keys of earlier versions first."""
        return {
            "hash": self.md5,
            "trained_date": self.trained_date,
            "model_version": self.model_version,
            "models": list(self.models),
            "sha256": self.sha256,
            "labels_sha256": self.labels_sha256,
            "held_out": [list(stretch) for stretch in self.held_out],
            "labelled_frames": self.labelled_frames,
            "labelled": [list(stretch) for stretch in self.labelled],
        }

    @classmethod
    def from_dict(cls, name: str, entry: Any) -> "VideoRecord | None":
        """Read an entry of this or an earlier version; None where it is none."""
        if not isinstance(entry, dict):
            return None

        def text(key: str) -> str:
            value = entry.get(key)
            return value if isinstance(value, str) else ""

        md5, sha256, frames = text("hash").lower(), text("sha256"), entry.get("labelled_frames")
        if not is_hash(md5):
            return None
        return cls(
            name=name,
            md5=md5,
            sha256=sha256 if is_sha256(sha256) else "",
            labels_sha256=text("labels_sha256"),
            held_out=_ranges(entry.get("held_out")),
            labelled_frames=frames if type(frames) is int else 0,
            labelled=_ranges(entry.get("labelled")),
            model_version=text("model_version"),
            models=_names(entry.get("models")),
            trained_date=text("trained_date"),
        )


@dataclass
class Ledger:
    """The learned videos of a workspace.

    Attributes
    ----------
    path : Path
        The file.
    records : list of VideoRecord
        One for each learned video.
    notes : list of str
        What the user must be told of the file: that it was damaged, and what is done.
    """

    path: Path
    records: list[VideoRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _damaged: bool = field(default=False, repr=False)

    @classmethod
    def open(cls, path: Path, models: list[Path]) -> "Ledger":
        """Read the ledger; what it has lost is taken from the models' own lists.

        Nothing is written: a damaged file lies in its place until the next model is noted.

        Parameters
        ----------
        path : Path
            The file.
        models : list of Path
            Exports of the workspace, oldest first, whose lists of videos tell what is lost.

        Raises
        ------
        WorkspaceError
            The file is there and cannot be read.
        """
        missing = not path.exists()
        entries = {} if missing else _entries(path)
        records = _records(entries or {})
        known = cls(path)
        for folder in models:
            for record in _records(_videos_of(folder)):
                known.add([known._with_first_learning(record)])
        ledger = cls(path, records, _damaged=entries is None or len(records) < len(entries))
        lost = [record for record in known.records if ledger.find(record) is None]
        ledger.add(lost)
        found = f"{len(lost)} videos are known from the models' own lists"
        if ledger._damaged:
            ledger.notes.append(
                f"{path}: is damaged; {found}. It will be kept as {ledger._aside().name}"
            )
        elif lost:
            ledger.notes.append(f"{path}: {'is missing' if missing else 'lacks videos'}; {found}")
        return ledger

    def find(self, video: VideoRecord) -> VideoRecord | None:
        """Return what is known of the same content, under whatever name; None if nothing is."""
        known = [record for record in self.records if record.same_content(video)]
        return known[-1] if known else None

    def named(self, name: str) -> VideoRecord | None:
        """Return the record of a name; None if there is none."""
        return next((record for record in self.records if record.name == name), None)

    def add(self, records: list[VideoRecord]) -> None:
        """Put in records; they take the place of those of the same content.

        Another video that had the name before stays known under a name of its own: when it comes
        back, the frames that were held out of it are still held out.
        """
        for new in records:
            others = [old for old in self.records if not old.same_content(new)]
            self.records = [
                replace(old, name=old.own_name) if old.name == new.name else old for old in others
            ]
            self.records.append(new)

    def learned(self, records: list[VideoRecord], version: str) -> None:
        """Note that a model learned these videos, and write the file.

        Parameters
        ----------
        records : list of VideoRecord
            Videos that the model learned, and those that it rehearsed, which have a model already
            and keep it.
        version : str
            The model.

        Raises
        ------
        OSError
            The file cannot be written; the old one is as it was.
        """
        now = datetime.now().isoformat(timespec="seconds")
        noted = []
        for one in records:
            known = self.find(one)
            same = known is not None and known.labels_sha256 == one.labels_sha256
            before = (*known.models, known.model_version) if known is not None and same else ()
            models = dict.fromkeys([*before, one.model_version, version])
            one = replace(one, models=tuple(name for name in models if name))
            if not one.model_version:
                one = replace(one, model_version=version, trained_date=now)
            noted.append(one)
        self.add(noted)
        if self._damaged:
            self._put_aside()
        write_json(self.path, {record.name: record.to_dict() for record in self.records})
        self._damaged = False

    def _with_first_learning(self, record: VideoRecord) -> VideoRecord:
        """Return the record of a later model, with the model that learned the video first."""
        known = self.find(record)
        if known is None or known.labels_sha256 != record.labels_sha256:
            return record
        return replace(
            record,
            model_version=known.model_version,
            models=tuple(dict.fromkeys([*known.models, *record.models, record.model_version])),
            trained_date=known.trained_date,
        )

    def _aside(self) -> Path:
        aside, number = self.path.with_name(f"{self.path.name}.damaged"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.damaged_{number}")
        return aside

    def _put_aside(self) -> None:
        if self.path.is_dir():
            self.path.rename(self._aside())
        elif self.path.exists():
            # Copied: so there is a file at every moment, until the new one takes its place.
            shutil.copy2(self.path, self._aside())


def _entries(path: Path) -> dict[str, Any] | None:
    """Return the entries by name; None where the file holds none that can be read."""
    if path.is_dir():
        return None
    try:
        # Some editors put a mark before the text.
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and its disk"
        ) from None
    except (ValueError, RecursionError):
        return None
    return entries if isinstance(entries, dict) else None


def _records(entries: dict[str, Any]) -> list[VideoRecord]:
    read = [VideoRecord.from_dict(name, entry) for name, entry in entries.items()]
    return [record for record in read if record is not None]


def _videos_of(folder: Path) -> dict[str, Any]:
    """Return the entries of a model's own list of videos, by name."""
    videos = read_metadata(folder).get("videos")
    return {
        one["name"]: {**one, "model_version": one.get("model_version") or folder.name}
        for one in (videos if isinstance(videos, list) else [])
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    }


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _ranges(value: Any) -> Ranges:
    return tuple(
        (pair[0], pair[1])
        for pair in (value if isinstance(value, list) else [])
        if isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)
    )

"""What is known of frames beside their labels: that somebody looked and saw no particle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtrainer.atomic import write_json
from cloudtrainer.errors import LabelError

FOLDER = "looked_at"
_EMPTY = "empty_frames"


def looked_at_file(labels: Path) -> Path:
    """Return the JSON file with what is known beside a CSV file of labels."""
    return labels.parent / FOLDER / f"{labels.stem}.json"


def read_looked_at(path: Path) -> dict[str, Any]:
    """Read what is known; nothing is where there is no such file.

    Raises
    ------
    LabelError
        The file cannot be read, or holds something else.
    """
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not isinstance(notes.get(_EMPTY, []), list):
        raise LabelError(
            f"{path}: is damaged, or no note of the frames that were confirmed as empty; remove "
            "it, and confirm them again."
        )
    return notes


def write_looked_at(path: Path, notes: Mapping[str, Any]) -> None:
    """Write what is known, whole or not at all.

    Raises
    ------
    LabelError
        A file lies where the folder is to be.
    OSError
        It cannot be written.
    """
    make_folder(path.parent)
    write_json(path, dict(notes))


def make_folder(folder: Path) -> None:
    """Make a folder beside the labels, if it is not there.

    Raises
    ------
    LabelError
        A file lies in its place.
    OSError
        It cannot be made.
    """
    check_folder(folder)
    folder.mkdir(exist_ok=True)


def check_folder(folder: Path) -> None:
    """Raise LabelError where a file lies in the place of a folder beside the labels."""
    if folder.exists() and not folder.is_dir():
        raise LabelError(
            f"{folder}: is a file, where a folder of the Studio is to be; rename it, or move it "
            "elsewhere."
        )


def empty_frames(notes: Mapping[str, Any], frames: int) -> set[int]:
    """Return the frames of a video of so many that were confirmed to hold no particle."""
    noted = notes.get(_EMPTY)
    whole = noted if isinstance(noted, list) else []
    return {frame for frame in whole if type(frame) is int and 0 <= frame < frames}


def with_empty_frames(notes: Mapping[str, Any], frames: set[int]) -> dict[str, Any]:
    """Return what is known, with other frames that were confirmed to hold no particle."""
    return {**notes, _EMPTY: sorted(frames)}

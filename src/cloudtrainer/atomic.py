"""Files that are whole or not there: written under a temporary name, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what is written there takes its place at the end.

    The temporary file lies in the same folder, so that the renaming is one step on any disk, and
    its bytes are on the disk before it. Where the writing fails, or the program is killed, the old
    file is as it was. What a killed program leaves has the same name each time, so that the next
    writing takes it away.

    Raises
    ------
    OSError
        The file cannot be written: the disk is full, or the folder is read-only.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    File names that are not valid Unicode, as old archives unpack them, are written as escapes; in
    JSON these are read back as they were.
    """
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, values: Any) -> None:
    """Write plain numbers, strings, lists and dictionaries as JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

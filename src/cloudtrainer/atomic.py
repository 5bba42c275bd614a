"""Files and folders that are whole or not there: made under a temporary name, then renamed."""

import json
import os
import shutil
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


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside ``path`` that takes its place, whole, at the end.

    A folder that is there is moved aside before and removed after; where the writing fails it is
    as it was. Renaming a folder onto another takes two steps: a program killed between them leaves
    the old folder beside the place, as ``.<name>.old``.

    Raises
    ------
    OSError
        The folder cannot be written: the disk is full, its parent is missing or read-only, or a
        file is in its place.
    """
    unfinished, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        for file in (each for each in unfinished.rglob("*") if each.is_file()):
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        if path.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            path.replace(old)
        try:
            unfinished.replace(path)
        except OSError:
            if old.is_dir():
                old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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

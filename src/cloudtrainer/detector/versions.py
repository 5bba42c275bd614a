"""The exports of a ``models`` folder: their order, the current one, and what each came from."""

import json
import re
from pathlib import Path
from typing import Any

from cloudtrainer.atomic import write_json
from cloudtrainer.errors import ModelError

VERSION_NAME = re.compile(r"v_[0-9]{8}_[0-9]{6}(_[0-9]+)?")
_CURRENT = "current.json"
WEIGHTS = ("weights.pth", "weights.safetensors")
# Files that hold a model by themselves, and what a whole export is packed into.
FILE_SUFFIXES = (".pth", ".ckpt", ".safetensors")
ZIP_SUFFIX = ".zip"


def model_versions(models: Path) -> list[Path]:
    """Return the exports in a ``models`` folder, oldest first.

    An export is a folder ``v_<YYYYMMDD_HHMMSS>``, with ``_<number>`` behind it where several are of
    the same second, that holds weights.
    """
    if not models.is_dir():
        return []
    return sorted((path for path in models.iterdir() if _is_export(path)), key=_age)


def current_version(models: Path) -> Path | None:
    """Return the export that ``current.json`` names, else the newest; None where there is none."""
    version = _read(models / _CURRENT).get("version")
    if isinstance(version, str) and _is_export(models / version, version):
        return models / version
    found = model_versions(models)
    return found[-1] if found else None


def names_no_model(models: Path) -> bool:
    """Tell whether there is a note of the current version that names none of the exports."""
    version = _read(models / _CURRENT).get("version")
    named = isinstance(version, str) and _is_export(models / version, version)
    return (models / _CURRENT).exists() and not named


def damaged_versions(models: Path) -> list[Path]:
    """Return the folders that are named as versions and hold no weights."""
    if not models.is_dir():
        return []
    return sorted(
        path
        for path in models.iterdir()
        if path.is_dir() and VERSION_NAME.fullmatch(path.name) and not _is_export(path)
    )


def set_current(models: Path, version: str) -> None:
    """Name the export that is used when a workspace's model is asked for.

    Raises
    ------
    ModelError
        There is no export of that version, or the note cannot be written.
    """
    _require(models, version)
    try:
        write_json(models / _CURRENT, {"version": version})
    except OSError as error:
        raise ModelError(
            f"{models / _CURRENT}: cannot be written ({error.strerror}); "
            f"{version} did not become the current model"
        ) from None


def lineage(models: Path, version: str) -> list[str]:
    """Return a version, the one that it was trained from, and so on back to the first.

    The last name may be of a model that is no longer there, or never was in this folder.

    Raises
    ------
    ModelError
        There is no export of that version.
    """
    _require(models, version)
    line = [version]
    while _is_export(models / line[-1], line[-1]):
        parent = read_metadata(models / line[-1]).get("parent")
        if not isinstance(parent, str) or not parent or parent in line:
            break
        line.append(parent)
    return line


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what an export says of itself; one whose note is missing or damaged says nothing."""
    return _read(folder / "metadata.json")


def _require(models: Path, version: str) -> None:
    if not _is_export(models / version, version):
        known = ", ".join(path.name for path in model_versions(models)[-3:]) or "none"
        raise ModelError(f"{version}: no such model in {models}; the newest there: {known}")


def _is_export(folder: Path, version: str | None = None) -> bool:
    """Say whether this is an export; a version that is a path, not a name, is none."""
    name = folder.name if version is None else version
    return bool(VERSION_NAME.fullmatch(name)) and any((folder / file).is_file() for file in WEIGHTS)


def _age(folder: Path) -> tuple[str, int]:
    """Sort v_<time>_10 behind v_<time>_2."""
    day, _, rest = folder.name.removeprefix("v_").partition("_")
    time, _, again = rest.partition("_")
    return f"{day}_{time}", int(again or 1)


def _read(path: Path) -> dict[str, Any]:
    """Read a note; one that is missing or damaged says nothing."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}

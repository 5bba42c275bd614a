"""The output folder: it appears whole, or stays as it was."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.errors import WorkspaceError

# Every file that an analysis may write, so that --overwrite leaves no older result beside newer
# ones, and nothing of the user's is removed.
TABLES = ("detections", "tracks", "tracks_left_out", "particles")
FIGURES = (
    "detections",
    "detections_per_frame",
    "trajectories",
    "msd",
    "D_of_particles",
    "alpha_of_particles",
    "linking",
    "correlations",
    "moduli",
    "model_tests",
    "van_hove",
    "D_over_field",
    "videos",
)
RESULTS = (
    "report.html",
    "methods.txt",
    "summary.json",
    "columns.csv",
    "msd.csv",
    "moduli.csv",
    "mobility.csv",
    "mobility_tracks.csv",
    "mobility.xlsx",
    "means_over_videos.csv",
    *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet")),
    *(f"figures/{name}.{ending}" for name in FIGURES for ending in ("png", "svg")),
)

_UNFINISHED = ".unfinished-"
# Held while files are moved, which takes moments: an older one is of a run that was killed.
_CLAIM, _CLAIM_LASTS_S = ".moving-results", 60.0

Stamp = tuple[int, int, int]


@contextmanager
def output_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder whose files move to ``out`` when all is done.

    Of two runs into one folder at the same time, the one that is done first has it; the other one
    raises, and its files are not mixed with those.

    Raises
    ------
    WorkspaceError
        ``out`` holds files and ``overwrite`` is False, is a file, or cannot be written; or another
        run has written its results there meanwhile.
    """
    made: list[Path] = []
    try:
        made = [folder for folder in out.parents if not folder.exists()]
        there = out.is_dir()
        if out.exists() and not there:
            raise WorkspaceError(f"{out}: is a file; give a folder for the results")
        if there and not overwrite:
            _check_empty(out)
        before = _stamps(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        # On the same disk as the results, so that they can be moved: a folder that is there may
        # be a disk of its own, or the only place that may be written.
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=out if there else out.parent))
    except OSError as error:
        _remove_empty(made)
        raise WorkspaceError(
            f"{out}: cannot be written ({error.strerror or error}); give another folder"
        ) from None
    try:
        yield unfinished
        if there:
            with _claimed(out):
                _check_unchanged(unfinished, out, before)
                _replace(unfinished, out)
        else:
            # mkdtemp makes a folder that only its owner may read.
            unfinished.chmod(0o755)
            _put_in_place(unfinished, out)
    except OSError as error:
        raise WorkspaceError(
            f"{out}: could not be written ({error.strerror or error}); free space, or give another "
            "folder"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        _remove_empty(made)


def write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as CSV, for people, and as Parquet, for machines."""
    table.to_csv(stem.with_suffix(".csv"), index=False, float_format="%.6g")
    table.to_parquet(stem.with_suffix(".parquet"), index=False)


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write numbers and text as JSON; what is not a finite number becomes null."""
    text = json.dumps(finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """Return nested values as plain ones, with None for what is not a finite number."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def _check_empty(out: Path) -> None:
    names = [path.name for path in out.iterdir()]
    if names and all(name.startswith(_UNFINISHED) for name in names):
        raise WorkspaceError(
            f"{out}: another run is writing its results there (if it was killed, remove {names[0]} "
            "in it); give another folder"
        )
    if names:
        raise WorkspaceError(
            f"{out}: holds files already; give another folder, or --overwrite to replace its "
            "results"
        )


def _stamps(out: Path) -> dict[Path, Stamp]:
    """Return what tells each file of a folder from one that was written later."""
    stamps = {}
    for path in out.rglob("*") if out.is_dir() else ():
        # What other runs are working on comes and goes.
        with suppress(FileNotFoundError):
            state = path.stat()
            stamps[path.relative_to(out)] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return stamps


def _files(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def _check_unchanged(new: Path, out: Path, before: dict[Path, Stamp]) -> None:
    now = _stamps(out)
    if any(now.get(file) != before.get(file) for file in _files(new)):
        raise _taken(out)


def _put_in_place(new: Path, out: Path) -> None:
    try:
        new.replace(out)
    except OSError:
        if out.exists():
            raise _taken(out) from None
        raise


def _taken(out: Path) -> WorkspaceError:
    return WorkspaceError(
        f"{out}: another run wrote its results there meanwhile; they are kept, and these were not "
        "written; run again into another folder"
    )


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Let one run at a time move its files into a folder."""
    claim = out / _CLAIM
    try:
        with suppress(FileNotFoundError):
            if time.time() - claim.stat().st_mtime > _CLAIM_LASTS_S:
                claim.rmdir()
        claim.mkdir()
    except FileExistsError:
        raise _taken(out) from None
    try:
        yield
    finally:
        _remove_empty([claim])


def _replace(new: Path, old: Path) -> None:
    """Move results into a folder, in place of the results there; other files stay."""
    files = _files(new)
    for file in files:
        if (old / file).is_dir():
            raise WorkspaceError(f"{old / file}: is a folder; give another folder for the results")
    for folder in (summary.parent for summary in new.rglob("summary.json")):
        for result in RESULTS:
            if not (folder / result).exists():
                (old / folder.relative_to(new) / result).unlink(missing_ok=True)
    for file in files:
        (old / file).parent.mkdir(parents=True, exist_ok=True)
        (new / file).replace(old / file)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()

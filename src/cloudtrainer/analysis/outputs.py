"""The output folder: it appears whole, or stays as it was."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.errors import WorkspaceError


@contextmanager
def output_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder beside ``out`` whose files move there when all is done.

    Raises
    ------
    WorkspaceError
        ``out`` holds files and ``overwrite`` is False, is a file, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise WorkspaceError(f"{out}: is a file; give a folder for the results")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise WorkspaceError(
            f"{out}: holds files already; give another folder, or --overwrite to replace its "
            "results"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            with tempfile.TemporaryFile(dir=out):
                pass
        unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise WorkspaceError(
            f"{out}: cannot be written ({error.strerror}); give another folder"
        ) from None
    try:
        yield unfinished
        _move(unfinished, out)
    except OSError as error:
        raise WorkspaceError(f"{out}: could not be written ({error.strerror})") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as CSV, for people, and as Parquet, for machines."""
    table.to_csv(stem.with_suffix(".csv"), index=False, float_format="%.6g")
    table.to_parquet(stem.with_suffix(".parquet"), index=False)


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write numbers and text as JSON; what is not a finite number becomes null."""
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _move(unfinished: Path, out: Path) -> None:
    # mkdtemp makes a folder that only its owner may read.
    unfinished.chmod(0o755)
    if not out.exists():
        unfinished.replace(out)
        return
    for new in unfinished.iterdir():
        old = out / new.name
        if old.is_dir():
            shutil.rmtree(old)
        new.replace(old)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value

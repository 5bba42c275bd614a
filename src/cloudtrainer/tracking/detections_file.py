"""A Parquet file of detections, read a frame at a time."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.smeared import ARE_JOINED
from cloudtrainer.tracking.tables import checked_positions

_NEEDED = ("frame", "x", "y")
_BATCH_ROWS = 65_536
# Without it, a column of a whole row group, often of the whole file, is held at once.
_BUFFER_BYTES = 1 << 20
_INDEX = re.compile(r"__index_level_\d+__")


class DetectionsFile:
    """Detections in a Parquet file that is sorted by frame.

    Parameters
    ----------
    path
        File with the columns ``frame, x, y`` (pixels); others are kept as they are.

    Attributes
    ----------
    name
        Of the file.
    rows
        Number of detections.
    is_joined
        Whether particles that were found as two were joined when it was written, by `analyze`.
    empty
        A `pyarrow.Table` with the columns and no row.

    Raises
    ------
    LabelError
        When the file is missing, not Parquet or cut short, or lacks a column or has one twice.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, path.name
        with _opened(path) as file:
            schema, self.rows = file.schema_arrow, int(file.metadata.num_rows)
        self.is_joined = bool(_attributes(schema).get(ARE_JOINED))
        self._kept = [name for name in schema.names if not _INDEX.fullmatch(name)]
        checked_positions(pd.DataFrame(columns=self._kept), name=path.name)
        twice = [name for name in self._kept if self._kept.count(name) > 1]
        if twice:
            raise LabelError(f"{path.name}: the column {twice[0]} is there twice; keep one.")
        empty = schema.empty_table().select(self._kept)
        self.empty = _with_positions(empty, checked_positions(_positions(empty)))

    def count_frames(self) -> int:
        """Return the number of frames that hold a detection."""
        return sum(1 for _ in self._pieces(["frame"], ("frame",)))

    def frames(self) -> Iterator[tuple[int, Any]]:
        """Yield each frame's number, and its rows as a `pyarrow.Table`.

        Raises
        ------
        LabelError
            When a value is text, empty or infinite, a frame negative or not whole or after a later
            one, or the file damaged; the message names the row.
        """
        return self._pieces(self._kept, _NEEDED)

    def _pieces(self, columns: list[str], checked: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
        import pyarrow

        number = -1
        held: list[Any] = []
        for frames, table in self._tables(columns, checked):
            starts = np.flatnonzero(np.diff(frames, prepend=-1))
            for start, stop in zip(starts, [*starts[1:], len(frames)], strict=True):
                if frames[start] != number and held:
                    yield number, pyarrow.concat_tables(held)
                    held = []
                number = int(frames[start])
                held.append(table.slice(start, stop - start))
        if held:
            yield number, pyarrow.concat_tables(held)

    def _tables(
        self, columns: list[str], checked: tuple[str, ...]
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield pieces of the file, checked, and their frames, which do not decrease."""
        import pyarrow

        row, last = 0, 0
        with _opened(self._path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                table = pyarrow.Table.from_batches([batch]).replace_schema_metadata(None)
                numbers = np.arange(row, row + len(table))
                positions = checked_positions(
                    _positions(table), checked, name=self._path.name, row_numbers=numbers
                )
                frames = positions["frame"].to_numpy()
                back = np.flatnonzero(np.diff(frames, prepend=last) < 0)
                if back.size:
                    before = frames[back[0] - 1] if back[0] else last
                    raise LabelError(
                        f"{self._path.name}: row {row + back[0]}: frame {frames[back[0]]} comes "
                        f"after frame {before}; sort the table by frame first, in Python by "
                        "table.sort_values('frame').to_parquet(...)."
                    )
                if len(table):
                    row, last = row + len(table), int(frames[-1])
                    yield frames, _with_positions(table, positions)


def _attributes(schema: Any) -> dict[str, Any]:
    """Return what pandas wrote of the table as a whole, `DataFrame.attrs`."""
    try:
        found = json.loads((schema.metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _positions(table: Any) -> pd.DataFrame:
    there = [name for name in _NEEDED if name in table.column_names]
    return pd.DataFrame({name: table.column(name).to_pandas() for name in there})


def _with_positions(table: Any, positions: pd.DataFrame) -> Any:
    """Return a table whose frames are whole numbers and whose positions are floating-point."""
    import pyarrow

    for name in positions.columns:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pyarrow.array(positions[name].to_numpy()))
    return table.replace_schema_metadata(None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            yield file
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise LabelError(f"{path}: cannot be read ({error.strerror}).") from None
        raise LabelError(
            f"{path}: not a Parquet file, or damaged or cut short; write it again."
        ) from None

"""The frames of a file of detections, with particles that were found as two joined."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.tracking.detections_file import DetectionsFile
from cloudtrainer.tracking.smeared import (
    MERGED,
    Cause,
    cause_of,
    joined_values,
    numbers_of,
)
from cloudtrainer.tracking.twice_found import TwiceFound


class JoinedFrames:
    """The frames of a file as `join_smeared` leaves them, one at a time.

    The file is read once to find the pairs, and again by `frames`.

    Parameters
    ----------
    source
        The file; without the column ``intensity``, or where its detections were joined before,
        its frames are left as they are.
    search_range
        The largest step from one frame to the next, pixels.

    Attributes
    ----------
    joined
        How many pairs are joined.
    cause
        Why they were found as two, see `SmearedJoined`.
    empty
        A `pyarrow.Table` with the columns and no row.

    Raises
    ------
    LabelError
        When a column that pairs have in common holds something that is no number, or the file is
        not one of detections.
    """

    def __init__(self, source: DetectionsFile, search_range: float) -> None:
        self._source = source
        self._merged = tuple(name for name in MERGED if name in source.empty.column_names)
        self._one = self._other = np.empty(0, dtype=np.int64)
        self.joined = 0
        self.cause: Cause = "unknown"
        self.empty = source.empty
        if "intensity" not in self._merged or source.is_joined:
            self._merged = ()
            return
        twice, row = TwiceFound(search_range), 0
        for number, rows in source.frames():
            values = self._values(rows, row)
            twice.add(number, np.column_stack([values["x"], values["y"]]), values["intensity"])
            row += len(rows)
        pairs = twice.end()
        self._one, self._other = pairs.one, pairs.other
        self.joined, self.cause = len(pairs.one), cause_of(pairs)
        self.empty = self._put(source.empty, self._values(source.empty, 0))

    def frames(self) -> Iterator[tuple[int, Any]]:
        """Yield each frame's number, and its rows as a `pyarrow.Table`."""
        row = 0
        for number, rows in self._source.frames():
            first, after = np.searchsorted(self._one, [row, row + len(rows)])
            if self._merged:
                yield number, self._frame(rows, row, first, after)
            else:
                yield number, rows
            row += len(rows)

    def _frame(self, rows: Any, row: int, first: int, after: int) -> Any:
        values = self._values(rows, row)
        if first == after:
            return self._put(rows, values)
        one, other = self._one[first:after] - row, self._other[first:after] - row
        new, gone = joined_values(values, one, other)
        return self._put(rows, new).take(np.delete(np.arange(len(rows)), gone))

    def _values(self, rows: Any, row: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns that pairs have in common as numbers."""
        return {
            name: numbers_of(rows.column(name).to_pandas().rename(name), self._source.name, row)
            for name in ("x", "y", *self._merged)
        }

    def _put(self, rows: Any, values: dict[str, NDArray[np.float64]]) -> Any:
        """Put values into the columns that become numbers."""
        import pyarrow

        for name in values:
            place = rows.column_names.index(name)
            kind = rows.schema.field(place).type
            plain = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
            if self.joined or not plain:
                rows = rows.set_column(place, name, pyarrow.array(values[name]))
        return rows

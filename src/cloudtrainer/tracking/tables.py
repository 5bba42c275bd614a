"""What a table of detections or tracks must hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError

# What lies further away is no position but a fault.
_FARTHEST = 1e9


def checked_positions(
    table: pd.DataFrame,
    columns: Sequence[str] = ("frame", "x", "y"),
    name: str = "detections",
    row_numbers: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    """Return a copy of a table whose frames are whole numbers and whose positions are finite.

    Parameters
    ----------
    table
        Any table; columns beyond those named are kept as they are.
    columns
        The columns that must be there and hold numbers; ``frame`` and ``particle`` become int64,
        the others float64.
    name
        What to call the table in a message.
    row_numbers
        What to call the rows in a message; 0, 1, ... when None.

    Raises
    ------
    LabelError
        When it is no table, a column is missing, or a value is text, empty, infinite, beyond 1e9,
        or, for a frame, negative or not whole.
    """
    if not isinstance(table, pd.DataFrame):
        raise LabelError(
            f"{name}: a {type(table).__name__} is no table; give a pandas DataFrame with "
            f"{', '.join(columns)}."
        )
    missing = [c for c in columns if c not in table.columns]
    if missing:
        there = ", ".join(str(c) for c in table.columns) or "none"
        raise LabelError(
            f"{name}: no column {', '.join(missing)} (columns found: {there}); "
            f"it needs {', '.join(columns)}."
        )
    result = table.reset_index(drop=True)
    for column in columns:
        given = result[column]
        if given.ndim != 1:
            raise LabelError(f"{name}: the column {column} is there twice; keep one.")
        plain = pd.to_numeric(given, errors="coerce")
        if pd.api.types.is_complex_dtype(plain):
            raise LabelError(f"{name}: the column {column} holds complex numbers; give real ones.")
        values = plain.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = column in ("frame", "particle")
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size == 0 and whole:
            bad = np.flatnonzero((values != np.floor(values)) | (np.abs(values) > 2**53))
        if bad.size == 0 and column == "frame":
            bad = np.flatnonzero(values < 0)
        if bad.size == 0 and not whole:
            bad = np.flatnonzero(np.abs(values) > _FARTHEST)
        if bad.size:
            wanted = "a frame number from 0" if column == "frame" else "a number"
            row = bad[0] if row_numbers is None else row_numbers[bad[0]]
            raise LabelError(
                f"{name}: row {row}, column {column}: "
                f"{_shown(given.iloc[bad[0]])} is not {wanted}; correct or remove the row."
            )
        result[column] = values.astype(np.int64) if whole else values
    return result


def _shown(value: object) -> str:
    return "an empty cell" if value is None or value != value else repr(str(value)[:40])

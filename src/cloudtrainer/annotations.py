"""Labels in and out, and tracks that were made elsewhere."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

_TRACKMATE = {"TRACK_ID": "particle", "FRAME": "frame", "POSITION_X": "x", "POSITION_Y": "y"}
_PIXEL_UNITS = {"pixel", "pixels", "px"}
_UM_PER_UNIT = {
    "micron": 1.0,
    "microns": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
}


def read_labels(path: str | Path, shape: tuple[int, int, int] | None = None) -> pd.DataFrame:
    """Read the labels of a video.

    Parameters
    ----------
    path
        A CSV file with a header line and the columns ``frame`` (from 0), ``x`` (column) and ``y``
        (row), pixels, the centre of the first pixel at (0, 0); other columns are ignored. A header
        without rows says that the video holds no particles.
    shape
        (T, Y, X) of the video, to check the labels against; None does not check.

    Returns
    -------
    pandas.DataFrame
        ``frame`` (int64), ``x, y`` (float64), sorted by frame.

    Raises
    ------
    LabelError
        When the file is missing, empty or not a table; lacks a column; or holds text, empty
        cells, negative frames, positions outside the video, or one label twice.
    """
    path = Path(path)
    table, rows = _read_csv(path)
    table = checked_positions(table, name=path.name, row_numbers=rows)[["frame", "x", "y"]]
    if shape is not None:
        _check_inside(table, shape, path.name, rows)
    twice = np.flatnonzero(table.duplicated().to_numpy())
    if twice.size:
        raise LabelError(
            f"{path.name}: row {rows[twice[0]]} repeats an earlier label (frame "
            f"{table['frame'].iloc[twice[0]]}, x {table['x'].iloc[twice[0]]:g}, "
            f"y {table['y'].iloc[twice[0]]:g}); remove it."
        )
    return table.sort_values("frame", kind="stable", ignore_index=True)


def write_labels(path: str | Path, table: pd.DataFrame) -> None:
    """Write labels as a CSV file that `read_labels` reads; an old file stays whole until the end.

    Parameters
    ----------
    path
        Where to; by custom ``<video stem>_particles.csv``.
    table
        Table with ``frame, x, y`` (pixels); further columns are written behind them.

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number, or the file
        cannot be written.
    """
    path = Path(path)
    table = checked_positions(table, name=f"labels for {path.name}")
    first = ["frame", "x", "y"]
    table = table[first + [c for c in table.columns if c not in first]]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            table.to_csv(temporary, index=False)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror}).") from None


def read_tracks(path: str | Path, pixel_size_um: float | None = None) -> pd.DataFrame:
    """Read tracks: our own CSV or Parquet, trackpy's CSV, or TrackMate's CSV of spots.

    Parameters
    ----------
    path
        A ``.csv`` file with ``frame, x, y, particle`` (pixels) or with TrackMate's ``TRACK_ID,
        FRAME, POSITION_X, POSITION_Y``, or a ``.parquet`` file with the former.
    pixel_size_um
        Micrometres a pixel, needed when TrackMate wrote positions in a unit of length; pixels are
        taken as they are.

    Returns
    -------
    pandas.DataFrame
        ``frame`` and ``particle`` (int64), ``x, y`` (float64, pixels), and, except from TrackMate,
        all other columns; sorted by frame, then particle. Spots outside any track are left out.

    Raises
    ------
    LabelError
        When the file is missing, empty or not such a table; holds text, empty cells or negative
        frames; holds one particle twice in a frame; or is in a unit that cannot be made pixels.
    """
    path = Path(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        table, rows = _read_parquet(path), None
    else:
        table, rows = _read_csv(path)
        if "TRACK_ID" in table.columns and "particle" not in table.columns:
            table, rows = _from_trackmate(table, rows, path.name, pixel_size_um)
        unnamed = [c for c in table.columns if c == "" or str(c).startswith("Unnamed:")]
        table = _with_numbers(table.drop(columns=unnamed))
    return checked_tracks(table, name=path.name, row_numbers=rows)


def checked_tracks(
    table: pd.DataFrame,
    name: str = "table of tracks",
    row_numbers: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    """Return a checked copy of a table of tracks, sorted by frame, then particle.

    Parameters
    ----------
    table
        ``frame, x, y, particle`` (pixels); other columns are kept.
    name, row_numbers
        What to call the table and its rows in a message.

    Raises
    ------
    LabelError
        When a column is missing; a value is text, empty or infinite; a frame is negative; or one
        particle is there twice in a frame.
    """
    columns = ("frame", "x", "y", "particle")
    table = checked_positions(table, columns, name=name, row_numbers=row_numbers)
    twice = table[table.duplicated(["frame", "particle"])]
    if not twice.empty:
        raise LabelError(
            f"{name}: particle {twice['particle'].iloc[0]} is there twice in frame "
            f"{twice['frame'].iloc[0]}; a track has one position a frame."
        )
    return table.sort_values(["frame", "particle"], kind="stable", ignore_index=True)


def _read_csv(path: Path) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Read all cells as text, and the line of the file that each row stands on."""
    try:
        with warnings.catch_warnings():
            # More cells than the header names: a decimal comma, or a file that is none of ours.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path, dtype=str, encoding="utf-8-sig", skip_blank_lines=False, index_col=False
            )
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file.") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}).") from None
    except pd.errors.EmptyDataError:
        raise LabelError(
            f"{path.name}: the file is empty; it needs a header line with frame, x and y."
        ) from None
    except UnicodeDecodeError:
        raise LabelError(f"{path.name}: not a text file; save it as CSV (UTF-8).") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        raise LabelError(f"{path.name}: not a table of comma-separated values: {reason}.") from None
    table.columns = [str(c).strip() for c in table.columns]
    if len(table.columns) == 1 and (";" in table.columns[0] or "\t" in table.columns[0]):
        raise LabelError(
            f"{path.name}: columns are separated by semicolons or tabs; save it with commas."
        )
    rows = np.arange(2, len(table) + 2, dtype=np.int64)
    filled = table.notna().any(axis=1).to_numpy(dtype=bool)
    return table[filled].reset_index(drop=True), rows[filled]


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file.") from None
    except (OSError, ValueError):
        raise LabelError(f"{path.name}: not a readable Parquet file.") from None


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of text into numbers where every filled cell is one."""
    result = {}
    for column in table.columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        result[column] = (
            table[column] if (numbers.isna() & table[column].notna()).any() else numbers
        )
    return pd.DataFrame(result, index=table.index)


def _from_trackmate(
    table: pd.DataFrame, rows: NDArray[np.int64], name: str, pixel_size_um: float | None
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    missing = [c for c in _TRACKMATE if c not in table.columns]
    if missing:
        raise LabelError(
            f"{name}: TrackMate's table of spots without the column {', '.join(missing)}; "
            "export all columns."
        )
    # Below the header stand up to three lines of names, short names and units.
    numeric = pd.to_numeric(table["FRAME"], errors="coerce").notna().to_numpy(dtype=bool)
    begin = int(np.argmax(numeric)) if numeric.any() else len(table)
    if begin > 3:
        raise LabelError(f"{name}: row {rows[3]}, column FRAME: not a frame number.")
    scale = 1.0
    units = [
        str(table[c].iloc[begin - 1] if begin else "").strip().strip("()").lower()
        for c in ("POSITION_X", "POSITION_Y")
    ]
    if not all(unit in _PIXEL_UNITS for unit in units):
        if units[0] != units[1] or (units[0] not in _UM_PER_UNIT and begin):
            raise LabelError(
                f"{name}: positions are in {units[0]!r} and {units[1]!r}, which is neither pixels "
                "nor micrometres; export from a video calibrated in one of them."
            )
        unit = units[0] if begin else "an unknown unit"
        if pixel_size_um is None or not pixel_size_um > 0:
            raise LabelError(
                f"{name}: positions are in {unit}; give the pixel size to turn them into pixels."
            )
        scale = _UM_PER_UNIT.get(units[0], 1.0) / pixel_size_um
    tracked = table["TRACK_ID"].notna().to_numpy(dtype=bool, copy=True)
    tracked[:begin] = False
    result = table.loc[tracked, list(_TRACKMATE)].rename(columns=_TRACKMATE)
    result = checked_positions(result, name=name, row_numbers=rows[tracked])
    result[["x", "y"]] *= scale
    return result, rows[tracked]


def _check_inside(
    table: pd.DataFrame, shape: tuple[int, int, int], name: str, rows: NDArray[np.int64]
) -> None:
    n_frames, height, width = shape
    late = np.flatnonzero(table["frame"].to_numpy() >= n_frames)
    if late.size:
        raise LabelError(
            f"{name}: row {rows[late[0]]}, column frame: {table['frame'].iloc[late[0]]} is past "
            f"the video's last frame, {n_frames - 1} (frames count from 0)."
        )
    for column, size in (("x", width), ("y", height)):
        values = table[column].to_numpy()
        outside = np.flatnonzero((values < -0.5) | (values > size - 0.5))
        if outside.size:
            raise LabelError(
                f"{name}: row {rows[outside[0]]}, column {column}: {values[outside[0]]:g} is "
                f"outside the frame, which is {width} wide (x) and {height} high (y), in pixels."
            )

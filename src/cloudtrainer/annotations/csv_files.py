"""Positions in CSV files: ours, trackpy's, TrackMate's, napari's, and tables of TrackID, t."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations.spots import Spots
from cloudtrainer.annotations.units import pixels_per_unit
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

_TRACKMATE = {"TRACK_ID": "particle", "FRAME": "frame", "POSITION_X": "x", "POSITION_Y": "y"}
_NAPARI = {"axis-0": "frame", "axis-1": "y", "axis-2": "x"}
_NAPARI_TRACKS = {"track_id": "particle", "t": "frame", "y": "y", "x": "x"}
_TRACK_ID = {"TrackID": "particle", "t": "frame", "x": "x", "y": "y"}

# Spreadsheets that part cells by semicolons write 12,5 for 12.5.
_DECIMAL_COMMA = r"^\s*([-+]?\d+),(\d+)\s*$"

Lines = NDArray[np.int64]


def read_csv(path: Path, pixel_size_um: float | None = None) -> Spots:
    """Read the positions in a CSV file; its columns tell the program that wrote it.

    Parameters
    ----------
    path
        A CSV file (UTF-8; commas, semicolons or tabs) whose header line holds ``frame, x, y``
        (ours, trackpy's); ``TRACK_ID, FRAME, POSITION_X, POSITION_Y`` (TrackMate's table of spots);
        ``axis-0, axis-1, axis-2`` (napari's points: frame, y, x); ``track_id, t, y, x`` (napari's
        tracks) or ``TrackID, t, x, y`` (t: the frame).
    pixel_size_um
        Micrometres a pixel, needed where TrackMate wrote positions in a unit of length.

    Returns
    -------
    Spots
        Positions in pixels, with all other columns of files of ours and trackpy's.

    Raises
    ------
    LabelError
        When the file is empty or not a table; lacks a column; or is in a unit that cannot be made
        pixels.
    OSError
        When the file is missing or cannot be read.
    """
    table, rows = _cells(path)
    columns = set(table.columns)
    if not {"frame", "x", "y"} <= columns:
        if columns & {"TRACK_ID", "POSITION_X", "POSITION_Y"}:
            return _trackmate(table, rows, path.name, pixel_size_um)
        if "axis-0" in columns:
            return _napari(table, rows, path.name)
        if columns >= set(_NAPARI_TRACKS):
            table = table[list(_NAPARI_TRACKS)].rename(columns=_NAPARI_TRACKS)
            return Spots(table, rows, "napari tracks CSV", repeats=True)
        if columns >= set(_TRACK_ID):
            table = table[list(_TRACK_ID)].rename(columns=_TRACK_ID)
            return Spots(table, rows, "CSV with TrackID", repeats=True)
    unnamed = [c for c in table.columns if c == "" or str(c).startswith("Unnamed:")]
    return Spots(_with_numbers(table.drop(columns=unnamed)), rows, "CSV")


def _cells(path: Path) -> tuple[pd.DataFrame, Lines]:
    """Read all cells as text, and the line of the file that each row stands on."""
    separator = _separator(path)
    try:
        with warnings.catch_warnings():
            # More cells than the header names: a decimal comma, or a file that is none of ours.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                dtype=str,
                encoding="utf-8-sig",
                skip_blank_lines=False,
                index_col=False,
                sep=separator,
            )
    except pd.errors.EmptyDataError:
        raise LabelError(
            f"{path.name}: the file is empty; it needs a header line with frame, x and y."
        ) from None
    except UnicodeDecodeError:
        raise LabelError(f"{path.name}: not a text file; save it as CSV (UTF-8).") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        raise LabelError(
            f"{path.name}: not a table: its lines have more cells than its header, or quotes that "
            "do not end."
        ) from None
    table.columns = [str(c).strip() for c in table.columns]
    _check_header(path, separator)
    if all(_is_number(column.partition(".")[0]) for column in table.columns):
        raise LabelError(
            f"{path.name}: its first line holds numbers; put a line with the names of the columns "
            "above it: frame,x,y."
        )
    if separator != ",":
        table = table.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    rows = np.arange(2, len(table) + 2, dtype=np.int64)
    filled = table.notna().any(axis=1).to_numpy(dtype=bool)
    return table[filled].reset_index(drop=True), rows[filled]


def _separator(path: Path) -> str:
    """Return what stands between cells: spreadsheets of many countries write semicolons."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return next((sign for sign in (",", ";", "\t") if sign in header), ",")


def _check_header(path: Path, separator: str) -> None:
    """Refuse two columns of one name, of which pandas renames the second."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = [name.strip() for name in next(csv.reader(file, delimiter=separator), [])]
    for name in names:
        if name and names.count(name) > 1:
            raise LabelError(f"{path.name}: has the column {name!r} twice; keep the right one.")


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").isdecimal()


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of text into numbers where every filled cell is one."""
    if not table.columns.is_unique:
        return table
    result = {}
    for column in table.columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        result[column] = (
            table[column] if (numbers.isna() & table[column].notna()).any() else numbers
        )
    return pd.DataFrame(result, index=table.index)


def _napari(table: pd.DataFrame, rows: Lines, name: str) -> Spots:
    if "axis-3" in table.columns:
        raise LabelError(
            f"{name}: napari points with four or more axes; keep three: frame, y and x."
        )
    missing = [c for c in _NAPARI if c not in table.columns]
    if missing:
        raise LabelError(
            f"{name}: napari points without the column {', '.join(missing)}; mark them on the "
            "whole video, so that the axes are frame, y and x."
        )
    return Spots(table[list(_NAPARI)].rename(columns=_NAPARI), rows, "napari points CSV")


def _trackmate(table: pd.DataFrame, rows: Lines, name: str, pixel_size_um: float | None) -> Spots:
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
    scales = []
    for column in ("POSITION_X", "POSITION_Y"):
        unit = table[column].iloc[begin - 1] if begin else None
        scales.append(pixels_per_unit(None if pd.isna(unit) else str(unit), pixel_size_um, name))
    if scales[0] != scales[1]:
        raise LabelError(f"{name}: x and y are in different units; export them in one.")
    result = table.loc[begin:, list(_TRACKMATE)].rename(columns=_TRACKMATE)
    result = checked_positions(result, name=name, row_numbers=rows[begin:])
    result[["x", "y"]] *= scales[0]
    return Spots(result, rows[begin:], "TrackMate CSV", untracked=True)

"""Tracks written for other programs: which format a file gets, and what it may hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from cloudtrainer.annotations.geff import write_geff
from cloudtrainer.annotations.tracks import checked_tracks
from cloudtrainer.annotations.units import check_frame_interval, check_pixel_size
from cloudtrainer.annotations.xml_exports import write_challenge, write_trackmate
from cloudtrainer.atomic import replacing, replacing_folder
from cloudtrainer.errors import LabelError

# What each format's files end in.
FORMATS = {
    "csv": (".csv",),
    "parquet": (".parquet", ".pq"),
    "trackmate": (".xml",),
    "challenge": (".xml",),
    "napari": (".csv",),
    "geff": (".geff",),
}
_TOLD_BY_ENDING = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".geff": "geff"}
_ERRORS = ("x_error", "y_error")
_MEASURED = (*_ERRORS, "probability", "intensity")


def write_tracks(
    tracks: pd.DataFrame,
    path: str | Path,
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    format: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a table of tracks for another program, whole or not at all.

    Parameters
    ----------
    tracks
        ``particle, frame, x, y`` (pixels, frames from 0), at most one position of a particle in a
        frame, and perhaps ``x_error, y_error`` (pixels), ``probability`` and ``intensity``, empty
        where unknown. CSV and Parquet keep all columns; TrackMate and GEFF those named here; the
        challenge's and napari's have room for the first four alone.
    path
        The file to write; for GEFF the folder.
    pixel_size_um, frame_interval_s
        Micrometres a pixel and seconds a frame. TrackMate's positions are then in micrometres and
        its times in seconds; GEFF keeps both as the scales of its axes. The other formats hold
        pixels and frames in any case.
    format
        ``csv``, ``parquet``, ``trackmate``, ``challenge``, ``napari`` or ``geff``; None: told by
        the ending of the path, ``.csv``, ``.parquet``, ``.pq`` or ``.geff``.
    overwrite
        Replace a file, or a GEFF folder, that is there.

    Raises
    ------
    LabelError
        When the format is unknown or is not that of the ending; the file is there already or
        cannot be written; or the table is empty, is of several videos, lacks a column, holds text,
        empty cells or negative frames, or holds one particle twice in a frame.
    CalibrationError
        When the pixel size or the frame interval is not a positive number.
    """
    path = Path(path)
    check_pixel_size(pixel_size_um)
    check_frame_interval(frame_interval_s)
    format = track_format(path, format)
    _check_place(path, format, overwrite=overwrite)
    table = _checked(tracks, f"tracks for {path.name}")
    try:
        if format == "geff":
            with replacing_folder(path) as folder:
                write_geff(table, folder, pixel_size_um, frame_interval_s)
            return
        with replacing(path) as unfinished:
            if format == "trackmate":
                write_trackmate(table, unfinished, pixel_size_um, frame_interval_s)
            elif format == "challenge":
                write_challenge(table, unfinished)
            elif format == "napari":
                _write_napari(table, unfinished)
            elif format == "parquet":
                table.to_parquet(unfinished, index=False)
            else:
                table.to_csv(unfinished, index=False)
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror or error}).") from None
    except (pyarrow.ArrowException, UnicodeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise LabelError(f"{path}: a column cannot be written ({reason}); drop it.") from None


def track_format(path: Path, format: str | None = None) -> str:
    """Return the format that tracks are written in, told by name or by the path's ending.

    Raises
    ------
    LabelError
        When the format is unknown, not told by the ending, or not that of the ending.
    """
    ending = path.suffix.lower()
    if format is None:
        if ending == ".xml":
            raise LabelError(
                f"{path}: XML is written for TrackMate or in the form of the particle tracking "
                "challenge; give --to trackmate or --to challenge (format=)."
            )
        if ending not in _TOLD_BY_ENDING:
            raise LabelError(
                f"{path}: its ending tells no format of tracks; let it end in .csv, .parquet, .xml "
                "or .geff, or give --to (format=)."
            )
        return _TOLD_BY_ENDING[ending]
    if format not in FORMATS:
        raise LabelError(
            f"{path}: tracks are not written as {format[:40]!r}; give one of {', '.join(FORMATS)}."
        )
    known = {each for endings in FORMATS.values() for each in endings}
    if ending in known and ending not in FORMATS[format]:
        raise LabelError(
            f"{path}: ends in {ending}, which {format} does not; let it end in "
            f"{FORMATS[format][0]}."
        )
    return format


def _check_place(path: Path, format: str, *, overwrite: bool) -> None:
    if path.name in ("", ".."):
        raise LabelError(f"{path}: is a folder; give the name of a file in it.")
    try:
        if (path.exists() or path.is_symlink()) and not overwrite:
            raise LabelError(f"{path}: is there already; give --overwrite to replace it.")
        if format != "geff" and path.is_dir():
            raise LabelError(f"{path}: is a folder; give the name of a file.")
        if format == "geff" and path.exists() and not _is_geff(path):
            raise LabelError(
                f"{path}: is there and no GEFF, and is not replaced by one; give another name."
            )
        if not path.parent.is_dir():
            raise LabelError(f"{path}: cannot be written (no such folder).")
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror or error}).") from None


def _is_geff(path: Path) -> bool:
    """Tell a GEFF, or an empty folder, from a folder of something else."""
    if not path.is_dir() or path.is_symlink():
        return False
    held = {each.name for each in path.iterdir()}
    return not held or ({"nodes", "edges"} <= held and bool({".zattrs", "zarr.json"} & held))


def _checked(tracks: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a checked copy, sorted by frame and particle, its columns in our order."""
    twice = tracks.columns[tracks.columns.duplicated()]
    if len(twice):
        raise LabelError(f"{name}: the column {twice[0]} is there twice; keep one.")
    table = checked_tracks(tracks, name=name)
    if table.empty:
        raise LabelError(f"{name}: the table holds no positions; there is nothing to write.")
    if "video" in table.columns and table["video"].nunique() > 1:
        raise LabelError(
            f"{name}: its column video names {table['video'].nunique()} videos, and a file of "
            "tracks is of one; keep the rows of one of them."
        )
    for column in _MEASURED:
        if column not in table.columns:
            continue
        numbers = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
        bad = np.flatnonzero((numbers.isna() & table[column].notna()) | np.isinf(numbers))
        if bad.size:
            at = table.iloc[bad[0]]
            raise LabelError(
                f"{name}: particle {at['particle']} in frame {at['frame']}, column {column}: "
                f"{str(at[column])[:40]!r} is not a number; correct it, or drop the column."
            )
        table[column] = numbers
    first = ["frame", "particle", "x", "y"]
    return table[first + [column for column in table.columns if column not in first]]


def _write_napari(table: pd.DataFrame, path: Path) -> None:
    """Write napari's tracks: ``track_id, t, y, x``, sorted by track, then frame."""
    names = {"particle": "track_id", "frame": "t", "y": "y", "x": "x"}
    rows = table.sort_values(["particle", "frame"])[list(names)].rename(columns=names)
    rows.to_csv(path, index=False)

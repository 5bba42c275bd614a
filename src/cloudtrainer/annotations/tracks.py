"""Tracks that were made elsewhere."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations.files import read_spots
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

# A larger number is no frame but a time.
_MOST_FRAMES = 10_000_000

_IN_VIDEO = {"video_frame": "frame", "video_x": "x", "video_y": "y"}


def read_tracks(path: str | Path, pixel_size_um: float | None = None) -> pd.DataFrame:
    """Read tracks of ours, trackpy's, TrackMate's, Icy's or the particle tracking challenge's.

    Parameters
    ----------
    path
        A ``.parquet`` file of ours; a CSV file with ``frame, x, y, particle`` (pixels), with
        TrackMate's ``TRACK_ID, FRAME, POSITION_X, POSITION_Y``, with napari's ``track_id, t, y, x``
        or with ``TrackID, t, x, y`` (pixels, t the frame); or an XML file of TrackMate, Icy or the
        challenge.
    pixel_size_um
        Micrometres a pixel, needed when TrackMate wrote positions in a unit of length without the
        pixel's width; pixels are taken as they are.

    Returns
    -------
    pandas.DataFrame
        ``frame`` and ``particle`` (int64), ``x, y`` (float64, pixels), and, from files of ours and
        trackpy's, all other columns; sorted by frame, then particle. Spots outside any track are
        left out. Tracks in XML are numbered from 0, and TrackMate's are cut where they split or
        merge, so that each has one position a frame.

    Raises
    ------
    LabelError
        When the file is missing, empty or in no known format; carries no tracks; holds text, empty
        cells or negative frames; holds one particle twice in a frame; or is in a unit that cannot
        be made pixels.
    CalibrationError
        When the pixel size is not a positive number.
    """
    path = Path(path)
    spots = read_spots(path, pixel_size_um)
    table, rows = spots.table, spots.rows
    if spots.untracked:
        tracked = table["particle"].notna().to_numpy(dtype=bool)
        table = table[tracked].reset_index(drop=True)
        rows = None if rows is None else rows[tracked]
    elif "particle" not in table.columns and {"frame", "x", "y"} <= set(table.columns):
        raise LabelError(
            f"{path.name}: {spots.format} without tracks: no column particle (columns found: "
            f"{', '.join(str(c) for c in table.columns)}); link its positions first."
        )
    return checked_tracks(table, name=path.name, row_numbers=rows)


def as_in_video(table: pd.DataFrame) -> pd.DataFrame:
    """Return tracks as they lie in the frames of the video, drift and missing frames included.

    Parameters
    ----------
    table
        Tracks, such as `analyze` writes them: ``video_x, video_y`` (px) are there where drift was
        subtracted from ``x, y``, and ``video_frame`` where frames were missing. Others are
        returned as they are.

    Returns
    -------
    pandas.DataFrame
        With these columns in place of ``x, y, frame``.
    """
    there = {old: new for old, new in _IN_VIDEO.items() if old in table}
    return table.drop(columns=list(there.values()), errors="ignore").rename(columns=there)


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
        When a column is missing; a value is text, empty or infinite; a frame is negative or beyond
        ten million; or one particle is there twice in a frame.
    """
    columns = ("frame", "x", "y", "particle")
    table = checked_positions(table, columns, name=name, row_numbers=row_numbers)
    if len(table) and table["frame"].max() > _MOST_FRAMES:
        raise LabelError(
            f"{name}: column frame holds {table['frame'].max()}, which is no frame number but "
            "perhaps a time; give the number of the frame, from 0."
        )
    twice = table[table.duplicated(["frame", "particle"])]
    if not twice.empty:
        raise LabelError(
            f"{name}: particle {twice['particle'].iloc[0]} is there twice in frame "
            f"{twice['frame'].iloc[0]}; a track has one position a frame: cut it "
            "where it splits or merges."
        )
    return table.sort_values(["frame", "particle"], kind="stable", ignore_index=True)

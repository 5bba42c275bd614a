"""Labels of a video: where its particles are, read from any format and written in ours."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations.files import read_spots
from cloudtrainer.annotations.spots import Spots
from cloudtrainer.atomic import replacing
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions


def read_labels(
    path: str | Path,
    shape: tuple[int, int, int] | None = None,
    pixel_size_um: float | None = None,
) -> pd.DataFrame:
    """Read the labels of a video.

    Parameters
    ----------
    path
        A CSV file with a header line and the columns ``frame`` (from 0), ``x`` (column) and ``y``
        (row), pixels, the centre of the first pixel at (0, 0); other columns are ignored. A header
        without rows says that the video holds no particles. Or a file of napari points (CSV), of
        TrackMate (XML, CSV), of Icy (XML) or of the particle tracking challenge (XML); or any
        other that `read_tracks` reads: every position is a label, in a track or not.
    shape
        (T, Y, X) of the video, to check the labels against; None does not check.
    pixel_size_um
        Micrometres a pixel, needed when TrackMate wrote positions in a unit of length without the
        pixel's width; pixels are taken as they are.

    Returns
    -------
    pandas.DataFrame
        ``frame`` (int64), ``x, y`` (float64, pixels), sorted by frame.

    Raises
    ------
    LabelError
        When the file is missing, empty or in no known format; lacks a column; holds text, empty
        cells, negative frames, positions outside the video, or one label twice; or is in a unit
        that cannot be made pixels.
    CalibrationError
        When the pixel size is not a positive number.
    """
    return read_label_table(path, shape, pixel_size_um).table[["frame", "x", "y"]]


def read_label_table(
    path: str | Path,
    shape: tuple[int, int, int] | None = None,
    pixel_size_um: float | None = None,
) -> Spots:
    """Read labels as `read_labels` does, with the name of their format and their other columns.

    Raises
    ------
    LabelError, CalibrationError
        As of `read_labels`.
    """
    path = Path(path)
    spots = read_spots(path, pixel_size_um)
    table = checked_positions(spots.table, name=path.name, row_numbers=spots.rows)
    rows = np.arange(len(table), dtype=np.int64) if spots.rows is None else spots.rows
    if shape is not None:
        _check_inside(table, shape, path.name, rows)
    repeated = table.duplicated(["frame", "x", "y"]).to_numpy()
    if repeated.any() and not spots.repeats:
        at = int(np.argmax(repeated))
        raise LabelError(
            f"{path.name}: row {rows[at]} repeats an earlier label (frame "
            f"{table['frame'].iloc[at]}, x {table['x'].iloc[at]:g}, "
            f"y {table['y'].iloc[at]:g}); remove it."
        )
    table = table[~repeated].sort_values("frame", kind="stable", ignore_index=True)
    return replace(spots, table=table, rows=None)


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
    try:
        with replacing(path) as unfinished:
            table.to_csv(unfinished, index=False)
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror or error}).") from None


def convert_labels(
    source: str | Path,
    out: str | Path,
    pixel_size_um: float | None = None,
    *,
    overwrite: bool = False,
) -> pd.DataFrame:
    """Read labels in any format and write them as our CSV.

    Parameters
    ----------
    source
        A file that `read_labels` reads.
    out
        The ``.csv`` file to write.
    pixel_size_um
        Micrometres a pixel, see `read_labels`.
    overwrite
        Replace a file that is there.

    Returns
    -------
    pandas.DataFrame
        The labels written: ``frame`` (int64), ``x, y`` (float64, pixels).

    Raises
    ------
    LabelError
        When the labels cannot be read, or the file is there already, does not end in ``.csv`` or
        cannot be written.
    CalibrationError
        When the pixel size is not a positive number.
    """
    out = Path(out)
    if out.suffix.lower() != ".csv":
        raise LabelError(f"{out}: labels are written as CSV; give a name that ends in .csv.")
    if out.exists() and not overwrite:
        raise LabelError(f"{out}: is there already; give --overwrite to replace it.")
    labels = read_labels(source, pixel_size_um=pixel_size_um)
    write_labels(out, labels)
    return labels


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

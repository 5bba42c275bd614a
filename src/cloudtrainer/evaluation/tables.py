"""What tables of positions and of tracks must hold to be scored."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import is_number, shown
from cloudtrainer.errors import ConfigError, LabelError

Floats = NDArray[np.float64]

# Above it not every whole number is a float.
_LARGEST = 2.0**53


def checked_distance(distance_px: float, name: str) -> float:
    """Return a distance in pixels as a float.

    Raises
    ------
    ConfigError
        When it is not a positive number.
    """
    if is_number(distance_px) and 0 < distance_px < _LARGEST:
        return float(distance_px)
    raise ConfigError(f"{name} must be a positive distance in pixels, not {shown(distance_px)}.")


def positions_in(table: pd.DataFrame, name: str) -> Floats:
    """Return the columns ``frame, x, y`` of a table, float64, (rows, 3).

    Parameters
    ----------
    table
        Any table with these columns.
    name
        Whose positions they are, for messages.

    Raises
    ------
    LabelError
        When a column is missing, or a value is not a finite number or a frame not a whole one.
    """
    return _numbers_in(table, ("frame", "x", "y"), f"table of {name} positions")


def stated_errors_in(found: pd.DataFrame) -> Floats:
    """Return the columns ``x_error, y_error``, float64, (rows, 2); NaN where none is stated.

    Raises
    ------
    LabelError
        When an error is not a number, or is not above 0.
    """
    columns = [c for c in ("x_error", "y_error") if c in found.columns]
    if len(columns) < 2:
        return np.full((len(found), 2), np.nan)
    values = _floats(found, columns, "table of found positions")
    bad = np.flatnonzero((values <= 0).any(axis=1))
    if bad.size:
        raise LabelError(
            f"Row {bad[0]} of the table of found positions states an error that is not above 0; "
            "leave it empty where no error is known."
        )
    return np.where(np.isfinite(values), values, np.nan)


@dataclass(frozen=True)
class Tracks:
    """The positions of tracks, sorted by track, then frame.

    Attributes
    ----------
    track : ndarray of int64, shape (n,)
        Number of the track, 0 to ``count - 1``. Tracks are numbered by where they are, so that
        neither their names nor the order of rows decide between equally good pairings.
    position : ndarray of float64, shape (n, 3)
        Frame, x and y (pixels).
    count : int
        Number of tracks.
    """

    track: NDArray[np.int64]
    position: Floats
    count: int

    def __len__(self) -> int:
        return len(self.track)


def tracks_in(table: pd.DataFrame, name: str) -> Tracks:
    """Return the tracks of a table ``particle, frame, x, y``.

    Raises
    ------
    LabelError
        When a column is missing, a value is not a finite number, a frame is not a whole one, or a
        particle is there twice in a frame.
    """
    title = f"table of {name} tracks"
    values = _numbers_in(table, ("particle", "frame", "x", "y"), title)
    values = values[np.lexsort((values[:, 1], values[:, 0]))]
    particle, position = values[:, 0], values[:, 1:]
    begins = particle[1:] != particle[:-1]
    twice = np.flatnonzero(~begins & (position[1:, 0] == position[:-1, 0]))
    if twice.size:
        raise LabelError(
            f"The {title} has particle {particle[twice[0]]:g} twice in frame "
            f"{position[twice[0], 0]:.0f}; a track has one position a frame: remove one, or cut "
            "the track where it splits or merges."
        )
    if len(values) == 0:
        return Tracks(np.empty(0, np.int64), position, 0)
    start = np.flatnonzero(np.concatenate([[True], begins]))
    length = np.diff(np.append(start, len(values)))
    frame, x, y = position[start].T
    sums = np.add.reduceat(position, start)
    rank = np.empty(start.size, np.int64)
    rank[np.lexsort((*sums.T, length, y, x, frame))] = np.arange(start.size)
    track = np.repeat(rank, length)
    order = np.argsort(track, kind="stable")
    return Tracks(track[order], position[order], start.size)


def _numbers_in(table: pd.DataFrame, columns: tuple[str, ...], title: str) -> Floats:
    if not isinstance(table, pd.DataFrame):
        raise LabelError(
            f"The {title} is a {type(table).__name__}, no table; give a pandas DataFrame."
        )
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise LabelError(
            f"The {title} has no column {', '.join(missing)}; it needs {', '.join(columns[:-1])} "
            f"and {columns[-1]}."
        )
    values = _floats(table, columns, title)
    # What is not a number is not below the limit either.
    bad = np.flatnonzero(~(np.abs(values) < _LARGEST).all(axis=1))
    if bad.size:
        raise LabelError(
            f"Row {bad[0]} of the {title} has an empty, infinite or far too large value; remove it."
        )
    frame = values[:, columns.index("frame")]
    broken = np.flatnonzero(frame != np.floor(frame))
    if broken.size:
        raise LabelError(
            f"Row {broken[0]} of the {title}: frame {frame[broken[0]]:g} is not a whole number; "
            "correct it."
        )
    return values


def _floats(table: pd.DataFrame, columns: tuple[str, ...] | list[str], title: str) -> Floats:
    chosen = table[list(columns)]
    if chosen.shape[1] != len(columns):
        raise LabelError(f"The {title} has a column of {', '.join(columns)} twice; keep one.")
    if any(pd.api.types.is_complex_dtype(chosen[column]) for column in columns):
        raise LabelError(f"The {title} holds complex numbers; give real ones.")
    try:
        return chosen.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise LabelError(f"The {title} holds something that is not a number: {error}.") from None

"""Trajectories as arrays: one checked pass from the table ``particle, frame, x, y``."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import shown
from cloudtrainer.errors import LabelError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BORDER_COLUMN = "to_border_px"
_COLUMNS = ("particle", "frame", "x", "y")
# What reaches further is no frame number but a time, and no position but a fault.
_MOST_FRAMES = 10_000_000
_FARTHEST_PX = 1e9


@dataclass(frozen=True)
class TrackArrays:
    """Trajectories one after the other, each in the order of its frames.

    Attributes
    ----------
    particle : ndarray, shape (tracks,)
        The table's own name of each track.
    start : ndarray of int64, shape (tracks + 1,)
        Rows ``start[i]:start[i + 1]`` belong to track i.
    frame : ndarray of int64, shape (rows,)
    position : ndarray of float64, shape (rows, 2)
        x and y in pixels.
    to_border : ndarray of float64, shape (rows,), or None
        Distance from the border of the field of view, px, where the table states it.
    """

    particle: NDArray[np.generic]
    start: IntArray
    frame: IntArray
    position: FloatArray
    to_border: FloatArray | None = None

    @property
    def lengths(self) -> IntArray:
        """Positions of each track, shape (tracks,)."""
        return np.diff(self.start)

    def only(self, numbers: IntArray) -> "TrackArrays":
        """Return the tracks of these numbers, ascending."""
        kept = np.isin(np.repeat(np.arange(len(self.particle)), self.lengths), numbers)
        return TrackArrays(
            particle=self.particle[numbers],
            start=np.concatenate([[0], np.cumsum(self.lengths[numbers])]).astype(np.int64),
            frame=self.frame[kept],
            position=self.position[kept],
            to_border=None if self.to_border is None else self.to_border[kept],
        )


def as_floats(tracks: pd.DataFrame, column: str) -> FloatArray:
    """Return a column as float64; NaN where it holds no real number.

    Raises
    ------
    LabelError
        The column is there twice.
    """
    if tracks[column].ndim != 1:
        raise LabelError(f"tracks: the column '{column}' is there twice: keep one")
    plain = pd.to_numeric(tracks[column], errors="coerce")
    if pd.api.types.is_complex_dtype(plain) or pd.api.types.is_datetime64_any_dtype(plain):
        return np.full(len(plain), np.nan)
    return plain.to_numpy(np.float64, na_value=np.nan)


def _numbers(tracks: pd.DataFrame, column: str) -> FloatArray:
    """Return a column as float64, or raise LabelError at the first value that is no number."""
    values = as_floats(tracks, column)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        row = int(bad[0])
        raise LabelError(
            f"tracks: column '{column}', row {row} (particle {tracks['particle'].iloc[row]}, "
            f"frame {tracks['frame'].iloc[row]}) holds '{tracks[column].iloc[row]}', "
            "not a finite number: remove or correct it"
        )
    return values


def _refuse_astray(frame: FloatArray, position: FloatArray) -> None:
    """Raise LabelError where frames or positions lie farther apart than those of any video."""
    if not len(frame):
        return
    if np.ptp(frame) > _MOST_FRAMES:
        raise LabelError(
            f"tracks: column 'frame' reaches from {frame.min():.0f} to {frame.max():.0f}, over "
            f"more than {_MOST_FRAMES:,} frames: give frame numbers, not times"
        )
    if np.abs(position).max() > _FARTHEST_PX:
        raise LabelError(
            f"tracks: a position of {np.abs(position).max():.3g} px lies outside any frame: "
            "remove or correct it"
        )


def track_arrays(tracks: pd.DataFrame) -> TrackArrays:
    """Check a table of tracks and return it as arrays, sorted by particle and frame.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle``, ``frame`` (whole numbers), ``x`` and ``y`` (pixels); any order of
        rows. ``to_border_px`` is optional, other columns are ignored.

    Raises
    ------
    LabelError
        It is no DataFrame; a column is missing, there twice, or holds text or a non-finite value; a
        frame is no whole number; frames span more than ten million, or a position is farther than
        1e9 px; or a particle has two positions in one frame.
    """
    if not isinstance(tracks, pd.DataFrame):
        raise LabelError(
            f"tracks: a {type(tracks).__name__} is no table: give a pandas DataFrame with the "
            "columns particle, frame, x and y"
        )
    missing = [name for name in _COLUMNS if name not in tracks.columns]
    if missing:
        raise LabelError(
            f"tracks: no column '{missing[0]}' among {list(map(str, tracks.columns))}: "
            "the columns particle, frame, x and y are needed"
        )
    if tracks["particle"].ndim != 1:
        raise LabelError("tracks: the column 'particle' is there twice: keep one")
    codes, particle = pd.factorize(tracks["particle"], sort=True)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise LabelError(f"tracks: column 'particle', row {row} is empty: name its particle")
    frame_number = _numbers(tracks, "frame")
    position = np.column_stack([_numbers(tracks, "x"), _numbers(tracks, "y")])
    _refuse_astray(frame_number, position)
    frame = np.rint(frame_number).astype(np.int64)
    fractional = np.flatnonzero(frame != frame_number)
    if fractional.size:
        row = int(fractional[0])
        raise LabelError(
            f"tracks: column 'frame', row {row} (particle {tracks['particle'].iloc[row]}) holds "
            f"{frame_number[row]}: frames are whole numbers"
        )

    order = _order(codes, frame)
    codes, frame, position = codes[order], frame[order], position[order]
    twice = np.flatnonzero((np.diff(codes) == 0) & (np.diff(frame) == 0))
    if twice.size:
        row = int(twice[0])
        raise LabelError(
            f"tracks: particle {particle[codes[row]]} has two positions in frame {frame[row]}: "
            "keep one"
        )
    start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(particle)))])
    to_border = None
    if BORDER_COLUMN in tracks.columns:
        to_border = _distances(tracks[BORDER_COLUMN])[order]
    return TrackArrays(np.asarray(particle), start.astype(np.int64), frame, position, to_border)


def _order(codes: IntArray, frame: IntArray) -> IntArray | slice:
    """Return what sorts rows by particle and frame; most tables are sorted."""
    later, after = np.diff(codes), np.diff(frame)
    if ((later > 0) | ((later == 0) & (after >= 0))).all():
        return slice(None)
    return np.lexsort((frame, codes))


def _distances(given: pd.Series) -> FloatArray:
    """Return distances from the border; an empty cell is not known."""
    if given.ndim != 1:
        raise LabelError(f"tracks: the column '{BORDER_COLUMN}' is there twice: keep one")
    told = pd.to_numeric(given, errors="coerce")
    text = np.flatnonzero((told.isna() & given.notna()).to_numpy())
    if text.size:
        raise LabelError(
            f"tracks: column '{BORDER_COLUMN}', row {text[0]} holds {shown(given.iloc[text[0]])}, "
            "not a number: correct it, or leave it empty"
        )
    return told.to_numpy(np.float64, na_value=np.nan)

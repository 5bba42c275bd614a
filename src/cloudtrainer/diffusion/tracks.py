"""Trajectories as arrays: one checked pass from the table ``particle, frame, x, y``."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import is_number, shown, whole_number
from cloudtrainer.diffusion.border import BORDER_COLUMN, begins_inside
from cloudtrainer.errors import CalibrationError, LabelError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_COLUMNS = ("particle", "frame", "x", "y")
# What reaches further is no frame number but a time, and no position but a fault.
_MOST_FRAMES = 10_000_000
_FARTHEST_PX = 1e9
# Of a calibration in um or s: beyond, squares leave what a computer can hold.
_LEAST = 1e-15
# Where particles cross the field in a few frames, hardly a step begins far from its border: with
# more than this share near it, none is left out.
MOST_NEAR_BORDER = 0.75


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


@dataclass(frozen=True)
class Steps:
    """Displacements between the consecutive positions of each track, or of its phases.

    With a stride of m a track becomes m interleaved sub-tracks (its phases), each of every m-th
    frame, and one unit of time is m frames. Rows are in the order of sub-tracks.

    Attributes
    ----------
    displacement : ndarray of float64, shape (steps, 2)
        Pixels.
    gap : ndarray of int64, shape (steps,)
        Units of time from one position to the next; 1 unless positions are missing.
    start : ndarray of int64, shape (subtracks + 1,)
        Steps ``start[j]:start[j + 1]`` belong to sub-track j; each has at least one.
    owner : ndarray of int64, shape (subtracks,)
        Number of the particle of each sub-track, into `particle`; ascending.
    particle : ndarray, shape (particles,)
        Particles with at least one step.
    stride : int
        Frames in one unit of time.
    near_border : float
        Share of all displacements that begin near the border of the field of view. They are left
        out, unless less than a quarter would be left; 0 where they were not looked for.
    """

    displacement: FloatArray
    gap: IntArray
    start: IntArray
    owner: IntArray
    particle: NDArray[np.generic]
    stride: int
    near_border: float = 0.0

    @property
    def per_particle(self) -> IntArray:
        """Displacements of each particle, shape (particles,)."""
        counts = np.bincount(self.owner, weights=np.diff(self.start), minlength=len(self.particle))
        return counts.astype(np.int64)


@dataclass(frozen=True)
class Calibration:
    """What turns pixels and frames into lengths and times.

    Without a pixel size lengths stay in pixels, without a frame interval times stay in frames.
    """

    frame_interval_s: float | None
    pixel_size_um: float | None
    exposure_s: float | None = None
    localisation_error_um: float | None = None

    def __post_init__(self) -> None:
        for name in ("frame_interval_s", "pixel_size_um"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and _LEAST <= value <= 1 / _LEAST):
                raise CalibrationError(
                    f"{name} is {value!r}: give a positive number from {_LEAST:g} to "
                    f"{1 / _LEAST:g}, or None"
                )
        for name, needed in (
            ("exposure_s", "frame_interval_s"),
            ("localisation_error_um", "pixel_size_um"),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not (is_number(value) and 0 <= value <= 1 / _LEAST):
                raise CalibrationError(
                    f"{name} is {value!r}: give a number of at least 0, {1 / _LEAST:g} at most, or "
                    "None"
                )
            if getattr(self, needed) is None:
                raise CalibrationError(f"{name} is given without {needed}: give both, or neither")
        if self.exposure_s is not None and self.exposure_s > self.time * (1 + 1e-9):
            raise CalibrationError(
                f"exposure_s is {self.exposure_s:g} s, longer than the frame interval of "
                f"{self.time:g} s: check both"
            )
        if self.localisation_error_um is not None and self.exposure_s is None:
            raise CalibrationError(
                "localisation_error_um is given without exposure_s: only together do they fix the "
                "offset of the MSD; give exposure_s too (0 for a strobe)"
            )

    @property
    def length(self) -> float:
        """Length of a pixel in `length_unit`."""
        return 1.0 if self.pixel_size_um is None else float(self.pixel_size_um)

    @property
    def time(self) -> float:
        """Duration of a frame interval in `time_unit`."""
        return 1.0 if self.frame_interval_s is None else float(self.frame_interval_s)

    @property
    def length_unit(self) -> str:
        """``um`` or ``px``."""
        return "px" if self.pixel_size_um is None else "um"

    @property
    def time_unit(self) -> str:
        """``s`` or ``frame``."""
        return "frame" if self.frame_interval_s is None else "s"

    def exposure_fraction(self, stride: int = 1) -> float | None:
        """Return the exposure over `stride` frame intervals, or None when it is unknown."""
        if self.exposure_s is None:
            return None
        return min(self.exposure_s / self.time, 1.0) / stride

    @property
    def localisation_error_px(self) -> float | None:
        """The known localisation error per axis in pixels."""
        if self.localisation_error_um is None:
            return None
        return self.localisation_error_um / self.length


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

    order = np.lexsort((frame, codes))
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


def steps_of(tracks: TrackArrays, stride: int = 1, *, inner: bool = False) -> Steps:
    """Return the displacements between consecutive positions, every `stride`-th frame.

    With `inner`, those that begin near the border of the field of view are left out, where the
    tracks tell their distance from it and a quarter is left: each is then two sub-tracks, before
    and after.

    Raises
    ------
    ConfigError
        `stride` is no whole number of at least 1.
    """
    stride = whole_number("stride", stride, "frames", least=1)
    owner = np.repeat(np.arange(len(tracks.particle)), tracks.lengths)
    phase = tracks.frame % stride
    order = np.lexsort((tracks.frame, phase, owner))
    owner, phase = owner[order], phase[order]
    frame, position = tracks.frame[order], tracks.position[order]
    taken = np.flatnonzero((np.diff(owner) == 0) & (np.diff(phase) == 0))
    near_border = 0.0
    if inner and tracks.to_border is not None and len(taken):
        moved = position[taken + 1] - position[taken]
        frames = frame[taken + 1] - frame[taken]
        inside = begins_inside(moved, frames, tracks.to_border[order][taken])
        near_border = 1 - float(inside.mean())
        taken = taken if near_border > MOST_NEAR_BORDER else taken[inside]
    gap = (frame[taken + 1] - frame[taken]) // stride
    displacement = position[taken + 1] - position[taken]
    step_owner = owner[taken]
    fresh = np.ones(len(gap), dtype=bool)
    fresh[1:] = np.diff(taken) != 1
    start = np.append(np.flatnonzero(fresh), len(gap))
    with_steps, number = np.unique(step_owner[start[:-1]], return_inverse=True)
    return Steps(
        displacement=displacement,
        gap=gap.astype(np.int64),
        start=start.astype(np.int64),
        owner=number.astype(np.int64),
        particle=tracks.particle[with_steps],
        stride=stride,
        near_border=near_border,
    )


def still_axes(steps: Steps) -> NDArray[np.bool_]:
    """Return whether a particle never moves along x, and along y, shape (particles, 2)."""
    owner = np.repeat(steps.owner, np.diff(steps.start))
    particles = len(steps.particle)
    squares = (steps.displacement**2).T
    moved = [np.bincount(owner, of_axis, minlength=particles) > 0 for of_axis in squares]
    return ~np.column_stack(moved)


def why_without_motion(steps: Steps) -> str | None:
    """Return why displacements tell nothing of motion in two dimensions, or None."""
    still = still_axes(steps).all(axis=0)
    if still.all():
        return "every displacement is exactly zero: these positions were not measured anew"
    if still.any():
        return (
            f"every displacement along {'xy'[int(np.argmax(still))]} is exactly zero: positions "
            "along one line, whose D over two axes would come out as half of what it is"
        )
    return None

"""Linking of long videos: detections from a file, tracks to a file, a few frames in memory."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.atomic import replacing
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.detections_file import DetectionsFile
from cloudtrainer.tracking.frame_linker import FrameLinker
from cloudtrainer.tracking.joined_frames import JoinedFrames
from cloudtrainer.tracking.linking import check_linking
from cloudtrainer.tracking.search_range import SearchRange, range_from_frames, sampled_frames
from cloudtrainer.tracking.smeared import Cause, smear_warning

_ROWS_A_PIECE = 100_000
_FRAMES_TOGETHER = 256


@dataclass(frozen=True)
class LinkedFile:
    """What was linked.

    Attributes
    ----------
    detections
        Rows of the file that was read.
    positions, particles
        Rows and particles of the file that was written.
    search_range_px
        The search range that was used.
    suggested
        What it rests on, where it was measured.
    smeared_joined
        How many times a particle was found as two in a frame, which were joined.
    smeared_cause
        Why, see `SmearedJoined`.
    """

    detections: int
    positions: int
    particles: int
    search_range_px: float
    suggested: SearchRange | None
    smeared_joined: int = 0
    smeared_cause: Cause = "unknown"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences: what may be wrong with the search range and the detections."""
        of_range = self.suggested.warnings if self.suggested is not None else ()
        left = self.detections - self.smeared_joined
        smeared = smear_warning(self.smeared_joined, left, self.smeared_cause)
        return (*of_range, *([smeared] if smeared is not None else []))


def link_parquet(
    detections: str | Path,
    tracks: str | Path,
    search_range: float | None = None,
    memory: int = 3,
    min_track_frames: int = 5,
    *,
    overwrite: bool = False,
) -> LinkedFile:
    """Link the detections in a Parquet file into a Parquet file of tracks.

    Particles that are found as two in a frame are joined before, as `join_smeared` does and
    `analyze` with it; that takes the column ``intensity``, and is left out where `analyze` has
    written the file, which it joined. The tracks are those of `track_particles` with the same
    settings. A frame is in memory until it is known of each of its particles whether they are seen
    in enough frames, at most ``(min_track_frames - 1) * (memory + 1)`` frames: memory does not grow
    with the video, but for the brightness of particles that are never missed, 8 bytes a frame.

    Parameters
    ----------
    detections
        Parquet file with ``frame, x, y`` (pixels), sorted by frame; further columns are kept.
    tracks
        The file to write, whole or not at all: the columns of ``detections`` and ``particle``.
    search_range, memory, min_track_frames
        As for `track_particles`; a search range of None is measured.
    overwrite
        Replace a file that is there.

    Raises
    ------
    LabelError
        When a file is missing, not Parquet, cut short or there already; lacks a column; is not
        sorted by frame; holds something that is not a finite number (in columns that parts of a
        particle have in common, no number at all); or cannot be written.
    ConfigError
        When the search range is not positive, or memory or min_track_frames are negative.
    """
    detections, tracks = Path(detections), Path(tracks)
    check_linking(search_range, memory, min_track_frames)
    _check_place(detections, tracks, overwrite=overwrite)
    source = DetectionsFile(detections)
    suggested = None
    if search_range is None:
        suggested = _measured_range(source, memory)
        search_range = suggested.value_px
    joined = JoinedFrames(source, search_range)
    linker = FrameLinker(search_range, memory)
    lengths = _Lengths(min_track_frames, memory)
    try:
        with replacing(tracks) as unfinished:
            written = _write(_linked(joined, linker, lengths), joined, unfinished)
    except OSError as error:
        raise LabelError(f"{tracks}: cannot be written ({error.strerror or error}).") from None
    return LinkedFile(
        source.rows,
        written,
        lengths.kept,
        search_range,
        suggested,
        joined.joined,
        joined.cause,
    )


def _measured_range(source: DetectionsFile, memory: int) -> SearchRange:
    """Measure the steps in the frames that `suggest_search_range` would look at."""
    chosen = set(sampled_frames(source.count_frames(), source.rows).tolist())
    return range_from_frames(
        [
            (number, _xy(rows))
            for place, (number, rows) in enumerate(source.frames())
            if place in chosen
        ],
        memory,
    )


def _xy(rows: Any) -> NDArray[np.float64]:
    return np.column_stack([rows.column("x").to_numpy(), rows.column("y").to_numpy()])


def _linked(source: JoinedFrames, linker: FrameLinker, lengths: "_Lengths") -> Iterator[Any]:
    """Yield the rows of each frame that belong to long tracks, with their particles."""
    waiting: deque[tuple[int, Any, NDArray[np.int64]]] = deque()
    for number, rows in source.frames():
        particles = linker.link(number, _xy(rows)[:, ::-1])
        lengths.add(number, particles)
        waiting.append((number, rows, particles))
        while waiting and lengths.decided(waiting[0][2]):
            yield _numbered(*waiting.popleft()[1:], lengths)
        lengths.forget(waiting[0][0] if waiting else number + 1)
    lengths.end()
    for _, rows, particles in waiting:
        yield _numbered(rows, particles, lengths)


def _numbered(rows: Any, particles: NDArray[np.int64], lengths: "_Lengths") -> Any:
    numbers = lengths.numbers(particles)
    order = np.argsort(numbers, kind="stable")
    order = order[np.searchsorted(numbers[order], 0) :]
    return _with_particles(rows.take(order), numbers[order])


def _with_particles(rows: Any, particles: NDArray[np.int64]) -> Any:
    import pyarrow

    column = pyarrow.array(particles)
    if "particle" in rows.column_names:
        return rows.set_column(rows.column_names.index("particle"), "particle", column)
    return rows.append_column("particle", column)


def _write(pieces: Iterator[Any], source: JoinedFrames, path: Path) -> int:
    """Write pieces of a table as they come; return the number of rows."""
    import pyarrow
    from pyarrow import parquet

    schema = _with_particles(source.empty, np.empty(0, dtype=np.int64)).schema
    held, rows, written = [], 0, 0
    with parquet.ParquetWriter(path, schema) as writer:
        # A table of one frame is mostly overhead.
        while few := list(islice(pieces, _FRAMES_TOGETHER)):
            held.append(pyarrow.concat_tables(few).combine_chunks())
            rows += len(held[-1])
            if rows >= _ROWS_A_PIECE:
                writer.write_table(pyarrow.concat_tables(held).unify_dictionaries())
                held, rows, written = [], 0, written + rows
        if held:
            writer.write_table(pyarrow.concat_tables(held).unify_dictionaries())
    return written + rows


class _Lengths:
    """In how many frames each particle was seen, of those that are not settled yet.

    Attributes
    ----------
    kept
        How many particles were found long enough and given a number.
    """

    def __init__(self, least: int, memory: int) -> None:
        self._least, self._memory = least, memory
        self._now = 0
        self._particles: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._frames: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._last: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._number: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.kept = 0

    def add(self, frame: int, particles: NDArray[np.int64]) -> None:
        """Count a frame; particles that are new have higher numbers than all before."""
        self._now = frame
        new = np.setdiff1d(particles, self._particles, assume_unique=True)
        self._particles = np.concatenate([self._particles, new])
        self._frames = np.concatenate([self._frames, np.zeros(len(new), dtype=np.int64)])
        self._last = np.concatenate([self._last, np.full(len(new), frame, dtype=np.int64)])
        self._number = np.concatenate([self._number, np.full(len(new), -1, dtype=np.int64)])
        at = self._at(particles)
        self._frames[at] += 1
        self._last[at] = frame

    def end(self) -> None:
        """Say that no frame follows."""
        self._now = np.iinfo(np.int64).max

    def decided(self, particles: NDArray[np.int64]) -> bool:
        """Tell whether each of these is long enough, or will not be seen again."""
        at = self._at(particles)
        return bool(np.all((self._frames[at] >= self._least) | self._gone()[at]))

    def numbers(self, particles: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers in order of first appearance, and -1 for particles seen too rarely."""
        at = self._at(particles)
        new = np.sort(at[(self._frames[at] >= self._least) & (self._number[at] < 0)])
        self._number[new] = np.arange(self.kept, self.kept + len(new))
        self.kept += len(new)
        return self._number[at]

    def forget(self, before: int) -> None:
        """Drop those that were last seen before a frame and will not be seen again."""
        held = ~(self._gone() & (self._last < before))
        self._particles, self._frames = self._particles[held], self._frames[held]
        self._last, self._number = self._last[held], self._number[held]

    def _at(self, particles: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._particles, particles)

    def _gone(self) -> NDArray[np.bool_]:
        return self._now - self._last > self._memory


def _check_place(detections: Path, tracks: Path, *, overwrite: bool) -> None:
    try:
        if tracks.exists() and detections.exists() and tracks.samefile(detections):
            raise LabelError(f"{tracks}: holds the detections; give the tracks another name.")
        if tracks.is_dir():
            raise LabelError(f"{tracks}: is a folder; give the name of a file.")
        if (tracks.exists() or tracks.is_symlink()) and not overwrite:
            raise LabelError(f"{tracks}: is there already; give --overwrite to replace it.")
        if not tracks.parent.is_dir():
            raise LabelError(f"{tracks}: cannot be written (no such folder).")
    except OSError as error:
        raise LabelError(f"{tracks}: cannot be written ({error.strerror or error}).") from None

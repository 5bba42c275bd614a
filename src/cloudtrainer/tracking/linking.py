"""Linking: the detections of one particle through the frames become one track."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import choice, number, whole_number
from cloudtrainer.errors import ConfigError
from cloudtrainer.tracking.frame_linker import FrameLinker
from cloudtrainer.tracking.laptrack_engine import Segments, link_with_laptrack
from cloudtrainer.tracking.search_range import suggest_search_range
from cloudtrainer.tracking.tables import checked_positions

Engine = Literal["trackpy", "laptrack"]


@dataclass(frozen=True)
class Linked:
    """Tracks, and where they were cut.

    Attributes
    ----------
    tracks
        As `track_particles` returns them.
    splits, merges
        How many times one particle became several, and several became one, in all that was linked.
    """

    tracks: pd.DataFrame
    splits: int
    merges: int

    @property
    def warning(self) -> str | None:
        """A sentence on splits and merges, or None where there are none."""
        if self.splits + self.merges == 0:
            return None
        return (
            f"Particles split {self.splits} times and merged {self.merges} times: their tracks end "
            "there and new ones begin, so that no displacement, and no D, spans a split or a merge."
        )


def track_particles(
    detections: pd.DataFrame,
    search_range: float | None = 10,
    memory: int = 3,
    min_track_frames: int = 5,
    engine: Engine = "trackpy",
    split_merge_range: float | None = None,
) -> pd.DataFrame:
    """Link detections into tracks.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels); further columns are kept.
    search_range
        Largest step from one frame to the next, pixels; None takes the value that
        `suggest_search_range` suggests. Too short a range cuts off large steps and makes D too
        small: 10 px is what earlier versions took, not what your particles need.
    memory
        For how many frames a particle may be missing and still be the same. Across a gap it is
        looked for further away, as it had more time.
    min_track_frames
        Tracks seen in fewer frames are dropped.
    engine
        "trackpy": the links that trackpy finds, also where trackpy gives up, but likelier ones
        across gaps (`FrameLinker`).
        "laptrack": those of laptrack, which closes gaps after all frames are linked, and can follow
        particles that split or merge; much slower.
    split_merge_range
        Largest distance of a split or merge, pixels, with the engine laptrack; None: there are
        none. Tracks end where they split or merge, and others begin: a warning tells how many.

    Returns
    -------
    pandas.DataFrame
        The detections that belong to a track, sorted by ``frame`` and then ``particle``, with the
        column ``particle`` (int64), numbered 0, 1, ... from the first appearance.

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number.
    ConfigError
        When a range is not positive, memory or min_track_frames are negative, the engine is
        unknown or not installed, or a split_merge_range is given to another than laptrack.
    """
    linked = link_detections(
        detections, search_range, memory, min_track_frames, engine, split_merge_range
    )
    if linked.warning is not None:
        warnings.warn(linked.warning, stacklevel=2)
    return linked.tracks


def link_detections(
    detections: pd.DataFrame,
    search_range: float | None,
    memory: int,
    min_track_frames: int,
    engine: Engine = "trackpy",
    split_merge_range: float | None = None,
) -> Linked:
    """Link as `track_particles` does, and return what it warns of."""
    check_linking(search_range, memory, min_track_frames)
    choice("engine", engine, ("trackpy", "laptrack"))
    if split_merge_range is not None:
        number("split_merge_range", split_merge_range, "pixels", above=True)
        if engine != "laptrack":
            raise ConfigError(
                f"the engine {engine} knows no splits and merges: take laptrack, or leave "
                "split_merge_range out."
            )
    table = checked_positions(detections)
    table = table.sort_values("frame", kind="stable", ignore_index=True)
    if search_range is None:
        search_range = suggest_search_range(table, memory=memory).value_px
    frames, positions = table["frame"].to_numpy(), table[["y", "x"]].to_numpy()
    if engine == "laptrack":
        groups, numbers = _by_frame(frames, positions)
        # No track survives more than `memory` empty frames: longer gaps need not be walked through.
        steps = np.minimum(np.diff(numbers, prepend=numbers[:1]), memory + 2)
        segments = link_with_laptrack(
            groups, np.cumsum(steps), search_range, memory, split_merge_range
        )
    else:
        segments = Segments(link_positions(frames, positions, search_range, memory), 0, 0)
    table["particle"] = segments.particles
    seen = table.groupby("particle")["frame"].transform("size")
    table = table[seen >= min_track_frames]
    table = table.assign(particle=pd.factorize(table["particle"])[0].astype(np.int64))
    tracks = table.sort_values(["frame", "particle"], kind="stable", ignore_index=True)
    return Linked(tracks, segments.splits, segments.merges)


def link_positions(
    frames: NDArray[np.int64], positions: NDArray[np.float64], search_range: float, memory: int
) -> NDArray[np.int64]:
    """Give each position the number of its particle, with the engine "trackpy".

    Parameters
    ----------
    frames
        Shape (n,), not decreasing.
    positions
        Shape (n, 2), pixels.
    search_range
        Largest step, pixels.
    memory
        For how many frames a particle may be missing.

    Returns
    -------
    numpy.ndarray
        Shape (n,), int64, the same number for positions of one particle.
    """
    linker = FrameLinker(search_range, memory)
    groups, numbers = _by_frame(frames, positions)
    linked = [linker.link(int(t), group) for t, group in zip(numbers, groups, strict=True)]
    return np.concatenate([np.empty(0, dtype=np.int64), *linked])


def check_linking(search_range: float | None, memory: int, min_track_frames: int) -> None:
    """Raise ConfigError unless the settings of linking can be used."""
    if search_range is not None:
        number("search_range", search_range, "pixels", above=True)
    whole_number("memory", memory, "frames")
    whole_number("min_track_frames", min_track_frames, "frames")


def _by_frame(
    frames: NDArray[np.int64], positions: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Split positions, sorted by frame, into those of each frame, and number these frames."""
    if len(frames) == 0:
        return [], frames
    starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 1))
    return np.split(positions, starts[1:]), frames[starts]

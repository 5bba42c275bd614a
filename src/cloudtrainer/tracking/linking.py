"""Linking: the detections of one particle through the frames become one track."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from cloudtrainer.errors import ConfigError
from cloudtrainer.tracking.search_range import suggest_search_range
from cloudtrainer.tracking.tables import checked_positions


def track_particles(
    detections: pd.DataFrame,
    search_range: float | None = 10,
    memory: int = 3,
    min_track_frames: int = 5,
) -> pd.DataFrame:
    """Link detections into tracks.

    Links between one frame and the next are those with the smallest sum of squared steps, a
    particle that finds no partner costing the square of the search range (Crocker & Grier 1996,
    J. Colloid Interface Sci. 179:298), as trackpy does it. Where many particles are within reach of
    each other, trackpy's own search takes exponential time or gives up; here the same sum is
    minimised by optimal assignment (Jonker & Volgenant), which always ends.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels); further columns are kept.
    search_range
        Largest step from one frame to the next, pixels; None takes the value that
        `suggest_search_range` suggests. Too short a range cuts off large steps and makes D too
        small: 10 px is what earlier versions took, not what your particles need.
    memory
        For how many frames a particle may be missing and still be the same. The search range is
        the same across the gap.
    min_track_frames
        Tracks seen in fewer frames are dropped.

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
        When the search range is not positive, or memory or min_track_frames are negative.
    """
    if search_range is not None and not (np.isfinite(search_range) and search_range > 0):
        raise ConfigError(f"search_range must be a positive number of pixels, not {search_range}.")
    if memory < 0 or min_track_frames < 0:
        raise ConfigError(
            f"memory ({memory}) and min_track_frames ({min_track_frames}) must be at least 0."
        )
    table = checked_positions(detections)
    table = table.sort_values("frame", kind="stable", ignore_index=True)
    if search_range is None:
        search_range = suggest_search_range(table, memory=memory).value_px
    table["particle"] = link_positions(
        table["frame"].to_numpy(), table[["y", "x"]].to_numpy(), search_range, memory
    )
    frames = table.groupby("particle")["frame"].transform("size")
    table = table[frames >= min_track_frames]
    table = table.assign(particle=pd.factorize(table["particle"])[0].astype(np.int64))
    return table.sort_values(["frame", "particle"], kind="stable", ignore_index=True)


def link_positions(
    frames: NDArray[np.int64], positions: NDArray[np.float64], search_range: float, memory: int
) -> NDArray[np.int64]:
    """Give each position the number of its particle.

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
    if len(frames) == 0:
        return np.empty(0, dtype=np.int64)
    from trackpy.linking.linking import link_iter

    starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 1))
    # No track survives more than `memory` empty frames, so longer gaps need not be walked through.
    steps = np.minimum(np.diff(frames[starts]), memory + 2)
    numbers = np.concatenate([[0], np.cumsum(steps)])
    groups = np.split(positions, starts[1:])

    def levels() -> Iterator[tuple[int, NDArray[np.float64]]]:
        nothing = np.empty((0, positions.shape[1]))
        expected = 0
        for number, group in zip(numbers, groups, strict=True):
            for empty in range(expected, number):
                yield empty, nothing
            yield int(number), group
            expected = int(number) + 1

    linked: list[int] = []
    with _quiet_trackpy():
        for _, ids in link_iter(
            levels(), search_range, memory=memory, link_strategy=_assign_subnet
        ):
            linked.extend(ids)
    return np.asarray(linked, dtype=np.int64)


def _assign_subnet(
    sources: set[Any], destinations: set[Any], search_range: float, max_size: int
) -> tuple[list[Any], list[Any]]:
    """Pair the points of one of trackpy's subnetworks; ``max_size``, its limit, is not needed."""
    if len(sources) == 1 and len(destinations) == 1:
        return list(sources), list(destinations)
    before = sorted(sources, key=lambda point: point.uuid)
    after = sorted(destinations, key=lambda point: point.uuid)
    column = {point: k for k, point in enumerate(after)}
    # Relative to leaving both unpaired, which is 0: only what is below it is a link.
    cost = np.zeros((len(before), len(after)))
    for row, point in enumerate(before):
        for candidate, distance in point.forward_cands:
            cost[row, column[candidate]] = distance**2 - search_range**2
    taken = set()
    partner: list[Any] = [None] * len(before)
    for i, k in zip(*linear_sum_assignment(cost), strict=True):
        if cost[i, k] < 0:
            partner[i] = after[k]
            taken.add(int(k))
    born = [point for k, point in enumerate(after) if k not in taken]
    return before + [None] * len(born), partner + born


@contextmanager
def _quiet_trackpy() -> Iterator[None]:
    """Keep trackpy from reporting every frame while it links."""
    logger = logging.getLogger("trackpy")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)

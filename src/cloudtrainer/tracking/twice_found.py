"""Detections of a frame that are two parts of one particle, found a frame at a time."""

from array import array
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cloudtrainer.tracking.frame_linker import FrameLinker

Rows = NDArray[np.int64]
Numbers = NDArray[np.float64]

# Of the search range: so far apart, at most, are two parts of the way of one exposure.
_REACH = 0.5
# Of the particle's brightness in other frames: two parts have about that of the whole, together
# less than two particles, and the dimmer one more than noise has.
_BOTH_AT_MOST, _DIMMER_AT_LEAST = 1.75, 0.25
_WAITING_AT_LEAST = 1000


@dataclass(frozen=True)
class Pairs:
    """Pairs of detections, each two parts of one particle.

    Attributes
    ----------
    one, other
        Their rows, counted over all frames, in the order of the frames.
    apart_px
        From one to the other, shape (n, 2).
    moved_px
        From where the particle was in the frame before to where it was in the frame after, shape
        (n, 2); NaN where it was not seen in both.
    """

    one: Rows
    other: Rows
    apart_px: Numbers
    moved_px: Numbers


@dataclass
class _Frame:
    """A frame, its pairs, and whether its detections were seen in the frame before."""

    first_row: int
    particles: Rows
    xy: Numbers
    light: Numbers
    one: Rows
    other: Rows
    before: NDArray[np.bool_]
    came_from: Numbers


class _Candidate(NamedTuple):
    """A pair that lies as two parts do; whether it is as bright is known when both have ended."""

    rows: list[int]
    particles: list[int]
    light: list[float]
    apart_px: list[float]
    moved_px: list[float]


class TwiceFound:
    """Finds particles that were found as two, see `join_smeared`.

    Frames are given in their order. Of each particle the brightness is held until it is not seen in
    a frame: 8 bytes for each detection of the tracks, without gaps, that are going on.

    Parameters
    ----------
    search_range
        The largest step from one frame to the next, pixels.
    """

    def __init__(self, search_range: float) -> None:
        self._reach_px = _REACH * search_range
        self._linker = FrameLinker(search_range, memory=0)
        self._last: _Frame | None = None
        self._rows = 0
        self._light: dict[int, array[float]] = {}
        self._waiting: list[_Candidate] = []
        self._most_waiting = _WAITING_AT_LEAST
        # Of the particles of candidates: in how many frames they were seen, and how bright.
        self._wanted: set[int] = set()
        self._usual: dict[int, tuple[int, float]] = {}
        self._rows_found, self._vectors_found = array("q"), array("d")

    def add(self, number: int, xy: Numbers, light: Numbers) -> None:
        """Take a frame: its number, positions (n, 2) in pixels, and brightness (n,)."""
        particles = self._linker.link(number, xy)
        before, came_from = self._follow(particles, xy)
        one, other = _mutual_nearest(xy, self._reach_px)
        for particle, value in zip(particles.tolist(), light.tolist(), strict=True):
            self._light.setdefault(particle, array("d")).append(value)
        self._last = _Frame(
            self._rows, particles, xy, light, one, other, before, came_from
        )  # fmt: skip
        self._rows += len(xy)

    def end(self) -> Pairs:
        """Return the pairs; no frame follows."""
        self._follow(np.empty(0, dtype=np.int64), np.empty((0, 2)))
        self._judge()
        rows = np.array(self._rows_found, dtype=np.int64).reshape(-1, 2)
        vectors = np.array(self._vectors_found).reshape(-1, 4)
        order = np.argsort(rows[:, 0])
        one, other = rows[order].T
        return Pairs(one, other, vectors[order, :2], vectors[order, 2:])

    def _judge(self) -> None:
        """Keep the candidates that are as bright as one particle; those still seen wait on."""
        waiting = []
        for one in self._waiting:
            if not all(particle in self._usual for particle in one.particles):
                waiting.append(one)
                continue
            (seen, usual), (seen_other, usual_other) = (self._usual[p] for p in one.particles)
            usual = usual if seen >= seen_other else usual_other
            dimmer = min(one.light)
            if (
                dimmer > 0
                and sum(one.light) <= _BOTH_AT_MOST * usual
                and dimmer >= _DIMMER_AT_LEAST * usual
            ):
                self._rows_found.extend(one.rows)
                self._vectors_found.extend([*one.apart_px, *one.moved_px])
        self._waiting = waiting
        needed = {particle for one in waiting for particle in one.particles}
        self._usual = {p: known for p, known in self._usual.items() if p in needed}
        self._most_waiting = max(_WAITING_AT_LEAST, 2 * len(waiting))

    def _follow(self, particles: Rows, xy: Numbers) -> tuple[NDArray[np.bool_], Numbers]:
        """Settle the last frame by the next one; tell which of this one were seen in the last."""
        last = self._last
        if last is None:
            return np.zeros(len(particles), dtype=bool), np.full(xy.shape, np.nan)
        _, there, here = np.intersect1d(
            last.particles, particles, assume_unique=True, return_indices=True
        )
        after = np.zeros(len(last.particles), dtype=bool)
        after[there] = True
        went_to = np.full(last.xy.shape, np.nan)
        went_to[there] = xy[here]
        self._settle(last, after, went_to)
        for particle in last.particles[~after].tolist():
            light = np.array(self._light.pop(particle))
            if particle in self._wanted:
                self._wanted.discard(particle)
                lit = light[~np.isnan(light)]
                usual = float(np.median(lit)) if len(lit) else float("nan")
                self._usual[particle] = (len(light), usual)
        if len(self._waiting) > self._most_waiting:
            self._judge()
        before = np.zeros(len(particles), dtype=bool)
        before[here] = True
        came_from = np.full(xy.shape, np.nan)
        came_from[here] = last.xy[there]
        return before, came_from

    def _settle(self, frame: _Frame, after: NDArray[np.bool_], went_to: Numbers) -> None:
        """Keep the pairs of which not both were seen before, nor both after."""
        one, other = frame.one, frame.other
        parts = ~(frame.before[one] & frame.before[other]) & ~(after[one] & after[other])
        one, other = one[parts], other[parts]
        if not len(one):
            return
        pair = np.stack([one, other], axis=1)
        self._wanted.update(frame.particles[pair].ravel().tolist())
        start = np.where(frame.before[one, None], frame.came_from[one], frame.came_from[other])
        end = np.where(after[one, None], went_to[one], went_to[other])
        self._waiting += map(
            _Candidate,
            (frame.first_row + pair).tolist(),
            frame.particles[pair].tolist(),
            frame.light[pair].tolist(),
            (frame.xy[other] - frame.xy[one]).tolist(),
            (end - start).tolist(),
        )


def _mutual_nearest(xy: Numbers, reach_px: float) -> tuple[Rows, Rows]:
    """Return the rows of pairs in one frame that are each other's nearest, within a reach."""
    if len(xy) < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    distance, nearest = cKDTree(xy).query(xy, 2)
    mine, its = np.arange(len(xy)), np.asarray(nearest)[:, 1]
    pair = (its[its] == mine) & (mine < its) & (np.asarray(distance)[:, 1] <= reach_px)
    return mine[pair], its[pair]

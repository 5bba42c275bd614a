"""Links from one frame to the next, and across gaps: the likeliest ones for Brownian particles."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

# Both as in trackpy, so that the links are the same.
_NEAREST = 10
_ROUNDING_PX = 1e-7
# The search range is meant to be 4.8 standard deviations of a step: a particle without a partner
# costs as much as one with a step of 11.5 in -log(likelihood). After one missing frame it costs 8.
_RANGE_COST, _GAP_COST = 4.8**2 / 2, 8.0


class FrameLinker:
    """Follows particles a frame at a time; holds only those that may still be seen again.

    From one frame to the next, links are those with the smallest sum of squared steps, a particle
    that finds no partner costing the square of the search range (Crocker & Grier 1996, J. Colloid
    Interface Sci. 179:298): the sum that trackpy minimises. trackpy searches all combinations
    within groups of particles in reach of each other, in time that grows exponentially with the
    group; here it is one sparse assignment problem a frame (Jonker & Volgenant 1987, Computing
    38:325), which always ends.

    A particle that was last seen k > 1 frames ago has moved with k times the variance: its squared
    step counts 1/k. It is less sure to come back than one that was seen just now, and what is found
    may as well be another, so it reaches 4 standard deviations of its step over two frames, 4.0
    sqrt(1 - ln(k / 2) / 8) over k, where the search range is 4.8 of those over one. (trackpy takes
    a step over a gap for one like all others.)

    Parameters
    ----------
    search_range
        Largest step from one frame to the next, pixels.
    memory
        For how many frames a particle may be missing.
    """

    def __init__(self, search_range: float, memory: int) -> None:
        self._reach_px = search_range + _ROUNDING_PX
        self._memory = memory
        self._positions: NDArray[np.float64] = np.empty((0, 2))
        self._particles: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._seen: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._next = 0

    def link(self, frame: int, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        """Give each position the number of its particle.

        Parameters
        ----------
        frame
            Larger than that of the call before.
        positions
            Shape (n, 2), pixels.

        Returns
        -------
        numpy.ndarray
            Shape (n,), int64; new particles are numbered on in the order of their positions.
        """
        within = frame - self._seen <= self._memory + 1
        before, known = self._positions[within], self._particles[within]
        passed = frame - self._seen[within]
        source = _assigned(before, positions, passed, _alone_cost(passed) * self._reach_px**2)
        linked = source >= 0
        particles = np.empty(len(positions), dtype=np.int64)
        particles[linked] = known[source[linked]]
        born = int(np.count_nonzero(~linked))
        particles[~linked] = np.arange(self._next, self._next + born)
        self._next += born

        lost = np.ones(len(before), dtype=bool)
        lost[source[linked]] = False
        seen = np.full(len(positions), frame, dtype=np.int64)
        self._positions = np.concatenate([before[lost], positions])
        self._particles = np.concatenate([known[lost], particles])
        self._seen = np.concatenate([self._seen[within][lost], seen])
        return particles


def _alone_cost(passed: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cost of no partner after so many frames, as a share of the squared range."""
    after_gap = np.maximum(_GAP_COST - np.log(passed / 2), 0.0) / _RANGE_COST
    return np.where(passed == 1, 1.0, after_gap)


def _assigned(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    passed: NDArray[np.int64],
    alone_cost: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the row of ``before`` that each row of ``after`` continues, or -1.

    Parameters
    ----------
    before, after
        Positions, shape (m, 2) and (n, 2), pixels.
    passed
        Frames since those of ``before`` were seen, shape (m,).
    alone_cost
        Cost of each row of ``before`` if it is not continued, shape (m,), px^2; that of a link is
        the squared step over ``passed``.
    """
    result = np.full(len(after), -1, dtype=np.int64)
    if len(before) == 0 or len(after) == 0:
        return result
    farthest = float(np.sqrt(passed * alone_cost).max())
    distances, nearest = cKDTree(before).query(after, _NEAREST, distance_upper_bound=farthest)
    target, place = np.nonzero(np.isfinite(distances))
    source = np.asarray(nearest)[target, place]
    link_cost = np.asarray(distances)[target, place] ** 2 / passed[source]
    near = link_cost <= alone_cost[source]
    target, source, link_cost = target[near], source[near], link_cost[near]

    alone = (np.bincount(source)[source] == 1) & (np.bincount(target)[target] == 1)
    result[target[alone]] = source[alone]
    if alone.all():
        return result
    rows, row = np.unique(source[~alone], return_inverse=True)
    columns, column = np.unique(target[~alone], return_inverse=True)
    # Each source has a column of its own for staying without a partner. One is added to all costs,
    # for sparse matrices take a zero for no entry.
    own = np.arange(len(rows))
    cost = np.concatenate([link_cost[~alone], alone_cost[rows]]) + 1
    places = np.concatenate([row, own]), np.concatenate([column, len(columns) + own])
    shape = len(rows), len(columns) + len(rows)
    chosen, partner = min_weight_full_bipartite_matching(csr_array((cost, places), shape=shape))
    paired = partner < len(columns)
    result[columns[partner[paired]]] = rows[chosen[paired]]
    return result

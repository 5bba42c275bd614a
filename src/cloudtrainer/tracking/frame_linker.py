"""Links from one frame to the next: the smallest sum of squared steps."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

# Both as in trackpy, so that the links are the same.
_NEAREST = 10
_ROUNDING_PX = 1e-7


class FrameLinker:
    """Follows particles a frame at a time; holds only those that may still be seen again.

    Links are those with the smallest sum of squared steps, a particle that finds no partner costing
    the square of the search range (Crocker & Grier 1996, J. Colloid Interface Sci. 179:298): the
    sum that trackpy minimises. trackpy searches all combinations within groups of particles in
    reach of each other, in time that grows exponentially with the group; here it is one sparse
    assignment problem a frame (Jonker & Volgenant 1987, Computing 38:325), which always ends.

    Parameters
    ----------
    search_range
        Largest step, pixels.
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
        source = _assigned(before, positions, self._reach_px)
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


def _assigned(
    before: NDArray[np.float64], after: NDArray[np.float64], reach_px: float
) -> NDArray[np.int64]:
    """Return the row of ``before`` that each row of ``after`` continues, or -1."""
    result = np.full(len(after), -1, dtype=np.int64)
    if len(before) == 0 or len(after) == 0:
        return result
    distances, nearest = cKDTree(before).query(after, _NEAREST, distance_upper_bound=reach_px)
    near = np.isfinite(distances)
    target = np.nonzero(near)[0]
    source, distance = np.asarray(nearest)[near], np.asarray(distances)[near]

    alone = (np.bincount(source)[source] == 1) & (np.bincount(target)[target] == 1)
    result[target[alone]] = source[alone]
    if alone.all():
        return result
    rows, row = np.unique(source[~alone], return_inverse=True)
    columns, column = np.unique(target[~alone], return_inverse=True)
    # Each source has a column of its own for staying without a partner. One is added to all costs,
    # for sparse matrices take a zero for no entry.
    own = np.arange(len(rows))
    cost = np.concatenate([distance[~alone] ** 2, np.full(len(rows), reach_px**2)]) + 1
    places = np.concatenate([row, own]), np.concatenate([column, len(columns) + own])
    shape = len(rows), len(columns) + len(rows)
    chosen, partner = min_weight_full_bipartite_matching(csr_array((cost, places), shape=shape))
    paired = partner < len(columns)
    result[columns[partner[paired]]] = rows[chosen[paired]]
    return result

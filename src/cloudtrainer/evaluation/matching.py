"""Pairs of found and true positions, and the choice of the best of all pairings."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from cloudtrainer.evaluation.tables import Floats, checked_distance, positions_in

Indices = NDArray[np.int64]

# Numbers of each kind that are held in memory at a time.
_AT_ONCE = 1_000_000
# Above this many cells the table of all pairs of a component is not laid out.
_DENSE_CELLS = 1_000_000


def match_detections(found: pd.DataFrame, truth: pd.DataFrame, gate_px: float) -> pd.DataFrame:
    """Pair detections with true positions one to one within each frame.

    Of all pairings within the gate it takes one with the most pairs, and among those the one with
    the smallest sum of squared distances (Chenouard et al. 2014 use the same kind of optimal
    assignment).

    Parameters
    ----------
    found, truth
        Tables with the columns ``frame, x, y`` (pixels), in any order of rows.
    gate_px
        Largest distance of a pair, pixels; a pair exactly at it counts.

    Returns
    -------
    pandas.DataFrame
        One row a pair, sorted by ``found``: ``found`` and ``truth`` are row numbers (from 0, as
        for ``iloc``), ``frame``, and ``dx, dy`` are found minus true position in pixels.

    Raises
    ------
    LabelError
        When a table lacks one of the columns or holds something that is not a finite number.
    ConfigError
        When the gate is not a positive number.
    """
    gate = checked_distance(gate_px, "gate_px")
    a, b = positions_in(found, "found"), positions_in(truth, "truth")
    near = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), *near_pairs(a, b, gate)]
    i, j, distance = (np.concatenate(column) for column in zip(*near, strict=True))
    # One more pair always outweighs any gain in distance.
    prize = gate**2 * (min(len(a), len(b)) + 1)
    chosen = heaviest_pairs(i, j, prize - distance**2)
    chosen = chosen[np.argsort(i[chosen])]
    rows, columns = i[chosen], j[chosen]
    offsets = a[rows, 1:] - b[columns, 1:]
    return pd.DataFrame(
        {
            "found": rows,
            "truth": columns,
            "frame": a[rows, 0].astype(np.int64),
            "dx": offsets[:, 0],
            "dy": offsets[:, 1],
        }
    )


def isolated(truth: pd.DataFrame, distance_px: float) -> NDArray[np.bool_]:
    """Tell which positions have no neighbour in their frame within a distance.

    Parameters
    ----------
    truth
        Table with the columns ``frame, x, y`` (pixels).
    distance_px
        A neighbour at this distance or nearer counts, pixels.

    Returns
    -------
    numpy.ndarray
        bool, (rows,), in the order of the rows.

    Raises
    ------
    LabelError
        When the table lacks one of the columns or holds something that is not a finite number.
    ConfigError
        When the distance is not a positive number.
    """
    distance = checked_distance(distance_px, "distance_px")
    spots = positions_in(truth, "truth")
    alone = np.ones(len(spots), dtype=np.bool_)
    for i, j, _ in near_pairs(spots, spots, distance):
        alone[i[i != j]] = False
    return alone


def near_pairs(a: Floats, b: Floats, gate: float) -> Iterator[tuple[Indices, Indices, Floats]]:
    """List the pairs of positions of one frame at most a gate apart, in parts.

    Parameters
    ----------
    a, b
        Frame, x and y (pixels), (rows, 3).
    gate
        Pixels.

    Yields
    ------
    tuple of numpy.ndarray
        Rows of ``a``, rows of ``b`` and distances (pixels) of some of the pairs.
    """
    if len(a) == 0 or len(b) == 0:
        return
    both = np.concatenate([a, b])
    least, span = both[:, 1:].min(axis=0), np.ptp(both[:, 1:], axis=0)
    axis = int(np.argmax(span))
    _, frame = np.unique(both[:, 0], return_inverse=True)
    # Along one line, frame after frame, the near ones of a position follow each other.
    line = frame * (span[axis] + 3 * gate) + (both[:, 1 + axis] - least[axis])
    frame_a, frame_b = frame[: len(a)], frame[len(a) :]
    along = np.argsort(line[len(a) :], kind="stable")
    sorted_line = line[len(a) :][along]
    reach = gate + 4 * np.spacing(line.max())
    low = np.searchsorted(sorted_line, line[: len(a)] - reach)
    count = np.searchsorted(sorted_line, line[: len(a)] + reach, side="right") - low
    for part in in_parts(count):
        i, within = spread_out(part, count[part])
        j = along[low[i] + within]
        distance = np.hypot(a[i, 1] - b[j, 1], a[i, 2] - b[j, 2])
        near = (distance <= gate) & (frame_a[i] == frame_b[j])
        yield i[near], j[near], distance[near]


def in_parts(counts: Indices) -> Iterator[Indices]:
    """Cut the numbers from 0 on into parts whose counts together fit into memory."""
    load = np.cumsum(counts) // _AT_ONCE
    yield from np.split(np.arange(counts.size), np.flatnonzero(np.diff(load)) + 1)


def spread_out(numbers: Indices, counts: Indices) -> tuple[Indices, Indices]:
    """Repeat each number as often as its count says, and number the repeats of each from 0."""
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(numbers, counts), within


def heaviest_pairs(i: Indices, j: Indices, weight: Floats) -> Indices:
    """Choose the pairs, no two with a common member, whose weights have the largest sum.

    Parameters
    ----------
    i, j
        The members of each pair that may be chosen, (pairs,); no pair twice.
    weight
        What choosing each is worth, above 0.

    Returns
    -------
    numpy.ndarray
        Which pairs are chosen, in rising order.
    """
    if i.size == 0:
        return np.empty(0, dtype=np.int64)
    after = int(i.max()) + 1
    nodes = after + int(j.max()) + 1
    graph = coo_array((np.ones(i.size), (i, after + j)), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=False)
    component = label[i]
    lone = np.bincount(component)[component] == 1
    chosen = [np.flatnonzero(lone)]
    rest = np.flatnonzero(~lone)
    rest = rest[np.argsort(component[rest], kind="stable")]
    cuts = np.flatnonzero(np.diff(component[rest])) + 1
    for edges in np.split(rest, cuts) if rest.size else []:
        u, at_u = np.unique(i[edges], return_inverse=True)
        v, at_v = np.unique(j[edges], return_inverse=True)
        assign = _assigned if u.size * v.size <= _DENSE_CELLS else _assigned_among_many
        partner = assign(at_u, at_v, weight[edges], (u.size, v.size))
        chosen.append(edges[partner[at_u] == at_v])
    return np.sort(np.concatenate(chosen))


def _assigned(i: Indices, j: Indices, weight: Floats, shape: tuple[int, int]) -> Indices:
    """Return the column that each row is paired with; one without an edge is no pair."""
    worth = np.zeros(shape)
    worth[i, j] = weight
    partner = np.full(shape[0], -1)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    partner[rows] = columns
    return partner


def _assigned_among_many(i: Indices, j: Indices, weight: Floats, shape: tuple[int, int]) -> Indices:
    """Do the same where the table of all pairs would take too much memory."""
    rows, columns = shape
    own = np.arange(rows)
    # Every row may take a column of its own, which leaves it unpaired. The solver takes a weight of
    # 0 for no edge; each row takes one column, so the same amount more for each changes nothing.
    extra = np.full(rows, weight.max())
    where = np.concatenate([i, own]), np.concatenate([j, columns + own])
    worth = csr_array((np.concatenate([weight + extra[0], extra]), where), (rows, columns + rows))
    return min_weight_full_bipartite_matching(worth, maximize=True)[1].astype(np.int64)

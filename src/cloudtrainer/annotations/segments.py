"""Tracks that split or merge, cut into pieces with one position a frame."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def unbranched_segments(frames: NDArray[np.int64], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut tracks wherever they split or merge, and number the pieces.

    At a split the incoming piece ends with the last spot before it and every branch begins anew;
    at a merge every branch ends and the outgoing piece begins with the spot they meet in.

    Parameters
    ----------
    frames
        Frame of each spot, shape (n,).
    edges
        Spots that are linked, as pairs of positions in `frames`, shape (m, 2), each pair in two
        different frames, in either order.

    Returns
    -------
    ndarray of int64, shape (n,)
        Number of the piece that each spot is in, from 0 in the order of the spots; -1 for a spot
        without an edge.
    """
    result = np.full(len(frames), -1, dtype=np.int64)
    if not len(edges):
        return result
    later = frames[edges].argsort(axis=1, kind="stable")
    ordered = np.unique(np.take_along_axis(edges, later, axis=1), axis=0)
    source, target = ordered.T
    onward = np.bincount(source, minlength=len(frames))
    arriving = np.bincount(target, minlength=len(frames))
    kept = (onward[source] == 1) & (arriving[target] == 1)
    links = coo_array(
        (np.ones(kept.sum(), dtype=np.int8), (source[kept], target[kept])),
        shape=(len(frames), len(frames)),
    )
    piece = connected_components(links, directed=False)[1]
    linked = (onward > 0) | (arriving > 0)
    _, first, number = np.unique(piece[linked], return_index=True, return_inverse=True)
    result[linked] = np.argsort(np.argsort(first))[number]
    return result

"""Links by laptrack: gap closing, and particles that split or merge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from cloudtrainer.errors import ConfigError


@dataclass(frozen=True)
class Segments:
    """Positions and their particles, which end and begin where they split or merge.

    Attributes
    ----------
    particles
        Shape (n,), int64, the same number for positions of one particle.
    splits, merges
        How many times one particle became several, and several became one.
    """

    particles: NDArray[np.int64]
    splits: int
    merges: int


def link_with_laptrack(
    groups: list[NDArray[np.float64]],
    numbers: NDArray[np.int64],
    search_range: float,
    memory: int,
    split_merge_range: float | None,
) -> Segments:
    """Link by laptrack (Fukai & Kawaguchi 2023, Bioinformatics 39:btac799).

    It assigns first from frame to frame and then the ends of tracks to the beginnings of others, or
    to their middles (Jaqaman et al. 2008, Nature Methods 5:695), with laptrack's own costs.

    Parameters
    ----------
    groups
        Positions of each frame that has some, shape (n, 2), pixels.
    numbers
        Number of each of these frames, from 0, increasing.
    search_range
        Largest step, and largest distance across a gap, pixels.
    memory
        For how many frames a particle may be missing.
    split_merge_range
        Largest distance of a split or merge, pixels; None: there are none.

    Raises
    ------
    ConfigError
        When laptrack is not installed.
    """
    try:
        from laptrack import LapTrack
    except ImportError:
        raise ConfigError(
            "the engine laptrack needs the package of that name: "
            "pip install 'deeptrack-cloud-trainer[laptrack]'"
        ) from None
    sizes = [len(group) for group in groups]
    if len(groups) < 2:
        return Segments(np.arange(sum(sizes), dtype=np.int64), 0, 0)
    together = split_merge_range**2 if split_merge_range is not None else False
    tracker = LapTrack(
        cutoff=search_range**2,
        gap_closing_cutoff=search_range**2 if memory else False,
        gap_closing_max_frame_count=memory + 1,
        splitting_cutoff=together,
        merging_cutoff=together,
    )
    frames = [np.empty((0, 2)) for _ in range(int(numbers[-1]) + 1)]
    for number, group in zip(numbers, groups, strict=True):
        frames[number] = group
    first = dict(zip(numbers.tolist(), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    edges = np.array(
        [(first[t] + i, first[u] + j) for (t, i), (u, j) in tracker.predict(frames).edges()],
        dtype=np.int64,
    ).reshape(-1, 2)
    return _cut(edges, sum(sizes))


def _cut(edges: NDArray[np.int64], count: int) -> Segments:
    """Take away all links of a position that is continued, or preceded, by several."""
    after = np.bincount(edges[:, 0], minlength=count)
    before = np.bincount(edges[:, 1], minlength=count)
    kept = edges[(after[edges[:, 0]] == 1) & (before[edges[:, 1]] == 1)]
    graph = csr_array((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(count, count))
    particles = connected_components(graph, directed=False)[1].astype(np.int64)
    return Segments(particles, int(np.sum(after > 1)), int(np.sum(before > 1)))

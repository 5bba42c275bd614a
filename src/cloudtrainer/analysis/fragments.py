"""Whether particles that leave the focus and come back are counted several times."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.diffusion.tracks import BORDER_COLUMN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Numbers of begins and of ends, and their distance.
Pairs = tuple[IntArray, IntArray, FloatArray]

# How long a particle may be away, in frames; the shorter ones are for crowded fields.
_LONGEST_AWAY = (50, 25, 12)
# How far it may have gone, in root mean square displacements.
_REACH = 3.0
_SHUFFLES = 40
_FEWEST_TRACKS = 30
_MOST_BEGINS = 2000
# More pairs than these fill the memory; the field is crowded then.
_MOST_PAIRS = 5_000_000
# Where chance explains more than this share, nothing is told from it.
_MOST_BY_CHANCE = 0.5
# So many of all tracks go on from another before it is said, by so many standard deviations.
_LEAST_SHARE = 0.2
_DEVIATIONS = 5.0


def fragments_warning(tracks: pd.DataFrame, memory: int, seed: int = 0) -> str | None:
    """Say, in a sentence, that many tracks go on where another ended; None if they do not.

    A track that begins inside the field, where another ended some frames before and within reach
    of its motion, is probably the same particle. How many do so by chance is what is left when
    the times of the beginnings are shuffled among their places.

    Parameters
    ----------
    tracks : DataFrame
        ``particle, frame, x, y``, pixels, and ``to_border_px`` where the field is known; otherwise
        it is the box around all positions.
    memory : int
        Frames that links bridge: what is away for no longer is linked already.
    seed : int
        Of the shuffling.
    """
    share = share_going_on(tracks, memory, seed)
    if not share >= _LEAST_SHARE:
        return None
    return (
        f"At least {100 * share:.0f}% of the tracks begin inside the field where another ended "
        "shortly before: particles leave the focus, or are missed, and come back, and are counted "
        "several times. "
        "If the particles differ, the intervals are too narrow: compare several videos, of which "
        "each is one replicate, or film so that particles stay in focus."
    )


def share_going_on(tracks: pd.DataFrame, memory: int, seed: int = 0) -> float:
    """Return the share of tracks that go on from another one; NaN where chance hides it.

    Those that were away for long, or come back near the border, are not counted.
    """
    if tracks["particle"].nunique() < _FEWEST_TRACKS:
        return float("nan")
    ordered = tracks.sort_values(["particle", "frame"])
    ordered = ordered.assign(inside=_to_border(ordered))
    first = ordered.drop_duplicates("particle")
    last = ordered.drop_duplicates("particle", keep="last")
    number = len(first)
    step = ordered[["particle", "frame", "x", "y"]].diff()
    step = step[(step["particle"] == 0) & (step["frame"] == 1)]
    square = float((step["x"] ** 2 + step["y"] ** 2).mean()) if len(step) else 0.0
    if not square > 0:
        return float("nan")
    begins = np.flatnonzero(
        (first["inside"].to_numpy() > _REACH * np.sqrt(square))
        & (first["frame"].to_numpy() > ordered["frame"].min() + memory)
    )
    rng = np.random.default_rng(seed)
    inside = len(begins)
    if inside < _LEAST_SHARE * number:
        return 0.0
    if inside > _MOST_BEGINS:
        begins = np.sort(rng.choice(begins, _MOST_BEGINS, replace=False))
    start = first["frame"].to_numpy(np.int64)[begins]
    end = last["frame"].to_numpy(np.int64)
    places = first[["x", "y"]].to_numpy(np.float64)[begins], last[["x", "y"]].to_numpy(np.float64)
    for longest in _LONGEST_AWAY:
        near = _near(*places, _REACH * np.sqrt(square * longest))
        if near is None:
            continue
        pairs = _of_others(near, begins)
        window = (memory + 2, longest)
        if _matched(rng.permutation(start), end, pairs, square, window) > 1.2 * _MOST_BY_CHANCE:
            continue
        found = _matched(start, end, pairs, square, window)
        chance = np.array(
            [_matched(rng.permutation(start), end, pairs, square, window) for _ in range(_SHUFFLES)]
        )
        if chance.mean() > _MOST_BY_CHANCE:
            continue
        if found - chance.mean() < _DEVIATIONS * chance.std(ddof=1):
            return 0.0
        return float((found - chance.mean()) / (1 - chance.mean()) * inside / number)
    return float("nan")


def _to_border(tracks: pd.DataFrame) -> FloatArray:
    if BORDER_COLUMN in tracks:
        return tracks[BORDER_COLUMN].to_numpy(np.float64)
    position = tracks[["x", "y"]].to_numpy(np.float64)
    low, high = position.min(axis=0), position.max(axis=0)
    return np.asarray(np.minimum(position - low, high - position).min(axis=1))


def _near(begins: FloatArray, ends: FloatArray, reach: float) -> Pairs | None:
    """Return the begins and ends that lie near each other; None if they are too many."""
    from scipy.spatial import cKDTree

    of_begins, of_ends = cKDTree(begins), cKDTree(ends)
    if of_begins.count_neighbors(of_ends, reach) > _MOST_PAIRS:
        return None
    there = of_begins.sparse_distance_matrix(of_ends, reach, output_type="coo_matrix")
    return there.row.astype(np.int64), there.col.astype(np.int64), np.asarray(there.data)


def _of_others(pairs: Pairs, begins: IntArray) -> Pairs:
    """Leave out the pairs of a track with itself."""
    begin, other, distance = pairs
    kept = other != begins[begin]
    return begin[kept], other[kept], distance[kept]


def _matched(
    start: IntArray,
    end: IntArray,
    pairs: Pairs,
    square: float,
    window: tuple[int, int],
) -> float:
    """Return the share of the begins for which an end lies within the window and in reach."""
    begin, other, distance = pairs
    away = start[begin] - end[other]
    good = (away >= window[0]) & (away <= window[1])
    good &= distance**2 <= _REACH**2 * square * away
    matched = np.zeros(len(start), dtype=bool)
    matched[begin[good]] = True
    return float(matched.mean())

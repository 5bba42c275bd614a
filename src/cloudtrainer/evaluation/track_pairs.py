"""The pairing of found with true tracks that leaves the smallest distance between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from cloudtrainer.evaluation.matching import (
    Indices,
    heaviest_pairs,
    in_parts,
    near_pairs,
    spread_out,
)
from cloudtrainer.evaluation.tables import Floats, Tracks

# Of a pair that is better than none by less, rounding decides.
_LEAST_GAIN = 1e-9


@dataclass(frozen=True)
class TrackPairs:
    """Which found track is paired with which true one.

    Attributes
    ----------
    found, truth : ndarray of int64, shape (n,)
        Numbers of the tracks of each pair.
    gain : ndarray of float64, shape (n,)
        What each pair takes off the distance to the true tracks, in gates.
    """

    found: Indices
    truth: Indices
    gain: Floats


def pair_tracks(found: Tracks, truth: Tracks, gate: float) -> TrackPairs:
    """Pair found with true tracks one to one so that their distance is smallest.

    To pair a true track with a found one, instead of none, gains 1 - d / gate in each frame where
    they are d < gate apart, and loses 1 in each frame where only the found one has a position. So
    pairs that are never within the gate need not be looked at.

    Parameters
    ----------
    found, truth
        The tracks.
    gate
        Pixels.
    """
    near = _closeness(found, truth, gate).tocoo()
    i, j = (index.astype(np.int64) for index in near.coords)
    length = np.bincount(found.track, minlength=found.count)
    gain = near.data - (length[i] - _common_frames(found, truth, i, j))
    worth = np.flatnonzero(gain > _LEAST_GAIN)
    chosen = worth[heaviest_pairs(j[worth], i[worth], gain[worth])]
    return TrackPairs(i[chosen], j[chosen], gain[chosen])


def offsets_of_pairs(found: Tracks, truth: Tracks, pairs: TrackPairs) -> Floats:
    """Return found minus true positions in the frames where both of a pair have one, (n, 2)."""
    partner = np.full(found.count, -1, dtype=np.int64)
    partner[pairs.found] = pairs.truth
    frame, true_frame, n_frames = _frame_numbers(found, truth)
    # Positions are sorted by track, then frame, and so are these keys.
    keys = truth.track * n_frames + true_frame
    asked = np.flatnonzero(partner[found.track] >= 0)
    at, there = _places_in(keys, partner[found.track[asked]] * n_frames + frame[asked])
    return found.position[asked[there], 1:] - truth.position[at[there], 1:]


def _closeness(found: Tracks, truth: Tracks, gate: float) -> csr_array:
    """Sum 1 - d / gate over the frames in which two tracks are near, (found, true tracks)."""
    total = csr_array((found.count, truth.count), dtype=np.float64)
    for i, j, distance in near_pairs(found.position, truth.position, gate):
        part = coo_array((1 - distance / gate, (found.track[i], truth.track[j])), total.shape)
        total = total + part.tocsr()
    return total


def _common_frames(a: Tracks, b: Tracks, i: Indices, j: Indices) -> Indices:
    """Count the frames in which both tracks of each pair have a position."""
    if i.size == 0:
        return np.empty(0, dtype=np.int64)
    frame_a, frame_b, n_frames = _frame_numbers(a, b)
    n_words = n_frames // 64 + 1
    key_a, word_a = _words(a, frame_a, n_words)
    key_b, word_b = _words(b, frame_b, n_words)
    first = np.searchsorted(key_a, np.arange(a.count + 1) * n_words)
    counts = np.diff(first)[i]
    common = np.zeros(i.size, dtype=np.int64)
    for part in in_parts(counts):
        # All words of the first track of each pair, one after the other.
        pair, within = spread_out(part, counts[part])
        at_a = first[i[pair]] + within
        at_b, there = _places_in(key_b, j[pair] * n_words + key_a[at_a] % n_words)
        both = np.bitwise_count(word_a[at_a[there]] & word_b[at_b[there]])
        common += np.bincount(pair[there], both, minlength=i.size).astype(np.int64)
    return common


def _words(tracks: Tracks, frame: Indices, n_words: int) -> tuple[Indices, NDArray[np.uint64]]:
    """Mark the frames of each track as bits of words of 64 frames: rising keys, and the words."""
    key = tracks.track * n_words + frame // 64
    start = np.flatnonzero(np.diff(key, prepend=-1))
    bit = np.left_shift(np.uint64(1), (frame % 64).astype(np.uint64))
    return key[start], np.bitwise_or.reduceat(bit, start)


def _frame_numbers(a: Tracks, b: Tracks) -> tuple[Indices, Indices, int]:
    """Count the frames in which either has a position, and number them from 0: a's, b's, count."""
    frames, number = np.unique(
        np.concatenate([a.position[:, 0], b.position[:, 0]]), return_inverse=True
    )
    return number[: len(a)], number[len(a) :], frames.size


def _places_in(keys: Indices, wanted: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """Find numbers among rising ones: their places, and whether they are there."""
    if keys.size == 0:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, np.bool_)
    at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return at, keys[at] == wanted

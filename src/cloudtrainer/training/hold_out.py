"""Which frames are held out for validation: contiguous blocks or whole videos, the same for ever.

Neighbouring frames show the same particles, so a random choice of frames would score a detector on
what it has seen. What was once held out stays so when more is labelled: otherwise a later model
would be scored on frames that an earlier one has learned.
"""

from collections.abc import Collection, Set

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.training.ledger import Ranges

Frames = NDArray[np.int64]


def hold_out_frames(
    labelled: Frames,
    share: float,
    earlier: Ranges = (),
    known: Ranges = (),
    empty: Frames | None = None,
) -> Ranges:
    """Choose stretches of a video's labelled frames to hold out.

    Parameters
    ----------
    labelled : ndarray
        Numbers of the labelled frames.
    share : float
        Share of them to hold out, at least one frame where there are two.
    earlier : tuple of (int, int)
        Stretches that were held out before. They are kept; only where they hold less than half of
        what is wanted, because more was labelled since, the last of the new frames join them.
    known : tuple of (int, int)
        Stretches of frames that were labelled in an earlier run: what was not held out then has
        been learned, and is never held out.
    empty : ndarray, optional
        Frames without particles, which are learned from and not chosen: nothing can be found in
        them, so that they would leave the others' score as it is.

    Returns
    -------
    tuple of (int, int)
        First and last frame of each stretch.
    """
    labelled = np.unique(labelled)
    wanted = round(share * len(labelled))
    wanted = min(max(wanted, 1), len(labelled) - 1) if len(labelled) > 1 else 0
    held = is_held_out(labelled, earlier)
    if earlier and held.sum() >= wanted / 2:
        return earlier
    free = labelled[~held & ~is_held_out(labelled, known)]
    more = free[max(0, len(free) - (wanted - int(held.sum()))) :]
    if not len(more):
        return earlier
    # A stretch must not reach over frames that are learned from.
    every = labelled if empty is None else np.union1d(labelled, empty)
    cuts = np.flatnonzero(np.diff(np.searchsorted(every, more)) > 1) + 1
    return earlier + tuple((int(part[0]), int(part[-1])) for part in np.split(more, cuts))


def stretches_of(frames: Frames) -> Ranges:
    """Return the stretches of frames without a gap, (first, last)."""
    frames = np.unique(frames)
    if not len(frames):
        return ()
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return tuple((int(part[0]), int(part[-1])) for part in parts)


def frames_of(stretches: Ranges) -> Frames:
    """Return the frames of stretches, rising."""
    parts = [np.arange(first, last + 1) for first, last in stretches]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def hold_out_videos(
    hashes: Collection[str], share: float, earlier: Set[str], learned: Set[str] = frozenset()
) -> set[str]:
    """Choose whole videos to hold out, at least one where there are two that no model knows.

    Parameters
    ----------
    hashes : collection of str
        SHA-256 of every labelled video; they also decide, so that the choice does not depend on
        names or dates.
    share : float
        Share of the videos to hold out.
    earlier : set of str
        Videos that were held out before, which stay so.
    learned : set of str
        Videos that a model has learned, which are never held out.

    Returns
    -------
    set of str
        SHA-256 of the videos that are held out.
    """
    held = set(earlier).intersection(hashes)
    wanted = max(round(share * len(hashes)), 1) if len(hashes) > 1 else 0
    free = sorted(set(hashes) - held - learned)
    return held | set(free[: max(0, wanted - len(held))])


def is_held_out(frames: Frames, stretches: Ranges) -> NDArray[np.bool_]:
    """Tell for each frame whether it lies in one of the stretches."""
    held = np.zeros(len(frames), bool)
    for first, last in stretches:
        held |= (frames >= first) & (frames <= last)
    return held

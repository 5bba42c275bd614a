"""Which frames to label next: those in which a model is least sure, spread over the video."""

from collections.abc import Set
from typing import Any

import numpy as np
from numpy.typing import NDArray


def expected_wrong_calls(probability: NDArray[Any], threshold: float) -> float:
    """Return the sum of 1 - p over what is called a particle and of p over what is not."""
    called = probability >= threshold
    return float((1 - probability[called]).sum() + probability[~called].sum())


def spread_out(frames: int, most: int) -> list[int]:
    """Return frames evenly over a video in an order whose every beginning is spread as well.

    The order is that of the van der Corput sequence: the middle, the quarters, the eighths.
    """
    count = min(frames, most)
    places = np.unique(np.linspace(0, frames - 1, count).round().astype(int))
    bits = max(1, int(len(places) - 1).bit_length())
    turned = [int(f"{index:0{bits}b}"[::-1], 2) for index in range(2**bits)]
    return [int(places[index]) for index in turned if index < len(places)]


def least_sure(doubts: dict[int, float], most: int, frames: int) -> list[int]:
    """Choose frames of large doubt that are no neighbours, the least sure first.

    Neighbouring frames show the same particles in nearly the same places: a second one teaches
    little. Chosen frames are at least 1/(2 most) of the video apart.

    Parameters
    ----------
    doubts : dict of int to float
        The doubt of each frame that was looked at.
    most : int
        How many to choose at most.
    frames : int
        Length of the video.
    """
    apart = max(1, frames // (2 * most))
    chosen: list[int] = []
    for frame in sorted(doubts, key=lambda one: (-doubts[one], one)):
        if doubts[frame] > 0 and all(abs(frame - other) >= apart for other in chosen):
            chosen.append(frame)
        if len(chosen) == most:
            break
    return chosen


def next_of(suggested: list[int], here: int, done: Set[int]) -> int | None:
    """Return the next suggested frame behind the one that is shown which is not done yet.

    Parameters
    ----------
    suggested : list of int
        Suggested frames in their order; behind the last comes the first.
    here : int
        The frame that is shown.
    done : set of int
        Frames that need no label any more.
    """
    start = suggested.index(here) + 1 if here in suggested else 0
    turned = suggested[start:] + suggested[:start]
    return next((frame for frame in turned if frame not in done), None)

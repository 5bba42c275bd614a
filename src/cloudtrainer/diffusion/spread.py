"""How much a quantity differs between particles: what an estimate of it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.tracks import IntArray, TrackArrays

BoolArray = NDArray[np.bool_]

# Fewer say too little of how particles differ.
FEWEST_PARTICLES = 12


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Spread of a quantity over the particles, without the scatter of its own estimate.

    Attributes
    ----------
    value : float
        NaN when there is none, and then `reason` says why. 0 where the particles differ no more
        than chance lets them.
    low, high : float
        95% interval.
    particles : int
        What it rests on.
    tracks_left_out, positions_left_out : float
        Share of the tracks of two positions or more that are too short, and of their positions. The
        spread says nothing of them.
    stride : int
        Frames in one displacement.
    reason : str or None
        Why there is no estimate.
    """

    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    particles: int
    tracks_left_out: float = 0.0
    positions_left_out: float = 0.0
    stride: int = 1
    reason: str | None = None

    def __str__(self) -> str:
        if not np.isfinite(self.value):
            return f"no estimate ({self.reason})"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def left_out(arrays: TrackArrays, long: BoolArray) -> tuple[float, float]:
    """Return the share of the tracks with a displacement that are not long, and of positions."""
    entering = arrays.lengths > 1
    short = entering & ~long
    if not entering.any():
        return 0.0, 0.0
    positions = arrays.lengths[short].sum() / arrays.lengths[entering].sum()
    return float(short.sum() / entering.sum()), float(positions)


def drawn(numbers: IntArray, most: int, seed: int) -> IntArray:
    """Return these numbers of tracks, ascending; of more than `most` so many, drawn at random."""
    if len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))

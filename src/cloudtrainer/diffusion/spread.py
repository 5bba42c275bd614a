"""How much a quantity differs between particles: what an estimate of it is."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.tracks import IntArray

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
    stride : int
        Frames in one displacement.
    reason : str or None
        Why there is no estimate.
    """

    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    particles: int
    stride: int = 1
    reason: str | None = None

    def __str__(self) -> str:
        if not np.isfinite(self.value):
            return f"no estimate ({self.reason})"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def drawn(numbers: IntArray, most: int, seed: int) -> IntArray:
    """Return these numbers of tracks, ascending; of more than `most` so many, drawn at random."""
    if len(numbers) <= most:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))

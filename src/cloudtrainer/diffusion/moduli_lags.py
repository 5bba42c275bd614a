"""The lags whose MSD is good enough for moduli."""

import math

import numpy as np

from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.tracks import FloatArray, IntArray
from cloudtrainer.errors import ConfigError

_LAGS_A_DECADE = 16
_LEAST_LAGS = 8
# Of the longest track: beyond, few pairs of positions are left.
_LONGEST_SHARE = 0.25
# Tracks, each counted by its pairs of positions, that a lag must rest on; where there are few at
# the shortest lag, this share of them.
_LEAST_TRACKS, _LEAST_SHARE = 10.0, 0.5


def spread_lags(longest: int) -> IntArray:
    """Return lags up to the longest, in frames, about 16 a decade."""
    number = max(2, round(_LAGS_A_DECADE * math.log10(max(longest, 2))) + 1)
    return np.unique(np.geomspace(1, longest, number).round().astype(np.int64))


def tracks_behind(msd: MeanSquaredDisplacement) -> FloatArray:
    """Return how many equal tracks each lag rests on: (sum of pairs)^2 / (sum of their squares)."""
    pairs = msd.pairs.astype(np.float64)
    squares = (pairs**2).sum(0)
    return np.asarray(pairs.sum(0) ** 2 / np.where(squares > 0, squares, 1.0))


def usable_lags(
    msd: MeanSquaredDisplacement, offset: float, min_lag: int, max_lag: int | None
) -> IntArray:
    """Return the lags to use, in frames.

    Those below `min_lag` are left out, and the shortest where the offset explains their MSD. Up to
    `max_lag`, or without it a quarter of the longest track, as far as there are tracks enough: the
    MSD of a few long tracks among many short ones is theirs alone, and their scatter cannot be
    told.

    Raises
    ------
    ConfigError
        Fewer than eight lags are left.
    """
    longest = min(max_lag or quarter_of_longest(msd), len(msd.lag))
    few = 0
    if max_lag is None:
        behind = tracks_behind(msd)[:longest]
        least = min(_LEAST_TRACKS, _LEAST_SHARE * behind[0])
        short = np.flatnonzero(behind < least)
        few = longest - int(short[0]) if len(short) else 0
    lags = spread_lags(longest - few)
    lags = np.append(min_lag, lags[lags > min_lag])
    hidden = np.flatnonzero(~(msd.ensemble[lags - 1] > offset))
    kept = lags[hidden.max() + 1 :] if len(hidden) else lags
    if len(kept) < _LEAST_LAGS:
        why = (
            f"; beyond {longest - few} frames it rests on too few tracks: leave out the short "
            "tracks, or name the longest lag (max_lag)"
            if few
            else ""
        )
        raise ConfigError(
            f"the longest track gives {len(msd.lag)} lags, of which {len(kept)} can be used"
            f"{f' from {min_lag} frames on' if min_lag > 1 else ''}: "
            f"moduli need tracks of 30 frames or more, and an MSD above the offset{why}"
        )
    return kept


def quarter_of_longest(msd: MeanSquaredDisplacement) -> int:
    """Return a quarter of the longest track, in frames."""
    return max(int(_LONGEST_SHARE * (len(msd.lag) + 1)), 1)

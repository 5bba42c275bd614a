"""Fits of many spots of a few frames, each together with its neighbours, in groups of one size."""

import math

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.patches import MOST_NEIGHBOURS, Patches, Spots, neighbours
from cloudtrainer.detector.photon_fit.solve import Solved, solve

_ITERATIONS = 3
# A patch reaches this many widths from the spot's centre, and the light of a spot so many.
_WIDTHS_TO_THE_EDGE = 3.0
_REACH_OF_LIGHT = 2.7
_RADIUS_LIMITS_PX = (4, 10)
# Slopes held in memory at once: 16 MB, which caches hold in part; on a GPU 256 MB.
_NUMBERS_AT_ONCE = 1 << 22
_TIMES_ON_A_GPU = 16


def radius_px(appearance: Appearance) -> int:
    """Return half of the side of the patches for spots of this width."""
    low, high = _RADIUS_LIMITS_PX
    return min(max(math.ceil(_WIDTHS_TO_THE_EDGE * appearance.sigma_px), low), high)


def reach_px(appearance: Appearance) -> float:
    """Return how far away a spot can be whose light still falls into the patch of another."""
    return radius_px(appearance) + _REACH_OF_LIGHT * appearance.sigma_px


def fit_spots(
    frames: Tensor,
    variance: Tensor,
    spots: Spots,
    chosen: Tensor,
    appearance: Appearance,
    *,
    leverage: bool = False,
) -> Solved:
    """Fit some of the spots, each together with its neighbours.

    Parameters
    ----------
    frames, variance : Tensor
        Intensities and the variance of each frame's ground.
    spots : Spots
        All spots of the frames.
    chosen : Tensor
        Numbers of those to fit.
    appearance : Appearance
        What they have in common.
    leverage : bool
        Say how much of each pixel's noise the fits follow.

    Returns
    -------
    Solved
        In the order of ``chosen``.
    """
    radius = radius_px(appearance)
    which, there = neighbours(spots, reach_px(appearance))
    which, there = which[chosen], there[chosen]
    number = there.sum(1)
    parts, order = [], []
    for least, most in ((0, 0), (1, 1), (2, 2), (3, MOST_NEIGHBOURS)):
        group = torch.nonzero((number >= least) & (number <= most))[:, 0]
        numbers = _NUMBERS_AT_ONCE * (_TIMES_ON_A_GPU if frames.device.type == "cuda" else 1)
        at_once = numbers // ((2 * radius + 1) ** 2 * (5 + 3 * most))
        for part in torch.split(group, max(1, at_once)) if len(group) else ():
            some = spots.of(chosen[part])
            parts.append(
                solve(
                    Patches.around(frames, variance, some.frame, some.x, some.y, radius),
                    some,
                    spots.of(which[part, :most]),
                    there[part, :most],
                    appearance,
                    iterations=_ITERATIONS,
                    leverage=leverage,
                )
            )
            order.append(part)
    return Solved.joined(parts).of(torch.argsort(torch.cat(order)))

"""Two spots where one was seen: pairs that a single Gaussian does not explain."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.fitting import radius_px, reach_px
from cloudtrainer.detector.photon_fit.patches import Patches, Spots, neighbours
from cloudtrainer.detector.photon_fit.solve import Solved, solve

# Steps of each start, and then of the better one.
_FIRST_STEPS, _MORE_STEPS = 3, 4
# Squared signal-to-noise ratio below which one spot cannot be told from two.
_BRIGHT_ENOUGH = 60.0
# What is left by the single spot must stand out by this much before two are tried.
_LEFT_OVER = 2.5
# Three more parameters, and the search for their start, are worth this much of the surprise ...
_WORTH = 25.0
# ... and this many times what a spot that is no Gaussian leaves on average.
_MISFITS = 4.0
# A pair is of spots alike in brightness, and not nearer than this many widths.
_DIMMER_AT_MOST = 0.3
_NOT_NEARER = 0.7
# Where the second spot is looked for, in widths from the first.
_SEARCHED = 3.2
_NEIGHBOURS = 3
# Start of both: (of the first, of the second) along the way to what is left, and their peaks.
_STARTS = ((-0.45, 0.75, 0.5, 0.5), (0.0, 1.0, 0.8, 0.4))


@dataclass(frozen=True)
class Pairs:
    """Spots that are two.

    Attributes
    ----------
    of : Tensor
        Numbers of the spots that were one, (pairs,).
    first, second : Spots
        The two.
    """

    of: Tensor
    first: Spots
    second: Spots


def find_pairs(frames: Tensor, variance: Tensor, fitted: Solved, appearance: Appearance) -> Pairs:
    """Try two spots in the place of each one that leaves light over.

    Two are taken where they explain the pixels better by more than noise, and more than what the
    spots of these frames differ from Gaussians by, would make likely.

    Parameters
    ----------
    frames, variance : Tensor
        Intensities and the variance of each frame's ground.
    fitted : Solved
        All spots of the frames, each fitted alone.
    appearance : Appearance
        What the spots have in common.
    """
    spots = fitted.spots
    bright = (fitted.weight * fitted.light**2).sum(1)
    left, dx, dy = _largest_left_over(fitted, appearance)
    excess = fitted.surprise - fitted.freedom
    wanted = (left > _LEFT_OVER) & (bright > _BRIGHT_ENOUGH)
    wanted &= excess > torch.where(left > 4, -torch.inf, 6.0)
    of = torch.nonzero(wanted)[:, 0]
    if len(of) == 0:
        return Pairs(of, spots.of(of), spots.of(of))
    which, there = neighbours(spots, reach_px(appearance))
    which, there = which[of, :_NEIGHBOURS], there[of, :_NEIGHBOURS]
    alone = spots.of(of)
    radius = radius_px(appearance)
    patches = Patches.around(frames, variance, alone.frame, alone.x, alone.y, radius)
    others = spots.of(which)
    one = solve(patches, alone, others, there, appearance, iterations=1)
    tried = [
        _as_two(patches, alone, others, there, appearance, (dx[of], dy[of]), start)
        for start in _STARTS
    ]
    # The same weights for one and for two: otherwise the more light, the less surprise.
    surprises = [_surprise(two, one.weight, appearance) for two in tried]
    begun = Solved.chosen(surprises[1] < surprises[0], tried[1], tried[0])
    two = _solved(patches, *_both(begun), others, there, appearance, _MORE_STEPS)
    gained = _surprise(one, one.weight, appearance) - _surprise(two, one.weight, appearance)
    first, second = _both(two)
    apart = torch.hypot(first.x - second.x, first.y - second.y)
    taken = gained > _WORTH + _MISFITS * appearance.misfit * bright[of]
    taken &= second.peak > _DIMMER_AT_MOST * first.peak
    taken &= first.peak > _DIMMER_AT_MOST * second.peak
    taken &= apart > _NOT_NEARER * appearance.sigma_px
    for half in (first, second):
        distance = torch.hypot(half.x[:, None] - others.x, half.y[:, None] - others.y)
        taken &= ~(there & (distance < 0.9 * appearance.sigma_px)).any(1)
    return Pairs(of[taken], first.of(taken), second.of(taken))


def _largest_left_over(fitted: Solved, appearance: Appearance) -> tuple[Tensor, Tensor, Tensor]:
    """Return where a filter of the spots' shape finds most light left, in noise sds, and where."""
    spots, radius = fitted.spots, radius_px(appearance)
    side = 2 * radius + 1
    reach = max(2, round(2 * appearance.sigma_px))
    places = torch.arange(-radius, radius + 1, device=spots.x.device)
    away = places[:, None] - places
    profile = torch.exp(-0.5 * (away / appearance.sigma_px) ** 2) * (away.abs() <= reach)
    weight = fitted.weight.view(-1, side, side)
    seen = profile @ (weight * fitted.residual.view(-1, side, side)) @ profile
    noise = (profile**2 @ weight @ profile**2).sqrt()
    ratio = seen / noise.clamp(min=1e-9)
    dx = places + (fitted.column - spots.x)[:, None]
    dy = places + (fitted.row - spots.y)[:, None]
    near = dx[:, None, :] ** 2 + dy[:, :, None] ** 2 < (_SEARCHED * appearance.sigma_px) ** 2
    most, at = torch.where(near, ratio, -torch.inf).flatten(1).max(1)
    row, column = at // side, at % side
    spot = torch.arange(len(at), device=at.device)
    return most, dx[spot, column], dy[spot, row]


def _as_two(
    patches: Patches,
    alone: Spots,
    others: Spots,
    there: Tensor,
    appearance: Appearance,
    way: tuple[Tensor, Tensor],
    start: tuple[float, float, float, float],
) -> Solved:
    dx, dy = way
    first_way, second_way, first_peak, second_peak = start
    usual = torch.full_like(alone.sigma, appearance.sigma_px)

    def part(share: float, peak: float) -> Spots:
        x, y = alone.x + share * dx, alone.y + share * dy
        return Spots(alone.frame, x, y, peak * alone.peak, usual, alone.ground)

    first, second = part(first_way, first_peak), part(second_way, second_peak)
    return _solved(patches, first, second, others, there, appearance, _FIRST_STEPS)


def _both(pairs: Solved) -> tuple[Spots, Spots]:
    assert pairs.partner is not None
    return pairs.spots, pairs.partner


def _solved(
    patches: Patches,
    first: Spots,
    second: Spots,
    others: Spots,
    there: Tensor,
    appearance: Appearance,
    steps: int,
) -> Solved:
    beside = Spots(
        **{
            name: torch.cat([vars(second)[name][:, None], values], dim=1)
            for name, values in vars(others).items()
        }
    )
    exists = functional.pad(there, (1, 0), value=True)
    return solve(patches, first, beside, exists, appearance, iterations=steps, pairs=True)


def _surprise(fitted: Solved, weight: Tensor, appearance: Appearance) -> Tensor:
    unusual = (fitted.spots.sigma / appearance.sigma_px).log() / appearance.sigma_spread
    return (weight * fitted.residual**2).sum(1) + unusual**2

"""Probabilities and places of doubtful spots, from their photons and the other particles'."""

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import Appearance, Population
from cloudtrainer.detector.photon_fit.evidence import gather_evidence
from cloudtrainer.detector.photon_fit.ground import Ground
from cloudtrainer.detector.photon_fit.seen import LIKELY, Seen, with_doubt

# What the network sees with more than this is not in doubt.
_DOUBTFUL = 0.99
# Two doubtful spots nearer than this many widths are of one particle.
_RIVALS_WIDTHS = 2.7
# A frame in which photons see fewer or more particles than the network by more than these shares,
# beyond what they do in the frames that the population was measured on, and by more than so many,
# is not like those.
_FEWER, _MORE, _UNUSUAL_NUMBER = 0.12, 0.25, 3.0
# From this signal-to-noise ratio of a matched filter on the fit is sharp enough to place a spot.
_BRIGHT = 12.0


def weigh(frames: Tensor, variance: Tensor, seen: Seen, appearance: Appearance) -> Seen:
    """Return spots with the probability that their photons give to those in doubt.

    Where a particle is one of many alike, how bright and how frequent the others are says how
    likely it is that pixels as these hold one: Bayes' rule with the densities of the video
    (empirical Bayes, Robbins 1956, Proc. 3rd Berkeley Symp. 1:157). Only spots without a likely
    neighbour are weighed; of several within one spot's light the likeliest is kept, the others get
    the probability 0.

    Parameters
    ----------
    frames, variance : Tensor
        Intensities with bright particles, (frames, height, width), and the variance of the noise of
        each frame's ground, counts², (frames,).
    seen : Seen
        All spots that may be particles.
    appearance : Appearance
        What they have in common; without ``population`` nothing is weighed.
    """
    population = appearance.population
    if population is None or len(seen) == 0:
        return seen
    doubtful = seen.alone(appearance.sigma_px) & (seen.probability < _DOUBTFUL)
    doubtful &= population.alike(variance)[seen.frame]
    ground = Ground.of(frames, seen.of(seen.probability >= LIKELY), appearance.sigma_px)
    spots = seen.of(doubtful)
    found = gather_evidence(frames, variance, ground, spots, appearance, population)
    density = torch.tensor(population.density_px2, dtype=torch.float64, device=frames.device)
    odds = (density.log() + found.log_ratios).logsumexp(1)
    probability = torch.sigmoid(odds).float()
    probability[_weaker(spots, odds, _RIVALS_WIDTHS * appearance.sigma_px)] = 0.0
    usual = _usual(seen, spots, probability, population, len(frames))[spots.frame]
    dim = found.log_ratios.amax(1) < _BRIGHT**2 / 2
    weighed = {
        "x": torch.where(dim, found.x, spots.x),
        "y": torch.where(dim, found.y, spots.y),
        "x_error": torch.where(dim, with_doubt(found.x_error, probability), spots.x_error),
        "y_error": torch.where(dim, with_doubt(found.y_error, probability), spots.y_error),
        "probability": probability,
    }
    where = torch.nonzero(doubtful)[:, 0][usual]
    return Seen(
        frame=seen.frame,
        **{
            name: vars(seen)[name].index_copy(0, where, new[usual]) for name, new in weighed.items()
        },
    )


def _usual(
    seen: Seen, spots: Seen, by_photons: Tensor, population: Population, frames: int
) -> Tensor:
    """Return in which frames photons and network see as many as in those of the population.

    Where particles are dimmer or out of focus for a while, the photons would leave out most.
    """
    number = torch.zeros(frames, device=seen.x.device)
    by_network = number.index_add(0, seen.frame, seen.probability)
    change = number.index_add(0, spots.frame, by_photons - population.excess * spots.probability)
    fewer, more = ((share * by_network).clamp(min=_UNUSUAL_NUMBER) for share in (_FEWER, _MORE))
    return (change >= -fewer) & (change <= more)


def _weaker(spots: Seen, odds: Tensor, within_px: float) -> Tensor:
    """Return the numbers of spots that have a likelier one near them, which is kept."""
    pairs = spots.pairs(within_px)
    likelier = (odds[pairs[:, 1]] > odds[pairs[:, 0]])[:, None]
    pairs = torch.where(likelier, pairs.flip(1), pairs)
    weaker = torch.zeros(len(spots), dtype=torch.bool)
    for strong, weak in pairs[odds[pairs[:, 0]].argsort(descending=True)].tolist():
        if not weaker[strong]:
            weaker[weak] = True
    return torch.nonzero(weaker)[:, 0].to(odds.device)

"""Positions, errors and widths of spots from a fit to their photons."""

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.fitting import fit_spots, radius_px, reach_px
from cloudtrainer.detector.photon_fit.pairs import find_pairs
from cloudtrainer.detector.photon_fit.patches import Patches, neighbours
from cloudtrainer.detector.photon_fit.seen import Seen
from cloudtrainer.detector.photon_fit.solve import Solved


def refine(
    frames: Tensor,
    variance: Tensor,
    seen: Seen,
    appearance: Appearance,
) -> Seen:
    """Refine positions by a fit to the photons, and part pairs that were seen as one.

    A fit is taken where it is sharper than what was seen before and stays near it; else the spot
    is left as it was: shapes that are no Gaussian, and spots too dim for a fit.

    Parameters
    ----------
    frames, variance : Tensor
        Intensities with bright particles, (frames, height, width), and the variance of the noise
        of each frame's ground, counts², (frames,).
    seen : Seen
        The spots.
    appearance : Appearance
        What they have in common.

    Returns
    -------
    Seen
        The spots; the second ones of pairs at the end, with the probability of the first.
    """
    if len(seen) == 0:
        return seen
    guess = Patches.around(frames, variance, seen.frame, seen.x, seen.y, radius_px(appearance))
    spots = guess.first_guess(seen.frame, seen.x, seen.y)
    everything = torch.arange(len(seen), device=seen.x.device)
    fitted = fit_spots(frames, variance, spots, everything, appearance)
    if not appearance.tells_pairs:
        return seen.fitted(fitted)
    pairs = find_pairs(frames, variance, fitted, appearance)
    if len(pairs.of):
        seen = seen.parted(pairs)
        spots = fitted.spots.replaced(pairs.of, pairs.first).with_more(pairs.second)
        which, there = neighbours(spots, reach_px(appearance))
        new = torch.zeros(len(spots), dtype=torch.bool, device=spots.x.device)
        new[pairs.of] = True
        new[len(fitted.spots) :] = True
        again = torch.nonzero(new | (new[which] & there).any(1))[:, 0]
        anew = fit_spots(frames, variance, spots, again, appearance)
        kept = torch.nonzero(~_among(again, len(spots)))[:, 0]
        order = torch.argsort(torch.cat([kept, again]))
        fitted = Solved.joined([fitted.of(kept), anew]).of(order)
    return seen.fitted(fitted)


def _among(numbers: Tensor, of: int) -> Tensor:
    among = torch.zeros(of, dtype=torch.bool, device=numbers.device)
    among[numbers] = True
    return among

"""How many particles of each brightness a video holds, where its photons can tell."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import BRIGHTNESS, Appearance, Population
from cloudtrainer.detector.photon_fit.evidence import gather_evidence
from cloudtrainer.detector.photon_fit.ground import Ground
from cloudtrainer.detector.photon_fit.seen import LIKELY, Seen

# Widths tried, in those that the fits gave, and that of what is out of focus, in the one tried.
_WIDTHS = torch.logspace(math.log10(0.75), math.log10(1.45), 8).tolist()
_BLURRED = 2.0
_LEAST_SPOTS = 50
_PROBES_PX = 4
_ROUNDS = 100
# Particles alike in width leave little that a blurred one would explain better.
_MOST_BLURRED = 0.05
# The photons and the network must agree on how many particles there are, and nearly always on what
# either is sure of; else there is something that one of the two does not know of.
_ALIKE_IN_NUMBER = (0.7, 1.4)
_MOST_CONTRADICTIONS = 0.02
_SURE = 0.9


def with_population(
    appearance: Appearance, frames: Tensor, variance: Tensor, seen: Seen
) -> Appearance:
    """Return an appearance with how many particles there are of each brightness, if it can be told.

    The densities are the likeliest ones, by expectation and maximisation (Dempster et al. 1977,
    J. R. Stat. Soc. B 39:1) over all spots, sure and doubtful, each a particle, something blurred
    or nothing. The width is the one under which the pixels are likeliest.

    Parameters
    ----------
    appearance : Appearance
        What fits of the surest spots gave.
    frames, variance : Tensor
        Intensities with bright particles, (frames, height, width), and the variance of the noise of
        each frame's ground, counts², (frames,).
    seen : Seen
        All spots that may be particles.

    Returns
    -------
    Appearance
        The same one where spots are too few, no Gaussians or of several widths, or where network
        and photons differ: light that is no particle's, a ground with structure, too little light.
    """
    likely = seen.probability >= LIKELY
    if not appearance.gaussian or int(likely.sum()) < _LEAST_SPOTS:
        return appearance
    area_px2 = frames.numel() * _share_without_light(frames, seen.of(likely), appearance)
    if area_px2 == 0:
        return appearance
    ground = Ground.of(frames, seen.of(likely), appearance.sigma_px)
    spots = seen.of(seen.alone(appearance.sigma_px))
    growth = appearance.gain / float(variance.median().sqrt())
    anyhow = Population((1.0,) * len(BRIGHTNESS), growth)
    fits = []
    for width in _WIDTHS:
        tried = replace(appearance, sigma_px=appearance.sigma_px * width)
        sharp, blurred = (
            gather_evidence(frames, variance, ground, spots, tried, anyhow, widths=widths)
            for widths in (1.0, _BLURRED)
        )
        ratios = torch.cat([sharp.log_ratios, blurred.log_ratios], dim=1).double()
        density, likelihood = _likeliest(ratios, area_px2)
        fits.append((likelihood, tried, ratios, density))
    best = max(range(len(fits)), key=lambda number: fits[number][0])
    _, told, ratios, density = fits[best]
    kinds = len(BRIGHTNESS)
    particles, others = density[:kinds], density[kinds:]
    if best in (0, len(fits) - 1) or float(others.sum() / particles.sum()) > _MOST_BLURRED:
        return appearance
    by_photons = torch.sigmoid((particles.log() + ratios[:, :kinds]).logsumexp(1))
    if not _agree(by_photons, spots.probability, int(likely.sum())):
        return appearance
    return replace(told, population=Population(tuple(particles.tolist()), growth))


def _share_without_light(frames: Tensor, likely: Seen, appearance: Appearance) -> float:
    """Return the share of the frames on which no likely spot sheds light."""
    axes = [torch.arange(0, side, _PROBES_PX) for side in frames.shape[-2:]]
    number, y, x = (
        axis.flatten().to(frames.device)
        for axis in torch.meshgrid(torch.arange(len(frames)), *axes, indexing="ij")
    )
    nothing = torch.zeros_like(x, dtype=torch.float32)
    probes = Seen(number, x.float(), y.float(), nothing, nothing, nothing)
    return float((likely.shedding_light(probes, appearance.sigma_px) == 0).float().mean())


def _likeliest(log_ratios: Tensor, area_px2: float) -> tuple[Tensor, float]:
    """Return the density of each kind, particles a px², and the logarithm of its likelihood."""
    # Relative to the largest of each spot, or to that of nothing: no power overflows.
    most = log_ratios.amax(1).clamp(min=0)
    ratios, nothing = (log_ratios - most[:, None]).exp(), (-most).exp()
    density = torch.full_like(log_ratios[0], 1e-4)
    either = nothing
    for _ in range(_ROUNDS):
        either = nothing + ratios @ density
        density = density * ((1 / either) @ ratios) / area_px2 + 1e-12
    return density, float((either.log() + most).sum())


def _agree(by_photons: Tensor, by_network: Tensor, likely: int) -> bool:
    """Return whether photons and network see as many, and rarely what the other is sure is none."""
    low, high = _ALIKE_IN_NUMBER
    number = float(by_photons.sum() / by_network.sum())
    against = (by_photons > _SURE) & (by_network < 1 - _SURE)
    against |= (by_photons < 1 - _SURE) & (by_network > _SURE)
    return low < number < high and int(against.sum()) <= _MOST_CONTRADICTIONS * likely

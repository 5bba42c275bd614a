"""How many particles of each brightness a video holds, where its photons can tell."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import BRIGHTNESS, Appearance, Population
from cloudtrainer.detector.photon_fit.evidence import gather_evidence, noise_between_spots
from cloudtrainer.detector.photon_fit.ground import Ground
from cloudtrainer.detector.photon_fit.seen import LIKELY, Seen

# Widths tried, in those that the fits gave, and that of what is out of focus, in the one tried.
_WIDTHS = torch.logspace(math.log10(0.75), math.log10(1.45), 8).tolist()
_BLURRED = 2.0
_LEAST_SPOTS = 50
_ROUNDS = 100
# Places looked at for light that is no spot's, px apart, and how many of them.
_PROBES_PX, _MOST_PROBES, _LEAST_EMPTY = 4, 40_000, 200
# Noise at the scale of a particle, in that of neighbouring pixels.
_MOST_SHARED = 1.5
# Share of the particles that are as likely of any brightness.
_ANY = 0.03
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
    if not appearance.gaussian:
        return appearance
    in_sight = variance[seen.of(seen.probability >= LIKELY).frame]
    if len(in_sight) < _LEAST_SPOTS or not 0 < float(in_sight.median()) < math.inf:
        return appearance
    anyhow = Population((1.0,) * len(BRIGHTNESS), float(in_sight.median()))
    # Frames that were dropped, or are lit differently, say nothing of the others.
    alike = anyhow.alike(variance)
    seen = seen.of(alike[seen.frame])
    likely = seen.of(seen.probability >= LIKELY)
    ground = Ground.of(frames, likely, appearance.sigma_px)
    empty, share = _empty_places(frames.shape, alike, likely, appearance.sigma_px)
    if len(likely) < _LEAST_SPOTS or len(empty) < _LEAST_EMPTY:
        return appearance
    area_px2 = int(alike.sum()) * frames[0].numel() * share
    spots = seen.of(seen.alone(appearance.sigma_px))
    shared_noise = noise_between_spots(frames, variance, ground, empty, appearance)
    if shared_noise > _MOST_SHARED:
        return appearance
    anyhow = replace(anyhow, shared_noise=max(1.0, shared_noise))
    told = _likeliest_width(frames, variance, ground, spots, appearance, anyhow, area_px2)
    if told is None:
        return appearance
    measured, ratios, particles = told
    by_photons = torch.sigmoid((particles.log() + ratios).logsumexp(1))
    if not _agree(by_photons, spots.probability, len(likely)):
        return appearance
    # What was not seen in a few frames may be there in others.
    particles = (1 - _ANY) * particles + _ANY * particles.mean()
    return replace(
        measured,
        population=replace(
            anyhow,
            density_px2=tuple(particles.tolist()),
            excess=float(by_photons.sum() / spots.probability.sum()),
        ),
    )


def _likeliest_width(
    frames: Tensor,
    variance: Tensor,
    ground: Ground,
    spots: Seen,
    appearance: Appearance,
    anyhow: Population,
    area_px2: float,
) -> tuple[Appearance, Tensor, Tensor] | None:
    """Return the appearance under which the pixels are likeliest; None where no width tried is.

    Also the logarithms of the likelihood ratios under it, (spots, brightnesses), and the density of
    each brightness, particles a px².
    """
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
        return None
    return told, ratios[:, :kinds], particles


def _empty_places(
    size: torch.Size, alike: Tensor, likely: Seen, sigma_px: float
) -> tuple[Seen, float]:
    """Return places of a grid on which no likely spot sheds light, and their share of the grid."""
    step = max(_PROBES_PX, math.ceil(math.sqrt(math.prod(size) / _MOST_PROBES)))
    device = alike.device
    axes = [torch.arange(0, side, step, device=device) for side in size[-2:]]
    number, y, x = (
        axis.flatten() for axis in torch.meshgrid(torch.nonzero(alike)[:, 0], *axes, indexing="ij")
    )
    nothing = torch.zeros_like(x, dtype=torch.float32)
    grid = Seen(number, x.float(), y.float(), nothing, nothing, nothing)
    empty = likely.shedding_light(grid, sigma_px) == 0
    return grid.of(empty), float(empty.float().mean())


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
    likelihood = (either.log() + most).sum() - area_px2 * density.sum()
    return density, float(likelihood)


def _agree(by_photons: Tensor, by_network: Tensor, likely: int) -> bool:
    """Return whether photons and network see as many, and rarely what the other is sure is none."""
    low, high = _ALIKE_IN_NUMBER
    number = float(by_photons.sum() / by_network.sum())
    against = (by_photons > _SURE) & (by_network < 1 - _SURE)
    against |= (by_photons < 1 - _SURE) & (by_network > _SURE)
    return low < number < high and int(against.sum()) <= _MOST_CONTRADICTIONS * likely

"""How much likelier pixels are with a particle among them than without."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import (
    BRIGHTNESS,
    LEAST_VARIANCE,
    Appearance,
    Population,
)
from cloudtrainer.detector.photon_fit.fitting import radius_px
from cloudtrainer.detector.photon_fit.ground import Ground
from cloudtrainer.detector.photon_fit.patches import Patches
from cloudtrainer.detector.photon_fit.seen import Seen

# A particle is looked for within so many widths of where it was seen, in steps of so many.
_REACH, _STEP = 1.0, 1 / 3
# Light changes the variance of the ground by at least this share of it a noise standard deviation.
_LEAST_GROWTH = 1e-3
# Share of a normal distribution that lies below its mean less its standard deviation.
_ONE_BELOW = 0.1587
# Likelihood ratios held in memory at once are those of so many spots: 3 MB.
_SPOTS_AT_ONCE = 512


@dataclass(frozen=True)
class Evidence:
    """What the pixels around some spots say of a particle there.

    Attributes
    ----------
    log_ratios : Tensor
        Logarithm of the likelihood ratio of a particle of each brightness to none, integrated over
        the places in reach, px², (spots, brightnesses).
    x, y, x_error, y_error : Tensor
        Where a particle would be and how sure that is, px, (spots,).
    """

    log_ratios: Tensor
    x: Tensor
    y: Tensor
    x_error: Tensor
    y_error: Tensor


def gather_evidence(
    frames: Tensor,
    variance: Tensor,
    ground: Ground,
    seen: Seen,
    appearance: Appearance,
    population: Population,
    *,
    widths: float = 1.0,
) -> Evidence:
    """Compare the pixels around each spot with a particle of each brightness, and with none.

    Pixels are Poisson numbers of photons, shifted by the noise that the camera adds without light
    (Snyder et al. 1995, J. Opt. Soc. Am. A 12:272). On a ground of variance v, where a light s adds
    ``g s`` to it, the logarithm of the likelihood ratio of a pixel r above the ground is
    ``(v / g² + r / g) log(1 + g s / v) - s / g``.

    Parameters
    ----------
    frames, variance : Tensor
        Intensities with bright particles, (frames, height, width), and the variance of the noise of
        each frame's ground, counts², (frames,).
    ground : Ground
        The mean of the frames without particles.
    seen : Seen
        The spots.
    appearance : Appearance
        What the particles have in common.
    population : Population
        How many there are of each brightness; only the place depends on it.
    widths : float
        Width of the particle looked for, in typical ones.
    """
    sigma = appearance.sigma_px
    last = math.ceil(_REACH / _STEP + 0.5 / (_STEP * sigma))
    steps = torch.arange(-last, last + 1, device=frames.device) * (_STEP * sigma)
    down, across = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing="ij"))
    radius = radius_px(appearance)
    pixels = torch.arange(-radius, radius + 1, device=frames.device)
    growth = appearance.gain / (population.shared_noise * math.sqrt(population.variance))
    counts_for, costs = _filters(widths * sigma, growth, pixels, steps)
    share = torch.tensor(population.density_px2, device=frames.device)
    parts = []
    for some in torch.split(torch.arange(len(seen), device=frames.device), _SPOTS_AT_ONCE):
        spots = seen.of(some)
        patches, above = _above_ground(frames, variance, ground, spots, appearance)
        above /= population.shared_noise
        log_ratio = above @ counts_for - patches.reached @ costs
        cut = torch.nonzero((patches.inside != patches.reached).any(1))[:, 0]
        log_ratio[cut] += (patches.reached - patches.inside[cut]) @ costs
        log_ratio = log_ratio.reshape(len(spots), len(BRIGHTNESS), len(across))
        x, y = patches.column[:, None] + across, patches.row[:, None] + down
        away = torch.hypot(x - spots.x[:, None], y - spots.y[:, None])
        reached = (away <= _REACH * sigma).float()
        log_ratio += reached.log()[:, None]
        most = log_ratio.amax((1, 2))
        ratio = log_ratio.sub_(most[:, None, None]).exp_()
        likely = share @ ratio
        likely /= likely.sum(1, keepdim=True)
        mean_x, mean_y = (likely * x).sum(1), (likely * y).sum(1)
        parts.append(
            Evidence(
                most[:, None] + ratio.sum(2).log() + 2 * math.log(_STEP * sigma),
                mean_x,
                mean_y,
                (likely * (x - mean_x[:, None]) ** 2).sum(1).sqrt(),
                (likely * (y - mean_y[:, None]) ** 2).sum(1).sqrt(),
            )
        )
    names = vars(parts[0])
    return Evidence(**{name: torch.cat([vars(part)[name] for part in parts]) for name in names})


def noise_between_spots(
    frames: Tensor, variance: Tensor, ground: Ground, empty: Seen, appearance: Appearance
) -> float:
    """Return the standard deviation of the noise at the scale of a particle, without particles.

    It is that of a matched filter at places without a spot, in units of what noise that each pixel
    has for itself would give; told from the lower half, which dim particles do not reach.
    """
    seen = []
    for some in torch.split(torch.arange(len(empty), device=frames.device), 8 * _SPOTS_AT_ONCE):
        patches, above = _above_ground(frames, variance, ground, empty.of(some), appearance)
        line = torch.exp(-0.5 * (patches.steps / appearance.sigma_px) ** 2)
        shape = (line[:, None] * line).flatten()
        squared = patches.inside @ shape**2
        seen.append(above @ shape / squared.sqrt())
    low, middle = torch.cat(seen).quantile(torch.tensor([_ONE_BELOW, 0.5], device=frames.device))
    return float(middle - low)


def _above_ground(
    frames: Tensor, variance: Tensor, ground: Ground, spots: Seen, appearance: Appearance
) -> tuple[Patches, Tensor]:
    """Return patches, and their pixels above the ground in units of its noise."""
    radius = radius_px(appearance)
    patches = Patches.around(frames, variance, spots.frame, spots.x, spots.y, radius)
    under = ground.at(spots.frame, spots.x, spots.y)
    # The more light there is in a ground, the more noise.
    more = under - ground.typical[spots.frame]
    noise = appearance.variance_of_ground(patches.variance, more).sqrt()
    return patches, patches.inside * (patches.counts - under[:, None]) / noise[:, None]


def _filters(sigma: float, growth: float, pixels: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a pixel counts for and what it costs, (pixels, brightnesses x places).

    Everything is in units of the noise; ``growth`` is the variance that a unit of light adds.
    """
    growth = math.copysign(max(abs(growth), _LEAST_GROWTH), growth)
    line = torch.exp(-0.5 * ((pixels[:, None] - steps).double() / sigma) ** 2)
    shape = torch.einsum("ij,kl->ikjl", line, line).reshape(len(pixels) ** 2, 1, -1)
    # A matched filter's signal-to-noise ratio of a spot is the root of pi times width times peak.
    peak = BRIGHTNESS.to(pixels.device)[:, None] / (math.sqrt(math.pi) * sigma)
    light = peak * shape
    if growth < 0:
        light = light.clamp(max=(LEAST_VARIANCE - 1) / growth)
    counts_for = (growth * light).log1p() / growth
    costs = (light - counts_for) / growth
    return counts_for.flatten(1).float(), costs.flatten(1).float()

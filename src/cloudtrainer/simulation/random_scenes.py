"""Random training scenes: images whose every property is drawn anew, and their exact positions."""

import torch
from torch import Tensor

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation.camera import photon_noise, read_noise, uneven_background
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.moving import repeat_at_ends
from cloudtrainer.simulation.particles import draw_particles
from cloudtrainer.simulation.scenes import Scenes

# Of scenes with hot pixels: those where each is hot in one frame only, as cosmic rays leave them.
_BRIEF_SPECKS = 0.25


def draw_scenes(
    settings: SceneSettings,
    images: int,
    size_px: int,
    generator: torch.Generator,
    context_frames: int = 0,
) -> Scenes:
    """Draw scenes of random size, brightness, rings, density, background and noise.

    Parameters
    ----------
    settings : SceneSettings
        The limits between which each scene draws its own values.
    images : int
        Number of scenes.
    size_px : int
        Side of a scene in pixels.
    generator : torch.Generator
        Source of every random number; its device is the device of the scenes.
    context_frames : int
        Frames before and after each image. Particles move between them, each scene's alike fast;
        background and hot pixels stay; the noise is new in each frame.

    Returns
    -------
    Scenes
        Images and truth. Particles up to the reach of their light outside the image are drawn as
        well, so that borders look as they do in a video; only those inside are ``present``.
    """
    draw = Draw(generator)
    sigma = draw.log_between(settings.spot_sigma_px.low, settings.spot_sigma_px.high, (images, 1))
    background = draw.log_between(
        settings.background_photons.low, settings.background_photons.high, (images, 1)
    )
    particles = draw_particles(settings, draw, sigma, background, 1.0, size_px, context_frames)

    height = _unevenness(settings, draw, particles.spots.peak.amax(dim=1), background[:, 0])
    uneven = uneven_background(images, size_px, size_px, generator)
    ground = background[:, :, None] + height[:, None, None] * uneven
    counts = photon_noise((particles.frames + ground[:, None]).clamp(min=0.01), generator)
    counts = read_noise(counts, draw.between(0.0, 3.0, (images, 1, 1, 1)), generator)
    counts = add_specks(counts, settings, draw, background[:, :, None, None])
    counts = compress(counts, settings, draw)
    if context_frames:
        counts = repeat_at_ends(counts, draw)
    return particles.scenes(counts)


def _unevenness(
    settings: SceneSettings, draw: Draw, brightest: Tensor, background: Tensor
) -> Tensor:
    """Draw the height of each scene's uneven background: up to a share of its brightest particle.

    In half of the scenes it also stands out of the noise, however dim the particles, so that
    structure without particles is known.
    """
    share = settings.background_structure * draw.uniform(brightest.shape) ** 2
    if settings.background_structure == 0:
        return share
    ratio = draw.log_between(0.3, settings.background_structure_snr, brightest.shape)
    seen = draw.chance(0.5, brightest.shape) * ratio * background.sqrt()
    return torch.maximum(share * brightest.clamp(min=1.0), seen)


def add_specks(counts: Tensor, settings: SceneSettings, draw: Draw, ground: Tensor) -> Tensor:
    """Add hot pixels to some scenes, (images, frames, height, width): they stay, or are brief."""
    images, frames, *sides = counts.shape
    marked = draw.chance(settings.speck_share, (images, 1, 1, 1))
    hot = draw.chance(0.002, (images, 1, *sides)) & marked
    height = draw.between(3.0, 30.0, hot.shape) * torch.sqrt(ground)
    if frames > 1:
        brief = draw.chance(_BRIEF_SPECKS, (images, 1, 1, 1))
        when = (frames * draw.uniform(hot.shape)).long()
        now = when == torch.arange(frames, device=when.device)[:, None, None]
        hot = hot & (now | ~brief)
    return counts + hot * height


def compress(counts: Tensor, settings: SceneSettings, draw: Draw) -> Tensor:
    """Smooth a share of the scenes and round them to the 256 steps of a movie or a JPEG.

    ``counts`` are (images, frames, height, width); all frames of a scene have the same steps.
    """
    chosen = draw.chance(settings.compressed_share, (len(counts),))
    if not bool(chosen.any()):
        return counts
    some = counts[chosen].transpose(0, 1)
    width = draw.between(0.3, 0.9, (some.shape[1], 1))
    offsets = torch.arange(-2, 3, device=counts.device)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    smooth = torch.nn.functional.pad(some, (2, 2, 2, 2), mode="reflect")
    smooth = torch.nn.functional.conv2d(smooth, kernel[:, None, :, None], groups=some.shape[1])
    smooth = torch.nn.functional.conv2d(smooth, kernel[:, None, None, :], groups=some.shape[1])
    low = smooth.amin(dim=(0, 2, 3), keepdim=True)
    high = smooth.amax(dim=(0, 2, 3), keepdim=True)
    steps = draw.log_between(40.0, 255.0, (some.shape[1], 1, 1))
    rounded = torch.round((smooth - low) / (high - low).clamp(min=1e-6) * steps)
    result = counts.clone()
    result[chosen] = rounded.transpose(0, 1)
    return result

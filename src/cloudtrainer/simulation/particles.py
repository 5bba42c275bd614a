"""Particles of training scenes: their number, size, shape, rings and brightness, and clutter."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.exposure import draw_smear, smeared
from cloudtrainer.simulation.moving import draw_motion, in_frames
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.simulation.spots import Spots, render_spots

# A network does not see a ring's far side from farther than this.
_WIDEST_RING_PX = 14.0
_MOST_CLUTTER = 40
# Of clutter that is seen in several frames: dirt on the glass or the optics.
_STILL_CLUTTER = 0.3


@dataclass(frozen=True)
class Particles:
    """Light of a batch of scenes without ground and noise, (images, height, width), and its truth.

    ``present`` are the places of ``spots`` that hold a particle whose centre is inside the image.
    ``film`` is the light before and after as well, (images, 2 k + 1, height, width); None where the
    images stand alone.
    """

    light: Tensor
    spots: Spots
    present: Tensor
    film: Tensor | None = None

    @property
    def frames(self) -> Tensor:
        """Light of each image with its neighbours, (images, 2 k + 1, height, width)."""
        return self.light[:, None] if self.film is None else self.film

    def scenes(self, counts: Tensor) -> Scenes:
        """Return the scenes whose images, each the whole of its video, are ``counts``.

        ``counts`` are of the shape of ``light`` or of ``frames``.
        """
        frames = counts[:, None] if counts.ndim == 3 else counts
        return Scenes.of_frames(frames, self.spots.x, self.spots.y, self.present)


def draw_particles(
    settings: SceneSettings,
    draw: Draw,
    sigma: Tensor,
    variance: Tensor,
    gain: float,
    size_px: int,
    context_frames: int = 0,
) -> Particles:
    """Draw each scene's particles and clutter, with brightness relative to the noise.

    Parameters
    ----------
    settings : SceneSettings
        The limits between which each scene draws its own values.
    draw : Draw
        Source of every random number.
    sigma, variance : Tensor
        Typical width of each scene's particles, px, and variance of the noise of its ground, in
        the square of the unit of the light, (images, 1).
    gain : float
        What a unit of light adds to the variance: 1 where light is counted in photons, 0 where
        the noise does not depend on it, negative where it weakens the noise.
    size_px : int
        Side of a scene in pixels.
    context_frames : int
        Frames before and after each image.
    """
    reach = math.ceil(5 * settings.spot_sigma_px.high)
    cluttered = draw.chance(settings.clutter_share, sigma.shape)
    spots, present = _draw_spots(settings, draw, sigma, variance, gain, cluttered, size_px, reach)
    clutter = _draw_clutter(settings, draw, sigma, cluttered, spots, size_px, reach)
    inside = (spots.x > -0.5) & (spots.x < size_px - 0.5) & (spots.y > -0.5)
    inside &= spots.y < size_px - 0.5
    smear = draw_smear(draw, settings.smeared_share, len(sigma))
    if context_frames == 0:
        light = render_spots(smeared(spots, smear, draw), size_px, size_px)
        light += render_spots(clutter, size_px, size_px)
        return Particles(light, spots, present & inside)
    motion = draw_motion(draw, len(sigma))
    moved, seen = in_frames(spots, motion, context_frames, draw)
    still = draw.chance(_STILL_CLUTTER, clutter.x.shape)
    dirt, _ = in_frames(clutter, motion, context_frames, draw, still)
    each = smear.repeat_interleave(2 * context_frames + 1, dim=0)
    film = render_spots(smeared(moved, each, draw), size_px, size_px)
    film = (film + render_spots(dirt, size_px, size_px)).view(
        len(sigma), 2 * context_frames + 1, size_px, size_px
    )
    return Particles(film[:, context_frames], spots, present & inside & seen, film)


def _draw_spots(
    settings: SceneSettings,
    draw: Draw,
    sigma: Tensor,
    variance: Tensor,
    gain: float,
    cluttered: Tensor,
    size_px: int,
    reach: int,
) -> tuple[Spots, Tensor]:
    """Draw the particles of each scene: alike in size, shape and brightness, but not the same.

    Where others are out of focus, those in focus are more alike in brightness.
    """
    images = len(sigma)
    present = draw_presence(settings, draw, sigma, (size_px + 2 * reach) ** 2)
    shape = present.shape
    spread = draw.between(0.0, 0.15, (images, 1))
    own_sigma = sigma * torch.exp(spread * (2 * draw.uniform(shape) - 1))
    disc = draw.chance(0.3, (images, 1))
    ring_height = _draw_rings(settings, draw, shape)
    # The peak with the drawn ratio to the noise at it: snr = peak / sqrt(variance + gain * peak).
    snr = draw_snr(settings, draw, torch.where(cluttered, 0.2, 0.7), shape)
    peak = (gain * snr**2 + torch.sqrt(gain**2 * snr**4 + 4 * snr**2 * variance)) / 2
    spots = Spots(
        x=draw.between(-reach - 0.5, size_px + reach - 0.5, shape),
        y=draw.between(-reach - 0.5, size_px + reach - 0.5, shape),
        # Where the ring is brighter than the core, the drawn peak is the ring's.
        peak=present * peak / ring_height.clamp(min=1.0),
        sigma=own_sigma,
        flatness=torch.where(disc, draw.between(2.0, 6.0, (images, 1)), 2.0).expand(shape),
        ring_height=ring_height,
        ring_radius=(own_sigma * draw.log_between(1.8, 5.0, shape)).clamp(max=_WIDEST_RING_PX),
        ring_width=own_sigma * draw.between(0.3, 0.7, shape),
        stretch=torch.exp(draw.between(-0.08, 0.08, (images, 1))).expand(shape),
    )
    return spots, present


def draw_presence(settings: SceneSettings, draw: Draw, sigma: Tensor, field_px2: int) -> Tensor:
    """Draw how many particles a scene has; they cover at most about a fifth of the field."""
    crowded = 1000 * 0.2 / (math.pi * (1.5 * sigma) ** 2)
    wanted = draw.log_between(
        settings.density_per_1000_px2.low, settings.density_per_1000_px2.high, sigma.shape
    )
    expected = torch.minimum(wanted, crowded) * field_px2 / 1000
    number = torch.poisson(expected, generator=draw.generator)
    return torch.arange(max(int(number.max()), 1), device=number.device) < number


def _draw_rings(settings: SceneSettings, draw: Draw, shape: torch.Size) -> Tensor:
    """Draw heights of rings over the core: dark halos, faint rings, and rings without a core."""
    images = shape[0]
    ringed = draw.chance(settings.ring_share, (images, 1))
    halo = draw.chance(0.4, (images, 1))
    # Some scenes are mixed: part of the particles are in focus and show no ring.
    blurred = draw.chance(0.7, shape)
    height = torch.where(halo, -draw.between(0.05, 0.6, shape), draw.log_between(0.05, 5.0, shape))
    return torch.where(ringed & blurred, height, 0.0)


def _draw_clutter(
    settings: SceneSettings,
    draw: Draw,
    sigma: Tensor,
    cluttered: Tensor,
    particles: Spots,
    size_px: int,
    reach: int,
) -> Spots:
    """Draw particles that are out of focus and not wanted: blurred, dim, some as wide rings.

    Out of focus a particle sends the same light to a larger spot, so its peak falls with the
    square of its width.
    """
    images = len(sigma)
    wanted = (particles.peak > 0).sum(1, keepdim=True)
    typical = particles.peak.sum(1, keepdim=True) / wanted.clamp(min=1)
    number = torch.poisson(
        draw.log_between(0.2, 3.0, (images, 1)) * wanted, generator=draw.generator
    ).clamp(max=_MOST_CLUTTER)
    most = max(int(number.max()), 1)
    shape = (images, most)
    present = cluttered & (torch.arange(most, device=sigma.device) < number)
    wider = draw.log_between(1.15, 3.0, shape)
    light = draw.log_between(0.1, 1.2, shape)
    wide_ring = draw.chance(0.15, shape)
    ones = torch.ones(shape, device=sigma.device)
    return Spots(
        x=draw.between(-reach - 0.5, size_px + reach - 0.5, shape),
        y=draw.between(-reach - 0.5, size_px + reach - 0.5, shape),
        peak=present * typical * torch.where(wide_ring, 0.05 * light, light / wider**2),
        sigma=torch.where(wide_ring, ones, sigma * wider),
        flatness=2 * ones,
        ring_height=torch.where(wide_ring, 4.0, 0.0),
        ring_radius=draw.between(8.0, 28.0, shape),
        ring_width=draw.between(0.8, 2.5, shape),
        stretch=ones,
    )


def draw_snr(settings: SceneSettings, draw: Draw, widest: Tensor, shape: torch.Size) -> Tensor:
    """Draw each particle's ratio around its scene's, by a factor of up to exp(``widest``)."""
    images = shape[0]
    low, high = settings.peak_snr.low, settings.peak_snr.high
    scene = draw.log_between(low, high, (images, 1))
    spread = torch.exp(widest * draw.uniform((images, 1)) * (2 * draw.uniform(shape) - 1))
    return (scene * spread).clamp(low, high)

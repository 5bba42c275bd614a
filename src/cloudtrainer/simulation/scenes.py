"""Random training scenes: images whose every property is drawn anew, and their exact positions."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation.camera import photon_noise, read_noise, uneven_background
from cloudtrainer.simulation.spots import Spots, render_spots

# A network does not see a ring's far side from farther than this.
_WIDEST_RING_PX = 14.0
_MOST_CLUTTER = 40


@dataclass(frozen=True)
class Scenes:
    """A batch of simulated images and the truth about them.

    Attributes
    ----------
    images : Tensor
        Camera counts, float32, (images, height, width); particles are brighter than the ground.
    x, y : Tensor
        Positions in pixels, (images, particles).
    present : Tensor
        Which places of ``x`` and ``y`` hold a particle, bool, (images, particles).
    brightest : Tensor
        Largest intensity of the video that an image is from, (images,); of a simulated image its
        own. Models of versions 2.0 and 3.0 divide by it.
    """

    images: Tensor
    x: Tensor
    y: Tensor
    present: Tensor
    brightest: Tensor

    def to(self, device: torch.device) -> "Scenes":
        """Return the batch on a device."""
        return Scenes(**{name: values.to(device) for name, values in vars(self).items()})


def draw_scenes(
    settings: SceneSettings,
    images: int,
    size_px: int,
    generator: torch.Generator,
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
    particles = draw_particles(settings, draw, sigma, background, 1.0, size_px)

    brightest = particles.spots.peak.amax(dim=1).clamp(min=1.0)
    share = settings.background_structure * draw.uniform((images,)) ** 2
    ground = background[:, :, None] + (share * brightest)[:, None, None] * uneven_background(
        images, size_px, size_px, generator
    )
    counts = photon_noise((particles.light + ground).clamp(min=0.01), generator)
    counts = read_noise(counts, draw.between(0.0, 3.0, (images, 1, 1)), generator)
    counts = _specks(counts, settings, draw, background[:, :, None])
    return particles.scenes(_compressed(counts, settings, draw))


@dataclass(frozen=True)
class Particles:
    """Light of a batch of scenes without ground and noise, (images, height, width), and its truth.

    ``present`` are the places of ``spots`` that hold a particle whose centre is inside the image.
    """

    light: Tensor
    spots: Spots
    present: Tensor

    def scenes(self, counts: Tensor) -> Scenes:
        """Return the scenes whose images, each the whole of its video, are ``counts``."""
        return Scenes(counts, self.spots.x, self.spots.y, self.present, counts.amax(dim=(1, 2)))


def draw_particles(
    settings: SceneSettings,
    draw: "Draw",
    sigma: Tensor,
    variance: Tensor,
    gain: float,
    size_px: int,
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
    """
    reach = math.ceil(5 * settings.spot_sigma_px.high)
    cluttered = draw.chance(settings.clutter_share, sigma.shape)
    spots, present = _draw_spots(settings, draw, sigma, variance, gain, cluttered, size_px, reach)
    clutter = _draw_clutter(settings, draw, sigma, cluttered, spots, size_px, reach)
    light = render_spots(spots, size_px, size_px) + render_spots(clutter, size_px, size_px)
    inside = (spots.x > -0.5) & (spots.x < size_px - 0.5) & (spots.y > -0.5)
    inside &= spots.y < size_px - 0.5
    return Particles(light, spots, present & inside)


class Draw:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def between(self, low: float, high: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return low + (high - low) * self.uniform(shape)

    def log_between(self, low: float, high: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        low = max(low, 1e-6)
        return low * (max(high, low) / low) ** self.uniform(shape)

    def chance(self, share: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return self.uniform(shape) < share


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
    present = _draw_presence(settings, draw, sigma, (size_px + 2 * reach) ** 2)
    shape = present.shape
    spread = draw.between(0.0, 0.15, (images, 1))
    own_sigma = sigma * torch.exp(spread * (2 * draw.uniform(shape) - 1))
    disc = draw.chance(0.3, (images, 1))
    ring_height = _draw_rings(settings, draw, shape)
    # The peak with the drawn ratio to the noise at it: snr = peak / sqrt(variance + gain * peak).
    snr = _draw_snr(settings, draw, torch.where(cluttered, 0.2, 0.7), shape)
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


def _draw_presence(settings: SceneSettings, draw: Draw, sigma: Tensor, field_px2: int) -> Tensor:
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


def _draw_snr(settings: SceneSettings, draw: Draw, widest: Tensor, shape: torch.Size) -> Tensor:
    """Draw each particle's ratio around its scene's, by a factor of up to exp(``widest``)."""
    images = shape[0]
    low, high = settings.peak_snr.low, settings.peak_snr.high
    scene = draw.log_between(low, high, (images, 1))
    spread = torch.exp(widest * draw.uniform((images, 1)) * (2 * draw.uniform(shape) - 1))
    return (scene * spread).clamp(low, high)


def _specks(counts: Tensor, settings: SceneSettings, draw: Draw, ground: Tensor) -> Tensor:
    marked = draw.chance(settings.speck_share, (len(counts), 1, 1))
    hot = draw.chance(0.002, counts.shape) & marked
    height = draw.between(3.0, 30.0, counts.shape) * torch.sqrt(ground)
    return counts + hot * height


def _compressed(counts: Tensor, settings: SceneSettings, draw: Draw) -> Tensor:
    """Smooth a share of the images and round them to the 256 steps of a movie or a JPEG."""
    chosen = draw.chance(settings.compressed_share, (len(counts),))
    if not bool(chosen.any()):
        return counts
    some = counts[chosen]
    width = draw.between(0.3, 0.9, (len(some), 1))
    offsets = torch.arange(-2, 3, device=counts.device)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    smooth = torch.nn.functional.pad(some[None], (2, 2, 2, 2), mode="reflect")
    smooth = torch.nn.functional.conv2d(smooth, kernel[:, None, :, None], groups=len(some))
    smooth = torch.nn.functional.conv2d(smooth, kernel[:, None, None, :], groups=len(some))[0]
    low = smooth.amin(dim=(1, 2), keepdim=True)
    high = smooth.amax(dim=(1, 2), keepdim=True)
    steps = draw.log_between(40.0, 255.0, (len(some), 1, 1))
    rounded = torch.round((smooth - low) / (high - low).clamp(min=1e-6) * steps)
    result = counts.clone()
    result[chosen] = rounded
    return result

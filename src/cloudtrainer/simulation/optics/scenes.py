"""Training scenes of spheres seen through a microscope, and the scenes that settings ask for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.config import CameraSettings, Config, OpticsSettings, SceneSettings
from cloudtrainer.simulation.camera import Camera, uneven_background
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.moving import draw_motion, in_frames, repeat_at_ends
from cloudtrainer.simulation.optics.microscope import Microscope, Placed, microscope_for
from cloudtrainer.simulation.particles import draw_presence, draw_snr
from cloudtrainer.simulation.random_scenes import add_specks, compress, draw_scenes
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.simulation.spots import gaussian_spots

# Of the faint rings of coherent light around a scene, what is left out.
_WIDEST_MARGIN_PX = 48
# Particles of a scene are alike, but not the same.
_WIDEST_SPREAD = 0.7
_WIDEST_FIELD_SPREAD = 0.15
# Below this ratio of its peak to the noise, a particle out of focus is not to be found.
_LEAST_SNR = 1.0
# A lamp is set so that the camera does not saturate.
_FILLED_WELL = 0.8


def draw_simulated_scenes(
    config: Config,
    images: int,
    size_px: int,
    generator: torch.Generator,
    context_frames: int = 0,
) -> Scenes:
    """Draw the scenes that the settings ask for: Gaussian spots, or spheres in a microscope.

    Parameters
    ----------
    config : Config
        The settings; ``scenes``, ``optics`` and ``camera`` are read.
    images, size_px, generator, context_frames
        As of `draw_optical_scenes`.

    Raises
    ------
    ConfigError
        The settings ask for a microscope, and DeepTrack2 is not installed.
    """
    if config.optics.kind == "gaussian":
        return draw_scenes(config.scenes, images, size_px, generator, context_frames)
    return draw_optical_scenes(
        config.scenes, config.optics, config.camera, images, size_px, generator, context_frames
    )


def draw_optical_scenes(
    settings: SceneSettings,
    optics: OpticsSettings,
    camera: CameraSettings,
    images: int,
    size_px: int,
    generator: torch.Generator,
    context_frames: int = 0,
) -> Scenes:
    """Draw scenes of spheres at random positions and heights, seen through a microscope.

    Fluorescence and darkfield: the drawn ratio of peak to noise is that of a particle where it is
    sharpest, and its light stays the same at other heights. Brightfield: contrast is the
    microscope's and the spheres', so the lamp is set to give the drawn ratio at the height of the
    strongest contrast (as far as the camera's full well lets it), and ``background_photons`` is not
    read. Sizes, rings and clutter follow from the optics: their settings are not read, either. A
    particle whose peak at its own height is below the noise there (or, where that is less, below
    the lowest ``peak_snr``) is drawn, but not ``present``.

    Scenes hold particles that are brighter than the ground. In brightfield the middle of a sphere
    is dark at some heights and bright at others: a scene whose spheres are darker than the lamp at
    their middles, on average, is turned over, its largest count becoming 0. Those that then are
    dark are to be found all the same.

    Parameters
    ----------
    settings : SceneSettings
        The limits between which each scene draws its own values.
    optics : OpticsSettings
        The microscope, of another kind than gaussian, and the spheres.
    camera : CameraSettings
        The camera; each scene draws read noise and fixed pattern between none and the camera's.
    images : int
        Number of scenes.
    size_px : int
        Side of a scene in pixels.
    generator : torch.Generator
        Source of every random number; its device is the device of the scenes.
    context_frames : int
        Frames before and after each image: particles move between them and keep their height.

    Returns
    -------
    Scenes
        Images and truth. Particles outside the image whose light reaches into it are drawn as well.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed.
    """
    draw = Draw(generator)
    view = microscope_for(optics, generator.device)
    margin = min(view.reach_px, _WIDEST_MARGIN_PX)
    width = torch.full((images, 1), view.width_px, device=generator.device)
    places = draw_presence(settings, draw, width, (size_px + 2 * margin) ** 2)
    height = draw.between(optics.defocus_um.low, optics.defocus_um.high, places.shape)
    if optics.kind == "brightfield":
        brightness = _before_a_lamp(settings, camera.full_well, view, draw, height)
    else:
        brightness = _of_their_own(settings, view, draw, height)
    placed = Placed(
        x=draw.between(-margin - 0.5, size_px + margin - 0.5, places.shape),
        y=draw.between(-margin - 0.5, size_px + margin - 0.5, places.shape),
        height_um=height,
        strength=places * brightness.strength,
    )
    moved, seen = _in_frames(placed, context_frames, draw)
    light = view.light(moved, size_px, size_px, margin)
    light = light.view(images, 2 * context_frames + 1, size_px, size_px)

    share = settings.background_structure * draw.uniform((images, 1, 1, 1)) ** 2
    uneven = uneven_background(images, size_px, size_px, generator)[:, None]
    ground = brightness.ground[..., None, None] + share * brightness.peak[..., None, None] * uneven
    expected = ground * light if optics.kind == "brightfield" else ground + light
    counts = _film(expected, camera, draw)
    variance = camera.gain**2 * brightness.ground[..., None, None]
    counts = compress(add_specks(counts, settings, draw, variance), settings, draw)
    if context_frames:
        counts = repeat_at_ends(counts, draw)

    inside = (placed.x > -0.5) & (placed.x < size_px - 0.5)
    inside &= (placed.y > -0.5) & (placed.y < size_px - 0.5)
    present = places & seen & inside & (brightness.snr >= min(_LEAST_SNR, settings.peak_snr.low))
    if optics.kind == "brightfield":
        dark = _are_dark(light[:, context_frames], placed, present)
        highest = counts.amax(dim=(1, 2, 3), keepdim=True)
        counts = torch.where(dark[:, None, None, None], highest - counts, counts)
    return Scenes.of_frames(counts, placed.x, placed.y, present)


@dataclass(frozen=True)
class _Brightness:
    """How bright the particles of scenes are.

    Attributes
    ----------
    strength, snr : Tensor
        What their light or field is multiplied by, and the peak over the noise there at their own
        heights, (images, particles).
    ground, peak : Tensor
        Photons of the ground, and of the brightest particle where it is sharpest, (images, 1).
    """

    strength: Tensor
    snr: Tensor
    ground: Tensor
    peak: Tensor


def _of_their_own(
    settings: SceneSettings, view: Microscope, draw: Draw, height: Tensor
) -> _Brightness:
    """Draw the brightness of particles that shine over a ground that shines, too."""
    low, high = settings.background_photons.low, settings.background_photons.high
    ground = draw.log_between(low, high, (len(height), 1))
    widest = torch.full_like(ground, _WIDEST_SPREAD)
    snr = draw_snr(settings, draw, widest, height.shape)
    # The peak with the drawn ratio to the noise at it: snr = peak / sqrt(ground + peak).
    peak = (snr**2 + torch.sqrt(snr**4 + 4 * snr**2 * ground)) / 2
    own = peak * view.peak_at(height) / view.peaks.max()
    photons = peak / view.peaks.max()
    return _Brightness(
        strength=photons.sqrt() if view.coherent else photons,
        snr=own / torch.sqrt(ground + own),
        ground=ground,
        peak=peak.amax(dim=1, keepdim=True),
    )


def _before_a_lamp(
    settings: SceneSettings, full_well: float, view: Microscope, draw: Draw, height: Tensor
) -> _Brightness:
    """Draw the light of the lamp that particles are seen before; their contrast is given."""
    images = len(height)
    strongest = float(view.peaks[view.peaks.abs().argmax()])
    snr = draw.log_between(settings.peak_snr.low, settings.peak_snr.high, (images, 1))
    # snr = lamp * |contrast| / sqrt(lamp or, where it is brighter, lamp * (1 + contrast)).
    brightest = max(1.0, 1 + strongest)
    lamp = snr**2 * brightest / strongest**2
    lamp = lamp.clamp(1.0, _FILLED_WELL * full_well / brightest)
    spread = draw.between(0.0, _WIDEST_FIELD_SPREAD, (images, 1))
    strength = torch.exp(spread * (2 * draw.uniform(height.shape) - 1))
    contrast = strength * view.peak_at(height)
    own = lamp.sqrt() * contrast.abs() / torch.sqrt((1 + contrast).clamp(min=1.0))
    return _Brightness(strength, own, lamp, lamp * abs(strongest))


def _in_frames(placed: Placed, context_frames: int, draw: Draw) -> tuple[Placed, Tensor]:
    """Move particles, (images * frames, particles); say which are seen in the middle frame."""
    if context_frames == 0:
        return placed, torch.ones_like(placed.x, dtype=torch.bool)
    frames = 2 * context_frames + 1
    spots = gaussian_spots(placed.x, placed.y, placed.strength, 1.0)
    moved, seen = in_frames(spots, draw_motion(draw, len(placed.x)), context_frames, draw)
    height = placed.height_um.repeat_interleave(frames, dim=0)
    return Placed(moved.x, moved.y, height, moved.peak), seen


def _film(expected: Tensor, settings: CameraSettings, draw: Draw) -> Tensor:
    """Take the frames of each scene, (images, frames, height, width), with a camera of its own."""
    one = (len(expected), 1, 1, 1)
    camera = Camera(
        gain=settings.gain,
        offset=settings.offset,
        read_noise=draw.between(0.0, settings.read_noise, one),
        gain_spread=draw.between(0.0, settings.gain_spread, one),
        offset_spread=draw.between(0.0, settings.offset_spread, one),
        full_well=settings.full_well,
        bits=settings.bits,
    )
    pattern = camera.draw_pattern((len(expected), 1, *expected.shape[2:]), draw.generator)
    return camera.expose(expected.clamp(min=0.01), draw.generator, pattern)


def _are_dark(light: Tensor, placed: Placed, present: Tensor) -> Tensor:
    """Say in which images the middles of the particles are darker than the lamp, on average."""
    size = light.shape[-1]
    row = placed.y.round().long().clamp(0, size - 1)
    column = placed.x.round().long().clamp(0, size - 1)
    middle = light.flatten(1).gather(1, row * size + column) - 1
    return (middle * present).sum(dim=1) < 0

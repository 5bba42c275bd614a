"""Scenes that look like a video: its shapes, brightness and density over its grounds."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.simulation.backdrop import crop_places, filmed
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.moving import draw_motion, in_frames, repeat_at_ends
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.simulation.spots import gaussian_spots
from cloudtrainer.simulation.twin.profiles import STEP_PX
from cloudtrainer.simulation.twin.twin import Twin

# How far scenes to learn from differ from the video, which is but a sample of what is to come:
# factors of density, of brightness, and of width, and how much a spot may be stretched.
_DENSITY, _BRIGHTNESS, _WIDTH, _STRETCH = math.log(2.0), 0.2, 0.06, 0.06
_SATURATED_SHARE = 0.002
_PATCHES = (8, 16)


@dataclass(frozen=True)
class TwinSpots:
    """Particles of a batch of scenes; every tensor has shape (images, particles).

    Attributes
    ----------
    x, y : Tensor
        Centres in pixels.
    peak : Tensor
        What the profile is multiplied by, counts; 0 where a place is unused.
    shape : Tensor
        Number of the particle's shape.
    scale, stretch : Tensor
        Factor of its width, and the ratio of the horizontal width to the mean width.
    """

    x: Tensor
    y: Tensor
    peak: Tensor
    shape: Tensor
    scale: Tensor
    stretch: Tensor


def draw_twin(
    twin: Twin,
    images: int,
    size_px: int,
    generator: torch.Generator,
    variety: float = 1.0,
    context_frames: int = 0,
) -> Scenes:
    """Draw scenes that look like crops of a video.

    Parameters
    ----------
    twin : Twin
        What was measured; best kept on the generator's device.
    images : int
        Number of scenes.
    size_px : int
        Side of a scene in pixels.
    generator : torch.Generator
        Source of every random number; its device is the device of the scenes.
    variety : float
        How far scenes differ from the video, one from another: by a factor of up to 2 in density,
        1.2 in brightness, 1.06 in width and shape at 1; not at all at 0.
    context_frames : int
        Frames before and after each image: particles move between them, ground and specks stay.

    Returns
    -------
    Scenes
        Images in the video's counts, and truth: all particles, in focus or not; no specks.
    """
    draw = Draw(generator)
    ground = _grounds(twin.grounds.to(generator.device), images, size_px, draw)
    spots = _draw_spots(twin, draw, images, size_px, variety)
    particle = torch.tensor([not one.is_speck for one in twin.shapes], device=generator.device)
    moved, seen = _in_frames(spots, ~particle[spots.shape], context_frames, draw)
    frames = 2 * context_frames + 1
    expected = ground.repeat_interleave(frames, dim=0) + render_twin(twin, moved, size_px, size_px)
    counts = _counts(twin, expected, generator).view(images, frames, size_px, size_px)
    if context_frames:
        counts = repeat_at_ends(counts, draw)
    inside = (spots.x > -0.5) & (spots.x < size_px - 0.5)
    inside &= (spots.y > -0.5) & (spots.y < size_px - 0.5)
    return Scenes.of_frames(
        counts,
        x=spots.x,
        y=spots.y,
        present=(spots.peak > 0) & particle[spots.shape] & inside & seen,
        brightest=counts[:, context_frames].amax(dim=(1, 2)).clamp(min=twin.highest),
    )


def _in_frames(
    spots: TwinSpots, speck: Tensor, context_frames: int, draw: Draw
) -> tuple[TwinSpots, Tensor]:
    """Move particles, (images * frames, particles); say which are seen in the middle frame."""
    if context_frames == 0:
        return spots, torch.ones_like(speck)
    light = gaussian_spots(spots.x, spots.y, spots.peak, 1.0)
    moved, seen = in_frames(light, draw_motion(draw, len(speck)), context_frames, draw, speck)

    def each(values: Tensor) -> Tensor:
        return values.repeat_interleave(2 * context_frames + 1, dim=0)

    shape, scale, stretch = each(spots.shape), each(spots.scale), each(spots.stretch)
    return TwinSpots(moved.x, moved.y, moved.peak, shape, scale, stretch), seen


def draw_frame(twin: Twin, generator: torch.Generator) -> tuple[Tensor, TwinSpots]:
    """Draw a whole frame of the twin.

    Returns
    -------
    frame : Tensor
        Counts, (height, width).
    spots : TwinSpots
        The particles in it, one image.
    """
    draw = Draw(generator)
    frames, height, width = twin.grounds.shape
    chosen = int(frames * draw.uniform((1,))) % frames
    ground = twin.grounds[chosen : chosen + 1].to(generator.device)
    side = max(height, width)
    spots = _draw_spots(twin, draw, 1, side, 0.0)
    counts = _counts(twin, ground + render_twin(twin, spots, height, width), generator)
    return counts[0], spots


def particles_inside(twin: Twin, spots: TwinSpots) -> int:
    """Return how many particles have their middle inside a whole frame; specks are none."""
    _, height, width = twin.grounds.shape
    particle = torch.tensor([not one.is_speck for one in twin.shapes], device=spots.x.device)
    inside = (spots.x > -0.5) & (spots.x < width - 0.5)
    inside &= (spots.y > -0.5) & (spots.y < height - 0.5)
    return int((inside & (spots.peak > 0) & particle[spots.shape]).sum())


def render_twin(twin: Twin, spots: TwinSpots, height: int, width: int) -> Tensor:
    """Add up the light of all particles.

    Returns
    -------
    Tensor
        Counts above the ground, float32, (images, height, width).
    """
    table = torch.stack([one.profile for one in twin.shapes]).to(spots.x.device)
    reaches = torch.tensor(
        [one.drawn_px for one in twin.shapes], dtype=torch.float32, device=spots.x.device
    )
    reach = reaches[spots.shape] * spots.scale * spots.stretch.maximum(1 / spots.stretch)
    drawn = (spots.peak != 0) & (spots.x > -reach) & (spots.x < width + reach)
    drawn &= (spots.y > -reach) & (spots.y < height + reach)
    light = torch.zeros(len(spots.x) * height * width, device=spots.x.device)
    nearer = 0
    # Small and large particles apart: each is drawn on a patch of about its own size.
    for farther in (*_PATCHES, math.ceil(float(reaches.max()) * 1.2) + 1):
        chosen = drawn & (reach > nearer) & (reach <= farther)
        _add(light, spots, chosen, farther, table, height, width)
        nearer = farther
    return light.view(-1, height, width)


def _add(
    light: Tensor,
    spots: TwinSpots,
    chosen: Tensor,
    reach: int,
    table: Tensor,
    height: int,
    width: int,
) -> None:
    image, place = torch.nonzero(chosen, as_tuple=True)
    if len(image) == 0:
        return
    some = TwinSpots(**{name: values[image, place] for name, values in vars(spots).items()})
    steps = torch.arange(-reach, reach + 1, device=light.device)
    column = some.x.round().long()[:, None] + steps
    row = some.y.round().long()[:, None] + steps
    across = (column - some.x[:, None]) / (some.scale * some.stretch)[:, None]
    down = (row - some.y[:, None]) / (some.scale / some.stretch)[:, None]
    distance = torch.sqrt(across[:, None, :] ** 2 + down[:, :, None] ** 2) / STEP_PX
    last = table.shape[1] - 1
    knot = distance.long().clamp(max=last - 1)
    share = (distance - knot).clamp(max=1.0)
    first = some.shape[:, None, None] * table.shape[1] + knot
    flat = table.flatten()
    patch = torch.lerp(flat[first], flat[first + 1], share) * some.peak[:, None, None]
    patch *= ((column >= 0) & (column < width))[:, None, :]
    patch *= ((row >= 0) & (row < height))[:, :, None]
    index = (
        image[:, None, None] * (height * width)
        + row.clamp(0, height - 1)[:, :, None] * width
        + column.clamp(0, width - 1)[:, None, :]
    )
    light.index_add_(0, index.reshape(-1), patch.reshape(-1))


def _draw_spots(twin: Twin, draw: Draw, images: int, size_px: int, variety: float) -> TwinSpots:
    """Draw the particles of square scenes, and those outside whose light reaches into them."""
    device = draw.generator.device
    reach = max(one.drawn_px for one in twin.shapes)
    per_frame = torch.tensor([one.per_frame for one in twin.shapes], device=device)
    field = (size_px + 2 * reach) ** 2

    def vary(width: float, shape: tuple[int, ...]) -> Tensor:
        return torch.exp(draw.between(-variety * width, variety * width, shape))

    expected = per_frame.sum() * field / twin.pixels * vary(_DENSITY, (images, 1))
    number = torch.poisson(expected, generator=draw.generator)
    shape = (images, max(int(number.max()), 1))
    present = torch.arange(shape[1], device=device) < number
    kind = torch.multinomial(
        per_frame.clamp(min=1e-12), images * shape[1], replacement=True, generator=draw.generator
    ).view(shape)
    amplitude = _quantiles(twin, kind, draw.uniform(shape)) * vary(_BRIGHTNESS, (images, 1))
    x = draw.between(-reach - 0.5, size_px + reach - 0.5, shape)
    y = draw.between(-reach - 0.5, size_px + reach - 0.5, shape)
    speck = torch.tensor([one.is_speck for one in twin.shapes], device=device)[kind]
    return TwinSpots(
        # A hot pixel is one pixel.
        x=torch.where(speck, x.round(), x),
        y=torch.where(speck, y.round(), y),
        peak=amplitude * present,
        shape=kind,
        scale=vary(_WIDTH, (images, 1)).expand(shape),
        stretch=vary(_STRETCH, (images, 1)).expand(shape),
    )


def _quantiles(twin: Twin, kind: Tensor, share: Tensor) -> Tensor:
    """Return the amplitude that this share of a kind's particles is below."""
    table = torch.stack([one.amplitude for one in twin.shapes]).to(share.device)
    place = share * (table.shape[1] - 1)
    below = place.long().clamp(max=table.shape[1] - 2)
    first = kind * table.shape[1] + below
    flat = table.flatten()
    return torch.lerp(flat[first], flat[first + 1], place - below)


def _counts(twin: Twin, expected: Tensor, generator: torch.Generator) -> Tensor:
    counts = filmed(expected, twin.noise, twin.step, twin.lowest, generator)
    return counts.clamp(max=twin.highest) if twin.saturated > _SATURATED_SHARE else counts


def _grounds(grounds: Tensor, images: int, size_px: int, draw: Draw) -> Tensor:
    """Cut crops at random places of random frames, mirrored and turned at random."""
    frames, height, width = grounds.shape
    frame = (frames * draw.uniform((images,))).long().clamp(max=frames - 1)
    rows, columns = (crop_places(side, images, size_px, draw) for side in (height, width))
    crops = grounds[frame[:, None, None], rows[:, :, None], columns[:, None, :]]
    return torch.where(draw.chance(0.5, (images, 1, 1)), crops.transpose(1, 2), crops)

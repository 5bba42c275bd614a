"""Particles of a scene in several frames: where they are before and after the middle one."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.spots import Spots

# From particles that hardly move to those that are more than their own width away.
_STEP_PX = (0.05, 4.0)
_SPEED_PX = (0.1, 3.0)
_DRIFTING_SHARE = 0.2
_DIRECTED_SHARE = 0.15
# Particles that come into view or leave it: they pass the focus, bind or bleach.
_PASSING_SHARE = 0.06
_WIDEST_FLICKER = 0.2
# Scenes at the beginning of their video, and as many at its end: the outermost frame is repeated.
_END_SHARE = 0.06


@dataclass(frozen=True)
class Motion:
    """How the particles of each scene move; every tensor has shape (images, 1).

    Attributes
    ----------
    step_px : Tensor
        Standard deviation of the Brownian step along each axis, px a frame.
    drift_x, drift_y : Tensor
        Velocity that all have in common, px a frame.
    speed : Tensor
        Speed that each has in a direction of its own, px a frame.
    """

    step_px: Tensor
    drift_x: Tensor
    drift_y: Tensor
    speed: Tensor


def draw_motion(draw: Draw, images: int) -> Motion:
    """Draw how the particles of each scene move: by diffusion, in some by drift or directed too."""
    one = (images, 1)
    step = draw.log_between(*_STEP_PX, one)
    drift = draw.log_between(*_SPEED_PX, one) * draw.chance(_DRIFTING_SHARE, one)
    angle = draw.between(0.0, 2 * math.pi, one)
    speed = draw.log_between(*_SPEED_PX, one) * draw.chance(_DIRECTED_SHARE, one)
    return Motion(step, drift * torch.cos(angle), drift * torch.sin(angle), speed)


def in_frames(
    spots: Spots, motion: Motion, context_frames: int, draw: Draw, still: Tensor | None = None
) -> tuple[Spots, Tensor]:
    """Return spots as they are in the frames around the one that they were drawn for.

    Parameters
    ----------
    spots : Spots
        As they are in the middle frame, (images, particles).
    motion : Motion
        How they move.
    context_frames : int
        Frames before and after the middle one.
    draw : Draw
        Source of every random number.
    still : Tensor, optional
        Which spots stay as they are, such as dirt and hot pixels, bool, (images, particles).

    Returns
    -------
    spots : Spots
        (images * (2 context_frames + 1), particles), the frames of an image behind each other. A
        few come into view or leave it; the brightness of the others varies by up to a fifth.
    in_view : Tensor
        Which are in view in the middle frame, bool, (images, particles).
    """
    images, particles = spots.x.shape
    frames = 2 * context_frames + 1
    moves = torch.ones_like(spots.x, dtype=torch.bool) if still is None else ~still
    moves = moves[:, None]
    seen = _in_view(draw, images, particles, context_frames) | ~moves
    flicker = draw.between(0.0, _WIDEST_FLICKER, (images, 1, 1))
    bright = 1 + moves * flicker * (2 * draw.uniform((images, frames, particles)) - 1)
    bright[:, context_frames] = 1

    angle = draw.between(0.0, 2 * math.pi, (images, particles))
    ways = (
        motion.drift_x + motion.speed * torch.cos(angle),
        motion.drift_y + motion.speed * torch.sin(angle),
    )
    x, y = (moves * _way_from_middle(draw, motion, velocity, context_frames) for velocity in ways)
    changed = {
        "x": spots.x[:, None] + x,
        "y": spots.y[:, None] + y,
        "peak": spots.peak[:, None] * bright * seen,
    }
    each = {
        name: changed.get(name, values[:, None].expand(images, frames, particles)).flatten(0, 1)
        for name, values in vars(spots).items()
    }
    return Spots(**each), seen[:, context_frames]


def repeat_at_ends(counts: Tensor, draw: Draw) -> Tensor:
    """Repeat the first or last frame of some scenes, as at the beginning or end of a video.

    Parameters
    ----------
    counts : Tensor
        (images, frames, height, width).
    draw : Draw
        Source of every random number.
    """
    images, frames = counts.shape[:2]
    middle = frames // 2
    missing = (1 + middle * draw.uniform((2, images, 1))).long()
    missing = missing * draw.chance(_END_SHARE, (2, images, 1))
    place = torch.arange(frames, device=counts.device)
    place = torch.minimum(torch.maximum(place, missing[0]), frames - 1 - missing[1])
    return counts[torch.arange(images, device=counts.device)[:, None], place]


def _way_from_middle(draw: Draw, motion: Motion, velocity: Tensor, context_frames: int) -> Tensor:
    """Draw displacements along an axis from the middle frame, (images, frames, particles)."""
    images, particles = velocity.shape
    steps = draw.normal((images, 2 * context_frames, particles)) * motion.step_px[:, None]
    steps = steps + velocity[:, None]
    before, after = steps[:, :context_frames], steps[:, context_frames:]
    back = -before.flip(1).cumsum(dim=1).flip(1)
    return torch.cat([back, torch.zeros_like(velocity)[:, None], after.cumsum(dim=1)], dim=1)


def _in_view(draw: Draw, images: int, particles: int, context_frames: int) -> Tensor:
    """Draw in which frames each particle is seen, bool, (images, frames, particles)."""
    frames = 2 * context_frames + 1
    shape = (images, 1, particles)
    change = (1 + 2 * context_frames * draw.uniform(shape)).long()
    when = torch.arange(frames, device=change.device)[None, :, None]
    come = torch.where(draw.chance(0.5, shape), when >= change, when < change)
    return come | ~draw.chance(_PASSING_SHARE, shape)

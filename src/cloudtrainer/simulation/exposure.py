"""Particles that move while a frame is exposed: their light is smeared along their path."""

import math

import torch
from torch import Tensor

from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.spots import Spots

# Standard deviation of the way during an exposure, along each axis: from less than what is seen to
# particles that are torn to pieces.
_SMEAR_PX = (0.3, 4.0)
# Places along the path: nearer to each other than a spot is wide, but for the fastest.
_PLACES = 8


def draw_smear(draw: Draw, share: float, images: int) -> Tensor:
    """Draw how far each scene's particles go during an exposure, px along each axis, (images, 1).

    Parameters
    ----------
    draw : Draw
        Source of every random number.
    share : float
        Share of scenes in which they move; in the others it is 0.
    images : int
        Number of scenes.
    """
    one = (images, 1)
    if share == 0:
        return torch.zeros(one, device=draw.generator.device)
    return draw.log_between(*_SMEAR_PX, one) * draw.chance(share, one)


def smeared(spots: Spots, smear_px: Tensor, draw: Draw) -> Spots:
    """Return the light of spots that walk at random during the exposure, around where they are.

    Parameters
    ----------
    spots : Spots
        Where each is on average over the exposure, (images, particles).
    smear_px : Tensor
        Standard deviation of the way along each axis, (images, 1); 0 where they stand still.
    draw : Draw
        Source of every random number.

    Returns
    -------
    Spots
        (images, places of all particles): each spot's light in equal parts along its path; at its
        own place where it stands still.
    """
    if not bool((smear_px > 0).any()):
        return spots
    images, particles = spots.x.shape
    shape = (images, _PLACES, particles)
    moves = smear_px[:, None] > 0
    first = torch.zeros(_PLACES, 1, device=spots.x.device)
    first[0] = 1
    changed = {
        "x": spots.x[:, None] + smear_px[:, None] * _path(draw, shape),
        "y": spots.y[:, None] + smear_px[:, None] * _path(draw, shape),
        "peak": spots.peak[:, None] * torch.where(moves, 1 / _PLACES, first),
    }
    each = {
        name: changed.get(name, values[:, None].expand(shape)).flatten(1)
        for name, values in vars(spots).items()
    }
    return Spots(**each)


def _path(draw: Draw, shape: tuple[int, int, int]) -> Tensor:
    """Draw random walks of standard deviation 1 from end to end, around their mean."""
    path = draw.normal(shape).cumsum(dim=1) / math.sqrt(shape[1])
    return path - path.mean(dim=1, keepdim=True)

"""What the networks are taught: the truth as cells or masks, and the losses."""

import torch
from torch import Tensor
from torch.nn import functional

CELL_PX = 2
# Cells whose centre is nearer than this to a particle learn its position.
_TEACHES_WITHIN_PX = 3.0
_LEAST_ERROR_PX = 0.01


def cell_centres(cells: int, device: torch.device) -> Tensor:
    """Return the pixel coordinates of the centres of a row of cells."""
    return (torch.arange(cells, device=device) + 0.5) * CELL_PX - 0.5


def grid_targets(
    x: Tensor, y: Tensor, present: Tensor, rows: int, columns: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Express positions as what each cell should answer.

    Each particle is shared between the four cells around it with bilinear weights that add up to 1,
    so that no position within a cell is special and no jump occurs at its border.

    Parameters
    ----------
    x, y : Tensor
        Positions in pixels, (images, particles).
    present : Tensor
        Which places hold a particle, bool, (images, particles).
    rows, columns : int
        Size of the grid.

    Returns
    -------
    share : Tensor
        Share of a particle in each cell, 0 to 1, (images, rows, columns).
    offset : Tensor
        From the cell's centre to the nearest particle, (images, 2, rows, columns), pixels.
    taught : Tensor
        Cells near enough to a particle to learn its position, bool, (images, rows, columns).
    """
    across = cell_centres(columns, x.device)
    down = cell_centres(rows, x.device)
    far = torch.where(present, 0.0, 1e6)
    dx = x[:, :, None] + far[:, :, None] - across
    dy = y[:, :, None] + far[:, :, None] - down
    # Beyond the outermost centres a particle belongs to the outermost cells alone.
    held_x = x.clamp(across[0], across[-1])[:, :, None] + far[:, :, None] - across
    held_y = y.clamp(down[0], down[-1])[:, :, None] + far[:, :, None] - down
    weight_x = (1 - held_x.abs() / CELL_PX).clamp(min=0)
    weight_y = (1 - held_y.abs() / CELL_PX).clamp(min=0)
    with torch.autocast(x.device.type, enabled=False):
        share = torch.einsum("npr,npc->nrc", weight_y, weight_x).clamp(max=1.0)

    distance = dy[:, :, :, None] ** 2 + dx[:, :, None, :] ** 2
    nearest_squared, nearest = distance.min(dim=1)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    row = torch.arange(rows, device=x.device)[None, :, None]
    column = torch.arange(columns, device=x.device)[None, None, :]
    offset = torch.stack([dx[image, nearest, column], dy[image, nearest, row]], dim=1)
    taught = nearest_squared < _TEACHES_WITHIN_PX**2
    return share, offset.clamp(-10, 10), taught


def grid_loss(answer: Tensor, share: Tensor, offset: Tensor, taught: Tensor) -> Tensor:
    """Return the loss of the grid network for a batch.

    Cross-entropy summed over cells and divided by the number of particles (a mean over cells would
    be won by an empty answer), a Dice term, and the negative logarithm of the Gaussian likelihood
    of the offsets in cells near a particle.
    """
    logit = answer[:, 0]
    particles = share.sum().clamp(min=1.0)
    entropy = functional.binary_cross_entropy_with_logits(logit, share, reduction="sum") / particles
    probability = torch.sigmoid(logit)
    dice = 1 - (2 * (probability * share).sum() + 1) / (
        (probability**2).sum() + (share**2).sum() + 1
    )
    error = offset_errors(answer)
    surprise = 0.5 * ((answer[:, 1:3] - offset) / error) ** 2 + torch.log(error)
    # Far cells hardly decide a position; near ones do.
    weight = taught * torch.exp(-0.5 * (offset**2).sum(dim=1) / 1.5**2)
    position = (surprise.sum(dim=1) * weight).sum() / weight.sum().clamp(min=1.0)
    return entropy + dice + 0.5 * position


def offset_errors(answer: Tensor) -> Tensor:
    """Return the stated standard errors of the offsets in pixels, (images, 2, rows, columns)."""
    return _LEAST_ERROR_PX + functional.softplus(answer[:, 3:5])


def as_answered(error: Tensor) -> Tensor:
    """Return what a grid network answers to state these errors: `offset_errors` the other way.

    Parameters
    ----------
    error : Tensor
        Standard errors in pixels; at the least error that can be stated, or below, it is that.
    """
    above = (error - _LEAST_ERROR_PX).clamp(min=1e-6)
    return above + torch.log(-torch.expm1(-above))


def disc_masks(
    x: Tensor, y: Tensor, present: Tensor, height: int, width: int, radius_px: float
) -> Tensor:
    """Return filled discs around the positions, float32, (images, height, width)."""
    columns = torch.arange(width, device=x.device)
    rows = torch.arange(height, device=x.device)
    far = torch.where(present, 0.0, 1e6)
    masks = torch.zeros(len(x), height, width, device=x.device)
    for place in range(x.shape[1]):
        dx = x[:, place, None] + far[:, place, None] - columns
        dy = y[:, place, None] - rows
        inside = dy[:, :, None] ** 2 + dx[:, None, :] ** 2 <= radius_px**2
        masks = torch.maximum(masks, inside.float())
    return masks


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the loss of the U-Net: cross-entropy weighted for rare positives, and Dice."""
    positive = masks.mean().clamp(min=1e-4, max=0.5)
    entropy = functional.binary_cross_entropy_with_logits(
        logits, masks, pos_weight=((1 - positive) / positive).clamp(max=20.0)
    )
    probability = torch.sigmoid(logits)
    dice = 1 - (2 * (probability * masks).sum() + 1) / (probability.sum() + masks.sum() + 1)
    return entropy + dice

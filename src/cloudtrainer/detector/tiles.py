"""Frames, answered a few at a time; large ones in overlapping tiles."""

from collections.abc import Callable

import torch
from torch import Tensor

# What a pixel's answer depends on lies nearer than this (51 px in the U-Net): tiles overlap by it.
# Only what the grid network sums up over a frame is that of the tile, where there are several.
_HALO_PX = 64
_TILE_PX = 1024
# A processor is fastest, by a factor of two, on what its caches hold: about 512 x 512 px at once.
# On a GPU the memory of 16 such frames is 0.5 GB.
_PIXELS_AT_ONCE = 1 << 18
_TIMES_ON_A_GPU = 16


def answer_in_tiles(answer: Callable[[Tensor], Tensor], seen: Tensor, cell_px: int) -> Tensor:
    """Run a network on frames, in overlapping tiles where they are large.

    Parameters
    ----------
    answer : callable
        The network, from (frames, stacked, height, width) to (frames, channels, rows, columns).
    seen : Tensor
        Normalised frames, (frames, height, width), or each between its neighbours,
        (frames, stacked, height, width).
    cell_px : int
        Pixels along the side of what the network answers one number for.

    Returns
    -------
    Tensor
        The answer, as if the frames had been given at once (but for `FrameSummary`).
    """
    height, width = seen.shape[-2:]
    stacks = seen[:, None] if seen.ndim == 3 else seen
    if max(height, width) <= _TILE_PX + 2 * _HALO_PX:
        return torch.cat([answer(some) for some in _at_once(stacks)])
    rows: list[Tensor] = []
    for top in range(0, height, _TILE_PX):
        row: list[Tensor] = []
        for left in range(0, width, _TILE_PX):
            above = min(_HALO_PX, top)
            before = min(_HALO_PX, left)
            tile = stacks[
                :,
                :,
                top - above : top + _TILE_PX + _HALO_PX,
                left - before : left + _TILE_PX + _HALO_PX,
            ]
            own_height = -(-min(_TILE_PX, height - top) // cell_px)
            own_width = -(-min(_TILE_PX, width - left) // cell_px)
            answered = answer(tile)[:, :, above // cell_px :, before // cell_px :]
            row.append(answered[:, :, :own_height, :own_width])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


def _at_once(stacks: Tensor) -> tuple[Tensor, ...]:
    """Split frames into as many as are computed fastest together."""
    height, width = stacks.shape[-2:]
    pixels = _PIXELS_AT_ONCE * (_TIMES_ON_A_GPU if stacks.device.type == "cuda" else 1)
    return torch.split(stacks, max(1, pixels // (height * width)))

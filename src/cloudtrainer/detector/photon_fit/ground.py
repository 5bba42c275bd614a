"""The ground under spots, averaged over more pixels than a spot's own patch holds."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from cloudtrainer.detector.photon_fit.seen import Seen

# Blocks of so many pixels a side are averaged, over so many widths of a spot, without what lies
# within so many widths of a spot.
_BLOCK_PX = 4
_AVERAGED_WIDTHS = 27.0
_LIGHT_WIDTHS = 3.0


@dataclass(frozen=True)
class Ground:
    """The mean of the frames around each place, without spots.

    Attributes
    ----------
    blocks : Tensor
        Counts, (frames, rows, columns) of blocks of 4 x 4 px.
    """

    blocks: Tensor

    @classmethod
    def of(cls, frames: Tensor, bright: Seen, sigma_px: float) -> Self:
        """Average frames, (frames, height, width), without the light of some spots."""
        height, width = frames.shape[-2:]
        reach = math.ceil(_LIGHT_WIDTHS * sigma_px)
        steps = torch.arange(-reach, reach + 1, device=frames.device)
        rows = (bright.y.round().long()[:, None, None] + steps[:, None]).clamp(0, height - 1)
        columns = (bright.x.round().long()[:, None, None] + steps).clamp(0, width - 1)
        dark = torch.ones_like(frames)
        dark[bright.frame[:, None, None], rows, columns] = 0.0
        size = 2 * round(_AVERAGED_WIDTHS * sigma_px / (2 * _BLOCK_PX)) + 1
        below, right = -height % _BLOCK_PX, -width % _BLOCK_PX

        def summed(values: Tensor) -> Tensor:
            whole = functional.pad(values, (0, right, 0, below))
            lines = whole.reshape(len(whole), -1, _BLOCK_PX, whole.shape[2]).sum(2)
            blocks = lines.reshape(len(whole), lines.shape[1], -1, _BLOCK_PX).sum(3)
            mean = functional.avg_pool2d(blocks, (size, 1), 1, (size // 2, 0))
            return functional.avg_pool2d(mean, (1, size), 1, (0, size // 2))

        # Differences of large sums: around the mean, float32 holds them.
        level = frames.mean((1, 2), keepdim=True)
        return cls(level + summed((frames - level) * dark) / summed(dark).clamp(min=1e-3))

    @property
    def typical(self) -> Tensor:
        """Median of each frame's ground, counts, (frames,)."""
        return self.blocks.flatten(1).median(dim=1).values

    def at(self, frame: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the ground at some places, counts, (places,)."""
        rows, columns = self.blocks.shape[-2:]
        row = (y.round().long() // _BLOCK_PX).clamp(0, rows - 1)
        column = (x.round().long() // _BLOCK_PX).clamp(0, columns - 1)
        return self.blocks[frame, row, column]

"""The pixels around each spot, first guesses of its shape, and the spots beside it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

# Widths tried for a first guess, px; the fit itself is free between and a little beyond them.
_WIDTHS_PX = (0.8, 1.1, 1.5, 2.0, 2.7, 3.6)
MOST_NEIGHBOURS = 4


@dataclass(frozen=True)
class Spots:
    """Spots of a few frames; every tensor has shape (spots,).

    Attributes
    ----------
    frame : Tensor
        Which frame a spot is in, int64.
    x, y : Tensor
        Position in pixels.
    peak : Tensor
        Height above the ground, counts.
    sigma : Tensor
        Standard deviation of the Gaussian, px.
    ground : Tensor
        Background around the spot, counts.
    """

    frame: Tensor
    x: Tensor
    y: Tensor
    peak: Tensor
    sigma: Tensor
    ground: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> "Spots":
        """Return the spots on a device."""
        return Spots(**{name: values.to(device) for name, values in vars(self).items()})

    def of(self, chosen: Tensor) -> "Spots":
        """Return some of the spots."""
        return Spots(**{name: values[chosen] for name, values in vars(self).items()})

    def with_more(self, more: "Spots") -> "Spots":
        """Return these spots and others behind them."""
        return Spots(
            **{name: torch.cat([mine, vars(more)[name]]) for name, mine in vars(self).items()}
        )

    def replaced(self, chosen: Tensor, by: "Spots") -> "Spots":
        """Return the spots with some of them replaced."""
        return Spots(
            **{
                name: values.index_copy(0, chosen, vars(by)[name])
                for name, values in vars(self).items()
            }
        )


@dataclass(frozen=True)
class Patches:
    """Square patches of pixels around spots.

    Attributes
    ----------
    counts : Tensor
        Intensities, (spots, pixels).
    inside : Tensor
        1 for pixels within the radius that lie in the frame, else 0, (spots, pixels).
    column, row : Tensor
        Pixel at the centre of each patch, float32, (spots,).
    variance : Tensor
        Variance of the noise of the ground, counts², (spots,).
    steps : Tensor
        Pixels from the centre along a side, (side,).
    """

    counts: Tensor
    inside: Tensor
    column: Tensor
    row: Tensor
    variance: Tensor
    steps: Tensor

    @classmethod
    def around(
        cls, frames: Tensor, variance: Tensor, frame: Tensor, x: Tensor, y: Tensor, radius_px: int
    ) -> "Patches":
        """Cut patches out of frames.

        Parameters
        ----------
        frames : Tensor
            Intensities, (frames, height, width).
        variance : Tensor
            Variance of the noise of each frame's ground, counts², (frames,).
        frame, x, y : Tensor
            Where, (spots,).
        radius_px : int
            Half of a side without the centre.
        """
        height, width = frames.shape[-2:]
        steps = torch.arange(-radius_px, radius_px + 1, device=frames.device)
        column = x.round().clamp(0, width - 1).long()
        row = y.round().clamp(0, height - 1).long()
        columns, rows = column[:, None] + steps, row[:, None] + steps
        inside = ((columns >= 0) & (columns < width))[:, None, :]
        inside = inside & ((rows >= 0) & (rows < height))[:, :, None]
        inside &= cls._disc(steps)
        first_in_row = (frame[:, None] * height + rows.clamp(0, height - 1)) * width
        places = first_in_row[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
        counts = frames.flatten()[places.flatten(1)]
        return cls(
            counts=counts,
            inside=inside.flatten(1).float(),
            column=column.float(),
            row=row.float(),
            variance=variance[frame],
            steps=steps.float(),
        )

    @property
    def reached(self) -> Tensor:
        """1 for pixels within the radius, in the frame or not, else 0, (pixels,)."""
        return self._disc(self.steps).flatten().float()

    @staticmethod
    def _disc(steps: Tensor) -> Tensor:
        return steps**2 + steps[:, None] ** 2 <= (steps[-1] + 0.5) ** 2

    def of(self, chosen: Tensor) -> "Patches":
        """Return some of the patches."""
        parts = {name: values[chosen] for name, values in vars(self).items() if name != "steps"}
        return Patches(**parts, steps=self.steps)

    def first_guess(self, frame: Tensor, x: Tensor, y: Tensor) -> Spots:
        """Guess each spot's width, height and ground at its position, by linear least squares."""
        pixels = self.inside.sum(1)
        total = (self.inside * self.counts).sum(1)
        # Differences of large sums: around the mean, float32 holds them.
        mean = total / pixels
        counts = (self.counts - mean[:, None]) * self.inside
        least = torch.full_like(x, torch.inf)
        sigma, peak, ground = (torch.zeros_like(x) for _ in range(3))
        for width in _WIDTHS_PX:
            across = torch.exp(-0.5 * ((self.steps - (x - self.column)[:, None]) / width) ** 2)
            down = torch.exp(-0.5 * ((self.steps - (y - self.row)[:, None]) / width) ** 2)
            shape = (down[:, :, None] * across[:, None, :]).flatten(1) * self.inside
            light, squared = shape.sum(1), (shape**2).sum(1)
            seen = (shape * counts).sum(1)
            height = pixels * seen / (pixels * squared - light**2).clamp(min=1e-6)
            missed = -height * seen
            better = missed < least
            least = torch.where(better, missed, least)
            sigma = torch.where(better, width, sigma)
            peak = torch.where(better, height, peak)
            ground = torch.where(better, mean - height * light / pixels, ground)
        return Spots(frame, x, y, peak.clamp(min=0), sigma, ground)


def places(frame: Tensor, x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """Return places in which those of one frame are near each other alone, (spots, 3)."""
    return torch.stack([frame * 1e6, x.double(), y.double()], dim=1).cpu().numpy()


def neighbours(spots: Spots, reach_px: float) -> tuple[Tensor, Tensor]:
    """Return the nearest other spots of the same frame, at most four.

    Returns
    -------
    which : Tensor
        Numbers of the neighbours, nearest first, (spots, neighbours); 0 where there is none.
    there : Tensor
        Whether there is one, bool, (spots, neighbours).
    """
    numbers = places(spots.frame, spots.x, spots.y)
    others = np.arange(2, MOST_NEIGHBOURS + 2)
    distance, which = cKDTree(numbers).query(numbers, others, distance_upper_bound=reach_px)
    there = np.isfinite(distance)
    device = spots.x.device
    return (
        torch.as_tensor(np.where(there, which, 0), device=device),
        torch.as_tensor(there, device=device),
    )

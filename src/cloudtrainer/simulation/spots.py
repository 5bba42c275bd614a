"""Images of particles: radial profiles placed at sub-pixel positions, in batches."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spots:
    """Particles of a batch of images; every tensor has shape (images, particles).

    Attributes
    ----------
    x, y : Tensor
        Centres in pixels; the centre of the first pixel is (0, 0).
    peak : Tensor
        Height of the core's centre above the background, in photons; 0 where a place is unused.
    sigma : Tensor
        Width of the core in pixels: a Gaussian's standard deviation where ``flatness`` is 2.
    flatness : Tensor
        Exponent of the core, exp(-(r / sqrt(2) sigma)^flatness): 2 is a Gaussian, larger is a disc.
    ring_height, ring_radius, ring_width : Tensor
        A ring around the core: its height relative to ``peak`` (negative: a dark halo), and its
        radius and standard deviation in pixels.
    stretch : Tensor
        Ratio of the horizontal width to the mean width of the spot.
    """

    x: Tensor
    y: Tensor
    peak: Tensor
    sigma: Tensor
    flatness: Tensor
    ring_height: Tensor
    ring_radius: Tensor
    ring_width: Tensor
    stretch: Tensor


def gaussian_spots(x: Tensor, y: Tensor, peak: Tensor, sigma: float) -> Spots:
    """Return round Gaussian spots of one width."""
    full = torch.full_like
    return Spots(
        x=x,
        y=y,
        peak=peak,
        sigma=full(x, sigma),
        flatness=full(x, 2.0),
        ring_height=full(x, 0.0),
        ring_radius=full(x, 1.0),
        ring_width=full(x, 1.0),
        stretch=full(x, 1.0),
    )


def render_spots(spots: Spots, height: int, width: int) -> Tensor:
    """Add up the images of all particles.

    A particle's light is drawn up to four widths of its core from its centre (to the end of its
    ring, where it has one); beyond, it counts as 0.

    Parameters
    ----------
    spots : Spots
        Particles of each image, (images, particles).
    height, width : int
        Size of an image in pixels.

    Returns
    -------
    Tensor
        Photons above the background, float32, (images, height, width).
    """
    canvas = _Canvas(spots.x.shape[0], height, width, spots.x.device)
    ring_end = torch.where(spots.ring_height != 0, spots.ring_radius + 3 * spots.ring_width, 0.0)
    reach = torch.maximum(4 * spots.sigma, ring_end)
    drawn = (spots.peak != 0) & (spots.x > -reach) & (spots.x < width + reach)
    drawn &= (spots.y > -reach) & (spots.y < height + reach)
    # Small and large particles apart: each is drawn on a patch of about its own size.
    nearer = 0
    while bool((drawn & (reach > nearer)).any()):
        farther = max(8, nearer + nearer // 2)
        of_size = drawn & (reach > nearer) & (reach <= farther)
        canvas.add(spots, of_size & (ring_end == 0), farther)
        canvas.add(spots, of_size & (ring_end > 0), farther)
        nearer = farther
    return canvas.image()


class _Canvas:
    """Images that patches of light are added to; what reaches over the border is lost."""

    def __init__(self, images: int, height: int, width: int, device: torch.device) -> None:
        self.height, self.width = height, width
        self.images = images
        self.light = torch.zeros(images * height * width, device=device)

    def add(self, spots: Spots, chosen: Tensor, reach: int) -> None:
        image, place = torch.nonzero(chosen, as_tuple=True)
        if len(image) == 0:
            return
        some = Spots(**{name: values[image, place] for name, values in vars(spots).items()})
        steps = torch.arange(-reach, reach + 1, device=self.light.device)
        column = some.x.round().long()[:, None] + steps
        row = some.y.round().long()[:, None] + steps
        light = _profile(some, column, row)
        light *= ((column >= 0) & (column < self.width))[:, None, :]
        light *= ((row >= 0) & (row < self.height))[:, :, None]
        index = (
            image[:, None, None] * (self.height * self.width)
            + row.clamp(0, self.height - 1)[:, :, None] * self.width
            + column.clamp(0, self.width - 1)[:, None, :]
        )
        self.light.index_add_(0, index.reshape(-1), light.reshape(-1))

    def image(self) -> Tensor:
        return self.light.view(self.images, self.height, self.width)


def _profile(spots: Spots, column: Tensor, row: Tensor) -> Tensor:
    dx = (column - spots.x[:, None]) / spots.stretch[:, None]
    dy = (row - spots.y[:, None]) * spots.stretch[:, None]
    radius_squared = dx[:, None, :] ** 2 + dy[:, :, None] ** 2

    def each(values: Tensor) -> Tensor:
        return values[:, None, None]

    core = torch.exp(
        -((radius_squared / (2 * each(spots.sigma) ** 2)) ** (each(spots.flatness) / 2))
    )
    if not bool((spots.ring_height != 0).any()):
        return each(spots.peak) * core
    distance = torch.sqrt(radius_squared + 1e-6) - each(spots.ring_radius)
    ring = each(spots.ring_height) * torch.exp(-0.5 * (distance / each(spots.ring_width)) ** 2)
    return each(spots.peak) * (core + ring)

"""A batch of images to train on, and where their particles are."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


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
    context : Tensor or None
        Each image between those before and after it, (images, 2 k + 1, height, width); None where
        the images stand alone. The truth is that of the middle frames, which are ``images``.
    """

    images: Tensor
    x: Tensor
    y: Tensor
    present: Tensor
    brightest: Tensor
    context: Tensor | None = None

    @classmethod
    def of_frames(
        cls,
        frames: Tensor,
        x: Tensor,
        y: Tensor,
        present: Tensor,
        brightest: Tensor | None = None,
    ) -> "Scenes":
        """Return the scenes whose images are the middle ones of these frames.

        Parameters
        ----------
        frames : Tensor
            Each image with its neighbours, (images, 2 k + 1, height, width).
        x, y, present : Tensor
            As of the class.
        brightest : Tensor, optional
            As of the class; default: each image is the whole of its video.
        """
        image = frames[:, frames.shape[1] // 2]
        if brightest is None:
            brightest = image.amax(dim=(1, 2))
        context = frames if frames.shape[1] > 1 else None
        return cls(image, x, y, present, brightest, context)

    @property
    def frames(self) -> Tensor:
        """Each image with its neighbours, (images, 2 k + 1, height, width); without, k is 0."""
        return self.images[:, None] if self.context is None else self.context

    def with_frames(self, frames: Tensor) -> "Scenes":
        """Return the batch with other images and, where there are several frames, neighbours."""
        context = frames if frames.shape[1] > 1 else None
        return replace(self, images=frames[:, frames.shape[1] // 2], context=context)

    def of(self, chosen: Tensor) -> "Scenes":
        """Return some of the images, by their numbers."""
        some = {name: values[chosen] for name, values in vars(self).items() if values is not None}
        return Scenes(**some)

    def to(self, device: torch.device) -> "Scenes":
        """Return the batch on a device."""
        there = {
            name: values.to(device) for name, values in vars(self).items() if values is not None
        }
        return Scenes(**there)

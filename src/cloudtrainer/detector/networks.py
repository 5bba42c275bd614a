"""The two networks: the U-Net of versions 2 and 3, and the grid network."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from cloudtrainer.errors import ConfigError


class UNet(nn.Module):
    """U-Net of versions 2.0 and 3.0; its keys load their weights as they are.

    Parameters
    ----------
    channels : sequence of int
        Channels from the frame's resolution down, each twice the one before; 16, 32, 64 has
        483,153 parameters.

    Raises
    ------
    ConfigError
        The channels do not double.
    """

    # It answers every pixel, of frames of any size.
    cell_px = 1
    multiple = 1

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        if any(below != 2 * above for above, below in pairwise(channels)):
            raise ConfigError(
                f"model.unet_channels {channels}: each must be twice the one before, as in 16, 32, "
                "64; the layout of versions 2.0 and 3.0 joins no others"
            )
        self.encoder = nn.ModuleList()
        previous = 1
        for width in channels:
            self.encoder.append(_double_block(previous, width))
            previous = width
        self.bottleneck = _double_block(previous, 2 * previous)
        self.decoder = nn.ModuleList()
        for width in reversed(channels):
            self.decoder.append(nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2))
            self.decoder.append(_double_block(2 * width, width))
        self.final_conv = nn.Conv2d(channels[0], 1, kernel_size=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits of the particle mask, (frames, 1, height, width)."""
        skips = []
        features = frames
        for block in self.encoder:
            features = block(features)
            skips.append(features)
            features = functional.max_pool2d(features, 2)
        features = self.bottleneck(features)
        for upsample, block, skip in zip(
            self.decoder[::2], self.decoder[1::2], reversed(skips), strict=True
        ):
            features = upsample(features)
            if features.shape[-2:] != skip.shape[-2:]:
                features = functional.interpolate(features, size=skip.shape[-2:], mode="nearest")
            features = block(torch.cat([skip, features], dim=1))
        logits: Tensor = self.final_conv(features)
        return logits


class GridNet(nn.Module):
    """U-Net on a grid of half the frame's resolution that answers positions, not masks.

    Each cell of 2 x 2 pixels answers five numbers: the logit of its share of a particle, the
    particle's offset (x, y) from the cell's centre in pixels, and the logarithms of the standard
    errors of the two offsets.

    Parameters
    ----------
    channels : sequence of int
        Channels from half the frame's resolution down.
    """

    cell_px = 2

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.stem = _double_block(self.cell_px**2, channels[0])
        self.down = nn.ModuleList(
            _double_block(above, below) for above, below in pairwise(channels)
        )
        self.up = nn.ModuleList(
            _double_block(above + below, above) for below, above in pairwise(reversed(channels))
        )
        self.head = nn.Conv2d(channels[0], 5, kernel_size=1)
        # A cell rarely holds a particle: start from that, so that the first steps are not lost.
        nn.init.constant_(self.head.bias[:1], -4.0)  # type: ignore[index]

    def forward(self, frames: Tensor) -> Tensor:
        """Return the five numbers of each cell, (frames, 5, height / 2, width / 2).

        Parameters
        ----------
        frames : Tensor
            Normalised frames, (frames, 1, height, width); the sides are multiples of
            ``2 ** (1 + levels)``, see :attr:`multiple`.
        """
        features = self.stem(functional.pixel_unshuffle(frames, self.cell_px))
        skips = []
        for block in self.down:
            skips.append(features)
            features = block(functional.max_pool2d(features, 2))
        for block, skip in zip(self.up, reversed(skips), strict=True):
            features = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([skip, features], dim=1))
        answer: Tensor = self.head(features)
        return answer

    @property
    def multiple(self) -> int:
        """Pixels that the sides of a frame must be a multiple of."""
        return int(self.cell_px * 2 ** len(self.down))


def _double_block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel_size=3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, kernel_size=3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )

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
    errors of the two offsets. What the particles of a frame have in common is summed up over the
    whole frame and told to each cell: see :class:`FrameSummary`.

    Parameters
    ----------
    channels : sequence of int
        Channels from half the frame's resolution down.
    context_frames : int
        Frames before and after each one that are seen with it.
    """

    cell_px = 2

    def __init__(self, channels: list[int], context_frames: int = 0) -> None:
        super().__init__()
        seen = 2 * context_frames + 1
        self.stem = _double_block(seen * self.cell_px**2, channels[0])
        self.down = nn.ModuleList(
            _double_block(above, below) for above, below in pairwise(channels)
        )
        self.up = nn.ModuleList(
            _double_block(above + below, above) for below, above in pairwise(reversed(channels))
        )
        self.summary = FrameSummary(channels)
        self.head = nn.Conv2d(channels[0], 5, kernel_size=1)
        # A cell rarely holds a particle: start from that, so that the first steps are not lost.
        nn.init.constant_(self.head.bias[:1], -4.0)  # type: ignore[index]

    def forward(self, frames: Tensor) -> Tensor:
        """Return the five numbers of each cell, (frames, 5, height / 2, width / 2).

        Parameters
        ----------
        frames : Tensor
            Normalised frames, each with its neighbours in the order of time,
            (frames, 2 context_frames + 1, height, width); the sides are multiples of
            ``2 ** (1 + levels)``, see :attr:`multiple`.
        """
        features = self.stem(functional.pixel_unshuffle(frames, self.cell_px))
        skips = []
        for block in self.down:
            skips.append(features)
            features = block(functional.max_pool2d(features, 2))
        *skips, features = self.summary([*skips, features])
        for block, skip in zip(self.up, reversed(skips), strict=True):
            features = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([skip, features], dim=1))
        answer: Tensor = self.head(features)
        return answer

    @property
    def multiple(self) -> int:
        """Pixels that the sides of a frame must be a multiple of."""
        return int(self.cell_px * 2 ** len(self.down))


class FrameSummary(nn.Module):
    """Tells every place of a frame what its particles have in common.

    Whether a dim spot is a particle depends on how wide and how bright the others are, and how even
    the ground is, which a convolution does not see from far away. Several attention maps choose
    where to look on the coarsest level; the mean of what is seen there scales and shifts the
    channels of every level (Perez et al. 2018, AAAI, "FiLM"). It starts as no change at all.

    Parameters
    ----------
    channels : sequence of int
        Channels of the levels, from the finest down.
    """

    _MAPS, _NUMBERS_A_MAP, _HIDDEN = 4, 8, 64

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.channels = [*channels]
        seen = self._MAPS * self._NUMBERS_A_MAP
        self.attention = nn.Conv2d(channels[-1], self._MAPS, kernel_size=1)
        self.numbers = nn.Conv2d(channels[-1], seen, kernel_size=1)
        self.told = nn.Sequential(
            nn.Linear(seen, self._HIDDEN), nn.ReLU(), nn.Linear(self._HIDDEN, 2 * sum(channels))
        )
        nn.init.zeros_(self.told[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.told[-1].bias)  # type: ignore[arg-type]

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the levels, each (frames, channels, rows, columns), scaled and shifted."""
        coarsest = levels[-1]
        look = self.attention(coarsest).float().flatten(2).softmax(dim=2)
        numbers = self.numbers(coarsest).float().flatten(2)
        numbers = numbers.unflatten(1, (self._MAPS, self._NUMBERS_A_MAP))
        summary = (numbers * look[:, :, None]).sum(dim=3).flatten(1)
        told = self.told(summary)[:, :, None, None].to(coarsest.dtype)
        scales, shifts = told.split([sum(self.channels)] * 2, dim=1)
        each = zip(
            levels,
            scales.split(self.channels, dim=1),
            shifts.split(self.channels, dim=1),
            strict=True,
        )
        return [level * (1 + scale) + shift for level, scale, shift in each]


def _double_block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel_size=3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, kernel_size=3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )

"""Batches to learn from: simulated scenes and crops of labelled videos, made on the device."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cloudtrainer.config import Config
from cloudtrainer.simulation.scenes import Scenes, draw_scenes
from cloudtrainer.training.labelled import LabelledFrames


@dataclass(frozen=True)
class BatchMaker:
    """Draws the batch of a training step; the same step always gives the same batch.

    Attributes
    ----------
    config : Config
        Sizes, shares and limits.
    labelled : LabelledFrames or None
        Frames with labels to cut crops from.
    """

    config: Config
    labelled: LabelledFrames | None

    def draw(self, step: int, device: torch.device) -> Scenes:
        """Return the crops and positions of one step."""
        training = self.config.training
        generator = torch.Generator(device=device)
        generator.manual_seed(training.seed * 1_000_003 + step)
        size = training.batch_size
        if self.labelled is None:
            return draw_scenes(self.config.scenes, size, training.crop_px, generator)
        simulated = round(training.simulated_share * size)
        parts = []
        if simulated:
            parts.append(draw_scenes(self.config.scenes, simulated, training.crop_px, generator))
        if simulated < size:
            crops = self.labelled.crops(size - simulated, training.crop_px, generator)
            parts.append(augment(crops, self.config, generator))
        return join(parts)


class Steps(Dataset[int]):
    """The numbers of an epoch's steps; the batches themselves are made on the device."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> int:
        return step


def augment(crops: Scenes, config: Config, generator: torch.Generator) -> Scenes:
    """Mirror, turn and brighten crops at random; positions move with the pixels."""
    wanted = config.augmentation
    if not wanted.enabled:
        return crops
    images, x, y = crops.images, crops.x, crops.y
    last = images.shape[-1] - 1
    number = len(images)

    def half() -> Tensor:
        return torch.rand(number, generator=generator, device=images.device) < 0.5

    if wanted.flip_lr:
        chosen = half()
        images = torch.where(chosen[:, None, None], images.flip(2), images)
        x = torch.where(chosen[:, None], last - x, x)
    if wanted.flip_ud:
        chosen = half()
        images = torch.where(chosen[:, None, None], images.flip(1), images)
        y = torch.where(chosen[:, None], last - y, y)
    if wanted.rotate:
        chosen = half()
        images = torch.where(chosen[:, None, None], images.transpose(1, 2), images)
        x, y = torch.where(chosen[:, None], y, x), torch.where(chosen[:, None], x, y)
    if wanted.brightness:
        factor = 0.8 + 0.4 * torch.rand(number, 1, 1, generator=generator, device=images.device)
        images = images * factor
    return Scenes(images=images, x=x, y=y, present=crops.present)


def join(parts: list[Scenes]) -> Scenes:
    """Put batches of crops of one size behind each other."""
    most = max(part.x.shape[1] for part in parts)

    def padded(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, most - values.shape[1]))

    return Scenes(
        images=torch.cat([part.images for part in parts]),
        x=torch.cat([padded(part.x) for part in parts]),
        y=torch.cat([padded(part.y) for part in parts]),
        present=torch.cat([padded(part.present) for part in parts]),
    )

"""Batches to learn from: simulated scenes and crops of labelled videos, made on the device."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cloudtrainer.config import Config
from cloudtrainer.detector.context import middle_frames
from cloudtrainer.simulation.backdrop import Backdrop, draw_over
from cloudtrainer.simulation.optics import draw_simulated_scenes
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.simulation.twin import Twin, draw_twin
from cloudtrainer.training.augment import augment, source_side
from cloudtrainer.training.labelled import LabelledFrames


@dataclass(frozen=True)
class Shares:
    """How many crops of a batch come from where."""

    simulated: int
    over_backdrops: int
    new: int
    earlier: int
    of_twins: int = 0


@dataclass(frozen=True)
class BatchMaker:
    """Draws the batch of a training step; the same step always gives the same batch.

    Attributes
    ----------
    config : Config
        Sizes, shares and limits.
    new : LabelledFrames or None
        Labelled frames to learn.
    earlier : LabelledFrames or None
        Labelled frames learned before, to be rehearsed.
    backdrops : list of Backdrop
        Backgrounds of videos without labels to draw simulated particles over.
    twins : list of Twin
        Videos without labels whose particles are simulated as well.
    """

    config: Config
    new: LabelledFrames | None = None
    earlier: LabelledFrames | None = None
    backdrops: list[Backdrop] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)

    def shares(self, step: int) -> Shares:
        """Divide the batch of a step between simulation, new videos and earlier ones.

        Shares that are not whole crops are kept over the steps: half a crop is one in every second.
        """
        before, after = self._shares_until(step), self._shares_until(step + 1)
        return Shares(*(late - early for early, late in zip(before, after, strict=True)))

    def _shares_until(self, step: int) -> tuple[int, int, int, int, int]:
        training = self.config.training
        crops = step * training.batch_size
        simulated = _rounded(training.simulated_share * crops)
        if not self.new and not self.earlier:
            simulated = crops
        labelled = crops - simulated
        of_twins = _rounded(self.config.twin.share * simulated) if self.twins else 0
        simulated -= of_twins
        over_backdrops = _rounded(simulated / 2) if self.backdrops else 0
        earlier = _rounded(training.rehearsal_share * labelled) if self.new else labelled
        earlier = earlier if self.earlier else 0
        return simulated - over_backdrops, over_backdrops, labelled - earlier, earlier, of_twins

    def draw(self, step: int, device: torch.device) -> Scenes:
        """Return the crops and positions of one step."""
        training, scenes = self.config.training, self.config.scenes
        generator = self._generator(step, device)
        context = self.config.model.context_frames
        shares = self.shares(step)
        wide = source_side(self.config.augmentation, training.crop_px)
        margin = (wide - training.crop_px) // 2
        # Labelled crops first: where they are from can then be told from the generator alone.
        labelled = [
            frames.crops(number, training.crop_px, generator, margin, context)
            for frames, number in self._labelled(shares)
        ]
        parts = []
        if labelled:
            crops = join(labelled)
            parts.append(augment(crops, self.config.augmentation, training.crop_px, generator))
        if shares.simulated:
            parts.append(
                draw_simulated_scenes(
                    self.config, shares.simulated, training.crop_px, generator, context
                )
            )
        if shares.over_backdrops:
            parts.append(
                draw_over(
                    self.backdrops[step % len(self.backdrops)],
                    scenes,
                    shares.over_backdrops,
                    training.crop_px,
                    generator,
                    context,
                )
            )
        if shares.of_twins:
            twin = self.twins[step % len(self.twins)]
            parts.append(
                draw_twin(
                    twin, shares.of_twins, training.crop_px, generator, context_frames=context
                )
            )
        return join(parts)

    def describe(self, step: int, device: torch.device) -> str:
        """Say where the crops of a step are from."""
        shares, generator = self.shares(step), self._generator(step, device)
        parts = []
        for frames, number in self._labelled(shares):
            parts.append(", ".join(sorted(set(frames.sources(number, generator)))))
        simulated = shares.simulated + shares.over_backdrops + shares.of_twins
        if simulated:
            parts.append(f"{simulated} simulated crops")
        return "; ".join(parts)

    def _labelled(self, shares: Shares) -> list[tuple[LabelledFrames, int]]:
        """Return what crops of labelled frames are cut from, and how many of each."""
        both = ((self.new, shares.new), (self.earlier, shares.earlier))
        return [(frames, number) for frames, number in both if frames is not None and number]

    def _generator(self, step: int, device: torch.device) -> torch.Generator:
        generator = torch.Generator(device=device)
        # Seeds are numbers of 64 bits.
        return generator.manual_seed((self.config.training.seed * 1_000_003 + step) % (1 << 63))


class Steps(Dataset[int]):
    """The numbers of an epoch's steps; the batches themselves are made on the device."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> int:
        return step


def _rounded(crops: float) -> int:
    """Round to the nearest number, up from the middle: so that a sum never falls as it grows."""
    return math.floor(crops + 0.5)


def join(parts: list[Scenes]) -> Scenes:
    """Put batches of crops of one size behind each other.

    Where some have fewer neighbouring frames, their outermost ones are repeated.
    """
    most = max(part.x.shape[1] for part in parts)

    def padded(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, most - values.shape[1]))

    context = max(part.frames.shape[1] // 2 for part in parts)
    frames = torch.cat([middle_frames(part.frames, context) for part in parts])
    joined = Scenes(
        images=frames[:, context],
        x=torch.cat([padded(part.x) for part in parts]),
        y=torch.cat([padded(part.y) for part in parts]),
        present=torch.cat([padded(part.present) for part in parts]),
        brightest=torch.cat([part.brightest for part in parts]),
    )
    return joined.with_frames(frames)

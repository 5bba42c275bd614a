"""Batches to learn from: simulated scenes and crops of labelled videos, made on the device."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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
from cloudtrainer.training.crops import LabelledFrames

_Video = TypeVar("_Video", Backdrop, Twin)

# Pixels and steps whose batches a GPU draws together.
_PIXELS_AT_ONCE, _MOST_STEPS_AT_ONCE = 1 << 25, 32


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
        return self.draw_several(step, 1, device)[0]

    def draw_several(self, first: int, steps: int, device: torch.device) -> list[Scenes]:
        """Return the crops and positions of each of some steps, drawn together.

        They are others than those that the steps draw one by one.
        """
        training, scenes = self.config.training, self.config.scenes
        generator = self._generator(first, device)
        context = self.config.model.context_frames
        asked = [self.shares(step) for step in range(first, first + steps)]
        wide = source_side(self.config.augmentation, training.crop_px)
        margin = (wide - training.crop_px) // 2
        parts = _Parts()
        # Labelled crops first: where they are from can then be told from the generator alone.
        for frames, numbers in self._labelled(asked):
            crops = frames.crops(sum(numbers), training.crop_px, generator, margin, context)
            parts.add(crops, numbers)
        if parts:
            crops = augment(parts.joined(), self.config.augmentation, training.crop_px, generator)
            parts = _Parts([crops], parts.owners)
        numbers = [shares.simulated for shares in asked]
        if any(numbers):
            drawn = draw_simulated_scenes(
                self.config, sum(numbers), training.crop_px, generator, context
            )
            parts.add(drawn, numbers)
        for backdrop, numbers in _taking_turns(
            self.backdrops, first, [shares.over_backdrops for shares in asked]
        ):
            drawn = draw_over(backdrop, scenes, sum(numbers), training.crop_px, generator, context)
            parts.add(drawn, numbers)
        for twin, numbers in _taking_turns(
            self.twins, first, [shares.of_twins for shares in asked]
        ):
            drawn = draw_twin(
                twin, sum(numbers), training.crop_px, generator, context_frames=context
            )
            parts.add(drawn, numbers)
        return parts.by_step(steps)

    def describe(self, step: int, device: torch.device) -> str:
        """Say where the crops of a step are from."""
        first, steps = drawn_together(self.config, step, device)
        generator = self._generator(first, device)
        parts = []
        for frames, numbers in self._labelled(
            [self.shares(one) for one in range(first, first + steps)]
        ):
            before = sum(numbers[: step - first])
            sources = frames.sources(sum(numbers), generator)
            own = sources[before : before + numbers[step - first]]
            if own:
                parts.append(", ".join(sorted(set(own))))
        shares = self.shares(step)
        simulated = shares.simulated + shares.over_backdrops + shares.of_twins
        if simulated:
            parts.append(f"{simulated} simulated crops")
        return "; ".join(parts)

    def _labelled(self, asked: list[Shares]) -> list[tuple[LabelledFrames, list[int]]]:
        """Return what crops of labelled frames are cut from, and how many for each step."""
        both = (
            (self.new, [shares.new for shares in asked]),
            (self.earlier, [shares.earlier for shares in asked]),
        )
        return [
            (frames, numbers) for frames, numbers in both if frames is not None and any(numbers)
        ]

    def _generator(self, step: int, device: torch.device) -> torch.Generator:
        generator = torch.Generator(device=device)
        # Seeds are numbers of 64 bits.
        return generator.manual_seed((self.config.training.seed * 1_000_003 + step) % (1 << 63))


class BatchStock:
    """The batches of consecutive steps; on a GPU, those of several steps are drawn together.

    A GPU draws the scenes of many steps in the time that those of one take: it waits for each of
    the many small orders that they are made of.

    Parameters
    ----------
    batches : BatchMaker
        What draws them.
    """

    def __init__(self, batches: BatchMaker) -> None:
        self.batches = batches
        self._first = -1
        self._held: list[Scenes] = []

    def take(self, step: int, device: torch.device) -> Scenes:
        """Return the batch of a step; the same step always gives the same one on a device."""
        first, steps = drawn_together(self.batches.config, step, device)
        if steps == 1:
            return self.batches.draw(step, device)
        if first != self._first or not self._held:
            self._held = []
            self._held = self.batches.draw_several(first, steps, device)
            self._first = first
        return self._held[step - first]


def drawn_together(config: Config, step: int, device: torch.device) -> tuple[int, int]:
    """Return the first step, and how many, whose batches are drawn together with a step's."""
    if device.type == "cpu":
        return step, 1
    training = config.training
    frames = 2 * config.model.context_frames + 1
    pixels = training.batch_size * training.crop_px**2 * frames
    steps = min(max(1, _PIXELS_AT_ONCE // pixels), _MOST_STEPS_AT_ONCE)
    return step - step % steps, steps


@dataclass
class _Parts:
    """Crops of several kinds, and the step (from 0) that each crop is for."""

    crops: list[Scenes] = field(default_factory=list)
    owners: list[Tensor] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.crops)

    def add(self, crops: Scenes, numbers: list[int]) -> None:
        self.crops.append(crops)
        self.owners.append(
            torch.repeat_interleave(torch.arange(len(numbers)), torch.tensor(numbers))
        )

    def joined(self) -> Scenes:
        return join(self.crops)

    def by_step(self, steps: int) -> list[Scenes]:
        owners, crops = torch.cat(self.owners), self.joined()
        device = crops.images.device
        return [crops.of(torch.nonzero(owners == step)[:, 0].to(device)) for step in range(steps)]


class Steps(Dataset[int]):
    """The numbers of an epoch's steps; the batches themselves are made on the device."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> int:
        return step


def _taking_turns(
    videos: Sequence[_Video], first: int, numbers: list[int]
) -> Iterator[tuple[_Video, list[int]]]:
    """Give each step's crops to one of the videos, in turn: how many of which steps are its."""
    for place, video in enumerate(videos):
        own = [
            number if (first + step) % len(videos) == place else 0
            for step, number in enumerate(numbers)
        ]
        if any(own):
            yield video, own


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
    return Scenes.of_frames(
        frames,
        x=torch.cat([padded(part.x) for part in parts]),
        y=torch.cat([padded(part.y) for part in parts]),
        present=torch.cat([padded(part.present) for part in parts]),
        brightest=torch.cat([part.brightest for part in parts]),
    )

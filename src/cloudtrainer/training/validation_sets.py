"""What a model is scored on: held-out frames, and scenes that no training learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cloudtrainer.config import Config
from cloudtrainer.simulation.optics import draw_simulated_scenes
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.simulation.twin import Twin, draw_twin
from cloudtrainer.training.crops import held_out_frames
from cloudtrainer.training.labelled import LabelledVideo

SIMULATED = "simulated scenes"
Kind = Literal["new", "earlier", "simulated", "twin"]

# Far from any seed that a training step uses.
_SEED = 1 << 40
# Frames of one video, frames of all, and pixels of all, which are held in memory.
_LEAST_FRAMES, _MOST_FRAMES, _MOST_PIXELS = 4, 200, 100_000_000
_SIMULATED_BATCHES, _SIMULATED_IMAGES, _SIMULATED_SIDE_PX = 8, 8, 128


@dataclass(frozen=True)
class ValidationSet:
    """Frames that no training learns from.

    Attributes
    ----------
    name : str
        The video, or "simulated scenes".
    kind : {"new", "earlier", "simulated", "twin"}
        Whether the model continued had learned the video before; or what is simulated.
    scenes : list of Scenes
        The frames in parts, with the truth.
    """

    name: str
    kind: Kind
    scenes: list[Scenes]


def validation_sets(
    config: Config,
    new: list[LabelledVideo],
    earlier: list[LabelledVideo],
    *,
    as_filmed: bool = False,
    context_frames: int | None = None,
    twins: Sequence[Twin] = (),
) -> list[ValidationSet]:
    """Return what every run of these settings is scored on: held-out frames, and fixed scenes.

    Parameters
    ----------
    config : Config
        The settings; simulated scenes are left out where none are learned from.
    new, earlier : list of LabelledVideo
        The labelled videos.
    as_filmed : bool
        Leave dark particles dark, for models of versions 2.0 and 3.0.
    context_frames : int, optional
        Frames before and after each, where models of other settings are scored too; default: those
        of the settings. A model that sees fewer is shown the middle ones.
    twins : sequence of Twin
        Twins of videos that are learned from.
    """
    context = config.model.context_frames if context_frames is None else context_frames
    videos: list[tuple[LabelledVideo, Kind]] = [(video, "new") for video in new]
    videos += [(video, "earlier") for video in earlier]
    sets = [
        ValidationSet(
            video.name,
            kind,
            held_out_frames(
                video,
                _most_frames(video, len(videos), context),
                as_filmed=as_filmed,
                context_frames=context,
            ),
        )
        for video, kind in videos
        if video.scores
    ]
    sets += [scenes_of_twin(twin, config, context) for twin in twins]
    if sets and config.training.simulated_share == 0:
        return sets
    generator = torch.Generator().manual_seed(_SEED + config.training.seed)
    scenes = [
        draw_simulated_scenes(config, _SIMULATED_IMAGES, _SIMULATED_SIDE_PX, generator, context)
        for _ in range(_SIMULATED_BATCHES)
    ]
    return [*sets, ValidationSet(SIMULATED, "simulated", scenes)]


def scenes_of_twin(twin: Twin, config: Config, context_frames: int | None = None) -> ValidationSet:
    """Return scenes as a video is, that no training learns from; neighbours as the settings ask."""
    context = config.model.context_frames if context_frames is None else context_frames
    generator = torch.Generator().manual_seed(_SEED + config.training.seed + 1)
    here = twin.to(torch.device("cpu"))
    scenes = [
        draw_twin(here, _SIMULATED_IMAGES, _SIMULATED_SIDE_PX, generator, 0.0, context)
        for _ in range(_SIMULATED_BATCHES)
    ]
    return ValidationSet(f"twin of {twin.name}", "twin", scenes)


def _most_frames(video: LabelledVideo, videos: int, context_frames: int) -> int:
    pixels = max(1, video.images[0].size * (2 * context_frames + 1))
    most = min(_MOST_FRAMES // videos, _MOST_PIXELS // (pixels * videos))
    return max(_LEAST_FRAMES, most)


@dataclass(frozen=True)
class EpochPart:
    """A part of the validation data that is scored after each epoch.

    Attributes
    ----------
    scenes : Scenes
        The images and the truth.
    weight : float
        Its share of the validation loss: every set counts as much as any other.
    """

    scenes: Scenes
    weight: float


def parts_of_an_epoch(sets: list[ValidationSet], most: int = 64) -> list[EpochPart]:
    """Return parts of the validation data for each epoch, at most as many of a set as of others.

    All of it would take longer than the epoch where a lab has many videos.
    """
    each = max(1, most // len(sets))
    chosen = []
    for one in sets:
        places = np.linspace(0, len(one.scenes) - 1, min(each, len(one.scenes))).astype(int)
        weight = 1 / (len(sets) * len(np.unique(places)))
        chosen += [EpochPart(one.scenes[place], weight) for place in np.unique(places)]
    return chosen

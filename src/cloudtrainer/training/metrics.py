"""Scores of an epoch: of the masks, as version 3.0 had them, and of the detections."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.context import middle_frames
from cloudtrainer.detector.networks import UNet
from cloudtrainer.detector.targets import disc_masks, grid_loss, grid_targets, mask_loss
from cloudtrainer.evaluation import DetectionScore, score_detections
from cloudtrainer.simulation.scenes import Scenes

# A particle is shared between four cells: the one that holds most of it has at least a quarter.
_CELL_OF_A_PARTICLE = 0.25
# Stands for the position error where nothing was found.
_NOTHING_FOUND_PX = 10.0


@dataclass(frozen=True)
class Looked:
    """What a detector answered to a batch, and what it should have."""

    answer: Tensor
    seen: Tensor
    loss: Tensor
    probability: Tensor
    target: Tensor
    level: float


def look(detector: ParticleDetector, scenes: Scenes) -> Looked:
    """Run a detector on a batch and hold its answer against the truth."""
    context = detector.context_frames
    stacks = detector.normalise(middle_frames(scenes.frames, context), scenes.brightest)
    answer = detector.answer(stacks)
    seen = stacks[:, context]
    if isinstance(detector.model, UNet):
        height, width = scenes.images.shape[-2:]
        radius = detector.config.data.particle_radius
        masks = disc_masks(scenes.x, scenes.y, scenes.present, height, width, radius)
        logits = answer[:, 0]
        return Looked(answer, seen, mask_loss(logits, masks), torch.sigmoid(logits), masks, 0.5)
    share, offset, taught = grid_targets(scenes.x, scenes.y, scenes.present, *answer.shape[-2:])
    loss = grid_loss(answer, share, offset, taught)
    probability = torch.sigmoid(answer[:, 0])
    return Looked(answer, seen, loss, probability, share, _CELL_OF_A_PARTICLE)


def detections(detector: ParticleDetector, scenes: Scenes, looked: Looked) -> pd.DataFrame:
    """Return what the detector finds in a batch, at its own threshold."""
    # Each image of a batch looks its own way: a common appearance would say nothing.
    return detector.read(looked.answer, scenes.images, looked.seen, fit=False)


@dataclass
class EpochScores:
    """Collects the batches of an epoch.

    Attributes
    ----------
    gate_px : float
        Distance within which a detection is right, in pixels.
    """

    gate_px: float
    _losses: list[Tensor] = field(default_factory=list)
    _weights: list[float] = field(default_factory=list)
    _masks: list[Tensor] = field(default_factory=list)
    _found: list[pd.DataFrame] = field(default_factory=list)
    _truth: list[pd.DataFrame] = field(default_factory=list)
    _images: int = 0

    def add_loss(self, loss: Tensor, weight: float = 1.0) -> None:
        """Count the loss of a batch, as much as its weight."""
        self._losses.append(loss.detach())
        self._weights.append(weight)

    def add(self, detector: ParticleDetector, scenes: Scenes, looked: Looked) -> None:
        """Score the masks and the detections of a batch."""
        self._masks.append(_mask_scores(looked))
        found, truth = detections(detector, scenes, looked), truth_table(scenes)
        self._found.append(found.assign(frame=found["frame"] + self._images))
        self._truth.append(truth.assign(frame=truth["frame"] + self._images))
        self._images += len(scenes.images)

    def numbers(self) -> dict[str, float]:
        """Return the scores of the epoch by name."""
        scores = {}
        if self._losses:
            losses = torch.stack(self._losses).double().cpu().numpy()
            scores["loss"] = float(np.average(losses, weights=self._weights))
        if self._masks:
            masks = torch.stack(self._masks).mean(dim=0).tolist()
            scores |= dict(zip(("mask_f1", "dice", "iou"), masks, strict=True))
            scores |= named(
                score_detections(
                    pd.concat(self._found, ignore_index=True),
                    pd.concat(self._truth, ignore_index=True),
                    self.gate_px,
                )
            )
        return scores


def named(score: DetectionScore) -> dict[str, float]:
    """Return the scores of detections by the names they are logged under."""
    return {
        "f1": score.f1,
        "precision": score.precision,
        "recall": score.recall,
        "rmse_px": score.rmse_px if score.matched else _NOTHING_FOUND_PX,
    }


def truth_table(scenes: Scenes) -> pd.DataFrame:
    """Return the positions of a batch as a table ``frame, x, y``; ``frame`` is the image."""
    frame, place = torch.nonzero(scenes.present, as_tuple=True)
    return pd.DataFrame(
        {
            "frame": frame.cpu().numpy().astype(np.int64),
            "x": scenes.x[frame, place].cpu().numpy(),
            "y": scenes.y[frame, place].cpu().numpy(),
        }
    )


def _mask_scores(looked: Looked) -> Tensor:
    """Return F1 and IoU of the masks above a level, and Dice of the probabilities themselves."""
    probability, target = looked.probability.detach(), looked.target
    wanted = (target >= looked.level).long().flatten()
    guessed = (probability >= looked.level).long().flatten()
    dice = (2 * (probability * target).sum() + 1) / ((probability**2).sum() + (target**2).sum() + 1)
    return torch.stack(
        [
            binary_f1_score(guessed, wanted, validate_args=False, zero_division=1.0),
            dice,
            binary_jaccard_index(guessed, wanted, validate_args=False, zero_division=1.0),
        ]
    )

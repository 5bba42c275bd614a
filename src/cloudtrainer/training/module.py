"""The detector as Lightning trains it."""

import math
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.networks import UNet
from cloudtrainer.detector.normalise import by_noise
from cloudtrainer.detector.targets import (
    disc_masks,
    grid_loss,
    grid_targets,
    mask_loss,
)
from cloudtrainer.evaluation import score_detections
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.batches import BatchMaker

GATE_PX = 2.0


class TrainableDetector(ParticleDetector, LightningModule):  # type: ignore[misc]
    """A `ParticleDetector` with its loss, its optimizer and its validation.

    Parameters
    ----------
    config : Config
        The settings.
    batches : BatchMaker
        What it learns from.
    validation : list of Scenes
        Batches that it is scored on after each epoch.
    """

    def __init__(self, config: Config, batches: BatchMaker, validation: list[Scenes]) -> None:
        super().__init__(config)
        self.batches = batches
        self.validation = validation
        self.save_hyperparameters({"config": config.to_dict(), "normalisation": "noise"})

    def training_step(self, step_in_epoch: int, batch_idx: int) -> Tensor:
        """Return the loss of the batch that belongs to this step."""
        with torch.autocast(self.device.type, enabled=False):
            scenes = self.batches.draw(self.global_step, self.device)
        loss = self._loss(scenes)
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=1)
        return loss

    def validation_step(self, number: int, batch_idx: int) -> None:
        """Score one validation batch at the model's own threshold."""
        scenes = _on(self.validation[int(number)], self.device)
        self.log("val_loss", self._loss(scenes), prog_bar=True, batch_size=1)
        found = self.detect(scenes.images.cpu().numpy())
        score = score_detections(found, truth_table(scenes), GATE_PX)
        self.log_dict(
            {
                "val_f1": score.f1,
                "val_precision": score.precision,
                "val_recall": score.recall,
                "val_rmse_px": score.rmse_px if score.matched else 10.0,
            },
            prog_bar=True,
            batch_size=1,
        )

    def configure_optimizers(self) -> Any:
        """Return AdamW with a short warm-up and a cosine descent over the whole run."""
        settings = self.config.training
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=1e-4
        )
        steps = settings.epochs * settings.steps_per_epoch
        warm_up = min(200, max(1, steps // 10))

        def share(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            done = (step - warm_up) / max(1, steps - warm_up)
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _loss(self, scenes: Scenes) -> Tensor:
        seen = by_noise(scenes.images)[:, None]
        answer = self.answer(seen)
        if isinstance(self.model, UNet):
            masks = disc_masks(
                scenes.x,
                scenes.y,
                scenes.present,
                scenes.images.shape[-2],
                scenes.images.shape[-1],
                self.config.data.particle_radius,
            )
            return mask_loss(answer[:, 0], masks)
        share, offset, taught = grid_targets(scenes.x, scenes.y, scenes.present, *answer.shape[-2:])
        return grid_loss(answer, share, offset, taught)


def truth_table(scenes: Scenes) -> pd.DataFrame:
    """Return the positions of a batch as a table ``frame, x, y``; ``frame`` is the image."""
    frame, place = torch.nonzero(scenes.present, as_tuple=True)
    return pd.DataFrame(
        {
            "frame": frame.cpu().numpy(),
            "x": scenes.x[frame, place].cpu().numpy(),
            "y": scenes.y[frame, place].cpu().numpy(),
        }
    )


def _on(scenes: Scenes, device: torch.device) -> Scenes:
    return Scenes(**{name: values.to(device) for name, values in vars(scenes).items()})

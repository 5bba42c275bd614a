"""The detector as Lightning trains it."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.module import Normalisation
from cloudtrainer.errors import TrainingError
from cloudtrainer.training.batches import BatchMaker, BatchStock
from cloudtrainer.training.metrics import EpochScores, look
from cloudtrainer.training.validation_sets import EpochPart

# Detections are decoded in this many batches of an epoch of training; in all of validation.
_BATCHES_SCORED = 8
# A loss is looked at on the host this often: on a GPU each look waits for the device.
_STEPS_UNWATCHED = 20


class TrainableDetector(ParticleDetector, LightningModule):  # type: ignore[misc]
    """A `ParticleDetector` with its loss, its optimizer and its validation.

    Parameters
    ----------
    config : Config
        The settings.
    batches : BatchMaker
        What it learns from.
    validation : list of EpochPart
        What it is scored on after each epoch.
    normalisation : {"noise", "video_maximum"}
        How frames are normalised; models of versions 2.0 and 3.0 keep theirs.
    optimizer_state : dict, optional
        State of the optimizer of the model that is continued; left out where it does not fit.
    """

    def __init__(
        self,
        config: Config,
        batches: BatchMaker,
        validation: list[EpochPart],
        *,
        normalisation: Normalisation = "noise",
        optimizer_state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(config, normalisation=normalisation)
        self.batches = batches
        self._stock = BatchStock(batches)
        self.validation = validation
        self.history: dict[str, list[float]] = {}
        self._optimizer_state = optimizer_state
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._learned = EpochScores(config.training.gate_px)
        self._validated = EpochScores(config.training.gate_px)
        self._first_bad: Tensor | None = None
        self.save_hyperparameters({"config": config.to_dict(), "normalisation": normalisation})

    def training_step(self, step_in_epoch: int, batch_idx: int) -> Tensor:
        """Return the loss of the batch that belongs to this step."""
        step = self._step_of_this_process()
        with torch.autocast(self.device.type, enabled=False):
            scenes = self._stock.take(step, self.device)
        looked = look(self, scenes)
        self._watch(looked.loss.detach(), step, batch_idx)
        self._learned.add_loss(looked.loss)
        apart = max(1, self.config.training.steps_per_epoch // _BATCHES_SCORED)
        if batch_idx % apart == 0:
            # Positions that are no numbers cannot be scored.
            self._raise_if_bad()
            self._learned.add(self, scenes, looked)
        self.log("train_loss_step", looked.loss, on_step=True, on_epoch=False, batch_size=1)
        return looked.loss

    def validation_step(self, number: int, batch_idx: int) -> None:
        """Score one validation batch at the model's own threshold."""
        part = self.validation[int(number)]
        scenes = part.scenes.to(self.device)
        looked = look(self, scenes)
        self._validated.add_loss(looked.loss, part.weight)
        self._validated.add(self, scenes, looked)

    def on_train_epoch_start(self) -> None:
        """Begin the scores of the epoch anew."""
        self._learned = EpochScores(self.config.training.gate_px)
        self._first_bad = None

    def on_validation_epoch_start(self) -> None:
        """Begin the scores of the validation anew."""
        self._validated = EpochScores(self.config.training.gate_px)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the epoch, keep them, and lower the learning rate at a plateau."""
        self._raise_if_bad()
        scores = {f"train_{name}": value for name, value in self._learned.numbers().items()}
        scores |= {f"val_{name}": value for name, value in self._validated.numbers().items()}
        scores = self._agreed(scores)
        if not math.isfinite(scores["val_loss"]):
            raise TrainingError(
                f"the validation loss of epoch {self.current_epoch + 1} is not a number; "
                + _advice(self.config)
            )
        shown = {"train_loss", "val_loss", "val_f1", "val_rmse_px"}
        for name, value in scores.items():
            self.log(name, value, prog_bar=name in shown, batch_size=1)
        rate = float(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        for name, value in {**scores, "learning_rate": rate}.items():
            self.history.setdefault(name, []).append(value)
        if self._plateau is not None:
            self._plateau.step(scores["val_loss"])

    def configure_optimizers(self) -> Any:
        """Return AdamW with the schedule of the settings.

        ``cosine``: a short warm-up, then a cosine descent over the whole run. ``plateau``: constant
        until the validation loss no longer falls; it is stepped and saved here, since Lightning
        writes its checkpoints before it steps a plateau, which a resumed run would then miss.
        """
        settings = self.config.training
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=1e-4
        )
        if self._optimizer_state is not None:
            _continue_optimizer(optimizer, self._optimizer_state)
        if settings.schedule == "plateau":
            self._plateau = ReduceLROnPlateau(
                optimizer,
                factor=settings.plateau_factor,
                patience=settings.plateau_patience,
                threshold=settings.plateau_threshold,
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
            return optimizer
        steps = settings.epochs * settings.steps_per_epoch
        warm_up = min(200, max(1, steps // 10))

        def share(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            done = (step - warm_up) / max(1, steps - warm_up)
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        schedule = LambdaLR(optimizer, share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not save: the history of the scores, and the plateau."""
        checkpoint["history"] = self.history
        if self._plateau is not None:
            state = self._plateau.state_dict()
            checkpoint["plateau"] = {
                name: value
                for name, value in state.items()
                if isinstance(value, int | float | str | bool | list)
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the history and the plateau of the run that is continued."""
        self.history = checkpoint.get("history", {})
        self._plateau_state = checkpoint.get("plateau")

    def _step_of_this_process(self) -> int:
        trainer = self._trainer
        if trainer is None:
            return 0
        return int(trainer.global_step) * trainer.world_size + trainer.global_rank

    def _agreed(self, scores: dict[str, float]) -> dict[str, float]:
        """Return the mean over all processes, so that all take the same decisions."""
        trainer = self._trainer
        if trainer is None or trainer.world_size == 1:
            return scores
        values = torch.tensor(list(scores.values()), dtype=torch.float64, device=self.device)
        mean = self.all_gather(values).mean(dim=0).tolist()  # type: ignore[union-attr]
        return dict(zip(scores, mean, strict=True))

    def _watch(self, loss: Tensor, step: int, batch_idx: int) -> None:
        """Remember the first step whose loss is not a number, and stop soon after it."""
        now = torch.where(torch.isfinite(loss), -1, step)
        earlier = self._first_bad
        self._first_bad = now if earlier is None else torch.where(earlier >= 0, earlier, now)
        alone = self._trainer is None or self._trainer.world_size == 1
        if (
            alone and loss.device.type == "cpu"
        ) or batch_idx % _STEPS_UNWATCHED == _STEPS_UNWATCHED - 1:
            self._raise_if_bad()

    def _raise_if_bad(self) -> None:
        if self._first_bad is None:
            return
        trainer = self._trainer
        if trainer is not None and trainer.world_size > 1:
            # All stop, or those that go on would wait for the one that stopped.
            step = int(self.all_gather(self._first_bad).max())  # type: ignore[union-attr]
        else:
            step = int(self._first_bad)
        if step < 0:
            return
        raise TrainingError(
            f"the loss of step {step} (epoch {self.current_epoch + 1}) is not a number; its batch: "
            f"{self.batches.describe(step, self.device)}. {_advice(self.config)}"
        )


def _continue_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over the moments of an earlier Adam where they are those of the same parameters."""
    own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = state.get("state")
    if not isinstance(moments, dict) or set(moments) != set(range(len(own))):
        return
    for number, parameter in enumerate(own):
        entry = moments[number]
        fits = isinstance(entry, dict) and all(
            isinstance(entry.get(name), Tensor) and entry[name].shape == parameter.shape
            for name in ("exp_avg", "exp_avg_sq")
        )
        fits = fits and "step" in entry
        if not fits:
            return
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _advice(config: Config) -> str:
    return (
        "The last good state is kept. Try a lower learning rate "
        f"(training.learning_rate={config.training.learning_rate / 4:.1g}); if it happens again, "
        "look for labels or pixels that are wrong in the videos named"
    )

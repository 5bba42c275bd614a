"""How far a training is, written where the page reads it."""

import math
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from cloudtrainer.atomic import write_json
from cloudtrainer.studio.jobs import Job

_EVERY_S = 1.0


class ProgressFile(Callback):
    """Writes epoch, step, scores and the time left; stops the training when that is asked for.

    Parameters
    ----------
    job : Job
        The training.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.member = 0
        self.history: dict[str, list[float | None]] = {}
        self._begun = self._written = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; of an ensemble, for each member anew."""
        self.member += 1
        self._begun, self._first_step = time.monotonic(), trainer.global_step
        self._keep_history(pl_module)
        self._write(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """Tell how far it is, once a second."""
        now = time.monotonic()
        if now - self._written >= _EVERY_S:
            self._stop_if_asked()
            self._write(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the scores of the epoch."""
        self._keep_history(pl_module)
        self._write(trainer, epochs_done=trainer.current_epoch + 1)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.job.stop_is_asked:
            raise KeyboardInterrupt

    def _keep_history(self, module: LightningModule) -> None:
        # JSON knows no NaN.
        self.history = {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in getattr(module, "history", {}).items()
        }

    def _write(self, trainer: Trainer, epochs_done: int | None = None) -> None:
        steps = int(trainer.num_training_batches)
        epochs = int(trainer.max_epochs or 0)
        done = trainer.global_step if epochs_done is None else epochs_done * steps
        here = time.monotonic()
        rate = (done - self._first_step) / max(1e-3, here - self._begun)
        self._written = here
        write_json(
            self.job.folder / "progress.json",
            {
                "epoch": min(epochs, done // steps + 1),
                "epochs": epochs,
                "done": done,
                "total": epochs * steps,
                "member": self.member,
                "seconds_left": (epochs * steps - done) / rate if rate > 0 else None,
                "history": self.history,
            },
        )

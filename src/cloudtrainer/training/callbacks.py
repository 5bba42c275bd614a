"""What happens beside the training steps: the newest state on disk, a line for each epoch."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from cloudtrainer.config import Config

_CHATTER = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


class LastCheckpoint(Callback):
    """Keeps ``last.ckpt`` the newest state, and beside it whether its run was finished."""

    def __init__(self, logs: Path, config: Config) -> None:
        self.logs = logs
        self.config = config

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state after each epoch, under a temporary name that is then renamed."""
        unfinished = self.logs / "last.ckpt.part"
        trainer.save_checkpoint(unfinished)
        unfinished.replace(self.logs / "last.ckpt")
        self._note(finished=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the run is done, so that the next one does not continue it."""
        if not trainer.interrupted:
            self._note(finished=True)

    def _note(self, *, finished: bool) -> None:
        state = {"finished": finished, "config": self.config.to_dict()}
        unfinished = self.logs / "last_run.json.part"
        unfinished.write_text(json.dumps(state), encoding="utf-8")
        unfinished.replace(self.logs / "last_run.json")


class EpochLines(Callback):
    """Prints a line for each epoch, which stays where a progress bar vanishes."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the scores of the epoch."""
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"loss {scores['val_loss']:.3f}, F1 {scores['val_f1']:.3f}, "
            f"position error {scores['val_rmse_px']:.3f} px on validation data",
            flush=True,
        )


def unfinished_run(logs: Path, config: Config) -> Path | None:
    """Return the checkpoint of an interrupted run of the same settings, if there is one."""
    checkpoint, note = logs / "last.ckpt", logs / "last_run.json"
    if not checkpoint.is_file() or not note.is_file():
        return None
    state = json.loads(note.read_text(encoding="utf-8"))
    same = state["config"] == config.to_dict()
    return checkpoint if same and not state["finished"] else None


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's deprecations, device lines and advice off the user's screen."""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

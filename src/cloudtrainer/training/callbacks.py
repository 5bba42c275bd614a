"""What a person sees while a training runs."""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from tqdm import tqdm

_LONGEST_EPOCH_MIN = 5.0
_CHATTER = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


class EpochBar(TQDMProgressBar):
    """Shows the steps of an epoch and the scores of the one before, on one line."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return the scores, without the number of the log."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    def on_train_epoch_start(self, trainer: Trainer, *rest: Any) -> None:
        """Count the epochs from 1, as the lines do that stay."""
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        )


def can_show_a_bar() -> bool:
    """Tell whether a line can be rewritten: in a terminal or a notebook, not in a file."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class EpochLines(Callback):
    """Prints a line for each epoch, which stays where a progress bar vanishes."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the scores of the epoch."""
        if not trainer.is_global_zero:
            return
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        # Over a bar that is being drawn, a plain print would be written into it.
        tqdm.write(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"loss {scores['train_loss']:.3f}, on validation data {scores['val_loss']:.3f}, "
            f"F1 {scores['val_f1']:.3f}, position error {scores['val_rmse_px']:.3f} px"
        )


class LongEpochs(Callback):
    """Says where an epoch takes so long that much is lost when the run is killed within it.

    Parameters
    ----------
    say : callable
        Told, in a sentence.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.begun: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.begun = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Speak once, after the first epoch."""
        if self.begun is None:
            return
        minutes = (time.monotonic() - self.begun) / 60
        if minutes > _LONGEST_EPOCH_MIN and trainer.is_global_zero:
            steps = max(1, int(trainer.num_training_batches * _LONGEST_EPOCH_MIN / minutes))
            self.say(
                f"An epoch takes {minutes:.0f} min, and the state is saved after each: with "
                f"--set training.steps_per_epoch={steps} less is lost when a run is killed."
            )
        self.begun = None


class TimeToGo(Callback):
    """Says, after an epoch, how long an ensemble takes.

    Parameters
    ----------
    more_members : int
        Members that are trained behind this one, with as many epochs.
    say : callable
        Told, in a sentence.
    """

    def __init__(self, more_members: int, say: Callable[[str], None]) -> None:
        self.more_members = more_members
        self.say = say
        self.begun: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.begun = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Speak once, after the first epoch."""
        if self.begun is None:
            return
        epochs = int(trainer.max_epochs or 0)
        left = epochs - trainer.current_epoch - 1 + epochs * self.more_members
        if left and trainer.is_global_zero:
            self.say(
                "About "
                f"{time_in_words((time.monotonic() - self.begun) * left)} to go for all members; "
                "less where one stops early."
            )
        self.begun = None


def time_in_words(seconds: float) -> str:
    """Return a time as a person would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


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

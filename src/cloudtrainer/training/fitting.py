"""Teaching a detector: the Lightning trainer, its states on disk, and going on after a halt."""

import errno
import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.precision import processor_is_faster_in_bfloat16
from cloudtrainer.errors import ConfigError, TrainingError, WorkspaceError
from cloudtrainer.training.batches import BatchMaker, Steps
from cloudtrainer.training.callbacks import (
    EpochBar,
    EpochLines,
    LongEpochs,
    can_show_a_bar,
    quiet_lightning,
)
from cloudtrainer.training.checkpoints import (
    AtomicCheckpoints,
    Checkpoints,
    SavedRun,
    saved_run,
)
from cloudtrainer.training.module import TrainableDetector
from cloudtrainer.training.processes import is_first_process
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation_sets import EpochPart

_STOPPED = "Stopped. Give the same command again to go on from the last epoch."
_STOPPED_FOR_GOOD = "Stopped. Nothing was kept: the same command begins anew."
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Fitting:
    """One run of training.

    Parameters
    ----------
    config : Config
        The settings.
    batches : BatchMaker
        What is learned from.
    validation : list of EpochPart
        What each epoch is scored on.
    start : Start
        The model that the run begins with.
    logs : Path, optional
        Folder for states and metrics; None: nothing is written.
    purpose : dict
        What tells the run from others.
    unfinished : SavedRun, optional
        A run to continue.
    members : tuple of str
        Runs of the members of an ensemble that are finished; this one is the next.
    callbacks : sequence of Callback
        What else is to happen while it runs.
    progress_bar : bool
        Show the epoch's progress and metrics.
    say : callable
        Told, in a sentence, what the user must know while it runs.
    """

    def __init__(
        self,
        config: Config,
        batches: BatchMaker,
        validation: list[EpochPart],
        start: Start,
        *,
        logs: Path | None = None,
        purpose: dict[str, Any] | None = None,
        unfinished: SavedRun | None = None,
        members: tuple[str, ...] = (),
        callbacks: Sequence[Callback] = (),
        progress_bar: bool = True,
        say: Callable[[str], None] = print,
    ) -> None:
        self.config = config
        self.batches = batches
        self.validation = validation
        self.start = start
        self.logs = logs
        self.purpose = purpose or {}
        self.unfinished = unfinished
        self.members = members
        self.callbacks = callbacks
        self.progress_bar = progress_bar
        self.say = say
        if unfinished is not None:
            self.run = unfinished.name
        else:
            self.run = f"{members[0]}_member_{len(members) + 1}" if members else _new_name(logs)

    def train(self) -> tuple[ParticleDetector, dict[str, list[float]]]:
        """Teach the detector; return it as it was at its lowest validation loss, and the history.

        Where the device's memory does not hold a batch, the batch is halved and the run goes on
        from its last state.

        Raises
        ------
        ConfigError
            Devices and strategy do not work together, or not on this machine.
        TrainingError
            The loss is not a number any more, or not even one crop fits into memory.
        WorkspaceError
            A state cannot be written.
        """
        if self.unfinished is not None and self.unfinished.trained_out:
            return self._result(None)
        size = self.unfinished.batch_size if self.unfinished else 0
        size = size or self.config.training.batch_size
        while True:
            try:
                return self._result(self._try(size))
            except torch.OutOfMemoryError as error:
                size = self._halved(size, error)
            except RuntimeError as error:
                if "not enough memory" not in str(error):
                    raise
                size = self._halved(size, error)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if self.logs is not None:
                run = saved_run(self.logs)
                self.unfinished = run if run is not None and run.name == self.run else None

    def _halved(self, size: int, error: Exception) -> int:
        if self.config.training.devices * self.config.training.num_nodes > 1:
            raise TrainingError(
                f"the memory of a device does not hold a batch of {size} crops; on several devices "
                f"the batch is not halved by itself: give --batch-size {max(1, size // 2)}"
            ) from error
        if size < 2:
            raise TrainingError(
                "the device's memory does not hold a single crop; make training.crop_px smaller"
            ) from error
        self.say(
            f"The device's memory does not hold a batch of {size} crops: going on with {size // 2}."
        )
        return size // 2

    def _try(self, batch_size: int) -> TrainableDetector:
        seed_everything(self.config.training.seed % 2**32, verbose=False)
        config = self.config.model_copy(deep=True)
        config.training.batch_size = batch_size
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        twins = [twin.to(device) for twin in self.batches.twins]
        batches = replace(self.batches, config=config, twins=twins)
        module = TrainableDetector(
            self.config,
            batches,
            self.validation,
            normalisation=self.start.normalisation,
            optimizer_state=self.start.optimizer,
        )
        if self.start.detector is not None:
            module.model.load_state_dict(self.start.detector.model.state_dict())
        with quiet_lightning():
            try:
                trainer = self._trainer(batch_size)
            except (ValueError, MisconfigurationException) as error:
                raise ConfigError(
                    "training.devices, training.num_nodes or training.strategy do not work here: "
                    f"{str(error).splitlines()[0]}"
                ) from None
            try:
                trainer.fit(
                    module,
                    DataLoader(Steps(self.config.training.steps_per_epoch), batch_size=None),
                    DataLoader(Steps(len(self.validation)), batch_size=None),
                    ckpt_path=self.unfinished.last if self.unfinished else None,
                    weights_only=True,
                )
            except (SystemExit, KeyboardInterrupt):
                self.say(_STOPPED if self.logs is not None else _STOPPED_FOR_GOOD)
                # Lightning ends the interpreter on Ctrl-C; a notebook decides for itself.
                raise KeyboardInterrupt from None
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise WorkspaceError(
                    f"{self.logs}: cannot be written ({error.strerror}). The state of the epoch "
                    "before is kept: make room, and give the same command again to go on"
                ) from None
        return module

    def _result(
        self, module: TrainableDetector | None
    ) -> tuple[ParticleDetector, dict[str, list[float]]]:
        detector = ParticleDetector(self.config, normalisation=self.start.normalisation)
        saved = saved_run(self.logs) if self.logs is not None else None
        if saved is not None and saved.name == self.run:
            detector.load_weights(read_model(saved.best).weights, saved.best)
            history = saved.history
        elif module is not None:
            detector.model.load_state_dict(module.model.state_dict())
            history = module.history
        else:
            raise TrainingError(f"{self.logs}: the states of {self.run} are gone; train anew")
        detector.eval()
        return detector, history

    def _trainer(self, batch_size: int) -> Trainer:
        training = self.config.training
        callbacks: list[Callback] = [*self.callbacks, LongEpochs(self.say)]
        loggers: list[Logger] = []
        shows_bar = self.progress_bar and can_show_a_bar()
        if self.progress_bar:
            callbacks.append(EpochLines())
        if shows_bar:
            callbacks.append(EpochBar(leave=False))
        if training.early_stopping:
            callbacks.append(
                EarlyStopping(
                    "val_loss", patience=training.patience, check_on_train_epoch_end=False
                )
            )
        if self.logs is not None:
            # Behind early stopping, whose decision belongs to the state.
            kept = Checkpoints(
                self.logs, self.run, self.config.model.name, self.purpose, self.members
            )
            kept.batch_size = batch_size
            callbacks += [kept, LearningRateMonitor(logging_interval="step")]
            loggers = self._loggers(self.logs)
        return Trainer(
            max_epochs=training.epochs,
            # Apple's GPUs draw no Poisson numbers, of which simulated scenes are made.
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=training.devices,
            num_nodes=training.num_nodes,
            strategy=training.strategy,
            precision=precision(training.mixed_precision),
            gradient_clip_val=training.gradient_clip,
            logger=loggers,
            callbacks=callbacks,
            plugins=[AtomicCheckpoints()],
            enable_checkpointing=False,
            enable_progress_bar=shows_bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=min(50, training.steps_per_epoch),
            use_distributed_sampler=False,
        )

    def _loggers(self, logs: Path) -> list[Logger]:
        """Log into a folder of its own each time: Lightning empties the file that it finds."""
        before = len(list((logs / self.run).glob("version_*")))
        version = f"version_{before}"
        if is_first_process():
            (logs / self.run / version).mkdir(parents=True, exist_ok=True)
        return [
            CSVLogger(str(logs), name=self.run, version=version),
            TensorBoardLogger(str(logs), name=self.run, version=version, default_hp_metric=False),
        ]


def _new_name(logs: Path | None) -> str:
    name = stamp = f"run_{datetime.now():%Y%m%d_%H%M%S}"
    number = 1
    while logs is not None and (logs / name).exists():
        number += 1
        name = f"{stamp}_{number}"
    return name


def precision(mixed: bool) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Return what the device computes fast: bfloat16, half precision on older GPUs, 32 bit."""
    if not mixed:
        return "32-true"
    if not torch.cuda.is_available():
        return "bf16-mixed" if processor_is_faster_in_bfloat16() else "32-true"
    # Older GPUs only imitate bfloat16, slowly.
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "16-mixed"

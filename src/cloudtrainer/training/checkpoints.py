"""The states of a run on disk: the newest, the three best, and what a killed run goes on from."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cloudtrainer.atomic import replacing, write_json
from cloudtrainer.errors import WorkspaceError

_KEPT = 3
_LAST = "last.ckpt"
_DONE = "last_finished_run.json"


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes checkpoints under a temporary name in the same folder, and reads data alone."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, whole or not at all.

        Raises
        ------
        WorkspaceError
            The disk is full or cannot be written; the checkpoints of before are as they were.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished, unfinished.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            # PyTorch tells of a full disk as a RuntimeError of its archive.
            reason = getattr(error, "strerror", None) or "the disk is full or was taken away"
            raise WorkspaceError(
                f"{path}: cannot be written ({reason}). The state of the epoch before is kept: "
                "make room, and give the same command again to go on from there"
            ) from None

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; one that holds more than data is refused."""
        stored: dict[str, Any] = torch.load(
            path, map_location=map_location or "cpu", weights_only=True
        )
        return stored


class Checkpoints(Callback):
    """Keeps ``last.ckpt`` the newest state, and the three states of the lowest validation loss.

    A state is written before an older one is removed, and ``last.ckpt`` itself names the states
    that are kept and the run they belong to: at whatever moment the run is killed, what
    ``last.ckpt`` names is there.

    Parameters
    ----------
    logs : Path
        Folder of ``last.ckpt``.
    run : str
        Name of the run, whose states lie in ``<logs>/<run>/checkpoints``.
    name : str
        What the states' file names begin with.
    purpose : dict
        What tells this run from others: settings, data, the model it began with.
    members : tuple of str
        Runs of the members of an ensemble that are finished.
    """

    def __init__(
        self,
        logs: Path,
        run: str,
        name: str,
        purpose: dict[str, Any],
        members: tuple[str, ...] = (),
    ) -> None:
        self.logs = logs
        self.run = run
        self.folder = logs / run / "checkpoints"
        self.name = name
        self.purpose = purpose
        self.members = members
        self.kept: list[tuple[float, str]] = []
        self.batch_size = 0
        self.trained_out = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state after each epoch."""
        epoch, loss = trainer.current_epoch, float(trainer.callback_metrics["val_loss"])
        file = f"{self.name}-epoch={epoch:03d}-val_loss={loss:.4f}.ckpt"
        self.kept = sorted([*self.kept, (loss, file)])[:_KEPT]
        self.trained_out = trainer.should_stop or epoch + 1 == trainer.max_epochs
        if (loss, file) in self.kept:
            trainer.save_checkpoint(self.folder / file)
        trainer.save_checkpoint(self.logs / _LAST)
        if trainer.is_global_zero:
            self._remove_others()

    def state_dict(self) -> dict[str, Any]:
        """Return what a later run must know of this one."""
        return {
            "kept": [list(entry) for entry in self.kept],
            "run": self.run,
            "purpose": self.purpose,
            "members": list(self.members),
            "batch_size": self.batch_size,
            "trained_out": self.trained_out,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the names of the states that the run had kept."""
        self.kept = [(float(loss), str(file)) for loss, file in state_dict["kept"]]

    def _remove_others(self) -> None:
        kept = {file for _, file in self.kept}
        for path in self.folder.glob("*.ckpt"):
            if path.name not in kept:
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class SavedRun:
    """A run whose newest state is on the disk.

    Attributes
    ----------
    name : str
        Its name.
    last : Path
        Its newest state.
    best : Path
        Its state of the lowest validation loss.
    purpose : dict
        What it is about.
    batch_size : int
        Crops in a batch, which may be fewer than asked for where memory was short.
    trained_out : bool
        Whether its last epoch is done.
    history : dict of str to list of float
        Scores of each epoch.
    members : tuple of str
        Of a member of an ensemble, the runs of those finished before it.
    """

    name: str
    last: Path
    best: Path
    purpose: dict[str, Any]
    batch_size: int
    trained_out: bool
    history: dict[str, list[float]]
    members: tuple[str, ...] = ()


def saved_run(logs: Path) -> SavedRun | None:
    """Return the run that ``last.ckpt`` of a folder is from; None if there is none of ours."""
    return _read(logs, logs / _LAST)


def keep_finished(logs: Path, run: str) -> None:
    """Keep the newest state of a finished member, in whose place the next one's will be.

    Raises
    ------
    WorkspaceError
        The disk is full.
    """
    kept = logs / run / "checkpoints" / _LAST
    try:
        with replacing(kept) as unfinished:
            shutil.copyfile(logs / _LAST, unfinished)
    except OSError as error:
        raise WorkspaceError(
            f"{kept}: cannot be written ({error.strerror}). The member is trained and its state is "
            "kept: make room, and give the same command again to go on with the next one"
        ) from None


def finished_run(logs: Path, run: str) -> SavedRun | None:
    """Return a member that was finished; None where its states are gone or damaged."""
    saved = _read(logs, logs / run / "checkpoints" / _LAST)
    return saved if saved is not None and saved.best != saved.last else None


def _read(logs: Path, last: Path) -> SavedRun | None:
    if not last.is_file():
        return None
    try:
        stored = torch.load(last, map_location="cpu", weights_only=True)
        state = stored["callbacks"]["Checkpoints"]
        name, purpose = Path(state["run"]).name, dict(state["purpose"])
        kept = sorted((float(loss), Path(file).name) for loss, file in state["kept"])
        history = dict(stored["history"])
        batch_size, trained_out = int(state["batch_size"]), bool(state["trained_out"])
        members = tuple(Path(member).name for member in state.get("members", []))
    except Exception:
        # A checkpoint of version 3.0, or a damaged one: any exception. It is not continued.
        return None
    files = [logs / name / "checkpoints" / file for _, file in kept]
    best = next((file for file in files if file.is_file()), last)
    return SavedRun(name, last, best, purpose, batch_size, trained_out, history, members)


def videos_of(checkpoint: Path) -> list[dict[str, Any]]:
    """Return what a checkpoint says of the videos that it learned; of none where it does not."""
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
        videos = stored["callbacks"]["Checkpoints"]["purpose"]["videos"]
        return [dict(video) for video in videos]
    except Exception:
        # A checkpoint of another version, or of no workspace: any exception.
        return []


def unfinished_run(logs: Path) -> SavedRun | None:
    """Return the run that was interrupted before its model was exported; None if none was."""
    run = saved_run(logs)
    if run is None:
        return None
    try:
        done = json.loads((logs / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return run
    return None if isinstance(done, dict) and done.get("run") == run.name else run


def set_aside(logs: Path, run: SavedRun | None) -> None:
    """Move a newest state that is not continued to where the next run does not overwrite it.

    Parameters
    ----------
    logs : Path
        Folder of ``last.ckpt``.
    run : SavedRun or None
        The run that it is from; None: it is one of version 3.0, or another program's.

    Raises
    ------
    WorkspaceError
        A folder lies where the state is to be.
    """
    last = logs / _LAST
    if last.is_dir():
        raise WorkspaceError(f"{last}: is a folder, where the newest state is to be; rename it")
    if not last.is_file():
        return
    folder = logs / run.name / "checkpoints" if run is not None else logs
    folder.mkdir(parents=True, exist_ok=True)
    name = "last" if run is not None else "last_of_another_version"
    aside, number = folder / f"{name}.ckpt", 1
    while aside.exists():
        number += 1
        aside = folder / f"{name}_{number}.ckpt"
    last.replace(aside)


def mark_finished(logs: Path, run: str) -> None:
    """Note that a run's model is exported, so that the run is not continued."""
    write_json(logs / _DONE, {"run": run})

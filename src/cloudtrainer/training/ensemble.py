"""The members of an ensemble, trained one after the other and put together as one detector."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.errors import TrainingError
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.callbacks import TimeToGo, time_in_words
from cloudtrainer.training.checkpoints import SavedRun, finished_run, keep_finished
from cloudtrainer.training.fitting import Fitting
from cloudtrainer.training.processes import is_first_process
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation_sets import EpochPart

History = dict[str, list[float]]


@dataclass(frozen=True)
class Trained:
    """What the training of a network, or of an ensemble of them, has given.

    Attributes
    ----------
    detector : ParticleDetector
        Each network as it was at its lowest validation loss.
    histories : list of dict
        For each member the scores of its epochs, by name.
    run : str
        Name of the run; of an ensemble, that of its last member.
    """

    detector: ParticleDetector
    histories: list[History]
    run: str


def train_members(
    config: Config,
    batches: BatchMaker,
    validation: list[EpochPart],
    start: Start,
    *,
    logs: Path | None = None,
    purpose: dict[str, Any] | None = None,
    unfinished: SavedRun | None = None,
    callbacks: Sequence[Callback] = (),
    progress_bar: bool = True,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train the networks of the setting ``training.ensemble``, each in a run of its own.

    A member has the seed of the one before plus 1: drawn weights, simulated scenes, augmentation
    and the order of the data are others. The first is what a single network would become.

    Parameters
    ----------
    config, batches, validation, start, logs, purpose, callbacks, progress_bar, say
        As those of `Fitting`.
    unfinished : SavedRun, optional
        A run to continue; the members that were finished before it are read.

    Raises
    ------
    TrainingError
        The loss is not a number any more, or the states of a finished member are gone.
    WorkspaceError
        A state cannot be written.
    """
    total = config.training.ensemble
    runs = list(unfinished.members) if unfinished else []
    parts = [_read_finished(logs, run, config, start) for run in runs]
    seconds: list[float] = []
    for number in range(len(parts), total):
        continued = unfinished if unfinished and number == len(unfinished.members) else None
        shown = list(callbacks)
        if total > 1:
            say(f"Member {number + 1} of {total}{_to_go(seconds, total - number)}.")
            shown += [] if seconds else [TimeToGo(total - number - 1, say)]
        own = member_config(config, number)
        fitting = Fitting(
            own,
            replace(batches, config=own),
            validation,
            member_start(start, own, number),
            logs=logs,
            purpose=purpose,
            unfinished=continued,
            members=tuple(runs),
            callbacks=shown,
            progress_bar=progress_bar,
            say=say,
        )
        begun = time.monotonic()
        parts.append(fitting.train())
        if continued is None:
            seconds.append(time.monotonic() - begun)
        runs.append(fitting.run)
        if logs is not None and number + 1 < total and is_first_process():
            keep_finished(logs, fitting.run)
    detectors, histories = zip(*parts, strict=True)
    return Trained(_together(config, detectors), list(histories), runs[-1])


def member_config(config: Config, number: int) -> Config:
    """Return the settings of one member, counted from 0: those of a single network."""
    own = config.model_copy(deep=True)
    own.training.ensemble = 1
    own.training.seed += number
    return own


def member_start(start: Start, config: Config, number: int) -> Start:
    """Return what one member begins with: of a start that is an ensemble, the same member.

    Members beyond those that there are begin with the first ones again.

    Parameters
    ----------
    start : Start
        What the ensemble begins with.
    config : Config
        The settings of the member.
    number : int
        The member, counted from 0.
    """
    if start.detector is None or not isinstance(start.detector.model, EnsembleNet):
        return start
    members = start.detector.model.members
    detector = ParticleDetector(config, normalisation=start.normalisation)
    detector.model.load_state_dict(members[number % len(members)].state_dict())
    return replace(start, detector=detector)


def mean_history(histories: list[History]) -> History:
    """Return the means of the scores of each epoch, over the members that were trained so long."""
    if len(histories) == 1:
        return histories[0]
    mean: History = {}
    for name in histories[0]:
        lists = [history[name] for history in histories if name in history]
        columns = [
            [values[epoch] for values in lists if epoch < len(values)]
            for epoch in range(max(map(len, lists)))
        ]
        mean[name] = [sum(values) / len(values) for values in columns]
    return mean


def _together(config: Config, members: tuple[ParticleDetector, ...]) -> ParticleDetector:
    if len(members) == 1:
        return members[0]
    detector = ParticleDetector(config, normalisation=members[0].normalisation)
    detector.model.load_state_dict(
        {
            f"members.{number}.{name}": weights
            for number, member in enumerate(members)
            for name, weights in member.model.state_dict().items()
        }
    )
    return detector.eval()


def _read_finished(
    logs: Path | None, run: str, config: Config, start: Start
) -> tuple[ParticleDetector, History]:
    """Read a member that was trained before the run that is continued."""
    saved = finished_run(logs, run) if logs is not None else None
    if saved is None:
        raise TrainingError(
            f"{logs}: the states of {run}, a finished member of the ensemble to be continued, are "
            "gone or damaged; begin anew with --no-resume"
        )
    detector = ParticleDetector(member_config(config, 0), normalisation=start.normalisation)
    detector.load_weights(read_model(saved.best).weights, saved.best)
    return detector.eval(), saved.history


def _to_go(seconds: list[float], members: int) -> str:
    """Say how long members take, by those that were trained."""
    if not seconds:
        return ""
    return f": about {time_in_words(members * sum(seconds) / len(seconds))} to go"

"""A training in a workspace, from its videos to an exported model and the ledger."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lightning.pytorch import Callback

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.versions import lineage
from cloudtrainer.errors import LabelError
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.checkpoints import SavedRun, saved_run, set_aside, unfinished_run
from cloudtrainer.training.collect import TrainingData, collect
from cloudtrainer.training.crops import LabelledFrames
from cloudtrainer.training.ensemble import train_members
from cloudtrainer.training.finish import exported, finish, note_learned, rejected
from cloudtrainer.training.labelled import LabelledVideo
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.processes import (
    is_first_process,
    one_training_at_a_time,
    shared_by_first_process,
)
from cloudtrainer.training.result import TrainingResult, listed
from cloudtrainer.training.start import (
    Start,
    choose_start,
    current_context,
    seeing_neighbours,
)
from cloudtrainer.training.validation import Validation, calibrate
from cloudtrainer.training.validation_sets import parts_of_an_epoch, validation_sets
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

Say = Callable[[str], None]
_WORDS = {"config": "settings", "start": "model to begin with", "data": "videos or labels"}


def train(
    workspace: Workspace | str | Path,
    config: Config | None = None,
    resume: bool = True,
    *,
    start: str | Path | None = None,
    twins: Sequence[str | Path | Video] = (),
    callbacks: Sequence[Callback] = (),
    progress_bar: bool = True,
    say: Say = print,
) -> TrainingResult:
    """Teach a workspace's detector its new videos, without forgetting the earlier ones.

    Where the workspace has a current model of the same network, training goes on from it: new
    videos are learned, a share of each batch rehearses the earlier ones, and the new model becomes
    the current one unless it is worse on the earlier videos' held-out frames. Otherwise everything
    is learned, beginning with the bundled model. Without labelled videos the detector learns from
    simulated scenes alone. Runs are logged under ``logs/lightning_logs/<run>``; the newest state is
    ``logs/lightning_logs/last.ckpt``.

    Parameters
    ----------
    workspace : Workspace, str or Path
        The workspace, see ``cloudtrainer init``.
    config : Config, optional
        The settings.
    resume : bool
        Continue a run that was interrupted, from its last finished epoch, where settings, videos,
        labels and the model it began with are still the same.
    start : str or Path, optional
        A model to continue in place of the current one: a checkpoint or an export of any version.
    twins : sequence of str, Path or Video
        Videos without labels whose twins are simulated and learned too.
    callbacks : sequence of Callback
        Lightning's callbacks, such as one that shows the progress elsewhere.
    progress_bar : bool
        Show the epoch's progress and metrics.
    say : callable
        Told, in a sentence, what the user must know while it runs.

    Raises
    ------
    WorkspaceError
        The folder is no workspace, cannot be written, or another training runs in it.
    LabelError
        Labels are not valid, or it is not clear which video they belong to.
    VideoError
        A video has no twin: no particle can be seen in it.
    ModelError
        The model to continue is missing, damaged, or none.
    TrainingError
        The loss is not a number any more.
    """
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    place.check_writable()
    say = say if is_first_process() else _say_nothing
    with one_training_at_a_time(place.logs):
        began, config = choose_start(place, config or Config(), _path(start))
        ledger = Ledger.open(place.ledger, place.model_folders())
        data = _data(place, ledger, config, began)
        for video in twins:
            data.add_twin(video if isinstance(video, Video) else Video(video))
        for line in (*began.notes, *data.notes, *(f"left out: {one}" for one in data.left_out)):
            say(line)
        more = began.sees_more or began.members < config.training.ensemble
        same = start is None and not more
        if same and began.version is not None and _nothing_new(data):
            if is_first_process():
                note_learned(ledger, data, began.version)
            return TrainingResult.nothing_new(place.models / began.version, data)
        return _learn(place, ledger, config, began, data, resume, callbacks, progress_bar, say)


def fit(
    config: Config,
    *,
    labelled: list[LabelledVideo] | None = None,
    start: Start | None = None,
    logs: Path | None = None,
    resume: bool = False,
    progress_bar: bool = True,
) -> tuple[ParticleDetector, Validation]:
    """Teach a detector outside a workspace, and choose its threshold on validation data.

    Parameters
    ----------
    config : Config
        The settings.
    labelled : list of LabelledVideo, optional
        Labelled videos; none: simulated scenes alone.
    start : Start, optional
        The model to begin with; None: random weights.
    logs : Path, optional
        Folder for states and metrics; None: nothing is written.
    resume : bool
        Continue the run of the same settings whose newest state lies in ``logs``.
    progress_bar : bool
        Show the epoch's progress and metrics.

    Returns
    -------
    detector : ParticleDetector
        The trained detector.
    validation : Validation
        Its scores.
    """
    start = seeing_neighbours(start or Start("random weights"), config)
    videos = labelled or []
    as_filmed = start.normalisation == "video_maximum"
    new = LabelledFrames(videos, as_filmed) if videos else None
    sets = validation_sets(config, videos, [], as_filmed=as_filmed)
    purpose: dict[str, object] = {"config": config.to_dict()}
    unfinished = unfinished_run(logs) if logs is not None and resume else None
    trained = train_members(
        config,
        BatchMaker(config, new),
        parts_of_an_epoch(sets),
        start,
        logs=logs,
        purpose=purpose,
        unfinished=unfinished if unfinished and unfinished.purpose == purpose else None,
        progress_bar=progress_bar,
    )
    return trained.detector, calibrate(trained.detector, sets, config.training.gate_px)


def _data(place: Workspace, ledger: Ledger, config: Config, start: Start) -> TrainingData:
    learned_by = set(lineage(place.models, start.version)) if start.version else set()
    data = collect(
        place,
        ledger,
        config.training,
        learned_by,
        whole_maximum=start.normalisation == "video_maximum",
        write=is_first_process(),
        context_frames=max(config.model.context_frames, current_context(place)),
    )
    files = place.label_files()
    if files and not data.new and not data.earlier:
        raise LabelError(
            f"{place.annotations}: none of its files (the first is {files[0].name}) belongs to a "
            f"video that can be used; name them <video name without its extension>_particles.csv, "
            "or remove them to learn from simulated scenes alone. Left out: "
            f"{'; '.join(data.left_out) or f'nothing, {place.videos} holds no video'}"
        )
    return data if learned_by else data.without_history()


def _nothing_new(data: TrainingData) -> bool:
    return not data.new and bool(data.earlier) and not (data.backdrops or data.twins)


def _learn(
    place: Workspace,
    ledger: Ledger,
    config: Config,
    start: Start,
    data: TrainingData,
    resume: bool,
    callbacks: Sequence[Callback],
    progress_bar: bool,
    say: Say,
) -> TrainingResult:
    as_filmed = start.normalisation == "video_maximum"
    new, earlier = (LabelledFrames(part, as_filmed) for part in (data.new, data.earlier))
    batches = BatchMaker(config, new or None, earlier or None, data.backdrops, data.twins)
    sets = validation_sets(config, data.new, data.earlier, as_filmed=as_filmed, twins=data.twins)
    purpose: dict[str, object] = {
        "config": config.to_dict(),
        "start": _identity(start),
        "data": data.identity(),
        "videos": [{"name": name, **one.to_dict()} for name, one in data.records.items()],
    }
    same = {name: purpose[name] for name in _WORDS}
    mark = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    unfinished = _unfinished(place, purpose, say) if resume else None
    before = rejected(place, mark) if unfinished is None and data.earlier else None
    if before is not None:
        return TrainingResult.tried_before(before, data)
    for words, videos in (("To learn", data.new), ("To rehearse", data.earlier)):
        if videos:
            say(f"{words}: {listed(tuple(video.name for video in videos))}.")
    if unfinished is None:
        if is_first_process():
            set_aside(place.lightning_logs, saved_run(place.lightning_logs))
        say(f"Beginning with {start.source}.")
    trained = train_members(
        config,
        batches,
        parts_of_an_epoch(sets),
        start,
        logs=place.lightning_logs,
        purpose=purpose,
        unfinished=unfinished,
        callbacks=callbacks,
        progress_bar=progress_bar,
        say=say,
    )
    return shared_by_first_process(lambda: finish(place, ledger, start, data, mark, trained))


def _unfinished(place: Workspace, purpose: dict[str, object], say: Say) -> SavedRun | None:
    """Return the interrupted run that this one continues; say what becomes of another."""
    run = unfinished_run(place.lightning_logs)
    if run is None:
        return None
    done = len(run.history.get("val_loss", []))
    changed = [name for name in _WORDS if run.purpose.get(name) != purpose[name]]
    if changed and exported(place, run.name) is not None:
        # Killed behind its export: there is nothing left to continue.
        return None
    if changed:
        say(
            f"The interrupted {run.name} ({done} epochs) is not continued: its "
            f"{' and '.join(_WORDS[name] for name in changed)} were others. Its states are kept."
        )
        return None
    say(f"Continuing the interrupted {run.name} after epoch {done}.")
    return run


def _identity(start: Start) -> str:
    return start.detector.weights_sha256() if start.detector is not None else start.source


def _path(start: str | Path | None) -> Path | None:
    return None if start is None else Path(start)


def _say_nothing(_: str) -> None:
    """Leave it to the first process to speak."""

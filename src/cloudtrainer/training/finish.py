"""The end of a training: the export, the frames to rehearse, the ledger, the current model.

Each step can be done again: a run that is killed here does them anew, and exports no second model.
"""

from datetime import datetime
from pathlib import Path

from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.versions import lineage, read_metadata
from cloudtrainer.errors import ModelError, WorkspaceError
from cloudtrainer.training.checkpoints import mark_finished
from cloudtrainer.training.collect import TrainingData
from cloudtrainer.training.ensemble import History, Trained, mean_history
from cloudtrainer.training.labelled import LabelledVideo
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.metrics import named
from cloudtrainer.training.rehearsal import keep
from cloudtrainer.training.result import TrainingResult, comparison_table
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation import Validation, calibrate
from cloudtrainer.training.validation_sets import SIMULATED, validation_sets
from cloudtrainer.workspace import Workspace

_DOUBTFUL_F1 = 0.5
# Scores of the best epoch that an export carries beside those of its detections.
_OF_AN_EPOCH = ("val_loss", "val_mask_f1", "val_dice", "val_iou")


def finish(
    place: Workspace,
    ledger: Ledger,
    start: Start,
    data: TrainingData,
    purpose: str,
    trained: Trained,
) -> TrainingResult:
    """Export a trained detector, write the ledger, and decide which model is the current one.

    Raises
    ------
    WorkspaceError
        The disk is full; given again, the command goes on here.
    """
    detector = trained.detector
    training = detector.config.training
    incumbent = _incumbent(place, start)
    known, unknown = _parted(place, ledger, incumbent, data)
    old = None
    context = detector.context_frames
    if incumbent is not None:
        # Both at the threshold that is best for them on these frames.
        context = max(context, incumbent[1].context_frames)
        sets = validation_sets(
            detector.config,
            unknown,
            known,
            twins=data.twins,
            as_filmed=_as_filmed(incumbent[1]),
            context_frames=context,
        )
        old = calibrate(incumbent[1], sets, training.gate_px)
    sets = validation_sets(
        detector.config,
        unknown,
        known,
        twins=data.twins,
        as_filmed=_as_filmed(detector),
        context_frames=context,
    )
    new = calibrate(detector, sets, training.gate_px)
    scores = {**new.numbers(), **_of_best_epochs(trained.histories)}
    try:
        folder = exported(place, trained.run) or _export(
            place, start, data, purpose, trained, scores, new
        )
        # Frames that were kept alone are kept anew with those around them.
        for video in [*data.new, *(data.earlier if start.sees_more else [])]:
            keep(place.rehearsal, video, data.records[video.name])
        note_learned(ledger, data, folder.name)
        is_current = _worth_it(old, new, training.max_f1_loss)
        if is_current:
            place.set_current(folder.name)
        elif incumbent is not None:
            place.set_current(incumbent[0])
        mark_finished(place.lightning_logs, trained.run)
    except (OSError, ModelError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorkspaceError(
            f"{place.root}: cannot be written ({reason}). The training itself is done and "
            "kept: make room, and give the same command again to finish"
        ) from None
    models = [(folder.name, new)]
    if incumbent is not None and old is not None:
        models.insert(0, (incumbent[0], old))
    return TrainingResult(
        model_dir=folder,
        scores=scores,
        old_scores=old.numbers() if old is not None else None,
        comparison=comparison_table(models),
        is_current=is_current,
        learned=tuple(video.name for video in data.new if not video.held_out.all()),
        rehearsed=tuple(video.name for video in data.earlier),
        left_out=tuple(data.left_out),
        notes=(*start.notes, *data.notes),
        warnings=tuple(_doubts(new)),
    )


def _incumbent(place: Workspace, start: Start) -> tuple[str, ParticleDetector] | None:
    """Return the model that the new one is held against: the current one, else what it began with.

    A current model that cannot be loaded does not keep a new one from taking its place.
    """
    current = place.current_model()
    if current is not None:
        try:
            return current.name, load_model(current)
        except ModelError:
            return None
    return ("before", start.detector) if start.detector is not None else None


def _parted(
    place: Workspace,
    ledger: Ledger,
    incumbent: tuple[str, ParticleDetector] | None,
    data: TrainingData,
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Part the videos in those that the incumbent has learned and those that it has not."""
    current = place.current_model()
    versions: set[str] = set()
    if incumbent is not None and current is not None:
        versions = set(lineage(place.models, current.name))
    known: list[LabelledVideo] = []
    unknown: list[LabelledVideo] = []
    for video in [*data.new, *data.earlier]:
        record = ledger.find(data.records[video.name])
        learned = record is not None and record.known_to(versions)
        (known if learned else unknown).append(video)
    return known, unknown


def _export(
    place: Workspace,
    start: Start,
    data: TrainingData,
    purpose: str,
    trained: Trained,
    scores: dict[str, float],
    validation: Validation,
) -> Path:
    folder = place.new_model_folder()
    training = trained.detector.config.training
    labelled = [*data.new, *data.earlier]
    now = datetime.now().isoformat(timespec="seconds")
    export_model(
        trained.detector,
        folder,
        scores=scores,
        origin={
            "num_videos": len(labelled),
            "learned": ", ".join(video.name for video in data.new) or "no video",
            "rehearsed": ", ".join(video.name for video in data.earlier) or "no video",
            "twins": ", ".join(twin.name for twin in data.twins) or "no video",
            "simulated_share": training.simulated_share if labelled else 1.0,
            "rehearsal_share": training.rehearsal_share if data.earlier else 0.0,
            "began_with": start.source,
            "run": trained.run,
            "purpose": purpose,
            "seed": training.seed,
        },
        history=_joined(start.history, mean_history(trained.histories)),
        scores_by_video={name: named(score) for name, score in validation.by_set.items()},
        videos=[
            {"name": name, **record.to_dict(), "model_version": folder.name, "trained_date": now}
            for name, record in data.records.items()
        ],
        parent=start.version,
    )
    return folder


def note_learned(ledger: Ledger, data: TrainingData, version: str) -> None:
    """Write what a model knows into the ledger.

    Raises
    ------
    WorkspaceError
        The file cannot be written.
    """
    try:
        # Earlier videos too: what is held out of them may have grown.
        ledger.learned(list(data.records.values()), version)
    except OSError as error:
        raise WorkspaceError(
            f"{ledger.path}: cannot be written ({error.strerror}); the old one is as it was"
        ) from None


def exported(place: Workspace, run: str) -> Path | None:
    """Return the export of a run; None where it has none."""
    return _export_with(place, "run", run)


def rejected(place: Workspace, purpose: str) -> Path | None:
    """Return the model of the same settings, videos and start that did not become current."""
    folder = _export_with(place, "purpose", purpose)
    return folder if folder != place.current_model() else None


def _export_with(place: Workspace, name: str, value: str) -> Path | None:
    for folder in reversed(place.model_folders()):
        origin = read_metadata(folder).get("data_info")
        if isinstance(origin, dict) and origin.get(name) == value:
            return folder
    return None


def _worth_it(old: Validation | None, new: Validation, most: float) -> bool:
    """Tell whether the new model is at most a little worse on the earlier videos."""
    if old is None or "earlier" not in old.by_kind:
        return True
    return new.by_kind["earlier"].f1 >= old.by_kind["earlier"].f1 - most


def _doubts(validation: Validation) -> list[str]:
    """Say on which videos hardly anything is found where the labels are."""
    return [
        f"{name}: F1 is only {score.f1:.2f} on its held-out frames. Draw some labels over a frame: "
        "are they those of this video, is x the column and y the row, is every particle labelled?"
        for name, score in validation.by_set.items()
        if score.truth and score.f1 < _DOUBTFUL_F1 and name != SIMULATED
    ]


def _of_best_epochs(histories: list[History]) -> dict[str, float]:
    """Return the scores of the epoch that was exported; of an ensemble, their means."""
    best: History = {}
    for history in histories:
        losses = history.get("val_loss", [])
        at = losses.index(min(losses)) if losses else 0
        for name in _OF_AN_EPOCH:
            if len(history.get(name, [])) > at:
                best.setdefault(name, []).append(history[name][at])
    return {name: sum(values) / len(values) for name, values in best.items()}


def _joined(earlier: History, own: History) -> History:
    """Put the epochs of a run behind those of the model that it continued."""
    before = max((len(values) for values in earlier.values()), default=0)
    return {
        name: [*earlier.get(name, [float("nan")] * before), *values] for name, values in own.items()
    }


def _as_filmed(detector: ParticleDetector) -> bool:
    return detector.normalisation == "video_maximum"

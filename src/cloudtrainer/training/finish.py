"""The end of a training: the export, the frames to rehearse, the ledger, the current model.

Each step can be done again: a run that is killed here does them anew, and exports no second model.
"""

import json
from pathlib import Path

from cloudtrainer.detector import ParticleDetector, export_model
from cloudtrainer.errors import ModelError, WorkspaceError
from cloudtrainer.training.checkpoints import mark_finished
from cloudtrainer.training.collect import TrainingData
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.metrics import named
from cloudtrainer.training.rehearsal import keep
from cloudtrainer.training.result import TrainingResult, comparison_table
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation import (
    Validation,
    calibrate,
    score_model,
    validation_sets,
)
from cloudtrainer.workspace import Workspace

History = dict[str, list[float]]
# Scores of the best epoch that an export carries beside those of its detections.
_OF_AN_EPOCH = ("val_loss", "val_mask_f1", "val_dice", "val_iou")


def finish(
    place: Workspace,
    ledger: Ledger,
    start: Start,
    data: TrainingData,
    run: str,
    detector: ParticleDetector,
    history: History,
) -> TrainingResult:
    """Export a trained detector, write the ledger, and decide which model is the current one.

    Raises
    ------
    WorkspaceError
        The disk is full; given again, the command goes on here.
    """
    training = detector.config.training
    sets = {
        as_filmed: validation_sets(detector.config, data.new, data.earlier, as_filmed=as_filmed)
        for as_filmed in {_as_filmed(detector), _as_filmed(start.detector or detector)}
    }
    before = place.current_model()
    old = None
    if start.detector is not None:
        old = score_model(start.detector, sets[_as_filmed(start.detector)], training.gate_px)
    new = calibrate(detector, sets[_as_filmed(detector)], training.gate_px)
    scores = {**new.numbers(), **_of_best_epoch(history)}
    try:
        folder = exported(place, run) or _export(
            place, start, data, run, detector, _joined(start.history, history), scores, new
        )
        for video in data.new:
            if video.name in data.records:
                keep(place.rehearsal, video, data.records[video.name])
        # Earlier videos too: what is held out of them may have grown.
        ledger.learned(list(data.records.values()), folder.name)
        is_current = _worth_it(old, new, training.max_f1_loss)
        if is_current:
            place.set_current(folder.name)
        elif before is not None:
            place.set_current(before.name)
        mark_finished(place.lightning_logs, run)
    except (OSError, ModelError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorkspaceError(
            f"{place.root}: cannot be written ({reason}). The training itself is done and "
            "kept: make room, and give the same command again to finish"
        ) from None
    models = [(folder.name, new)]
    if old is not None:
        models.insert(0, (start.version or "before", old))
    return TrainingResult(
        model_dir=folder,
        scores=scores,
        old_scores=old.numbers() if old is not None else None,
        comparison=comparison_table(models),
        is_current=is_current,
        learned=tuple(video.name for video in data.new),
        rehearsed=tuple(video.name for video in data.earlier),
        left_out=tuple(data.left_out),
        notes=(*start.notes, *data.notes),
    )


def _export(
    place: Workspace,
    start: Start,
    data: TrainingData,
    run: str,
    detector: ParticleDetector,
    history: History,
    scores: dict[str, float],
    validation: Validation,
) -> Path:
    folder = place.new_model_folder()
    training = detector.config.training
    labelled = [*data.new, *data.earlier]
    export_model(
        detector,
        folder,
        scores=scores,
        origin={
            "num_videos": len(labelled),
            "learned": [video.name for video in data.new],
            "rehearsed": [video.name for video in data.earlier],
            "simulated_share": training.simulated_share if labelled else 1.0,
            "rehearsal_share": training.rehearsal_share if data.earlier else 0.0,
            "began_with": start.source,
            "run": run,
            "seed": training.seed,
        },
        history=history,
        scores_by_video={name: named(score) for name, score in validation.by_set.items()},
        videos=[
            {"name": name, **record.to_dict(), "model_version": folder.name}
            for name, record in data.records.items()
        ],
        parent=start.version,
    )
    return folder


def exported(place: Workspace, run: str) -> Path | None:
    """Return the export of a run; None where it has none."""
    for folder in reversed(place.model_folders()):
        try:
            metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        origin = metadata.get("data_info") if isinstance(metadata, dict) else None
        if isinstance(origin, dict) and origin.get("run") == run:
            return folder
    return None


def _worth_it(old: Validation | None, new: Validation, most: float) -> bool:
    """Tell whether the new model is at most a little worse on the earlier videos."""
    if old is None or "earlier" not in old.by_kind:
        return True
    return new.by_kind["earlier"].f1 >= old.by_kind["earlier"].f1 - most


def _of_best_epoch(history: History) -> dict[str, float]:
    losses = history.get("val_loss", [])
    if not losses:
        return {}
    best = losses.index(min(losses))
    return {name: history[name][best] for name in _OF_AN_EPOCH if len(history.get(name, [])) > best}


def _joined(earlier: History, own: History) -> History:
    """Put the epochs of a run behind those of the model that it continued."""
    before = max((len(values) for values in earlier.values()), default=0)
    return {
        name: [*earlier.get(name, [float("nan")] * before), *values] for name, values in own.items()
    }


def _as_filmed(detector: ParticleDetector) -> bool:
    return detector.normalisation == "video_maximum"

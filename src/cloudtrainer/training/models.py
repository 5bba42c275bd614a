"""The models of a workspace: compared on the same frames, and made of checkpoints."""

from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.errors import ModelError
from cloudtrainer.training.checkpoints import videos_of
from cloudtrainer.training.collect import collect
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.metrics import named
from cloudtrainer.training.validation import calibrate, score_model
from cloudtrainer.training.validation_sets import ValidationSet, validation_sets
from cloudtrainer.workspace import Workspace


def compare_models(workspace: str | Path, config: Config | None = None) -> pd.DataFrame:
    """Score every model of a workspace, and the bundled one, on the same held-out frames.

    Each model is scored at its own threshold. Frames that are held out are so for every model that
    was trained in this workspace by this version; those of earlier versions may have learned them.

    Returns
    -------
    DataFrame
        ``model, frames, f1, precision, recall, rmse_px``; a model that cannot be loaded has NaN.

    Raises
    ------
    LabelError
        Labels are not valid.
    """
    place = Workspace.open(workspace)
    config = config or Config()
    ledger = Ledger.open(place.ledger, place.model_folders())
    candidates: list[tuple[str, Path | None]] = [("bundled", None)]
    candidates += [(folder.name, folder) for folder in place.model_folders()]
    detectors = [(name, _loaded(folder)) for name, folder in candidates]
    # All on the same frames, whatever neighbours each of them sees.
    context = max(
        one.context_frames if isinstance(one, ParticleDetector) else 0 for _, one in detectors
    )
    data = collect(
        place,
        ledger,
        config.training,
        set(),
        whole_maximum=True,
        write=False,
        context_frames=context,
    )
    videos = data.without_history().new
    sets: dict[bool, list[ValidationSet]] = {}
    rows: list[dict[str, Any]] = []
    for name, detector in detectors:
        if isinstance(detector, ModelError):
            rows.append({"model": name, "frames": f"cannot be loaded: {detector}"})
            continue
        as_filmed = detector.normalisation == "video_maximum"
        if as_filmed not in sets:
            sets[as_filmed] = validation_sets(
                config, videos, [], as_filmed=as_filmed, context_frames=context
            )
        validation = score_model(detector, sets[as_filmed], config.training.gate_px)
        rows += [
            {"model": name, "frames": frames, **named(score)}
            for frames, score in validation.by_set.items()
        ]
    columns = ["model", "frames", "f1", "precision", "recall", "rmse_px"]
    return pd.DataFrame(rows, columns=columns)


def export_checkpoint(
    checkpoint: str | Path,
    *,
    out: str | Path | None = None,
    workspace: str | Path | None = None,
) -> Path:
    """Make a model folder of a checkpoint of any version.

    Its threshold and the scale of its errors are chosen on a workspace's held-out frames, where
    one is given, and on simulated scenes; models of versions 2.0 and 3.0 keep theirs.

    Parameters
    ----------
    checkpoint : str or Path
        A ``.ckpt`` or ``.pth``.
    out : str or Path, optional
        Folder to make.
    workspace : str or Path, optional
        Workspace to put it into, as a new version.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        The checkpoint is none, the folder exists, or it is not said where to.
    """
    source = Path(checkpoint)
    if out is None and workspace is None:
        raise ModelError(f"{source}: say where to: -o FOLDER or --workspace WORKSPACE")
    detector, stored = load_model(source), read_model(source)
    place = Workspace.open(workspace) if workspace is not None else None
    as_filmed = detector.normalisation == "video_maximum"
    videos = []
    if place is not None:
        ledger = Ledger.open(place.ledger, place.model_folders())
        data = collect(
            place,
            ledger,
            detector.config.training,
            set(),
            whole_maximum=as_filmed,
            write=False,
            context_frames=detector.context_frames,
        )
        videos = data.without_history().new
    sets = validation_sets(detector.config, videos, [], as_filmed=as_filmed)
    gate_px = detector.config.training.gate_px
    score = score_model if as_filmed else calibrate
    validation = score(detector, sets, gate_px)
    learned = videos_of(source)
    folder = place.new_model_folder() if out is None and place is not None else Path(str(out))
    export_model(
        detector,
        folder,
        scores=validation.numbers(),
        origin={
            "num_videos": len(learned),
            "made_from": source.name,
            "scored_on_videos": len(videos),
        },
        history=stored.history,
        videos=learned,
        scores_by_video={name: named(one) for name, one in validation.by_set.items()},
    )
    return folder


def _loaded(folder: Path | None) -> ParticleDetector | ModelError:
    try:
        return load_model(folder)
    except ModelError as error:
        return error

"""A training run, from data to an exported model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from cloudtrainer.annotations import read_labels
from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.errors import LabelError, VideoError
from cloudtrainer.simulation.scenes import Scenes, draw_scenes
from cloudtrainer.training.batches import BatchMaker, Steps
from cloudtrainer.training.calibrate import Validation, calibrate
from cloudtrainer.training.callbacks import (
    EpochLines,
    LastCheckpoint,
    quiet_lightning,
    unfinished_run,
)
from cloudtrainer.training.labelled import (
    LabelledFrames,
    LabelledVideo,
    held_out_frames,
    split_labelled,
)
from cloudtrainer.training.module import TrainableDetector
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace, label_stems

# Far from any seed that a training step uses.
_VALIDATION_SEED = 1 << 40


@dataclass(frozen=True)
class TrainingResult:
    """What a training run left behind.

    Attributes
    ----------
    model_dir : Path
        The export.
    scores : dict
        Scores of the new model on the validation data, by name.
    old_scores : dict or None
        Scores on the same data of the model that the run started from; None where it started
        anew, or from a model of version 2.0 or 3.0, whose scores do not compare.
    learned : tuple of str
        Names of the videos that were learned from.
    left_out : tuple of str
        Videos that were not, each with the reason.
    """

    model_dir: Path
    scores: dict[str, float]
    old_scores: dict[str, float] | None
    learned: tuple[str, ...]
    left_out: tuple[str, ...]


def train(
    workspace: Workspace | str | Path, config: Config | None = None, resume: bool = True
) -> TrainingResult:
    """Train a detector on a workspace's labelled videos and on simulated scenes.

    Without labelled videos it learns from simulated scenes alone. The last labelled frames of each
    video are held out and scored. The run is logged under ``logs/lightning_logs``; the newest
    checkpoint is ``logs/lightning_logs/last.ckpt``.

    Parameters
    ----------
    workspace : Workspace, str or Path
        The workspace, see ``cloudtrainer init``.
    config : Config, optional
        The settings.
    resume : bool
        Continue a run of the same settings that was interrupted, from its last finished epoch.

    Raises
    ------
    WorkspaceError
        The folder is no workspace.
    LabelError
        A label file is not valid.
    """
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    config = config or Config()
    labelled, left_out = find_labelled(place, config)
    earlier = place.model_folders()
    start = load_model(earlier[-1]) if config.training.incremental and earlier else None
    validation = validation_scenes(config, labelled)
    if start is not None and not _same_network(start.config, config):
        start = None
    # Models of versions 2.0 and 3.0 divide by the maximum of a video, which scenes are not.
    comparable = start is not None and start.normalisation == "noise"
    old_scores = calibrate(start, validation).numbers() if start and comparable else None

    detector, found = fit(
        config, labelled=labelled, start=start, logs=place.logs / "lightning_logs", resume=resume
    )
    folder = place.new_model_folder()
    origin = {
        "num_videos": len(labelled),
        "videos": [video.video.name for video in labelled],
        "simulated_share": config.training.simulated_share if labelled else 1.0,
        "seed": config.training.seed,
    }
    export_model(detector, folder, scores=found.numbers(), origin=origin)
    return TrainingResult(
        model_dir=folder,
        scores=found.numbers(),
        old_scores=old_scores,
        learned=tuple(video.video.name for video in labelled),
        left_out=tuple(left_out),
    )


def fit(
    config: Config,
    *,
    labelled: list[LabelledVideo] | None = None,
    start: ParticleDetector | None = None,
    logs: Path | None = None,
    resume: bool = False,
    progress_bar: bool = True,
) -> tuple[ParticleDetector, Validation]:
    """Teach a detector, and choose its threshold and error scale on validation data.

    Parameters
    ----------
    config : Config
        The settings.
    labelled : list of LabelledVideo, optional
        Labelled videos; none: simulated scenes alone.
    start : ParticleDetector, optional
        A detector to continue from, where its network is the same.
    logs : Path, optional
        Folder for checkpoints and metrics; None: nothing is written.
    resume : bool
        Continue an interrupted run of the same settings whose checkpoint lies in ``logs``.
    progress_bar : bool
        Show the epoch's progress and metrics.

    Returns
    -------
    detector : ParticleDetector
        The trained detector.
    validation : Validation
        Its scores.
    """
    labelled = labelled or []
    seed_everything(config.training.seed, verbose=False)
    validation = validation_scenes(config, labelled)
    batches = BatchMaker(config, LabelledFrames(labelled) if labelled else None)
    module = TrainableDetector(config, batches, validation)
    if start is not None and _same_network(start.config, config):
        module.model.load_state_dict(start.model.state_dict())

    with quiet_lightning():
        trainer = _trainer(config, logs, progress_bar)
        try:
            trainer.fit(
                module,
                DataLoader(Steps(config.training.steps_per_epoch), batch_size=None),
                DataLoader(Steps(len(validation)), batch_size=None),
                ckpt_path=unfinished_run(logs, config) if logs is not None and resume else None,
                weights_only=True,
            )
        except SystemExit:
            # Lightning ends the interpreter on Ctrl-C; a notebook or a caller decides for itself.
            raise KeyboardInterrupt from None
    detector = ParticleDetector(config)
    best = _best_checkpoint(trainer)
    if trainer.should_stop and best is not None:
        # Stopped because the loss no longer fell: what came after the best epoch is not better.
        detector.load_weights(read_model(best).weights, best)
    else:
        detector.model.load_state_dict(module.model.state_dict())
    return detector, calibrate(detector, validation)


def find_labelled(place: Workspace, config: Config) -> tuple[list[LabelledVideo], list[str]]:
    """Return the labelled videos of a workspace, and why the others are left out."""
    labelled, left_out = [], []
    for path in place.video_files():
        labels_file = place.labels_of(path)
        if labels_file is None:
            left_out.append(f"{path.name}: no labels ({label_stems(path)[0]}_particles.csv)")
            continue
        try:
            video = Video(path)
        except VideoError as error:
            left_out.append(str(error))
            continue
        labels = read_labels(labels_file, video.shape)
        if labels.empty:
            raise LabelError(f"{labels_file}: holds no particle; label some, or remove the file")
        labelled.append(split_labelled(video, labels, config.training.validation_split))
    return labelled, left_out


def validation_scenes(config: Config, labelled: list[LabelledVideo]) -> list[Scenes]:
    """Return what every run of these settings is scored on: held-out frames, and fixed scenes."""
    scenes = [batch for video in labelled for batch in held_out_frames(video)]
    if labelled and config.training.simulated_share == 0 and scenes:
        return scenes
    generator = torch.Generator().manual_seed(_VALIDATION_SEED + config.training.seed)
    return scenes + [draw_scenes(config.scenes, 8, 128, generator) for _ in range(8)]


def _trainer(config: Config, logs: Path | None, progress_bar: bool) -> Trainer:
    training = config.training
    callbacks: list[Callback] = [EpochLines()] if progress_bar else []
    if training.early_stopping:
        callbacks.append(EarlyStopping("val_loss", patience=training.patience))
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
        callbacks.append(
            ModelCheckpoint(
                dirpath=logs / "checkpoints",
                filename="{epoch:03d}-{val_loss:.3f}",
                monitor="val_loss",
                save_top_k=3,
            )
        )
        callbacks.append(LastCheckpoint(logs, config))
        callbacks.append(LearningRateMonitor(logging_interval="epoch"))
    return Trainer(
        max_epochs=training.epochs,
        accelerator="auto",
        devices=1,
        precision=_precision(training.mixed_precision),
        gradient_clip_val=training.gradient_clip,
        logger=CSVLogger(str(logs), name=config.model.name) if logs is not None else False,
        callbacks=callbacks,
        enable_checkpointing=logs is not None,
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=min(50, training.steps_per_epoch),
    )


def _best_checkpoint(trainer: Trainer) -> Path | None:
    kept = trainer.checkpoint_callback
    best = kept.best_model_path if isinstance(kept, ModelCheckpoint) else ""
    return Path(best) if best and Path(best).is_file() else None


def _precision(mixed: bool) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    if not mixed or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _same_network(first: Config, second: Config) -> bool:
    def shape(config: Config) -> tuple[str, list[int]]:
        grid = config.model.architecture == "grid"
        channels = config.model.grid_channels if grid else config.model.unet_channels
        return config.model.architecture, channels

    return shape(first) == shape(second)

"""Exporting a model: weights, settings, scores, and a card that says what it is."""

import io
import json
import math
import platform
import shutil
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from cloudtrainer.atomic import replacing
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.detector.model_card import model_card
from cloudtrainer.detector.module import ParticleDetector
from cloudtrainer.detector.onnx_network import OnnxNetwork
from cloudtrainer.errors import ModelError
from cloudtrainer.version import __version__


def export_model(
    detector: ParticleDetector,
    folder: Path,
    *,
    scores: dict[str, float],
    origin: dict[str, Any],
    history: dict[str, list[float]] | None = None,
    scores_by_video: dict[str, dict[str, float]] | None = None,
    videos: list[dict[str, Any]] | None = None,
    parent: str | None = None,
) -> None:
    """Write an export in the layout of version 3.0, with what this version needs to read it.

    Parameters
    ----------
    detector : ParticleDetector
        The trained detector.
    folder : Path
        Folder to write, ``models/v_<time>`` of a workspace; it appears whole or not at all.
    scores : dict
        Validation scores by name, such as ``val_loss, val_f1, val_dice, val_iou``.
    origin : dict
        What the model was trained on: numbers and strings.
    history : dict, optional
        Losses and scores by name, such as ``train_loss, val_f1``; one number an epoch.
    scores_by_video : dict, optional
        The name of each video, and its scores by name.
    videos : list of dict, optional
        The videos it was trained on: ``name``, ``sha256``, ``md5``, ``labelled_frames`` and more.
    parent : str, optional
        Version of the model that the training began with.

    Raises
    ------
    ModelError
        The folder exists already, or cannot be written: the disk is full, or read-only.

    Notes
    -----
    Where PyTorch cannot express the network as ONNX, ``model.onnx`` is left out with a warning:
    everything else of a training that took hours is kept.
    """
    if folder.exists():
        raise ModelError(f"{folder}: exists already; models are never overwritten")
    if isinstance(detector.model, OnnxNetwork):
        raise ModelError(
            f"{detector.model.path}: runs in ONNX Runtime and has no weights to export; load the "
            "weights.pth that it was made from"
        )
    metadata = _metadata(detector, folder.name, scores, {"num_videos": len(videos or []), **origin})
    metadata |= {
        "parent": parent,
        "videos": _plain(videos or []),
        "scores_by_video": {
            name: _finite(values) for name, values in (scores_by_video or {}).items()
        },
        "history": _plain(history or {}),
    }
    files = {
        **_weights(detector),
        **_portable(detector),
        "metadata.json": _json(metadata),
        "config.json": _json(detector.config.to_dict()),
        "training_progress.png": _progress(history or {}),
    }
    card = model_card(metadata, detector.config, folder, files)
    files["MODEL_CARD.md"] = card.encode(errors="replace")
    unfinished = folder.with_name(folder.name + ".part")
    try:
        # Of a run that was killed while it wrote.
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True)
        for name, content in files.items():
            with replacing(unfinished / name) as file:
                file.write_bytes(content)
        unfinished.replace(folder)
    except OSError as error:
        raise ModelError(
            f"{folder}: the model cannot be written ({error.strerror or error}); free some space "
            "or choose another folder, and export it again"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _metadata(
    detector: ParticleDetector, name: str, scores: dict[str, float], origin: dict[str, Any]
) -> dict[str, Any]:
    config = detector.config
    grid = config.model.architecture == "grid"
    architecture: dict[str, Any] = {
        "type": config.model.architecture,
        "unet_channels": config.model.unet_channels,
        "grid_channels": config.model.grid_channels,
        "context_frames": config.model.context_frames,
        "out_channels": 5 if grid else 1,
    }
    if not grid:
        # As version 2.0 stated it; frames of any size are taken.
        architecture["input_shape"] = [1, 512, 512]
    if isinstance(detector.model, EnsembleNet):
        architecture["members"] = len(detector.model.members)
    return {
        "model_name": config.model.name,
        "version": name,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "architecture": architecture,
        "training": config.training.model_dump(mode="json"),
        "performance": _finite(scores),
        "data_info": {**_plain(origin), "augmentation": config.augmentation.enabled},
        "compatibility": {
            "cloudtrainer_version": __version__,
            "torch_version": str(torch.__version__),
            "lightning_version": _version_of("lightning"),
            "python_version": platform.python_version(),
            "deeptrack_version": "not used",
        },
        "reading": {
            "normalisation": detector.normalisation,
            "threshold": detector.threshold,
            "error_scale": detector.error_scale,
            "error_slope": detector.error_slope,
        },
    }


def _weights(detector: ParticleDetector) -> dict[str, bytes]:
    """Return both files of weights; made in memory, where no disk can fill up."""
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in detector.model.state_dict().items()
    }
    pickled = io.BytesIO()
    torch.save(weights, pickled)
    return {
        "weights.pth": pickled.getvalue(),
        "weights.safetensors": safetensors.torch.save(weights, {"format": "pt"}),
    }


def _portable(detector: ParticleDetector) -> dict[str, bytes]:
    """Return the ONNX file, or nothing where the network cannot be converted."""
    # Here, because running a model needs neither onnx nor onnxscript.
    from cloudtrainer.detector.onnx_export import onnx_bytes

    try:
        return {"model.onnx": onnx_bytes(detector)}
    except Exception as error:  # the converter's errors have many types
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        warnings.warn(f"the export has no model.onnx: {reason}", stacklevel=3)
        return {}


def _progress(history: Mapping[str, Sequence[float]]) -> bytes:
    # Here, because running a model does not need matplotlib.
    from cloudtrainer.figures import to_png, training_figure

    return to_png(training_figure(history))


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _finite(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores that could be measured; the error of no detections is none."""
    return {name: float(value) for name, value in scores.items() if math.isfinite(value)}


def _plain(value: Any) -> Any:
    """Return values that JSON knows: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()

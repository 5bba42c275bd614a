"""Reading the model files of this version and of versions 2.0 and 3.0."""

import json
import pickle
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cloudtrainer.config import Config
from cloudtrainer.detector.ensemble import check_members, member_numbers, without_member
from cloudtrainer.detector.model_notes import (
    checked_config,
    checked_reading,
    dictionary,
    epoch_number,
    history_lists,
    optimizer_state,
)
from cloudtrainer.detector.versions import WEIGHTS
from cloudtrainer.errors import ModelError


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds.

    Attributes
    ----------
    config : Config
        The settings it was trained with.
    weights : dict of str to Tensor
        Weights of the network, without prefixes.
    reading : dict
        ``normalisation``, ``threshold`` and ``error_scale`` of `ParticleDetector`.
    optimizer : dict or None
        State of the optimizer, as its ``load_state_dict`` takes it.
    history : dict of str to list of float
        Losses and scores by name, one number an epoch; NaN where there was none.
    epoch : int or None
        The epoch that a checkpoint was written in.
    """

    config: Config
    weights: dict[str, Tensor]
    reading: dict[str, Any]
    optimizer: dict[str, Any] | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: int | None = None


def read_model(path: Path, config: Config | dict[str, Any] | None = None) -> StoredModel:
    """Read a checkpoint or an export folder of any version.

    Parameters
    ----------
    path : Path
        A Lightning ``.ckpt``, a ``.pth`` (a checkpoint of version 2.0 or bare weights), a
        ``.safetensors``, or an export folder.
    config : Config or dict, optional
        Settings that take the place of the file's own.

    Raises
    ------
    ModelError
        The file is missing, damaged, no model, or needs code of its own to be loaded.
    """
    if path.is_dir():
        return _read_export(path, config)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if path.suffix.lower() == ".onnx":
        raise ModelError(f"{path}: holds no weights for PyTorch; give the weights.pth beside it")
    stored = _load_safely(path)
    if "state_dict" in stored:
        return _read_lightning(path, config, stored)
    if "model_state_dict" in stored:
        return _stored(
            path,
            config or stored.get("config"),
            dictionary(stored["model_state_dict"]),
            {},
            optimizer=optimizer_state(stored.get("optimizer_state_dict")),
            history=history_lists(stored.get("history")),
            epoch=epoch_number(stored.get("epoch")),
        )
    if path.parent.joinpath("config.json").is_file():
        return _read_export(path.parent, config, path.name)
    return _stored(path, config, stored, {})


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; one that is missing is empty.

    Raises
    ------
    ModelError
        The file is not valid JSON, or cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        return dictionary(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is not valid JSON ({error})") from None


def _read_lightning(
    path: Path, config: Config | dict[str, Any] | None, stored: dict[str, Any]
) -> StoredModel:
    settings = dictionary(stored.get("hyper_parameters"))
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in dictionary(stored["state_dict"]).items()
        if isinstance(name, str) and name.startswith("model.")
    }
    optimizers = stored.get("optimizer_states")
    first = optimizers[0] if isinstance(optimizers, list) and optimizers else None
    return _stored(
        path,
        config or settings.get("config"),
        weights,
        settings,
        optimizer=optimizer_state(first),
        history=history_lists(stored.get("history")) or history_lists(settings.get("history")),
        epoch=epoch_number(stored.get("epoch")),
    )


def _read_export(
    folder: Path, config: Config | dict[str, Any] | None, weights_name: str | None = None
) -> StoredModel:
    names = WEIGHTS if weights_name is None else (weights_name,)
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise ModelError(f"{folder}: is no model export; it holds no {' and no '.join(names)}")
    metadata = read_json(folder / "metadata.json")
    return _stored(
        folder,
        config or read_json(folder / "config.json") or None,
        _load_safely(found[0]),
        dictionary(metadata.get("reading")),
        history=history_lists(metadata.get("history")),
    )


def _stored(
    path: Path, config: Any, weights: dict[str, Any], reading: dict[str, Any], **training: Any
) -> StoredModel:
    if not weights or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()
    ):
        raise ModelError(f"{path}: holds no weights of a particle detector")
    own = any(without_member(name).startswith("stem.") for name in weights)
    members = member_numbers(weights)
    if members and not isinstance(config, Config):
        said = dictionary(dictionary(config).get("training"))
        config = {**dictionary(config), "training": {"ensemble": max(members) + 1, **said}}
    settings = checked_config(path, config, "grid" if own else "unet")
    check_members(path, members, settings.training.ensemble)
    usual = checked_reading(path, settings.model.architecture, reading)
    return StoredModel(settings, weights, usual, **training)


def _load_safely(path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(load_file(path, device="cpu"))
        with warnings.catch_warnings():
            # PyTorch's advice on unusual pickles; what it can't read is refused below.
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path}: refused: it holds more than weights, numbers and text, or is no model at all"
        ) from None
    except Exception as error:
        # A damaged pickle ends in any exception: IndexError, KeyError, struct.error, ...
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: cannot be read as a model ({first_line})") from None
    if not isinstance(stored, dict):
        raise ModelError(f"{path}: holds no weights of a particle detector")
    return stored

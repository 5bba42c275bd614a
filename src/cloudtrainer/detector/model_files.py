"""Reading the model files of this version and of versions 2.0 and 3.0."""

import json
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloudtrainer.config import Config
from cloudtrainer.errors import ConfigError, ModelError

# What the files of versions 2.0 and 3.0 leave unsaid.
_EARLIER_READING = {"normalisation": "video_maximum", "threshold": 0.5, "error_scale": 1.0}
_EARLIER_ARCHITECTURE = "unet"


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
    """

    config: Config
    weights: dict[str, Tensor]
    reading: dict[str, Any]


def read_model(path: Path, config: Config | dict[str, Any] | None = None) -> StoredModel:
    """Read a checkpoint or an export folder of any version.

    Parameters
    ----------
    path : Path
        A Lightning ``.ckpt``, a ``.pth`` (a checkpoint of version 2.0 or bare weights), or an
        export folder.
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
    stored = _load_safely(path)
    if "state_dict" in stored:
        settings = _dictionary(stored.get("hyper_parameters"))
        weights = {
            name.removeprefix("model."): tensor
            for name, tensor in _dictionary(stored["state_dict"]).items()
            if name.startswith("model.")
        }
        return _stored(path, config or settings.get("config"), weights, settings)
    if "model_state_dict" in stored:
        weights = _dictionary(stored["model_state_dict"])
        return _stored(path, config or stored.get("config"), weights, {})
    if path.parent.joinpath("config.json").is_file():
        return _read_export(path.parent, config, path.name)
    return _stored(path, config, stored, {})


def _read_export(
    folder: Path, config: Config | dict[str, Any] | None, weights_name: str = "weights.pth"
) -> StoredModel:
    if not (folder / weights_name).is_file():
        raise ModelError(f"{folder}: is no model export; it holds no {weights_name}")
    metadata = _read_json(folder / "metadata.json")
    settings = config or _read_json(folder / "config.json") or None
    reading = _dictionary(metadata.get("reading"))
    return _stored(folder, settings, _load_safely(folder / weights_name), reading)


def _stored(
    path: Path, config: Any, weights: dict[str, Any], reading: dict[str, Any]
) -> StoredModel:
    if not weights or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()
    ):
        raise ModelError(f"{path}: holds no weights of a particle detector")
    try:
        if not isinstance(config, Config):
            settings = dict(_dictionary(config))
            own = any(name.startswith("stem.") for name in weights)
            settings["model"] = {
                "architecture": "grid" if own else _EARLIER_ARCHITECTURE,
                **_dictionary(settings.get("model")),
            }
            config = Config.from_dict(settings)
    except ConfigError as error:
        raise ModelError(f"{path}: its settings are not valid: {error}") from None
    usual = dict(_EARLIER_READING)
    if config.model.architecture != _EARLIER_ARCHITECTURE:
        usual["normalisation"] = "noise"
    return StoredModel(
        config, weights, {name: reading.get(name, value) for name, value in usual.items()}
    )


def _load_safely(path: Path) -> dict[str, Any]:
    try:
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


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return _dictionary(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{path}: is not valid JSON ({error})") from None

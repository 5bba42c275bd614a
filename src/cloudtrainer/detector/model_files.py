"""Model files of this version and of versions 2.0 and 3.0: reading and exporting them."""

import json
import math
import pickle
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloudtrainer.config import Config
from cloudtrainer.detector.module import ParticleDetector
from cloudtrainer.errors import ConfigError, ModelError
from cloudtrainer.version import __version__

# Where the models of a workspace lie, when a model is asked for by its version alone.
_USUAL_WORKSPACES = (Path("DeepTrack_Studio"), Path("/content/drive/MyDrive/DeepTrack_Studio"))

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


def load_model(source: str | Path | None = None) -> ParticleDetector:
    """Load a detector, ready to run.

    Parameters
    ----------
    source : str, Path or None
        None: the model that comes with the package. A file or folder: any model of this version,
        of 3.0 or of 2.0. A version such as ``v_20260101_120000``: the model of that name in
        ``DeepTrack_Studio/models``, here or on a mounted Drive.

    Raises
    ------
    ModelError
        There is no such model, or the file is none.
    """
    if source is None:
        with as_file(files("cloudtrainer") / "models" / "default") as folder:
            return ParticleDetector.load_from_checkpoint(folder)
    path = Path(source)
    if not path.exists():
        named = [place / "models" / str(source) for place in _USUAL_WORKSPACES]
        found = [place for place in named if place.is_dir()]
        if not found or path.name != str(source):
            raise ModelError(f"{source}: no such model file, export folder or version")
        path = found[0]
    return ParticleDetector.load_from_checkpoint(path)


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


def export_model(
    detector: ParticleDetector, folder: Path, *, scores: dict[str, float], origin: dict[str, Any]
) -> None:
    """Write an export that this version and 3.0 can open.

    Parameters
    ----------
    detector : ParticleDetector
        The trained detector.
    folder : Path
        Folder to write; it appears whole or not at all.
    scores : dict
        Validation scores by name.
    origin : dict
        What the model was trained on: numbers and strings.

    Raises
    ------
    ModelError
        The folder exists already.
    """
    if folder.exists():
        raise ModelError(f"{folder}: exists already; models are never overwritten")
    unfinished = folder.with_name(folder.name + ".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.cpu() for name, tensor in detector.model.state_dict().items()}
    torch.save(weights, unfinished / "weights.pth")
    metadata = _metadata(detector, folder.name, scores, origin)
    _write_json(unfinished / "metadata.json", metadata)
    _write_json(unfinished / "config.json", detector.config.to_dict())
    (unfinished / "MODEL_CARD.md").write_text(_model_card(metadata), encoding="utf-8")
    unfinished.replace(folder)


def _metadata(
    detector: ParticleDetector, version: str, scores: dict[str, float], origin: dict[str, Any]
) -> dict[str, Any]:
    config = detector.config
    grid = config.model.architecture == "grid"
    return {
        "model_name": config.model.name,
        "version": version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "architecture": {
            "type": config.model.architecture,
            "unet_channels": config.model.unet_channels,
            "grid_channels": config.model.grid_channels,
            "out_channels": 5 if grid else 1,
        },
        "training": config.training.model_dump(mode="json"),
        # JSON knows no NaN: an error of no detections is left out.
        "performance": {name: value for name, value in scores.items() if math.isfinite(value)},
        "data_info": {**origin, "augmentation": config.augmentation.enabled},
        "compatibility": {
            "cloudtrainer_version": __version__,
            "torch_version": str(torch.__version__),
        },
        "reading": {
            "normalisation": detector.normalisation,
            "threshold": detector.threshold,
            "error_scale": detector.error_scale,
        },
    }


def _model_card(metadata: dict[str, Any]) -> str:
    scores = "\n".join(
        f"| {name} | {value:.4g} |" for name, value in metadata["performance"].items()
    )
    origin = "\n".join(f"- {name}: {value}" for name, value in metadata["data_info"].items())
    return f"""# {metadata["model_name"]} {metadata["version"]}

Finds particles in microscopy frames; network `{metadata["architecture"]["type"]}`, made with
cloudtrainer {metadata["compatibility"]["cloudtrainer_version"]} on {metadata["created_at"]}.

## Load it

```python
import cloudtrainer

model = cloudtrainer.load_model("{metadata["version"]}")
```

## What it learned from

{origin}

## Scores on validation data

| score | value |
|---|---|
{scores}

Detections are kept from a probability of {metadata["reading"]["threshold"]:.2f} on.

## Limits

Scores are those of the validation data above; on other optics, look at the detections over the
frames before trusting a number made from them.
"""


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


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

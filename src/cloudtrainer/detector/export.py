"""Exporting a model: weights, settings, scores, and a card that says what it is."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from cloudtrainer.detector.module import ParticleDetector
from cloudtrainer.errors import ModelError
from cloudtrainer.version import __version__


def export_model(
    detector: ParticleDetector, folder: Path, *, scores: dict[str, float], origin: dict[str, Any]
) -> None:
    """Write an export in the layout of version 3.0, with what this version needs to read it.

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


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

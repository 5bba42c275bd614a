"""The models of a workspace, listed."""

from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.config import Config
from cloudtrainer.detector.versions import damaged_versions, read_metadata
from cloudtrainer.errors import ConfigError
from cloudtrainer.workspace import Workspace


def list_models(workspace: str | Path) -> pd.DataFrame:
    """List the exports of a workspace, oldest first.

    Returns
    -------
    DataFrame
        ``version, current, created, network, videos, f1, rmse_px, parent``; scores are those that
        were measured when the model was made, NaN where it has none. Of a damaged model ``created``
        says what is wrong with it.
    """
    place = Workspace.open(workspace)
    current = place.current_model()
    rows: list[dict[str, Any]] = []
    for folder in place.model_folders():
        metadata = read_metadata(folder)
        try:
            config = Config.from_dict({"model": _model_settings(metadata)})
        except ConfigError:
            config = None
        if not metadata or config is None:
            rows.append(
                {
                    "version": folder.name,
                    "current": folder == current,
                    "created": "metadata.json is missing or damaged",
                }
            )
            continue
        scores = _section(metadata, "performance")
        rows.append(
            {
                "version": folder.name,
                "current": folder == current,
                "created": str(metadata.get("created_at", ""))[:16].replace("T", " "),
                "network": _network(config, metadata),
                "videos": int(_number(_section(metadata, "data_info").get("num_videos"), 0)),
                "f1": _number(scores.get("val_f1")),
                "rmse_px": _number(scores.get("val_rmse_px")),
                "parent": str(metadata.get("parent") or ""),
            }
        )
    rows += [
        {"version": folder.name, "current": False, "created": "holds no weights"}
        for folder in damaged_versions(place.models)
    ]
    columns = ["version", "current", "created", "network", "videos", "f1", "rmse_px", "parent"]
    return pd.DataFrame(rows, columns=columns)


def network_name(config: Config) -> str:
    """Return the network, its channels and the frames that it sees in words."""
    context = config.model.context_frames
    return f"{layers(config)}, {frames_seen(context)}" if context else layers(config)


def layers(config: Config) -> str:
    """Return the network and its channels in words."""
    model = config.model
    channels = model.grid_channels if model.architecture == "grid" else model.unet_channels
    return f"{model.architecture} {'-'.join(map(str, channels))}"


def frames_seen(context_frames: int) -> str:
    """Return the frames that a network sees at once, in words."""
    if context_frames == 0:
        return "each frame alone"
    return f"{2 * context_frames + 1} frames at once"


def _network(config: Config, metadata: dict[str, Any]) -> str:
    members = _section(metadata, "architecture").get("members")
    name = network_name(config)
    return f"{members} x {name}" if isinstance(members, int) and members > 1 else name


def _model_settings(metadata: dict[str, Any]) -> dict[str, Any]:
    architecture = _section(metadata, "architecture")
    settings = {"architecture": architecture.get("type", "unet")}
    for name in ("unet_channels", "grid_channels", "context_frames"):
        if name in architecture:
            settings[name] = architecture[name]
    return settings


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    section = values.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: Any, otherwise: float = float("nan")) -> float:
    return float(value) if isinstance(value, int | float) else otherwise

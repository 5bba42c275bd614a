"""What stands beside the weights in a model file, checked: nobody knows who wrote it."""

import math
from pathlib import Path
from typing import Any

from cloudtrainer.config import Config
from cloudtrainer.errors import ConfigError, ModelError

# What the files of versions 2.0 and 3.0 leave unsaid.
_EARLIER_READING = {
    "normalisation": "video_maximum",
    "threshold": 0.5,
    "error_scale": 1.0,
    "error_slope": 0.0,
}
_EARLIER_ARCHITECTURE = "unet"


def checked_config(path: Path, config: Any, architecture: str) -> Config:
    """Return valid settings.

    Parameters
    ----------
    path : Path
        The file that they are from.
    config : Config, dict or anything
        What it holds as its settings.
    architecture : str
        The network where they name none: what the weights look like.

    Raises
    ------
    ModelError
        A setting is unknown or out of its range.
    """
    if isinstance(config, Config):
        return config
    settings = dict(dictionary(config))
    settings["model"] = {"architecture": architecture, **dictionary(settings.get("model"))}
    try:
        return Config.from_dict(settings)
    except ConfigError as error:
        raise ModelError(f"{path}: its settings are not valid: {_one_line(error)}") from None


def checked_reading(path: Path, architecture: str, reading: dict[str, Any]) -> dict[str, Any]:
    """Return how the network's answer is to be read, as it is stated or usual.

    These are ``normalisation``, ``threshold``, ``error_scale`` and ``error_slope`` of
    `ParticleDetector`.

    Raises
    ------
    ModelError
        One is stated that cannot be.
    """
    usual = dict(_EARLIER_READING)
    if architecture != _EARLIER_ARCHITECTURE:
        usual["normalisation"] = "noise"
    stated = {name: reading.get(name, value) for name, value in usual.items()}
    threshold, scale = _number(stated["threshold"]), _number(stated["error_scale"])
    if stated["normalisation"] not in ("noise", "video_maximum"):
        raise ModelError(
            f"{path}: its normalisation {_one_line(stated['normalisation'])} is not known to this "
            "version"
        )
    if threshold is None or not 0 <= threshold <= 1:
        raise ModelError(
            f"{path}: its threshold {_one_line(stated['threshold'])} is not between 0 and 1"
        )
    if scale is None or not 0 < scale < math.inf:
        raise ModelError(
            f"{path}: its error_scale {_one_line(stated['error_scale'])} is not above 0"
        )
    slope = _number(stated["error_slope"])
    if slope is None or not -1 < slope < 2:
        raise ModelError(
            f"{path}: its error_slope {_one_line(stated['error_slope'])} is not between -1 and 2"
        )
    return {
        "normalisation": stated["normalisation"],
        "threshold": threshold,
        "error_scale": scale,
        "error_slope": slope,
    }


def history_lists(value: Any) -> dict[str, list[float]]:
    """Return the lists of numbers in a stored history; what is none is left out."""
    kept = {}
    for name, values in dictionary(value).items():
        if isinstance(name, str) and isinstance(values, list | tuple):
            # JSON knows no NaN: an epoch without a value is a null.
            numbers = [math.nan if entry is None else _number(entry) for entry in values]
            if None not in numbers:
                kept[name] = [number for number in numbers if number is not None]
    return kept


def optimizer_state(value: Any) -> dict[str, Any] | None:
    """Return the state of an optimizer, or None where the value is none."""
    state = dictionary(value)
    whole = isinstance(state.get("state"), dict) and isinstance(state.get("param_groups"), list)
    return state if whole else None


def epoch_number(value: Any) -> int | None:
    """Return the number of an epoch, or None where the value is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def dictionary(value: Any) -> dict[str, Any]:
    """Return the value where it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())[:200]

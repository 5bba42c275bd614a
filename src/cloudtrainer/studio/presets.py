"""Ready sets of the settings that decide how long a training takes and how good it becomes."""

from typing import Any

from cloudtrainer.config import Config

AS_SET = "as set below"
# All name the same settings, so that one undoes the other.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick look on a CPU": {
        "training": {
            "epochs": 3, "steps_per_epoch": 50, "batch_size": 16, "patience": 10, "ensemble": 1
        },
    },
    "standard": {
        "training": {
            "epochs": 30, "steps_per_epoch": 200, "batch_size": 32, "patience": 10, "ensemble": 1
        },
    },
    "thorough": {
        "training": {
            "epochs": 100, "steps_per_epoch": 400, "batch_size": 32, "patience": 20, "ensemble": 1
        },
    },
}  # fmt: skip


def with_preset(config: Config, name: str) -> Config:
    """Return settings with those of a preset put in; all others stay as they are."""
    values = config.to_dict()
    for section, changed in PRESETS[name].items():
        values[section].update(changed)
    return Config.from_dict(values)


def preset_of(config: Config) -> str:
    """Return the preset that settings agree with, or that they are as set."""
    values = config.to_dict()
    for name, sections in PRESETS.items():
        if all(
            values[section][key] == value
            for section, changed in sections.items()
            for key, value in changed.items()
        ):
            return name
    return AS_SET

"""All settings of a run: read, checked, changed by name, and explained where they are wrong."""

import json
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from cloudtrainer.config.optics import CameraSettings, OpticsSettings
from cloudtrainer.config.sections import (
    AnalysisSettings,
    AugmentationSettings,
    DataSettings,
    ModelSettings,
    SceneSettings,
    Section,
    TrainingSettings,
)
from cloudtrainer.config.twin import TwinSettings
from cloudtrainer.errors import ConfigError


class Config(Section):
    """Every setting of a run, in sections.

    Unknown keys are refused. ``Config.load`` reads this version's ``config.json`` and those of
    versions 2.0 and 3.0; ``Config.from_dict`` takes the nested dictionary.
    """

    model: ModelSettings = Field(default_factory=ModelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = Field(default_factory=AugmentationSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    scenes: SceneSettings = Field(default_factory=SceneSettings)
    optics: OpticsSettings = Field(default_factory=OpticsSettings)
    camera: CameraSettings = Field(default_factory=CameraSettings)
    twin: TwinSettings = Field(default_factory=TwinSettings)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)

    @classmethod
    def version_3(cls) -> Self:
        """Return the settings of version 3.0's form: its network, its defaults, its recipe."""
        return cls.from_dict(
            {
                "model": {"name": "particle_detector_v3", "architecture": "unet"},
                "training": {
                    "epochs": 30,
                    "batch_size": 8,
                    "learning_rate": 1e-4,
                    "schedule": "plateau",
                    "simulated_share": 0.0,
                    "start": "scratch",
                },
                "augmentation": {
                    "free_rotation": False,
                    "scale": 0.0,
                    "contrast": 0.0,
                    "gamma": 0.0,
                    "blur_px": 0.0,
                    "gaussian_noise": 0.0,
                    "poisson_noise": 0.0,
                    "gradient": 0.0,
                },
            }
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Check a nested dictionary of settings.

        Raises
        ------
        ConfigError
            A key is unknown or a value is out of its range; the message names them all.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a ``config.json``.

        Raises
        ------
        ConfigError
            The file is missing, is not JSON, or holds a setting that is not valid.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: cannot be read as JSON settings ({error})") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: holds no settings; expected an object with sections")
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain numbers, strings, lists and dictionaries."""
        return self.model_dump(mode="json")

    def with_values(self, pairs: list[str]) -> Self:
        """Return the settings with some replaced, each given as ``section.key=value``.

        A value is read as JSON, and taken as text where it is none; nothing after the ``=`` makes
        a setting empty.

        Raises
        ------
        ConfigError
            A text is no such pair, its key is unknown (the message names the nearest), or its
            value is out of its range.
        """
        values, fields = self.to_dict(), setting_fields()
        for pair in pairs:
            name, equals, text = (part.strip() for part in pair.partition("="))
            if not equals:
                raise ConfigError(f"{pair!r}: give section.key=value, such as training.epochs=50")
            if name not in fields:
                raise ConfigError(
                    f"{name!r}: no such setting; the nearest is {_nearest(name, list(fields))}; "
                    "see: cloudtrainer settings"
                )
            section, _, key = name.partition(".")
            values[section][key] = _read_value(text, fields[name])
        return self.from_dict(values)


def setting_fields() -> dict[str, FieldInfo]:
    """Return what is known of every setting, by its name ``section.key``."""
    return {
        f"{section}.{key}": field
        for section, holder in Config.model_fields.items()
        for key, field in getattr(holder.annotation, "model_fields", {}).items()
    }


def _nearest(name: str, names: list[str]) -> str:
    """Return the likest name; the key alone may be like, for the section is easily left out."""

    def likeness(other: str) -> tuple[float, float]:
        whole = SequenceMatcher(None, name, other).ratio()
        key = SequenceMatcher(None, name.rpartition(".")[2], other.rpartition(".")[2]).ratio()
        return max(whole, key), whole

    return max(names, key=likeness)


def _read_value(text: str, field: FieldInfo) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text or None
    # A name such as 2024 is a text, though JSON reads a number.
    return text if field.annotation is str and not isinstance(value, str) else value


def explain(error: ValidationError) -> str:
    """Say in one line which settings are wrong and why."""
    parts = []
    for fault in error.errors():
        where = ".".join(str(step) for step in fault["loc"])
        if fault["type"] == "extra_forbidden":
            parts.append(f"{where}: no such setting")
        elif fault["type"] == "value_error" and isinstance(fault["input"], dict):
            # About settings that do not go together: the sentence names them.
            parts.append(str(fault["ctx"]["error"]))
        else:
            what = fault["msg"].removeprefix("Value error, ")
            parts.append(f"{where}: {what} (got {fault['input']!r})" if where else what)
    return "; ".join(parts)

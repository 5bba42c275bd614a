"""What the form shows of each setting: where it stands, its name, its help, what is faster."""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from cloudtrainer.config import Config, range_in_words, setting_fields, unit_of

Kind = Literal["switch", "choice", "text", "number", "several"]

ADVANCED = "Advanced"
_GROUPS: dict[str, tuple[str, ...]] = {
    "Model": ("model.name", "model.architecture", "model.context_frames", "training.ensemble"),
    "Data": (
        "training.unlabelled",
        "training.simulated_share",
        "training.validation_split",
        "training.hold_out",
        "training.incremental",
        "training.start",
        "data.particle_radius",
    ),
    "Training": (
        "training.epochs",
        "training.steps_per_epoch",
        "training.batch_size",
        "training.crop_px",
        "training.learning_rate",
        "training.gradient_clip",
        "training.early_stopping",
        "training.patience",
        "training.mixed_precision",
    ),
    "Augmentation": tuple(name for name in setting_fields() if name.startswith("augmentation.")),
}
FASTER = {
    "model.architecture": "grid is faster",
    "model.grid_channels": "fewer are faster",
    "model.unet_channels": "fewer are faster",
    "model.context_frames": "0 is fastest",
    "training.ensemble": "1 is fastest",
    "training.epochs": "fewer are faster",
    "training.steps_per_epoch": "fewer are faster",
    "training.batch_size": "smaller is faster",
    "training.crop_px": "smaller is faster",
    "training.early_stopping": "on is faster",
    "training.mixed_precision": "on is faster",
    "training.start": "bundled needs fewer epochs",
    "training.incremental": "on is faster",
    "training.devices": "more are faster",
    "optics.kind": "gaussian is faster",
}
_WORDS = {
    "snr": "SNR",
    "f1": "F1",
    "unet": "U-Net",
    "lr": "left and right",
    "ud": "up and down",
    "px2": "px²",
}
_UNIT_ENDINGS = ("_px", "_um", "_nm", "_s", "_frames")


@dataclass(frozen=True)
class FormField:
    """What is shown of a setting.

    Attributes
    ----------
    name : str
        ``section.key``.
    group : str
        The heading that it stands under.
    label : str
        Its name for people, with its unit.
    kind : {"switch", "choice", "text", "number", "several"}
        How it is given; "several" are numbers with commas between.
    help : str
        A line of help.
    range : str
        What it may be, in words.
    faster : str
        What makes training faster; empty where it does not matter.
    choices : tuple of str
        Of a choice, what may be chosen.
    """

    name: str
    group: str
    label: str
    kind: Kind
    help: str
    range: str
    faster: str
    choices: tuple[str, ...]

    def read(self, shown: Any) -> Any:
        """Return what a widget holds as a value to be checked: numbers where numbers are meant."""
        if self.kind in ("switch", "choice"):
            return shown
        text = str(shown).strip()
        if self.kind == "text":
            return text
        if not text:
            return None
        if self.kind == "several":
            text = f"[{text.strip('[]()')}]"
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return shown
        # JSON also knows true and null, which are no numbers.
        parts = value if isinstance(value, list) else [value]
        return value if all(type(part) in (int, float) for part in parts) else shown

    def show(self, value: Any) -> Any:
        """Return what a widget shows for a plain value of ``Config.to_dict``."""
        if self.kind in ("switch", "choice"):
            return value
        if value is None:
            return ""
        if isinstance(value, dict):
            value = list(value.values())
        return ", ".join(map(_number, value)) if isinstance(value, list) else _number(value)


def form_fields() -> dict[str, FormField]:
    """Return every setting as the form shows it, in the order of the form."""
    fields = setting_fields()
    placed = {name: group for group, names in _GROUPS.items() for name in names}
    order = [*placed, *(name for name in fields if name not in placed)]
    shown: dict[str, FormField] = {}
    for name in order:
        field = _field(name, fields[name], placed.get(name, ADVANCED))
        if any(field.label == other.label for other in shown.values()):
            section = name.partition(".")[0].capitalize()
            label = field.label[:1].lower() + field.label[1:]
            field = replace(field, label=f"{section}: {label}")
        shown[name] = field
    return shown


def faults(values: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return what is wrong with nested values, for each setting, or section, in plain words."""
    try:
        Config.model_validate(values)
    except ValidationError as error:
        found: dict[str, str] = {}
        for fault in error.errors():
            where = ".".join(str(step) for step in fault["loc"][:2])
            found.setdefault(where, _plain(fault["msg"]))
        return found
    return {}


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "Must be", 1)
    message = message.replace(", unable to parse string as a number", "")
    message = message.replace(", unable to parse string as an integer", "")
    for formal, plain in (
        ("a valid integer", "a whole number"),
        ("a valid number", "a number"),
        ("a valid list", "numbers with commas between"),
    ):
        message = message.replace(formal, plain)
    return message


def _field(name: str, field: FieldInfo, group: str) -> FormField:
    key, unit = name.partition(".")[2], unit_of(field)
    for ending in _UNIT_ENDINGS if unit else ():
        key = key.removesuffix(ending)
    label = " ".join(_WORDS.get(word, word) for word in key.split("_"))
    label = label[:1].upper() + label[1:]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return FormField(
        name=name,
        group=group,
        label=f"{label} [{unit}]" if unit else label,
        kind=_kind(field),
        help=field.description or "",
        range=range_in_words(field),
        faster=FASTER.get(name, ""),
        choices=tuple(str(choice) for choice in choices),
    )


def _kind(field: FieldInfo) -> Kind:
    kind = field.annotation
    if kind is bool:
        return "switch"
    if get_origin(kind) is Literal:
        return "choice"
    if kind is str:
        return "text"
    if get_origin(kind) is list or hasattr(kind, "model_fields"):
        return "several"
    return "number"


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value
    short = f"{value:.10g}"
    return short if float(short) == value else repr(value)

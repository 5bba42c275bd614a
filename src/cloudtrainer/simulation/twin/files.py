"""A twin on disk: its numbers, and the detector that has learned it."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.errors import ModelError
from cloudtrainer.simulation.twin.focus import Focus

NUMBERS, PICTURE, MODEL = "twin.json", "twin.png", "model"
FRAMES = "twin_frames.tif"
_PNG = b"\x89PNG"
_SECTIONS = ("background_counts", "noise", "particles", "training")
# What a twin is made by: with another number, earlier ones are made anew.
_METHOD = 2
# What reading raises where a file is damaged, changed by hand or of another program.
_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    ModelError,
)  # fmt: skip


@dataclass(frozen=True)
class TwinModel:
    """A detector of a video's own, and what its twin says about the video.

    Attributes
    ----------
    detector : ParticleDetector
        The detector.
    focus : Focus or None
        What tells particles in focus from others; None where all are alike.
    numbers : dict
        What ``twin.json`` holds.
    picture : bytes
        Video and twin side by side, a PNG file.
    """

    detector: ParticleDetector
    focus: Focus | None
    numbers: dict[str, Any]
    picture: bytes = b""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the twin cannot follow, in sentences."""
        return tuple(self.numbers.get("doubts", ()))


def twin_key(
    video_sha256: str, part: object, config: Config, start: ParticleDetector, polarity: str
) -> str:
    """Return what tells the twin of a video, and what was learned from it, from any other.

    Parameters
    ----------
    video_sha256 : str
        Of the whole video.
    part : object
        Which part of it is used: plain numbers.
    config : Config
        The settings; those of analysis do not matter.
    start : ParticleDetector
        The detector that training begins with.
    polarity : str
        What was asked for: "auto", "bright" or "dark".
    """
    settings = config.to_dict()
    settings.pop("analysis")
    told = [_METHOD, video_sha256, part, settings, start.weights_sha256(), polarity]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def holds_twin(folder: Path) -> bool:
    """Tell whether a folder is one that a twin and its detector were written to."""
    return (folder / NUMBERS).is_file() and (folder / MODEL).is_dir()


def read_twin(folder: Path, key: str | None = None) -> TwinModel | None:
    """Return the detector of a twin that was written to a folder; None where there is none.

    Parameters
    ----------
    folder : Path
        The folder.
    key : str, optional
        What tells it from others; default: whatever it is of.
    """
    try:
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        if key not in (None, numbers["key"]) or "training" not in numbers:
            return None
        picture = (folder / PICTURE).read_bytes()
        if not (picture.startswith(_PNG) and _well_formed(numbers)):
            return None
        return TwinModel(load_model(folder / MODEL), focus_of(numbers), numbers, picture)
    except _DAMAGED:
        return None


def focus_of(numbers: dict[str, Any]) -> Focus | None:
    """Return what ``twin.json`` says of the particles in focus."""
    entry = numbers["focus"]
    if entry is None:
        return None
    focus = Focus(float(entry["peak_counts"]), float(entry["least_peak_counts"]))
    if not 0 < focus.least <= focus.peak < math.inf:
        raise ValueError("no limit of focus")
    return focus


def _well_formed(numbers: dict[str, Any]) -> bool:
    sections = all(isinstance(numbers[name], dict) for name in _SECTIONS)
    doubts = numbers["doubts"]
    return sections and isinstance(doubts, list) and all(isinstance(one, str) for one in doubts)


def polarity_of(config: Config) -> int | None:
    """Return the sign that the settings ask for; None where the video decides."""
    return {"auto": None, "bright": 1, "dark": -1}[config.analysis.polarity]

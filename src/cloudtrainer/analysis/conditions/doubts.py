"""What else differs between the videos of a comparison, and what their number cannot tell."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from cloudtrainer.analysis.conditions.recordings import Recording
from cloudtrainer.analysis.readings import quantities_of
from cloudtrainer.diffusion.videos import FEWEST_VIDEOS

_MOST_NAMES = 5


class _Attribute(NamedTuple):
    name: str
    of: Callable[[dict[str, Any]], Any]
    unit: str
    consequence: str


_ATTRIBUTES = (
    _Attribute(
        "frame interval", lambda s: s["calibration"]["frame_interval_s"], " s",
        "alpha, effective diffusivities, and D of motion that is not Brownian depend on it.",
    ),
    _Attribute(
        "exposure", lambda s: s["calibration"]["exposure_s"], " s",
        "Unequal motion blur changes alpha and effective diffusivities at short times.",
    ),
    _Attribute(
        "pixel size", lambda s: s["calibration"]["pixel_size_um"], " um",
        "Make sure that both are calibrated: D goes with its square.",
    ),
    _Attribute(
        "particle radius", lambda s: _material(s, "particle_radius_um"), " um",
        "D goes with 1 / radius: this alone makes a difference.",
    ),
    _Attribute(
        "temperature", lambda s: _material(s, "temperature_K"), " K",
        "D goes with temperature / viscosity: this alone makes a difference.",
    ),
    _Attribute(
        "detector", lambda s: _detector(s), "",
        "Detectors that find other particles give another D: analyse all videos with one.",
    ),
    _Attribute(
        "least motion of a particle that is not immobile",
        lambda s: ((s.get("mobility") or {}).get("limits") or {}).get("immobile_um"), " um in 1 s",
        "Fractions are not of the same classes.",
    ),
    _Attribute(
        "step that D rests on", lambda s: _stride(s), " frames",
        "D of some videos is from long lags because their displacements are correlated: see their "
        "warnings.",
    ),
    _Attribute("version of cloudtrainer", lambda s: s["version"], "", "Analyse all with one."),
)  # fmt: skip


def doubts(recordings: Sequence[Recording]) -> list[str]:
    """Return sentences on what differs besides the condition, and on what too few videos hold."""
    said = [*_few_videos(recordings), *_missing(recordings), *unlike(recordings)]
    if not recordings[0].calibrated:
        said.append(
            "All numbers are in pixels and frames: they compare only where magnification and frame "
            "interval were the same."
        )
    other = [
        one for one in recordings
        if one.summary["measured"]["motion_model"] not in ("brownian", "undetermined")
    ]  # fmt: skip
    if other:
        said.append(
            f"The motion in {_names(other)} is not plain diffusion: D depends on the time scale "
            "there. Compare effective diffusivities at one time scale, or alpha and K."
        )
    warned = [one for one in recordings if one.summary["warnings"]]
    if warned:
        said.append(
            f"{len(warned)} of {len(recordings)} videos have warnings of their own: read their "
            "reports before you use their numbers."
        )
    return said


def _few_videos(recordings: Sequence[Recording]) -> list[str]:
    said = []
    for condition in dict.fromkeys(one.condition for one in recordings):
        number = sum(one.condition == condition and one.diffusion is not None for one in recordings)
        if number == 1:
            said.append(
                f"{condition}: one video with D. Its interval is over its particles alone: how "
                "videos differ cannot be told from one. No p-value and no interval of a ratio can "
                f"be given; film {FEWEST_VIDEOS} or more."
            )
        elif 1 < number < FEWEST_VIDEOS:
            said.append(
                f"{condition}: {number} videos with D. They say next to nothing of how videos "
                f"differ: no p-value is given; film {FEWEST_VIDEOS} or more."
            )
    return said


def _missing(recordings: Sequence[Recording]) -> list[str]:
    said = []
    for quantity in quantities_of(one.readings for one in recordings):
        if not quantity.leading:
            continue
        without = [one for one in recordings if quantity not in one.readings]
        if without:
            said.append(
                f"{quantity.label}: none in {_names(without)}, which take no part in it. Where "
                "short tracks are the reason, the others are not like them."
                if quantity.key != "D"
                else f"{_names(without)} gave no D and no part in its comparison."
            )
    return said


def unlike(recordings: Sequence[Recording]) -> list[str]:
    """Return sentences on what is not the same in all videos, with the conditions of each value."""
    said = []
    for attribute in (*_ATTRIBUTES, *_settings(recordings)):
        groups: dict[str, list[str]] = {}
        for one in recordings:
            value = attribute.of(one.summary)
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            text = "not known" if value is None else f"{shown}{attribute.unit}"
            groups.setdefault(text, []).append(one.condition)
        if len(groups) > 1:
            values = ", ".join(
                f"{text} ({_listed(list(dict.fromkeys(names)))})" for text, names in groups.items()
            )
            said.append(f"The {attribute.name} is not the same: {values}. {attribute.consequence}")
    return said


def _settings(recordings: Sequence[Recording]) -> list[_Attribute]:
    names = dict.fromkeys(name for one in recordings for name in one.summary["config"])
    return [
        _Attribute(
            f"setting {name.replace('_', ' ')}",
            partial(_setting, name),
            "",
            "Analyse all videos alike.",
        )
        for name in names
        if name != "seed"
    ]


def _setting(name: str, summary: dict[str, Any]) -> Any:
    return summary["config"].get(name)


def _detector(summary: dict[str, Any]) -> str | None:
    """Return what tells detectors apart; twins are of their videos, and all made in one way."""
    if summary.get("twin"):
        return "a twin"
    return str((summary["model"] or {}).get("weights_sha256", ""))[:12] or None


def _material(summary: dict[str, Any], name: str) -> Any:
    return (summary.get("material") or {}).get(name)


def _stride(summary: dict[str, Any]) -> int | None:
    entries = [value for name, value in summary["measured"].items() if name.startswith("D_u")]
    entries += [value for name, value in summary["measured"].items() if name.startswith("D_p")]
    return entries[0]["stride_frames"] if entries and entries[0] else None


def _names(recordings: Sequence[Recording]) -> str:
    return _listed([one.name for one in recordings])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

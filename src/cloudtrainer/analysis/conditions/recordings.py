"""The videos of each condition, read from result folders, and what is refused."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtrainer.analysis.readings import Quantity, Reading, readings
from cloudtrainer.arguments import shown
from cloudtrainer.errors import CalibrationError, ConfigError, WorkspaceError

# What a spreadsheet would take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = ("condition", "folder")
# What is read of a summary besides its estimates.
_PARTS = {
    "measured": dict,
    "calibration": dict,
    "warnings": list,
    "config": dict,
    "video": dict,
    "model": dict | None,
}


@dataclass(frozen=True)
class Recording:
    """One analysed video of a condition.

    Attributes
    ----------
    condition : str
    name : str
        The folder's name and the video's.
    folder : Path
        The result folder.
    summary : dict
        What ``summary.json`` says of this video.
    readings : dict
        The quantities that it holds.
    """

    condition: str
    name: str
    folder: Path
    summary: dict[str, Any]
    readings: dict[Quantity, Reading]

    @property
    def diffusion(self) -> Reading | None:
        """D with its interval; None where there is none."""
        return next((one for quantity, one in self.readings.items() if quantity.key == "D"), None)

    @property
    def calibrated(self) -> bool:
        """Whether D is in um^2/s."""
        return "D_um2_per_s" in self.summary["measured"]


def read_conditions(path: str | Path) -> dict[str, list[Path]]:
    """Read a table of result folders, with the columns ``condition`` and ``folder``.

    Folders that are not absolute lie beside the table.

    Raises
    ------
    WorkspaceError, ConfigError
        The table cannot be read, or a column or cell is missing.
    """
    path = Path(path)
    found: dict[str, list[Path]] = {}
    for line, condition, folder in _rows(path):
        if not condition or not folder:
            raise ConfigError(f"{path}, line {line}: give both a condition and a folder")
        found.setdefault(condition, []).append(path.parent / folder)
    return found


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Return the line, the condition and the folder of each row, without spaces around them."""
    try:
        # Spreadsheets put a mark before the first letter, and some write semicolons.
        with path.open(encoding="utf-8-sig", newline="") as file:
            sign = ";" if ";" in file.readline() else ","
            file.seek(0)
            read = csv.reader(file, delimiter=sign, skipinitialspace=True, strict=True)
            lines = [(read.line_num, [cell.strip() for cell in row]) for row in read if row]
    except UnicodeDecodeError:
        raise WorkspaceError(f"{path}: cannot be read; save it as CSV (UTF-8)") from None
    except (OSError, csv.Error) as error:
        said = getattr(error, "strerror", None) or error
        raise WorkspaceError(f"{path}: cannot be read as a table ({said})") from None
    header = lines[0][1] if lines else []
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ConfigError(
            f"{path}: has no column {' and no column '.join(missing)}; give a row a result folder, "
            "with the columns condition and folder"
        )
    twice = [name for name in _COLUMNS if header.count(name) > 1]
    if twice:
        raise ConfigError(f"{path}: has the column {twice[0]} twice; keep one")
    for line, row in lines[1:]:
        if len(row) > len(header):
            raise ConfigError(
                f"{path}, line {line}: has more cells than the header; put a name with "
                f"{'a semicolon' if sign == ';' else 'a comma'} in quotes"
            )
    condition, folder = (header.index(name) for name in _COLUMNS)
    filled = [(line, row + [""] * len(header)) for line, row in lines[1:] if any(row)]
    return [(line, row[condition], row[folder]) for line, row in filled]


def read_recordings(conditions: Mapping[str, Sequence[str | Path]]) -> list[Recording]:
    """Read the summaries of all conditions; results of several videos give each of them.

    Raises
    ------
    ConfigError
        There are fewer than two conditions, one has no folder, a name is none that can be, or one
        folder or video is given twice.
    WorkspaceError
        A folder holds no results, or damaged ones.
    CalibrationError
        Some videos are calibrated and others are not.
    """
    _check_names(conditions)
    owner: dict[Path, str] = {}
    found: list[Recording] = []
    for condition, folders in conditions.items():
        for folder in map(Path, folders):
            try:
                place = folder.expanduser().resolve()
            except (ValueError, RuntimeError, OSError):
                raise WorkspaceError(
                    f"{shown(str(folder))}: is no path; give the output folder of an analysis"
                ) from None
            if place in owner:
                twice = (
                    f"is in the conditions {owner[place]} and {condition}"
                    if owner[place] != condition
                    else f"is given twice in the condition {condition}"
                )
                raise ConfigError(f"{folder}: {twice}; give each folder once")
            owner[place] = condition
            found += _read(condition, place, folder)
    _check_replicates(found)
    _check_units(found)
    return found


def _check_names(conditions: Mapping[str, Sequence[str | Path]]) -> None:
    if len(conditions) < 2:
        raise ConfigError(
            "a comparison needs two conditions or more, each with a name and its result folders"
        )
    for name, folders in conditions.items():
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ConfigError(f"the condition {name!r} has no name that can be shown; name it")
        if name.startswith(_FORMULA):
            raise ConfigError(
                f"the condition {name!r}: a spreadsheet would take this name for a formula; begin "
                "it with a letter or a number"
            )
        if isinstance(folders, str | Path) or not len(folders):
            raise ConfigError(
                f"the condition {name}: give a list of result folders, one for each video"
            )


def _read(condition: str, place: Path, folder: Path) -> list[Recording]:
    path = place / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise WorkspaceError(
            f"{folder}: holds no results (no summary.json); give the output folder of an analysis"
        ) from None
    except (ValueError, RecursionError) as error:
        raise WorkspaceError(
            f"{folder}: its summary.json is damaged ({error}); analyse the video again"
        ) from None
    try:
        parts = summary.get("videos") or [summary]
        for part in parts:
            _check_parts(part)
        return [
            Recording(condition, _name(place, part, len(parts)), place, part, _readings(part))
            for part in parts
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WorkspaceError(
            f"{folder}: its summary.json is not one of an analysis, or of another version "
            f"({type(error).__name__}: {error}); analyse the video again"
        ) from None


def _check_parts(summary: dict[str, Any]) -> None:
    """Raise KeyError or TypeError where a summary lacks what is read of it."""
    for name, kind in _PARTS.items():
        if not isinstance(summary[name], kind):
            raise TypeError(f"{name} is of another kind")
    material, mobility = summary.get("material") or {}, summary.get("mobility") or {}
    for name, part in (
        ("material", material),
        ("mobility", mobility),
        ("mobility.limits", mobility.get("limits") or {}),
    ):
        if not isinstance(part, dict):
            raise TypeError(f"{name} is of another kind")
    estimates = [
        estimate
        for name, estimate in summary["measured"].items()
        if name.startswith(("D_u", "D_p"))
    ]
    if not estimates:
        raise KeyError("D")
    for estimate in filter(None, estimates):
        estimate["stride_frames"]
    for name in ("pixel_size_um", "frame_interval_s", "exposure_s"):
        summary["calibration"][name]
    summary["measured"]["motion_model"], summary["video"]["sha256"], summary["version"]


def _readings(summary: dict[str, Any]) -> dict[Quantity, Reading]:
    """Return what was measured; raise ValueError where no analysis can have found it."""
    found = readings(summary)
    for quantity, one in found.items():
        if one.low > one.high:
            raise ValueError(f"{quantity.label}: its interval ends before it begins")
    for name, unit in (("D_um2_per_s", "um^2/s"), ("D_px2_per_frame", "px^2/frame")):
        estimate = summary["measured"].get(name)
        if estimate and estimate.get("unit", unit) != unit:
            raise ValueError(f"{name} is in {shown(estimate['unit'])}")
    return found


def _name(place: Path, summary: dict[str, Any], parts: int) -> str:
    video = str(summary["video"]["name"])
    plain = place.name if parts == 1 else f"{place.name}/{video}"
    shown = "".join(sign if sign.isprintable() else "_" for sign in plain)
    return f"_{shown[1:]}" if shown.startswith(_FORMULA) else shown


def _check_replicates(recordings: list[Recording]) -> None:
    """Refuse one video given twice: by the content of its file, or by the very same numbers."""
    contents: dict[str, Recording] = {}
    numbers: dict[tuple[float, float], Recording] = {}
    for one in recordings:
        content = str(one.summary["video"]["sha256"] or "")
        other = contents.get(content) if content else None
        if other is not None:
            raise ConfigError(
                f"{one.name} ({one.condition}) and {other.name} ({other.condition}) are results of "
                "the same video; one video is one replicate, give it once"
            )
        contents[content] = one
        if one.diffusion is None:
            continue
        same = (one.diffusion.value, one.diffusion.high)
        if same in numbers:
            raise ConfigError(
                f"{one.name} ({one.condition}) and {numbers[same].name} "
                f"({numbers[same].condition}) have the same D to the last digit: they are results "
                "of copies of one video; give it once"
            )
        numbers[same] = one


def _check_units(recordings: list[Recording]) -> None:
    groups = {True: [one for one in recordings if one.calibrated]}
    groups[False] = [one for one in recordings if not one.calibrated]
    if groups[True] and groups[False]:
        raise CalibrationError(
            f"{groups[False][0].name} is in pixels and frames, {groups[True][0].name} in um and s: "
            "they cannot be compared; analyse again with pixel size and frame interval"
        )

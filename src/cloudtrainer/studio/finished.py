"""The finished analyses of a workspace, and the conditions that they were given to."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtrainer.atomic import write_json
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.studio.result_files import DAMAGED
from cloudtrainer.workspace import Workspace


@dataclass(frozen=True)
class Finished:
    """One analysis with results.

    Attributes
    ----------
    folder : Path
    video : str
        The name of what was analysed.
    D : str
        D with its interval, or why there is none.
    tracks : str
    """

    folder: Path
    video: str
    D: str
    tracks: str


def list_finished(place: Workspace) -> list[Finished]:
    """Return the analyses of a workspace, by the names of their folders."""
    folders = sorted(path.parent for path in place.results.glob("*/summary.json"))
    return [_finished(folder) for folder in folders if not folder.name.startswith(".")]


def read_given(place: Workspace) -> dict[str, str]:
    """Return the condition of each folder that was given to one before."""
    try:
        found = json.loads(_file(place).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def write_given(place: Workspace, given: dict[str, str]) -> None:
    """Keep which folder is of which condition.

    Raises
    ------
    WorkspaceError
        It cannot be written.
    """
    path = _file(place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, given)
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be written ({error.strerror}); the conditions are not kept for the "
            "next time"
        ) from None


def _file(place: Workspace) -> Path:
    return place.logs / "studio" / "conditions.json"


def _finished(folder: Path) -> Finished:
    # The analysis takes a second to import, and the page is there before.
    from cloudtrainer.analysis.readings import readings
    from cloudtrainer.figures import with_interval

    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        video = str(summary["video"]["name"])
        tracks = str(summary["measured"]["tracks"])
        found = {one.key: (one, value) for one, value in readings(summary).items()}
    except (OSError, *DAMAGED):
        return Finished(folder, "", "cannot be read; analyse again", "")
    if "D" not in found:
        return Finished(folder, video, "not estimated", tracks)
    quantity, D = found["D"]
    return Finished(folder, video, with_interval(D.value, D.low, D.high, quantity.unit), tracks)

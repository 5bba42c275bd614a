"""The results of a workspace: which there are, of which video, and those that are shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.studio.result_files import DAMAGED
from cloudtrainer.studio.result_view import ResultView
from cloudtrainer.workspace import Workspace

_NO_RESULTS = "none of this video yet"


class ResultsList:
    """The results of a workspace, those of the chosen video first to be seen.

    Parameters
    ----------
    place : Workspace
        The workspace.
    linked : bool
        Whether a server gives reports and zips.
    """

    def __init__(self, place: Workspace, *, linked: bool) -> None:
        self.place = place
        self.choice = pn.widgets.Select(label="Results", options={}, width=400)
        self.result = ResultView(place.videos, linked=linked)
        self._video = ""
        self._videos_of: dict[Path, str] = {}
        self.choice.param.watch(self._chosen, "value")
        self.layout = pn.Column(self.choice, self.result.layout, sizing_mode="stretch_width")

    def refresh(self, chosen: Path | None = None) -> None:
        """Read the list anew, and show one of them: default, the newest of the chosen video."""
        found = [path.parent for path in self.place.results.glob("*/summary.json")]
        found.sort(key=lambda folder: (folder / "summary.json").stat().st_mtime, reverse=True)
        self._videos_of = {folder: _video_of(folder) for folder in found}
        names = {f"{folder.name} ({video})": folder for folder, video in self._videos_of.items()}
        self.choice.param.update(options={_NO_RESULTS: None, **names}, visible=bool(found))
        wanted = [folder for folder in found if chosen and folder.name == chosen.name]
        self._show(next(iter(wanted), None))

    def of_video(self, video: Path | None) -> None:
        """Show the newest results of the video that is chosen: never those of another one."""
        self._video = video.name if video else ""
        self._show(None)

    def _show(self, wanted: Path | None) -> None:
        mine = [folder for folder, video in self._videos_of.items() if video == self._video]
        self.choice.value = wanted or next(iter(mine), None)
        self._chosen(None)

    def _chosen(self, _: Any) -> None:
        if self.choice.value is None:
            self.result.layout.visible = False
        else:
            self.result.show(self.choice.value)


def new_folder(place: Workspace, video: Path, taken: Sequence[str] = ()) -> Path:
    """Return a folder for the results of a video that is not there yet, and none of those taken."""
    stem = video.name if video.is_dir() else video.name.split(".")[0] or "video"
    folder, again = place.results.resolve() / stem, 1
    while folder.exists() or str(folder) in taken:
        again += 1
        folder = folder.with_name(f"{stem}_{again}")
    return folder


def _video_of(folder: Path) -> str:
    """Return the name of the video that results are of; of several, their names."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return str(summary["video"]["name"])
    except (OSError, *DAMAGED):
        return "damaged"

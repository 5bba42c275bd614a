"""The part *Models*: their scores, which one is current, and taking one along or in."""

import asyncio
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import panel as pn

from cloudtrainer.detector.versions import read_metadata
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.look import CARD, TABLE_CSS, sentence
from cloudtrainer.studio.uploads import Uploads
from cloudtrainer.studio.videos import MODEL_SUFFIXES, add_model
from cloudtrainer.training import list_models
from cloudtrainer.workspace import Workspace

_TITLES = {
    "version": "Model",
    "current": "Current",
    "created": "Made",
    "network": "Network",
    "videos": "Videos",
    "f1": "F1",
    "rmse_px": "Position error [px]",
    "parent": "Continued from",
}
_SCORES = {
    "video": "Scores by video",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "rmse_px": "Position error [px]",
}
_ROWS_SHOWN = 6


class ModelsPart:
    """The models of a workspace.

    Parameters
    ----------
    place : Workspace
        The workspace.
    uploads : Uploads, optional
        What takes files from the browser; None where there is no server for them.
    """

    def __init__(self, place: Workspace, *, uploads: Uploads | None = None) -> None:
        self.place = place
        self._told: list[Callable[[], None]] = []
        self.table = pn.widgets.Tabulator(
            pd.DataFrame(columns=list(_TITLES)), titles=_TITLES, show_index=False, selectable=1,
            disabled=True, page_size=_ROWS_SHOWN, sizing_mode="stretch_width",
            # Cells that could be edited would each catch the Tab key.
            editors=dict.fromkeys(_TITLES),
            stylesheets=[TABLE_CSS],
            configuration={"columnDefaults": {"headerSort": False}},
            formatters={name: {"type": "plaintext"} for name in _TITLES}
            | {"current": {"type": "tickCross", "crossElement": ""}},
        )  # fmt: skip
        self.make_current = pn.widgets.Button(
            label="Make current", color="primary", width=130, disabled=True
        )
        self.download = pn.pane.HTML("", width=260, align="center")
        self.said = pn.pane.HTML("", sizing_mode="stretch_width")
        self.about = pn.pane.HTML("", sizing_mode="stretch_width")
        self.card = pn.pane.Str(
            "", sizing_mode="stretch_width", styles={"font-size": "12px"},
            stylesheets=["pre {white-space: pre-wrap; overflow-wrap: anywhere}"],
        )  # fmt: skip
        self.scores = pn.widgets.Tabulator(
            pd.DataFrame(columns=list(_SCORES)), titles=_SCORES, show_index=False, disabled=True,
            selectable=False, page_size=_ROWS_SHOWN, width=620, stylesheets=[TABLE_CSS],
            configuration={"columnDefaults": {"headerSort": False}},
            widths={"video": 240}, formatters={"video": {"type": "textarea"}}, visible=False,
        )  # fmt: skip
        self.about_scores = pn.pane.HTML("", sizing_mode="stretch_width")
        self.path = pn.widgets.TextInput(
            label="Add a model by its path on this machine: a file, a folder, or a zip",
            placeholder="/data/v_20260101_120000", width=400,
        )  # fmt: skip
        self.add = pn.widgets.Button(label="Add", width=70, align="end")
        self.add.on_click(lambda _: pn.state.execute(self.add_from_path))
        if uploads is not None:
            uploads.on_message(self._uploaded)
        self.table.param.watch(self._chosen, "selection")
        self.make_current.on_click(self._make_current)
        self._some = pn.Column(
            self.table,
            pn.Row(self.make_current, self.download),
            self.about_scores,
            self.scores,
            pn.Card(self.card, title="Model card", **CARD),
            sizing_mode="stretch_width",
            visible=False,
        )
        self.layout = pn.Column(
            pn.Row(
                *([uploads.button("Send models", MODEL_SUFFIXES, 130)] if uploads else []),
                self.path,
                self.add,
            ),
            self.said,
            self.about,
            self._some,
            sizing_mode="stretch_width",
        )

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call a function whenever the list was read anew."""
        self._told.append(tell)

    async def refresh_aside(self) -> None:
        """Read the list anew; in a thread, for a mounted drive is slow."""
        self._show(await asyncio.to_thread(list_models, self.place.root))

    def refresh(self) -> None:
        """Read the list anew."""
        self._show(list_models(self.place.root))

    def _show(self, models: pd.DataFrame) -> None:
        models = models.iloc[::-1].reset_index(drop=True)
        for name in ("f1", "rmse_px"):
            models[name] = [f"{value:.3f}" if pd.notna(value) else "" for value in models[name]]
        models["videos"] = [f"{value:.0f}" if pd.notna(value) else "" for value in models["videos"]]
        for name in ("network", "parent"):
            models[name] = models[name].fillna("")
        self.table.param.update(
            value=models, pagination="local" if len(models) > _ROWS_SHOWN else None
        )
        self._some.visible = bool(len(models))
        self.about.object = sentence(
            "Scores are those of held-out frames when the model was made. Analyses and trainings "
            "take the current model."
            if len(models)
            else "No models yet: the bundled one is used. Train one in the part Train, or add one.",
            "help",
        )
        if len(models) and not self.table.selection:
            self.table.selection = [0]
        self._chosen(None)
        for tell in self._told:
            tell()

    def _selected(self) -> str | None:
        chosen = self.table.selection
        return str(self.table.value["version"].iloc[chosen[0]]) if chosen else None

    def _chosen(self, _: Any) -> None:
        version = self._selected()
        current = self.place.current_model()
        self.make_current.disabled = version is None or (
            current is not None and current.name == version
        )
        self._show_scores(version)
        if version is None:
            self.download.object = self.card.object = ""
            return
        self.download.object = (
            f'<a href="zip/models/{quote(version)}.zip" download>Download {escape(version)}.zip</a>'
        )
        cards = [self.place.models / version / name for name in ("MODEL_CARD.md", "model_card.md")]
        found = next((card for card in cards if card.is_file()), None)
        text = found.read_text(encoding="utf-8", errors="replace") if found else ""
        self.card.object = text or "This model has no card."

    def _show_scores(self, version: str | None) -> None:
        found = read_metadata(self.place.models / version).get("scores_by_video") if version else {}
        rows = [
            {"video": str(video), **{name: _score(scores, name) for name in list(_SCORES)[1:]}}
            for video, scores in (found.items() if isinstance(found, dict) else ())
            if isinstance(scores, dict)
        ]
        self.scores.param.update(
            value=pd.DataFrame(rows, columns=list(_SCORES)),
            pagination="local" if len(rows) > _ROWS_SHOWN else None,
            visible=bool(rows),
        )
        self.about_scores.object = (
            ""
            if rows or version is None
            else sentence(f"{version} keeps no scores by video: earlier versions did not.", "help")
        )

    async def add_from_path(self) -> None:
        """Add the model whose path is given; it is looked at in a thread."""
        given = self.path.value.strip().strip("\"'")
        if not given:
            self.said.object = sentence("Give the path of a model first.", "wrong")
            return
        self.add.disabled = True
        self.said.object = sentence("Loading it, and trying it on a few scenes ...", "help")
        try:
            said = await asyncio.to_thread(add_model, self.place, Path(given).expanduser())
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
            return
        finally:
            self.add.disabled = False
        self.path.value = ""
        await self.refresh_aside()
        self.said.object = sentence(f"Added {said}.", "good")

    def _uploaded(self, message: str, names: list[str]) -> None:
        if any(name.lower().endswith(MODEL_SUFFIXES) for name in names):
            pn.state.execute(self.refresh_aside)
            self.said.object = message

    def _make_current(self, _: Any) -> None:
        version = self._selected()
        if version is None:
            return
        try:
            self.place.set_current(version)
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
            return
        self.refresh()
        self.said.object = sentence(f"{version} is now the current model.", "good")


def _score(scores: dict[str, Any], name: str) -> str:
    value = scores.get(name)
    if name == "rmse_px" and not scores.get("f1"):
        return "nothing found"
    return f"{value:.3f}" if isinstance(value, int | float) else ""

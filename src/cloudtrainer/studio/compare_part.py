"""The part *Compare*: finished analyses, each given to a condition, and the conditions compared."""

import asyncio
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.compared_view import ComparedView
from cloudtrainer.studio.finished import Finished, list_finished, read_given, write_given
from cloudtrainer.studio.look import TABLE_CSS, sentence
from cloudtrainer.workspace import Workspace

if TYPE_CHECKING:
    from cloudtrainer.analysis.conditions import Comparison

_COLUMNS = {
    "result": "Results",
    "video": "Video",
    "D": "D (95% interval)",
    "tracks": "Tracks",
    "condition": "Condition",
}
_WIDTHS = {"result": 120, "video": 115, "D": 165, "tracks": 60, "condition": 110}
_ROWS_SHOWN = 12
_HELP = (
    "Mark the videos of a condition, type its name below, and give it to them; or type it into the "
    "column Condition. Three videos or more of each condition allow a test between them."
)


class ComparePart:
    """Conditions side by side, from the analyses of a workspace.

    Parameters
    ----------
    place : Workspace
        The workspace.
    linked : bool
        Whether a server gives reports and zips.
    """

    def __init__(self, place: Workspace, *, linked: bool = False) -> None:
        self.place, self.linked = place, linked
        self.table = pn.widgets.Tabulator(
            pd.DataFrame(columns=list(_COLUMNS)), titles=_COLUMNS, widths=_WIDTHS,
            editors={name: None for name in _COLUMNS if name != "condition"}
            | {"condition": {"type": "input"}},
            formatters={name: {"type": "textarea"} for name in _COLUMNS},
            configuration={"columnDefaults": {"headerSort": False}},
            stylesheets=[TABLE_CSS], show_index=False, selectable="checkbox",
            page_size=_ROWS_SHOWN, width=635,
        )  # fmt: skip
        self.name = pn.widgets.TextInput(label="Condition", placeholder="control", width=170)
        self.give = pn.widgets.Button(label="Give to marked", color="primary", width=130)
        self.reference = pn.widgets.Select(label="Held against", options=[], width=170)
        self.said = pn.pane.HTML("", width=620)
        self.save = pn.widgets.Button(label="Write the report", width=140, disabled=True)
        self.written = pn.pane.HTML("", sizing_mode="stretch_width")
        self.view = ComparedView()
        self._finished: list[Finished] = []
        self._quiet = False
        self._wanted = False
        self._busy = False
        self.table.on_edit(lambda _: self._given())
        self.give.on_click(self._give)
        self.reference.param.watch(self._reference_chosen, "value")
        self.save.on_click(self._save)
        self._choices = pn.Column(
            self.table,
            pn.Row(self.name, pn.Column(self.give, align="end"), self.reference),
            self.said,
            pn.Row(self.save, self.written),
            width=650,
            # Nothing is said of the results before they were looked at.
            visible=False,
        )
        self.none = pn.pane.HTML(
            sentence("No results yet: analyse videos in the part Analyse.", "help"), visible=False
        )
        self.layout = pn.Column(
            self.none,
            pn.Row(self._choices, self.view.picture),
            self.view.numbers,
            sizing_mode="stretch_width",
        )
        # A page reads the results when the part is opened.
        if not linked:
            self.refresh()

    def refresh(self) -> None:
        """Read the results anew; conditions that were given stay."""
        self._finished = list_finished(self.place)
        given = read_given(self.place)
        rows = [
            (one.folder.name, one.video, one.D, one.tracks, given.get(one.folder.name, ""))
            for one in self._finished
        ]
        table = pd.DataFrame(rows, columns=list(_COLUMNS))
        self.none.visible = table.empty
        self._choices.visible = not table.empty
        if not table.equals(self.table.value):
            self._quiet = True
            self.table.param.update(
                value=table, selection=[],
                pagination="local" if len(table) > _ROWS_SHOWN else None,
            )  # fmt: skip
            self._quiet = False
        self._changed()

    @property
    def conditions(self) -> dict[str, list[Path]]:
        """The folders of each condition, the one that others are held against first."""
        found: dict[str, list[Path]] = {}
        for one, condition in zip(self._finished, self.table.value["condition"], strict=True):
            if str(condition).strip():
                found.setdefault(str(condition).strip(), []).append(one.folder)
        first = self.reference.value
        return dict(sorted(found.items(), key=lambda item: item[0] != first))

    def compare(self) -> None:
        """Compare the conditions, and show what is found."""
        self._show(*self._compared())

    def write(self, out: Path | None = None) -> Path:
        """Write tables, figure and report into a folder, and return it.

        Raises
        ------
        CloudTrainerError
            The conditions cannot be compared, or the folder cannot be written.
        """
        from cloudtrainer.analysis.conditions import compare_conditions

        out = out or self.place.results / f"comparison_{datetime.now():%Y%m%d_%H%M%S}"
        compare_conditions(self.conditions, out, overwrite=True)
        return out

    def _give(self, _: Any) -> None:
        chosen = self.table.selection
        if not chosen:
            self.said.object = sentence("Mark videos in the list first.", "wrong")
            return
        table = self.table.value.copy()
        table.loc[table.index[chosen], "condition"] = self.name.value.strip()
        self.table.param.update(value=table, selection=[])
        self._given()

    def _given(self) -> None:
        given = {
            one.folder.name: str(condition).strip()
            for one, condition in zip(self._finished, self.table.value["condition"], strict=True)
        }
        try:
            write_given(self.place, {name: value for name, value in given.items() if value})
        except CloudTrainerError as error:
            self.said.object = sentence(str(error), "wrong")
        self._changed()

    def _names(self) -> list[str]:
        """Return the conditions in the order of the list."""
        given = (str(one).strip() for one in self.table.value["condition"])
        return list(dict.fromkeys(one for one in given if one))

    def _reference_chosen(self, _: Any) -> None:
        if not self._quiet:
            self._changed()

    def _changed(self) -> None:
        names = self._names()
        self._quiet = True
        chosen = self.reference.value if self.reference.value in names else None
        self.reference.param.update(options=names, value=chosen or next(iter(names), None))
        self._quiet = False
        self.written.object = ""
        if not self.linked:
            self.compare()
            return
        self._wanted = True
        if not self._busy:
            self._busy = True
            pn.state.execute(self._compare_aside)

    async def _compare_aside(self) -> None:
        """Compare in a thread, and again where the conditions changed meanwhile."""
        try:
            while self._wanted:
                self._wanted = False
                self._show(*await asyncio.to_thread(self._compared))
        finally:
            self._busy = False

    def _compared(self) -> "tuple[Comparison | None, bytes, str]":
        """Return the comparison with its figure, or what stands in its way."""
        conditions = self.conditions
        if len(conditions) < 2:
            one = f"{next(iter(conditions))} is the only condition so far. " if conditions else ""
            return None, b"", sentence(one + _HELP, "help")
        from cloudtrainer.analysis.conditions import compare_conditions
        from cloudtrainer.analysis.conditions.picture import draw_conditions
        from cloudtrainer.figures import to_png

        try:
            comparison = compare_conditions(conditions)
            return comparison, to_png(draw_conditions(comparison)), ""
        except (CloudTrainerError, OSError) as error:
            return None, b"", sentence(str(error), "wrong")

    def _show(self, comparison: "Comparison | None", png: bytes, said: str) -> None:
        self.said.object = said
        self.save.disabled = comparison is None
        self.view.show(comparison, png)

    def _save(self, _: Any) -> None:
        try:
            out = self.write()
        except (CloudTrainerError, OSError) as error:
            self.written.object = sentence(str(error), "wrong")
            return
        if not self.linked:
            self.written.object = sentence(f"Report: {out / 'report.html'}", "good")
            return
        name = quote(out.name)
        self.written.object = (
            f'<div>{escape(out.name)}: <a href="results/{name}/report.html" target="_blank" '
            f'rel="noopener">Open the report</a> &nbsp; <a href="zip/results/{name}.zip" download>'
            "Download everything as a zip</a></div>"
        )

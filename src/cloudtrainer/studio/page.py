"""The page: its parts side by side, and what keeps them up to date."""

from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.studio.analysis_part import AnalysisPart
from cloudtrainer.studio.compare_part import ComparePart
from cloudtrainer.studio.data_part import DataPart
from cloudtrainer.studio.keyboard import Keyboard
from cloudtrainer.studio.label_part import LabelPart
from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.models_part import ModelsPart
from cloudtrainer.studio.training_part import TrainingPart
from cloudtrainer.studio.uploads import Uploads
from cloudtrainer.workspace import Workspace

TITLE = "cloudtrainer Studio"
_LOOK_MS = 1000
_DATA, _LABEL, _TRAIN, _ANALYSE, _COMPARE = range(5)
_CSS = """
:root { --panel-primary-color: #0072B2; }
body { margin: 0; font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
"""


class Page:
    """The page of a workspace, for one tab of a browser.

    Parameters
    ----------
    place : Workspace
        The workspace.
    """

    def __init__(self, place: Workspace) -> None:
        self.place = place
        self._there: list[str] = []
        self.uploads = Uploads("upload")
        self.keyboard = Keyboard()
        self.data = DataPart(place, uploads=self.uploads)
        self._list_is_old = self._is_open = False
        names = ("Label", "Train", "Analyse", "Compare", "Models")
        # The others are made when the first one is there to be seen.
        self._later = [pn.Column(sizing_mode="stretch_width") for _ in names]
        self.tabs = pn.Tabs(
            ("Data", self.data.layout),
            *zip(names, self._later, strict=True),
            dynamic=True,
            sizing_mode="stretch_width",
        )
        heading = f"<h1 style='font-size:19px;margin:4px 0'>{TITLE}</h1>"
        self.layout = pn.Column(
            pn.Row(
                pn.pane.HTML(heading, margin=(0, 10)),
                pn.pane.HTML(sentence(str(place.root.resolve()), "help"), align="center"),
            ),
            self.tabs,
            self.uploads.ears,
            self.keyboard.ears,
            sizing_mode="stretch_width",
            margin=(0, 12),
        )

    async def begin(self) -> None:
        """Make the other parts, and read the workspace."""
        self.label = LabelPart(self.place)
        self.training = TrainingPart(self.place)
        self.analysis = AnalysisPart(self.place, linked=True)
        self.compare = ComparePart(self.place, linked=True)
        self.models = ModelsPart(self.place, uploads=self.uploads)
        parts: tuple[Any, ...] = (
            self.label, self.training, self.analysis, self.compare, self.models,
        )  # fmt: skip
        for there, part in zip(self._later, parts, strict=True):
            there.append(part.layout)
        self.tabs.param.watch(self._opened, "active")
        self.data.on_change(self._offer_videos)
        self.data.on_choice(self._choose_video)
        self.data.twin.on_train(self._train_on_twin)
        self.uploads.take_drops()
        self.keyboard.begin()
        self.label.store.on_saved(self._labels_saved)
        self.models.on_change(self.analysis.show_models)
        self.training.on_end(lambda: pn.state.execute(self._read))
        self.analysis.show_models()
        await self._read()
        pn.state.add_periodic_callback(self._look, period=_LOOK_MS)

    def _open_part(self) -> None:
        """Open a reloaded page at the part that was open."""
        if pn.state.location is not None:
            # A table that gets its rows while it is first drawn is drawn without them.
            if pn.state.location.query_params.get("part") == _COMPARE:
                self.compare.refresh()
            pn.state.location.sync(self.tabs, {"active": "part"})

    async def _read(self) -> None:
        self._there = self._names()
        await self.data.refresh_aside()
        await self.models.refresh_aside()

    def _names(self) -> list[str]:
        place = self.place
        files = [*place.video_files(), *place.label_files(), *place.model_folders()]
        return [path.name for path in files]

    def _look(self) -> None:
        # What is shown from `begin` on is told to the browser before it knows of it.
        if not self._is_open:
            self._is_open = True
            self._open_part()
            self._opened(None)
        # Of what another tab has added, or another program; one who labels is not disturbed.
        if self.tabs.active != _LABEL and self._names() != self._there:
            pn.state.execute(self._read)
        self.data.twin.refresh()
        if self.tabs.active == _LABEL or self.label.store.unsaved:
            self.label.refresh()
        self.training.refresh()
        self.analysis.refresh()

    def _offer_videos(self) -> None:
        videos: list[Path] = [one.path for one in self.data.videos if one.video is not None]
        self.analysis.show_videos(videos)
        self.training.show_videos(self.data.videos)
        self.label.show_videos([one for one in self.data.videos if one.video is not None])

    def _choose_video(self, video: Path) -> None:
        choices = [self.analysis.video]
        # One who labels is not disturbed by a file that is dropped meanwhile.
        if self.tabs.active != _LABEL:
            choices.append(self.label.controls.video)
        for choice in choices:
            if video in choice.options.values():
                choice.value = video

    def _train_on_twin(self, video: Path) -> None:
        self.training.train_on(video)
        self.tabs.active = _TRAIN

    def _labels_saved(self) -> None:
        self._list_is_old = True

    def _opened(self, _: Any) -> None:
        if self.tabs.active == _ANALYSE:
            self.analysis.wake()
        if self.tabs.active == _LABEL:
            self.label.wake()
        if self.tabs.active == _COMPARE:
            self.compare.refresh()
        if self.tabs.active == _DATA and self._list_is_old:
            self._list_is_old = False
            pn.state.execute(self.data.refresh_aside)


def make_page(place: Workspace) -> Any:
    """Return what is shown in a new tab of a browser."""
    pn.extension("tabulator", raw_css=[_CSS], notifications=False)
    page = Page(place)
    pn.state.onload(page.begin)
    return page.layout

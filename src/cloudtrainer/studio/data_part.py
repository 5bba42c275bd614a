"""The part *Data*: the list of videos, what is added to it, and their frames with labels."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import TABLE_CSS, sentence
from cloudtrainer.studio.twin_part import TwinPart
from cloudtrainer.studio.uploads import Uploads
from cloudtrainer.studio.videos import ListedVideo, add_by_path, list_videos
from cloudtrainer.workspace import Workspace

_COLUMNS = {
    "picture": "",
    "video": "Video",
    "size": "Size",
    "calibration": "Calibration",
    "labels": "Labels",
    "state": "State",
}
_WIDTHS = {"picture": 52, "video": 130, "size": 105, "calibration": 110, "labels": 90, "state": 148}
_LIST_WIDTH = 640
_LARGEST_PX = (480, 395)
_ROWS_SHOWN = 8


class DataPart:
    """The videos of a workspace.

    Parameters
    ----------
    place : Workspace
        The workspace.
    uploads : Uploads, optional
        What takes files from the browser; None where there is no server for them, as in a notebook.
    """

    def __init__(self, place: Workspace, *, uploads: Uploads | None = None) -> None:
        self.place = place
        self._how_to_add = (
            "drop files anywhere on this page, or press Send files from this computer"
            if uploads
            else "add some above"
        )
        self.videos: list[ListedVideo] = []
        self._told: list[Callable[[], None]] = []
        self._chosen_told: Callable[[Path], None] = lambda video: None
        self._last_told: Path | None = None
        self.table = pn.widgets.Tabulator(
            pd.DataFrame(columns=list(_COLUMNS)),
            titles=_COLUMNS,
            widths=_WIDTHS,
            # Text is shown as text, whatever signs a name has, in as many lines as it needs.
            # Cells that could be edited would each catch the Tab key.
            editors=dict.fromkeys(_COLUMNS),
            formatters={name: {"type": "textarea"} for name in _COLUMNS if name != "picture"}
            | {"picture": {"type": "image", "width": "42px"}},
            configuration={"columnDefaults": {"headerSort": False}},
            stylesheets=[TABLE_CSS],
            show_index=False,
            selectable=1,
            disabled=True,
            page_size=_ROWS_SHOWN,
            width=_LIST_WIDTH,
        )
        self.said = pn.pane.HTML("", sizing_mode="stretch_width")
        self.path = pn.widgets.TextInput(
            label="Add a file or a folder of images by its path on this machine",
            placeholder="/data/beads.tif", width=400,
        )  # fmt: skip
        self.add = pn.widgets.Button(label="Add", width=70, align="end")
        self.refresh_button = pn.widgets.Button(label="Look again", width=100, align="end")
        self.view = FrameView(_LARGEST_PX)
        self.frame = pn.widgets.IntSlider(label="Frame", start=0, end=1, value=0, width=250)
        self.about = pn.pane.HTML("", width=500)
        self.twin = TwinPart(place, on_page=uploads is not None)
        self.table.param.watch(self._chosen, "selection")
        self.frame.param.watch(self._frame_moved, "value")
        self.add.on_click(lambda _: pn.state.execute(self.add_from_path))
        self.refresh_button.on_click(lambda _: pn.state.execute(self.refresh_aside))
        self.twin.on_open(self._twin_opened)
        if uploads is not None:
            uploads.on_message(self._uploaded)
        self._frames = pn.Column(
            self.twin.entrance,
            pn.Row(self.frame, self.view.contrast),
            self.view.pane,
            self.about,
            visible=False,
        )
        self.trouble = pn.pane.HTML("", width=480)
        self._list = pn.FlexBox(self.table, self._frames, self.trouble)
        self.layout = pn.Column(
            pn.Row(
                *([uploads.button("Send files from this computer")] if uploads else []),
                self.path,
                self.add,
                self.refresh_button,
            ),
            self.said,
            self._list,
            self.twin.layout,
            sizing_mode="stretch_width",
        )

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call a function whenever the list was read anew."""
        self._told.append(tell)

    def on_choice(self, tell: Callable[[Path], None]) -> None:
        """Call a function with each other video that is chosen in the list and can be read."""
        self._chosen_told = tell

    def refresh(self) -> None:
        """Read the list anew."""
        self._show(list_videos(self.place))

    async def refresh_aside(self, wanted: Sequence[str] = ()) -> None:
        """Read the list anew, in a thread: the page goes on meanwhile.

        Parameters
        ----------
        wanted : sequence of str
            File names; the first of them that is a video is chosen then.
        """
        self._show(await asyncio.to_thread(list_videos, self.place), wanted)

    def select(self, name: str) -> None:
        """Choose a video by its file name."""
        names = [one.path.name for one in self.videos]
        self.table.selection = [names.index(name)]

    def _show(self, videos: list[ListedVideo], wanted: Sequence[str] = ()) -> None:
        chosen = self._selected()
        self.videos = videos
        rows = [one.row() for one in videos]
        for row in rows:
            row["picture"] = row["picture"] and f"data:image/png;base64,{row['picture']}"
        self.table.param.update(
            value=pd.DataFrame(rows, columns=list(_COLUMNS)),
            pagination="local" if len(rows) > _ROWS_SHOWN else None,
        )
        # Those who are told of a choice know the new list.
        for tell in self._told:
            tell()
        names = [one.path.name for one in videos]
        new = [names.index(name) for name in wanted if name in names]
        new = [index for index in new if videos[index].video]
        if new:
            self.table.selection = new[:1]
        elif chosen is not None and chosen.path.name in names:
            self.table.selection = [names.index(chosen.path.name)]
        elif any(one.video for one in videos):
            self.table.selection = [next(i for i, one in enumerate(videos) if one.video)]
        if not videos:
            self.said.object = sentence(
                f"No videos yet: {self._how_to_add}. A video needs no labels to be analysed, or to "
                "train on: a model can learn its simulated twin.", "help",
            )  # fmt: skip

    def _selected(self) -> ListedVideo | None:
        chosen = self.table.selection
        return self.videos[chosen[0]] if chosen and chosen[0] < len(self.videos) else None

    def _chosen(self, _: Any) -> None:
        one = self._selected()
        video = one.video if one else None
        self._frames.visible = video is not None
        labelled = one is not None and one.labels is not None
        self.twin.choose(one.path if one and video else None, labelled=labelled)
        self.trouble.object = sentence(one.trouble, "wrong") if one and video is None else ""
        if one is None or video is None:
            return
        try:
            self.view.show_video(video)
        except CloudTrainerError as error:
            self.said.object = sentence(str(error), "wrong")
            return
        frames = len(video)
        self.frame.param.update(end=max(1, frames - 1), value=0, disabled=frames == 1)
        self._show_labels(0)
        if one.path != self._last_told:
            self._last_told = one.path
            self._chosen_told(one.path)

    def _frame_moved(self, event: Any) -> None:
        try:
            self.view.show_frame(event.new)
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
            return
        self._show_labels(event.new)

    def _show_labels(self, number: int) -> None:
        one = self._selected()
        if one is None or one.video is None:
            return
        hint = one.video.calibration_hint
        lines = [hint[:1].upper() + hint[1:] + "."] if hint else []
        if one.labels is None:
            lines.append("No labels.")
        else:
            here = one.labels[one.labels["frame"] == number]
            labelled = sorted(one.labels["frame"].unique())
            self.view.show_labels(here)
            lines.append(
                f"{len(here)} labels in frame {number} (blue squares)."
                if len(here)
                else f"Frame {number} was confirmed to hold no particle."
                if number in one.empty
                else f"Frame {number} has no labels; the first that has is {labelled[0]}."
                if labelled
                else "The file of labels says that the video holds no particles."
            )
        self.about.object = sentence("\n".join(lines))

    async def add_from_path(self) -> None:
        """Add the file whose path is given; it is copied in a thread."""
        if not self.path.value.strip():
            self.said.object = sentence("Give the path of a file first.", "wrong")
            return
        self.add.disabled = True
        self.said.object = sentence("Copying ...", "help")
        try:
            said = await asyncio.to_thread(add_by_path, self.place, self.path.value)
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
            return
        finally:
            self.add.disabled = False
        name = Path(self.path.value.strip().strip("\"'")).name
        self.path.value = ""
        await self.refresh_aside([name])
        self.said.object = sentence(f"Added {said}.", "good")

    def _uploaded(self, message: str, names: list[str]) -> None:
        # Of several files that were sent together some may be there though others were refused.
        async def refresh() -> None:
            await self.refresh_aside(names)

        pn.state.execute(refresh)
        self.said.object = message

    def _twin_opened(self, is_open: bool) -> None:
        self._list.visible = not is_open

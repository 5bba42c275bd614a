"""The twin of a video: asked for, and shown beside it with what was measured, in words."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import CARD, sentence
from cloudtrainer.studio.twin_words import twin_in_words
from cloudtrainer.training.hashes import ContentHashes
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

_LARGEST_PX = (385, 400)
_WORDS_WIDTH = 312
_LOOK_MS = 1000


class TwinPart:
    """The twins of a workspace's videos.

    Parameters
    ----------
    place : Workspace
        The workspace.
    on_page : bool
        Whether a page calls `refresh` by itself; a notebook does not.

    Attributes
    ----------
    entrance : Panel
        The button that simulates or shows the twin, and how far it is.
    layout : Panel
        Video and twin side by side.
    """

    def __init__(self, place: Workspace, *, on_page: bool = False) -> None:
        self.place = place
        self._on_page = on_page
        self._path: Path | None = None
        self._asked: str | None = None
        self._open_soon = False
        self._seen: tuple[str, str] | None = None
        self._opened: list[Callable[[bool], None]] = []
        self._train: list[Callable[[Path], None]] = []
        self.button = pn.widgets.Button(label="Simulate a twin", width=150)
        self.stop_button = pn.widgets.Button(label="Stop", color="danger", width=80, visible=False)
        self.said = pn.pane.HTML("", sizing_mode="stretch_width", margin=(0, 10))
        self.entrance = pn.Row(self.button, self.stop_button, self.said, width=570)
        self.back = pn.widgets.Button(label="Back to the list", width=130, align="end")
        self.train_button = pn.widgets.Button(
            label="Train on this twin", color="primary", width=150, align="end"
        )
        self.frame = pn.widgets.IntSlider(label="Frame", start=0, end=1, value=0, width=250)
        self.title, self.title_of_twin = (
            pn.pane.HTML("", width=_LARGEST_PX[0], margin=(0, 10)) for _ in range(2)
        )
        self.words = pn.pane.HTML("", width=_WORDS_WIDTH)
        self.picture = pn.pane.PNG(None, width=960, alt_text="Video and twin by the same measures")
        self.layout = pn.Column(sizing_mode="stretch_width", visible=False)
        self._shown: tuple[FrameView, FrameView] | None = None
        self._drawn = 1
        self.button.on_click(lambda _: pn.state.execute(self.open_aside))
        self.stop_button.on_click(self._stop)
        self.back.on_click(lambda _: self.close())
        self.train_button.on_click(self._train_on_it)
        self.frame.param.watch(self._frame_moved, "value")

    def on_open(self, tell: Callable[[bool], None]) -> None:
        """Call a function with True when a twin is shown, and with False when it is left."""
        self._opened.append(tell)

    def on_train(self, tell: Callable[[Path], None]) -> None:
        """Call a function with the video when its twin is to be learned."""
        self._train.append(tell)

    def choose(self, path: Path | None, *, labelled: bool = False) -> None:
        """Take another video; one with labels is learned from those, not from its twin."""
        self.train_button.visible = not labelled
        if path != self._path:
            self._path = path
            self.close()
        self._label()
        self._seen = None
        self.refresh()

    def close(self) -> None:
        """Leave the twin."""
        if self.layout.visible:
            self.layout.visible = False
            for tell in self._opened:
                tell(False)

    async def open_aside(self) -> None:
        """Show the twin of the video; where it has none, start the simulation of one."""
        path = self._path
        if path is None:
            return
        self.button.disabled = True
        try:
            fresh = await asyncio.to_thread(self._is_fresh, path)
            if not fresh:
                self._asked = self.start().name
            elif path == self._path:
                self._open_soon = True
                if not self._on_page:
                    self.refresh()
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
        finally:
            self.button.disabled = self.stop_button.visible

    def start(self) -> jobs.Job:
        """Start the simulation of a twin, or let it wait for its turn.

        Raises
        ------
        WorkspaceError
            Another run waits already, or the workspace cannot be written.
        """
        path = Path(str(self._path))
        out = (self.place.cache / "twins" / path.name).resolve()
        job = jobs.start(self.place, "twin", {"video": str(path.resolve()), "out": str(out)})
        if not self._on_page:
            pn.state.add_periodic_callback(self.refresh, period=_LOOK_MS, count=3600)
        self.refresh()
        return job

    def open(self) -> None:
        """Show video and twin side by side.

        Raises
        ------
        CloudTrainerError
            The video or the twin's files cannot be read.
        """
        video, files = Video(str(self._path)), self._files(self._path)
        made = Video(files["frames"])
        part = video.middle(*made.shape[1:])
        real, twin = self._views()
        real.show_video(part)
        twin.show_video(made)
        self._drawn = len(made)
        self.frame.param.update(end=max(1, len(video) - 1), value=0, disabled=len(video) == 1)
        words = twin_in_words(_numbers(files), video.pixel_size_um)
        if part is not video:
            height, width = made.shape[1:]
            words += sentence(f"Shown is the middle, {width} x {height} px.", "help")
        self.words.object = words
        self.title.object = sentence(video.name)
        self.title_of_twin.object = sentence("its twin, simulated at the same contrast")
        self.picture.object = files["picture"].read_bytes()
        self.layout.visible = True
        for tell in self._opened:
            tell(True)

    def refresh(self) -> None:
        """Show how far the newest simulation is."""
        # Opened from a coroutine, the browser would be told of changes before what has changed.
        if self._open_soon:
            self._open_soon = False
            self._try_to_open()
        job = jobs.newest(self.place, "twin")
        if job is None:
            return
        state = job.state
        living = state in jobs.LIVING
        name = Path(str(job.request.get("video", ""))).name
        mine = self._path is not None and name == self._path.name
        self.stop_button.visible = living
        self.button.disabled = living
        now = (job.name, str(state))
        if living:
            seconds = max(0.0, time.time() - float(job.request.get("asked_at", time.time())))
            self.said.object = sentence(
                f"{name}: waiting for the run before it to end."
                if state == "waiting" and seconds > 2
                else f"{name}: measuring it, {seconds:.0f} s so far. A crowded video takes a "
                "minute or more.",
                "help" if state == "waiting" else "good",
            )
        elif self._seen != now:
            self._label()
            self.said.object = _ended(job, str(state), name) if mine else self._about()
            if state == "done" and mine and self._asked == job.name:
                self._asked = None
                self._try_to_open()
        self._seen = now

    def _try_to_open(self) -> None:
        try:
            self.open()
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")

    def _label(self) -> None:
        there = bool(self._files(self._path))
        self.button.label = "Show its twin" if there else "Simulate a twin"
        self.said.object = self._about()

    def _about(self) -> str:
        return sentence(
            "The twin is simulated from the video's own spots, background and noise. A model can "
            "learn it without any label.", "help",
        )  # fmt: skip

    def _files(self, path: Path | None) -> dict[str, Path]:
        """Return the files of the newest twin of a video; none where it has none."""
        if path is None:
            return {}
        for job in reversed(jobs.jobs(self.place)):
            if job.kind == "twin" and job.request.get("video") == str(path.resolve()):
                result = job.told.get("result")
                if isinstance(result, dict):
                    return {name: Path(str(file)) for name, file in result.items()}
        return {}

    def _is_fresh(self, path: Path) -> bool:
        """Tell whether there is a twin, and of this very video."""
        files = self._files(path)
        if not files or not all(file.is_file() for file in files.values()):
            return False
        hashes = ContentHashes(self.place.cache / "content_hashes.json")
        _, sha256 = hashes.of(path)
        return _numbers(files).get("video_sha256") == sha256

    def _views(self) -> tuple[FrameView, FrameView]:
        """Return video and twin; both are made when they are first seen."""
        if self._shown is None:
            real = FrameView(_LARGEST_PX)
            twin = FrameView(_LARGEST_PX, beside=real)
            twin.figure.toolbar_location = None
            self._shown = real, twin
            sides = (
                pn.Column(title, view.pane, margin=0)
                for title, view in ((self.title, real), (self.title_of_twin, twin))
            )
            self.layout.extend(
                [
                    pn.Row(self.back, self.train_button, self.frame, real.contrast),
                    pn.FlexBox(*sides, self.words),
                    pn.Card(
                        self.picture,
                        title="Intensities, power spectra and profiles of both",
                        collapsed=True,
                        **CARD,
                    ),
                ]
            )
        return self._shown

    def _frame_moved(self, event: Any) -> None:
        if self._shown is None:
            return
        real, twin = self._shown
        try:
            real.show_frame(event.new)
            # Each frame of the twin is drawn on its own: it is no movie.
            twin.show_frame(event.new % self._drawn)
        except (CloudTrainerError, OSError) as error:
            self.words.object = sentence(str(error), "wrong")

    def _stop(self, _: Any) -> None:
        for job in jobs.living_jobs(self.place):
            if job.kind == "twin":
                job.stop()
                self.said.object = sentence("Stopping ...", "help")

    def _train_on_it(self, _: Any) -> None:
        for tell in self._train:
            tell(Path(str(self._path)))


def _numbers(files: dict[str, Path]) -> dict[str, Any]:
    try:
        numbers = json.loads(files["numbers"].read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return numbers if isinstance(numbers, dict) else {}


def _ended(job: jobs.Job, state: str, name: str) -> str:
    return {
        "done": sentence(f"{name}: its twin is there.", "good"),
        "stopped": sentence(f"{name}: stopped, no twin was made."),
        "interrupted": sentence(f"{name}: the process was killed; simulate it again.", "wrong"),
        "failed": sentence(str(job.told.get("message", "It failed.")), "wrong"),
    }[state]

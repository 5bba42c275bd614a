"""What a model finds in single frames of a video, at a threshold that is moved by hand."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.page_words import THRESHOLD_LABEL, in_page_words
from cloudtrainer.video import Video

if TYPE_CHECKING:
    from cloudtrainer.inference import Polarity
    from cloudtrainer.studio.preview import Preview

_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.03, 0.99


class FoundView:
    """A frame of a video, and circles around what a model finds in it.

    Attributes
    ----------
    controls : Panel
        The frame, its contrast, the threshold, and how many particles are found.
    view : FrameView
        The frame.
    """

    def __init__(self) -> None:
        self.frame = pn.widgets.IntSlider(label="Frame", start=0, end=1, width=320)
        self.threshold = pn.widgets.FloatSlider(
            label=THRESHOLD_LABEL, start=_LEAST_THRESHOLD,
            end=_MOST_THRESHOLD, step=0.01,
            value=0.5, width=320,
        )  # fmt: skip
        self.count = pn.pane.HTML("", width=330)
        self.view = FrameView()
        self._asked: tuple[Path, str | None, Polarity] | None = None
        self._preview: Preview | None = None
        self._preview_of: tuple[Any, ...] | None = None
        self._awake = False
        self._own_threshold = 0.5
        self._wanted: tuple[int, float] | None = None
        self._looking = False
        self._quiet = False
        self._told: list[Callable[[], None]] = []
        self.frame.param.watch(self._moved, "value")
        self.threshold.param.watch(self._moved, "value")
        self.controls = pn.Column(self.frame, self.view.contrast, self.threshold, self.count)

    @property
    def chosen_threshold(self) -> float | None:
        """The threshold that was moved by hand; None: the model's own, unrounded."""
        own = self.threshold.value == _on_slider(self._own_threshold)
        return None if own else float(self.threshold.value)

    @property
    def preview(self) -> "Preview | None":
        """The model at work on the video that is chosen now; None before its first look."""
        return self._preview if self._preview_of == self._asked else None

    def on_found(self, tell: Callable[[], None]) -> None:
        """Call a function whenever other circles were drawn, once somebody sees the part."""
        self._told.append(tell)

    def choose(self, path: Path, model: str | None, polarity: "Polarity") -> Video:
        """Look at another video, or with another model.

        Parameters
        ----------
        path : Path
            The video.
        model : str or None
            What `load_model` takes.
        polarity : {"auto", "bright", "dark"}
            As of an analysis.

        Raises
        ------
        CloudTrainerError, OSError
            The video cannot be read.
        """
        self._asked = (path, model, polarity)
        video = Video(path)
        self.view.show_video(video)
        self._quiet = True
        self.frame.param.update(
            end=max(1, len(video) - 1), value=0, disabled=len(video) == 1
        )  # fmt: skip
        self._quiet = False
        self._look_soon()
        return video

    def say(self, text: str, kind: str) -> None:
        """Say something in place of the number of particles."""
        self.count.object = sentence(in_page_words(text), kind)

    def wake(self) -> None:
        """Find particles from now on in each frame that is shown."""
        if not self._awake:
            self._awake = True
            self._look_soon()

    def look(self) -> None:
        """Find the particles of the frame shown, and wait for it, as a notebook does."""
        self._find(self.frame.value)
        self._draw(self.frame.value)

    def _moved(self, event: Any) -> None:
        if self._quiet:
            return
        if event.obj is self.frame:
            self.view.show_frame(event.new)
        preview = self.preview
        if preview is not None and event.obj is self.threshold and preview.knows(self.frame.value):
            self._draw(self.frame.value)
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        """Look at the frame in a thread, once somebody sees the part; a notebook calls `look`."""
        if not self._awake or self._looking:
            self._wanted = (self.frame.value, self.threshold.value)
            return
        if self._asked is None:
            return
        self._looking = True
        pn.state.execute(self._look_aside)

    async def _look_aside(self) -> None:
        try:
            while True:
                number = self.frame.value
                self.say("Looking ...", "help")
                self._wanted = None
                try:
                    await asyncio.to_thread(self._find, number)
                except (CloudTrainerError, OSError) as error:
                    self.say(str(error), "wrong")
                else:
                    self._draw(number)
                if self._wanted is None:
                    return
        finally:
            self._looking = False

    def _find(self, number: int) -> None:
        # PyTorch is imported when a frame is first looked at: the page is there before.
        from cloudtrainer.detector import load_model
        from cloudtrainer.studio.preview import Preview, settle

        asked = self._asked
        if asked is None:
            return
        preview = self.preview
        if preview is None:
            video, model, polarity = asked
            preview = Preview(Video(video), load_model(model), polarity)
            self._preview, self._preview_of = preview, asked
            settle()
        preview.find(number, self.threshold.value)

    def _draw(self, number: int) -> None:
        preview = self.preview
        if preview is None or number != self.frame.value:
            return
        self._take_threshold(preview.model.threshold)
        found = preview.find(number, self.threshold.value)
        self.view.show_detections(found)
        own = _on_slider(self._own_threshold)
        mine = self.threshold.value == own
        hint = "the model's own threshold" if mine else f"the model's own threshold is {own:g}"
        self.say(f"{len(found)} particles in frame {number} ({hint}).", "plain")
        for tell in self._told if self._awake else ():
            tell()

    def _take_threshold(self, own: float) -> None:
        """Move the slider to a new model's own threshold, unless it was moved by hand."""
        if self.threshold.value == _on_slider(self._own_threshold):
            self._quiet = True
            self.threshold.value = _on_slider(own)
            self._quiet = False
        self._own_threshold = own


def _on_slider(threshold: float) -> float:
    return min(max(round(threshold, 2), _LEAST_THRESHOLD), _MOST_THRESHOLD)

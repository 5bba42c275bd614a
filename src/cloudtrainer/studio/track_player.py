"""The tracks of a finished analysis over its video, as it plays.

One frame is read, sent and drawn at a time. The next is the one that is due when the browser has
drawn the last: frames are left out where the machine is slower than the speed asked for, and none
wait behind. The video is never in memory as a whole.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import ColumnDataSource, CustomJS
from numpy.typing import NDArray

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import in_turn, on_page, sentence
from cloudtrainer.studio.tails import Tails
from cloudtrainer.video import Video

_MOST_A_SECOND = 60
_USUAL_A_SECOND = 10
_LONGEST_TAIL, _TAIL = 100, 20
# A browser that has not drawn for so long, so many times, looks at something else.
_DRAWN_WITHIN_S, _TIMES_NOT_DRAWN = 2.0, 3
_LOOK_S = 0.005
_SHOWN_OVER_S = 2.0
_TOLD_EVERY_S = 0.3
_WHEN_DRAWN = "requestAnimationFrame(() => { drawn.data = {frame: [...sent.data.frame]}; });"


@dataclass(frozen=True)
class Trajectories:
    """Tracks by frame, and D by particle.

    Attributes
    ----------
    table : DataFrame
        ``frame, particle, x, y`` (px of the video), sorted by frame.
    D : ndarray of float32
        By the particle's number; NaN where it was not estimated.
    unit : str
        Of D.
    """

    table: pd.DataFrame
    D: NDArray[np.float32]
    unit: str

    @classmethod
    def of(cls, tracks: pd.DataFrame, particles: pd.DataFrame, unit: str) -> "Trajectories":
        """Put tracks ``particle, frame, x, y`` in order, with ``particle, D`` of each.

        Rows that lack one of these numbers, as other programs write gaps, are left out.
        """
        names = ["frame", "particle", "x", "y"]
        numbers = tracks[names].apply(pd.to_numeric, errors="coerce")
        tracks = numbers[np.isfinite(numbers.to_numpy(np.float64, na_value=np.nan)).all(axis=1)]
        table = pd.DataFrame(
            {
                "frame": tracks["frame"].to_numpy(np.int32),
                "particle": tracks["particle"].to_numpy(np.int32),
                "x": tracks["x"].to_numpy(np.float32),
                "y": tracks["y"].to_numpy(np.float32),
            }
        ).sort_values("frame", kind="stable", ignore_index=True)
        D = np.full(int(table["particle"].max()) + 1 if len(table) else 0, np.nan, np.float32)
        known = particles[particles["particle"].isin(table["particle"])] if len(particles) else (
            particles
        )  # fmt: skip
        if len(known):
            D[known["particle"].to_numpy(np.int64)] = known["D"].to_numpy(np.float32)
        return cls(table, D, unit)

    def until(self, frame: int, tail: int) -> pd.DataFrame:
        """Return the positions of a frame and of so many before it."""
        frames = self.table["frame"].to_numpy()
        first, after = np.searchsorted(frames, [frame - tail, frame + 1])
        return self.table.iloc[first:after]


class TrackPlayer:
    """A video that plays with its tracks.

    Parameters
    ----------
    video : Video
        The video.
    trajectories : Trajectories
        Its tracks.
    interval_s : float or None
        Time between frames, s; None: unknown.

    Raises
    ------
    VideoError
        The video's first frame cannot be read.
    """

    def __init__(self, video: Video, trajectories: Trajectories, interval_s: float | None) -> None:
        self.video, self.trajectories, self.interval_s = video, trajectories, interval_s
        self.view = FrameView()
        self.tails = Tails(self.view, {"D": f"D ({trajectories.unit})"})
        frames = len(video)
        self.play_button = pn.widgets.Toggle(label="Play", width=90, color="primary")
        self.frame = pn.widgets.IntSlider(
            label="Frame", start=0, end=max(1, frames - 1), disabled=frames == 1, width=320
        )
        usual = _USUAL_A_SECOND if interval_s is None else min(_MOST_A_SECOND, 1 / interval_s)
        self.speed = pn.widgets.FloatSlider(
            label="Speed [frames a second]", start=1, end=_MOST_A_SECOND, step=1,
            value=max(1, round(usual)), width=320,
        )  # fmt: skip
        self.tail = pn.widgets.IntSlider(
            label="Tail [frames]", start=0, end=_LONGEST_TAIL, value=_TAIL, width=320
        )
        self.said = pn.pane.HTML("", width=330)
        self._sent = ColumnDataSource({"frame": [-1]})
        self._drawn = ColumnDataSource({"frame": [-1]})
        self._sent.js_on_change(
            "data", CustomJS(args={"sent": self._sent, "drawn": self._drawn}, code=_WHEN_DRAWN)
        )
        # Where the browser's answer is heard: only what is in a figure is part of the page.
        self.view.figure.tags = [self._sent, self._drawn]
        self._seen = -1
        self._drawn.on_change("data", self._was_drawn)
        self._number, self._quiet, self._playing, self._showing = 0, False, False, False
        self._told = 0.0
        self._start: tuple[float, int] = (0.0, 0)
        self._times: list[float] = []
        self.view.show_video(video)
        self._send(0, video.frames(0, 1)[0])
        self.frame.param.watch(self._moved, "value")
        self.tail.param.watch(lambda _: self._moved(None), "value")
        self.speed.param.watch(lambda _: self._set_clock(), "value")
        self.play_button.param.watch(self._toggled, "value")
        controls = pn.Column(
            self.play_button, self.frame, self.speed, self.tail, self.view.contrast, self.said,
            width=350,
        )  # fmt: skip
        self.layout = pn.Row(controls, self.view.pane)

    def pause(self) -> None:
        """Stop playing."""
        self.play_button.value = False

    def due(self, now: float) -> int:
        """Return the frame that should be seen at a time of the clock."""
        begun, first = self._start
        return min(first + int((now - begun) * self.speed.value), len(self.video) - 1)

    def _set_clock(self) -> None:
        self._start = (time.monotonic(), self._number)

    def _toggled(self, event: Any) -> None:
        self._playing = event.new
        self.play_button.label = "Pause" if event.new else "Play"
        if event.new:
            if self._number >= len(self.video) - 1:
                self._number = 0
            self._times = []
            self._set_clock()
            pn.state.execute(self._play)
        else:
            self._quiet = True
            self.frame.value = self._number
            self._quiet = False
            self._say()

    def _moved(self, _: Any) -> None:
        if self._quiet:
            return
        self._number = self.frame.value
        self._set_clock()
        if self._playing:
            return
        if not on_page():
            self._show(self._number)
        elif not self._showing:
            self._showing = True
            pn.state.execute(self._show_newest)

    async def _show_newest(self) -> None:
        """Show the frame of the slider; where it moves on meanwhile, that one next."""
        shown: tuple[int, int] | None = None
        try:
            while shown != (self._number, self.tail.value):
                shown = (self._number, self.tail.value)
                if not await self._show_aside(shown[0]):
                    return
                await self._until_drawn(shown[0])
        finally:
            self._showing = False

    async def _play(self) -> None:
        not_drawn = 0
        while self._playing:
            number = self.due(time.monotonic())
            if number == self._number and self._times:
                await asyncio.sleep(_LOOK_S)
                if number >= len(self.video) - 1:
                    self.pause()
                continue
            if not await self._show_aside(number):
                self.pause()
                return
            self._times = [*self._times[-_MOST_A_SECOND * 2 :], time.monotonic()]
            not_drawn = 0 if await self._until_drawn(number) else not_drawn + 1
            if not_drawn >= _TIMES_NOT_DRAWN:
                self.pause()

    async def _show_aside(self, number: int) -> bool:
        """Read a frame in a thread and show it; tell whether that was possible."""
        try:
            frames = await asyncio.to_thread(self.video.frames, number, number + 1)
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")
            return False
        self._send(number, frames[0])
        return True

    def _show(self, number: int) -> None:
        try:
            self._send(number, self.video.frames(number, number + 1)[0])
        except (CloudTrainerError, OSError) as error:
            self.said.object = sentence(str(error), "wrong")

    def _send(self, number: int, pixels: NDArray[Any]) -> None:
        self._number = number
        tracks = self.trajectories.until(number, self.tail.value)

        def change() -> None:
            self.view.show_pixels(pixels)
            self.tails.show(tracks, number, {"D": self.trajectories.D})
            self._sent.data = {"frame": [number]}

        in_turn(change, self.view.pane)
        # The widgets tell less often than the frames pass.
        now = time.monotonic()
        if not self._playing or now - self._told > _TOLD_EVERY_S or number == len(self.video) - 1:
            self._told = now
            self._quiet = True
            self.frame.value = number
            self._quiet = False
            self._say()

    def _say(self) -> None:
        here = len(self.trajectories.until(self._number, 0))
        words = [f"Frame {self._number}"]
        if self.interval_s is not None:
            words.append(f"{self._number * self.interval_s:.3g} s")
        words.append(f"{here} measured tracks")
        recent = [one for one in self._times if one > time.monotonic() - _SHOWN_OVER_S]
        if self._playing and len(recent) > 1:
            rate = (len(recent) - 1) / (recent[-1] - recent[0])
            words.append(f"{rate:.0f} of {self.speed.value:.0f} frames a second are drawn")
            if self.interval_s is not None:
                words.append(f"{self.speed.value * self.interval_s:.2g} times real speed")
        self.said.object = sentence(", ".join(words) + ".")

    async def _until_drawn(self, number: int) -> bool:
        """Wait until the browser has drawn a frame; tell whether it has."""
        if not on_page():
            await asyncio.sleep(_LOOK_S)
            return True
        end = time.monotonic() + _DRAWN_WITHIN_S
        while self._seen != number:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def _was_drawn(self, _attr: str, _old: Any, new: dict[str, Any]) -> None:
        self._seen = int(next(iter(new["frame"]), -1))

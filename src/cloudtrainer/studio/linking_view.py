"""How far is linked: the search range on a slider, and the links of some frames around the shown.

The positions are those of the preview: an analysis refines them by a fit, masks what stands still,
and measures the range in the whole video.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import panel as pn

from cloudtrainer.config import AnalysisSettings
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.found_view import FoundView
from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.page_words import RANGE_LABEL, in_page_words
from cloudtrainer.studio.tails import Tails

if TYPE_CHECKING:
    from cloudtrainer.studio.preview import Preview
    from cloudtrainer.tracking import SearchRange

FRAMES_LINKED = 20
# While the threshold moves, the circles follow, and the links when it rests.
_REST_S = 0.4
# Steps are measured in the first frames that hold so many particles: more of them take long.
_ENOUGH = 3000
_LEAST_PX, _MOST_PX, _STEP_PX = 0.5, 40.0, 0.1


@dataclass(frozen=True)
class _Run:
    """What was found in some frames, and the range that their steps suggest."""

    of: tuple[Any, ...]
    detections: pd.DataFrame
    suggested: "SearchRange"


@dataclass(frozen=True)
class _Links:
    """The tracks of some frames, the range that made them, and what speaks against it."""

    tracks: pd.DataFrame
    numbers: range
    value: float
    suggested: "SearchRange"
    doubts: tuple[str, ...]

    def __str__(self) -> str:
        count = self.tracks["particle"].nunique()
        return (
            f"{len(self.tracks) - count} links up to {self.value:.1f} px in frames "
            f"{self.numbers[0]} to {self.numbers[-1]}, {count} tracks. These frames suggest "
            f"{self.suggested.value_px:.1f} px: {self.suggested.reason}"
        )


class LinkingView:
    """The search range, and tracks over the frame that is shown.

    Parameters
    ----------
    found : FoundView
        The frame and the particles in it.
    settings : callable
        Returns the settings of the analysis; raises ConfigError where one is not valid.
    """

    def __init__(self, found: FoundView, settings: Callable[[], AnalysisSettings]) -> None:
        self.found = found
        self._settings = settings
        self.range_px = pn.widgets.FloatSlider(
            label=RANGE_LABEL, start=_LEAST_PX, end=_MOST_PX, step=_STEP_PX, value=10.0, width=320
        )
        self.from_data = pn.widgets.Checkbox(label="Linking range from the data", value=True)
        self.said = pn.pane.HTML("", width=330)
        self.tails = Tails(found.view)
        self.tracks = pd.DataFrame()
        self._run: _Run | None = None
        self._working = self._stale = self._quiet = False
        self._rested: tuple[Any, ...] = ()
        self.range_px.param.watch(self._moved, "value")
        self.from_data.param.watch(self.relink, "value")
        found.on_found(self.relink)
        self.controls = pn.Column(self.range_px, self.from_data, self.said)

    @property
    def chosen_range_px(self) -> float | None:
        """The range that was chosen by hand, px; None: from the data of the whole video."""
        return None if self.from_data.value else round(float(self.range_px.value), 3)

    def relink(self, *_: Any) -> None:
        """Link anew, in a thread: particles, a setting or the range are others."""
        self._stale = True
        if not self._working and not self._quiet and self.found.preview is not None:
            self._working = True
            pn.state.execute(self._work)

    def look(self) -> None:
        """Link the frames around the one shown, and wait for it, as a notebook does."""
        preview = self.found.preview
        if preview is not None:
            self._stale = False
            self._draw(preview, self._link(preview, self.found.frame.value))

    def clear(self) -> None:
        """Show no links: another video or model was chosen."""
        self.tails.clear()
        self.tracks = pd.DataFrame()
        self.said.object = ""

    def _moved(self, _: Any) -> None:
        if self._quiet:
            return
        self._quiet = True
        self.from_data.value = False
        self._quiet = False
        self.relink()

    async def _work(self) -> None:
        try:
            while self._stale:
                self._stale = False
                preview, number = self.found.preview, self.found.frame.value
                if preview is None:
                    return
                if not self._is_known(preview, number):
                    self._say(f"Looking at {FRAMES_LINKED} frames for links ...", "help")
                    self.tails.clear()
                    await asyncio.to_thread(self._detect, preview, number)
                asked = self._asked_of(preview, number)
                if (self._run is None or self._run.of[:3] != asked) and self._rested != asked:
                    self._rested = asked
                    await asyncio.sleep(_REST_S)
                if not self._stale:
                    self._draw(preview, await asyncio.to_thread(self._link, preview, number))
        finally:
            self._working = False

    def _is_known(self, preview: "Preview", number: int) -> bool:
        return all(preview.knows(one) for one in around(number, len(preview.video)))

    def _detect(self, preview: "Preview", number: int) -> None:
        """Look at the frames one by one, as long as nothing else is wanted."""
        for one in around(number, len(preview.video)):
            if self._stale or self.found.preview is not preview:
                return
            try:
                preview.find(one, self.found.threshold.value)
            except (CloudTrainerError, OSError):
                # Told when they are linked.
                return

    def _link(self, preview: "Preview", number: int) -> _Links | CloudTrainerError | OSError:
        """Link the frames around one; an error is returned, to be told."""
        from cloudtrainer.tracking import link_detections, search_range_doubts

        try:
            settings = self._settings()
            run = self._found(preview, number, settings.memory_frames)
            chosen = self.chosen_range_px
            value = run.suggested.value_px if chosen is None else chosen
            linked = link_detections(
                run.detections,
                value,
                settings.memory_frames,
                1,
                settings.linking_engine,
                settings.split_merge_range_px,
            )
            doubts = search_range_doubts(value, run.suggested, settings.memory_frames)
        except (CloudTrainerError, OSError) as error:
            return error
        numbers = around(number, len(preview.video))
        return _Links(linked.tracks, numbers, value, run.suggested, doubts)

    def _draw(self, preview: "Preview", made: _Links | CloudTrainerError | OSError) -> None:
        if self._stale or self.found.preview is not preview:
            return
        if not isinstance(made, _Links):
            self.tails.clear()
            self._say(str(made), "wrong")
            return
        self.tracks = made.tracks
        if self.from_data.value:
            self._show_range(made.value)
        self.tails.show(made.tracks)
        self.said.object = sentence(in_page_words(str(made))) + (
            sentence(in_page_words(" ".join(made.doubts)), "wrong") if made.doubts else ""
        )

    def _found(self, preview: "Preview", number: int, memory: int) -> _Run:
        """Return what was found in the frames around one, and keep it: the range may be moved."""
        from cloudtrainer.tracking import suggest_search_range

        of = (*self._asked_of(preview, number), memory)
        if self._run is None or self._run.of != of:
            numbers = around(number, len(preview.video))
            tables = [preview.find(one, of[2]).assign(frame=one) for one in numbers]
            detections = pd.concat(tables, ignore_index=True)[["frame", "x", "y"]]
            last = detections["frame"].iloc[:_ENOUGH].max()
            measured = detections[detections["frame"] <= last]
            self._run = _Run(of, detections, suggest_search_range(measured, memory))
        return self._run

    def _asked_of(self, preview: "Preview", number: int) -> tuple[Any, ...]:
        return preview, number, self.found.threshold.value

    def _show_range(self, value: float) -> None:
        self._quiet = True
        self.range_px.param.update(
            value=min(max(round(value, 1), _LEAST_PX), max(value, _MOST_PX)),
            end=max(_MOST_PX, round(2 * value, 1)),
        )
        self._quiet = False

    def _say(self, text: str, kind: str) -> None:
        self.said.object = sentence(in_page_words(text), kind)


def around(number: int, frames: int) -> range:
    """Return the run of frames around one that is linked, inside the video."""
    first = min(max(0, number - FRAMES_LINKED // 2), max(0, frames - FRAMES_LINKED))
    return range(first, min(frames, first + FRAMES_LINKED))

"""The part *Label*: labels added, dragged, removed, proposed by a model, undone, and saved."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.label_advice import Advice
from cloudtrainer.studio.label_controls import LabelControls
from cloudtrainer.studio.label_edits import NEW_ROW, NO_POINTS, LabelEdits, Points
from cloudtrainer.studio.label_store import Labelled, LabelStore
from cloudtrainer.studio.label_suggestions import Suggestions
from cloudtrainer.studio.label_words import frame_in_words
from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.videos import ListedVideo
from cloudtrainer.workspace import Workspace

# Half the width of a circle on the screen: a click inside takes the proposal.
_CIRCLE_PX = 7.0
_NO_PROPOSALS = pd.DataFrame({"x": [], "y": [], "probability": []})


class LabelPart:
    """The labels of a workspace's videos.

    Parameters
    ----------
    place : Workspace
        The workspace.
    """

    def __init__(self, place: Workspace) -> None:
        self.place = place
        self.controls = see = LabelControls()
        self.view = see.view
        self.layout = see.layout
        self.advice = Advice(place)
        self.store = LabelStore(place, see.say, see.say_saved)
        self.suggestions = Suggestions(see, self.advice, self._go)
        self._videos: list[ListedVideo] = []
        self._now: Labelled | None = None
        self._frame = 0
        self._proposals = _NO_PROPOSALS
        self._awake = self._quiet = self._looking = False
        see.video.param.watch(lambda _: self._open_soon(), "value")
        see.frame.param.watch(self._moved, "value")
        see.propose.param.watch(lambda _: self._look_soon(), "value")
        see.nothing.param.watch(self._confirmed, "value")
        see.on_act(
            {
                "previous": lambda: self._go(self._frame - 1),
                "next": lambda: self._go(self._frame + 1),
                "previous_labelled": lambda: self._go_labelled(-1),
                "next_labelled": lambda: self._go_labelled(1),
                "accept": self._accept,
                "delete": self._delete,
                "undo": lambda: self._step(LabelEdits.undo),
                "redo": lambda: self._step(LabelEdits.redo),
                "go_suggested": lambda: self.suggestions.go_on(self._frame),
            }
        )
        self.view.on_edit(self._edited)
        see.timeline.on_tap(self._go)
        self.suggestions.on_found(self._show_state)
        self.store.on_taken(lambda one: self._show_points() if one is self._now else None)

    def show_videos(self, videos: list[ListedVideo]) -> None:
        """Offer these videos, all of which can be opened."""
        self._videos = videos
        self.store.videos[:] = [one.path for one in videos]
        options = {one.path.name: one.path for one in videos}
        choice = self.controls.video
        before = choice.value
        self._quiet = True
        choice.options = options
        first = next(iter(options.values()), None)
        choice.value = before if before in options.values() else first
        self._quiet = False
        if choice.value != before:
            self._now = None
        if self._now is None:
            self._open_soon()

    def wake(self) -> None:
        """Read the labels of the video; called whenever the part comes into sight."""
        self._awake = True
        if self._now is None:
            self._open_soon()
        else:
            self.refresh()
            self._look_soon()

    def refresh(self) -> None:
        """Take in what was changed elsewhere, and try again to save what could not be saved."""
        if self._now is not None and self.store.is_due(self._now):
            pn.state.execute(self.save_aside)

    async def open_aside(self) -> None:
        """Show the video that is chosen; its labels are read in a thread."""
        see = self.controls
        path = see.video.value
        one = next((one for one in self._videos if one.path == path), None)
        self._now = None
        self._show_points()
        see.clear()
        if one is None or one.video is None:
            see.about.object = sentence("No videos yet: add some in the part Data.", "help")
            return
        try:
            self.view.show_video(one.video)
            now = await asyncio.to_thread(self.store.open, path, one.video)
        except (CloudTrainerError, OSError) as error:
            see.say(f"{error}\nUntil that is mended nothing can be labelled.", "wrong")
            return
        if see.video.value != path:
            return
        self._now = now
        see.suggest.disabled = False
        last = len(now.video) - 1
        self._quiet = True
        see.frame.param.update(end=max(1, last), value=0, disabled=last == 0)
        self._quiet = False
        self.suggestions.show(now)
        self._show_points()
        self.refresh()
        self._look_soon()

    async def save_aside(self) -> None:
        """Write what was changed, in a thread."""
        await self.store.save()
        self._show_state()

    async def look_aside(self) -> None:
        """Find what the model proposes in the frame that is shown."""
        if self._looking:
            return
        self._looking = True
        self._show_state()
        try:
            while self._now is not None and self.controls.propose.value:
                now, number = self._now, self._frame
                await self.advice.propose(now.video, number)
                if now is self._now and number == self._frame:
                    break
        except (CloudTrainerError, OSError) as error:
            self.controls.say(str(error), "wrong")
        finally:
            self._looking = False
            self._show_proposals()

    def _open_soon(self) -> None:
        if self._awake and not self._quiet:
            pn.state.execute(self.open_aside)

    def _look_soon(self) -> None:
        self._show_proposals()
        now = self._now
        if now is not None and self.advice.known(now.video, self._frame) is None:
            pn.state.execute(self.look_aside)

    def _moved(self, event: Any) -> None:
        if self._quiet or self._now is None:
            return
        number = min(event.new, len(self._now.video) - 1)
        try:
            self.view.show_frame(number)
        except (CloudTrainerError, OSError) as error:
            self.controls.say(str(error), "wrong")
            return
        self._frame = number
        self._show_points()
        self._look_soon()

    def _edited(self, points: Points | None, drawn: bool) -> None:
        now = self._now
        if now is None:
            return
        if points is None:
            self.controls.say(
                "That came while the frame changed, and was not taken: do it again.", "wrong"
            )
            self._show_points()
            return
        _, height, width = now.video.shape
        if ((points[:, :2] < -0.5) | (points[:, :2] > np.array([width, height]) - 0.5)).any():
            self.controls.say("That is outside the frame, and was not taken.", "wrong")
            self._show_points()
            return
        added = len(points) > len(now.edits.at(self._frame))
        wanted = self._taken_from_circles(points) if added else points
        if now.edits.change(self._frame, wanted):
            self._changed(redraw=not drawn or wanted is not points)

    def _taken_from_circles(self, points: Points) -> Points:
        """Put a label that was added within the circle of a proposal to the proposal's place."""
        proposed = self._proposals[["x", "y"]].to_numpy(np.float64)
        away = np.hypot(*(proposed - points[-1, :2]).T)
        if not len(away) or away.min() > _CIRCLE_PX * self.view.screen_px:
            return points
        return np.vstack([points[:-1], [*proposed[away.argmin()], NEW_ROW]])

    def _accept(self) -> None:
        now = self._now
        if now is None or self._proposals.empty:
            return
        added = self._proposals[["x", "y"]].assign(row=NEW_ROW).to_numpy(np.float64)
        if now.edits.change(self._frame, np.vstack([now.edits.at(self._frame), added])):
            self._changed()

    def _delete(self) -> None:
        now, chosen = self._now, self.view.selected
        if now is None:
            return
        if not chosen:
            self.controls.say("Click on a label first: it turns red.", "help")
            return
        points = now.edits.at(self._frame)
        if now.edits.change(self._frame, np.delete(points, chosen, axis=0)):
            self._changed()

    def _step(self, step: Callable[[LabelEdits], int | None]) -> None:
        frame = step(self._now.edits) if self._now is not None else None
        if frame is not None:
            self._go(frame)
            self._changed()

    def _changed(self, *, redraw: bool = True) -> None:
        now = self._now
        if now is None:
            return
        if self._frame in now.empty and len(now.edits.at(self._frame)):
            self._note_empty(now, False)
        if redraw:
            self._show_points()
        else:
            self._show_proposals()
        pn.state.execute(self.save_aside)

    def _confirmed(self, event: Any) -> None:
        if not self._quiet and self._now is not None:
            self._note_empty(self._now, event.new)
            self._show_proposals()

    def _note_empty(self, now: Labelled, empty: bool) -> None:
        try:
            now.file.set_empty(self._frame, empty)
        except CloudTrainerError as error:
            self.controls.say_saved(str(error), "wrong")
        now.empty = now.file.empty_frames

    def _go(self, frame: int) -> None:
        if self._now is not None:
            self.controls.frame.value = min(max(frame, 0), len(self._now.video) - 1)

    def _go_labelled(self, way: int) -> None:
        done = self._now.done if self._now is not None else set()
        there = [frame for frame in done if (frame - self._frame) * way > 0]
        if there:
            self._go(min(there, key=lambda frame: abs(frame - self._frame)))

    def _show_points(self) -> None:
        now = self._now
        if now is None:
            self._frame = 0
        self.view.allow_edits(now is not None)
        points = NO_POINTS if now is None else now.edits.at(self._frame)
        self.view.show_points(points, now and (now.path, self._frame))
        self._show_proposals()

    def _show_proposals(self) -> None:
        """Show what the model finds and what has no label yet."""
        now = self._now
        wanted = now and self.controls.propose.value and self._frame not in now.empty
        found = self.advice.known(now.video, self._frame) if now and wanted else None
        self._proposals = _NO_PROPOSALS
        if now is not None and found is not None:
            from cloudtrainer.studio.proposals import unlabelled

            labels = pd.DataFrame(now.edits.at(self._frame)[:, :2], columns=["x", "y"])
            self._proposals = unlabelled(found, labels)
        self.view.show_detections(self._proposals)
        self._show_state()

    def _show_state(self) -> None:
        see, now = self.controls, self._now
        labels = len(now.edits.at(self._frame)) if now is not None else 0
        empty = now is not None and self._frame in now.empty
        self._quiet = True
        see.nothing.param.update(value=empty, disabled=now is None or labels > 0)
        self._quiet = False
        see.accept.disabled = self._proposals.empty
        see.delete.disabled = labels == 0
        see.undo.disabled = now is None or not now.edits.can_undo
        see.redo.disabled = now is None or not now.edits.can_redo
        see.notice.object = sentence(now.file.notice if now is not None else "", "help")
        if now is None:
            return
        see.timeline.show(len(now.video), now.edits.frames, now.empty, now.suggested)
        see.timeline.move(self._frame)
        see.about.object = sentence(
            frame_in_words(
                self._frame, labels, len(self._proposals), self.advice.model_name,
                empty=empty, looking=self._looking, screen_px=self.view.screen_px,
            )
        )  # fmt: skip

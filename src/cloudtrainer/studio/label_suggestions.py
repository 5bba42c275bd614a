"""The button that looks for frames worth labelling, and the list of what it found."""

from collections.abc import Callable
from typing import Any

import panel as pn

from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio.label_advice import Advice
from cloudtrainer.studio.label_controls import NOTHING_CHOSEN, LabelControls
from cloudtrainer.studio.label_store import Labelled
from cloudtrainer.studio.suggestions import next_of


class Suggestions:
    """Frames in which the model is least sure.

    Parameters
    ----------
    see : LabelControls
        The button and the list.
    advice : Advice
        The model.
    go : callable
        Called with the frame that is gone to.
    """

    def __init__(self, see: LabelControls, advice: Advice, go: Callable[[int], None]) -> None:
        self._see, self._advice, self._go = see, advice, go
        self._now: Labelled | None = None
        self._quiet = False
        self._told: list[Callable[[], None]] = []
        see.suggest.on_click(lambda _: pn.state.execute(self.look))
        see.suggested.param.watch(self._chosen, "value")

    def on_found(self, tell: Callable[[], None]) -> None:
        """Call a function whenever frames were found."""
        self._told.append(tell)

    def show(self, now: Labelled) -> None:
        """Offer what was found of a video."""
        self._now = now
        self._quiet = True
        self._see.offer(now.suggested)
        self._quiet = False

    def go_on(self, frame: int) -> None:
        """Go from a frame to the next one that has no label yet."""
        if self._now is None or not self._now.suggested:
            self._see.say("Suggest frames first.", "help")
            return
        following = next_of(list(self._now.suggested), frame, self._now.done)
        if following is None:
            self._see.say("All suggested frames are done.", "help")
        else:
            self._go(following)

    async def look(self) -> None:
        """Look for frames, in a thread."""
        see, now = self._see, self._now
        if now is None:
            return

        def tell(done: int, total: int) -> None:
            see.say(f"Looked at {done} of {total} frames ...", "help")

        see.suggest.disabled = True
        try:
            now.suggested = await self._advice.suggest(now.video, now.done, tell)
        except (CloudTrainerError, OSError) as error:
            see.say(str(error), "wrong")
            return
        finally:
            see.suggest.disabled = False
        see.say(
            "Triangles in the strip: where the model expects most wrong calls."
            if now.suggested
            else "Of the frames without labels there is none in which the model has a doubt.",
            "help",
        )
        if now is self._now:
            self.show(now)
            for told in self._told:
                told()

    def _chosen(self, event: Any) -> None:
        if not self._quiet and event.new != NOTHING_CHOSEN:
            self._go(event.new)

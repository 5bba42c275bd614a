"""What stands beside the frame in the part *Label*, and where."""

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn

from cloudtrainer.studio.label_timeline import Timeline
from cloudtrainer.studio.label_view import LabelView
from cloudtrainer.studio.label_words import HOW
from cloudtrainer.studio.look import sentence

NOTHING_CHOSEN = -1
_WIDTH, _RIGHT = 345, 285
_TIGHT = (4, 4)


class LabelControls:
    """Sliders, buttons and sentences around the frame.

    Attributes
    ----------
    layout : Column
        All of them, with the frame.
    """

    def __init__(self) -> None:
        self.view = LabelView()
        self.timeline = Timeline()
        self.video = pn.widgets.Select(label="Video", options={}, width=250)
        self.frame = pn.widgets.IntSlider(label="Frame", start=0, end=1, width=_WIDTH - 20)
        self.previous = _button("◀ Frame", 76)
        self.next = _button("Frame ▶", 76)
        self.previous_labelled = _button("◀ Labelled", 84)
        self.next_labelled = _button("Labelled ▶", 84)
        self.accept = _button("Accept all proposals", 160, color="primary")
        self.delete = _button("Remove label", 105)
        self.undo = _button("Undo", 62)
        self.redo = _button("Redo", 62)
        self.propose = pn.widgets.Checkbox(label="Propose positions", value=True, width=145)
        self.nothing = pn.widgets.Checkbox(label="No particle in this frame", width=180)
        self.suggest = _button("Suggest frames", 125, align="end")
        self.suggested = pn.widgets.Select(
            label="Suggested, least sure first", width=205, margin=_TIGHT
        )
        self.about = pn.pane.HTML("", width=_WIDTH)
        self.said = pn.pane.HTML("", width=_WIDTH)
        self.saved = pn.pane.HTML("", width=_WIDTH)
        self.notice = pn.pane.HTML("", width=_RIGHT)
        self.offer({})
        self.layout = self._layout()

    def on_act(self, acts: Mapping[str, Callable[[], None]]) -> None:
        """Call a function for each button, named as it is here, and for the key that means it."""
        for name, act in acts.items():
            if hasattr(self, name):
                getattr(self, name).on_click(lambda _, act=act: act())
        self.view.on_key(lambda key: acts[key]() if key in acts else None)

    def say(self, text: str, kind: str = "plain") -> None:
        """Say what has happened."""
        self.said.object = sentence(text, kind)

    def say_saved(self, text: str, kind: str = "plain") -> None:
        """Say what was saved."""
        self.saved.object = sentence(text, kind)

    def clear(self) -> None:
        """Show that no labels are open."""
        self.about.object = self.said.object = self.saved.object = ""
        self.frame.disabled = self.suggest.disabled = True
        self.timeline.show(1, [], [], [])

    def offer(self, suggested: Mapping[int, float]) -> None:
        """Offer frames, with the wrong calls that the model expects there."""
        none = "choose one" if suggested else "none yet"
        options = {none: NOTHING_CHOSEN} | {
            f"frame {frame}: about {wrong:.1f} wrong calls": frame
            for frame, wrong in suggested.items()
        }
        self.suggested.param.update(options=options, value=NOTHING_CHOSEN)

    def _layout(self) -> Any:
        left = pn.Column(
            self.frame,
            self.timeline.pane,
            _row(self.previous, self.next, self.previous_labelled, self.next_labelled),
            _row(self.suggest, self.suggested),
            _row(self.propose, self.nothing),
            _row(self.accept, self.delete),
            _row(self.undo, self.redo),
            self.about,
            self.said,
            self.saved,
            width=_WIDTH + 15,
        )
        right = pn.Column(pn.pane.HTML(sentence(HOW, "help"), width=_RIGHT), self.notice)
        return pn.Column(
            pn.Row(self.video, self.view.contrast),
            pn.FlexBox(left, self.view.pane, right),
            sizing_mode="stretch_width",
        )


def _button(label: str, width: int, **more: Any) -> Any:
    return pn.widgets.Button(label=label, width=width, margin=_TIGHT, **more)


def _row(*parts: Any) -> Any:
    return pn.Row(*parts, margin=(0, 6))

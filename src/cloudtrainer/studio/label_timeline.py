"""A strip that shows which frames have labels, are empty, are suggested; a click goes there."""

from collections.abc import Callable, Iterable

import numpy as np
import panel as pn
from bokeh.models import BasicTicker, ColumnDataSource, Range1d, Span
from bokeh.plotting import figure

from cloudtrainer.studio.look import BLUE, GREY, INK, VERMILLION, in_turn

_WIDTH, _HEIGHT = 330, 46


class Timeline:
    """The frames of a video from left to right: labelled, confirmed as empty, suggested."""

    def __init__(self) -> None:
        self.runs = ColumnDataSource({"left": [], "right": []})
        self.empty = ColumnDataSource({"left": [], "right": []})
        self.suggested = ColumnDataSource({"x": []})
        self.figure = figure(
            width=_WIDTH, height=_HEIGHT, x_range=Range1d(-0.5, 0.5), y_range=Range1d(0, 1),
            tools="", toolbar_location=None, min_border_left=12, min_border_right=12,
        )  # fmt: skip
        self.figure.xaxis.ticker = BasicTicker(min_interval=1)
        self.figure.yaxis.visible = False
        self.figure.grid.visible = False
        for source, colour, top in ((self.runs, BLUE, 0.6), (self.empty, GREY, 0.25)):
            self.figure.quad(
                left="left", right="right", bottom=0, top=top, source=source, color=colour,
                line_width=2,
            )  # fmt: skip
        self.figure.scatter(
            "x", 0.82, source=self.suggested, marker="inverted_triangle", size=9, color=VERMILLION
        )
        self._here = Span(location=0, dimension="height", line_color=INK, line_width=2)
        self.figure.add_layout(self._here)
        self.pane = pn.pane.Bokeh(self.figure)
        self._last = 0

    def on_tap(self, go: Callable[[int], None]) -> None:
        """Call a function with the frame that was clicked on."""
        self.figure.on_event("tap", lambda event: go(min(max(round(event.x), 0), self._last)))

    def show(
        self, frames: int, labelled: Iterable[int], empty: Iterable[int], suggested: Iterable[int]
    ) -> None:
        """Show a video of so many frames, and what is known of them."""
        self._last = frames - 1
        runs, nothing, wanted = _runs(labelled), _runs(empty), {"x": list(suggested)}

        def change() -> None:
            self.figure.x_range.update(start=-0.5, end=max(0.5, frames - 0.5))
            self.runs.data, self.empty.data, self.suggested.data = runs, nothing, wanted

        in_turn(change, self.pane)

    def move(self, frame: int) -> None:
        """Put the line at a frame."""
        in_turn(lambda: self._here.update(location=frame), self.pane)


def _runs(frames: Iterable[int]) -> dict[str, list[float]]:
    """Join frames that follow each other."""
    numbers = np.array(sorted(frames), np.int64)
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else []
    return {
        "left": [float(part[0]) - 0.5 for part in parts],
        "right": [float(part[-1]) + 0.5 for part in parts],
    }

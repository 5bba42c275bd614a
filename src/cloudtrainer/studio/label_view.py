"""A frame whose labels are added, dragged and removed, with proposals and keys."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, PointDrawTool

from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.label_edits import NEW_ROW, Points
from cloudtrainer.studio.look import SKY, VERMILLION, in_turn

_SIZE, _LEAST_SIZE = 17, 6
_CROWD = 150
_SELECT_ONE = "if (cb_obj.indices.length > 1) { cb_obj.indices = cb_obj.indices.slice(-1); }"
# Bokeh takes a second click within 0.3 s for a double one, wherever it is.
_REMEMBER_CLICK = "window.cloudtrainerLabelClick = [cb_obj.sx, cb_obj.sy];"
_ADD_AT_SECOND_CLICK = """
const [sx, sy] = window.cloudtrainerLabelClick ?? [-1e9, -1e9];
const inside = (value, range) =>
  value >= Math.min(range.start, range.end) && value <= Math.max(range.start, range.end);
const at = [cb_obj.x, cb_obj.y];
if (!draw.active || !draw.add || !inside(at[0], x_range) || !inside(at[1], y_range)) { return; }
if (Math.hypot(cb_obj.sx - sx, cb_obj.sy - sy) < size / 2) { return; }
const [x, y, row] = ['x', 'y', 'row'].map((name) => Array.from(points.get_column(name)));
const near = size / 2 * Math.abs(x_range.end - x_range.start) / figure.frame_width;
if (x.some((value, i) => Math.hypot(value - at[0], y[i] - at[1]) < near)) { return; }
points.data = {x: [...x, at[0]], y: [...y, at[1]], row: [...row, new_row]};
"""
# From the moment that the pointer is over the frame, as long as the part is shown.
_LISTEN = """
window.cloudtrainerLabelKeys = (event) => {
  if (!Bokeh.index.find_one(figure)?.el.isConnected) { return; }
  const at = event.composedPath()[0];
  if (['INPUT', 'TEXTAREA', 'SELECT'].includes(at.tagName) || at.role == 'slider') { return; }
  const held = event.ctrlKey || event.metaKey;
  const asked = held ? {z: event.shiftKey ? 'redo' : 'undo', y: 'redo'}
    : {ArrowLeft: 'previous', ArrowRight: 'next', Delete: 'delete', a: 'accept', n: 'go_suggested'};
  const key = asked[event.key.length == 1 ? event.key.toLowerCase() : event.key];
  if (!key || event.altKey) { return; }
  event.preventDefault();
  keys.data = {key: [key], count: [(keys.get_column('count')[0] ?? 0) + 1]};
};
// Bokeh drags every label that is selected, wherever the drag begins.
window.cloudtrainerLabelPress = (event) => {
  const shown = Bokeh.index.find_one(figure)?.el;
  if (shown && event.composedPath().includes(shown)) { points.selected.indices = []; }
};
if (!window.cloudtrainerLabelListens) {
  window.cloudtrainerLabelListens = true;
  window.addEventListener('keydown', (event) => window.cloudtrainerLabelKeys(event));
  window.addEventListener('pointerdown', (event) => window.cloudtrainerLabelPress(event), true);
}
"""


class LabelView(FrameView):
    """A frame with labels to edit (squares) and proposals (circles).

    The first row of ``points`` is no label: its ``row`` says to which drawing the others belong,
    so that an edit of what is no longer shown is told from one of what is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mark = NEW_ROW
        self._of: Hashable = None
        self._points: Points = np.empty((0, 3))
        # How many labels the browser has, as it said last, in each drawing of this frame.
        self._counts: dict[float, int] = {}
        self._drawing = False
        self._told: Callable[[Points | None, bool], None] = lambda points, drawn: None
        self._key_told: Callable[[str], None] = lambda key: None
        self.points = ColumnDataSource(self._data(np.empty((0, 3))))
        squares = self.figure.scatter(
            "x", "y", source=self.points, size=_SIZE, marker="square", line_color=SKY,
            line_width=2, fill_alpha=0, selection_line_color=VERMILLION, selection_line_width=3,
            nonselection_line_alpha=1, nonselection_fill_alpha=0,
        )  # fmt: skip
        self._squares = squares
        self.draw = PointDrawTool(renderers=[squares], default_overrides={"row": NEW_ROW})
        self.figure.add_tools(self.draw)
        self.figure.toolbar.active_tap = self.draw
        self.figure.toolbar.active_drag = self.draw
        self.points.selected.js_on_change("indices", CustomJS(code=_SELECT_ONE))
        second = {
            "draw": self.draw, "points": self.points, "figure": self.figure, "size": _SIZE,
            "x_range": self.figure.x_range, "y_range": self.figure.y_range, "new_row": NEW_ROW,
        }  # fmt: skip
        self.figure.js_on_event("tap", CustomJS(code=_REMEMBER_CLICK))
        self.figure.js_on_event("doubletap", CustomJS(args=second, code=_ADD_AT_SECOND_CLICK))
        self.keys = ColumnDataSource({"key": [], "count": []})
        listen = CustomJS(
            args={"figure": self.figure, "keys": self.keys, "points": self.points}, code=_LISTEN
        )
        self.figure.js_on_event("mouseenter", listen)
        self.points.on_change("data", self._edited)
        self.keys.on_change("data", self._pressed)

    def on_edit(self, tell: Callable[[Points | None, bool], None]) -> None:
        """Call a function after each edit.

        It is given the labels, None where they are of a drawing that is gone, and whether the
        browser shows them so.
        """
        self._told = tell

    def on_key(self, tell: Callable[[str], None]) -> None:
        """Call a function with "next", "previous", "delete", "undo", ... for each such key."""
        self._key_told = tell

    def show_points(self, points: Points, of: Hashable) -> None:
        """Put squares around the labels of a frame; none is selected then.

        Parameters
        ----------
        points : ndarray
            x, y (px) and row of each label.
        of : hashable
            What tells this frame from any other.
        """
        if of != self._of:
            self._counts.clear()
        self._of, self._points = of, points
        self._mark -= 1
        self._counts[self._mark] = len(points)
        data = self._data(points)
        # In a crowd large squares hide each other, and the frame.
        size = min(_SIZE, max(_LEAST_SIZE, round(_SIZE * (_CROWD / max(1, len(points))) ** 0.5)))

        def change() -> None:
            self._squares.glyph.size = size
            self.points.selected.indices = []
            self._drawing = True
            self.points.data = data
            self._drawing = False

        in_turn(change, self.pane)

    def allow_edits(self, allowed: bool) -> None:
        """Take clicks and drags, or not."""
        in_turn(lambda: self.draw.update(add=allowed, drag=allowed), self.pane)

    @property
    def selected(self) -> list[int]:
        """Which labels are selected, counted as in what `show_points` was given."""
        return [index - 1 for index in self.points.selected.indices if index > 0]

    @property
    def screen_px(self) -> float:
        """The side of a pixel of the screen, in pixels of the frame, as it is zoomed now."""
        x_range = self.figure.x_range
        return abs(float(x_range.end) - float(x_range.start)) / float(self.figure.frame_width)

    def _data(self, points: Points) -> dict[str, list[float]]:
        x, y, row = np.vstack([[np.nan, np.nan, self._mark], points]).T.tolist()
        return {"x": x, "y": y, "row": row}

    def _edited(self, _: str, __: Any, data: Any) -> None:
        if self._drawing:
            return
        rows = list(data["row"])
        mark = rows[0] if rows else NEW_ROW
        points = np.column_stack([data["x"], data["y"], rows]).astype(np.float64)[1:]
        before = self._counts.get(mark, len(points))
        if mark == self._mark:
            self._counts[mark] = len(points)
            self._told(points, True)
        elif len(points) > before:
            # Clicks that follow each other faster than the page is drawn.
            self._counts[mark] = len(points)
            self._told(np.vstack([self._points, points[before:]]), False)
        else:
            self._told(None, False)

    def _pressed(self, _: str, __: Any, data: Any) -> None:
        if len(data["key"]):
            self._key_told(str(data["key"][0]))

"""Live curves of a training: loss, F1 and position error by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool
from bokeh.plotting import figure

from cloudtrainer.studio.look import BLUE, VERMILLION, in_turn

_PANELS = (
    ("Loss", (("train_loss", "training", BLUE), ("val_loss", "validation", VERMILLION))),
    ("F1", (("train_f1", "training", BLUE), ("val_f1", "validation", VERMILLION))),
    (
        "Position error (px)",
        (("train_rmse_px", "training", BLUE), ("val_rmse_px", "validation", VERMILLION)),
    ),
)


class Curves:
    """Three panels that grow with the epochs."""

    def __init__(self) -> None:
        names = [name for _, curves in _PANELS for name, *_ in curves]
        self._names = names
        self.source = ColumnDataSource({"epoch": [], **{name: [] for name in names}})
        self.figures = [self._panel(title, curves) for title, curves in _PANELS]
        self.pane = pn.FlexBox(*(pn.pane.Bokeh(one) for one in self.figures), visible=False)
        self._shown: tuple[int, Any] = (0, None)

    def show(self, history: Mapping[str, Sequence[float | None]]) -> None:
        """Draw the scores of each epoch; what is missing leaves a gap."""
        epochs = max((len(history.get(name, [])) for name in self._names), default=0)
        columns: dict[str, list[float]] = {"epoch": [float(one + 1) for one in range(epochs)]}
        for name in self._names:
            values = [float("nan") if value is None else value for value in history.get(name, [])]
            columns[name] = values + [float("nan")] * (epochs - len(values))
        # Columns with gaps are never equal to themselves: what is new is told by its length.
        if epochs and (epochs, history.get("val_loss")) != self._shown:
            self._shown = (epochs, history.get("val_loss"))
            self.pane.visible = True
            in_turn(lambda: self.source.update(data=columns), *self.pane)

    def _panel(self, title: str, curves: Any) -> Any:
        drawn = figure(
            height=270, width=390, title=title, x_axis_label="epoch",
            tools="pan,wheel_zoom,box_zoom,reset,save", toolbar_location="above",
        )  # fmt: skip
        drawn.toolbar.logo = None
        drawn.toolbar.autohide = True
        for name, label, colour in curves:
            drawn.line("epoch", name, source=self.source, color=colour, line_width=2,
                       legend_label=label)  # fmt: skip
            dots = drawn.scatter("epoch", name, source=self.source, color=colour, size=5)
            drawn.add_tools(
                HoverTool(
                    renderers=[dots],
                    tooltips=[("epoch", "@epoch"), (label, f"@{name}{{0.0000}}")],
                    visible=False,
                )
            )
        drawn.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        # Inside it would lie over the curves.
        legend = drawn.legend[0]
        drawn.add_layout(legend, "below")
        legend.update(
            orientation="horizontal", padding=2, label_text_font_size="11px", border_line_alpha=0
        )
        return drawn

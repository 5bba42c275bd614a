"""The look that all figures share, and their way into files."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Okabe & Ito 2008, "Color Universal Design": told apart with any kind of colour vision.
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
INK = "#222222"
GREY = "#6b6b6b"
PALE = "#d9d9d9"
# Without yellow, which is lost on a bright frame.
CYCLE = (VERMILLION, SKY, ORANGE, GREEN, PURPLE, BLUE)

WIDE = 8.2
PANEL_HEIGHT = 3.6
BAND_ALPHA = 0.22

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "text.usetex": False,
    "axes.labelsize": 10.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": "white",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.xmargin": 0.03,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "cloudtrainer",
}

P = ParamSpec("P")


class NotebookFigure(Figure):
    """A figure that shows itself as a notebook cell's result, with pyplot or without."""

    def _repr_png_(self) -> bytes:
        return to_png(self, dpi=100)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure in the package's style, whatever the user has set for their own plots."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches with constrained layout."""
    return NotebookFigure(figsize=(width, height), layout="constrained")


def panels(figure: Figure, columns: int) -> list[Axes]:
    """Return axes side by side."""
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        finish_ticks(ax)
    return list(axes)


def finish_ticks(ax: Axes) -> None:
    """Set the ticks' look now: matplotlib makes them when it draws, outside the style."""
    ax.tick_params(which="both", labelsize=9.5, color=INK, labelcolor=INK, width=0.8)


def literal(text: str) -> str:
    """Return text in which matplotlib finds no mathematics: every dollar sign is escaped."""
    return text.replace("$", r"\$")


def sentence_figure(sentence: str, width: float = WIDE, height: float = 2.0) -> Figure:
    """Return a figure that says in one sentence why there is nothing to plot."""
    figure = new_figure(width, height)
    say_in(figure.add_subplot(), sentence)
    return figure


def say_in(ax: Axes, sentence: str) -> None:
    """Put a sentence into empty axes."""
    ax.set_axis_off()
    ax.text(
        0.5, 0.5, literal(sentence), transform=ax.transAxes, ha="center", va="center",
        color=GREY, fontsize=11, wrap=True,
    )  # fmt: skip


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers, as many as its span needs."""
    ratio = high / low
    subs = (1.0,) if ratio > 1000 else (1.0, 3.0) if ratio > 30 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(10, subs=subs) if ratio > 6 else MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if ratio > 1000 or ratio <= 6:
        axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def to_png(figure: Figure, dpi: int = 130) -> bytes:
    """Return the figure as a PNG file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int
        Pixels an inch; 130 suits a screen, 300 or more print.
    """
    return _saved(figure, "png", dpi)


def to_svg(figure: Figure) -> bytes:
    """Return the figure as an SVG file, the same bytes for the same figure."""
    return _saved(figure, "svg", 130)


def _saved(figure: Figure, kind: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context(_STYLE):
        figure.savefig(
            buffer, format=kind, dpi=dpi, facecolor="white", metadata=metadata,
            bbox_inches="tight", pad_inches=0.06,
        )  # fmt: skip
    return buffer.getvalue()

"""Conditions side by side: each video with its interval, and the mean over videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cloudtrainer.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PANEL_HEIGHT,
    PURPLE,
    SKY,
    VERMILLION,
    WIDE,
    finish_ticks,
    literal,
    new_figure,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
# Of the room of a condition: where its videos lie, and its mean.
_VIDEOS, _MEAN = (-0.3, 0.1), 0.28
_NAME_LETTERS, _NAME_LINES = 14, 3
_FEW = 4


@dataclass(frozen=True)
class ConditionPoints:
    """A quantity of one condition.

    Attributes
    ----------
    name : str
    value, low, high : ndarray of float64, shape (videos,)
        Each video with its interval; NaN: not known.
    mean : (float, float, float)
        The mean over videos with its interval.
    """

    name: str
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: tuple[float, float, float]


@dataclass(frozen=True)
class ConditionsPanel:
    """A quantity of all conditions.

    Attributes
    ----------
    label : str
        Of the axis, with the unit.
    title : str
        What was found; may be empty.
    groups : tuple of ConditionPoints
    """

    label: str
    title: str
    groups: tuple[ConditionPoints, ...]


@styled
def conditions_figure(panels: Sequence[ConditionsPanel]) -> Figure:
    """Show each quantity in a panel: videos as points, means over videos as diamonds.

    Parameters
    ----------
    panels : sequence of ConditionsPanel
    """
    if not panels:
        return sentence_figure("There is no quantity that two conditions have.")
    columns = 1 if len(panels) == 1 or len(panels[0].groups) > _FEW else 2
    rows = -(-len(panels) // columns)
    figure = new_figure(WIDE if columns > 1 else WIDE * 0.8, rows * PANEL_HEIGHT)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, panel in zip(axes, panels, strict=False):
        finish_ticks(ax)
        _draw(ax, panel)
    return figure


def _draw(ax: Axes, panel: ConditionsPanel) -> None:
    for place, group in enumerate(panel.groups):
        colour = _COLOURS[place % len(_COLOURS)]
        number = len(group.value)
        if number:
            x = place + np.linspace(*_VIDEOS, number + 2)[1:-1]
            low, high = (np.where(np.isfinite(e), e, group.value) for e in (group.low, group.high))
            ax.vlines(x, low, high, color=colour, linewidth=1.0, alpha=0.7)
            ax.plot(x, group.value, "o", color=colour, markersize=4.5, markeredgewidth=0)
            mean, lowest, highest = group.mean
            # That of one video stands at its point, and says nothing of other videos.
            if number > 1 and np.isfinite(lowest) and np.isfinite(highest):
                ax.vlines(place + _MEAN, lowest, highest, color=INK, linewidth=2.4)
            ax.plot(
                place + _MEAN, mean, "D", color=colour, markersize=8, markeredgecolor=INK,
                markeredgewidth=1.2, zorder=3,
            )  # fmt: skip
        else:
            ax.text(place, 0.5, "none", transform=ax.get_xaxis_transform(), color=GREY, ha="center")
    ax.set_xticks(
        range(len(panel.groups)), [_tick(group.name, len(group.value)) for group in panel.groups]
    )
    ax.set_xlim(-0.5, len(panel.groups) - 0.5)
    _set_height(ax, panel)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.set_ylabel(literal(panel.label))
    if panel.title:
        ax.set_title(literal(panel.title), color=INK, fontsize=9)


def _set_height(ax: Axes, panel: ConditionsPanel) -> None:
    """Keep the interval of a mean over two videos, which may be huge, from flattening all else."""
    points = [
        end[np.isfinite(end)] for one in panel.groups for end in (one.value, one.low, one.high)
    ]
    every = np.concatenate(points)
    if not every.size:
        return
    low, high = float(every.min()), float(every.max())
    reach = (high - low) or abs(high) or 1.0
    ends = np.array([end for one in panel.groups for end in one.mean if np.isfinite(end)])
    low = min(low, max(float(ends.min()), low - 1.5 * reach))
    high = max(high, min(float(ends.max()), high + 1.5 * reach))
    margin = 0.06 * ((high - low) or 1.0)
    ax.set_ylim(low - margin, high + margin)


def _tick(name: str, videos: int) -> str:
    lines = wrap(name, _NAME_LETTERS) or [name]
    if len(lines) > _NAME_LINES:
        lines = [*lines[: _NAME_LINES - 1], f"{lines[_NAME_LINES - 1][: _NAME_LETTERS - 1]}…"]
    return literal("\n".join([*lines, f"{videos} video{'s' * (videos != 1)}"]))

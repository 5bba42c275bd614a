"""The course of a training: losses, scores and position errors by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cloudtrainer.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PANEL_HEIGHT,
    PURPLE,
    SKY,
    VERMILLION,
    WIDE,
    finish_ticks,
    log_axis,
    new_figure,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Curves that rise or fall by more than this are drawn on a logarithmic axis.
_SPANS = 8.0
_MARKED_EPOCHS = 40


@dataclass(frozen=True)
class _Curve:
    label: str
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class _Panel:
    title: str
    curves: Mapping[str, _Curve]
    limits: tuple[float | None, float | None] = (None, None)


_PANELS = (
    _Panel(
        "loss",
        {
            "train_loss": _Curve("training", BLUE),
            "val_loss": _Curve("validation", VERMILLION),
        },
    ),
    _Panel(
        "score",
        {
            "train_f1": _Curve("F1, training", BLUE),
            "val_f1": _Curve("F1, validation", VERMILLION),
            "train_iou": _Curve("IoU, training", SKY, dashed=True),
            "val_iou": _Curve("IoU, validation", ORANGE, dashed=True),
            "train_dice": _Curve("Dice, training", PURPLE, dashed=True),
            "val_dice": _Curve("Dice, validation", GREEN, dashed=True),
        },
        (0.0, 1.0),
    ),
    _Panel(
        "position error (px)",
        {
            "train_rmse_px": _Curve("training", BLUE),
            "val_rmse_px": _Curve("validation", VERMILLION),
        },
        (0.0, None),
    ),
    _Panel("learning rate", {"learning_rate": _Curve("", INK)}),
)


@styled
def training_figure(history: Mapping[str, Sequence[float]]) -> Figure:
    """Show how a training went, in a panel each for loss, scores, position error and learning rate.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One number an epoch, NaN where there was none: ``train_loss``, ``val_loss``, ``train_f1``,
        ``val_f1``, ``train_iou``, ``val_iou``, ``train_dice``, ``val_dice``, ``train_rmse_px``,
        ``val_rmse_px`` (pixels), ``learning_rate``. Others are not drawn, nor are panels without
        data. The circle marks the lowest loss on validation data.
    """
    known = {name: np.asarray(values, dtype=np.float64) for name, values in history.items()}
    known = {name: values for name, values in known.items() if np.isfinite(values).any()}
    shown = [panel for panel in _PANELS if panel.curves.keys() & known.keys()]
    if not shown:
        return sentence_figure("The course of this training was not recorded.")
    rows, columns = (len(shown) + 1) // 2, min(len(shown), 2)
    figure = new_figure(WIDE if columns == 2 else 6.4, PANEL_HEIGHT * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, panel in zip(axes, shown, strict=False):
        finish_ticks(ax)
        _draw(ax, panel, known)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    return figure


def _draw(ax: Axes, panel: _Panel, known: Mapping[str, NDArray[np.float64]]) -> None:
    drawn = {name: known[name] for name in panel.curves if name in known}
    longest = max(len(values) for values in drawn.values())
    for name, values in drawn.items():
        curve = panel.curves[name]
        ax.plot(
            np.arange(1, len(values) + 1), values, color=curve.color, label=curve.label,
            linestyle=(0, (4, 1.5)) if curve.dashed else "-",
            marker="o" if longest <= _MARKED_EPOCHS else "", markersize=3.5,
        )  # fmt: skip
    if "val_loss" in drawn:
        best = int(np.nanargmin(drawn["val_loss"]))
        ax.plot(
            best + 1, drawn["val_loss"][best], "o", markersize=9, markerfacecolor="none",
            markeredgecolor=INK, label=f"lowest, epoch {best + 1}",
        )  # fmt: skip
    _set_height(ax, panel, np.concatenate(list(drawn.values())))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlim(0.5 if longest < 10 else 0, longest + max(0.5, 0.02 * longest))
    ax.set_xlabel("epoch")
    ax.set_ylabel(panel.title)
    if any(panel.curves[name].label for name in drawn):
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)


def _set_height(ax: Axes, panel: _Panel, values: NDArray[np.float64]) -> None:
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    bottom, top = panel.limits
    if top is not None:
        ax.set_ylim(bottom, 1.03 * top)
    elif low > 0 and high / low > _SPANS:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.3, high * 1.3)
        log_axis(ax.yaxis, low / 1.3, high * 1.3)
    elif bottom is not None:
        ax.set_ylim(bottom, 1.1 * high if high > bottom else 1.0)

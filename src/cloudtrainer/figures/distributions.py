"""Histograms of what was estimated for each track."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from cloudtrainer.figures.numbers import IntervalLike, with_interval
from cloudtrainer.figures.style import (
    BAND_ALPHA,
    GREY,
    INK,
    PANEL_HEIGHT,
    VERMILLION,
    literal,
    new_figure,
    panels,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# `SKY` on white, so opaque that the band of the estimate lies behind the bars.
_BARS = "#9ad2f2"
_BEHIND = 0.5
_DRAWN_POINTS = 400


class SpreadLike(Protocol):
    """A coefficient of variation with its interval, and the density behind it."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def grid(self) -> NDArray[np.float64]: ...
    @property
    def density(self) -> NDArray[np.float64]: ...


@styled
def histogram_figure(
    values: ArrayLike,
    *,
    label: str,
    estimate: IntervalLike | None = None,
    truth: float | None = None,
    spread: SpreadLike | None = None,
) -> Figure:
    """Show how an estimate is distributed over the tracks, and the pooled one with its interval.

    Parameters
    ----------
    values : array-like of float
        One a track; those that are not finite are left out.
    label : str
        Plain text of the axis with the unit, such as ``D (µm²/s)``.
    estimate : object or None
        The pooled estimate: ``value, low, high, unit``.
    truth : float or None
        The value that was simulated.
    spread : object or None
        How the quantity is distributed without the uncertainty of each track: ``value, low,
        high`` (its coefficient of variation), ``grid`` and ``density``.

    Notes
    -----
    The axis ends three interquartile ranges beyond the quartiles where values lie farther out;
    how many do is said above it. The bins are those of Freedman & Diaconis 1981.
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    found = found[np.isfinite(found)]
    if found.size == 0:
        return sentence_figure(f"There is no track with an estimate to show as {label}.")
    marks = [] if truth is None else [truth]
    if estimate is not None:
        marks += [estimate.value, estimate.low, estimate.high]
    low, high = _axis_range(found, np.array([mark for mark in marks if np.isfinite(mark)]))
    inside = found[(found >= low) & (found <= high)]

    figure = new_figure(6.4, PANEL_HEIGHT + 0.6)
    (ax,) = panels(figure, 1)
    # What cannot be below 0 has no bar there.
    bins = _bins(inside, max(low, 0.0) if found.min() >= 0 else low, high)
    ax.hist(inside, bins, color=_BARS, edgecolor="white", linewidth=0.6)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if spread is not None and np.isfinite(spread.value):
        _draw_spread(ax, spread, found.size * (bins[1] - bins[0]), (low, high))
    if estimate is not None and np.isfinite(estimate.value):
        if np.isfinite(estimate.low) and np.isfinite(estimate.high):
            ax.axvspan(
                estimate.low, estimate.high,
                color=VERMILLION, alpha=BAND_ALPHA, linewidth=0, zorder=_BEHIND,
            )  # fmt: skip
        pooled = with_interval(estimate.value, estimate.low, estimate.high, estimate.unit)
        ax.axvline(estimate.value, color=VERMILLION, label=f"all tracks together: {pooled}")
    if truth is not None:
        ax.axvline(truth, color=INK, linestyle=(0, (4, 2)), label=f"truth: {truth:g}")
    ax.set_xlim(low, high)
    ax.set_xlabel(literal(label))
    ax.set_ylabel("tracks")
    beyond = found.size - inside.size
    note = f"{found.size} tracks" + (f", {beyond} of them beyond the axis" if beyond else "")
    ax.set_title(note, loc="right", color=GREY, fontsize=10)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center")
    return figure


def _draw_spread(ax: Axes, spread: SpreadLike, scale: float, ends: tuple[float, float]) -> None:
    """Draw a density as tracks a bin, lowered where it would be much higher than the bars."""
    from scipy.interpolate import PchipInterpolator

    highest = ax.get_ylim()[1]
    first, last = np.clip(ends, spread.grid[0], spread.grid[-1])
    # The points of the density are few where it is narrow; this curve never overshoots them.
    grid = np.union1d(spread.grid, np.linspace(first, last, _DRAWN_POINTS))
    with np.errstate(over="ignore"):
        tracks = PchipInterpolator(spread.grid, spread.density)(grid) * scale
    lowered = min(1.0, 1.5 * highest / float(tracks.max()))
    tracks = lowered * tracks
    height = "" if lowered == 1 else ", height not to scale"
    ax.plot(
        grid, tracks, color=INK, linewidth=1.4,
        label="without each track's own uncertainty, no narrower than can be resolved;\n"
        f"sd / mean {spread.value:.2f} "
        f"(95%: {spread.low:.2f} to {spread.high:.2f}){height}",
    )  # fmt: skip
    ax.set_ylim(0, max(highest, 1.08 * float(tracks.max())))


def _axis_range(values: NDArray[np.float64], marks: NDArray[np.float64]) -> tuple[float, float]:
    first, third = np.percentile(values, [25, 75])
    reach = 3 * (third - first)
    if reach == 0:
        reach = np.inf
    inside = values[(values >= first - reach) & (values <= third + reach)]
    shown = np.concatenate([inside, marks])
    low, high = float(shown.min()), float(shown.max())
    margin = 0.03 * (high - low) or 0.5 * abs(low) or 0.5
    return low - margin, high + margin


def _bins(values: NDArray[np.float64], low: float, high: float) -> list[float]:
    first, third = np.percentile(values, [25, 75])
    width = 2 * (third - first) / values.size ** (1 / 3)
    count = int(np.clip((high - low) / width, 8, 60)) if width > 0 else 20
    return list(np.linspace(low, high, count + 1))

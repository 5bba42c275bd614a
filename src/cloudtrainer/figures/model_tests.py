"""Figures of the tests of the model: all on one sheet, and what displacements look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cloudtrainer.figures.numbers import display_unit
from cloudtrainer.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PANEL_HEIGHT,
    VERMILLION,
    WIDE,
    finish_ticks,
    literal,
    log_axis,
    new_figure,
    panels,
    say_in,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_NORMAL_95 = 1.959963984540054
_NAMED_POINTS = 5
_BINS = 61
_REACH = 6.0


class CurveLike(Protocol):
    """What a test looked at: points with errors, and where the model has them."""

    @property
    def x(self) -> NDArray[np.float64]: ...
    @property
    def y(self) -> NDArray[np.float64]: ...
    @property
    def error(self) -> NDArray[np.float64]: ...
    @property
    def expected(self) -> NDArray[np.float64]: ...
    @property
    def x_label(self) -> str: ...
    @property
    def y_label(self) -> str: ...


class CheckLike(Protocol):
    """One test of the model."""

    @property
    def name(self) -> str: ...
    @property
    def passed(self) -> bool | None: ...
    @property
    def p_value(self) -> float: ...
    @property
    def curve(self) -> CurveLike | None: ...


class DistributionLike(Protocol):
    """Displacements at one lag."""

    @property
    def displacement(self) -> NDArray[np.float64]: ...
    @property
    def standard_deviation(self) -> float: ...
    @property
    def lag_time(self) -> float: ...
    @property
    def length_unit(self) -> str: ...
    @property
    def time_unit(self) -> str: ...


class NonGaussianLike(Protocol):
    """The non-Gaussian parameter against the lag."""

    @property
    def lag_time(self) -> NDArray[np.float64]: ...
    @property
    def value(self) -> NDArray[np.float64]: ...
    @property
    def standard_error(self) -> NDArray[np.float64]: ...
    @property
    def time_unit(self) -> str: ...


@styled
def model_tests_figure(checks: Sequence[CheckLike]) -> Figure:
    """Show each test of the model in a panel of its own: what was found, and what the model says.

    Parameters
    ----------
    checks : sequence of Check
        As `check_model` returns them; those that could not be made have no panel.
    """
    checks = [check for check in checks if _made(check)]
    if not checks:
        return sentence_figure("There is no test of the model to show.")
    rows = -(-len(checks) // _COLUMNS)
    figure = new_figure(WIDE * 1.25, 2.75 * rows)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for ax, check in zip(axes, checks, strict=False):
        _draw_check(ax, check)
    for ax in axes[len(checks) :]:
        ax.set_axis_off()
    return figure


def _made(check: CheckLike) -> bool:
    return check.curve is not None and bool(np.isfinite(check.curve.y).any())


def _draw_check(ax: Axes, check: CheckLike) -> None:
    finish_ticks(ax)
    failed = check.passed is False
    curve = check.curve
    if curve is None:
        return
    color = VERMILLION if failed else BLUE
    verdict = {True: "passed", False: "FAILED", None: "cannot be told"}[check.passed]
    told = f"{verdict}, p = {check.p_value:.2g}" if np.isfinite(check.p_value) else verdict
    ax.set_title(literal(f"{check.name}\n{told}"), color=VERMILLION if failed else INK)
    if np.isfinite(curve.expected).any():
        ax.plot(curve.x, curve.expected, color=INK, linewidth=1.0)
    bar = _NORMAL_95 * np.nan_to_num(curve.error)
    crowded = len(curve.x) > 24
    ax.errorbar(
        curve.x, curve.y, bar if bar.any() else None, fmt="o", color=color,
        markersize=3 if crowded else 5, capsize=0 if crowded else 2.5, linewidth=0.8,
        elinewidth=0.8,
    )  # fmt: skip
    ax.set_xlabel(literal(curve.x_label), fontsize=9.5)
    ax.set_ylabel(literal(curve.y_label), fontsize=9.5)
    if len(curve.x) <= _NAMED_POINTS and (curve.x % 1 == 0).all():
        ax.set_xticks(curve.x)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=bool((curve.x % 1 == 0).all())))
    ax.yaxis.set_major_locator(MaxNLocator(5))


@styled
def van_hove_figure(
    distributions: Sequence[DistributionLike], parameter: NonGaussianLike
) -> Figure:
    """Show the distribution of displacements beside a Gaussian, and the non-Gaussian parameter.

    Parameters
    ----------
    distributions : sequence of DisplacementDistribution
        One or two lags; each is drawn over its own standard deviation.
    parameter : NonGaussianParameter
        Against the lag.
    """
    figure = new_figure(WIDE, PANEL_HEIGHT + 0.6)
    left, right = panels(figure, 2)
    _draw_distributions(left, distributions)
    _draw_parameter(right, parameter)
    for ax in (left, right):
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _draw_distributions(ax: Axes, distributions: Sequence[DistributionLike]) -> None:
    known = [found for found in distributions if found.standard_deviation > 0]
    if not known:
        say_in(ax, "There are no displacements to show.")
        return
    edges = np.linspace(-_REACH, _REACH, _BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    ax.plot(middle, _gaussian(middle), color=INK, linewidth=1.2, label="Gaussian")
    lowest = 1.0
    for found, color, marker in zip(known, (BLUE, ORANGE), ("o", "s"), strict=False):
        scaled = found.displacement / found.standard_deviation
        counts, _ = np.histogram(scaled, edges)
        seen = counts > 0
        density = counts[seen] / (scaled.size * (edges[1] - edges[0]))
        lowest = min(lowest, float(density.min()))
        unit = "frames" if found.time_unit == "frame" else found.time_unit
        spoken = f"{found.lag_time:.3g} {unit}: sd {found.standard_deviation:.3g}"
        ax.plot(
            middle[seen], density, marker, color=color, markersize=4,
            label=f"{spoken} {display_unit(found.length_unit)}",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(lowest / 2, 1)
    ax.set_xlim(-_REACH, _REACH)
    ax.set_xlabel("displacement along x or y over its sd")
    ax.set_ylabel("density")


def _gaussian(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


def _draw_parameter(ax: Axes, parameter: NonGaussianLike) -> None:
    known = np.isfinite(parameter.value)
    if not known.any():
        say_in(ax, "There are no displacements to show.")
        return
    ax.axhline(0, color=INK, linewidth=1.2)
    value = parameter.value[known]
    bar = _NORMAL_95 * np.nan_to_num(parameter.standard_error[known])
    ax.errorbar(
        parameter.lag_time[known], value, bar,
        fmt="o", color=BLUE, markersize=5, capsize=2.5, linewidth=1.0, label="bars: 95%",
    )  # fmt: skip
    if known.sum() > 1:
        ax.set_xscale("log")
        lag = parameter.lag_time[known]
        ends = float(lag.min()) / 1.25, float(lag.max()) * 1.25
        ax.set_xlim(*ends)
        log_axis(ax.xaxis, *ends)
    # A last lag with few pairs must not flatten the others.
    high = min(float((value + bar).max()), 2 * float(value.max()) + 0.1)
    low = max(float((value - bar).min()), 2 * float(value.min()) - 0.1)
    ax.set_ylim(min(1.1 * low, -0.1), max(1.1 * high, 0.1))
    ax.set_xlabel(f"lag ({'frames' if parameter.time_unit == 'frame' else parameter.time_unit})")
    ax.set_ylabel("non-Gaussian parameter")
    ax.tick_params(which="minor", color=GREY)

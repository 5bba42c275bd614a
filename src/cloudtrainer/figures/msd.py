"""The mean squared displacement with the motion fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError
from cloudtrainer.figures.numbers import (
    UM_S,
    AnomalousLike,
    OffsetLike,
    Units,
    display_unit,
    with_interval,
)
from cloudtrainer.figures.style import (
    BAND_ALPHA,
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILLION,
    WIDE,
    literal,
    log_axis,
    new_figure,
    panels,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_COLUMNS = ("lag", "msd", "low", "high", "pairs")


@styled
def msd_figure(
    msd: pd.DataFrame,
    *,
    diffusion: OffsetLike | None,
    anomalous: AnomalousLike | None,
    units: Units,
) -> Figure:
    """Show the MSD on linear and on logarithmic axes with both models and their intervals.

    Parameters
    ----------
    msd : DataFrame
        Columns ``lag`` (`units.time`), ``msd``, ``low``, ``high`` (`units.length` squared; the
        95% interval, NaN where there is none), ``pairs``.
    diffusion : object or None
        ``value, low, high`` (D), ``offset``, ``unit``: the line ``4 D t + offset``. Its band is
        the interval of D at the same offset.
    anomalous : object or None
        ``alpha`` and ``K``, each with ``value, low, high, unit``, and ``K.offset``: the line
        ``4 K t^alpha + offset``. Its band turns alpha through its interval about the middle lag,
        because K, the MSD at one unit of time, depends on alpha.
    units : Units
        `UM_S` or `PX_FRAME`.

    Raises
    ------
    LabelError
        The table lacks a column.
    """
    missing = [name for name in _COLUMNS if name not in msd.columns]
    if missing:
        raise LabelError(f"the MSD has no column {', '.join(missing)}")
    shown = msd[np.isfinite(msd["msd"]) & (msd["lag"] > 0)].sort_values("lag")
    if shown.empty:
        return sentence_figure("The tracks are too short for a mean squared displacement.")

    figure = new_figure(WIDE, 5.0)
    axes = panels(figure, 2)
    lag = shown["lag"].to_numpy(float)
    value = shown["msd"].to_numpy(float)
    low, high = shown["low"].to_numpy(float), shown["high"].to_numpy(float)
    grid = np.geomspace(lag[0], lag[-1], 200) if len(lag) > 1 else lag
    for ax, positive in zip(axes, (False, True), strict=True):
        keep = value > 0 if positive else np.full(len(value), True)
        floor = value[value > 0].min() * 0.05 if positive and (value > 0).any() else -np.inf
        ax.fill_between(
            lag[keep], np.maximum(low[keep], floor), high[keep],
            color=BLUE, alpha=BAND_ALPHA, linewidth=0,
        )  # fmt: skip
        ax.plot(
            lag[keep], value[keep], "o", color=BLUE, markersize=4,
            label=_measured(shown),
        )  # fmt: skip
        if diffusion is not None and np.isfinite(diffusion.value):
            D = with_interval(diffusion.value, diffusion.low, diffusion.high, diffusion.unit)
            middle, bounds = _brownian(diffusion)
            _line(ax, grid, middle, bounds, VERMILLION, "-", f"Brownian, D = {D}", floor)
        if anomalous is not None and np.isfinite(anomalous.alpha.value):
            middle, bounds = _power_law(anomalous, float(np.sqrt(lag[0] * lag[-1])))
            _line(ax, grid, middle, bounds, GREEN, "--", _power_label(anomalous), floor)
        _name_axes(ax, units)
    _make_linear(axes[0], value)
    if (value > 0).any():
        _make_logarithmic(axes[1], lag[value > 0], value[value > 0])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center")
    return figure


@styled
def visualize_msd_analysis(emsd: pd.Series[float], fit_results: Mapping[str, Any]) -> Figure:
    """Show an ensemble MSD with the two fits of `fit_diffusion_models`.

    The function of version 3.0, with its arguments; it returns the figure.

    Parameters
    ----------
    emsd : Series
        Ensemble MSD (um^2) indexed by lag time (s), from `calculate_msd`.
    fit_results : mapping
        From `fit_diffusion_models`: ``D`` (um^2/s), ``offset`` (um^2), ``alpha``,
        ``motion_type``, ``t_fit`` (s) and ``msd_fit`` (um^2), the points that were fitted,
        ``linear_params`` (slope, intercept) and ``power_params`` (prefactor, exponent), and since
        version 4 ``power_offset`` (um^2), without which the power law has none.

    Raises
    ------
    LabelError
        `fit_results` lacks a key.
    """
    needed = ("D", "alpha", "motion_type", "t_fit", "linear_params", "power_params")
    missing = [name for name in needed if name not in fit_results]
    if missing:
        raise LabelError(
            f"the fit has no {', '.join(missing)}: give what fit_diffusion_models returns"
        )
    series = emsd[np.isfinite(emsd.to_numpy(float)) & (emsd.index.to_numpy(float) > 0)]
    if series.empty:
        return sentence_figure("The tracks are too short for a mean squared displacement.")
    lag = series.index.to_numpy(np.float64)
    value = np.asarray(series, dtype=np.float64)
    fitted = np.asarray(fit_results["t_fit"], dtype=float)
    last = fitted.max() if fitted.size else lag[-1]
    grid = np.geomspace(lag[0], max(last, lag[0] * 1.001), 200)
    slope, intercept = fit_results["linear_params"]
    prefactor, exponent = fit_results["power_params"]
    power = prefactor * grid**exponent + fit_results.get("power_offset", 0.0)
    power = np.where(power > 0, power, np.nan)

    figure = new_figure(WIDE, 4.8)
    axes = panels(figure, 2)
    for ax in axes:
        ax.plot(lag, value, "o", color=BLUE, markersize=4, label="measured")
        D, alpha = float(fit_results["D"]), float(fit_results["alpha"])
        unit = display_unit("um^2/s")
        line = slope * grid + intercept
        ax.plot(
            grid, np.where(line > 0, line, np.nan), color=VERMILLION,
            label=f"linear fit, D = {D:.3g} {unit}",
        )  # fmt: skip
        ax.plot(
            grid, power, "--", color=GREEN,
            label=f"power law, \N{GREEK SMALL LETTER ALPHA} = {alpha:.2f}",
        )  # fmt: skip
        _name_axes(ax, UM_S)
    _make_linear(axes[0], value)
    if (value > 0).any():
        _make_logarithmic(axes[1], lag[value > 0], value[value > 0])
    figure.suptitle(literal(str(fit_results["motion_type"])), fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _measured(shown: pd.DataFrame) -> str:
    """Return what the legend says of the points: their band, if any, and their pairs."""
    band = " with 95% band" if shown[["low", "high"]].notna().to_numpy().any() else ""
    first, last = int(shown["pairs"].iloc[0]), int(shown["pairs"].iloc[-1])
    return f"measured{band}, {first} pairs of positions at the first lag, {last} at the last"


def _power_label(anomalous: AnomalousLike) -> str:
    alpha, K = anomalous.alpha, anomalous.K
    exponent = with_interval(alpha.value, alpha.low, alpha.high, "1")
    prefactor = with_interval(K.value, K.low, K.high, K.unit)
    return f"anomalous, \N{GREEK SMALL LETTER ALPHA} = {exponent}, K = {prefactor}"


def _brownian(diffusion: OffsetLike) -> tuple[Curve, list[Curve]]:
    def line(D: float) -> Curve:
        return lambda t: 4 * D * t + diffusion.offset

    return line(diffusion.value), [line(diffusion.low), line(diffusion.high)]


def _power_law(anomalous: AnomalousLike, pivot: float) -> tuple[Curve, list[Curve]]:
    K, alpha = anomalous.K, anomalous.alpha
    at_pivot = 4 * K.value * pivot**alpha.value

    def line(exponent: float) -> Curve:
        return lambda t: at_pivot * (t / pivot) ** exponent + K.offset

    return line(alpha.value), [line(alpha.low), line(alpha.high)]


def _line(
    ax: Axes,
    grid: NDArray[np.float64],
    middle: Curve,
    bounds: list[Curve],
    color: str,
    style: str,
    label: str,
    floor: float,
) -> None:
    """Draw a model's line and band; values at or below `floor` have no place on the axis."""
    first, second = (bound(grid) for bound in bounds)
    low, high = np.minimum(first, second), np.maximum(first, second)
    drawn = high > floor
    ax.fill_between(
        grid[drawn], np.maximum(low, floor)[drawn], high[drawn],
        color=color, alpha=BAND_ALPHA, linewidth=0,
    )  # fmt: skip
    line = middle(grid)
    ax.plot(grid, np.where(line > floor, line, np.nan), style, color=color, label=label)


def _name_axes(ax: Axes, units: Units) -> None:
    ax.set_xlabel(f"lag time ({units.time_axis})")
    ax.set_ylabel(f"MSD ({display_unit(units.length + '^2')})")


def _make_linear(ax: Axes, value: NDArray[np.float64]) -> None:
    """Let the axes begin at zero, but for an MSD that noise or blur makes negative."""
    ax.set_xlim(left=0)
    if value.min() >= 0:
        ax.set_ylim(bottom=0)


def _make_logarithmic(ax: Axes, lag: NDArray[np.float64], value: NDArray[np.float64]) -> None:
    """Give both axes the data's range and draw a guide of slope 1 above the data."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    x_low, x_high = lag.min() / 1.25, lag.max() * 1.25
    # The guide spans the middle of the axis and keeps clear of the points below it.
    ends = np.exp(np.log(lag.min()) + np.log(lag.max() / lag.min()) * np.array([0.3, 0.65]))
    beneath = (lag >= ends[0] / 1.3) & (lag <= ends[1] * 1.3)
    height = 1.9 * float(np.max((value / lag)[beneath if beneath.any() else slice(None)]))
    if len(lag) > 1:
        ax.plot(ends, height * ends, ":", color=GREY, linewidth=1.4)
        ax.annotate(
            "slope 1", (ends[1], height * ends[1]), xytext=(-4, 2), textcoords="offset points",
            ha="right", va="bottom", color=INK, fontsize=9.5,
        )  # fmt: skip
    y_low, y_high = value.min() / 1.6, max(value.max(), height * ends[1] * 1.4) * 1.4
    ax.set_xlim(x_low, x_high)
    ax.set_ylim(y_low, y_high)
    log_axis(ax.xaxis, x_low, x_high)
    log_axis(ax.yaxis, y_low, y_high)

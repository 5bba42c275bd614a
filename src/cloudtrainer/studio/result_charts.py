"""The figures of a result to zoom into: MSD with its models, and what single particles gave."""

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import Band, ColumnDataSource, HoverTool, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from cloudtrainer.studio.look import BLUE, GREEN, GREY, INK, ORANGE, VERMILLION, sentence
from cloudtrainer.studio.result_files import (
    FEWEST_FRAMES_FOR_HISTOGRAM,
    ResultFiles,
    TrackCurves,
)

_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
_WIDTH, _HEIGHT = 760, 440
_MODEL_POINTS = 200
_MOST_BINS, _FEWEST_BINS = 60, 8
# What lies beyond is counted in the last bar, so that a few wild tracks do not hide the others.
_SHOWN_PERCENT = 99.0


def msd_chart(files: ResultFiles, curves: TrackCurves) -> Any:
    """Return the MSD on logarithmic axes: tracks thin, the ensemble with its band, the models."""
    ensemble = files.msd()
    ensemble = ensemble[(ensemble["msd"] > 0) & (ensemble["lag"] > 0)]
    if ensemble.empty:
        return pn.pane.HTML(sentence("The tracks are too short for a mean squared displacement."))
    length = {"um": "µm", "px": "px"}[files.length_unit]
    floor = float(ensemble["msd"].min()) / 20
    chart = figure(
        width=_WIDTH, height=_HEIGHT, x_axis_type="log", y_axis_type="log", tools=_TOOLS,
        active_scroll="wheel_zoom", x_axis_label=f"lag time ({files.time_unit})",
        y_axis_label=f"MSD ({length}²)",
        y_range=(floor * 4, float(ensemble["high"].fillna(ensemble["msd"]).max()) * 6),
    )  # fmt: skip
    chart.toolbar.logo = None
    _draw_tracks(chart, files, curves, floor)
    known = ensemble[np.isfinite(ensemble["low"])]
    band = ColumnDataSource(known.assign(low=np.maximum(known["low"], floor)).to_dict("list"))
    chart.add_layout(
        Band(base="lag", lower="low", upper="high", source=band, fill_color=BLUE, fill_alpha=0.3)
    )
    source = ColumnDataSource(ensemble.to_dict("list"))
    points = chart.scatter(
        "lag", "msd", source=source, size=6, color=BLUE, legend_label="all tracks, 95% band"
    )
    chart.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=[
                ("all tracks, lag", f"@lag{{0.000a}} {files.time_unit}"),
                ("MSD", f"@msd{{0.0000}} {length}²"),
                ("95%", "@low{0.0000} to @high{0.0000}"),
                ("pairs of positions", "@pairs"),
            ],
        )
    )
    _draw_models(chart, files, ensemble["lag"].to_numpy(float), floor)
    chart.legend.update(
        location="top_left",
        click_policy="hide",
        label_text_font_size="12px",
        background_fill_alpha=0.8,
    )  # fmt: skip
    return pn.Column(pn.pane.Bokeh(chart), pn.pane.HTML(sentence(_shown_tracks(curves), "help")))


def histogram_chart(files: ResultFiles, quantity: str, particles: pd.DataFrame) -> Any:
    """Return how D or alpha of single particles is distributed, with the ensemble's interval."""
    long = particles[particles["frames"] >= FEWEST_FRAMES_FOR_HISTOGRAM] if len(particles) else (
        particles
    )  # fmt: skip
    values = long[quantity].to_numpy(float) if quantity in long else np.empty(0)
    values = values[np.isfinite(values)]
    if values.size < 2:
        return pn.pane.HTML(
            sentence(
                f"Fewer than two tracks of {FEWEST_FRAMES_FOR_HISTOGRAM} frames or more: a shorter "
                "one says next to nothing by itself."
            )
        )
    unit = files.diffusion_unit if quantity == "D" else ""
    bars = histogram(values)
    label = f"{quantity} ({unit})" if unit else quantity
    chart = figure(
        width=_WIDTH, height=_HEIGHT, tools=_TOOLS, x_axis_label=label, y_axis_label="particles",
        active_scroll="wheel_zoom",
    )  # fmt: skip
    chart.toolbar.logo = None
    chart.y_range.start = 0
    drawn = chart.quad(
        left="left", right="right", top="count", bottom=0, source=ColumnDataSource(bars),
        fill_color=ORANGE, line_color="white", fill_alpha=0.8,
    )  # fmt: skip
    told = [(quantity, f"@left{{0.000}} to @right{{0.000}} {unit}"), ("particles", "@count")]
    chart.add_tools(HoverTool(renderers=[drawn], tooltips=told))
    estimate = files.estimate("D_" if quantity == "D" else quantity)
    said = ""
    if estimate:
        top = float(bars["count"].max())
        if estimate.get("low") is not None and estimate.get("high") is not None:
            chart.quad(
                left=estimate["low"], right=estimate["high"], top=1.05 * top, bottom=0,
                fill_color=BLUE, fill_alpha=0.25, line_color=None,
            )  # fmt: skip
            said = " with its 95% interval"
        chart.add_layout(
            Span(location=estimate["value"], dimension="height", line_color=BLUE, line_width=2)
        )
        said = f" The blue line is that of all tracks together{said}."
    return pn.Column(
        pn.pane.Bokeh(chart),
        pn.pane.HTML(
            sentence(
                f"{values.size} tracks of {FEWEST_FRAMES_FOR_HISTOGRAM} frames or more, each by "
                f"itself: their scatter is mostly their own uncertainty.{said}", "help",
            ),
            sizing_mode="stretch_width",
        ),
    )  # fmt: skip


def histogram(values: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return ``left, right, count`` of bars; wild values are counted in the last ones."""
    outside = (100 - _SHOWN_PERCENT) / 2
    low, high = np.percentile(values, [outside, 100 - outside])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(2 * values.size ** (1 / 3), _FEWEST_BINS, _MOST_BINS))
    count, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    return {"left": edges[:-1], "right": edges[1:], "count": count}


def _draw_tracks(chart: Any, files: ResultFiles, curves: TrackCurves, floor: float) -> None:
    particles = files.particles()
    D = dict(zip(particles.get("particle", ()), particles.get("D", ()), strict=True))
    xs, ys, told = [], [], []
    for particle, msd in zip(curves.particle.tolist(), curves.msd, strict=True):
        drawn = np.isfinite(msd) & (msd > floor / 100)
        if drawn.any():
            xs.append(curves.lag_time[drawn])
            ys.append(msd[drawn])
            told.append((particle, number(D.get(particle), files.diffusion_unit)))
    source = ColumnDataSource(
        {"xs": xs, "ys": ys, "particle": [one for one, _ in told], "D": [one for _, one in told]}
    )
    lines = chart.multi_line(
        "xs", "ys", source=source, line_color=GREY, line_alpha=0.25, line_width=1,
        hover_line_color=INK, hover_line_alpha=1.0, legend_label="single tracks",
    )  # fmt: skip
    chart.add_tools(
        HoverTool(
            renderers=[lines],
            tooltips=[("track", "@particle"), ("D of the track", "@D")],
            line_policy="interp",
        )
    )


def _draw_models(chart: Any, files: ResultFiles, lag: NDArray[np.float64], floor: float) -> None:
    grid = np.geomspace(lag[0], lag[-1], _MODEL_POINTS)
    D, offset = files.estimate("D_"), files.number("msd_offset_")
    if D and offset is not None:
        label = f"Brownian: 4 D t + offset, D = {number(D['value'], files.diffusion_unit)}"
        curve = 4 * D["value"] * grid + offset
        _model_line(chart, grid, curve, floor, VERMILLION, "solid", label)
    alpha, K = files.estimate("alpha"), files.estimate("K_")
    its_offset = files.number("anomalous_msd_offset_")
    if alpha and K and its_offset is not None:
        label = f"anomalous: 4 K t^alpha + offset, alpha = {alpha['value']:.3g}"
        curve = 4 * K["value"] * grid ** alpha["value"] + its_offset
        _model_line(chart, grid, curve, floor, GREEN, "dashed", label)


def _model_line(
    chart: Any, grid: NDArray[np.float64], value: NDArray[np.float64], floor: float, colour: str,
    dash: str, label: str,
) -> None:  # fmt: skip
    drawn = value > floor
    chart.line(
        grid[drawn], value[drawn], color=colour, line_dash=dash, line_width=2, legend_label=label
    )


def _shown_tracks(curves: TrackCurves) -> str:
    shown = len(curves.particle)
    if shown < curves.of:
        tracks = f"{shown} of the {curves.of} tracks are drawn, chosen evenly among all"
    else:
        tracks = f"All {shown} tracks are drawn"
    return (
        f"{tracks}; all of them are in the points, the band and the estimates. D and alpha come "
        "from the displacements themselves, not from a fit to these points. A click on a name in "
        "the legend hides it."
    )


def number(value: float | None, unit: str) -> str:
    """Return a number with its unit, or that it was not estimated."""
    if value is None or not np.isfinite(value):
        return "not estimated"
    return f"{value:.3g} {unit}".strip()

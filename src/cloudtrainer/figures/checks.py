"""Figures that show whether the numbers may be believed: linking, correlations, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from cloudtrainer.errors import LabelError
from cloudtrainer.figures.numbers import display_unit
from cloudtrainer.figures.style import (
    BLUE,
    GREY,
    INK,
    PALE,
    PANEL_HEIGHT,
    SKY,
    VERMILLION,
    WIDE,
    new_figure,
    panels,
    say_in,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLATEAU = 0.03
_NORMAL_95 = 1.959963984540054
_RUNNING = 25


@styled
def linking_figure(
    scan: pd.DataFrame,
    displacements_px: ArrayLike,
    search_range_px: float,
    *,
    step_sd_px: float | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> Figure:
    """Show D against the search range, and the displacements up to the one in use.

    Parameters
    ----------
    scan : DataFrame
        Columns ``search_range_px, D_px2_per_frame, tracks, displacements``, one row a range.
    displacements_px : array-like of float
        Lengths of the linked displacements between successive frames, pixels.
    search_range_px : float
        The search range in use.
    step_sd_px : float or None
        Standard deviation per axis of a displacement, pixels: its distribution of lengths r is
        ``r / sd^2 exp(-r^2 / (2 sd^2))`` (Rayleigh).
    pixel_size_um, frame_interval_s : float or None
        Where both are known, D is in um^2/s.

    Raises
    ------
    LabelError
        The scan lacks a column.
    """
    missing = {"search_range_px", "D_px2_per_frame"} - set(scan.columns)
    if missing:
        raise LabelError(f"the scan has no column {', '.join(sorted(missing))}")
    figure = new_figure(WIDE, PANEL_HEIGHT + 0.6)
    left, right = panels(figure, 2)
    scale, unit = 1.0, "px^2/frame"
    if pixel_size_um is not None and frame_interval_s is not None:
        scale, unit = pixel_size_um**2 / frame_interval_s, "um^2/s"
    D = scan["D_px2_per_frame"].to_numpy(float) * scale
    _draw_scan(left, scan["search_range_px"].to_numpy(float), D, unit, search_range_px)
    _draw_displacements(right, displacements_px, search_range_px, step_sd_px)
    for ax in (left, right):
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _draw_scan(
    ax: Axes,
    ranges: NDArray[np.float64],
    D: NDArray[np.float64],
    unit: str,
    search_range_px: float,
) -> None:
    order = np.argsort(ranges, kind="stable")
    order = order[np.isfinite(D[order])]
    if not len(order):
        say_in(ax, "There are too few displacements\nto compare search ranges.")
        return
    ranges, D = ranges[order], D[order]
    here = float(np.interp(search_range_px, ranges, D))
    ax.axhspan(
        here * (1 - _PLATEAU), here * (1 + _PLATEAU), color=PALE, linewidth=0, alpha=0.8,
        label="within 3% of D at this range",
    )  # fmt: skip
    ax.axvline(search_range_px, color=VERMILLION, linewidth=1.2, label="search range in use")
    ax.plot(ranges, D, "o-", color=BLUE, markersize=5, linewidth=1.2)
    ax.set_ylim(0, 1.15 * max(D.max(), here * (1 + _PLATEAU), 1e-12))
    ax.set_xlabel("search range (px)")
    ax.set_ylabel(f"D from one frame to the next ({display_unit(unit)})")


def _draw_displacements(
    ax: Axes, displacements_px: ArrayLike, search_range_px: float, step_sd_px: float | None
) -> None:
    lengths = np.asarray(displacements_px, dtype=np.float64).ravel()
    lengths = lengths[np.isfinite(lengths)]
    if lengths.size == 0:
        say_in(ax, "No particle was linked\nfrom one frame to the next.")
        return
    longest = float(max(search_range_px, lengths.max()))
    bins = list(np.linspace(0, longest, int(np.clip(np.sqrt(lengths.size), 12, 50)) + 1))
    ax.hist(lengths, bins, density=True, color=SKY, alpha=0.6, edgecolor="white", linewidth=0.4)
    if step_sd_px is not None and np.isfinite(step_sd_px) and step_sd_px > 0:
        r = np.linspace(0, longest, 300)
        density = r / step_sd_px**2 * np.exp(-(r**2) / (2 * step_sd_px**2))
        ax.plot(r, density, color=INK, label=f"Gaussian steps, sd {step_sd_px:.2g} px an axis")
    ax.axvline(search_range_px, color=VERMILLION, linewidth=1.2)
    ax.set_xlim(0, longest * 1.03)
    ax.set_xlabel("displacement in one frame (px)")
    ax.set_ylabel("density (1/px)")


@styled
def correlation_figure(lags: ArrayLike, r: ArrayLike, r_error: ArrayLike) -> Figure:
    """Show how displacements correlate with later ones of the same particle.

    Parameters
    ----------
    lags : array-like of int
        Frames between the displacements, from 1.
    r, r_error : array-like of float
        Correlation and its standard error. Beyond lag 1 it vanishes under Brownian motion,
        whatever the localisation error and the exposure (Vestergaard et al. 2014, Phys. Rev. E
        89, 022726).
    """
    lag = np.asarray(lags, dtype=np.float64)
    value = np.asarray(r, dtype=np.float64)
    error = np.asarray(r_error, dtype=np.float64)
    known = np.isfinite(value)
    if not known.any():
        return sentence_figure("The tracks are too short to correlate their displacements.")
    lag, value = lag[known], value[known]
    bar = _NORMAL_95 * np.nan_to_num(error[known])
    figure = new_figure(6.4, PANEL_HEIGHT + 0.6)
    (ax,) = panels(figure, 1)
    ax.axhline(0, color=INK, linewidth=0.8)
    first = lag < 1.5
    for mine, color, face, label in (
        (first, GREY, "white", "lag 1: localisation error and motion blur"),
        (~first, BLUE, BLUE, "beyond lag 1: must vanish for Brownian motion"),
    ):
        if mine.any():
            ax.errorbar(
                lag[mine], value[mine], bar[mine], fmt="o", color=color, markerfacecolor=face,
                markersize=7, capsize=3, linewidth=1.4, label=label,
            )  # fmt: skip
    reach = max(float(np.max(np.abs(value) + bar)) * 1.15, 0.02)
    ax.set_ylim(-reach, reach)
    ax.set_xlim(lag.min() - 0.5, lag.max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("frames between displacements")
    ax.set_ylabel("correlation (bars: 95%)")
    figure.legend(loc="outside lower center")
    return figure


@styled
def counts_figure(detections_per_frame: pd.Series[int] | ArrayLike) -> Figure:
    """Show how much is found in each frame: bleaching, focus drift and lost frames.

    Parameters
    ----------
    detections_per_frame : Series or array-like of int
        Detections in each frame; the index of a Series holds the frames.
    """
    counts = np.asarray(detections_per_frame, dtype=np.float64).ravel()
    if counts.size == 0:
        return sentence_figure("There is no frame to count detections in.")
    frames = np.arange(counts.size, dtype=np.float64)
    if isinstance(detections_per_frame, pd.Series):
        frames = np.asarray(detections_per_frame.index, dtype=np.float64)
    figure = new_figure(WIDE, 2.9)
    (ax,) = panels(figure, 1)
    long = counts.size >= 2 * _RUNNING
    ax.plot(
        frames, counts, color=SKY if long else BLUE, linewidth=0.9 if long else 1.4,
        marker="o" if counts.size <= 30 else "", markersize=4, label="each frame",
    )  # fmt: skip
    if long:
        window = _RUNNING + counts.size // 40 // 2 * 2
        inside = np.convolve(counts, np.ones(window) / window, mode="valid")
        ax.plot(
            frames[window // 2 : window // 2 + inside.size], inside, color=BLUE,
            label=f"mean of {window} frames",
        )  # fmt: skip
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2)
    ax.set_ylim(0, max(float(np.nanmax(counts)) * 1.1, 1))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("frame")
    ax.set_ylabel("detections per frame")
    return figure

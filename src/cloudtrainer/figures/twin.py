"""A video beside its simulated twin: frames, intensities, power spectra, profiles of particles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from cloudtrainer.figures.style import (
    CYCLE,
    GREY,
    INK,
    SKY,
    VERMILLION,
    finish_ticks,
    literal,
    log_axis,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating]

_WIDTH, _HEIGHT = 9.6, 6.6
_PERCENTILES = (0.3, 99.7)
_MOST_PROFILES = 4


@dataclass(frozen=True)
class ProfilePair:
    """The light around particles of one shape.

    Attributes
    ----------
    label : str
        What the shape is.
    distance_px : ndarray
        Distance from the middle.
    video, twin : ndarray
        Counts above the ground in the video and in its twin.
    """

    label: str
    distance_px: Floats
    video: Floats
    twin: Floats


@dataclass(frozen=True)
class TwinComparison:
    """What is shown of a video and its twin, in the counts of the video.

    Attributes
    ----------
    name : str
        The video.
    frame_number : int
        Which of its frames is shown.
    video, twin : ndarray
        A part of a frame of each, (height, width).
    x, y, in_focus : ndarray
        Where the twin's particles are, px, and which are in focus, (particles,).
    levels : ndarray
        Edges of the bins of intensity, counts.
    video_share, twin_share : ndarray
        Share of the pixels in each bin.
    frequency : ndarray
        Spatial frequency, 1/px.
    video_power, twin_power : ndarray
        Radially averaged power, counts².
    profiles : tuple of ProfilePair
        The most frequent shapes.
    shapes : int
        How many shapes there are.
    """

    name: str
    frame_number: int
    video: Floats
    twin: Floats
    x: Floats
    y: Floats
    in_focus: NDArray[np.bool_]
    levels: Floats
    video_share: Floats
    twin_share: Floats
    frequency: Floats
    video_power: Floats
    twin_power: Floats
    profiles: tuple[ProfilePair, ...]
    shapes: int


@styled
def twin_figure(shown: TwinComparison) -> Figure:
    """Show a video and its twin: at the same contrast, and by the same measures.

    Above: a frame of the video, one of the twin, and the twin again with the positions that are
    known in it. Below: intensities, power spectra, and the light around particles.

    Parameters
    ----------
    shown : TwinComparison
        What is shown.
    """
    figure = new_figure(_WIDTH, _HEIGHT)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.12, 1))
    above, below = parts
    frames = above.subplots(1, 3)
    both = np.concatenate([shown.video.ravel(), shown.twin.ravel()])
    low, high = np.percentile(both, _PERCENTILES)
    high = high if high > low else low + 1
    titles = (
        f"{shown.name}, frame {shown.frame_number}",
        "its twin, simulated",
        "the twin's positions, known exactly",
    )
    for ax, image, title in zip(frames, (shown.video, shown.twin, shown.twin), titles, strict=True):
        ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        ax.set_title(literal(title), fontsize=10)
    _mark(frames[2], shown)
    plots = below.subplots(1, 3)
    for ax in plots:
        finish_ticks(ax)
    _intensities(plots[0], shown)
    _spectra(plots[1], shown)
    _profiles(plots[2], shown.profiles[:_MOST_PROFILES], shown.shapes)
    return figure


def _mark(ax: Axes, shown: TwinComparison) -> None:
    height, width = shown.twin.shape
    size = float(np.clip(2400 / max(width, height), 6, 60))
    several = shown.in_focus.any() and not shown.in_focus.all()
    groups = [(shown.in_focus, VERMILLION, "in focus")]
    if several:
        groups.append((~shown.in_focus, SKY, "out of focus"))
    for chosen, color, label in groups:
        ax.scatter(
            shown.x[chosen], shown.y[chosen], s=size, facecolors="none", edgecolors=color,
            linewidths=0.8, label=label if several else None,
        )  # fmt: skip
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    if several:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=9, handletextpad=0.2,
            borderaxespad=0.2,
        )  # fmt: skip


def _intensities(ax: Axes, shown: TwinComparison) -> None:
    ax.stairs(shown.video_share, shown.levels, color=INK, linewidth=1.6, label="video")
    ax.stairs(shown.twin_share, shown.levels, color=VERMILLION, linewidth=1.4, label="twin")
    ax.set_yscale("log")
    least = shown.video_share[shown.video_share > 0].min(initial=1.0)
    ax.set_ylim(max(least / 2, 1e-7), 2 * max(shown.video_share.max(), shown.twin_share.max()))
    ax.set_xlabel("intensity (counts)")
    ax.set_ylabel("share of the pixels")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(loc="best")


def _spectra(ax: Axes, shown: TwinComparison) -> None:
    ax.plot(shown.frequency, shown.video_power, color=INK, label="video")
    ax.plot(shown.frequency, shown.twin_power, color=VERMILLION, linewidth=1.4, label="twin")
    ax.set_xscale("log")
    ax.set_yscale("log")
    log_axis(ax.xaxis, float(shown.frequency[0]), float(shown.frequency[-1]))
    ax.set_xlabel("spatial frequency (1/px)")
    ax.set_ylabel("power (counts²)")
    ax.yaxis.set_minor_formatter(NullFormatter())


def _profiles(ax: Axes, profiles: tuple[ProfilePair, ...], shapes: int) -> None:
    end = 1.0
    for pair, color in zip(profiles, CYCLE, strict=False):
        largest = float(np.abs(pair.video).max()) or 1.0
        ax.plot(pair.distance_px, pair.video, color=color, label=pair.label)
        ax.plot(
            pair.distance_px, pair.twin, color=color, linestyle="none", marker="o", markersize=3.2,
            markerfacecolor="white", markeredgewidth=0.9,
        )  # fmt: skip
        over = np.flatnonzero(np.abs(pair.video) > 0.02 * largest)
        end = max(end, float(pair.distance_px[over[-1]]) if len(over) else 1.0)
    ax.plot(
        [], [], color=GREY, linestyle="none", marker="o", markersize=3.2, markerfacecolor="white",
        label="in the twin",
    )  # fmt: skip
    ax.set_xlim(0, end * 1.05)
    ax.set_xlabel("distance from the middle (px)")
    ax.set_ylabel("light (counts)")
    title = f"{len(profiles)} of {shapes} shapes" if shapes > len(profiles) else None
    ax.legend(loc="best", fontsize=8.5, title=title, title_fontsize=8.5)

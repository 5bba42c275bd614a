"""Frames with what was found in them: detections and trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError, VideoError
from cloudtrainer.figures.numbers import MICRO
from cloudtrainer.figures.style import (
    CYCLE,
    GREY,
    INK,
    VERMILLION,
    finish_ticks,
    literal,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 7.2, 5.4
_MARGIN = 0.75
_NICE = (1.0, 2.0, 5.0)


class FrameSource(Protocol):
    """What gives frames (t, Y, X) of a range: a `Video`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames from start up to, not including, stop."""


@styled
def detections_figure(
    frame: NDArray[Any],
    detections: pd.DataFrame,
    *,
    pixel_size_um: float | None = None,
    title: str = "",
) -> Figure:
    """Show a frame with an open circle around each detection.

    Parameters
    ----------
    frame : ndarray, shape (Y, X)
        Shown in grey from its 0.5th to its 99.5th percentile.
    detections : DataFrame
        Columns ``x, y`` (pixels, the centre of the first pixel at 0, 0): the rows of this frame.
    pixel_size_um : float or None
        Side of a pixel in the sample, um, for the scale bar; None: axes in pixels.
    title : str
        Plain text above the frame.

    Raises
    ------
    VideoError
        The frame is not two-dimensional.
    LabelError
        The table lacks ``x`` or ``y``.
    """
    figure, ax = _frame_axes(frame, pixel_size_um)
    _need(detections, ("x", "y"))
    _circle(ax, detections["x"].to_numpy(float), detections["y"].to_numpy(float))
    _titles(
        ax, title,
        _count(len(detections), "detection") or "No particle was detected in this frame.",
    )  # fmt: skip
    return figure


@styled
def trajectories_figure(
    frame: NDArray[Any], tracks: pd.DataFrame, *, pixel_size_um: float | None = None
) -> Figure:
    """Show trajectories over a frame, each particle in the next of six colours.

    Parameters
    ----------
    frame : ndarray, shape (Y, X)
        Shown pale, in grey.
    tracks : DataFrame
        Columns ``particle, frame, x, y`` (pixels).
    pixel_size_um : float or None
        Side of a pixel in the sample, um, for the scale bar; None: axes in pixels.

    Raises
    ------
    VideoError
        The frame is not two-dimensional.
    LabelError
        The table lacks a column.
    """
    figure, ax = _frame_axes(frame, pixel_size_um, paleness=0.45)
    count = _draw_tracks(ax, tracks)
    _titles(ax, "", _count(count, "track") or "No particle was tracked.")
    return figure


@styled
def visualize_tracking_results(
    video: NDArray[Any] | FrameSource, tracks: pd.DataFrame, frame_idx: int = 0
) -> Figure:
    """Show one frame of a video, all trajectories, and a circle around each particle in it.

    The function of version 3.0, with its arguments; it returns the figure.

    Parameters
    ----------
    video : ndarray, shape (T, Y, X), or Video
    tracks : DataFrame
        Columns ``particle, frame, x, y`` (pixels).
    frame_idx : int
        The frame to show, from 0.

    Raises
    ------
    VideoError
        `video` is neither, or has no such frame.
    LabelError
        The table lacks a column.
    """
    frame = _frame_of(video, frame_idx)
    figure, ax = _frame_axes(frame, getattr(video, "pixel_size_um", None), paleness=0.45)
    count = _draw_tracks(ax, tracks)
    here = tracks[tracks["frame"] == frame_idx]
    _circle(ax, here["x"].to_numpy(float), here["y"].to_numpy(float), INK)
    found = _count(len(here), "particle") or "no particle"
    _titles(
        ax, f"frame {frame_idx}",
        f"{found} here, {_count(count, 'track')}" if count else "No particle was tracked.",
    )  # fmt: skip
    return figure


def _frame_of(video: NDArray[Any] | FrameSource, index: int) -> NDArray[Any]:
    array = isinstance(video, np.ndarray)
    if not array and not hasattr(video, "frames"):
        raise VideoError(
            f"{type(video).__name__} is no video: give cloudtrainer.Video(path) or an array "
            "of shape (T, Y, X)"
        )
    if len(video.shape) != 3:
        raise VideoError(f"shape {video.shape} is not that of a video: it must be (T, Y, X)")
    if not 0 <= index < video.shape[0]:
        raise VideoError(
            f"there is no frame {index}: the video has frames 0 to {video.shape[0] - 1}"
        )
    frames = video if isinstance(video, np.ndarray) else video.frames(index, index + 1)
    return np.asarray(frames[index if array else 0])


def _frame_axes(
    frame: NDArray[Any], pixel_size_um: float | None, paleness: float = 0.0
) -> tuple[Figure, Axes]:
    frame = np.asarray(frame)
    if frame.ndim != 2 or frame.size == 0:
        raise VideoError(f"an array of shape {frame.shape} is no frame: give one of shape (Y, X)")
    rows, columns = frame.shape
    scale = min(_WIDTH / columns, _HEIGHT / rows)
    width, height = max(scale * columns, 3.2), max(scale * rows, 1.2)
    figure = new_figure(width, height + _MARGIN)
    ax = figure.add_subplot()
    finish_ticks(ax)
    low, high = _contrast(frame)
    ax.imshow(
        frame, cmap="gray", vmin=low, vmax=high, alpha=1 - paleness, interpolation="antialiased"
    )
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.spines[:].set_visible(False)
    if pixel_size_um is None:
        ax.set_xlabel("x (px)")
        ax.set_ylabel("y (px)")
    else:
        ax.set_xticks([])
        ax.set_yticks([])
        _scale_bar(ax, columns, pixel_size_um)
    return figure, ax


def _contrast(frame: NDArray[Any]) -> tuple[float, float]:
    """Return the grey limits: percentiles 0.5 and 99.5 of the finite pixels, never equal."""
    values = frame.ravel()[:: max(1, frame.size // 1_000_000)].astype(np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _scale_bar(ax: Axes, columns: int, pixel_size_um: float) -> None:
    """Draw a bar of about a fifth of the width below the frame, where it hides no particle."""
    target = columns * pixel_size_um / 5
    decade = 10.0 ** np.floor(np.log10(target))
    length_um = max(nice * decade for nice in _NICE if nice * decade <= target * 1.0001)
    right = columns - 0.5
    left = right - length_um / pixel_size_um
    across = ax.get_xaxis_transform()
    ax.plot(
        [left, right], [-0.025, -0.025], transform=across, color=INK, linewidth=3,
        solid_capstyle="butt", clip_on=False,
    )  # fmt: skip
    ax.text(
        (left + right) / 2, -0.045, f"{length_um:g} {MICRO}m", transform=across,
        ha="center", va="top", fontsize=10,
    )  # fmt: skip


def _circle(ax: Axes, x: NDArray[Any], y: NDArray[Any], color: str = VERMILLION) -> None:
    crowding = np.sqrt(max(len(x), 1))
    diameter = float(np.clip(160 / crowding, 5.5, 11))
    width = float(np.clip(22 / crowding, 0.75, 1.3))
    ax.scatter(x, y, s=diameter**2, facecolors="none", edgecolors=color, linewidths=width)


def _draw_tracks(ax: Axes, tracks: pd.DataFrame) -> int:
    """Draw each particle's path and return how many there are."""
    from matplotlib.collections import LineCollection

    _need(tracks, ("particle", "frame", "x", "y"))
    ordered = tracks.sort_values(["particle", "frame"], kind="stable")
    position = ordered[["x", "y"]].to_numpy(float)
    starts = np.flatnonzero(ordered["particle"].ne(ordered["particle"].shift()).to_numpy())
    paths = np.split(position, starts[1:]) if len(starts) else []
    colors = [CYCLE[i % len(CYCLE)] for i in range(len(paths))]
    width = float(np.clip(25 / np.sqrt(max(len(paths), 1)), 0.7, 1.6))
    ax.add_collection(
        LineCollection(paths, colors=colors, linewidths=width, capstyle="round"), autolim=False
    )
    lone = [i for i, path in enumerate(paths) if len(path) == 1]
    if lone:
        dots = position[starts[lone]]
        ax.scatter(dots[:, 0], dots[:, 1], s=6, c=[colors[i] for i in lone], linewidths=0)
    return len(paths)


def _titles(ax: Axes, title: str, count: str) -> None:
    ax.set_title(literal(title), loc="left")
    ax.set_title(literal(count), loc="right", color=GREY, fontsize=10)


def _count(number: int, noun: str) -> str:
    """Return ``3 tracks``; nothing for none."""
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _need(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise LabelError(
            f"the table has no column {', '.join(missing)}: it needs {', '.join(columns)}"
        )

"""D over the field of view: each track in the colour of its own D, and means over its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.errors import LabelError
from cloudtrainer.figures.style import (
    INK,
    PALE,
    PANEL_HEIGHT,
    WIDE,
    literal,
    new_figure,
    panels,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

# From dark blue to yellow, even in lightness: told apart with any kind of colour vision (Nunez,
# Anderton & Renslow 2018, PLoS ONE 13, e0199239).
_COLOURS = "cividis"
_TRACKS_A_CELL = 12
_MOST_CELLS = 6
_FEWEST_A_CELL = 3


@styled
def diffusion_field_figure(
    tracks: pd.DataFrame,
    particles: pd.DataFrame,
    *,
    label: str,
    shape: tuple[int, int] | None = None,
) -> Figure:
    """Show where particles are fast and slow.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``: where the particles are in the frames, pixels.
    particles : DataFrame
        Columns ``particle, D, frames``; those without a finite D are left out. The mean D of a
        part of the field weights each track by its frames.
    label : str
        Plain text of the scale with the unit, such as ``D (µm²/s)``.
    shape : (int, int) or None
        Height and width of the frames, px; None: what holds all tracks is shown.

    Raises
    ------
    LabelError
        A table lacks a column.
    """
    for table, needed in ((tracks, ("particle", "frame", "x", "y")), (particles, ("D", "frames"))):
        missing = [name for name in needed if name not in table.columns]
        if missing:
            raise LabelError(f"the table has no column {', '.join(missing)}")
    known, shown = _known(tracks, particles)
    if shown.empty:
        return sentence_figure("There is no track with an estimate of D to show in the field.")
    from matplotlib.colors import Normalize

    shown = shown.sort_values(["particle", "frame"], kind="stable")
    D = known.set_index("particle")["D"]
    limits = np.quantile(D.to_numpy(float), [0.05, 0.95])
    span = float(limits[1] - limits[0]) or 1.0
    norm = Normalize(float(limits[0]), float(limits[0]) + span, clip=True)
    figure = new_figure(WIDE * 1.15, PANEL_HEIGHT + 1.2)
    left, right = panels(figure, 2)
    box = _box(shown) if shape is None else (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    mappable = _draw_tracks(left, shown, D, norm)
    _draw_cells(right, shown, known, norm, box)
    titles = (f"D of {len(D)} single tracks", "mean of the tracks in each part")
    for ax, title in zip((left, right), titles, strict=True):
        ax.set_title(literal(title))
        ax.set_xlim(box[0], box[1])
        ax.set_ylim(box[3], box[2])
        ax.set_aspect("equal")
        ax.set_xlabel("x (px)")
        ax.set_ylabel("y (px)")
    bar = figure.colorbar(
        mappable, ax=[left, right], orientation="horizontal", aspect=45, extend="both"
    )
    bar.set_label(literal(label))
    bar.outline.set_visible(False)
    return figure


def parts_of_field(
    tracks: pd.DataFrame, particles: pd.DataFrame, shape: tuple[int, int] | None = None
) -> int:
    """Return how many parts of the field have a mean D in `diffusion_field_figure`."""
    known, shown = _known(tracks, particles)
    if shown.empty:
        return 0
    box = _box(shown) if shape is None else (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    return int(np.isfinite(_means(shown, known, box)[2]).sum())


def _known(tracks: pd.DataFrame, particles: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the particles with a D, and their tracks."""
    known = particles[np.isfinite(particles["D"].to_numpy(float))]
    return known, tracks[tracks["particle"].isin(known["particle"])]


def _box(tracks: pd.DataFrame) -> tuple[float, float, float, float]:
    """Return the ends of x and y that hold all tracks."""
    ends = []
    for axis in ("x", "y"):
        low, high = float(tracks[axis].min()), float(tracks[axis].max())
        margin = 0.02 * (high - low) or 0.5
        ends += [low - margin, high + margin]
    return ends[0], ends[1], ends[2], ends[3]


def _draw_tracks(
    ax: Axes, tracks: pd.DataFrame, D: pd.Series[float], norm: Normalize
) -> LineCollection:
    from matplotlib.collections import LineCollection

    particle = tracks["particle"].to_numpy()
    starts = np.flatnonzero(np.append(True, particle[1:] != particle[:-1]))
    paths = np.split(tracks[["x", "y"]].to_numpy(float), starts[1:])
    lines = LineCollection(
        paths, cmap=_COLOURS, norm=norm,
        linewidths=float(np.clip(30 / np.sqrt(len(paths)), 0.8, 2)),
    )  # fmt: skip
    lines.set_array(D.reindex(particle[starts]).to_numpy(float))
    ax.add_collection(lines, autolim=False)
    return lines


def _means(
    tracks: pd.DataFrame, particles: pd.DataFrame, box: tuple[float, float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of the parts of the field, and their mean D; NaN of fewer than 3 tracks."""
    places = tracks.groupby("particle")[["x", "y"]].mean()
    known = particles.set_index("particle").loc[places.index]
    D, weight = known["D"].to_numpy(float), known["frames"].to_numpy(float)
    cells = int(np.clip(np.sqrt(len(D) / _TRACKS_A_CELL), 1, _MOST_CELLS))
    x_edges, y_edges = np.linspace(*box[:2], cells + 1), np.linspace(*box[2:], cells + 1)
    column = np.clip(np.searchsorted(x_edges, places["x"], "right") - 1, 0, cells - 1)
    row = np.clip(np.searchsorted(y_edges, places["y"], "right") - 1, 0, cells - 1)
    at = row * cells + column

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at, values, minlength=cells**2).astype(float).reshape(cells, cells)

    counts, total = summed(np.ones_like(D)), summed(weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(counts >= _FEWEST_A_CELL, summed(weight * D) / total, np.nan)
    return x_edges, y_edges, mean


def _draw_cells(
    ax: Axes,
    tracks: pd.DataFrame,
    particles: pd.DataFrame,
    norm: Normalize,
    box: tuple[float, float, float, float],
) -> None:
    """Draw the mean D of the parts of the field; a part with fewer than three tracks is pale."""
    x_edges, y_edges, mean = _means(tracks, particles, box)
    cells = len(mean)
    ax.set_facecolor(PALE)
    ax.pcolormesh(x_edges, y_edges, np.ma.masked_invalid(mean), cmap=_COLOURS, norm=norm)
    for i in range(cells):
        for j in range(cells):
            if np.isfinite(mean[i, j]):
                shade = float(norm(float(mean[i, j])))
                ax.text(
                    (x_edges[j] + x_edges[j + 1]) / 2, (y_edges[i] + y_edges[i + 1]) / 2,
                    f"{mean[i, j]:#.2g}".rstrip("."), ha="center", va="center", fontsize=9.5,
                    color=INK if shade > 0.5 else "white",
                )  # fmt: skip

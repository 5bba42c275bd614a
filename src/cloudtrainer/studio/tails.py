"""Tracks as coloured lines over a frame, with their number and what is known of them."""

from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper
from numpy.typing import NDArray

from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import in_turn

# Okabe & Ito's colours that are told from each other, and stand out on dark and on light ground.
TRACK_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7"]
_COLUMNS = ("x0", "y0", "x1", "y1", "particle", "colour")


class Tails:
    """Lines over a frame, each particle in its own of six colours.

    Parameters
    ----------
    view : FrameView
        The frame.
    about : tuple of (str, str)
        What else is told under the mouse: a heading and a column.
    """

    def __init__(self, view: FrameView, *about: tuple[str, str]) -> None:
        self.view = view
        self._about = tuple(column for _, column in about)
        self.source = ColumnDataSource({name: [] for name in (*_COLUMNS, *self._about)})
        mapper = LinearColorMapper(palette=TRACK_COLOURS, low=-0.5, high=len(TRACK_COLOURS) - 0.5)
        lines = view.figure.segment(
            "x0", "y0", "x1", "y1", source=self.source, line_width=2,
            line_color={"field": "colour", "transform": mapper},
        )  # fmt: skip
        told = [("track", "@particle"), *((heading, f"@{column}") for heading, column in about)]
        view.figure.add_tools(HoverTool(renderers=[lines], tooltips=told))

    def show(self, tracks: pd.DataFrame, about: dict[str, NDArray[Any]] | None = None) -> None:
        """Show tracks ``particle, frame, x, y``; what is told of them is by the particle's number.

        Parameters
        ----------
        tracks : DataFrame
            The positions that are joined by lines.
        about : dict of ndarray, optional
            For each column that is told, texts by the particle's number.
        """
        data = segments(tracks)
        for column in self._about:
            data[column] = (about or {})[column][data["particle"]]
        in_turn(lambda: self.source.update(data=data), self.view.pane)

    def clear(self) -> None:
        """Show no tracks."""
        self.show(pd.DataFrame({name: [] for name in ("particle", "frame", "x", "y")}))


def segments(tracks: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the lines between successive positions of each track, as columns ``x0`` to ``y1``."""
    particle = tracks["particle"].to_numpy(np.int32)
    order = np.lexsort((tracks["frame"].to_numpy(), particle))
    particle = particle[order]
    x, y = (tracks[name].to_numpy(np.float32)[order] for name in ("x", "y"))
    same = particle[1:] == particle[:-1]
    return {
        "x0": x[:-1][same],
        "y0": y[:-1][same],
        "x1": x[1:][same],
        "y1": y[1:][same],
        "particle": particle[1:][same],
        "colour": particle[1:][same] % len(TRACK_COLOURS),
    }

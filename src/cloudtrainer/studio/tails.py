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


class Tails:
    """Lines over a frame, each particle in one of six colours, with circles where it is now.

    Parameters
    ----------
    view : FrameView
        The frame.
    about : dict of str, optional
        Numbers that are told under the mouse beside the track's: headings by column.
    """

    def __init__(self, view: FrameView, about: dict[str, str] | None = None) -> None:
        self.view = view
        self._about = tuple(about or {})
        names = ("particle", "colour", *self._about)
        self.source = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1", *names)})
        self.heads = ColumnDataSource({name: [] for name in ("x", "y", *names)})
        mapper = LinearColorMapper(palette=TRACK_COLOURS, low=-0.5, high=len(TRACK_COLOURS) - 0.5)
        colour = {"field": "colour", "transform": mapper}
        lines = view.figure.segment(
            "x0", "y0", "x1", "y1", source=self.source, line_width=2, line_color=colour
        )
        circles = view.figure.scatter(
            "x", "y", source=self.heads, size=11, line_width=2, line_color=colour, fill_alpha=0
        )
        told = [("track", "@particle")]
        told += [(heading, f"@{column}{{%.3g}}") for column, heading in (about or {}).items()]
        view.figure.add_tools(
            HoverTool(
                renderers=[lines, circles],
                tooltips=told,
                formatters={f"@{column}": "printf" for column in self._about},
            )
        )

    def show(
        self,
        tracks: pd.DataFrame,
        now: int | None = None,
        about: dict[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Show tracks.

        Parameters
        ----------
        tracks : DataFrame
            The positions ``particle, frame, x, y`` that are joined by lines.
        now : int, optional
            The frame whose positions get circles.
        about : dict of ndarray, optional
            The numbers that are told, by column and then by the particle's number.
        """
        data = segments(tracks)
        here = tracks[tracks["frame"] == now]
        heads = {name: here[name].to_numpy(np.float32) for name in ("x", "y")}
        heads["particle"] = here["particle"].to_numpy(np.int32)
        heads["colour"] = heads["particle"] % len(TRACK_COLOURS)
        for column in self._about:
            for one in (data, heads):
                one[column] = (about or {})[column][one["particle"]]

        def change() -> None:
            self.source.data = data
            self.heads.data = heads

        in_turn(change, self.view.pane)

    def clear(self) -> None:
        """Show no tracks."""
        self.show(
            pd.DataFrame({name: [] for name in ("particle", "frame", "x", "y")}),
            about={column: np.empty(0, np.float32) for column in self._about},
        )


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

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
        names = ("particle", *self._about)
        # One line of each colour, with gaps: thousands of single ones take long to paint.
        self.lines = [
            ColumnDataSource({name: [] for name in ("x_track", "y_track", *names)})
            for _ in TRACK_COLOURS
        ]
        self.heads = ColumnDataSource({name: [] for name in ("x", "y", "colour", *names)})
        mapper = LinearColorMapper(palette=TRACK_COLOURS, low=-0.5, high=len(TRACK_COLOURS) - 0.5)
        colour = {"field": "colour", "transform": mapper}
        drawn = [
            view.figure.line("x_track", "y_track", source=source, line_width=2, line_color=one)
            for source, one in zip(self.lines, TRACK_COLOURS, strict=True)
        ]
        circles = view.figure.scatter(
            "x", "y", source=self.heads, size=11, line_width=2, line_color=colour, fill_alpha=0
        )
        told = [("track", "@particle")]
        told += [(heading, f"@{column}{{%.3g}}") for column, heading in (about or {}).items()]
        view.figure.add_tools(
            HoverTool(
                renderers=[*drawn, circles],
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
        lines = lines_by_colour(tracks)
        here = tracks[tracks["frame"] == now]
        heads = {name: here[name].to_numpy(np.float32) for name in ("x", "y")}
        heads["particle"] = here["particle"].to_numpy(np.int32)
        heads["colour"] = heads["particle"] % len(TRACK_COLOURS)
        for column in self._about:
            for one in (*lines, heads):
                one[column] = (about or {})[column][one["particle"]]

        def change() -> None:
            for source, data in zip(self.lines, lines, strict=True):
                source.data = data
            self.heads.data = heads

        in_turn(change, self.view.pane)

    def clear(self) -> None:
        """Show no tracks."""
        self.show(
            pd.DataFrame({name: [] for name in ("particle", "frame", "x", "y")}),
            about={column: np.empty(0, np.float32) for column in self._about},
        )


def lines_by_colour(tracks: pd.DataFrame) -> list[dict[str, NDArray[Any]]]:
    """Return ``x_track, y_track, particle`` of each colour, with NaN between the tracks."""
    particle = tracks["particle"].to_numpy(np.int32)
    order = np.lexsort((tracks["frame"].to_numpy(), particle))
    particle = particle[order]
    gaps = np.flatnonzero(np.diff(particle)) + 1
    columns = {
        f"{name}_track": np.insert(tracks[name].to_numpy(np.float32)[order], gaps, np.nan)
        for name in ("x", "y")
    }
    # The gap belongs to the track before it.
    columns["particle"] = np.insert(particle, gaps, particle[gaps - 1])
    colour = columns["particle"] % len(TRACK_COLOURS)
    return [
        {name: values[colour == one] for name, values in columns.items()}
        for one in range(len(TRACK_COLOURS))
    ]

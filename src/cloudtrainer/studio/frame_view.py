"""A frame of a video with circles around positions, contrast limits, zoom and hover."""

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from cloudtrainer.studio.look import ORANGE, SKY, in_turn
from cloudtrainer.studio.videos import contrast
from cloudtrainer.video import Video

# What a screen shows of a frame; larger ones are shown by the means of blocks of pixels.
_MOST_SIDE_PX = 1024
_HEIGHT = 430
_MOST_WIDTH = 480
_CROWD = 150
_GREYS = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]


class FrameView:
    """A frame, its contrast, and two sets of circles: labels and detections.

    Positions are in pixels of the video, the centre of the first one at (0, 0), as everywhere.

    Parameters
    ----------
    largest_px : (int, int)
        Width and height that the frame is shown in at most, in pixels of the screen.
    beside : FrameView, optional
        A frame of the same size that it stands beside: contrast and zoom are common to both.
    """

    def __init__(
        self,
        largest_px: tuple[int, int] = (_MOST_WIDTH, _HEIGHT),
        *,
        beside: "FrameView | None" = None,
    ) -> None:
        self._largest_px = largest_px
        self._beside = beside
        self._image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.labels = ColumnDataSource({"x": [], "y": []})
        self.detections = ColumnDataSource({"x": [], "y": [], "probability": []})
        self._grey: Any = LinearColorMapper(palette=_GREYS, low=0, high=1)
        ranges: tuple[Any, Any] = Range1d(-0.5, 1), Range1d(1, -0.5)
        self.contrast: Any = pn.widgets.RangeSlider(
            label="Contrast", start=0, end=1, value=(0, 1), step=0.01, width=250
        )
        if beside is None:
            self.contrast.param.watch(self._set_contrast, "value")
        else:
            self._grey, self.contrast = beside._grey, beside.contrast
            ranges = beside.figure.x_range, beside.figure.y_range
        self.figure: Any = figure(
            frame_width=_HEIGHT, frame_height=_HEIGHT, toolbar_location="right",
            x_range=ranges[0], y_range=ranges[1],
            tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll="wheel_zoom",
            x_axis_label="x (px)", y_axis_label="y (px)",
            # Without a frame the axes would tell nothing that is true.
            visible=False,
        )  # fmt: skip
        self.figure.toolbar.logo = None
        self.figure.grid.visible = False
        self.figure.image(
            "image", x="x", y="y", dw="dw", dh="dh", source=self._image, color_mapper=self._grey
        )
        self.figure.scatter(
            "x", "y", source=self.labels, size=17, marker="square", line_color=SKY, line_width=2,
            fill_alpha=0,
        )  # fmt: skip
        self._circles = self.figure.scatter(
            "x", "y", source=self.detections, size=14, marker="circle", line_color=ORANGE,
            line_width=2, fill_alpha=0,
        )  # fmt: skip
        self.figure.add_tools(
            HoverTool(
                renderers=[self._circles],
                tooltips=[("x, y", "@x{0.00}, @y{0.00} px"), ("probability", "@probability{0.00}")],
            )
        )
        self.pane = pn.pane.Bokeh(self.figure)
        self._video: Video | None = None

    def show_video(self, video: Video) -> None:
        """Take another video: the axes become its own, the contrast that of its first frame.

        Raises
        ------
        VideoError
            Its first frame cannot be read.
        """
        first = video.frames(0, 1)[0]
        self._video = video
        _, height, width = video.shape
        scale = min(self._largest_px[0] / width, self._largest_px[1] / height)

        def change() -> None:
            self.figure.update(
                frame_width=max(120, round(width * scale)),
                frame_height=max(80, round(height * scale)),
            )
            # Rows count downwards.
            for axis, start, end in (
                (self.figure.x_range, -0.5, width - 0.5),
                (self.figure.y_range, height - 0.5, -0.5),
            ):
                axis.update(start=start, end=end, reset_start=start, reset_end=end)
            self.labels.data = {"x": [], "y": []}
            self.detections.data = {"x": [], "y": [], "probability": []}

        in_turn(change, self.pane)
        self._draw(first)
        if self._beside is not None:
            return
        low, high = contrast(first)
        least, most = min(float(np.nanmin(first)), low), max(float(np.nanmax(first)), high)
        reach = max(most - least, 1e-6)
        self.contrast.param.update(
            start=least - 0.1 * reach, end=most + 0.1 * reach, step=reach / 500, value=(low, high)
        )

    def show_frame(self, number: int) -> None:
        """Show a frame of the video, its circles left as they are.

        Raises
        ------
        VideoError
            It cannot be read.
        """
        if self._video is not None:
            self._draw(self._video.frames(number, number + 1)[0])

    def show_pixels(self, frame: NDArray[Any]) -> None:
        """Show a frame of the video that was read already."""
        self._draw(frame)

    def show_labels(self, labels: pd.DataFrame) -> None:
        """Put squares around labels ``x, y``."""
        data = {name: labels[name].to_numpy(np.float32) for name in ("x", "y")}
        in_turn(lambda: self.labels.update(data=data), self.pane)

    def show_detections(self, found: pd.DataFrame) -> None:
        """Put circles around detections ``x, y, probability``."""
        names = ("x", "y", "probability")
        data = {name: found[name].to_numpy(np.float32) for name in names}
        # In a crowd large circles hide each other.
        size = 14 if len(found) < _CROWD else 9

        def change() -> None:
            self._circles.glyph.size = size
            self.detections.data = data

        in_turn(change, self.pane)

    def _draw(self, frame: NDArray[Any]) -> None:
        height, width = frame.shape
        data = {
            "image": [shown_pixels(frame)], "x": [-0.5], "y": [-0.5], "dw": [width], "dh": [height]
        }  # fmt: skip

        def change() -> None:
            self._image.data = data
            self.figure.visible = True

        in_turn(change, self.pane)

    def _set_contrast(self, event: Any) -> None:
        low, high = event.new
        in_turn(lambda: self._grey.update(low=low, high=max(high, low + 1e-9)), self.pane)


def shown_pixels(frame: NDArray[Any]) -> NDArray[Any]:
    """Return a frame as it is sent to the browser: not larger than a screen, in few bytes."""
    step = -(-max(frame.shape) // _MOST_SIDE_PX)
    if step > 1:
        height, width = (side - side % step for side in frame.shape)
        blocks = frame[:height, :width].reshape(height // step, step, width // step, step)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))
    if frame.dtype in (np.uint8, np.uint16, np.float32):
        return np.ascontiguousarray(frame)
    return frame.astype(np.float32)

"""Frames with detections and trajectories."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

from cloudtrainer.errors import LabelError, VideoError
from cloudtrainer.figures import (
    detections_figure,
    to_png,
    trajectories_figure,
    visualize_tracking_results,
)


def frame(rows=48, columns=64):
    return np.random.default_rng(1).normal(100, 5, (rows, columns))


def tracks(particles=3, length=5):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), length),
            "frame": np.tile(np.arange(length), particles),
            "x": rng.uniform(0, 63, particles * length),
            "y": rng.uniform(0, 47, particles * length),
        }
    )


def of_kind(figure, kind):
    return [artist for artist in figure.axes[0].collections if type(artist) is kind]


def texts(figure):
    ax = figure.axes[0]
    return [ax.get_title(loc="left"), ax.get_title(loc="right"), *(t.get_text() for t in ax.texts)]


def test_each_detection_has_an_open_circle_at_its_place():
    found = pd.DataFrame({"x": [3.25, 60.0], "y": [10.5, 40.0]})
    figure = detections_figure(frame(), found)
    (circles,) = of_kind(figure, PathCollection)
    np.testing.assert_array_equal(circles.get_offsets(), [[3.25, 10.5], [60.0, 40.0]])
    assert len(circles.get_facecolors()) == 0
    assert texts(figure)[1] == "2 detections"


def test_contrast_ignores_a_hot_pixel_and_what_is_not_finite():
    picture = np.tile(np.arange(100.0), (100, 1))
    picture[0, 0], picture[0, 1], picture[0, 2] = 1e6, np.nan, np.inf
    shown = detections_figure(picture, pd.DataFrame({"x": [], "y": []})).axes[0].images[0]
    low, high = shown.get_clim()
    assert low == pytest.approx(0, abs=1)
    assert high == pytest.approx(99, abs=1)


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_a_frame_of_one_grey_is_shown(value):
    figure = detections_figure(np.full((16, 16), value), pd.DataFrame({"x": [], "y": []}))
    low, high = figure.axes[0].images[0].get_clim()
    assert low < high
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("columns", "pixel_size_um", "label", "length_px"),
    [
        (256, 0.1, "5 µm", 50),
        (640, 0.175, "20 µm", 114.2857),
        (64, 0.01, "0.1 µm", 10),
        (1000, 1.0, "200 µm", 200),
    ],
)
def test_scale_bar_has_the_length_that_it_says(columns, pixel_size_um, label, length_px):
    found = pd.DataFrame({"x": [1.0], "y": [1.0]})
    ax = detections_figure(frame(20, columns), found, pixel_size_um=pixel_size_um).axes[0]
    (bar,) = ax.lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(length_px, rel=1e-5)
    assert label in [text.get_text() for text in ax.texts]
    assert ax.get_xlabel() == ""


def test_without_calibration_the_axes_are_in_pixels():
    ax = trajectories_figure(frame(), tracks()).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (px)", "y (px)")
    assert len(ax.lines) == 0
    # The first row is at the top, and pixel centres are whole numbers.
    assert ax.get_ylim() == (47.5, -0.5)
    assert ax.get_xlim() == (-0.5, 63.5)


@pytest.mark.parametrize("name", ["a_$x$_b.tif", r"cost $\frac{$.tif", "$", "50$ and _^{"])
def test_titles_are_never_mathematics(name):
    figure = detections_figure(frame(), pd.DataFrame({"x": [], "y": []}), title=name)
    assert to_png(figure).startswith(b"\x89PNG")
    assert texts(figure)[0].replace(r"\$", "$") == name


def test_each_particle_is_one_path_in_order_of_its_frames():
    table = tracks()
    figure = trajectories_figure(frame(), table.sample(frac=1, random_state=3))
    (lines,) = of_kind(figure, LineCollection)
    assert len(lines.get_segments()) == 3
    for particle, path in enumerate(lines.get_segments()):
        mine = table[table["particle"] == particle]
        np.testing.assert_array_equal(path, mine[["x", "y"]])
    assert len({to_hex(color) for color in lines.get_colors()}) == 3
    assert texts(figure)[1] == "3 tracks"


def test_two_thousand_tracks_are_drawn():
    figure = trajectories_figure(frame(), tracks(2000, 3), pixel_size_um=0.2)
    (lines,) = of_kind(figure, LineCollection)
    assert len(lines.get_segments()) == 2000
    assert to_png(figure, dpi=50).startswith(b"\x89PNG")


def test_a_track_of_one_position_is_a_dot():
    table = tracks(2, 4).iloc[:5]
    (dots,) = of_kind(trajectories_figure(frame(), table), PathCollection)
    np.testing.assert_array_equal(dots.get_offsets(), table[["x", "y"]].iloc[[4]])


def test_nothing_found_is_said():
    none = tracks().iloc[:0]
    assert "No particle was detected in this frame." in texts(detections_figure(frame(), none))
    assert "No particle was tracked." in texts(trajectories_figure(frame(), none))
    video = np.stack([frame()] * 2)
    assert "No particle was tracked." in texts(visualize_tracking_results(video, none))


@pytest.mark.parametrize("shape", [(5,), (2, 5, 5), (0, 5)])
def test_what_is_no_frame_is_refused(shape):
    with pytest.raises(VideoError, match="is no frame"):
        detections_figure(np.zeros(shape), pd.DataFrame({"x": [], "y": []}))


def test_missing_columns_are_named():
    with pytest.raises(LabelError, match="no column particle, y"):
        trajectories_figure(frame(), tracks().drop(columns=["particle", "y"]))
    with pytest.raises(LabelError, match="no column x"):
        detections_figure(frame(), tracks().drop(columns="x"))


class LazyVideo:
    """Stands for a Video: frame t is full of t."""

    shape = (7, 48, 64)
    pixel_size_um = 0.5

    def frames(self, start, stop):
        return np.stack([np.full((48, 64), t) for t in range(start, stop)])


@pytest.mark.parametrize("video", [LazyVideo(), LazyVideo().frames(0, 7)])
def test_v3_shows_the_frame_asked_for_with_its_particles(video):
    table = tracks()
    figure = visualize_tracking_results(video, table, frame_idx=4)
    assert np.all(figure.axes[0].images[0].get_array() == 4)
    (circles,) = of_kind(figure, PathCollection)
    np.testing.assert_array_equal(circles.get_offsets(), table[table["frame"] == 4][["x", "y"]])
    assert texts(figure)[:2] == ["frame 4", "3 particles here, 3 tracks"]


@pytest.mark.parametrize(
    ("video", "index", "message"),
    [
        (np.zeros((3, 8, 8)), 3, "the video has frames 0 to 2"),
        (np.zeros((3, 8, 8)), -1, "there is no frame -1"),
        (LazyVideo(), 7, "the video has frames 0 to 6"),
        (np.zeros((8, 8)), 0, r"must be \(T, Y, X\)"),
        ("video.tif", 0, r"give cloudtrainer.Video\(path\)"),
    ],
)
def test_v3_refuses_what_is_no_video_and_frames_that_are_not_there(video, index, message):
    with pytest.raises(VideoError, match=message):
        visualize_tracking_results(video, tracks(), index)

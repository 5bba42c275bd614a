"""Histograms, the search range, correlations, counts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import LabelError
from cloudtrainer.figures import (
    correlation_figure,
    counts_figure,
    histogram_figure,
    linking_figure,
    to_png,
)

POOLED = SimpleNamespace(value=0.5, low=0.4, high=0.6, unit="um^2/s")


def heights(ax):
    return np.array([bar.get_height() for bar in ax.patches if hasattr(bar, "get_height")])


def said(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_histogram_counts_every_value_and_says_what_lies_beyond():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(0.5, 0.1, 500), [50.0, 80.0, -30.0, np.nan, np.inf]])
    ax = histogram_figure(values, label="D (µm²/s)").axes[0]
    assert heights(ax).sum() == 500
    assert ax.get_title(loc="right") == "503 tracks, 3 of them beyond the axis"
    low, high = ax.get_xlim()
    assert -0.5 < low < 0.3
    assert 0.7 < high < 1.5
    assert ax.get_xlabel() == "D (µm²/s)"


def test_histogram_marks_estimate_interval_and_truth():
    figure = histogram_figure([0.3, 0.5, 0.7], label="D", estimate=POOLED, truth=0.9)
    ax = figure.axes[0]
    assert sorted(float(item.get_xdata()[0]) for item in ax.lines) == [0.5, 0.9]
    spans = [bar.get_bbox() for bar in ax.patches if np.isclose(bar.get_x(), 0.4)]
    assert any(np.isclose(span.x1, 0.6) for span in spans)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "all tracks together: 0.50 µm²/s (95%: 0.40 to 0.60)",
        "truth: 0.9",
    ]
    # The truth lies beyond every value, and on the axis all the same.
    assert ax.get_xlim()[1] > 0.9


@pytest.mark.parametrize("values", [[0.5], [0.5] * 10, [0.0, 0.0], [1e-9, 2e-9, 3e-9]])
def test_histograms_of_few_or_equal_values_are_drawn(values):
    figure = histogram_figure(values, label="D")
    assert heights(figure.axes[0]).sum() == len(values)
    assert to_png(figure).startswith(b"\x89PNG")


def test_few_tracks_are_counted_whole_and_stand_before_the_band():
    ax = histogram_figure([0.5, 0.55], label="D", estimate=POOLED).axes[0]
    assert all(tick == round(tick) for tick in ax.get_yticks())
    bars = [patch for patch in ax.patches if patch.get_height() == 1 and patch.get_width() < 0.1]
    assert len(bars) == 2
    band = next(patch for patch in ax.patches if patch.get_x() == pytest.approx(POOLED.low))
    assert all(bar.get_zorder() > band.get_zorder() for bar in bars)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [np.inf]])
def test_no_value_is_said(values):
    figure = histogram_figure(values, label="alpha", estimate=POOLED)
    assert said(figure) == ["There is no track with an estimate to show as alpha."]


def test_labels_are_never_mathematics():
    assert to_png(histogram_figure([1.0, 2.0], label=r"a $\frac{$ b_c")).startswith(b"\x89PNG")
    assert to_png(histogram_figure([], label=r"a $\frac{$ b_c")).startswith(b"\x89PNG")


def scan():
    return pd.DataFrame(
        {"search_range_px": [6.0, 8.0, 10.0, 13.0], "D_px2_per_frame": [1.0, 1.8, 2.0, 2.0],
         "tracks": 10, "displacements": 100}
    )  # fmt: skip


def test_scan_is_drawn_with_3_percent_about_the_range_in_use():
    ax = linking_figure(scan(), [1.0, 2.0, 3.0], 10.0).axes[0]
    (band,) = [patch.get_bbox() for patch in ax.patches]
    assert (band.y0, band.y1) == pytest.approx((1.94, 2.06))
    marked = [item.get_xdata() for item in ax.lines if len(item.get_xdata()) == 2]
    assert [list(x) for x in marked] == [[10.0, 10.0]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "search range (px)",
        "D from one frame to the next (px²/frame)",
    )


def test_the_scan_of_a_calibrated_video_is_in_its_units():
    ax = linking_figure(scan(), [1.0, 2.0], 10.0, pixel_size_um=0.1, frame_interval_s=0.05).axes[0]
    drawn = next(item for item in ax.lines if len(item.get_xdata()) > 2)
    # 2 px^2 a frame: 2 x 0.01 um^2 in 0.05 s.
    assert drawn.get_ydata()[-1] == pytest.approx(0.4)
    assert ax.get_ylabel() == "D from one frame to the next (µm²/s)"


def test_displacements_are_a_density_beside_the_rayleigh_curve():
    lengths = np.hypot(*np.random.default_rng(5).normal(0, 2, (2, 20_000)))
    ax = linking_figure(scan(), lengths, 10.0, step_sd_px=2.0).axes[1]
    bars = [bar for bar in ax.patches if bar.get_height() > 0]
    assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1)
    curve = next(item for item in ax.lines if len(item.get_xdata()) > 2)
    assert curve.get_ydata().max() == pytest.approx(np.exp(-0.5) / 2, rel=1e-3)
    assert curve.get_xdata()[np.argmax(curve.get_ydata())] == pytest.approx(2, abs=0.05)
    # Simulated steps lie on it.
    at = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    expected = np.interp(at, curve.get_xdata(), curve.get_ydata())
    assert np.abs([bar.get_height() for bar in bars] - expected).max() < 0.03


def test_linking_without_links_says_so_in_both_panels():
    texts = said(linking_figure(scan().iloc[:0], [], 10.0))
    assert texts == [
        "There are too few displacements\nto compare search ranges.",
        "No particle was linked\nfrom one frame to the next.",
    ]
    assert said(linking_figure(scan().assign(D_px2_per_frame=np.nan), [np.nan], 10.0)) == texts


def test_a_scan_without_its_column_is_refused():
    with pytest.raises(LabelError, match="D_px2_per_frame"):
        linking_figure(scan().drop(columns="D_px2_per_frame"), [1.0], 10.0)


def test_correlations_have_95_percent_bars_and_lag_1_stands_apart():
    figure = correlation_figure([1, 2, 3], [-0.2, 0.01, np.nan], [0.01, 0.02, np.nan])
    first, beyond = figure.axes[0].containers
    assert first.get_label().startswith("lag 1")
    assert beyond.get_label().startswith("beyond lag 1")
    assert first[0].get_markerfacecolor() != beyond[0].get_markerfacecolor()
    (bar,) = beyond[2][0].get_segments()
    np.testing.assert_allclose(bar[:, 1], [0.01 - 0.0392, 0.01 + 0.0392], atol=1e-5)
    low, high = figure.axes[0].get_ylim()
    assert low == -high


def test_correlations_that_are_not_known_are_said_so():
    figure = correlation_figure([1, 2], [np.nan] * 2, [np.nan] * 2)
    assert said(figure) == ["The tracks are too short to correlate their displacements."]


def test_counts_keep_their_frames_and_their_running_mean():
    counts = pd.Series(np.tile([10, 30], 100), index=np.arange(50, 250))
    each, mean = counts_figure(counts).axes[0].lines
    assert each.get_xdata()[0] == 50
    np.testing.assert_array_equal(each.get_ydata(), counts)
    np.testing.assert_allclose(mean.get_ydata(), 20, atol=0.5)
    # The mean stands at the middle of its frames.
    assert mean.get_xdata()[0] - 50 == 249 - mean.get_xdata()[-1]
    ax = counts_figure(counts).axes[0]
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylabel() == "detections per frame"


@pytest.mark.parametrize("counts", [[0], [0, 0, 0], [3, 4, 5]])
def test_few_counts_are_drawn_frame_by_frame(counts):
    figure = counts_figure(counts)
    (each,) = figure.axes[0].lines
    np.testing.assert_array_equal(each.get_ydata(), counts)
    assert to_png(figure).startswith(b"\x89PNG")


def test_no_frame_is_said():
    assert said(counts_figure([])) == ["There is no frame to count detections in."]

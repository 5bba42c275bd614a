"""The sheet of tests, displacements against a Gaussian, D over the field, and the spread of D."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import LabelError
from cloudtrainer.figures import (
    diffusion_field_figure,
    histogram_figure,
    model_tests_figure,
    parts_of_field,
    to_png,
    to_svg,
    van_hove_figure,
)
from cloudtrainer.figures.style import BLUE, VERMILLION


def said(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def check(name="drift left", passed=True, curve="known", p_value=0.3):
    x = np.arange(4.0)
    known = SimpleNamespace(
        x=x, y=x / 10, error=np.full(4, 0.05), expected=np.zeros(4),
        x_label="frame", y_label="step (px)",
    )  # fmt: skip
    return SimpleNamespace(
        name=name, passed=passed, p_value=p_value, curve=known if curve == "known" else None
    )


def test_every_test_that_was_made_has_a_panel_that_says_whether_it_passed():
    checks = [check(), check("D", None, curve=None), check("pixel locking", False, p_value=1e-5)]
    figure = model_tests_figure([*checks, check("third", None, p_value=np.nan)])
    assert len(figure.axes) == 3
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "drift left\npassed, p = 0.3",
        "pixel locking\nFAILED, p = 1e-05",
        "third\ncannot be told",
    ]
    passed, failed = (ax.containers[0][0].get_color() for ax in figure.axes[:2])
    assert (passed, failed) == (BLUE, VERMILLION)
    (bar,) = {
        round(float(np.ptp(s[:, 1])), 4) for s in figure.axes[0].collections[0].get_segments()
    }
    assert bar == pytest.approx(2 * 1.96 * 0.05, abs=1e-4)
    assert not said(figure)
    assert to_png(figure).startswith(b"\x89PNG")
    for none in ([], checks[1:2]):
        assert said(model_tests_figure(none)) == ["There is no test of the model to show."]


def distribution(displacement, lag_time=0.5):
    deviation = float(np.std(displacement)) if len(displacement) else np.nan
    return SimpleNamespace(
        displacement=displacement, standard_deviation=deviation,
        lag_time=lag_time, length_unit="um", time_unit="s",
    )  # fmt: skip


def parameter(value, error=0.1):
    value = np.asarray(value, dtype=float)
    lag = np.arange(1.0, len(value) + 1)
    return SimpleNamespace(
        lag_time=lag, value=value, standard_error=np.full(len(value), error), time_unit="s"
    )


def test_gaussian_displacements_lie_on_the_gaussian_and_others_do_not():
    rng = np.random.default_rng(1)
    normal, laplace = rng.normal(0, 3, 50_000), rng.laplace(0, 2, 50_000)
    figure = van_hove_figure([distribution(normal), distribution(laplace, 2.0)], parameter([0, 1]))
    gaussian, first, second = figure.axes[0].lines
    for drawn, close in ((first, True), (second, False)):
        x, y = drawn.get_data()
        inner = np.abs(x) < 2
        ratio = y[inner] / np.interp(x[inner], *gaussian.get_data())
        assert (np.abs(ratio - 1).max() < 0.1) == close
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[1].startswith("0.5 s: sd ")
    assert labels[1].endswith("µm")
    assert figure.axes[1].get_ylim()[1] > 1.19
    assert to_svg(figure).startswith(b"<?xml")


def test_few_decades_of_lags_have_few_plain_numbers():
    found = SimpleNamespace(
        lag_time=np.array([0.033, 0.067, 0.1, 0.2, 0.4]), value=np.zeros(5),
        standard_error=np.full(5, 0.1), time_unit="s",
    )  # fmt: skip
    ax = van_hove_figure([], found).axes[1]
    low, high = ax.get_xlim()
    assert low < 0.033
    assert high > 0.4
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert 2 <= len(ticks) <= 5
    assert [ax.xaxis.get_major_formatter()(tick) for tick in (0.05, 0.1)] == ["0.05", "0.1"]
    assert not any(ax.xaxis.get_minor_formatter()(tick) for tick in ticks)


def test_no_displacements_are_said():
    figure = van_hove_figure([], parameter([np.nan]))
    assert said(figure) == ["There are no displacements to show."] * 2
    assert to_png(van_hove_figure([distribution(np.zeros(0))], parameter([]))).startswith(
        b"\x89PNG"
    )


def tracks_over(places):
    particle = np.repeat(np.arange(len(places)), 3)
    x, y = np.repeat(np.asarray(places, float), 3, axis=0).T
    step = np.tile([-1.0, 0.0, 1.0], len(places))
    return pd.DataFrame(
        {"particle": particle, "frame": np.tile(np.arange(3), len(places)), "x": x + step, "y": y}
    )


def test_D_over_the_field_is_that_of_each_place():
    rng = np.random.default_rng(2)
    places = rng.uniform(0, 100, (48, 2))
    D = np.where(places[:, 0] < 50, 1.0, 3.0)
    particles = pd.DataFrame({"particle": np.arange(48), "D": D, "frames": 3})
    figure = diffusion_field_figure(tracks_over(places), particles, label="D (px²/frame)")
    left, right, bar = figure.axes
    assert parts_of_field(tracks_over(places), particles) == 4
    # With the frame's shape the axes are the frame.
    framed = diffusion_field_figure(tracks_over(places), particles, label="D", shape=(120, 150))
    for ax in framed.axes[:2]:
        assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 149.5), (119.5, -0.5))
    lines = left.collections[0]
    np.testing.assert_array_equal(lines.get_array(), D)
    assert len(lines.get_segments()) == 48
    numbers = [text.get_text() for text in right.texts]
    # Two by two parts: left, right; left, right.
    assert len(numbers) == 4
    assert float(numbers[0]) < 1.3
    assert float(numbers[3]) > 2.7
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert bar.get_xlabel() == "D (px²/frame)"


def test_one_track_equal_values_and_no_track_are_drawn():
    one = pd.DataFrame({"particle": [0], "D": [0.5], "frames": [3]})
    assert to_png(diffusion_field_figure(tracks_over([[5, 5]]), one, label="D")).startswith(b"\x89")
    assert parts_of_field(tracks_over([[5, 5]]), one) == 0
    none = one.assign(D=np.nan)
    assert parts_of_field(tracks_over([[5, 5]]), none) == 0
    figure = diffusion_field_figure(tracks_over([[5, 5]]), none, label="D")
    assert said(figure) == ["There is no track with an estimate of D to show in the field."]
    with pytest.raises(LabelError, match="frames"):
        diffusion_field_figure(tracks_over([[5, 5]]), one.drop(columns="frames"), label="D")


def test_the_spread_is_drawn_beside_the_histogram_and_does_not_flatten_it():
    values = np.random.default_rng(3).normal(1, 0.3, 400)
    grid = np.geomspace(0.1, 3, 300)
    density = np.exp(-((grid - 1) ** 2) / (2 * 0.02**2)) / (0.02 * np.sqrt(2 * np.pi))
    spread = SimpleNamespace(value=0.02, low=0.0, high=0.1, grid=grid, density=density)
    plain = histogram_figure(values, label="D").axes[0]
    figure = histogram_figure(values, label="D", spread=spread)
    ax = figure.axes[0]
    _, y = ax.lines[0].get_data()
    assert y.max() == pytest.approx(1.5 * plain.get_ylim()[1])
    assert y.max() < ax.get_ylim()[1] < 1.1 * y.max()
    (text,) = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "0.02 (95%: 0.00 to 0.10), height not to scale" in text


def test_the_spread_is_smooth_where_its_points_are_few():
    values = np.random.default_rng(3).normal(1, 0.3, 400)
    grid = np.geomspace(0.1, 3, 25)
    density = np.exp(-((grid - 1) ** 2) / (2 * 0.2**2))
    spread = SimpleNamespace(value=0.2, low=0.1, high=0.3, grid=grid, density=density)
    x, y = histogram_figure(values, label="D", spread=spread).axes[0].lines[0].get_data()
    within = (x > 0.5) & (x < 1.5)
    assert within.sum() > 100
    # It goes through the points, and not above them.
    assert np.interp(grid, x, y / y.max()) == pytest.approx(density / density.max(), abs=1e-9)
    truth = np.exp(-((x - 1) ** 2) / (2 * 0.2**2))
    chords = np.interp(x, grid, density)
    error = np.abs(y / y.max() * density.max() - truth)[within].max()
    assert error < 0.7 * np.abs(chords - truth)[within].max()


def test_a_spread_as_wide_as_the_histogram_is_drawn_to_scale():
    values = np.random.default_rng(3).normal(1, 0.3, 400)
    grid = np.geomspace(0.05, 4, 300)
    density = np.exp(-((grid - 1) ** 2) / (2 * 0.3**2)) / (0.3 * np.sqrt(2 * np.pi))
    spread = SimpleNamespace(value=0.3, low=0.2, high=0.4, grid=grid, density=density)
    figure = histogram_figure(values, label="D", spread=spread)
    ax = figure.axes[0]
    # 400 tracks times the width of a bin.
    x, y = ax.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(400 * ax.patches[0].get_width(), rel=1e-3)
    assert "to scale" not in figure.legends[0].get_texts()[0].get_text()
    unknown = SimpleNamespace(value=np.nan, low=np.nan, high=np.nan, grid=grid, density=density)
    assert not histogram_figure(values, label="D", spread=unknown).axes[0].lines

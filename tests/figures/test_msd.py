"""The MSD with its models."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import LabelError
from cloudtrainer.figures import PX_FRAME, UM_S, msd_figure, to_png, visualize_msd_analysis


def estimate(value, low, high, unit, offset=0.0):
    return SimpleNamespace(value=value, low=low, high=high, unit=unit, offset=offset)


D = estimate(0.5, 0.4, 0.6, "um^2/s", 0.04)
ANOMALOUS = SimpleNamespace(
    alpha=estimate(0.5, 0.4, 0.6, "1"), K=estimate(0.3, 0.2, 0.4, "um^2/s^alpha", 0.1)
)


def curve(count=10, offset=0.04):
    lag = np.arange(1, count + 1) / 10
    value = 2 * lag + offset
    return pd.DataFrame(
        {"lag": lag, "msd": value, "low": value - 0.1, "high": value + 0.1,
         "pairs": np.arange(1000, 1000 - count, -1)}
    )  # fmt: skip


def line(ax, start):
    (found,) = [item for item in ax.lines if str(item.get_label()).startswith(start)]
    return found


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_brownian_line_is_4_D_t_plus_offset_on_both_axes():
    figure = msd_figure(curve(), diffusion=D, anomalous=None, units=UM_S)
    for ax in figure.axes:
        drawn = line(ax, "Brownian")
        at_half = np.interp(0.5, drawn.get_xdata(), drawn.get_ydata())
        assert at_half == pytest.approx(4 * 0.5 * 0.5 + 0.04, rel=1e-3)
    band = figure.axes[0].collections[1].get_paths()[0].vertices
    # At the last lag, 1 s: 4 x 0.4 + 0.04 to 4 x 0.6 + 0.04.
    at_end = band[np.isclose(band[:, 0], 1.0), 1]
    assert at_end.min() == pytest.approx(1.64)
    assert at_end.max() == pytest.approx(2.44)


def test_anomalous_line_is_4_K_t_to_alpha_plus_offset():
    figure = msd_figure(curve(), diffusion=None, anomalous=ANOMALOUS, units=UM_S)
    drawn = line(figure.axes[0], "anomalous")
    assert drawn.get_ydata()[-1] == pytest.approx(4 * 0.3 * 1.0**0.5 + 0.1)
    assert drawn.get_ydata()[0] == pytest.approx(4 * 0.3 * 0.1**0.5 + 0.1)


def test_axes_and_legend_say_units_and_intervals():
    figure = msd_figure(curve(), diffusion=D, anomalous=ANOMALOUS, units=UM_S)
    linear, logarithmic = figure.axes
    assert {ax.get_xlabel() for ax in figure.axes} == {"lag time (s)"}
    assert {ax.get_ylabel() for ax in figure.axes} == {"MSD (µm²)"}
    assert (linear.get_xscale(), logarithmic.get_xscale()) == ("linear", "log")
    assert (linear.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    assert legend(figure) == [
        "measured with 95% band, 1000 pairs of positions at the first lag, 991 at the last",
        "Brownian, D = 0.50 µm²/s (95%: 0.40 to 0.60)",
        "anomalous, \N{GREEK SMALL LETTER ALPHA} = 0.50 (95%: 0.40 to 0.60), "
        "K = 0.30 µm²/s\N{MODIFIER LETTER SMALL ALPHA} (95%: 0.20 to 0.40)",
    ]


def test_uncalibrated_axes_are_in_pixels_and_frames():
    figure = msd_figure(curve(), diffusion=None, anomalous=None, units=PX_FRAME)
    assert figure.axes[1].get_xlabel() == "lag time (frames)"
    assert figure.axes[1].get_ylabel() == "MSD (px²)"


def test_without_a_band_none_is_promised():
    bare = curve().assign(low=np.nan, high=np.nan)
    figure = msd_figure(bare, diffusion=None, anomalous=None, units=UM_S)
    assert legend(figure)[0].startswith("measured, 1000 pairs")
    assert to_png(figure).startswith(b"\x89PNG")


def test_a_negative_msd_is_shown_on_linear_axes_and_left_out_of_logarithmic_ones():
    negative = curve(offset=-0.5)
    model = estimate(0.5, 0.4, 0.6, "um^2/s", -0.5)
    figure = msd_figure(negative, diffusion=model, anomalous=None, units=UM_S)
    linear, logarithmic = figure.axes
    assert len(line(linear, "measured").get_xdata()) == 10
    assert line(linear, "measured").get_ydata().min() == pytest.approx(-0.3)
    assert linear.get_ylim()[0] < -0.3
    assert len(line(logarithmic, "measured").get_xdata()) == 8
    drawn = line(logarithmic, "Brownian").get_ydata()
    assert np.nanmin(drawn) > 0
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [1, 2])
def test_a_curve_of_one_or_two_lags_is_drawn(count):
    figure = msd_figure(curve(count), diffusion=D, anomalous=ANOMALOUS, units=UM_S)
    assert len(line(figure.axes[1], "measured").get_xdata()) == count
    assert to_png(figure).startswith(b"\x89PNG")


def test_slope_guide_has_slope_one_and_lies_above_the_points():
    ax = msd_figure(curve(), diffusion=None, anomalous=None, units=UM_S).axes[1]
    (guide,) = [item for item in ax.lines if item.get_linestyle() == ":"]
    x, y = guide.get_data()
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(1)
    assert np.all(y > np.interp(x, curve()["lag"], curve()["msd"]))
    assert y.max() < ax.get_ylim()[1]


@pytest.mark.parametrize("empty", [curve().iloc[:0], curve().assign(msd=np.nan)])
def test_no_msd_is_said(empty):
    figure = msd_figure(empty, diffusion=None, anomalous=None, units=UM_S)
    (said,) = figure.axes[0].texts
    assert said.get_text() == "The tracks are too short for a mean squared displacement."


def test_an_estimate_that_is_not_a_number_is_left_out():
    nothing = estimate(np.nan, np.nan, np.nan, "um^2/s", np.nan)
    anomalous = SimpleNamespace(alpha=nothing, K=nothing)
    figure = msd_figure(curve(), diffusion=nothing, anomalous=anomalous, units=UM_S)
    assert len(legend(figure)) == 1


def test_a_missing_column_is_named():
    with pytest.raises(LabelError, match="no column pairs"):
        msd_figure(curve().drop(columns="pairs"), diffusion=None, anomalous=None, units=UM_S)


def v3_fit():
    return {
        "D": 0.5, "offset": 0.04, "alpha": 0.93, "motion_type": "Normal Brownian diffusion",
        "t_fit": np.arange(1, 11) / 10, "msd_fit": 2 * np.arange(1, 11) / 10 + 0.04,
        "linear_params": (2.0, 0.04), "power_params": (2.04, 0.93),
    }  # fmt: skip


def test_v3_shows_both_fits_of_the_points_that_were_fitted():
    emsd = pd.Series(curve(20)["msd"].to_numpy(), index=curve(20)["lag"])
    figure = visualize_msd_analysis(emsd, v3_fit())
    for ax in figure.axes:
        assert len(line(ax, "measured").get_xdata()) == 20
        linear, power = line(ax, "linear fit"), line(ax, "power law")
        assert linear.get_xdata().max() == pytest.approx(1.0)
        assert linear.get_ydata()[-1] == pytest.approx(2.04)
        assert power.get_ydata()[0] == pytest.approx(2.04 * 0.1**0.93)
    assert figure.get_suptitle() == "Normal Brownian diffusion"
    assert "linear fit, D = 0.5 µm²/s" in legend(figure)
    assert figure.axes[1].get_xscale() == "log"


def test_v3_power_law_takes_its_offset_where_it_has_one():
    emsd = pd.Series(curve()["msd"].to_numpy(), index=curve()["lag"])
    figure = visualize_msd_analysis(emsd, v3_fit() | {"power_offset": 0.25})
    drawn = line(figure.axes[0], "power law").get_ydata()
    assert drawn[-1] == pytest.approx(2.04 + 0.25)


def test_v3_says_when_there_is_nothing_and_names_what_is_missing():
    nothing = pd.Series([], index=pd.Index([], dtype=float), dtype=float)
    assert "too short" in visualize_msd_analysis(nothing, v3_fit()).axes[0].texts[0].get_text()
    some = {k: v for k, v in v3_fit().items() if k not in ("D", "power_params")}
    with pytest.raises(LabelError, match="no D, power_params"):
        visualize_msd_analysis(nothing, some)

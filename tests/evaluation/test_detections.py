import dataclasses

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.evaluation import isolated, localisation_bound_px, score_detections


def table(rows):
    return pd.DataFrame(rows, columns=["frame", "x", "y"], dtype=float)


EMPTY = table([])


def test_score_of_a_known_case():
    truth = table([(0, 10, 10), (0, 20, 20), (1, 10, 10), (1, 50, 50)])
    found = table([(0, 10.3, 10.0), (0, 20.0, 19.6), (1, 10.3, 10.4), (1, 30, 30), (2, 50, 50)])
    score = score_detections(found, truth, gate_px=2)
    assert (score.matched, score.found, score.truth) == (3, 5, 4)
    assert score.precision == pytest.approx(0.6)
    assert score.recall == pytest.approx(0.75)
    assert score.f1 == pytest.approx(6 / 9)
    assert score.jaccard == pytest.approx(0.5)
    # (0.3^2 + 0.4^2 + 0.5^2) / 3 pairs / 2 axes
    assert score.rmse_px == pytest.approx(np.sqrt(0.5 / 6))
    assert score.rmse_x_px == pytest.approx(np.sqrt(0.18 / 3))
    assert score.rmse_y_px == pytest.approx(np.sqrt(0.32 / 3))
    assert score.bias_px == pytest.approx((0.2, 0.0))


@pytest.mark.parametrize(
    ("found", "truth", "f1"),
    [(EMPTY, EMPTY, 1.0), (EMPTY, table([(0, 1, 1)]), 0.0), (table([(0, 1, 1)]), EMPTY, 0.0)],
)
def test_score_of_empty_tables(found, truth, f1):
    score = score_detections(found, truth, gate_px=3)
    assert score.f1 == f1
    assert np.isnan(score.rmse_px)
    assert np.isnan(score.bias_px).all()


def with_errors(rows):
    return pd.DataFrame(rows, columns=["frame", "x", "y", "x_error", "y_error"], dtype=float)


def test_errors_over_a_bound_for_all_and_for_each():
    truth = table([(0, 10, 10), (0, 50, 50), (0, 90, 90)])
    found = table([(0, 10.2, 10), (0, 50, 50.6)])
    # Squares of dx and dy: 0.04, 0, 0, 0.36.
    one = score_detections(found, truth, 2, bound_px=0.1)
    assert one.rmse_over_bound == pytest.approx(np.sqrt(0.4 / 4) / 0.1)
    each = score_detections(found, truth, 2, bound_px=[0.1, 0.3, 9.0])
    assert each.rmse_over_bound == pytest.approx(np.sqrt((4 + 4) / 4))
    assert each.rmse_px == one.rmse_px


def test_bounds_follow_the_rows_of_the_truth():
    truth = table([(1, 5, 5), (0, 5, 5)])
    found = table([(0, 5, 5.4), (1, 5, 5.1)])
    score = score_detections(found, truth, 2, bound_px=np.array([0.1, 0.4]))
    assert score.rmse_over_bound == pytest.approx(np.sqrt(0.5))


def test_calibration_of_a_known_case():
    truth = table([(0, 10, 10), (0, 30, 30), (0, 50, 50), (0, 70, 70)])
    found = with_errors(
        [
            (0, 10.1, 10.0, 0.1, 0.2),  # 1 and 0 stated errors off
            (0, 29.7, 30.2, 0.2, 0.4),  # -1.5 and 0.5
            (0, 50.9, 50.0, np.nan, 0.1),  # none stated, and 0
            (0, 99.0, 99.0, 0.1, 0.1),  # not matched
        ]
    )
    score = score_detections(found, truth, 2)
    ratios = [1, 0, -1.5, 0.5, 0]
    mean = sum(ratios) / 5
    assert score.error_over_stated == pytest.approx(
        np.sqrt(sum((r - mean) ** 2 for r in ratios) / 5)
    )
    assert score.error_over_stated_robust == pytest.approx(1.4826 * 0.5)
    assert score.stated_within_68 == pytest.approx(4 / 5)
    assert score.stated_within_95 == 1
    assert score.matched == 3


def test_right_errors_are_calibrated_and_halved_ones_are_not():
    rng = np.random.default_rng(3)
    n = 20_000
    frame, place = np.divmod(np.arange(n), 100)
    truth = pd.DataFrame({"frame": frame, "x": 20.0 * (place % 10), "y": 20.0 * (place // 10)})
    stated = rng.uniform(0.02, 0.3, (n, 2))
    found = truth.assign(x_error=stated[:, 0], y_error=stated[:, 1])
    found[["x", "y"]] += rng.normal(0, stated)
    right = score_detections(found, truth, 4)
    assert right.error_over_stated == pytest.approx(1, abs=0.02)
    assert right.error_over_stated_robust == pytest.approx(1, abs=0.02)
    assert right.stated_within_68 == pytest.approx(0.6827, abs=0.01)
    assert right.stated_within_95 == pytest.approx(0.95, abs=0.005)
    halved = found.assign(x_error=stated[:, 0] / 2, y_error=stated[:, 1] / 2)
    sure = score_detections(halved, truth, 4)
    assert sure.error_over_stated == pytest.approx(2 * right.error_over_stated)
    # erf(1 / (2 sqrt 2)): within half a standard deviation.
    assert sure.stated_within_68 == pytest.approx(0.3829, abs=0.01)
    # One wrong match in 50 widens the standard deviation, and hardly the robust one.
    found.loc[::50, "x"] += 3.5
    wrong = score_detections(found, truth, 4)
    assert wrong.error_over_stated > 2
    assert wrong.error_over_stated_robust == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("columns", [[], ["x_error"], ["x_error", "y_error"]])
def test_without_stated_errors_there_is_no_calibration(columns):
    truth = table([(0, 10, 10)])
    found = truth.assign(**dict.fromkeys(columns, np.nan))
    score = score_detections(found, truth, 2)
    assert score.f1 == 1
    for name in ("error_over_stated", "error_over_stated_robust", "stated_within_68"):
        assert np.isnan(getattr(score, name))
    assert np.isnan(score.stated_within_95)


def test_errors_over_chosen_positions_count_the_others_all_the_same():
    truth = table([(0, 10, 10), (0, 12, 10), (0, 50, 50)])
    found = table([(0, 10.8, 10), (0, 12.4, 10), (0, 50, 50.1), (0, 80, 80)])
    alone = score_detections(
        found, truth, 2, bound_px=[1.0, 1.0, 0.05], errors_over=isolated(truth, 3)
    )
    assert (alone.matched, alone.found, alone.truth) == (3, 4, 3)
    assert alone.f1 == pytest.approx(6 / 7)
    assert alone.rmse_y_px == pytest.approx(0.1)
    assert alone.bias_px == pytest.approx((0, 0.1))
    assert alone.rmse_over_bound == pytest.approx(np.sqrt(2))
    nothing = score_detections(found, truth, 2, errors_over=np.zeros(3, bool))
    assert nothing.matched == 3
    assert np.isnan(nothing.rmse_px)


def test_scores_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(5)
    truth = pd.DataFrame(rng.uniform(0, 60, (300, 2)), columns=["x", "y"])
    truth["frame"] = rng.integers(0, 4, 300)
    found = truth[rng.random(300) < 0.9].assign(x_error=0.2, y_error=0.3)
    found[["x", "y"]] += rng.normal(0, 0.4, (len(found), 2))
    bound = rng.uniform(0.1, 0.2, 300)
    score = score_detections(found, truth, 2, bound_px=bound)
    order = rng.permutation(300)
    shuffled = score_detections(
        found.sample(frac=1, random_state=0), truth.iloc[order], 2, bound_px=bound[order]
    )
    for name, value in dataclasses.asdict(score).items():
        assert getattr(shuffled, name) == pytest.approx(value), name


def test_bad_tables_say_what_is_wrong():
    good = table([(0, 1, 1)])
    with pytest.raises(LabelError, match="no column y"):
        score_detections(good[["frame", "x"]], good, 2)
    with pytest.raises(LabelError, match="Row 0 of the table of truth"):
        score_detections(good, table([(0, np.nan, 1)]), 2)
    with pytest.raises(ConfigError, match="gate_px"):
        score_detections(good, good, 0)


def test_bad_errors_bounds_and_masks_say_what_is_wrong():
    good = table([(0, 1, 1), (0, 9, 9)])
    with pytest.raises(LabelError, match="Row 1 of the table of found positions states an error"):
        score_detections(good.assign(x_error=[0.1, 0.0], y_error=0.1), good, 2)
    with pytest.raises(LabelError, match="not a number"):
        score_detections(good.assign(x_error="wide", y_error=0.1), good, 2)
    with pytest.raises(LabelError, match=r"Row 1 .* frame 0\.5 is not a whole number"):
        score_detections(good.assign(frame=[0, 0.5]), good, 2)
    with pytest.raises(LabelError, match="twice"):
        score_detections(pd.concat([good, good[["x"]]], axis=1), good, 2)
    for bound, message in [
        (0.0, "positive"),
        ([0.1, np.nan], "positive"),
        ([0.1, 0.1, 0.1], "one for each of the 2"),
        ("small", "hold numbers"),
    ]:
        with pytest.raises(ConfigError, match=message):
            score_detections(good, good, 2, bound_px=bound)
    for mask in (np.array([1, 0]), np.array([True])):
        with pytest.raises(ConfigError, match="True or False for each of the 2"):
            score_detections(good, good, 2, errors_over=mask)


@pytest.mark.parametrize("gate", [-1, np.nan, np.inf, None, "near"])
def test_a_gate_that_is_no_distance_is_refused(gate):
    good = table([(0, 1, 1)])
    with pytest.raises(ConfigError, match="gate_px must be a positive distance in pixels, not"):
        score_detections(good, good, gate)


def test_an_unbiased_fit_reaches_the_bound_of_each_brightness():
    # Errors drawn with the standard deviation of the bound itself, which varies fivefold.
    rng = np.random.default_rng(8)
    bound = rng.choice(localisation_bound_px([200, 800, 2000, 5000], 1.5, 20.0), 4000)
    frame = np.arange(4000)
    truth = pd.DataFrame({"frame": frame, "x": 5.0, "y": 5.0})
    found = truth.copy()
    found[["x", "y"]] += rng.normal(0, bound[:, None], (4000, 2))
    score = score_detections(found, truth, 4, bound_px=bound)
    assert score.rmse_over_bound == pytest.approx(1, abs=0.03)

import numpy as np
import pytest
from scipy import stats

from cloudtrainer.diffusion.contrast import contrast
from cloudtrainer.diffusion.videos import VideoValues, mean_over_videos


def values(*value, error=0.0, positive=True, weight=None, **ends):
    """Return videos whose intervals are normal in the logarithm, or plainly where not positive."""
    value = np.array(value, dtype=float)
    half = 1.959963984540054 * error
    low, high = (
        (value * np.exp(-half), value * np.exp(half)) if positive else (value - half, value + half)
    )
    weight = np.ones(len(value)) if weight is None else np.array(weight, dtype=float)
    return VideoValues(value, low, high, weight, positive, **ends)


def test_the_mean_of_three_videos_by_hand():
    found = mean_over_videos(values(0.4, 0.5, 0.6, weight=[10, 10, 30]))
    assert found.value == pytest.approx(0.5)
    assert found.by_particles == pytest.approx((0.4 + 0.5 + 3 * 0.6) / 5)
    assert found.standard_error == pytest.approx(0.1 / np.sqrt(3))
    # 4.302653: the 97.5% quantile of Student's t with 2 degrees of freedom.
    half = 4.302653 * 0.2 / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.5 * np.exp(-half), 0.5 * np.exp(half)))
    assert found.between == pytest.approx(0.2)
    assert (found.videos, "3 videos" in found.interval) == (3, True)


def test_videos_that_agree_by_chance_do_not_make_the_particles_more_certain():
    found = mean_over_videos(values(0.5, 0.5, 0.5, error=0.1))
    assert found.standard_error == pytest.approx(0.05 / np.sqrt(3))
    assert found.high / found.value == pytest.approx(np.exp(1.96 * 0.1 / np.sqrt(3)), rel=1e-4)
    assert found.between == 0


def test_one_video_keeps_its_own_interval_and_none_has_none():
    found = mean_over_videos(values(0.5, error=0.1))
    assert (found.low, found.high) == pytest.approx(
        (0.5 * np.exp(-0.196), 0.5 * np.exp(0.196)), rel=1e-4
    )
    assert np.isnan(found.between)
    assert "the one video" in found.interval
    assert np.isnan(mean_over_videos(values()).value)


def test_an_interval_that_reaches_zero_is_not_made_in_logarithms():
    videos = VideoValues(np.array([0.01, 0.02, 0.06]), np.array([0.0, 0.01, 0.05]),
                         np.array([0.02, 0.03, 0.07]), np.ones(3), lowest=0.0)  # fmt: skip
    assert not videos.logarithmic
    found = mean_over_videos(videos)
    assert found.low == 0
    assert found.high == pytest.approx(0.03 + 4.302653 * np.std([1, 2, 6], ddof=1) / 100 / 3**0.5)
    assert contrast(videos, values(0.4, 0.5, 0.6)).kind == "difference"


@pytest.mark.parametrize(
    ("value", "low"),
    [((0.01, -0.02, 0.06), (0.005, -0.05, 0.05)), ((0.01, 0.02, 0.06), (0, 0.01, 0.05))],
)
@pytest.mark.parametrize("number", [1, 3])
def test_no_ratio_is_given_where_a_value_may_be_zero_and_the_reason_is_said(value, low, number):
    doubtful = VideoValues(np.array(value[-number:]), np.array(low[:number], float),
                           np.array([0.02, 0.03, 0.07])[:number], np.ones(number))  # fmt: skip
    low_first = VideoValues(doubtful.value, np.minimum(doubtful.low, 0.0), doubtful.high + 0.1,
                            doubtful.weight)  # fmt: skip
    clear = values(0.4, 0.5, 0.6, error=0.05)
    for pair in ((low_first, clear), (clear, low_first)):
        found = contrast(*pair)
        assert found.kind == "difference"
        assert found.reason.startswith("no ratio, for in ")
        assert "reaches 0" in found.reason
        assert np.isfinite(found.p_value) == (number == 3)
    # alpha may be 0 or less: its difference needs no excuse.
    plain = values(0.9, 1.0, 1.1, error=0.02, positive=False)
    assert contrast(plain, plain).reason == ""


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_an_interval_with_one_end_is_not_taken_for_exact(end, unknown):
    whole = values(0.4, 0.5, 0.6, error=0.05)
    ends = {name: getattr(whole, name).copy() for name in ("low", "high")}
    ends[end][1] = unknown if end == "high" else -unknown
    opened = VideoValues(whole.value, ends["low"], ends["high"], whole.weight)
    found = contrast(opened, values(0.2, 0.25, 0.3, error=0.05))
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert "open at one end" in found.reason
    mean = mean_over_videos(opened)
    assert mean.value == pytest.approx(0.5)
    assert np.isnan([mean.low, mean.high, mean.standard_error]).all()
    assert "open" in mean.interval


def test_a_fraction_stays_between_0_and_1():
    found = mean_over_videos(values(0.9, 0.99, error=0.02, positive=False, lowest=0.0, highest=1.0))
    assert found.high == 1.0
    few = values(0.0, 0.05, error=0.02, positive=False, lowest=0.0, highest=1.0)
    assert mean_over_videos(few).low == 0.0


def test_the_test_between_conditions_is_welchs_of_logarithms():
    first, second = [0.41, 0.52, 0.47], [0.30, 0.25, 0.36, 0.31]
    found = contrast(values(*first), values(*second))
    expected = stats.ttest_ind(np.log(first), np.log(second), equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.degrees_of_freedom == pytest.approx(expected.df)
    ends = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(np.exp([ends.low, ends.high])))
    ratio = stats.gmean(first) / stats.gmean(second)
    assert (found.kind, found.value) == ("ratio", pytest.approx(ratio))
    swapped = contrast(values(*second), values(*first))
    assert swapped.p_value == pytest.approx(found.p_value)
    assert swapped.low == pytest.approx(1 / found.high)


def test_the_particles_uncertainty_is_a_floor_of_the_test():
    first, second = values(0.5, 0.5001, 0.4999, error=0.3), values(0.6, 0.6001, 0.5999, error=0.3)
    found = contrast(first, second)
    z = np.log(1.2) / np.sqrt(2 * 0.3**2 / 3)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(z), rel=1e-3)
    assert found.low < 1 < found.high


def test_the_interval_excludes_equality_just_where_p_is_below_5_percent():
    rng = np.random.default_rng(3)
    for _ in range(200):
        sides = [
            values(*np.exp(rng.normal(shift, 0.1, 3)), error=rng.uniform(0, 0.2))
            for shift in (0.0, 0.25)
        ]
        found = contrast(*sides)
        assert (found.p_value < 0.05) == (not found.low <= 1 <= found.high)


@pytest.mark.parametrize(("numbers", "interval"), [((1, 5), False), ((2, 5), True), ((2, 2), True)])
def test_below_three_videos_there_is_no_p_value_and_a_sentence_why(numbers, interval):
    rng = np.random.default_rng(0)
    sides = [values(*rng.uniform(0.3, 0.5, number), error=0.05) for number in numbers]
    found = contrast(*sides)
    assert np.isnan(found.p_value)
    assert "three" in found.reason
    assert np.isfinite(found.low) == interval
    assert np.isfinite(found.value)


def test_a_condition_without_videos_has_no_ratio():
    found = contrast(values(), values(0.4, 0.5, 0.6))
    assert np.isnan(found.value)
    assert "no video" in found.reason


@pytest.mark.parametrize("between", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("number", [2, 3, 5, 10])
def test_the_interval_holds_the_truth(number, between):
    rng = np.random.default_rng((7, number, round(100 * between)))
    held = 0
    for _ in range(1000):
        D = np.exp(rng.normal(-(between**2) / 2, between, number) + rng.normal(0, 0.05, number))
        found = mean_over_videos(values(*D, error=0.05))
        held += found.low <= 1 <= found.high
    # Of 1000 a coverage of 95% gives fewer than 925 once in 3000 times.
    assert held > 920


def test_alike_conditions_are_told_apart_in_one_of_twenty_at_most():
    rng = np.random.default_rng(8)
    found = [
        contrast(*(values(*np.exp(rng.normal(0, 0.2, 3)), error=0.05) for _ in range(2))).p_value
        for _ in range(1000)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.07

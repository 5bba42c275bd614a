import math

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    calculate_msd,
    check_model,
    check_time_scales,
    estimate_anomalous,
    estimate_diffusion,
    fit_diffusion_models,
    mean_squared_displacement,
)
from cloudtrainer.diffusion.steps import longest_runs, steps_of
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError


def straight(frames: list[int], particle: int = 7) -> pd.DataFrame:
    frame = np.array(frames)
    return pd.DataFrame({"particle": particle, "frame": frame, "x": 2.0 * frame, "y": -1.0 * frame})


def test_unsorted_rows_and_tracks_of_one_point():
    tracks = pd.concat([straight([3, 0, 1]), straight([5], particle=2)])
    arrays = track_arrays(tracks)
    assert arrays.particle.tolist() == [2, 7]
    assert arrays.frame.tolist() == [5, 0, 1, 3]
    steps = steps_of(arrays)
    assert steps.particle.tolist() == [7]
    assert steps.gap.tolist() == [1, 2]
    assert steps.displacement.tolist() == [[2.0, -1.0], [4.0, -2.0]]


def test_a_stride_gives_all_phases():
    steps = steps_of(track_arrays(straight([0, 1, 2, 3, 4, 6])), stride=2)
    # Phase 0: frames 0, 2, 4, 6; phase 1: frames 1, 3.
    assert np.diff(steps.start).tolist() == [3, 1]
    assert steps.gap.tolist() == [1, 1, 1, 1]
    assert steps.displacement[:, 0].tolist() == [4.0, 4.0, 4.0, 4.0]
    assert steps.owner.tolist() == [0, 0]


def test_some_of_the_tracks_keep_their_rows_and_their_distance_to_the_border():
    tracks = pd.concat([straight([0, 1, 2], particle=n) for n in (3, 5, 9)])
    arrays = track_arrays(tracks.assign(to_border_px=np.arange(9.0)))
    some = arrays.only(np.array([0, 2]))
    assert some.particle.tolist() == [3, 9]
    assert some.start.tolist() == [0, 3, 6]
    assert some.frame.tolist() == [0, 1, 2, 0, 1, 2]
    assert some.position[3:].tolist() == arrays.position[6:].tolist()
    assert some.to_border.tolist() == [0, 1, 2, 6, 7, 8]


def test_the_longest_gap_free_run_is_that_of_any_phase():
    tracks = pd.concat([straight([0, 1, 3, 4, 5, 9]), straight([0, 2, 4, 6], particle=8)])
    assert longest_runs(steps_of(track_arrays(tracks))).tolist() == [2, 0]
    assert longest_runs(steps_of(track_arrays(tracks), stride=2)).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="y"), ["'y'"]),
        (lambda t: t.assign(x=["1", "two", "3"]), ["'x'", "row 1", "two"]),
        (lambda t: t.assign(y=[0.0, 1.0, np.nan]), ["'y'", "row 2", "particle 7", "frame 2"]),
        (lambda t: t.assign(x=[0.0, np.inf, 1.0]), ["'x'", "row 1", "inf"]),
        (lambda t: t.assign(frame=[0.0, 1.5, 2.0]), ["'frame'", "row 1", "1.5"]),
        (lambda t: t.assign(frame=[0, 1, 1]), ["particle 7", "frame 1", "two positions"]),
        (lambda t: t.assign(particle=[7.0, np.nan, 7.0]), ["'particle'", "row 1"]),
        (lambda t: t.assign(frame=[0, 1, 10**9]), ["'frame'", "1000000000", "not times"]),
        (lambda t: t.assign(frame=[0, 1, 2**60]), ["'frame'", "not times"]),
        (lambda t: t.assign(x=[0.0, 1e200, 1.0]), ["1e+200 px", "outside"]),
        (lambda t: pd.concat([t, t[["x"]]], axis=1), ["'x'", "twice"]),
        (lambda t: pd.concat([t, t[["particle"]]], axis=1), ["'particle'", "twice"]),
        (lambda t: t.to_numpy(), ["ndarray", "DataFrame"]),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda t: estimate_diffusion(t, 0.1, 0.1),
        lambda t: estimate_anomalous(t, 0.1, 0.1),
        mean_squared_displacement,
        check_model,
        calculate_msd,
    ],
)
def test_bad_tables_are_named(function, change, words):
    with pytest.raises(LabelError) as caught:
        function(change(straight([0, 1, 2])))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"frame_interval_s": 0.0}, "frame_interval_s"),
        ({"frame_interval_s": float("nan")}, "frame_interval_s"),
        ({"pixel_size_um": -0.1}, "pixel_size_um"),
        ({"exposure_s": 0.2}, "longer than the frame interval"),
        ({"exposure_s": -0.01}, "exposure_s"),
        ({"exposure_s": 0.05, "frame_interval_s": None}, "without frame_interval_s"),
        ({"exposure_s": 0.0, "localisation_error_um": -1.0}, "localisation_error_um"),
        ({"localisation_error_um": 0.02}, "without exposure_s"),
    ],
)
@pytest.mark.parametrize("function", [estimate_diffusion, estimate_anomalous])
def test_bad_calibration(function, arguments, words):
    known = {"frame_interval_s": 0.1, "pixel_size_um": 0.1} | arguments
    with pytest.raises(CalibrationError, match=words):
        function(straight([0, 1, 2]), **known)


@pytest.mark.parametrize(
    "arguments", [{"stride": 0}, {"stride": 1.5}, {"method": "wls"}, {"interval": "none"}]
)
def test_bad_settings(arguments):
    with pytest.raises(ConfigError):
        estimate_diffusion(straight([0, 1, 2]), 0.1, 0.1, **arguments)


def walk(frames: list[int], particle: int = 0, seed: int = 0) -> pd.DataFrame:
    position = np.random.default_rng(seed).normal(size=(len(frames), 2)).cumsum(axis=0)
    return pd.DataFrame(
        {"particle": particle, "frame": frames, "x": position[:, 0], "y": position[:, 1]}
    )


def test_the_order_of_rows_does_not_matter():
    tracks = pd.concat([walk(list(range(30)), p, p) for p in range(5)], ignore_index=True)
    mixed = tracks.sample(frac=1, random_state=3)
    assert estimate_diffusion(tracks, 0.1, 0.1) == estimate_diffusion(mixed, 0.1, 0.1)
    # These hold NaN where there is nothing to tell, which equals nothing.
    assert repr(estimate_anomalous(tracks, 0.1, 0.1)) == repr(estimate_anomalous(mixed, 0.1, 0.1))
    assert repr(check_model(tracks)) == repr(check_model(mixed))
    pd.testing.assert_series_equal(calculate_msd(tracks), calculate_msd(mixed))


def test_tracks_of_one_or_two_points_do_not_spoil_the_others():
    tracks = pd.concat([walk(list(range(40)), p, p) for p in range(4)], ignore_index=True)
    more = pd.concat([tracks, walk([3], 8), walk([3, 4], 9)], ignore_index=True)
    alone, together = (estimate_diffusion(t, 0.1, 0.1) for t in (tracks, more))
    # Two points more of 160 move D little; one point alone is no displacement.
    assert together.value == pytest.approx(alone.value, rel=0.05)
    assert (alone.particles, together.particles) == (4, 5)
    rows = estimate_diffusion(more, 0.1, 0.1, per_track=True).set_index("particle")
    assert rows.index.tolist() == [0, 1, 2, 3, 9]
    assert rows.loc[9, "reason"] == "fewer than three positions"
    assert np.isnan(rows.loc[9, "D"])
    second = estimate_diffusion(more, 0.1, 0.1, method="cve")
    assert np.isfinite([second.value, second.low, second.high, second.standard_error]).all()


def test_draws_of_the_bootstrap_that_hold_no_neighbouring_displacements_are_left_out():
    tracks = pd.concat([walk(list(range(40))), walk([3, 4], 9)])
    found = estimate_diffusion(tracks, 0.1, 0.1, method="cve")
    assert np.isfinite([found.low, found.high, found.standard_error]).all()
    assert found.low < found.value < found.high


def test_a_gap_longer_than_the_track_is_a_gap(brownian_tracks):
    """Particles of D = 0.5 seen in 8 frames, lost for 500, and seen in 8 more."""
    dt, pixel = 1 / 30, 0.1
    tracks = brownian_tracks(np.random.default_rng(4), 150, 516)
    seen = tracks[(tracks["frame"] < 8) | (tracks["frame"] >= 508)]
    found = estimate_diffusion(seen, dt, pixel)
    assert abs(found.value - 0.5) < 3 * found.standard_error
    assert found.standard_error < 0.04
    assert np.isfinite(estimate_anomalous(seen, dt, pixel).alpha.value)
    msd = mean_squared_displacement(seen)
    there = np.r_[0:7, 500:515]
    assert np.isfinite(msd.ensemble[there]).all()
    assert np.isnan(np.delete(msd.ensemble, there)).all()
    assert all(check.sentence for check in check_model(seen))


@pytest.mark.parametrize("known", [{}, {"exposure_s": 0.0, "localisation_error_um": 0.0}])
@pytest.mark.filterwarnings("error")
def test_particles_that_never_move_have_no_estimate_and_a_reason(known):
    still = pd.concat([straight(list(range(9)), p).assign(x=3.0 * p, y=4.0) for p in (1, 2)])
    found = estimate_diffusion(still, 0.1, 0.1, **known)
    anomalous = estimate_anomalous(still, 0.1, 0.1, **known)
    for estimate in (found, anomalous.alpha, anomalous.K):
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
        assert "exactly zero" in str(estimate.reason)
    for table in (
        estimate_diffusion(still, 0.1, 0.1, **known, per_track=True),
        estimate_anomalous(still, 0.1, 0.1, **known, per_track=True),
    ):
        assert table["reason"].str.contains("exactly zero").all()
        assert (
            table.drop(columns=["particle", "displacements", "unit", "reason"])
            .isna()
            .to_numpy()
            .all()
        )
    assert mean_squared_displacement(still).ensemble.tolist() == [0.0] * 8
    legacy = fit_diffusion_models(calculate_msd(still))
    assert np.isnan([legacy["D"], legacy["alpha"]]).all()
    assert legacy["motion_type"] == "Undetermined"
    assert not any(check.failed for check in check_model(still))


@pytest.mark.parametrize("method", ["mle", "cve"])
def test_positions_along_one_line_give_no_half_D(method):
    tracks = pd.concat([walk(list(range(40)), p, p) for p in range(4)]).assign(y=7.0)
    for estimate in (
        estimate_diffusion(tracks, 0.1, 0.1, method=method),
        estimate_anomalous(tracks, 0.1, 0.1).alpha,
    ):
        assert np.isnan(estimate.value)
        assert "along y is exactly zero" in str(estimate.reason)
    rows = estimate_diffusion(tracks, 0.1, 0.1, method=method, per_track=True)
    assert rows["D"].isna().all()
    assert set(rows["reason"]) == {"every displacement along one axis is exactly zero"}


@pytest.mark.parametrize("method", ["mle", "cve"])
def test_copies_of_one_track_do_not_pretend_to_agree(method):
    copies = pd.concat([walk(list(range(40))).assign(particle=p) for p in range(4)])
    found = estimate_diffusion(copies, 0.1, 0.1, method=method)
    assert found.interval == "model (the particles do not scatter)"
    assert found.high - found.low > 0.2 * found.value
    alpha = estimate_anomalous(copies, 0.1, 0.1).alpha
    assert alpha.interval == "model (the particles do not scatter)"
    assert alpha.high - alpha.low > 0.1


@pytest.mark.parametrize("function", [estimate_diffusion, estimate_anomalous])
def test_a_known_error_of_zero_is_a_value(function):
    tracks = pd.concat([walk(list(range(40)), p, p) for p in range(6)])

    def number(**known):
        found = function(tracks, 0.1, 0.1, exposure_s=0.0, **known)
        return found if function is estimate_diffusion else found.alpha

    zero, unknown = number(localisation_error_um=0.0), number()
    assert zero.localisation_error == 0.0
    assert zero.model_standard_error < 0.9 * unknown.model_standard_error
    # No noise, no blur: D is a quarter of the mean square over the time.
    if function is estimate_diffusion:
        steps = tracks.groupby("particle")[["x", "y"]].diff().dropna().to_numpy() * 0.1
        assert zero.value == pytest.approx((steps**2).sum(axis=1).mean() / (4 * 0.1), rel=1e-3)


@pytest.mark.parametrize("bad", ["0.1", math.nan, math.inf, True, 1e308, 10**400])
def test_what_is_no_number_is_refused(bad):
    tracks = walk(list(range(30)), 0, 0)
    with pytest.raises(CalibrationError, match="frame_interval_s is"):
        estimate_diffusion(tracks, bad, 0.1)
    with pytest.raises(ConfigError, match="stride is"):
        estimate_diffusion(tracks, 0.1, 0.1, stride=bad)
    if bad not in (True, 1e308):
        with pytest.raises(ConfigError, match="time scale"):
            check_time_scales([bad])
    with pytest.raises(ConfigError, match="give a list"):
        check_time_scales(1.0)

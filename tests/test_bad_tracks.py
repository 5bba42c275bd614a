"""Every public function of diffusion, tracking and evaluation with tables and numbers that are bad.

Each must answer, or raise an error of the package in words: nothing else, and no warning of NumPy.
Where an estimate is NaN it must say why.
"""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import diffusion, evaluation, tracking
from cloudtrainer.errors import CalibrationError, CloudTrainerError, ConfigError, LabelError
from cloudtrainer.report import methods_text

pytestmark = pytest.mark.filterwarnings("error")

DT, PIXEL = 1 / 30, 0.1
PARTICLES, FRAMES = 13, 16


def walk():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 200, (PARTICLES, 1, 2)) + rng.normal(size=(PARTICLES, FRAMES, 2)).cumsum(1)
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(PARTICLES), FRAMES),
            "frame": np.tile(np.arange(FRAMES), PARTICLES),
            "x": xy[:, :, 0].ravel(),
            "y": xy[:, :, 1].ravel(),
            "probability": 0.9,
            "intensity": rng.uniform(1, 2, PARTICLES * FRAMES),
            "x_error": 0.1,
            "y_error": 0.1,
        }
    )


GOOD = walk()


def holding(column, value):
    table = GOOD.astype({column: object})
    table.loc[3, column] = value
    return table


# Tables that cannot be: an error of words. Without "particle" some functions can still use them.
REFUSED = {
    "duplicated frame": pd.concat([GOOD, GOOD.head(1)]),
    "NaN": holding("x", np.nan),
    "infinite": holding("y", np.inf),
    "text": holding("x", "left"),
    "empty cell": holding("y", None),
    "no frame": holding("frame", np.nan),
    "half a frame": holding("frame", 0.5),
    "a time for a frame": holding("frame", 1_700_000_000),
    "far away": holding("x", 1e300),
    "complex": GOOD.assign(x=GOOD["x"] + 1j),
    "no column x": GOOD.drop(columns="x"),
    "column x twice": pd.concat([GOOD, GOOD[["x"]]], axis=1),
    "a list": [[0, 0, 1.0, 2.0]],
    "nothing": None,
    "a file name": "tracks.csv",
    "an array": np.zeros((5, 4)),
}
# Tables that are odd, but can be: an answer, or a reason.
ODD = {
    "one point each": GOOD[GOOD["frame"] == 0],
    "one row": GOOD.head(1),
    "two points each": GOOD[GOOD["frame"] < 2],
    "empty": GOOD.iloc[:0],
    "one particle": GOOD[GOOD["particle"] == 0],
    "a gap longer than the track": GOOD[GOOD["frame"].isin([0, FRAMES - 1])],
    "every second frame": GOOD[GOOD["frame"] % 2 == 0],
    "not moving": GOOD.assign(x=5.0, y=7.0),
    "on a line": GOOD.assign(y=7.0),
    "copies of a track": pd.concat(
        [GOOD[GOOD["particle"] == 0].assign(particle=number) for number in range(PARTICLES)]
    ),
    "tiny steps": GOOD.assign(x=GOOD["x"] * 1e-12, y=GOOD["y"] * 1e-12),
    "numbers as text": GOOD.astype({"frame": str, "x": str, "y": str}),
}
# Two detections may lie in a frame; and where no time is asked about, frames may be far apart.
ONLY_OF_TRACKS = {"duplicated frame", "a time for a frame"}

# Estimates of single particles, made up, because their fits take most of the time.
ESTIMATES = pd.DataFrame({"particle": np.arange(PARTICLES)}).assign(
    D=1.0, D_low=0.5, D_high=2.0, alpha=1.0, alpha_low=0.8, alpha_high=1.2
)
SCALE = {"frame_interval_s": DT, "pixel_size_um": PIXEL}
# A function of a table (`also`: of another table as well), and what it is called with.
CALLS = {
    diffusion.alpha_spread: {**SCALE, "exposure_s": DT, "seed": 0},
    diffusion.calculate_msd: {},
    diffusion.check_model: {"frame_interval_s": DT},
    diffusion.classify_motion: SCALE,
    diffusion.diffusion_spread: {**SCALE, "exposure_s": DT, "seed": 0},
    diffusion.displacement_correlations: {"longest_lag": 5},
    diffusion.displacement_distribution: {"lag": 1, **SCALE},
    diffusion.estimate_anomalous: {**SCALE, "exposure_s": DT, "localisation_error_um": 0.0},
    diffusion.estimate_diffusion: {**SCALE, "exposure_s": DT, "localisation_error_um": 0.0},
    diffusion.mean_squared_displacement: {"max_lag": 5, **SCALE},
    diffusion.mobility: {
        **SCALE, "time_scales_s": (0.1,), "reference_s": 0.1, "localisation_error_um": 0.0,
        "temperature_K": 300.0, "particle_radius_um": 0.1, "viscosity_Pa_s": 1e-3,
        "estimates": ESTIMATES,
    },
    diffusion.non_gaussian_parameter: {"lags": [1], "frame_interval_s": DT},
    diffusion.with_distance_to_border: {"width_px": 100, "height_px": 100},
    diffusion.shear_moduli: {
        **SCALE, "temperature_K": 300.0, "radius_um": 0.5, "exposure_s": DT,
        "offset_error_um2": 0.0,
    },
    tracking.filter_tracks: {"min_mean_probability": 0.1, "min_median_intensity": 0.1},
    tracking.link_detections: {"search_range": None, "memory": 1, "min_track_frames": 2},
    tracking.track_particles: {"search_range": 5.0, "memory": 1, "min_track_frames": 2},
    tracking.join_smeared: {"search_range": 5.0},
    tracking.gap_steps: {},
    tracking.missed_while_moving: {},
    tracking.nearest_neighbour_px: {},
    tracking.search_range_scan: {"value_px": 5.0, "factors": [1.0]},
    tracking.static_specks: {"radius_px": 1.0, "n_frames": FRAMES},
    tracking.subtract_drift: {},
    tracking.suggest_search_range: {"memory": 1},
    evaluation.isolated: {"distance_px": 3.0},
    evaluation.match_detections: {"gate_px": 3.0},
    evaluation.score_detections: {"gate_px": 3.0, "bound_px": 0.1},
    evaluation.score_tracks: {"gate_px": 3.0},
}  # fmt: skip
ALSO = {
    evaluation.match_detections: "truth",
    evaluation.score_detections: "truth",
    evaluation.score_tracks: "truth",
    diffusion.check_model: "in_place",
    diffusion.shear_moduli: "stuck",
}
OF_DETECTIONS = {
    tracking.link_detections, tracking.track_particles, tracking.search_range_scan,
    tracking.static_specks, tracking.suggest_search_range, tracking.filter_tracks,
    tracking.gap_steps, tracking.missed_while_moving, tracking.subtract_drift,
    tracking.nearest_neighbour_px,
    tracking.join_smeared,
    evaluation.isolated,
    evaluation.match_detections, evaluation.score_detections, evaluation.score_tracks,
}  # fmt: skip
NUMBERS = {
    "negative": -1.0, "zero": 0, "NaN": np.nan, "infinite": np.inf, "text": "abc", "True": True,
    "an empty list": [], "complex": 1j, "huge": 1e300, "half": 0.5, "an array": np.ones(2),
    "of 400 digits": 10**400, "texts": ["a"], "negatives": [-1], "None": None,
}  # fmt: skip
# What is no number at all and never a value of any setting.
NEVER = {"complex", "of 400 digits"}


def tables_of(function, table):
    """Return the calls in which the bad table is each of the function's tables."""
    known = CALLS[function]
    other = ALSO.get(function)
    if other is None:
        return [((table,), known)]
    first = ((table,), {**known, other: GOOD} if other == "truth" else known)
    return [first, ((GOOD,), {**known, other: table})]


def explained(answer):
    """Assert that what has no value says why."""
    if isinstance(answer, diffusion.AnomalousEstimate):
        explained(answer.alpha)
        explained(answer.K)
    elif isinstance(answer, diffusion.Estimate | diffusion.DiffusionSpread | diffusion.AlphaSpread):
        assert np.isfinite(answer.value) or answer.reason
        assert not answer.low > answer.high
    elif isinstance(answer, pd.DataFrame) and "reason" in answer:
        name = next(column for column in ("D", "alpha", "motion_model") if column in answer)
        unknown = answer[name].isna() | (answer[name] == "undetermined")
        assert (answer["reason"][unknown] != "").all()


def in_words(error):
    text = str(error)
    assert len(text) > 20
    assert "\n" not in text


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_a_table_that_cannot_be_is_refused(function):
    for name, table in REFUSED.items():
        if name in ONLY_OF_TRACKS and function in OF_DETECTIONS:
            continue
        for args, known in tables_of(function, table):
            if known.get("stuck", GOOD) is None or known.get("in_place", GOOD) is None:
                continue
            with pytest.raises(LabelError) as caught:
                function(*args, **known)
            in_words(caught.value)


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_an_odd_table_gives_an_answer_or_a_reason(function):
    for table in ODD.values():
        for args, known in tables_of(function, table):
            try:
                answer = function(*args, **known)
            except CloudTrainerError as error:
                in_words(error)
            else:
                explained(answer)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(
    "function",
    [diffusion.estimate_diffusion, diffusion.estimate_anomalous, diffusion.classify_motion],
    ids=lambda function: function.__name__,
)
def test_single_tracks_of_an_odd_table_have_a_value_or_a_reason(function, name):
    explained(function(ODD[name], DT, PIXEL, per_track=True))
    explained(function(ODD[name], DT, PIXEL, DT, 0.0, per_track=True))
    if function is diffusion.estimate_diffusion:
        explained(function(ODD[name], DT, PIXEL, method="cve"))
        explained(function(ODD[name], DT, PIXEL, method="cve", per_track=True))


@pytest.mark.parametrize(
    "function", [f for f in CALLS if f is not diffusion.classify_motion],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_in_words(function):
    tables = 2 if ALSO.get(function) == "truth" else 1
    for name in list(inspect.signature(function).parameters)[tables:]:
        if name in ("stuck", "in_place", "per_track", "errors_over", "limits", "estimates"):
            continue
        for what, value in NUMBERS.items():
            known = {**CALLS[function], name: value}
            try:
                answer = function(*[GOOD] * tables, **known)
            except CloudTrainerError as error:
                in_words(error)
            else:
                assert what not in NEVER or name == "seed", f"{name} was {what}"
                explained(answer)


def test_rows_in_any_order_give_the_same_numbers():
    mixed = GOOD.sample(frac=1, random_state=1)
    for function in (diffusion.estimate_diffusion, diffusion.diffusion_spread):
        assert function(mixed, DT, PIXEL).value == function(GOOD, DT, PIXEL).value
    known = tracking.subtract_drift(GOOD, "mean").tracks
    pd.testing.assert_frame_equal(tracking.subtract_drift(mixed, "mean").tracks.sort_index(), known)


@pytest.mark.parametrize("function", [diffusion.estimate_diffusion, diffusion.estimate_anomalous])
@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        ((-DT, PIXEL), "frame_interval_s"),
        ((DT, -PIXEL), "pixel_size_um"),
        ((0.0, PIXEL), "frame_interval_s"),
        ((DT, PIXEL, 2 * DT), "longer than the frame interval"),
        ((DT, PIXEL, -DT), "exposure_s"),
        ((None, PIXEL, DT), "without frame_interval_s"),
        ((DT, None, DT, 0.0), "without pixel_size_um"),
        ((DT, PIXEL, None, 0.0), "without exposure_s"),
        ((DT, PIXEL, DT, -0.01), "localisation_error_um"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(function, calibration, said):
    with pytest.raises(CalibrationError, match=said):
        function(GOOD, *calibration)


def test_a_known_localisation_error_of_0_is_a_value():
    known = diffusion.estimate_diffusion(GOOD, DT, PIXEL, 0.0, 0.0)
    free = diffusion.estimate_diffusion(GOOD, DT, PIXEL, 0.0)
    assert known.localisation_error == 0
    assert known.offset == 0
    assert free.offset != 0
    assert known.model_standard_error < free.model_standard_error


@pytest.mark.parametrize(
    "call",
    [
        lambda: diffusion.diffusion_bound([], 1.0, 0.01, DT),
        lambda: diffusion.diffusion_bound([1], 1.0, 0.01, DT),
        lambda: diffusion.diffusion_bound([2.5], 1.0, 0.01, DT),
        lambda: diffusion.diffusion_bound("many", 1.0, 0.01, DT),
        lambda: diffusion.diffusion_bound([9], -1.0, 0.01, DT),
        lambda: diffusion.diffusion_bound([9], 1.0, np.nan, DT),
        lambda: diffusion.diffusion_bound([9], 1.0, 0.01, 0.0),
        lambda: diffusion.diffusion_bound([9], 1.0, 0.01, DT, 2 * DT),
        lambda: diffusion.motion_type(None),
        lambda: diffusion.motion_type(GOOD),
        lambda: diffusion.stokes_einstein(0.5, 300.0, radius_um=1.0),
        lambda: diffusion.stokes_einstein(
            diffusion.estimate_diffusion(GOOD, None, None), 300.0, radius_um=1.0
        ),
        lambda: diffusion.free_diffusion(-3.0, 0.1, 1e-3),
        lambda: diffusion.free_diffusion(300.0, "small", 1e-3),
        lambda: diffusion.fit_diffusion_models([1.0, 2.0]),
        lambda: diffusion.fit_diffusion_models(pd.Series(["a"])),
        lambda: diffusion.mobility(GOOD, DT, PIXEL, limits="narrow"),
        lambda: diffusion.mobility(GOOD, DT, PIXEL, estimates=GOOD),
        lambda: diffusion.check_time_scales(1.0),
        lambda: diffusion.shear_moduli(
            GOOD, DT, PIXEL, temperature_K=300.0, radius_um=0.5, stuck=ODD["one point each"]
        ),
        lambda: tracking.subtract_drift(REFUSED["a time for a frame"]),
        lambda: tracking.search_range_warning(GOOD),
        lambda: tracking.search_range_warning(None),
        lambda: tracking.number_frames("abc"),
        lambda: tracking.number_frames([]),
        lambda: tracking.number_frames([0.0, np.nan]),
        lambda: tracking.number_frames([1.0, 0.0]),
        lambda: tracking.link_parquet("nowhere.parquet", "tracks.parquet"),
        lambda: tracking.link_parquet("nowhere.parquet", "tracks.parquet", memory="long"),
        lambda: evaluation.localisation_bound_px("many", 1.0, 1.0),
        lambda: evaluation.localisation_bound_px(100.0, np.nan, 1.0),
        lambda: evaluation.localisation_bound_px(100.0, 1.0, 1.0, "loud"),
        lambda: evaluation.localisation_bound_px([1.0, 2.0], [1.0, 2.0, 3.0], 1.0),
        lambda: methods_text({}),
        lambda: methods_text(None),
        lambda: methods_text({"videos": [1]}),
        lambda: methods_text(
            {name: {} for name in ("measured", "calibration", "config", "video")}
        ),
    ],
)  # fmt: skip
def test_what_else_cannot_be_is_refused_in_words(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CloudTrainerError) as caught:
        call()
    in_words(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_every_public_function_is_tried():
    public = {
        getattr(room, name)
        for room in (diffusion, tracking, evaluation)
        for name in room.__all__
        if inspect.isfunction(getattr(room, name))
    }
    others = {
        diffusion.diffusion_bound, diffusion.motion_type, diffusion.stokes_einstein,
        diffusion.free_diffusion, diffusion.fit_diffusion_models, diffusion.check_time_scales,
        tracking.search_range_warning, tracking.number_frames, tracking.link_parquet,
        tracking.search_range_doubts, evaluation.localisation_bound_px,
    }  # fmt: skip
    assert public == set(CALLS) | others


def test_limits_of_transport_that_cannot_be_are_refused():
    limits = diffusion.TransportLimits()
    for change in ({"immobile_um": -1.0}, {"hindered_below": 1.2}, {"slope_immobile": 5.0},
                   {"active_above": "much"}):  # fmt: skip
        with pytest.raises(ConfigError):
            replace(limits, **change)

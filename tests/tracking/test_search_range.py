import numpy as np
import pandas as pd
import pytest
from brownian import detections

from cloudtrainer.errors import LabelError
from cloudtrainer.tracking import (
    SearchRange,
    nearest_neighbour_px,
    search_range_doubts,
    search_range_scan,
    search_range_warning,
    suggest_search_range,
    track_particles,
)

HARD = {"stuck": 0.3, "false": 0.1, "missed": 0.1}


@pytest.mark.parametrize(
    ("particles", "step_sd", "trouble"),
    [
        (50, 0.3, HARD),
        (50, 1.0, HARD),
        (50, 3.0, HARD),
        (200, 0.3, {}),
        (200, 1.0, HARD),
        (200, 1.6, HARD),
        (500, 0.3, HARD),
        (500, 1.0, HARD),
        (1000, 0.3, HARD),
        (1000, 0.7, {}),
    ],
)
def test_range_is_4_3_to_6_5_standard_deviations_of_the_true_steps(particles, step_sd, trouble):
    table = detections(particles=particles, step_sd=step_sd, seed=particles, **trouble)
    suggested = suggest_search_range(table)
    true_sd = np.hypot(step_sd, np.sqrt(2) * 0.15)
    assert 4.3 < suggested.value_px / true_sd < 6.5
    assert suggested.step_sd_px == pytest.approx(true_sd, rel=0.1)
    assert suggested.warnings == ()


def test_the_nearest_neighbour_distance_is_that_of_random_positions():
    found = detections(particles=400, step_sd=0.5)
    expected = pytest.approx(np.sqrt(np.log(2) / np.pi / 400) * 512, rel=0.05)
    assert suggest_search_range(found).nearest_neighbour_px == expected
    assert nearest_neighbour_px(found) == expected
    assert nearest_neighbour_px(found.iloc[:1]) == np.inf


def test_a_flow_as_fast_as_the_steps_is_covered():
    table = detections(particles=100, step_sd=1.0, flow=(2.0, -1.0), missed=0.1)
    suggested = suggest_search_range(table)
    assert suggested.flow_px == pytest.approx((2.0, -1.0), abs=0.1)
    assert suggested.step_sd_px == pytest.approx(np.hypot(1, 0.21), rel=0.1)
    assert suggested.value_px > np.hypot(2, 1) + 4.3


@pytest.mark.parametrize("flow", [0.0, 0.08, 3.0])
def test_the_reason_says_the_range_that_is_suggested(flow):
    suggested = suggest_search_range(
        detections(particles=20, step_sd=1.0, frames=100, flow=(flow, 0.0))
    )
    assert suggested.reason.endswith(f"are {suggested.value_px:.1f} px.")


def test_the_fast_minority_sets_the_range():
    slow = detections(particles=150, step_sd=0.3, seed=1)
    fast = detections(particles=15, step_sd=2.0, seed=2)
    suggested = suggest_search_range(pd.concat([slow, fast]))
    assert 4.3 * 2 < suggested.value_px < 6.5 * 2


def test_crowding_caps_the_range_and_says_so_with_numbers():
    suggested = suggest_search_range(detections(particles=500, step_sd=4.0, **HARD))
    assert suggested.value_px == pytest.approx(suggested.nearest_neighbour_px)
    assert suggested.step_sd_px == pytest.approx(4.0, rel=0.1)
    crowded, capped = suggested.warnings
    assert "swaps between particles are likely" in crowded
    assert f"{suggested.nearest_neighbour_px:.1f} px" in capped


def test_too_few_steps_are_called_a_guess():
    suggested = suggest_search_range(detections(particles=2, frames=5))
    assert suggested.value_px == 10
    assert "a guess" in suggested.warnings[0]
    assert np.isnan(suggested.step_sd_px)


def test_detections_that_never_come_back_are_reported():
    table = detections(particles=20, step_sd=0.5, false=4.0, frames=100)
    suggested = suggest_search_range(table)
    assert suggested.value_px == pytest.approx(4.8 * np.hypot(0.5, 0.21), rel=0.15)
    assert "seen again" in suggested.warnings[0]


@pytest.mark.parametrize("frames", [[], [0], [0, 0, 0], [0, 5, 10]])
def test_tables_without_steps_are_no_error(frames):
    table = pd.DataFrame({"frame": frames, "x": 1.0, "y": 1.0}, index=range(len(frames)))
    assert suggest_search_range(table).value_px == 10


def test_one_particle_alone_is_enough():
    suggested = suggest_search_range(detections(particles=1, step_sd=1.0, frames=200, size=1e4))
    assert suggested.nearest_neighbour_px == np.inf
    assert suggested.value_px == pytest.approx(4.8, rel=0.15)


def test_scan_shows_the_truncation_of_short_ranges():
    table = detections(particles=60, step_sd=1.0, error=0.0, frames=150, size=1500.0)
    scan = search_range_scan(table, 4.8, factors=(0.4, 1.0, 1.3), memory=0)
    u = (0.4 * 4.8) ** 2 / 2
    # science of the cut-off: D (1 - u exp(-u) / (1 - exp(-u))), a particle lost at each long step
    expected = 0.5 * (1 - u * np.exp(-u) / -np.expm1(-u))
    D = scan["D_px2_per_frame"].to_numpy()
    np.testing.assert_allclose(D, [expected, 0.5, 0.5], rtol=0.06)
    assert scan["search_range_px"].to_numpy() == pytest.approx([1.92, 4.8, 6.24])
    assert scan["displacements"].is_monotonic_increasing
    assert search_range_warning(scan) is None


def test_warning_when_the_range_cuts_steps_off():
    table = detections(particles=60, step_sd=1.0, frames=60, size=1500.0)
    sentence = search_range_warning(search_range_scan(table, 2.5))
    assert sentence is not None
    assert "2.5 to 3.2 px" in sentence or "2.5 to 3.3 px" in sentence


@pytest.mark.parametrize(("wider", "warns"), [(1.02, False), (1.04, True), (0.96, True)])
def test_three_percent_is_the_limit(wider, warns):
    scan = pd.DataFrame(
        {"factor": [1.0, 1.3], "search_range_px": [5.0, 6.5], "D_px2_per_frame": [1.0, wider]}
    )
    assert (search_range_warning(scan) is not None) == warns


def test_scan_of_nothing_has_no_estimate_and_no_warning():
    scan = search_range_scan(pd.DataFrame({"frame": [], "x": [], "y": []}), 5.0)
    assert scan["D_px2_per_frame"].isna().all()
    assert search_range_warning(scan) is None


def test_text_is_refused():
    with pytest.raises(LabelError, match="column x"):
        suggest_search_range(pd.DataFrame({"frame": [0], "x": ["a"], "y": [0]}))


@pytest.fixture(scope="module")
def bright_beads(shared_data):
    table = pd.read_csv(shared_data / "beads" / "run_1_bright_beads.csv")
    return table.rename(columns={"x_px": "x", "y_px": "y"})


def test_real_beads_get_a_range_that_is_long_enough(bright_beads):
    suggested = suggest_search_range(bright_beads)
    # 0.476 um^2/s at 0.175 um a pixel and 0.5 s a frame: 3.94 px; in-focus beads are 5% slower.
    assert suggested.step_sd_px == pytest.approx(3.8, rel=0.08)
    assert 16 < suggested.value_px < 22
    scan = search_range_scan(bright_beads, suggested.value_px)
    assert search_range_warning(scan) is None
    D = scan["D_px2_per_frame"].iloc[2] * 0.175**2 / 0.5
    assert 0.40 < D < 0.48
    assert search_range_warning(search_range_scan(bright_beads, 10.0)) is not None


def test_simulated_sptnet_particles_keep_their_identity(shared_data):
    truth = pd.read_csv(shared_data / "sptnet" / "ground_truth.csv")
    for _, video in truth.groupby("video"):
        tracks = track_particles(video.rename(columns={"particle": "true"}), search_range=None)
        kept = tracks.sort_values(["particle", "frame"])
        same = kept["true"].diff()[kept["particle"].diff() == 0] == 0
        assert same.mean() > 0.97


def _measured(sd: float, neighbour: float, flow=(0.0, 0.0)) -> SearchRange:
    return SearchRange(4.8 * sd, sd, flow, neighbour, "Steps.", ("its own.",))


def test_a_range_chosen_by_hand_is_doubted_where_it_cuts_steps_or_reaches_neighbours():
    measured = _measured(2.0, 50.0)
    assert search_range_doubts(measured.value_px, measured) == ("its own.",)
    assert search_range_doubts(12.0, measured) == ()
    # A cut at two standard deviations: u = 2, 2 exp(-2) / (1 - exp(-2)) = 31% of D.
    (cut,) = search_range_doubts(4.0, measured)
    assert "takes about 31% of D" in cut
    (possible,) = search_range_doubts(30.0, measured)
    assert "0.6 times the distance" in possible
    assert "possible" in possible
    (likely,) = search_range_doubts(60.0, measured, memory=0)
    assert "likely." in likely
    # A mean flow uses up the range.
    assert "cuts off" in search_range_doubts(12.0, _measured(2.0, 50.0, (6.0, 8.0)))[0]
    assert search_range_doubts(12.0, _measured(float("nan"), float("inf"))) == ()

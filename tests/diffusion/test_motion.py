from dataclasses import replace

import numpy as np
import pytest

from cloudtrainer.diffusion import estimate_anomalous, motion_type

DT, PIXEL = 1 / 30, 0.1


@pytest.mark.parametrize(
    ("alpha", "motion", "model"),
    [
        (0.6, "Sub-diffusive (confined/hindered)", "anomalous"),
        (1.0, "Normal Brownian diffusion", "brownian"),
        (1.4, "Super-diffusive (active transport)", "anomalous"),
    ],
)
def test_kinds(fractional_tracks, alpha, motion, model):
    tracks = fractional_tracks(np.random.default_rng(1), 80, 60, 0.1, alpha, 0.04)
    found = motion_type(estimate_anomalous(tracks, DT, PIXEL))
    assert (found.motion_type, found.motion_model) == (motion, model)
    assert "alpha = " in found.sentence


def test_noise_and_blur_are_not_called_anomalous(brownian_tracks):
    """Version 3.0 calls none of these normal: 200 x 30, D 0.05, sigma 0.05, full exposure."""
    rng = np.random.default_rng(2)
    called = [
        motion_type(
            estimate_anomalous(brownian_tracks(rng, 200, 30, 0.05, 0.05, True), DT, PIXEL)
        ).motion_model
        for _ in range(12)
    ]
    assert called.count("anomalous") <= 1
    assert called.count("brownian") >= 10


def test_short_single_track_is_undetermined(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(3), 1, 60, 0.1, 0.3, 0.0)
    found = motion_type(estimate_anomalous(tracks, DT, PIXEL))
    assert (found.motion_type, found.motion_model) == ("Undetermined", "undetermined")
    assert "too few" in found.sentence


def test_wide_interval_is_undetermined(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(4), 6, 20)
    found = motion_type(estimate_anomalous(tracks, DT, PIXEL))
    assert found.motion_model == "undetermined"


def test_an_answer_that_hangs_on_the_exposure_is_undetermined(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(5), 80, 60, 0.1, 0.6, 0.04)
    anomalous = estimate_anomalous(tracks, DT, PIXEL)
    found = motion_type(replace(anomalous, alpha_full_exposure=0.99))
    assert found.motion_model == "undetermined"
    assert "give the exposure" in found.sentence


def test_no_exponent_is_undetermined(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(6), 5, 2)
    found = motion_type(estimate_anomalous(tracks, DT, PIXEL))
    assert found.motion_type == "Undetermined"
    assert "positions in a row" in found.sentence


@pytest.mark.slow
def test_false_alarms_of_the_one_percent_test(brownian_tracks):
    rng = np.random.default_rng(7)
    called = [
        motion_type(
            estimate_anomalous(brownian_tracks(rng, 40, 40, 0.5, 0.05), DT, PIXEL)
        ).motion_model
        for _ in range(400)
    ]
    # 2% of 400 is 8; a true 1% exceeds 10 once in 400 trials.
    assert called.count("anomalous") <= 10

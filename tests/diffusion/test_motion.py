from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import estimate_anomalous, estimate_diffusion, motion_type

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


def caged_tracks(rng, particles, frames, radius_um=0.2, rate_per_frame=0.7, sigma_um=0.03):
    """Ornstein-Uhlenbeck positions: `radius_um` is two standard deviations of one axis."""
    keep = np.exp(-rate_per_frame)
    place = rng.normal(size=(particles, 2))
    path = []
    for _ in range(frames):
        path.append(place)
        place = keep * place + np.sqrt(1 - keep**2) * rng.normal(size=(particles, 2))
    position = np.stack(path, axis=1) * radius_um / 2
    position = (position + sigma_um * rng.normal(size=position.shape)) / PIXEL
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), frames),
            "frame": np.tile(np.arange(frames), particles),
            "x": position[..., 0].ravel(),
            "y": position[..., 1].ravel(),
        }
    )


def test_cages_have_no_exponent_and_are_not_called_normal():
    tracks = caged_tracks(np.random.default_rng(21), 30, 150)
    found = estimate_anomalous(tracks, DT, PIXEL, 0.0)
    assert np.isnan([found.alpha.value, found.alpha.low, found.K.value]).all()
    assert "alpha is at the end of what was searched (0.02)" in str(found.alpha.reason)
    motion = motion_type(found)
    assert motion.motion_type == "Sub-diffusive (confined/hindered)"
    assert "No exponent" in motion.sentence
    assert motion_type(replace(found, p_beyond=0.5)).motion_type == "Undetermined"
    assert motion_type(replace(found, alpha_full_exposure=1.2)).motion_type == "Undetermined"
    rows = estimate_anomalous(tracks, DT, PIXEL, 0.0, per_track=True)
    at_end = rows["reason"] != ""
    assert at_end.mean() > 0.5
    assert rows.loc[at_end, ["alpha", "K"]].isna().all(axis=None)
    assert (rows.loc[at_end, "alpha_low"] == 0).all()


def test_immobile_particles_have_no_exponent_and_no_error_of_the_model(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(22), 30, 100, 0.0)
    found = estimate_anomalous(tracks, DT, PIXEL, 0.0)
    assert np.isnan([found.alpha.value, found.K.value]).all()
    assert "the particles do not move" in str(found.alpha.reason)
    assert motion_type(found).motion_type == "Undetermined"
    assert np.isnan(estimate_diffusion(tracks, DT, PIXEL, 0.0).spread_ratio)


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

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.simulation import simulate_experiment

SMALL = {"frames": 40, "height_px": 96, "width_px": 128, "particles": 30, "seed": 5}


@pytest.fixture(scope="module")
def experiment():
    return simulate_experiment(ExperimentSettings(**SMALL))


def test_frames_and_truth_have_their_form(experiment):
    assert experiment.frames.shape == (40, 96, 128)
    assert experiment.frames.dtype == np.uint16
    truth = experiment.truth
    assert list(truth.columns) == ["particle", "frame", "x", "y", "photons"]
    assert truth["frame"].between(0, 39).all()
    assert truth["x"].between(-0.5, 127.5, inclusive="left").all()
    assert truth["y"].between(-0.5, 95.5, inclusive="left").all()
    assert not truth.duplicated(["particle", "frame"]).any()


def test_a_seed_gives_one_experiment(experiment):
    again = simulate_experiment(ExperimentSettings(**SMALL))
    np.testing.assert_array_equal(again.frames, experiment.frames)
    pd.testing.assert_frame_equal(again.truth, experiment.truth)
    other = simulate_experiment(ExperimentSettings(**{**SMALL, "seed": 6}))
    assert not np.array_equal(other.frames, experiment.frames)


def test_the_number_in_view_is_as_asked_and_stays():
    # Counts of independent particles over frames and seeds: Poisson, correlated between frames.
    settings = ExperimentSettings(
        frames=60, height_px=64, width_px=64, particles=50, D_um2_per_s=5.0, seed=0
    )
    per_frame = np.array(
        [
            simulate_experiment(settings.model_copy(update={"seed": seed}))
            .truth.groupby("frame")
            .size()
            .reindex(range(60), fill_value=0)
            .to_numpy()
            for seed in range(12)
        ]
    )
    assert per_frame.mean() == pytest.approx(50, abs=5 * np.sqrt(50 / 12) / 2)
    assert per_frame[:, :10].mean() == pytest.approx(per_frame[:, -10:].mean(), rel=0.15)


def test_paths_do_not_jump_even_where_fast_particles_cross_the_joined_borders():
    settings = ExperimentSettings(
        **{**SMALL, "D_um2_per_s": 20.0, "frames": 150, "exposure_s": 0.02, "spot_sigma_px": 0.5}
    )
    truth = simulate_experiment(settings).truth
    # Over frames out of view as well: who comes in on the other side is another particle.
    steps = truth.groupby("particle")[["frame", "x", "y"]].diff().dropna()
    per_axis = np.sqrt(2 * 20.0 / 30 * steps["frame"]) / 0.1
    assert len(steps) > 1000
    assert (steps["frame"] > 1).sum() > 50
    assert (steps["x"].abs() / per_axis).max() < 5.5
    assert (steps["y"].abs() / per_axis).max() < 5.5


@pytest.mark.parametrize("exposure_s", [0.0, 1 / 30])
def test_the_truth_diffuses_as_asked(exposure_s):
    settings = ExperimentSettings(
        frames=120,
        height_px=64,
        width_px=64,
        particles=60,
        D_um2_per_s=0.5,
        exposure_s=exposure_s,
        seed=2,
    )
    truth = simulate_experiment(settings).truth
    dx, pairs = [], []
    for _, track in truth.groupby("particle"):
        whole = np.diff(track["frame"]) == 1
        steps = np.diff(track[["x", "y"]].to_numpy(), axis=0) * 0.1
        dx.append(steps[whole])
        pairs.append((steps[1:] * steps[:-1])[whole[1:] & whole[:-1]])
    dx, pairs = np.concatenate(dx), np.concatenate(pairs)
    # Vestergaard, Blainey & Flyvbjerg 2014, eq. 14: D = <dx^2> / 2 dt + <dx_n dx_n+1> / dt.
    estimate = np.mean(dx**2) * 15 + np.mean(pairs) * 30
    standard_error = 0.5 * np.sqrt(6 / dx.size)
    assert estimate == pytest.approx(0.5, abs=5 * standard_error)
    blur = exposure_s * 30 / 3
    assert np.mean(dx**2) == pytest.approx(2 * 0.5 / 30 * (1 - blur), rel=0.05)


def test_light_is_where_the_truth_is_and_as_much_as_it_says():
    settings = ExperimentSettings(
        frames=30,
        height_px=64,
        width_px=64,
        particles=6,
        D_um2_per_s=0.3,
        exposure_s=1 / 30,
        peak_snr=[40, 40],
        background_photons=1.0,
        read_noise_photons=0.0,
        seed=1,
    )
    experiment = simulate_experiment(settings)
    row, column = np.indices((64, 64))
    errors, shares = [], []
    for frame, spots in experiment.truth.groupby("frame"):
        light = experiment.frames[frame].astype(float) - 1.0
        for spot in spots.itertuples():
            apart = np.hypot(spots["x"] - spot.x, spots["y"] - spot.y)
            alone = (apart > 0).sum() == 0 or apart[apart > 0].min() > 20
            if alone and 11 < spot.x < 52 and 11 < spot.y < 52:
                near = np.hypot(column - spot.x, row - spot.y) < 9
                total = light[near].sum()
                errors.append((light * column)[near].sum() / total - spot.x)
                errors.append((light * row)[near].sum() / total - spot.y)
                shares.append(total / spot.photons)
    assert len(shares) > 10
    assert np.abs(errors).max() < 0.1
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(shares) == pytest.approx(1.0, rel=0.02)


def test_peaks_have_the_ratio_to_the_noise_that_was_asked_for():
    settings = ExperimentSettings(**{**SMALL, "peak_snr": [3, 10]})
    photons = simulate_experiment(settings).truth["photons"]
    peak = photons / (2 * np.pi * settings.spot_sigma_px**2)
    snr = peak / np.sqrt(peak + settings.background_photons + settings.read_noise_photons**2)
    assert snr.min() >= 3 - 1e-9
    assert snr.max() <= 10 + 1e-9
    assert snr.max() / snr.min() > 1.5


def test_the_ground_has_the_noise_of_photons_and_camera():
    settings = ExperimentSettings(
        frames=10, height_px=128, width_px=128, particles=0, background_photons=64.0
    )
    experiment = simulate_experiment(settings)
    assert experiment.truth.empty
    assert list(experiment.truth.columns) == ["particle", "frame", "x", "y", "photons"]
    counts = experiment.frames.astype(float)
    offset = 20.0
    assert counts.mean() == pytest.approx(64 + offset, rel=0.003)
    # Rounding to whole counts adds 1/12.
    assert counts.var() == pytest.approx(64 + 2.0**2 + 1 / 12, rel=0.02)


def test_more_light_than_16_bits_hold_saturates():
    settings = ExperimentSettings(
        frames=1, height_px=16, width_px=16, particles=0, background_photons=59_999.0
    )
    bright = settings.model_copy(update={"background_photons": 70_000.0})
    assert int(simulate_experiment(bright).frames.min()) == 65535


def test_an_experiment_is_frozen(experiment):
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.frames = None

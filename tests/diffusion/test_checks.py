import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import check_model, displacement_correlations, estimate_diffusion


def named(tracks):
    return {check.name: check for check in check_model(tracks)}


def test_correlations_by_hand_leave_out_gaps():
    x = np.array([0.0, 1.0, -1.0, 2.0, 2.5, 4.0])
    tracks = pd.DataFrame({"particle": 0, "frame": [0, 1, 2, 3, 5, 6], "x": x, "y": 0.0})
    found = displacement_correlations(tracks)
    # Steps 1, -2, 3 | across a gap | 1.5.
    variance = (1 + 4 + 9 + 2.25) / 4
    assert found.value[:2] == pytest.approx([(-2 - 6) / 2 / variance, 3 / variance])
    assert np.isnan(found.value[2:]).all()
    assert found.products.tolist() == [4, 2, 0, 0, 0]


def test_lag_one_is_that_of_noise_and_blur(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(1), 300, 60, 0.5, 0.08)
    found = displacement_correlations(tracks)
    s, D = 0.08**2, 0.5 / 30
    assert abs(found.value[0] + s / (2 * D + 2 * s)) < 3.5 * found.standard_error[0]
    assert (np.abs(found.value[1:]) < 3.5 * found.standard_error[1:]).all()


@pytest.mark.parametrize(
    ("particles", "frames", "kept"), [(50, 60, 1.0), (5, 300, 0.9), (1, 800, 1)]
)
def test_brownian_motion_passes(brownian_tracks, particles, frames, kept):
    rng = np.random.default_rng(2)
    failed = np.zeros(9)
    for _ in range(20):
        tracks = brownian_tracks(rng, particles, frames, 0.5, 0.05)
        tracks = tracks[rng.random(len(tracks)) <= kept]
        failed += [check.failed for check in check_model(tracks)]
    # All nine together fail 1%: more than 2 in 20 has a chance of 1 in 1000.
    assert failed.sum() <= 2


def test_correlated_displacements_fail_and_long_lags_help(brownian_tracks):
    rng = np.random.default_rng(3)
    tracks = brownian_tracks(rng, 200, 150, 0.4, 0.0)
    # Positions averaged with the three before, as compression may do: D from one lag is low.
    smooth = tracks.sort_values(["particle", "frame"]).copy()
    smooth[["x", "y"]] = (
        tracks.groupby("particle")[["x", "y"]]
        .rolling(4, min_periods=1)
        .mean()
        .reset_index(drop=True)
    )
    smooth = smooth[smooth["frame"] >= 4]
    check = named(smooth)["displacement correlations"]
    assert not check.passed
    assert check.number > 0.1
    assert "long lags" in check.sentence
    short = estimate_diffusion(smooth, 1 / 30, 0.1)
    long = estimate_diffusion(smooth, 1 / 30, 0.1, stride=6)
    assert short.value < 0.36
    assert long.low < 0.4 < long.high


def test_displacements_that_turn_back_are_told_apart(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(4), 100, 100, 0.1, 0.4, 0.0)
    check = named(tracks)["displacement correlations"]
    assert not check.passed
    assert check.number < 0
    assert "exponent" in check.sentence


def test_a_tiny_correlation_in_a_huge_data_set_passes():
    rng = np.random.default_rng(5)
    step = rng.normal(size=(400, 2000, 2))
    step[:, 2:] += 0.008 * step[:, :-2]
    position = np.cumsum(step, axis=1)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(400), 2000),
            "frame": np.tile(np.arange(2000), 400),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )
    check = named(tracks)["displacement correlations"]
    assert check.p_value < 0.01
    assert check.passed


@pytest.mark.parametrize("period", [2, 12])
def test_a_loud_phase_is_found(period):
    rng = np.random.default_rng(6)
    step = rng.normal(size=(100, 150, 2))
    step[:, 3 % period :: period] *= np.sqrt(1.6)
    position = np.cumsum(step, axis=1)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(100), 150),
            "frame": np.tile(np.arange(150), 100),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )
    check = named(tracks)["variance by frame phase"]
    assert not check.passed
    assert f"every {period}th frame (frame {3 % period}," in check.sentence


def test_too_few_data_are_said_to_be_too_few():
    tracks = pd.DataFrame({"particle": 0, "frame": [0, 1], "x": [0.0, 1.0], "y": 0.0})
    checks = check_model(tracks)
    assert all(check.passed is None for check in checks)
    assert all(
        " few" in check.sentence or "no" in check.sentence.lower() or "short" in check.sentence
        for check in checks
    )
    assert all(np.isnan(check.number) for check in checks)


@pytest.mark.slow
def test_the_compressed_video_of_beads_in_water(shared_data):
    """bulk_water, located and linked by trackpy: D from short lags is low, and is flagged."""
    trackpy = pytest.importorskip("trackpy")
    import tifffile

    trackpy.quiet()
    video = tifffile.imread(shared_data / "bulk_water" / "bulk_water.tif")
    spots = trackpy.batch(video, 11, minmass=200, invert=True, processes=1)
    tracks = trackpy.filter_stubs(trackpy.link(spots, 5, memory=3), 25).reset_index(drop=True)
    drift = trackpy.compute_drift(tracks)
    tracks = trackpy.subtract_drift(tracks, drift).reset_index(drop=True)
    checks = named(tracks)
    assert not checks["displacement correlations"].passed
    assert not checks["variance by frame phase"].passed
    short = estimate_diffusion(tracks, 1 / 24, 100 / 285)
    long = estimate_diffusion(tracks, 1 / 24, 100 / 285, stride=5)
    assert 0.30 < short.value < 0.36
    assert 0.37 < long.value < 0.43

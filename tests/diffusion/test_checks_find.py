"""Each check finds what it is for, says how large it is, and leaves the others alone."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import check_model
from cloudtrainer.diffusion.checks.check import holm, unit_steps
from cloudtrainer.diffusion.checks.common_motion import shared_motion
from cloudtrainer.diffusion.checks.spectrum import displacement_spectrum
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.tracking import subtract_drift


def simulated(rng, particles=100, frames=100, variance=1.0, noise=0.5, extra=0.0):
    """Return Brownian tracks in pixels that begin anywhere in a field of 400 px."""
    scale = np.sqrt(np.broadcast_to(variance, (particles,)))[:, None, None]
    path = np.cumsum(scale * rng.normal(size=(particles, frames, 2)), axis=1)
    path += rng.uniform(0, 400, (particles, 1, 2)) + extra
    position = path + noise * rng.normal(size=path.shape)
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), frames),
            "frame": np.tile(np.arange(frames), particles),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
            "intensity": np.repeat(rng.lognormal(5, 0.5, particles), frames),
        }
    )


def failures(tracks, **options):
    return {check.name: check for check in check_model(tracks, **options) if check.failed}


def test_p_values_are_adjusted_as_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and never falling.
    found = holm(np.array([0.04, np.nan, 0.01, 0.03, 0.02]))
    np.testing.assert_allclose(found, [0.06, np.nan, 0.04, 0.06, 0.06])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_clean_tracks_fail_any_check_in_about_one_in_a_hundred():
    failed = 0
    for run in range(200):
        rng = np.random.default_rng([20, run])
        variance = rng.exponential(1.0, 60) if run % 2 else 1.0
        tracks = simulated(rng, 60, 60, variance)
        ends = rng.integers(10, 61, 60)
        tracks = tracks[tracks["frame"] < ends[tracks["particle"]]]
        failed += bool(failures(tracks))
    # More than 7 of 200 has a chance of 1 in 1000 at 1%.
    assert failed <= 7


def test_the_spectrum_is_that_of_noise_and_motion():
    tracks = simulated(np.random.default_rng(1), 400, 65, 1.0, 0.6)
    found = displacement_spectrum(unit_steps(track_arrays(tracks)))
    # 64 displacements of variance 1, noise of variance 0.36: over its mean 1.72.
    truth = (1 + 2 * 0.36 * (1 - np.cos(2 * np.pi * found.frequency))) / 1.72
    error = found.power * np.sqrt(2 / found.freedom)
    assert np.sqrt(np.mean(((found.power - truth) / error) ** 2)) == pytest.approx(1, abs=0.3)
    np.testing.assert_allclose(found.fitted, truth, rtol=0.03)


@pytest.mark.parametrize(("rate", "helps"), [(0.23, True), (0.08, False)])
def test_a_vibration_is_found_with_its_frequency(rate, helps):
    rng = np.random.default_rng(2)
    amplitude = 0.35 / np.sin(np.pi * rate)
    phase = rng.uniform(0, 2 * np.pi, (100, 1))
    shaken = amplitude * np.sin(2 * np.pi * rate * np.arange(150) + phase)
    tracks = simulated(rng, 100, 150, extra=np.stack([shaken, 0 * shaken], axis=2))
    check = failures(tracks, frame_interval_s=0.02)["spectrum of displacements"]
    # In x steps of 0.7 cos: variance 0.245, beside 1.5 of motion and noise on each axis.
    assert check.number == pytest.approx(0.245 / 3.245, rel=0.25)
    value = float(check.sentence.split("line at ")[1].split(" +-")[0])
    assert value == pytest.approx(rate / 0.02, abs=0.35)
    assert "Hz" in check.sentence
    assert check.long_lags_help is helps
    assert "cycles a frame" in failures(tracks)["spectrum of displacements"].sentence


def test_drift_that_is_left_is_found_and_long_lags_do_not_help():
    along = 0.25 * np.arange(100)[None, :, None] * np.array([1.0, 0.0])
    found = failures(simulated(np.random.default_rng(3), extra=along))
    check = found["drift left"]
    # 6.25 px^2 over ten frames, beside 20 of diffusion.
    assert check.number == pytest.approx(6.25 / 26.25, rel=0.15)
    speed = float(check.sentence.split("drift of ")[1].split(" px")[0])
    assert speed == pytest.approx(0.25, abs=0.03)
    assert not any(check.long_lags_help for check in found.values())


def test_motion_in_common_is_found_at_its_scale():
    rng = np.random.default_rng(4)
    jitter = np.cumsum(rng.normal(0, 0.4, (1, 100, 2)), axis=1)
    check = failures(simulated(rng, extra=jitter))["motion in common"]
    # Of steps of variance 1 + 2 * 0.25 + 0.16 the last is shared.
    assert check.number == pytest.approx(0.16 / 1.66, rel=0.4)
    slow = np.cumsum(np.repeat(rng.normal(0, 0.15, (1, 10, 2)), 40, axis=1), axis=1)
    check = failures(simulated(rng, 60, 400, extra=slow))["motion in common"]
    assert "over 8 frames" in check.sentence or "over 64 frames" in check.sentence


def test_correlation_of_two_particles_is_as_by_hand():
    rng = np.random.default_rng(5)
    step = rng.normal(size=(2, 20, 2))
    position = np.cumsum(np.concatenate([np.zeros((2, 1, 2)), step], axis=1), axis=1)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat([0, 1], 21),
            "frame": np.tile(np.arange(21), 2),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )
    found = shared_motion(unit_steps(track_arrays(tracks)), 1)
    about = step - step.mean((0, 1))
    expected = 2 * (about[0] * about[1]).sum() / (about**2).sum()
    assert found.value == pytest.approx(expected, rel=1e-9)


def test_locked_positions_are_found_where_they_are_in_the_frames():
    rng = np.random.default_rng(6)
    tracks = simulated(rng, variance=0.5, noise=0.05)
    drift = tracks["frame"] * 0.013
    in_place = tracks.assign(x=tracks["x"] - 0.08 * np.sin(2 * np.pi * tracks["x"]))
    found = failures(in_place.assign(x=in_place["x"] - drift), in_place=in_place)
    check = found["pixel locking"]
    # The density of x - b sin(2 pi x) varies by 2 pi b in its first harmonic (to first order).
    assert check.number == pytest.approx(2 * np.pi * 0.08, rel=0.1)
    assert "in x " in check.sentence
    # A bias of 0.08 px is nothing beside steps of 0.7 px.
    assert not check.long_lags_help
    assert set(found) == {"pixel locking"}


def test_locking_of_a_grid_of_two_pixels_and_short_steps():
    rng = np.random.default_rng(7)
    tracks = simulated(rng, 80, 300, variance=0.03, noise=0.02)
    pulled = tracks.assign(y=tracks["y"] - 0.2 * np.sin(np.pi * tracks["y"]))
    check = failures(pulled)["pixel locking"]
    assert "within 2 px" in check.sentence
    assert check.long_lags_help


def test_slower_bright_particles_are_found_with_the_size_of_the_effect():
    tracks = simulated(np.random.default_rng(8), 200, variance=np.repeat([1.0, 0.7], 100))
    tracks["intensity"] *= np.where(tracks["particle"] < 100, 1, 4)
    found = failures(tracks)
    # Nearly all the bright half is slow: D of 0.7 and 1 about 0.85.
    assert found["D against brightness"].number == pytest.approx(-0.3 / 0.85, abs=0.09)
    assert "lower" in found["D against brightness"].sentence
    assert set(found) == {"D against brightness"}
    dark = tracks.assign(intensity=-tracks["intensity"])
    assert failures(dark)["D against brightness"].number < 0


def test_D_that_changes_over_the_field_is_found_with_its_direction():
    tracks = simulated(np.random.default_rng(9), 200)
    first = tracks.groupby("particle")[["x", "y"]].transform("first")
    scale = np.sqrt(0.75 + 0.5 * first["y"] / 400)
    for axis in ("x", "y"):
        tracks[axis] = first[axis] + scale * (tracks[axis] - first[axis])
    check = failures(tracks)["D against position"]
    assert "lower half" in check.sentence
    assert check.number == pytest.approx(0.25, abs=0.09)


def test_fast_particles_of_short_tracks_are_found():
    rng = np.random.default_rng(10)
    variance = np.repeat([0.6, 1.4], 100)
    tracks = simulated(rng, 200, 100, variance)
    ends = np.where(variance > 1, rng.integers(15, 40, 200), rng.integers(40, 100, 200))
    check = failures(tracks[tracks["frame"] < ends[tracks["particle"]]])["D against track length"]
    assert check.number < -0.4
    assert "--min-track-frames" in check.sentence


@pytest.mark.parametrize("particles", [0, 1, 2, 15])
def test_little_data_do_not_fail_but_have_a_sentence_and_never_warn(particles, recwarn):
    tracks = simulated(np.random.default_rng(11), particles, 4)
    for check in check_model(tracks.drop(columns="intensity")):
        assert not check.failed
        assert (check.passed is None) == np.isnan(check.p_value)
        assert check.sentence
    still = simulated(np.random.default_rng(11), particles, 30, variance=0.0, noise=0.0)
    assert not any(check.failed for check in check_model(still))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("method", "untold"),
    [("steady", {"drift left"}), ("mean", {"drift left", "motion in common"})],
)
def test_what_was_subtracted_is_not_said_to_have_passed(method, untold):
    tracks = simulated(np.random.default_rng(13), 20, 60)
    tracks["x"] += 0.3 * tracks["frame"]
    assert failures(tracks)["drift left"].passed is False
    corrected = subtract_drift(tracks, method)
    checks = check_model(corrected.tracks, in_place=tracks, drift=corrected.method)
    assert {check.name for check in checks if "cannot be told after" in check.sentence} == untold
    for check in checks:
        if check.name in untold:
            assert check.passed is None
            assert not check.failed
            assert np.isnan([check.number, check.p_value]).all()

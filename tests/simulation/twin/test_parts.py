"""The parts that a twin is measured with, each against what it was made from."""

import numpy as np
import pandas as pd
import pytest
from known_films import film, gaussian, ringed

from cloudtrainer.simulation.twin import Focus, peaks_in_video
from cloudtrainer.simulation.twin.focus import peak_heights
from cloudtrainer.simulation.twin.ground import free_median, slow_light, smooth_ground
from cloudtrainer.simulation.twin.profiles import (
    covered,
    cut_patches,
    fine_profile,
    fitted_amplitudes,
    radial_medians,
)
from cloudtrainer.simulation.twin.shapes import half_width_px, ring_of, sort_by_shape
from cloudtrainer.video import Video

SIGMA = 1.8


def patches(profiles, amplitudes, reach=10, **more):
    """Return patches at the true positions of a film away from its border, and their kinds."""
    filmed = film(list(profiles), list(amplitudes), **more)
    residual = filmed.video.frames().astype(np.float32) - filmed.ground.astype(np.float32)
    inside = filmed.truth[["x", "y"]].sub(63.5).abs().max(axis=1) < 63.5 - reach - 1
    chosen = filmed.truth[inside].reset_index(drop=True)
    return cut_patches(residual, chosen, filmed.truth, reach), chosen["kind"].to_numpy()


def test_radial_medians_follow_the_profile():
    some, _ = patches([gaussian(SIGMA)], [500.0], particles=6, ground=100.0)
    light, pixels = radial_medians(some)
    rings = np.arange(light.shape[1])
    typical = np.array([np.median(light[pixels[:, r] > 0, r]) for r in rings])
    # A ring is a pixel wide: its median is that of slightly more than its distance.
    assert typical == pytest.approx(500 * np.exp(-(rings**2) / (2 * SIGMA**2)), abs=25)
    assert pixels.sum(axis=1).max() <= np.pi * 11**2


def test_the_fine_profile_is_that_of_the_particles_and_not_of_their_noise():
    some, _ = patches([gaussian(SIGMA)], [120.0], particles=10)
    profile = fine_profile(some, np.full(len(some), 120, np.float32), 14.1)
    knots = np.arange(len(profile)) / 2
    assert profile == pytest.approx(np.exp(-(knots**2) / (2 * SIGMA**2)), abs=0.05)


def test_amplitudes_are_fitted_one_by_one():
    some, kinds = patches([gaussian(SIGMA)] * 2, [100.0, 300.0], particles=10)
    knots = np.arange(21) / 2
    profile = np.exp(-(knots**2) / (2 * SIGMA**2)).astype(np.float32)
    found = fitted_amplitudes(some, profile, 14.1)
    assert np.median(found[kinds == 0]) == pytest.approx(100, rel=0.05)
    assert np.median(found[kinds == 1]) == pytest.approx(300, rel=0.03)
    assert np.mean((found > 200) == (kinds == 1)) > 0.95


def test_particles_are_sorted_by_shape_and_not_by_brightness():
    some, kinds = patches(
        [gaussian(1.4), gaussian(1.4), ringed],
        [100.0, 400.0, 200.0],
        particles=12,
        reach=14,
        ground=50.0,
    )
    found = sort_by_shape(some, np.sqrt(50))
    rings = np.array([ring_of(profile) is not None for profile in found.profiles])
    assert np.mean(rings[found.shape] == (kinds == 2)) > 0.9
    assert np.median(found.amplitude[kinds == 0]) == pytest.approx(100, rel=0.1)
    assert np.median(found.amplitude[kinds == 1]) == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 4.0])
def test_half_widths_and_rings_of_known_profiles(sigma):
    knots = np.arange(41) / 2
    profile = np.exp(-(knots**2) / (2 * sigma**2)).astype(np.float32)
    assert half_width_px(profile) == pytest.approx(sigma * np.sqrt(2 * np.log(2)), abs=0.05)
    assert ring_of(profile) is None
    ring = profile + 0.7 * np.exp(-((knots - 15) ** 2) / 2).astype(np.float32)
    radius, height = ring_of(ring)
    assert radius == pytest.approx(15, abs=0.5)
    assert height == pytest.approx(0.7, abs=0.05)


def test_the_free_median_leaves_out_what_covers_a_pixel():
    rng = np.random.default_rng(0)
    frames = rng.normal(100, 1, (21, 40, 40)).astype(np.float32)
    where = np.zeros(frames.shape, bool)
    # Bright in two thirds of the frames, which a plain median would take for the background.
    frames[:14, 10:14, 10:14] += 50
    where[:14, 10:14, 10:14] = True
    # Never free.
    frames[:, 30:34, 30:34] += 80
    where[:, 30:34, 30:34] = True
    background = free_median(frames, where)
    assert np.abs(background.counts - 100).max() < 2.5
    assert background.never_free == pytest.approx(16 / 1600)
    assert background.frames == 21


def test_nothing_free_gives_the_level_of_the_frames():
    frames = np.full((3, 8, 8), 7, np.float32)
    background = free_median(frames, np.ones(frames.shape, bool))
    assert np.all(background.counts == 7)
    assert background.never_free == 1


def test_the_ground_of_a_single_frame_is_smooth():
    rng = np.random.default_rng(0)
    frame = (np.linspace(100, 200, 96) + rng.normal(0, 5, (96, 96))).astype(np.float32)
    where = np.zeros(frame.shape, bool)
    where[40:50, 40:50] = True
    frame[where] += 300
    background = smooth_ground(frame, where)
    inner = background.counts[20:-20, 20:-20]
    assert inner == pytest.approx(np.tile(np.linspace(100, 200, 96)[20:-20], (56, 1)), abs=4)


def test_slow_light_follows_what_comes_and_goes():
    rng = np.random.default_rng(0)
    rows, columns = np.indices((96, 96))
    glow = 20 * np.exp(-((columns - 40) ** 2 + (rows - 50) ** 2) / (2 * 25**2))
    frames = np.stack([glow, 0 * glow]) + rng.normal(0, 4, (2, 96, 96))
    light = slow_light(frames.astype(np.float32), np.zeros(frames.shape, bool), 4.0)
    assert light[0, 50, 40] == pytest.approx(20, abs=4)
    assert np.abs(light[1]).max() < 2


def test_covered_pixels_are_those_within_the_radius():
    table = pd.DataFrame({"frame": [1, 1], "x": [10.3, -0.2], "y": [5.6, 19.9]})
    mask = covered((2, 20, 30), table, 3.0)
    rows, columns = np.indices((20, 30))
    expected = np.hypot(columns - 10.3, rows - 5.6) <= 3
    expected |= np.hypot(columns + 0.2, rows - 19.9) <= 3
    assert not mask[0].any()
    assert np.array_equal(mask[1], expected)


def test_peaks_are_as_high_as_the_particles():
    filmed = film([gaussian(2.0)], [400.0], particles=4, ground=100.0, sign=-1, seed=3)
    inside = filmed.truth[["x", "y"]].sub(63.5).abs().max(axis=1) < 50
    found = peaks_in_video(filmed.video, filmed.truth[inside], -1)
    # Clipped at no light at all: 100 counts is all that a shadow can take.
    assert np.median(found) == pytest.approx(100, rel=0.1)
    bright = film([gaussian(2.0)], [400.0], particles=4, ground=100.0, seed=3)
    frame = bright.video.frames(0, 1)[0]
    here = bright.truth[bright.truth["frame"] == 0]
    heights = peak_heights(frame, here["x"].to_numpy(), here["y"].to_numpy())
    assert np.median(heights) == pytest.approx(400, rel=0.1)


def test_the_focus_is_half_of_the_highest_peaks():
    peaks = np.concatenate([np.full(80, 20.0), np.full(20, 100.0)])
    assert Focus.of(peaks) == Focus(100.0, 50.0)


def test_peaks_of_no_position_are_none():
    table = pd.DataFrame({"frame": [], "x": [], "y": []})
    assert len(peaks_in_video(Video(np.zeros((1, 20, 20))), table, 1)) == 0

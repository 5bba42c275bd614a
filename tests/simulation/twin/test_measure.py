import numpy as np
import pytest
from known_films import film, gaussian, ringed

from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.twin import measure_twin
from cloudtrainer.video import Video

# A Gaussian falls to half at this many of its standard deviations.
HALF = np.sqrt(2 * np.log(2))


def slope(low, high, side=128):
    """Return a ground that rises from left to right."""
    return np.broadcast_to(np.linspace(low, high, side), (side, side))


def particles(twin):
    return [one for one in twin.shapes if not one.is_speck]


@pytest.mark.parametrize("sign", [1, -1])
def test_size_brightness_density_and_noise_are_those_of_the_film(detector, sign):
    filmed = film(
        [gaussian(1.8)], [260.0], ground=slope(400, 1200), gain=2.0, sign=sign, read_noise=4.0
    )
    twin = measure_twin(filmed.video, detector)
    (shape,) = particles(twin)
    assert twin.polarity == sign
    assert shape.half_width_px == pytest.approx(1.8 * HALF, rel=0.05)
    assert shape.typical_amplitude == pytest.approx(260, rel=0.05)
    assert twin.particles_per_frame == pytest.approx(20, rel=0.1)
    assert twin.density_per_1000_px2 == pytest.approx(1000 * 20 / 128**2, rel=0.1)
    assert twin.background == pytest.approx(800, rel=0.02)
    assert abs(twin.noise.gain) == pytest.approx(2.0, rel=0.1)
    assert np.sign(twin.noise.gain) == sign
    assert twin.noise_sd == pytest.approx(np.sqrt(2 * 800 + 4**2), rel=0.05)
    assert twin.focus is None
    assert twin.doubts == ()


def test_sizes_and_rings_make_shapes_of_their_own(detector):
    filmed = film([gaussian(1.5), ringed], [300.0, 120.0], particles=20, side=192, ground=100.0)
    twin = measure_twin(filmed.video, detector)
    with_ring = [one for one in particles(twin) if one.ring is not None]
    without = [one for one in particles(twin) if one.ring is None]
    assert sum(one.per_frame for one in with_ring) == pytest.approx(10, rel=0.3)
    assert sum(one.per_frame for one in without) == pytest.approx(10, rel=0.3)
    assert max(with_ring, key=lambda one: one.per_frame).ring[0] == pytest.approx(9, abs=1)
    sharp = max(without, key=lambda one: one.per_frame)
    assert sharp.half_width_px == pytest.approx(1.5 * HALF, rel=0.08)


def test_particles_of_one_shape_and_different_brightness_stay_one_shape(detector):
    filmed = film([gaussian(1.6)] * 4, [80.0, 160.0, 320.0, 640.0], ground=50.0, particles=16)
    (shape,) = particles(measure_twin(filmed.video, detector))
    quantiles = shape.amplitude.numpy()
    assert np.all(np.diff(quantiles) >= 0)
    for share, true in ((0.15, 80), (0.4, 160), (0.65, 320), (0.9, 640)):
        assert quantiles[round(share * 20)] == pytest.approx(true, rel=0.12)
    # Dimmer ones than are found: down to half the 5th percentile.
    assert quantiles[0] == pytest.approx(quantiles[1] / 2)


def test_particles_that_hardly_move_are_no_part_of_the_background(detector):
    filmed = film([gaussian(1.8)], [200.0], step_px=0.02, particles=12)
    twin = measure_twin(filmed.video, detector)
    inner = twin.grounds[:, 8:-8, 8:-8] - 200
    # The particles are 200 high; a median of 30 frames scatters by 3 counts.
    assert float(inner.abs().max()) < 25
    assert twin.particles_per_frame == pytest.approx(12, rel=0.2)


def test_wide_and_dim_particles_are_out_of_focus(detector):
    filmed = film([gaussian(1.6), gaussian(3.0)], [400.0, 110.0], ground=100.0, side=192)
    twin = measure_twin(filmed.video, detector)
    assert twin.focus is not None
    assert 110 < twin.focus.least < 400
    assert twin.focus.peak == pytest.approx(400, rel=0.2)
    assert twin.in_focus_per_frame == pytest.approx(10, rel=0.2)
    assert 1.15 * twin.in_focus_per_frame < twin.found_per_frame < 21


def test_wide_particles_that_are_as_bright_are_in_focus(detector):
    filmed = film([gaussian(1.6), gaussian(3.0)], [300.0, 300.0], ground=100.0, side=192)
    assert measure_twin(filmed.video, detector).focus is None


@pytest.mark.parametrize("sign", [1, -1])
def test_an_even_background_leaves_the_noise_to_the_particles_light(detector, sign):
    # Unlike the ground, light that is as bright as it tells how the noise grows.
    filmed = film([gaussian(1.8)], [900.0], ground=2400.0, gain=4.0, sign=sign)
    twin = measure_twin(filmed.video, detector)
    assert abs(twin.noise.gain) == pytest.approx(4.0, rel=0.4)
    assert twin.noise_sd == pytest.approx(np.sqrt(4 * 2400), rel=0.05)
    assert twin.doubts == ()


def test_hot_pixels_are_drawn_and_are_no_particles(detector):
    filmed = film([gaussian(1.8)], [200.0])
    rng = np.random.default_rng(1)
    frames = filmed.video.frames() + 500 * (rng.random(filmed.video.shape) < 4e-4)
    twin = measure_twin(Video(frames.astype(np.uint16)), detector)
    (specks,) = [one for one in twin.shapes if one.is_speck]
    assert specks.per_frame == pytest.approx(4e-4 * 128**2, rel=0.2)
    assert specks.typical_amplitude == pytest.approx(500, rel=0.1)
    assert twin.particles_per_frame == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_frame_or_two_have_a_twin_and_a_warning(detector, frames):
    twin = measure_twin(film([gaussian(1.8)], [300.0], frames=frames).video, detector)
    (shape,) = particles(twin)
    assert shape.half_width_px == pytest.approx(1.8 * HALF, rel=0.1)
    assert twin.noise_sd == pytest.approx(np.sqrt(200), rel=0.1)
    assert any("frame" in doubt and "smooth" in doubt for doubt in twin.doubts)


def test_large_frames_are_measured_in_their_middle(detector):
    frames = np.random.default_rng(0).poisson(100, (3, 40, 1100))
    rows, columns = np.indices((40, 1100))
    for x in range(30, 1100, 60):
        frames = frames + np.rint(300 * np.exp(-((columns - x) ** 2 + (rows - 20) ** 2) / 5))
    twin = measure_twin(Video(frames.astype(np.uint16)), detector)
    assert tuple(twin.grounds.shape[1:]) == (40, 1024)
    assert any("the middle 1024 x 40 px" in doubt for doubt in twin.doubts)


def noise_alone():
    return np.random.default_rng(0).poisson(100, (20, 96, 96)).astype(np.uint16)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (noise_alone(), "no particle can be told from the noise"),
        (noise_alone()[:1], "no particle can be told from the noise"),
        (np.full((10, 64, 64), 7, np.uint8), "of one value throughout"),
        (np.zeros((10, 64, 64), np.uint8), "black throughout"),
    ],
)
def test_a_video_without_particles_has_no_twin(detector, frames, says):
    with pytest.raises(VideoError, match=says):
        measure_twin(Video(frames), detector)


def test_the_numbers_carry_their_units_and_are_plain(detector):
    import json

    twin = measure_twin(film([gaussian(1.8)], [200.0]).video, detector)
    numbers = json.loads(json.dumps(twin.to_dict()))
    assert numbers["particles"]["found_per_frame"] == twin.found_per_frame
    assert numbers["noise"]["sd_counts"] == pytest.approx(np.sqrt(200), rel=0.05)
    assert numbers["shapes"][0]["half_width_px"] == pytest.approx(1.8 * HALF, rel=0.05)
    assert "20" in str(twin) or "19" in str(twin) or "21" in str(twin)

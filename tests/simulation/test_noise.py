import numpy as np
import pytest
import torch

from cloudtrainer.simulation.backdrop import measure_backdrop
from cloudtrainer.simulation.noise import Noise, measure_noise
from cloudtrainer.video import Video


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def variance_of(noise, counts):
    return noise.variance(torch.as_tensor(counts)).numpy()


@pytest.mark.parametrize("particles", [0, 30])
@pytest.mark.parametrize(("gain", "read"), [(2.0, 8.0), (0.5, 6.0)])
def test_gain_and_read_noise_are_found_although_particles_move(
    Camera, film, smooth_background, gain, read, particles
):
    video, _ = film(Camera(gain, read), smooth_background(), particles=particles)
    noise = measure_backdrop(video).noise
    assert noise.gain == pytest.approx(gain, rel=0.1)
    assert noise.read_noise == pytest.approx(gain * read, rel=0.15)
    assert noise.blur_px == 0.0


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_an_offset_is_found_together_with_the_read_noise(Camera, film, smooth_background, dtype):
    camera = Camera(gain=0.5, read_photons=2.0, offset=100.0, dtype=dtype)
    video, ground = film(camera, smooth_background())
    noise = measure_backdrop(video).noise
    assert noise.gain == pytest.approx(0.5, rel=0.1)
    # The same line: less light, and no read noise.
    assert noise.read_noise == 0.0
    assert noise.offset == pytest.approx(100 - 0.5 * 2.0**2, abs=3)
    np.testing.assert_allclose(variance_of(noise, ground), camera.variance(ground), rtol=0.12)


def test_an_even_background_gives_constant_noise(Camera, film):
    camera = Camera(gain=2.0, read_photons=3.0)
    video, ground = film(camera, np.full((96, 96), 100.0), particles=15)
    noise = measure_backdrop(video).noise
    assert noise.gain == 0.0
    assert noise.read_noise**2 == pytest.approx(camera.variance(ground)[0, 0], rel=0.1)


def test_noise_of_less_than_a_step_of_the_converter_is_found(Camera, film):
    camera = Camera(gain=0.03, read_photons=5.0, dtype=np.uint8)
    video, _ = film(camera, np.full((96, 96), 500.0), particles=0)
    # Rounding adds the variance of a twelfth of a step.
    expected = 0.03**2 * (500 + 5.0**2) + 1 / 12
    assert expected < 0.6
    assert measure_backdrop(video).noise.read_noise ** 2 == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("blur_px", [0.6, 1.0])
def test_smoothed_noise_is_found_and_drawn_again(Camera, film, blur_px):
    camera = Camera(gain=2.0, read_photons=8.0, blur_px=blur_px)
    video, ground = film(camera, np.full((128, 128), 100.0), particles=15)
    noise = measure_backdrop(video).noise
    assert noise.blur_px == pytest.approx(blur_px, rel=0.1)
    drawn = noise.add(torch.full((20, 64, 64), float(ground[0, 0])), generator()).numpy()
    assert drawn.mean() == pytest.approx(ground[0, 0], rel=0.01)
    # Gain is in photons before they were smoothed: the formula of a pixel is the camera's.
    truth = camera.gain**2 * (100 + camera.read_photons**2)
    assert drawn.var() == pytest.approx(truth, rel=0.1)
    drawn = drawn - ground[0, 0]
    alike = (drawn[:, :, 1:] * drawn[:, :, :-1]).mean() / drawn.var()
    assert alike == pytest.approx(np.exp(-1 / (4 * blur_px**2)), abs=0.06)


def test_repeated_frames_show_their_noise_between_pixels():
    rng = np.random.default_rng(0)
    frames = np.rint(rng.normal(100, 4, (20, 80, 80))).astype(np.uint8)
    noise = measure_backdrop(Video(np.repeat(frames, 4, axis=0))).noise
    assert noise.gain == 0.0
    assert noise.read_noise == pytest.approx(4.0, rel=0.15)


def test_saturated_pixels_do_not_spoil_the_noise(Camera, film, smooth_background):
    camera = Camera(gain=2.0, read_photons=3.0, dtype=np.uint8)
    video, ground = film(camera, smooth_background(low=10, high=180))
    assert 0.1 < (ground > 255).mean() < 0.5
    noise = measure_backdrop(video).noise
    below = ground[ground < 200]
    np.testing.assert_allclose(variance_of(noise, below), camera.variance(below), rtol=0.15)


def test_a_dropped_frame_at_the_end_hides_no_noise():
    filmed = np.random.default_rng(0).poisson(200, (5, 96, 96)).astype(np.uint16)
    filmed[-1] = 0
    ground = np.full((96, 96), 200, np.float32)
    noise = measure_noise(Video(filmed), [0, 1, 2, 3], ground, 1.0, (0.0, 300.0))
    assert float(noise.variance(torch.tensor(200.0))) == pytest.approx(200, rel=0.1)


def test_a_lamp_that_flickers_is_not_taken_for_noise(Camera, film):
    video, ground = film(Camera(dtype=np.float32), np.full((96, 96), 100.0), particles=15)
    frames = video.frames()
    flicker = 1 + 0.1 * np.random.default_rng(1).normal(size=(len(frames), 1, 1))
    noise = measure_backdrop(Video((frames * flicker).astype(np.float32))).noise
    truth = Camera().variance(ground)[0, 0]
    assert variance_of(noise, ground[:1, :1])[0, 0] == pytest.approx(truth, rel=0.12)


@pytest.mark.parametrize("gain", [0.0, 0.5, 3.0])
def test_drawn_noise_has_the_variance_of_its_formula(gain):
    noise = Noise(gain=gain, offset=10.0, read_noise=4.0, blur_px=0.0)
    drawn = noise.add(torch.full((30, 64, 64), 60.0), generator()).numpy()
    assert drawn.mean() == pytest.approx(60, rel=0.01)
    assert drawn.var() == pytest.approx(gain * 50 + 16, rel=0.03)


def test_turned_over_noise_is_that_of_the_turned_over_counts():
    noise = Noise(gain=2.0, offset=10.0, read_noise=4.0, blur_px=0.0)
    over = noise.turned_over(300.0)
    drawn = over.add(torch.full((30, 64, 64), 300.0 - 60.0), generator()).numpy()
    assert drawn.mean() == pytest.approx(300 - 60, rel=0.01)
    assert drawn.var() == pytest.approx(2 * 50 + 16, rel=0.03)
    assert ((drawn - drawn.mean()) ** 3).mean() < 0
    # No light less than none: where nothing is left, photon noise is gone.
    black = over.add(torch.full((30, 64, 64), 299.0), generator()).numpy()
    assert black.var() == pytest.approx(16, rel=0.03)

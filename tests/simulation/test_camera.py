import math

import numpy as np
import pytest
import torch

from cloudtrainer.config import CameraSettings
from cloudtrainer.simulation.camera import Camera, photon_noise, read_noise, uneven_background


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("expected", [0.2, 4.0, 300.0])
def test_photons_have_the_mean_and_the_variance_of_poisson(expected):
    n = 400 * 400
    photons = photon_noise(torch.full((1, 400, 400), expected), generator())
    assert photons.dtype == torch.float32
    assert torch.equal(photons, photons.round())
    assert float(photons.mean()) == pytest.approx(expected, abs=4 * math.sqrt(expected / n))
    # The variance of a sample variance: (mu4 - var^2) / n, with mu4 = 3 m^2 + m of Poisson.
    sd = math.sqrt((2 * expected**2 + expected) / n)
    assert float(photons.var()) == pytest.approx(expected, abs=4 * sd)


def test_less_than_no_light_gives_no_photons():
    assert torch.equal(photon_noise(torch.tensor([[-3.0, 0.0]]), generator()), torch.zeros(1, 2))


def test_read_noise_has_its_standard_deviation_and_no_mean():
    n = 300 * 300
    counts = read_noise(torch.full((1, 300, 300), 50.0), 2.5, generator())
    assert float(counts.mean()) == pytest.approx(50.0, abs=4 * 2.5 / math.sqrt(n))
    assert float(counts.std()) == pytest.approx(2.5, abs=4 * 2.5 / math.sqrt(2 * n))


def test_read_noise_may_differ_between_images():
    counts = read_noise(torch.zeros(2, 200, 200), torch.tensor([[[0.0]], [[3.0]]]), generator())
    assert float(counts[0].abs().max()) == 0.0
    assert float(counts[1].std()) == pytest.approx(3.0, rel=0.03)


def test_noise_is_that_of_its_seed():
    light = torch.full((2, 16, 16), 9.0)
    assert torch.equal(photon_noise(light, generator(1)), photon_noise(light, generator(1)))
    assert not torch.equal(photon_noise(light, generator(1)), photon_noise(light, generator(2)))


def test_backgrounds_fill_0_to_1_are_smooth_and_differ():
    fields = uneven_background(4, 96, 128, generator())
    assert fields.shape == (4, 96, 128)
    np.testing.assert_allclose(fields.amin(dim=(1, 2)), 0.0, atol=1e-6)
    np.testing.assert_allclose(fields.amax(dim=(1, 2)), 1.0, atol=1e-6)
    # The narrowest bumps are a sixteenth of a frame wide: no step between pixels is large.
    assert float(fields.diff(dim=2).abs().max()) < 0.15
    assert float((fields[0] - fields[1]).abs().max()) > 0.1


PIXELS = (200, 200)


def test_variance_against_mean_is_the_line_of_photon_transfer():
    camera = Camera(gain=2.5, offset=100.0, read_noise=4.0)
    means, variances = [], []
    for light in (5.0, 50.0, 200.0, 800.0):
        counts = camera.expose(torch.full((2, *PIXELS), light), generator(int(light)))
        assert torch.equal(counts, counts.round())
        difference = (counts[1] - counts[0]).double()
        means.append(float(counts.double().mean()))
        variances.append(float(difference.var() / 2))
    gain, constant = np.polyfit(means, variances, 1, w=1 / np.array(variances))
    assert gain == pytest.approx(2.5, rel=0.03)
    # At the offset only read noise is left, and the rounding.
    at_offset = constant + gain * 100
    assert math.sqrt(at_offset - 1 / 12) / gain == pytest.approx(4.0, rel=0.1)
    assert means[0] == pytest.approx(100 + 2.5 * 5, rel=0.01)


def test_the_fixed_pattern_has_its_spread_and_stays():
    camera = Camera(gain_spread=0.04, offset_spread=6.0)
    pattern = camera.draw_pattern(PIXELS, generator())
    dark = camera_frames(Camera(offset=100.0), pattern, light=0.0)
    bright = camera_frames(Camera(offset=100.0), pattern, light=2500.0)
    n = PIXELS[0] * PIXELS[1]
    assert float(dark.std()) == pytest.approx(6.0, rel=5 / math.sqrt(2 * n) + 0.01)
    photons = 2500 / 64
    signal = bright - dark
    assert math.sqrt(float(signal.var()) - photons) == pytest.approx(0.04 * 2500, rel=0.02)
    assert float(signal.mean()) == pytest.approx(2500, rel=0.002)
    again = camera_frames(Camera(offset=100.0), pattern, light=2500.0, seed=1)
    alike = np.corrcoef(bright.flatten(), again.flatten())[0, 1]
    assert alike > 0.98


def camera_frames(camera, pattern, light, seed=0):
    """Return the mean of 64 frames."""
    total = torch.zeros(PIXELS, dtype=torch.float64)
    source = generator(seed)
    for _ in range(64):
        total += camera.expose(torch.full(PIXELS, light), source, pattern)
    return total / 64


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_counts_end_at_the_largest_of_their_bits_and_at_0(bits):
    camera = Camera(offset=-50.0, read_noise=3.0, bits=bits)
    assert float(camera.expose(torch.full(PIXELS, 1e5), generator()).min()) == 2**bits - 1
    assert float(camera.expose(torch.zeros(PIXELS), generator()).max()) == 0


def test_a_full_well_holds_no_more():
    camera = Camera(gain=0.5, offset=10.0, full_well=1000.0)
    counts = camera.expose(torch.full(PIXELS, 5000.0), generator())
    assert bool((counts == 510).all())


def test_images_may_have_cameras_of_their_own():
    read = torch.tensor([0.0, 9.0])[:, None, None]
    spread = torch.tensor([0.2, 0.0])[:, None, None]
    camera = Camera(offset=100.0, read_noise=read, gain_spread=spread)
    pattern = camera.draw_pattern((2, *PIXELS), generator())
    assert float(pattern.gain[0].std()) == pytest.approx(0.2, rel=0.03)
    assert float(pattern.gain[1].std()) == 0.0
    counts = camera.expose(torch.zeros(2, *PIXELS), generator(), pattern)
    assert float(counts[0].std()) == 0.0
    assert float(counts[1].std()) == pytest.approx(9.0, rel=0.03)


def test_a_camera_is_that_of_its_settings():
    settings = CameraSettings(gain=3.0, offset=7.0, bits=12)
    assert vars(Camera.of(settings)) == settings.model_dump()

import math

import numpy as np
import pytest
import torch

from cloudtrainer.simulation.camera import photon_noise, read_noise, uneven_background


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

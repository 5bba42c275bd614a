import math

import numpy as np
import pytest
import torch

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation import draw_scenes

PLAIN = {
    "background_structure": 0.0,
    "ring_share": 0.0,
    "clutter_share": 0.0,
    "compressed_share": 0.0,
    "speck_share": 0.0,
    "smeared_share": 0.0,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn_spots(monkeypatch, settings, images=64, size_px=64):
    """Return the particles and the clutter that a batch renders."""
    rendered = []

    def spy(spots, height, width):
        rendered.append(spots)
        return torch.zeros(len(spots.x), height, width)

    monkeypatch.setattr("cloudtrainer.simulation.particles.render_spots", spy)
    draw_scenes(settings, images, size_px, generator())
    return rendered


def test_a_seed_gives_one_batch_and_another_seed_another():
    first = draw_scenes(SceneSettings(), 6, 64, generator(3))
    again = draw_scenes(SceneSettings(), 6, 64, generator(3))
    for name in ("images", "x", "y", "present", "brightest"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    other = draw_scenes(SceneSettings(), 6, 64, generator(4))
    assert not torch.equal(first.images, other.images)


def test_images_are_finite_counts_and_positions_lie_inside():
    batch = draw_scenes(SceneSettings(), 48, 64, generator())
    assert batch.images.shape == (48, 64, 64)
    assert batch.images.dtype == torch.float32
    assert bool(torch.isfinite(batch.images).all())
    assert batch.present.dtype == torch.bool
    for values in (batch.x[batch.present], batch.y[batch.present]):
        assert len(values) > 100
        assert float(values.min()) > -0.5
        assert float(values.max()) < 63.5


def test_the_number_present_follows_the_density():
    settings = SceneSettings(density_per_1000_px2=[1.5, 1.5], spot_sigma_px=[1.0, 1.0])
    batch = draw_scenes(settings, 200, 64, generator())
    expected = 1.5 * 64 * 64 / 1000
    per_scene = batch.present.sum(dim=1).double()
    assert float(per_scene.mean()) == pytest.approx(expected, abs=4 * math.sqrt(expected / 200))


def test_large_spots_are_never_crowded():
    settings = SceneSettings(density_per_1000_px2=[50.0, 50.0], spot_sigma_px=[3.0, 3.0])
    batch = draw_scenes(settings, 50, 64, generator())
    most = 0.2 / (math.pi * (1.5 * 3.0) ** 2) * 64 * 64
    assert float(batch.present.sum(dim=1).double().mean()) == pytest.approx(most, rel=0.15)


def test_scenes_may_be_empty():
    settings = SceneSettings(**PLAIN, density_per_1000_px2=[0, 0], background_photons=[50, 50])
    batch = draw_scenes(settings, 8, 64, generator())
    assert not bool(batch.present.any())
    assert float(batch.images.mean()) == pytest.approx(50, rel=0.02)


def test_particles_are_brighter_than_the_ground_and_where_the_truth_says():
    settings = SceneSettings(**PLAIN, peak_snr=[10, 10], density_per_1000_px2=[0.5, 0.5])
    batch = draw_scenes(settings, 30, 64, generator())
    image, place = torch.nonzero(batch.present, as_tuple=True)
    column = batch.x[image, place].round().long()
    row = batch.y[image, place].round().long()
    ground = batch.images.flatten(1).median(dim=1).values[image]
    brighter = batch.images[image, row, column] > ground
    assert len(brighter) > 40
    assert float(brighter.double().mean()) == 1.0


def test_every_property_lies_in_its_range(monkeypatch):
    settings = SceneSettings(
        spot_sigma_px=[1.2, 2.0],
        peak_snr=[4, 9],
        background_photons=[30, 60],
        ring_share=1.0,
        smeared_share=0.0,
    )
    particles, _ = drawn_spots(monkeypatch, settings)
    lit = particles.peak > 0
    assert int(lit.sum()) > 200
    # Each scene draws its size from the range; particles differ from it by exp(0.25) at most.
    sigma = particles.sigma[lit]
    assert 1.2 * math.exp(-0.25) <= float(sigma.min())
    assert float(sigma.max()) <= 2.0 * math.exp(0.25)
    peak = particles.peak[lit] * particles.ring_height[lit].clamp(min=1.0)

    def peak_of(snr, ground):
        return (snr**2 + math.sqrt(snr**4 + 4 * snr**2 * ground)) / 2

    assert float(peak.min()) >= peak_of(4, 30) * (1 - 1e-4)
    assert float(peak.max()) <= peak_of(9, 60) * (1 + 1e-4)
    heights = particles.ring_height[lit]
    assert -0.6 <= float(heights.min()) < 0 < float(heights.max()) <= 5.0
    assert float(particles.ring_radius.max()) <= 14.0


def test_shares_of_0_and_1_turn_things_off_and_on(monkeypatch):
    plain = SceneSettings(**PLAIN)
    particles, clutter = drawn_spots(monkeypatch, plain)
    assert float(particles.ring_height.abs().max()) == 0.0
    assert float(clutter.peak.abs().max()) == 0.0
    cluttered = SceneSettings(**{**PLAIN, "clutter_share": 1.0})
    _, clutter = drawn_spots(monkeypatch, cluttered)
    assert float(clutter.peak.max()) > 0.0


def test_hot_pixels_come_with_their_share():
    still = {"density_per_1000_px2": [0, 0], "background_photons": [100, 100]}
    cold = draw_scenes(SceneSettings(**PLAIN, **still), 20, 64, generator()).images
    hot = draw_scenes(
        SceneSettings(**{**PLAIN, "speck_share": 1.0}, **still), 20, 64, generator()
    ).images
    # Background 100 with read noise up to 3: 7 standard deviations are 73 counts.
    assert int((cold > 100 + 73).sum()) == 0
    assert 50 < int((hot > 100 + 73).sum()) < 300


def test_compressed_scenes_have_at_most_256_steps():
    settings = SceneSettings(**{**PLAIN, "compressed_share": 1.0})
    images = draw_scenes(settings, 10, 64, generator()).images
    assert torch.equal(images, images.round())
    assert all(40 <= len(np.unique(image)) <= 256 or image.max() <= 255 for image in images.numpy())
    assert float(images.max()) <= 255

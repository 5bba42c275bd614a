"""Particles that move while a frame is exposed."""

import numpy as np
import pytest
import torch

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.exposure import draw_smear, smeared
from cloudtrainer.simulation.random_scenes import draw_scenes
from cloudtrainer.simulation.spots import gaussian_spots, render_spots

STILL = {
    "ring_share": 0.0,
    "clutter_share": 0.0,
    "compressed_share": 0.0,
    "speck_share": 0.0,
    "background_structure": 0.0,
}


def draw(seed=0):
    return Draw(torch.Generator().manual_seed(seed))


def spots(images=2, particles=3, peak=100.0):
    x = torch.linspace(20, 40, images * particles).view(images, particles)
    return gaussian_spots(x, x + 2, torch.full_like(x, peak), 1.5)


def test_spots_that_stand_still_are_as_they_were():
    here = spots()
    assert smeared(here, torch.zeros(2, 1), draw()) is here
    some = smeared(here, torch.tensor([[0.0], [2.0]]), draw())
    before, after = (render_spots(one, 64, 64) for one in (here, some))
    assert torch.allclose(before[0], after[0], atol=1e-4)
    assert not torch.allclose(before[1], after[1], atol=1.0)


def test_light_is_kept_and_stays_around_its_place():
    images = 200
    here = gaussian_spots(
        torch.full((images, 1), 50.0), torch.full((images, 1), 40.0), torch.ones(images, 1), 1.5
    )
    light = render_spots(smeared(here, torch.full((images, 1), 3.0), draw()), 90, 100)
    alone = render_spots(here, 90, 100)
    assert torch.allclose(light.sum((1, 2)), alone.sum((1, 2)), rtol=2e-3)
    columns = (light.sum(1) * torch.arange(100)).sum(1) / light.sum((1, 2))
    rows = (light.sum(2) * torch.arange(90)).sum(1) / light.sum((1, 2))
    assert torch.allclose(columns, torch.tensor(50.0), atol=0.01)
    assert torch.allclose(rows, torch.tensor(40.0), atol=0.01)


def test_the_light_of_many_is_as_wide_as_a_random_walk_around_its_mean():
    images, way = 3000, 3.0
    here = gaussian_spots(
        torch.full((images, 1), 50.0), torch.full((images, 1), 50.0), torch.ones(images, 1), 1.5
    )
    light = render_spots(smeared(here, torch.full((images, 1), way), draw()), 101, 101).sum((0, 1))
    light = light.double().numpy()
    variance = np.sum(light * (np.arange(101) - 50.0) ** 2) / light.sum() - 1.5**2
    # A Brownian path has the variance way^2 / 6 around its mean; one of 8 places, 63/64 of it.
    assert variance == pytest.approx(way**2 / 6 * 63 / 64, rel=0.06)


def test_a_share_of_the_scenes_is_smeared():
    smear = draw_smear(draw(), 0.25, 4000)
    moving = smear[smear > 0]
    assert len(moving) / 4000 == pytest.approx(0.25, abs=0.03)
    assert float(moving.min()) >= 0.3
    assert float(moving.max()) <= 4.0
    assert not bool(draw_smear(draw(), 0.0, 10).any())


@pytest.mark.parametrize("context", [0, 1])
def test_the_truth_of_a_smeared_scene_is_where_its_light_is(context):
    settings = SceneSettings(
        **STILL,
        smeared_share=1.0,
        peak_snr=[30, 30],
        density_per_1000_px2=[0.15, 0.15],
        background_photons=[5, 5],
        spot_sigma_px=[1.5, 1.5],
    )
    scenes = draw_scenes(settings, 60, 96, torch.Generator().manual_seed(3), context)
    assert scenes.frames.shape == (60, 2 * context + 1, 96, 96)
    missed = []
    for image, x, y, present in zip(scenes.images, scenes.x, scenes.y, scenes.present, strict=True):
        inside = (x[present] > 20) & (x[present] < 76) & (y[present] > 20) & (y[present] < 76)
        if int(present.sum()) != 1 or not bool(inside.all()):
            continue
        light = (image - image.median()).clamp(min=0)
        light = torch.where(light > 15, light, 0.0)
        columns = (light.sum(0) * torch.arange(96)).sum() / light.sum()
        missed.append(float(columns - x[present]))
    assert len(missed) > 3
    assert abs(np.mean(missed)) < 0.4
    assert np.std(missed) < 0.8

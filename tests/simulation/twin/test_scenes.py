from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.twin import Focus, SpotShape, Twin, draw_frame, draw_twin

KNOTS = np.arange(25) / 2
SIGMA = 1.6
GAUSSIAN = torch.as_tensor(np.exp(-(KNOTS**2) / (2 * SIGMA**2)), dtype=torch.float32)
SPECK = torch.zeros(25)
SPECK[0] = 1.0


def shape(profile=GAUSSIAN, low=100.0, high=100.0, per_frame=10.0, **more):
    amplitude = torch.linspace(low, high, 21)
    return SpotShape(profile, amplitude, per_frame, in_focus=1.0, **more)


def twin(*shapes, noise=None, side=96, **more):
    given = {
        "name": "film",
        "polarity": 1,
        "grounds": torch.full((2, side, side), 200.0),
        "noise": noise or Noise(0.0, 0.0, 1e-3, 0.0),
        "step": 0.0,
        "lowest": 0.0,
        "highest": 5000.0,
        "turned_at": 5000.0,
        "saturated": 0.0,
        "shapes": shapes or (shape(),),
        "focus": None,
        "found_per_frame": 10.0,
        "false_per_frame": 0.0,
    }
    return Twin(**(given | more))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_particle_is_drawn_where_and_as_high_as_the_profile_says():
    # One particle in 96 x 96 px: most crops hold one or none.
    scenes = draw_twin(twin(shape(per_frame=1.0)), 200, 64, generator(), variety=0.0)
    rows, columns = np.indices((64, 64))
    compared = 0
    for image, x, y, present in zip(
        scenes.images.numpy(), scenes.x, scenes.y, scenes.present, strict=True
    ):
        if present.sum() != 1:
            continue
        x, y = float(x[present]), float(y[present])
        if not (12 < x < 51 and 12 < y < 51) or image[:, :8].max() > 201:
            continue
        expected = 100 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
        light = image - 200
        near = np.hypot(columns - x, rows - y) < 6
        if np.abs(light[~near]).max() > 2:
            continue
        # Straight lines between half pixels.
        assert np.abs(light - expected)[near].max() < 2.0
        compared += 1
    assert compared >= 10


def test_density_shares_and_brightness_are_those_of_the_twin():
    both = twin(shape(low=50, high=150, per_frame=30.0), shape(low=400, high=400, per_frame=10.0))
    scenes = draw_twin(both, 200, 64, generator(), variety=0.0)
    present = scenes.present.sum() / 200
    assert float(present) == pytest.approx(40 * 64**2 / 96**2, rel=0.05)
    _, spots = draw_frame(both, generator(1))
    peaks = torch.cat([draw_frame(both, generator(n))[1].peak.flatten() for n in range(40)])
    peaks = peaks[peaks > 0].numpy()
    assert np.mean(peaks == 400) == pytest.approx(0.25, abs=0.03)
    dim = peaks[peaks < 399]
    assert np.quantile(dim, [0.1, 0.5, 0.9]) == pytest.approx([60, 100, 140], rel=0.05)
    assert spots.x.shape == spots.shape.shape


def test_variety_widens_density_and_brightness_around_the_twin():
    one = twin(shape(per_frame=40.0))
    plain = draw_twin(one, 300, 64, generator(), variety=0.0)
    varied = draw_twin(one, 300, 64, generator(), variety=1.0)
    few, many = (s.present.sum(dim=1).float().std() for s in (plain, varied))
    assert many > 1.5 * few
    assert varied.images.amax() > 1.1 * plain.images.amax() - 50


def test_hot_pixels_are_drawn_on_one_pixel_and_are_not_to_be_found():
    hot = shape(SPECK, 900.0, 900.0, per_frame=60.0, is_speck=True)
    scenes = draw_twin(twin(hot), 20, 64, generator())
    assert not scenes.present.any()
    images = scenes.images.numpy() - 200
    assert np.sum(images > 300) > 100
    # Each pixel is hot by itself: what is not hot is dark.
    assert np.all((images > 300) | (np.abs(images) < 1))


def test_noise_and_steps_are_those_of_the_video():
    grained = twin(shape(per_frame=1e-9), noise=Noise(2.0, 0.0, 3.0, 0.0), step=1.0)
    images = draw_twin(grained, 30, 64, generator()).images
    assert float(images.var()) == pytest.approx(2 * 200 + 9, rel=0.03)
    assert torch.equal(images, images.round())


def test_counts_end_at_the_largest_where_particles_are_saturated():
    bright = shape(low=9000.0, high=9000.0, per_frame=30.0)
    assert draw_twin(twin(bright), 8, 64, generator()).images.max() > 5000
    flat = twin(bright, saturated=0.5)
    assert draw_twin(flat, 8, 64, generator()).images.max() == 5000


def test_crops_show_every_ground_and_go_on_mirrored_beyond_small_frames():
    grounds = torch.stack([torch.full((40, 40), 100.0), torch.full((40, 40), 300.0)])
    scenes = draw_twin(twin(shape(per_frame=1e-9), grounds=grounds), 40, 64, generator())
    levels = scenes.images.flatten(1).median(dim=1).values
    assert {round(float(level), -1) for level in levels} == {100.0, 300.0}


def test_rings_are_drawn_as_rings():
    ring = torch.as_tensor(np.exp(-((KNOTS - 8) ** 2) / 2), dtype=torch.float32)
    scenes = draw_twin(twin(shape(ring, per_frame=2.0)), 100, 64, generator(), variety=0.0)
    for image, x, y, present in zip(
        scenes.images.numpy(), scenes.x, scenes.y, scenes.present, strict=True
    ):
        if present.sum() == 1 and 20 < float(x[present]) < 44 and 20 < float(y[present]) < 44:
            labels, number = ndimage.label(image > 250)
            if number == 1:
                centre = ndimage.center_of_mass(image - 200, labels, 1)
                assert centre[0] == pytest.approx(float(y[present]), abs=0.2)
                assert centre[1] == pytest.approx(float(x[present]), abs=0.2)
                return
    raise AssertionError("no scene held a single ring")


def test_the_same_generator_gives_the_same_scenes():
    first, again = (draw_twin(twin(), 4, 64, generator(3)) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.x, again.x)


def test_a_twin_of_dark_particles_tells_its_numbers_as_filmed():
    dark = replace(twin(), polarity=-1, turned_at=1000.0)
    assert dark.background == 800
    assert dark.to_dict()["background_counts"]["median"] == 800
    assert "dark particles" in str(dark)


def test_the_sentences_say_which_particles_enter_D():
    blurred = replace(shape(per_frame=5.0), in_focus=0.0)
    told = str(twin(shape(), blurred, focus=Focus(100.0, 50.0), found_per_frame=15.0))
    assert "In focus, and measured: 10 a frame" in told
    assert "left out of D" in told

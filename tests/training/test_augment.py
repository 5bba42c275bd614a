import math

import numpy as np
import pytest
import torch

from cloudtrainer.config import AugmentationSettings
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.augment import augment, source_side

ALL = AugmentationSettings()
NOTHING = {
    name: False if isinstance(value, bool) else 0.0 for name, value in ALL.model_dump().items()
}
ORIENTED = {"flip_lr": True, "flip_ud": True, "rotate": True}
MOVED = {**ORIENTED, "free_rotation": True, "scale": 0.1}


def only(**wanted):
    return AugmentationSettings(**{**NOTHING, "enabled": True, **wanted})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(images, x=None, y=None):
    """Return crops with positions (by default one, in the middle) that are all present."""
    images = torch.as_tensor(np.asarray(images), dtype=torch.float32)
    middle = np.full((len(images), 1), (images.shape[-1] - 1) / 2)
    x, y = (
        torch.as_tensor(middle if values is None else values, dtype=torch.float32)
        for values in (x, y)
    )
    return Scenes(images, x, y, torch.ones(x.shape, dtype=torch.bool), images.amax(dim=(1, 2)))


def rendered(x, y, sigma, side):
    """Add up Gaussian spots of height 1: positions (crops, spots), widths (crops,)."""
    pixel = np.arange(side)
    across = np.exp(-0.5 * ((pixel - x[..., None]) / sigma[:, None, None]) ** 2)
    along = np.exp(-0.5 * ((pixel - y[..., None]) / sigma[:, None, None]) ** 2)
    return np.einsum("nkr,nkc->nrc", along, across)


def marked(crops=16, side=20, seed=0):
    """Return crops that are 0 but for pixels of 1, 2, 3 at their positions."""
    rng = np.random.default_rng(seed)
    places = np.array([rng.choice(side * side, 3, replace=False) for _ in range(crops)])
    images = np.zeros((crops, side * side))
    np.put_along_axis(images, places, np.array([[1.0, 2.0, 3.0]]), axis=1)
    return scenes(images.reshape(crops, side, side), places % side, places // side)


def noisy(crops=64, side=32, level=1000.0, sd=5.0, seed=0):
    return scenes(np.random.default_rng(seed).normal(level, sd, (crops, side, side)))


def lit(crops=64, side=32, seed=0):
    """Return noisy crops with a bright spot each."""
    x, y = np.random.default_rng(seed).uniform(8, side - 8, (2, crops, 1))
    spots = 300 * rendered(x, y, np.full(crops, 2.0), side)
    return scenes(noisy(crops, side, seed=seed).images.numpy() + spots, x, y)


@pytest.mark.parametrize(
    "wanted",
    [
        {"flip_lr": True},
        {"rotate": True},
        {"free_rotation": True},
        {"scale": 0.1},
        {"scale": 0.4},
        MOVED,
    ],
    ids=["mirror", "quarter turns", "rotation", "scale", "much scale", "all"],
)
def test_positions_are_the_centroids_of_rendered_spots_to_a_hundredth_of_a_pixel(wanted):
    settings, size, crops = only(**wanted), 96, 150
    side = source_side(settings, size)
    rng = np.random.default_rng(1)
    # Far enough inside that the light of the spot stays whole.
    x, y = (side - 1) / 2 + rng.uniform(-18, 18, (2, crops, 1))
    before = scenes(rendered(x, y, rng.uniform(1.5, 2.5, crops), side), x, y)
    after = augment(before, settings, size, generator())
    assert bool(after.present.all())
    light = after.images.double().numpy()
    light /= light.sum(axis=(1, 2), keepdims=True)
    pixel = np.arange(size)
    np.testing.assert_allclose((light.sum(axis=1) * pixel).sum(axis=1), after.x[:, 0], atol=0.01)
    np.testing.assert_allclose((light.sum(axis=2) * pixel).sum(axis=1), after.y[:, 0], atol=0.01)
    moved = torch.hypot(after.x - before.x + (side - size) / 2, after.y - before.y) > 1
    assert moved.float().mean() > 0.4


def test_crops_look_as_if_rendered_at_the_moved_positions():
    settings, size, crops = only(**MOVED), 64, 60
    side = source_side(settings, size)
    rng = np.random.default_rng(2)
    sigma = rng.uniform(1.5, 2.5, crops)
    # Around the crop as well, so that its corners are tested.
    x, y = rng.uniform(-8, side + 7, (2, crops, 60))
    before = scenes(rendered(x, y, sigma, side), x, y)
    after = augment(before, settings, size, generator())
    new_x, new_y = after.x.double().numpy(), after.y.double().numpy()
    apart = np.hypot(np.ptp(x[:, :2], axis=1), np.ptp(y[:, :2], axis=1))
    new_apart = np.hypot(np.ptp(new_x[:, :2], axis=1), np.ptp(new_y[:, :2], axis=1))
    factor = new_apart / apart
    assert 0.9 <= factor.min() < 0.95
    assert 1.05 < factor.max() <= 1.1001
    expected = rendered(new_x, new_y, sigma * factor, size)
    np.testing.assert_allclose(after.images.numpy(), expected, atol=0.02)


@pytest.mark.parametrize("wanted", [*({name: True} for name in ORIENTED), ORIENTED])
def test_positions_stay_on_their_pixels(wanted):
    before = marked()
    after = augment(before, only(**wanted), 20, generator())
    crop = torch.arange(16)[:, None]
    on = after.images[crop, after.y.long(), after.x.long()]
    assert torch.equal(on, torch.tensor([1.0, 2.0, 3.0]).expand(16, 3))
    assert 2 <= int((after.images != before.images).any(dim=(1, 2)).sum()) <= 16
    assert torch.equal(after.present, before.present)


def test_turns_and_mirrors_give_all_eight_orientations_alike_often():
    image = np.arange(49.0).reshape(7, 7)
    after = augment(scenes([image] * 800), only(**ORIENTED), 7, generator())
    seen = [crop.numpy().tolist() for crop in after.images]
    for turns in range(4):
        for start in (image, image.T):
            assert 60 < seen.count(np.rot90(start, turns).tolist()) < 140


def test_quarter_turns_alone_do_not_mirror():
    image = np.arange(49.0).reshape(7, 7)
    after = augment(scenes([image] * 400), only(rotate=True), 7, generator())
    seen = [crop.numpy().tolist() for crop in after.images]
    assert all(seen.count(np.rot90(image, turns).tolist()) > 60 for turns in range(4))
    assert len({str(crop) for crop in seen}) == 4


@pytest.mark.parametrize("settings", [only(), AugmentationSettings(enabled=False)])
@pytest.mark.parametrize("side", [20, 28])
def test_nothing_changes_but_the_size_when_all_is_off(settings, side):
    assert source_side(settings, 20) == 20
    before = marked(side=side)
    after = augment(before, settings, 20, generator())
    start = (side - 20) // 2
    assert torch.equal(after.images, before.images[:, start : start + 20, start : start + 20])
    assert torch.equal(after.x, before.x - start)
    assert torch.equal(after.y, before.y - start)
    assert torch.equal(after.brightest, before.brightest)


def test_crops_that_are_neither_turned_nor_scaled_are_exact_copies():
    settings = only(free_rotation=True, scale=0.1)
    side = source_side(settings, 32)
    before = lit(400, side)
    after = augment(before, settings, 32, generator())
    start = (side - 32) // 2
    straight = before.images[:, start : start + 32, start : start + 32]
    same = (after.images == straight).all(dim=(1, 2))
    assert 0.19 < float(same.float().mean()) < 0.31
    assert torch.equal(after.x[same], before.x[same] - start)
    assert bool((after.x[~same] != before.x[~same] - start).all())


def test_particles_that_leave_the_crop_are_dropped():
    x = np.array([[3.4, 3.5, 23.4, 23.5, 13.0, 13.0, 13.0, 13.0]])
    y = np.array([[13.0, 13.0, 13.0, 13.0, 3.4, 3.5, 23.4, 23.5]])
    before = scenes(np.zeros((1, 28, 28)), x, y)
    before.present[0, 1] = False
    after = augment(before, only(), 20, generator())
    assert after.present.tolist() == [[False, False, True, False, False, True, True, False]]


def test_only_particles_inside_are_present_after_turns_and_scaling():
    settings = only(**MOVED)
    side = source_side(settings, 32)
    x, y = np.random.default_rng(0).uniform(0, side - 1, (2, 100, 20))
    after = augment(scenes(np.zeros((100, side, side)), x, y), settings, 32, generator())
    outside = (torch.maximum((after.x - 15.5).abs(), (after.y - 15.5).abs())) > 16
    assert torch.equal(after.present, ~outside)
    assert 0.2 < float(after.present.float().mean()) < 0.5


@pytest.mark.parametrize("size", [32, 33, 64])
@pytest.mark.parametrize(("turned", "scale"), [(True, 0.0), (False, 0.1), (True, 0.1), (True, 0.5)])
def test_the_source_fills_the_crop(size, turned, scale):
    settings = only(free_rotation=turned, scale=scale)
    side = source_side(settings, size)
    assert (side - size) % 2 == 0
    # Not a pixel more than interpolation needs: the corners of the crop, turned by 45 degrees.
    corner = (size - 1) / 2 * (math.sqrt(2) if turned else 1) / (1 - scale)
    assert corner + 2 <= (side - 1) / 2 <= corner + 3.5
    after = augment(scenes(np.ones((200, side, side))), settings, size, generator())
    torch.testing.assert_close(after.images, torch.ones(200, size, size), rtol=0, atol=1e-5)


def test_brightness_multiplies_by_08_to_12_and_leaves_the_brightest_of_the_video():
    before = noisy(300, 4)
    after = augment(before, only(brightness=True), 4, generator())
    factor = after.images[:, :1, :1] / before.images[:, :1, :1]
    torch.testing.assert_close(after.images, before.images * factor)
    assert 0.8 <= float(factor.min()) < 0.83
    assert 1.17 < float(factor.max()) <= 1.2
    assert torch.equal(after.brightest, before.brightest)


def test_contrast_stretches_around_the_median():
    before = lit(200)
    after = augment(before, only(contrast=0.2), 32, generator())
    ground = before.images.flatten(1).median(dim=1).values[:, None, None]
    highest = before.images.amax(dim=(1, 2), keepdim=True)
    factor = (after.images.amax(dim=(1, 2), keepdim=True) - ground) / (highest - ground)
    torch.testing.assert_close(
        after.images - ground, (before.images - ground) * factor, rtol=1e-3, atol=1e-3
    )
    assert 0.8 <= float(factor.min()) < 0.82
    assert 1.18 < float(factor.max()) <= 1.2001


def test_gamma_bends_between_the_lowest_and_the_highest_intensity():
    ramp = np.linspace(0, 1, 49).reshape(7, 7)
    after = augment(scenes([30 * ramp - 10] * 200), only(gamma=0.1), 7, generator()).images
    bent = (after.double().numpy() + 10) / 30
    exponent = np.log(bent[:, 3, 3]) / np.log(ramp[3, 3])
    np.testing.assert_allclose(bent, ramp ** exponent[:, None, None], atol=1e-6)
    assert 0.9 <= exponent.min() < 0.92
    assert 1.08 < exponent.max() <= 1.1001


def test_the_gradient_is_a_plane_of_the_stated_rise():
    before = lit(300)
    added = augment(before, only(gradient=0.3), 32, generator()).images - before.images
    added = added.double().numpy()
    right, down = (np.diff(added, axis=axis).mean(axis=(1, 2)) for axis in (2, 1))
    pixel = np.arange(32) - 15.5
    plane = right[:, None, None] * pixel + down[:, None, None] * pixel[:, None]
    np.testing.assert_allclose(added, plane, atol=1e-3)
    contrast = before.images.amax(dim=(1, 2)) - before.images.flatten(1).median(dim=1).values
    rise = np.ptp(added, axis=(1, 2)) / contrast.numpy()
    assert rise.max() == pytest.approx(0.3, abs=0.01)
    assert rise.mean() == pytest.approx(0.15, abs=0.02)
    quadrant = np.histogram(np.arctan2(down, right), bins=4, range=(-np.pi, np.pi))[0]
    assert quadrant.min() > 50


@pytest.mark.parametrize("kind", ["gaussian_noise", "poisson_noise"])
@pytest.mark.parametrize("sd", [0.003, 5.0])
def test_noise_is_of_the_stated_level(kind, sd):
    before = noisy(300, 64, level=1000 * sd, sd=sd)
    added = augment(before, only(**{kind: 0.5}), 64, generator()).images - before.images
    level = added.std(dim=(1, 2)) / sd
    assert float(level.max()) == pytest.approx(0.5, rel=0.1)
    assert float(level.mean()) == pytest.approx(0.25, rel=0.1)
    assert float(added.mean()) / sd == pytest.approx(0.0, abs=0.01)


def test_noise_is_relative_to_the_cameras_where_interpolation_has_smoothed_it():
    settings = only(free_rotation=True, scale=0.1)
    before = noisy(300, source_side(settings, 64))
    smoothed = augment(before, settings, 64, generator()).images
    noisier = settings.model_copy(update={"gaussian_noise": 0.5})
    added = augment(before, noisier, 64, generator()).images - smoothed
    assert float(added.std(dim=(1, 2)).mean()) / 5.0 == pytest.approx(0.25, rel=0.1)


def test_poisson_noise_has_a_variance_that_grows_with_the_intensity():
    image = np.zeros((32, 32))
    image[:, 8:16], image[:, 16:] = 1000.0, 4000.0
    before = scenes(np.repeat(image[None], 300, axis=0))
    added = augment(before, only(poisson_noise=0.5), 32, generator()).images - before.images
    assert not bool(added[:, :, :8].any())
    ratio = added[:, :, 16:].var() / added[:, :, 8:16].var()
    assert float(ratio) == pytest.approx(4.0, rel=0.05)


def test_a_quarter_is_blurred_by_up_to_the_stated_width():
    x = y = np.full((400, 1), 15.5)
    before = scenes(rendered(x, y, np.full(400, 1.5), 32), x, y)
    after = augment(before, only(blur_px=1.5), 32, generator()).images.double().numpy()
    blurred = (after != before.images.numpy()).any(axis=(1, 2))
    assert 0.19 < blurred.mean() < 0.31
    light = after.sum(axis=(1, 2))
    np.testing.assert_allclose(light, light[~blurred][0], rtol=1e-5)
    variance = (after.sum(axis=1) * (np.arange(32) - 15.5) ** 2).sum(axis=1) / light
    np.testing.assert_allclose(
        (after.sum(axis=1) * np.arange(32)).sum(axis=1) / light, 15.5, atol=1e-4
    )
    width = np.sqrt(np.maximum(variance - 1.5**2, 0))
    assert 1.4 < width.max() <= 1.51


def test_light_and_noise_do_not_move_positions():
    settings = AugmentationSettings(**{**ALL.model_dump(), **dict.fromkeys(MOVED, 0)})
    before = lit()
    after = augment(before, settings, 32, generator())
    assert bool((after.images != before.images).any(dim=(1, 2)).all())
    for name in ("x", "y", "present", "brightest"):
        assert torch.equal(getattr(after, name), getattr(before, name))


def test_the_unit_of_intensity_does_not_matter():
    before = lit(32, source_side(ALL, 32))
    small = scenes(before.images.numpy() / 65535, before.x, before.y)
    after = augment(before, ALL, 32, generator()).images
    torch.testing.assert_close(
        65535 * augment(small, ALL, 32, generator()).images, after, rtol=1e-3, atol=0.05
    )


def test_dark_particles_made_bright_are_varied_as_bright_ones():
    before = lit(32, source_side(ALL, 32))
    settings = AugmentationSettings(**{**ALL.model_dump(), "brightness": False})
    lower = scenes(before.images.numpy() - 4000, before.x, before.y)
    after = augment(before, settings, 32, generator()).images
    torch.testing.assert_close(
        augment(lower, settings, 32, generator()).images + 4000, after, rtol=0, atol=0.1
    )


@pytest.mark.parametrize("level", [0.0, -5.0, 1e-3, 65535.0, -65535.0])
def test_constant_crops_stay_finite_and_nearly_constant(level):
    strong = AugmentationSettings(scale=0.5, contrast=0.9, gamma=0.5, blur_px=5, gradient=5)
    side = source_side(strong, 32)
    before = scenes(np.full((40, side, side), level))
    after = augment(before, strong, 32, generator()).images
    assert bool(torch.isfinite(after).all())
    assert (
        float((after.amax(dim=(1, 2)) - after.amin(dim=(1, 2))).max()) <= 1e-4 * abs(level) + 1e-9
    )


@pytest.mark.parametrize("crops", [1, 3])
def test_the_same_state_of_the_generator_gives_the_same_crops(crops):
    before = lit(crops, source_side(ALL, 32))
    for seed in range(8):
        first = augment(before, ALL, 32, generator(seed))
        again = augment(before, ALL, 32, generator(seed))
        other = augment(before, ALL, 32, generator(seed + 100))
        for name in ("images", "x", "y", "present", "brightest"):
            assert torch.equal(getattr(first, name), getattr(again, name)), name
        assert not torch.equal(first.images, other.images)


def test_the_crops_that_are_given_are_left_as_they_are():
    before = lit(32, source_side(ALL, 32))
    kept = {name: values.clone() for name, values in vars(before).items() if name != "context"}
    after = augment(before, ALL, 32, generator())
    assert after.images.shape == (32, 32, 32)
    assert after.images.dtype == torch.float32
    for name, values in kept.items():
        assert torch.equal(getattr(before, name), values), name

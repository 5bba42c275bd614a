"""Scenes through a microscope: what is drawn, how bright it is, and what counts as a particle."""

import numpy as np
import pytest
import torch

from cloudtrainer.config import CameraSettings, Config, OpticsSettings, SceneSettings
from cloudtrainer.errors import ConfigError
from cloudtrainer.simulation.optics import cache, draw_optical_scenes, draw_simulated_scenes
from cloudtrainer.simulation.optics.scenes import draw_scenes
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.validation_sets import validation_sets

KINDS = ["fluorescence", "brightfield", "darkfield"]
PLAIN = {"background_structure": 0.0, "compressed_share": 0.0, "speck_share": 0.0}
CLEAN = CameraSettings(read_noise=0.0, gain_spread=0.0, offset_spread=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def scenes(use_stack, gaussian_stack):
    """Draw scenes of particles that are Gaussians, wide or narrow by their height."""

    def draw(kind="fluorescence", images=24, camera=CLEAN, context=0, seed=0, **settings):
        use_stack(gaussian_stack(kind, contrast=0.2))
        return draw_optical_scenes(
            SceneSettings(**{**PLAIN, **settings}),
            OpticsSettings(kind=kind, defocus_um=[-1, 1]),
            camera,
            images,
            64,
            generator(seed),
            context,
        )

    return draw


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_batch_and_another_seed_another(scenes, kind):
    first, again, other = (scenes(kind, seed=seed) for seed in (3, 3, 4))
    for name, values in vars(first).items():
        assert values is None or torch.equal(values, getattr(again, name)), name
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("camera", [CLEAN, CameraSettings()])
def test_images_are_whole_finite_counts_and_positions_lie_inside(scenes, kind, camera):
    batch = scenes(kind, camera=camera, background_structure=0.5, speck_share=0.5)
    assert batch.images.shape == (24, 64, 64)
    assert batch.images.dtype == torch.float32
    assert bool(torch.isfinite(batch.images).all())
    assert float(batch.images.min()) >= 0
    assert batch.context is None
    for values in (batch.x[batch.present], batch.y[batch.present]):
        assert len(values) > 20
        assert -0.5 <= float(values.min()) <= float(values.max()) < 63.5


@pytest.mark.parametrize("kind", ["fluorescence", "darkfield"])
def test_particles_are_where_the_truth_says(scenes, kind):
    batch = scenes(
        kind, images=40, peak_snr=[20, 20], background_photons=[20, 20],
        density_per_1000_px2=[0.4, 0.4],
    )  # fmt: skip
    off = []
    for image, x, y, own in zip(batch.images, batch.x, batch.y, batch.present, strict=True):
        light = image.numpy() - np.median(image)
        for left, top in zip(x[own].tolist(), y[own].tolist(), strict=True):
            near = torch.hypot(x - left, y - top) < 14
            if not (8 < left < 55 and 8 < top < 55) or near.sum() > 1:
                continue
            column, row = round(left), round(top)
            rows, columns = np.mgrid[row - 4 : row + 5, column - 4 : column + 5]
            patch = light[rows, columns]
            off.append([(columns * patch).sum() / patch.sum() - left,
                        (rows * patch).sum() / patch.sum() - top])  # fmt: skip
    assert len(off) > 20
    assert np.abs(np.mean(off, axis=0)).max() < 0.1
    assert np.std(off) < 0.35


def test_brightness_is_relative_to_the_noise_where_a_particle_is_sharpest(scenes, monkeypatch):
    # In focus a Gaussian of 1.2 px, integrated over pixels, has this share in its brightest one.
    from scipy.special import erf

    share = erf(0.5 / (1.2 * 2**0.5)) ** 2
    seen = {}

    def spy(spot_settings, view, draw, height):
        seen["brightness"] = real(spot_settings, view, draw, height)
        return seen["brightness"]

    from cloudtrainer.simulation.optics import scenes as module

    real = module._of_their_own
    monkeypatch.setattr(module, "_of_their_own", spy)
    scenes(peak_snr=[6, 6], background_photons=[50, 50])
    peak = seen["brightness"].strength * share
    snr = peak / torch.sqrt(peak + 50)
    torch.testing.assert_close(snr, torch.full_like(snr, 6.0), rtol=0.01, atol=0.0)
    # At the ends of the range the area is twice as large: about half the peak.
    assert 2.5 < float(seen["brightness"].snr.min()) < 4.2


def test_particles_too_dim_at_their_height_are_drawn_but_not_wanted(scenes):
    # With a ratio of 1.5 in focus it is 1 where the square of the width is half as large again:
    # at heights of 0.7 um, of the 1 um that particles are at most away.
    common = {"images": 300, "density_per_1000_px2": [1, 1], "background_photons": [2000, 2000]}
    number = 64**2 / 1000
    for snr, share in ((1.5, 0.73), (8, 1.0)):
        present = scenes(peak_snr=[snr, snr], **common).present.sum(dim=1).double()
        assert float(present.mean()) == pytest.approx(share * number, rel=0.12)


def test_before_a_lamp_the_light_gives_the_ratio_asked_for(scenes):
    batch = scenes("brightfield", images=60, peak_snr=[8, 8], density_per_1000_px2=[0.05, 0.05])
    # The strongest contrast is 1.2^2 - 1 = 0.44, integrated over the pixel a little less.
    ground = batch.images.flatten(1).median(dim=1).values
    empty = ~batch.present.any(dim=1)
    lamp = ground[empty & (batch.images.flatten(1).std(dim=1) < 30)] - 100
    assert len(lamp) > 10
    contrast = 0.42
    snr = lamp * contrast / torch.sqrt(lamp * (1 + contrast))
    assert float(snr.median()) == pytest.approx(8, rel=0.15)


def test_scenes_whose_particles_are_dark_are_turned_over(use_stack, gaussian_stack):
    use_stack(gaussian_stack("brightfield", contrast=0.2))
    settings = SceneSettings(**PLAIN, peak_snr=[20, 20], density_per_1000_px2=[0.5, 0.5])
    heights = {"bright": [-1.0, -0.2], "dark": [0.2, 1.0]}
    for filmed, height in heights.items():
        optics = OpticsSettings(kind="brightfield", defocus_um=height)
        batch = draw_optical_scenes(settings, optics, CLEAN, 24, 64, generator(1))
        image, place = torch.nonzero(batch.present, as_tuple=True)
        column, row = (part[image, place].round().long() for part in (batch.x, batch.y))
        ground = batch.images.flatten(1).median(dim=1).values[image]
        brighter = batch.images[image, row, column] > ground
        assert len(brighter) > 15
        assert float(brighter.double().mean()) > 0.95
        # Turned over, the darkest counts are 0; as filmed, the offset of 100 stays.
        lowest = batch.images.amin(dim=(1, 2))[batch.present.any(dim=1)]
        turned = (
            lowest < 0.5 * batch.images.flatten(1).median(dim=1).values[batch.present.any(dim=1)]
        )
        assert bool(turned.all()) == (filmed == "dark")


def test_a_lamp_never_fills_the_wells(scenes):
    camera = CameraSettings(full_well=2000.0, read_noise=0.0, gain_spread=0.0, offset_spread=0.0)
    batch = scenes("brightfield", camera=camera, peak_snr=[100, 1000])
    assert float(batch.images.flatten(1).median(dim=1).values.max()) < 100 + 0.8 * 2000


@pytest.mark.parametrize("kind", KINDS)
def test_particles_move_between_neighbouring_frames(scenes, kind):
    batch = scenes(kind, images=6, context=1, peak_snr=[15, 15], density_per_1000_px2=[1, 1])
    assert batch.context.shape == (6, 3, 64, 64)
    assert torch.equal(batch.context[:, 1], batch.images)
    assert not torch.equal(batch.context[:, 0], batch.context[:, 1])
    assert bool(batch.present.any())


def test_a_scene_has_one_camera_in_all_its_frames(scenes):
    camera = CameraSettings(read_noise=0.0, gain_spread=0.3, offset_spread=0.0)
    batch = scenes(
        images=6, context=2, camera=camera, density_per_1000_px2=[0, 0],
        background_photons=[2000, 2000],
    )  # fmt: skip
    first, last = batch.context[:, 0].flatten(1), batch.context[:, -1].flatten(1)
    strength = first.std(dim=1)
    pairs = zip(first, last, strict=True)
    alike = torch.stack([torch.corrcoef(torch.stack(two))[0, 1] for two in pairs])
    assert float(alike[strength > 300].min()) > 0.9
    assert float(strength.max()) > 2 * float(strength.min())


def test_settings_choose_between_spots_and_a_microscope(use_stack, gaussian_stack):
    use_stack(gaussian_stack())
    plain = Config()
    spots = draw_simulated_scenes(plain, 3, 48, generator())
    assert torch.equal(spots.images, draw_scenes(plain.scenes, 3, 48, generator()).images)
    seen = Config.from_dict({"optics": {"kind": "fluorescence"}})
    assert not torch.equal(draw_simulated_scenes(seen, 3, 48, generator()).images, spots.images)


def test_training_and_validation_see_through_the_microscope(use_stack, gaussian_stack):
    use_stack(gaussian_stack())
    config = Config.from_dict(
        {
            "optics": {"kind": "fluorescence"},
            "training": {"batch_size": 4, "crop_px": 32},
            "model": {"context_frames": 1},
        }
    )
    crops = BatchMaker(config).draw(0, torch.device("cpu"))
    step = torch.Generator().manual_seed(config.training.seed * 1_000_003)
    wanted = draw_simulated_scenes(config, 4, 32, step, 1)
    assert torch.equal(crops.images, wanted.images)
    (fixed,) = validation_sets(config, [], [])
    assert fixed.kind == "simulated"
    assert fixed.scenes[0].context.shape[1] == 3


def test_without_deeptrack_training_ends_in_a_line_before_it_begins(monkeypatch, tmp_path):
    def missing():
        raise ConfigError("optics.kind: needs DeepTrack2")

    monkeypatch.setattr(cache, "deeptrack_version", missing)
    monkeypatch.setenv("CLOUDTRAINER_CACHE", str(tmp_path))
    config = Config.from_dict({"optics": {"kind": "fluorescence", "wavelength_nm": 612.5}})
    with pytest.raises(ConfigError, match="DeepTrack2"):
        BatchMaker(config).draw(0, torch.device("cpu"))

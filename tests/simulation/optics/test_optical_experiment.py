"""Experiments seen through a microscope and filmed with a real camera."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cloudtrainer.cli.program import app
from cloudtrainer.config import CameraSettings, ExperimentSettings, OpticsSettings
from cloudtrainer.errors import ConfigError
from cloudtrainer.simulation import simulate_experiment

SMALL = ExperimentSettings(
    frames=6,
    height_px=64,
    width_px=80,
    particles=6,
    D_um2_per_s=0.05,
    pixel_size_um=0.2,
    peak_snr=[30, 30],
    background_photons=20.0,
    read_noise_photons=0.0,
    seed=4,
)


@pytest.mark.parametrize("kind", ["fluorescence", "darkfield"])
def test_light_is_where_the_truth_is_and_as_much_as_it_says(use_stack, gaussian_stack, kind):
    use_stack(gaussian_stack(kind))
    settings = SMALL.model_copy(update={"particles": 2, "frames": 20})
    experiment = simulate_experiment(settings, OpticsSettings(kind=kind))
    truth = experiment.truth
    assert list(truth.columns) == ["particle", "frame", "x", "y", "z_um", "photons"]
    assert truth["z_um"].between(-1, 1).all()
    assert (truth.groupby("particle")["z_um"].nunique() == 1).all()
    row, column = np.indices((64, 80))
    errors, shares = [], []
    for frame, spots in truth.groupby("frame"):
        light = experiment.frames[frame].astype(float) - 20.0
        for spot in spots.itertuples():
            apart = np.hypot(spots["x"] - spot.x, spots["y"] - spot.y)
            if (apart < 16).sum() == 1 and 9 < spot.x < 70 and 9 < spot.y < 54:
                near = np.hypot(column - spot.x, row - spot.y) < 7
                errors.append((light * column)[near].sum() / light[near].sum() - spot.x)
                errors.append((light * row)[near].sum() / light[near].sum() - spot.y)
                shares.append(light[near].sum() / spot.photons)
    assert len(shares) > 5
    assert np.abs(errors).max() < 0.15
    assert np.mean(shares) == pytest.approx(1.0, rel=0.03)


def test_before_a_lamp_the_truth_is_contrast(use_stack, gaussian_stack):
    use_stack(gaussian_stack("brightfield", contrast=0.2))
    settings = SMALL.model_copy(update={"background_photons": 5000.0})
    optics = OpticsSettings(kind="brightfield", defocus_um=[0.5, 0.5])
    experiment = simulate_experiment(settings, optics)
    truth = experiment.truth
    assert list(truth.columns) == ["particle", "frame", "x", "y", "z_um", "contrast"]
    assert set(truth["z_um"]) == {0.5}
    # A field of -0.2 sin(pi / 4) before a lamp of 1.
    contrast = (1 - 0.1414) ** 2 - 1
    assert truth["contrast"].to_numpy() == pytest.approx(contrast, abs=0.02)
    counts = experiment.frames.astype(float)
    assert np.median(counts) == pytest.approx(5000, rel=0.01)
    assert counts.min() == pytest.approx(5000 * (1 + contrast), rel=0.08)


def test_moments_of_an_exposure_do_not_interfere(use_stack, gaussian_stack):
    # A slow particle's darkfield image is as bright with an exposure as with a strobe.
    use_stack(gaussian_stack("darkfield"))
    optics = OpticsSettings(kind="darkfield", defocus_um=[0, 0])
    sums = []
    for exposure in (0.0, 1 / 30):
        settings = SMALL.model_copy(update={"exposure_s": exposure, "D_um2_per_s": 0.0})
        frames = simulate_experiment(settings, optics).frames.astype(float)
        sums.append((frames - 20).sum())
    assert sums[1] == pytest.approx(sums[0], rel=0.02)


def test_the_microscope_has_the_pixels_of_the_experiment(use_stack, gaussian_stack):
    asked = []
    stack = use_stack(gaussian_stack())

    def spy(optics, device):
        from cloudtrainer.simulation.optics import Microscope

        asked.append(optics.pixel_size_um)
        return Microscope(stack, optics, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudtrainer.simulation.experiment.microscope_for", spy)
        simulate_experiment(SMALL, OpticsSettings(kind="fluorescence", pixel_size_um=0.05))
    assert asked == [0.2]


def test_a_pixel_that_no_microscope_has_is_a_line():
    with pytest.raises(ConfigError, match="pixel_size_um 4"):
        simulate_experiment(
            SMALL.model_copy(update={"pixel_size_um": 4.0}), OpticsSettings(kind="fluorescence")
        )


def test_a_camera_has_its_fixed_pattern_in_every_frame():
    settings = SMALL.model_copy(update={"particles": 0, "background_photons": 4000.0, "frames": 40})
    camera = CameraSettings(
        gain=2.0, offset=50.0, read_noise=0.0, gain_spread=0.05, offset_spread=0.0
    )
    frames = simulate_experiment(settings, camera=camera).frames.astype(float)
    pixels = frames.mean(axis=0)
    assert pixels.mean() == pytest.approx(2 * 4000 + 50, rel=0.01)
    noise = 2 * np.sqrt(4000 / 40)
    assert np.sqrt(pixels.var() - noise**2) == pytest.approx(0.05 * 8000, rel=0.05)


def test_gaussian_optics_are_no_microscope():
    plain = simulate_experiment(SMALL)
    same = simulate_experiment(SMALL, OpticsSettings())
    assert np.array_equal(plain.frames, same.frames)


def test_the_command_line_takes_settings_of_optics_and_camera(use_stack, gaussian_stack, tmp_path):
    use_stack(gaussian_stack())
    torch.manual_seed(0)
    out = tmp_path / "seen.ome.tif"
    common = ["simulate", "-o", str(out), "--frames", "2", "--height-px", "32", "--width-px", "32"]
    asked = ["--set", "optics.kind=fluorescence", "--set", "camera.offset=300"]
    done = CliRunner().invoke(app, [*common, *asked])
    assert done.exit_code == 0, done.output
    header = (tmp_path / "seen_particles.csv").read_text().splitlines()[0]
    assert header == "particle,frame,x,y,z_um,photons"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["training.epochs=3"], "optics and camera"),
        (["optics.kind=phase"], "optics.kind"),
        (["optics.kind=brightfield", "optics.particle_radius_um=0"], "give the radius"),
    ],
)
def test_other_settings_are_refused(tmp_path, pairs, said):
    given = [part for pair in pairs for part in ("--set", pair)]
    done = CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "a.ome.tif"), *given])
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)

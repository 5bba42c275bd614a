"""Stacks made of Gaussians, whose images are known in closed form, and frames by DeepTrack2."""

import math

import numpy as np
import pytest

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation import experiment as experiment_module
from cloudtrainer.simulation.optics import scenes as scenes_module
from cloudtrainer.simulation.optics.microscope import Microscope
from cloudtrainer.simulation.optics.stack import DefocusStack

HEIGHTS = np.linspace(-1.0, 1.0, 9)


def width_at(height_um, sigma_px=1.2):
    """Return the width of a Gaussian particle at a height, px."""
    return sigma_px * np.sqrt(1 + height_um**2)


def gaussian_stack(kind="fluorescence", samples=1, sigma_px=1.2, contrast=0.0):
    """Return a stack of Gaussians; a field is real, its height ``contrast`` at the low end."""
    reach = math.ceil(6 * width_at(1.0, sigma_px) * samples)
    offsets = (np.arange(-reach, reach + 1) / samples) ** 2
    squared = offsets[:, None] + offsets
    planes = []
    for height in HEIGHTS:
        width = width_at(height, sigma_px)
        light = np.exp(-squared / (2 * width**2)) / (2 * math.pi * width**2)
        if kind == "fluorescence":
            planes.append([light])
        elif kind == "darkfield":
            planes.append([np.sqrt(light), 0 * light])
        else:
            # Bright below the focal plane, dark above it.
            field = -contrast * math.sin(math.pi / 2 * height)
            planes.append([light / light.max() * field, 0 * light])
    return DefocusStack(np.array(planes, np.float32), HEIGHTS, samples)


@pytest.fixture(scope="session", name="gaussian_stack")
def gaussian_stack_function():
    return gaussian_stack


@pytest.fixture(scope="session", name="width_at")
def width_at_function():
    return width_at


@pytest.fixture
def use_stack(monkeypatch):
    """Make every microscope that is asked for one of a given stack."""

    def use(stack):
        def fake(optics, device):
            return Microscope(stack, optics, device)

        monkeypatch.setattr(scenes_module, "microscope_for", fake)
        monkeypatch.setattr(experiment_module, "microscope_for", fake)
        return stack

    return use


@pytest.fixture(scope="session")
def dt():
    """DeepTrack2; the tests that hold against it are left out where it is not installed."""
    return pytest.importorskip("deeptrack")


@pytest.fixture(scope="session")
def render(dt):
    """Return a function that renders a frame with DeepTrack2 alone."""

    def frame(optics: OpticsSettings, side, particles, finer=1):
        """Render particles (row, column, height in um) on pixels finer than the camera's."""
        pixel = optics.pixel_size_um / finer * 1e-6
        heights = {abs(height) for *_, height in particles if height}
        assert len(heights) <= 1
        voxel = (heights.pop() if heights else 1.0) * 1e-6
        kinds = {
            "fluorescence": dt.Fluorescence,
            "brightfield": dt.Brightfield,
            "darkfield": dt.Darkfield,
        }
        wavelength = optics.wavelength_nm * 1e-9
        microscope = kinds[optics.kind](
            NA=optics.numerical_aperture,
            wavelength=wavelength,
            refractive_index_medium=optics.refractive_index_medium,
            magnification=1,
            resolution=(pixel, pixel, voxel),
            output_region=(0, 0, side, side),
            padding=(1, 1, 1, 1),
        )
        wave_number = 2 * np.pi * optics.refractive_index_medium / wavelength
        sample = None
        for row, column, height in particles:
            place = {"position": (row, column), "z": round(height * 1e-6 / voxel)}
            if optics.kind == "fluorescence":
                one = dt.PointParticle(**place, intensity=1.0)
            else:
                one = dt.MieSphere(
                    **place,
                    radius=optics.particle_radius_um * 1e-6,
                    refractive_index=optics.refractive_index_particle,
                    input_polarization="circular",
                    output_polarization=None,
                    mode="hybrid",
                    amp_factor=-((wave_number * pixel) ** 2) / (2 * np.pi),
                )
            sample = one if sample is None else sample & one
        return np.asarray(microscope(sample)())[..., 0]

    return frame

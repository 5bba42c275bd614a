"""Placing particles: Gaussians, of which every pixel is known in closed form."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.microscope import Microscope, Placed

CPU = torch.device("cpu")
FLUORESCENCE = OpticsSettings(kind="fluorescence")
POINTWISE = OpticsSettings(kind="fluorescence", pixel_fill=0.0)


def placed(*particles, strength=1.0):
    """Return one image of particles (x, y, height)."""
    x, y, height = (torch.tensor([part]) for part in zip(*particles, strict=True))
    return Placed(x, y, height, torch.full_like(x, strength))


def integrated(side, x, y, width):
    """Return a Gaussian of integral 1, integrated over each pixel."""
    edges = np.arange(side + 1) - 0.5
    across, down = (
        np.diff(erf((edges - centre) / (width * math.sqrt(2)))) / 2 for centre in (x, y)
    )
    return np.outer(down, across)


def pointwise(side, x, y, width):
    row, column = np.indices((side, side))
    squared = (row - y) ** 2 + (column - x) ** 2
    return np.exp(-squared / (2 * width**2)) / (2 * math.pi * width**2)


@pytest.fixture(scope="module")
def made():
    """Keep microscopes: a stack is taken apart once."""
    kept = {}

    def make(stack_of, kind="fluorescence", fill=1.0, samples=1, **given):
        key = (kind, fill, samples, *given.items())
        if key not in kept:
            optics = OpticsSettings(kind=kind, pixel_fill=fill)
            kept[key] = Microscope(stack_of(kind, samples, **given), optics, CPU)
        return kept[key]

    return make


places = st.floats(12, 20, width=32)


@settings(max_examples=25, deadline=None)
@given(x=places, y=places, height=st.floats(-1, 1, width=32))
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_particle_is_integrated_over_pixels_wherever_it_is(
    made, gaussian_stack, width_at, samples, x, y, height
):
    image = made(gaussian_stack, samples=samples).light(placed((x, y, height)), 33, 33)[0]
    wanted = integrated(33, x, y, width_at(height))
    assert np.abs(image.numpy() - wanted).max() < 0.002 * wanted.max()


@settings(max_examples=25, deadline=None)
@given(x=places, y=places, height=st.floats(-1, 1, width=32))
def test_without_a_sensitive_area_pixels_hold_the_light_at_their_centres(
    made, gaussian_stack, width_at, x, y, height
):
    image = made(gaussian_stack, fill=0.0).light(placed((x, y, height)), 33, 33)[0]
    wanted = pointwise(33, x, y, width_at(height))
    assert np.abs(image.numpy() - wanted).max() < 0.002 * wanted.max()


@settings(max_examples=25, deadline=None)
@given(x=places, y=places)
@pytest.mark.parametrize("kind", ["fluorescence", "darkfield"])
def test_the_centroid_is_where_it_was_asked_for(made, gaussian_stack, kind, x, y):
    image = made(gaussian_stack, kind).light(placed((x, y, 0.0)), 33, 33)[0].numpy().astype(float)
    row, column = np.indices(image.shape)
    assert image.sum() == pytest.approx(1.0, abs=0.002)
    assert (column * image).sum() / image.sum() == pytest.approx(x, abs=0.01)
    assert (row * image).sum() / image.sum() == pytest.approx(y, abs=0.01)


def test_light_adds_up_and_follows_the_strength(made, gaussian_stack):
    view = made(gaussian_stack)
    both = view.light(placed((14.2, 15.0, 0.0), (17.1, 16.4, 0.8), strength=50.0), 33, 33)
    wanted = 50 * (
        integrated(33, 14.2, 15.0, 1.2) + integrated(33, 17.1, 16.4, 1.2 * math.sqrt(1.64))
    )
    assert np.abs(both[0].numpy() - wanted).max() < 0.002 * wanted.max()


def test_fields_interfere_where_intensities_would_add_up(made, gaussian_stack):
    # Two real fields on the same spot: four times the light of one, not twice.
    view = made(gaussian_stack, "darkfield")
    one = view.light(placed((16.3, 15.8, 0.0)), 33, 33)
    two = view.light(placed((16.3, 15.8, 0.0), (16.3, 15.8, 0.0)), 33, 33)
    torch.testing.assert_close(two, 4 * one, rtol=1e-3, atol=1e-5)


def test_fields_interfere_with_the_lamp(made, gaussian_stack):
    view = made(gaussian_stack, "brightfield", fill=0.0, contrast=0.2)
    image = view.light(placed((16.0, 16.0, -1.0), (19.5, 16.0, -1.0)), 33, 33)[0].numpy()
    # There the square of the field's width is 2 * 1.2^2 px^2; both add 0.2 to the lamp's 1.
    row, column = np.indices(image.shape)
    field = 1 + 0.2 * sum(
        np.exp(-((column - x) ** 2 + (row - 16.0) ** 2) / (4 * 1.2**2)) for x in (16.0, 19.5)
    )
    assert np.abs(image - field**2).max() < 0.004
    assert image[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_the_pixels_of_a_coherent_image_are_integrated_too(made, gaussian_stack):
    # The square of a Gaussian field of this stack is a Gaussian of the stack's width.
    image = made(gaussian_stack, "darkfield").light(placed((15.3, 16.6, 0.0)), 33, 33)[0].numpy()
    wanted = integrated(33, 15.3, 16.6, 1.2)
    assert np.abs(image - wanted).max() < 0.003 * wanted.max()


@pytest.mark.parametrize(("x", "y"), [(-3.4, 10.0), (35.2, 10.0), (10.0, -3.4), (-1.0, -1.0)])
def test_light_from_outside_reaches_in_and_comes_back_nowhere(made, gaussian_stack, x, y):
    image = made(gaussian_stack).light(placed((x, y, 0.5)), 20, 33)[0].numpy()
    assert image.shape == (20, 33)
    wanted = integrated(60, x + 10, y + 10, 1.2 * math.sqrt(1.25))[10:30, 10:43]
    assert np.abs(image - wanted).max() < 0.002 * 0.1


def test_a_batch_is_its_images_and_unused_places_stay_dark(made, gaussian_stack):
    rng = np.random.default_rng(0)
    x, y, height = (torch.tensor(rng.uniform(-1, 1, (5, 7)), dtype=torch.float32) for _ in range(3))
    strength = torch.tensor(rng.uniform(1, 9, (5, 7)) * (rng.random((5, 7)) < 0.6)).float()
    view = made(gaussian_stack)
    batch = view.light(Placed(12 + 10 * x, 12 + 10 * y, height, strength), 24, 24)
    for one in range(5):
        used = strength[one] != 0
        alone = Placed(
            *(part[one][used][None] for part in (12 + 10 * x, 12 + 10 * y, height, strength))
        )
        torch.testing.assert_close(view.light(alone, 24, 24)[0], batch[one], rtol=1e-4, atol=1e-5)
    none = Placed(x, y, height, torch.zeros_like(x))
    assert float(view.light(none, 24, 24).abs().max()) < 1e-6


def test_many_images_are_done_in_parts(made, gaussian_stack, monkeypatch):
    view = made(gaussian_stack)
    ones = torch.ones(7, 1)
    many = Placed(10 * ones, 10 * ones + torch.arange(7.0)[:, None], 0 * ones, ones)
    whole = view.light(many, 24, 24)
    monkeypatch.setattr("cloudtrainer.simulation.optics.microscope._BYTES_AT_ONCE", 1)
    torch.testing.assert_close(view.light(many, 24, 24), whole)


def test_heights_beyond_the_stack_are_its_ends(made, gaussian_stack):
    view = made(gaussian_stack)
    torch.testing.assert_close(
        view.light(placed((16.0, 16.0, 5.0)), 33, 33), view.light(placed((16.0, 16.0, 1.0)), 33, 33)
    )


def test_peaks_are_those_of_the_light(made, gaussian_stack, width_at):
    view = made(gaussian_stack)
    heights = torch.tensor([[-1.0, -0.4, 0.0], [0.1, 0.6, 1.0]])
    wanted = [integrated(33, 16, 16, width_at(h)).max() for h in heights.flatten().tolist()]
    np.testing.assert_allclose(view.peak_at(heights).flatten(), wanted, rtol=0.01)
    assert view.width_px == pytest.approx(1.2, rel=0.02)


def test_peaks_before_a_lamp_have_a_sign(made, gaussian_stack):
    view = made(gaussian_stack, "brightfield", fill=0.0, contrast=0.2)
    below, above = view.peak_at(torch.tensor([-1.0, 1.0])).tolist()
    assert below == pytest.approx(1.2**2 - 1, rel=0.02)
    assert above == pytest.approx(0.8**2 - 1, rel=0.02)

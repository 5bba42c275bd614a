import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.simulation.spots import Spots, gaussian_spots, render_spots


def spots_at(x, y, peak=100.0, sigma=1.5, **changes):
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
    spots = gaussian_spots(x, y, torch.full_like(x, peak), sigma)
    parts = dict(vars(spots))
    parts.update({name: torch.full_like(x, value) for name, value in changes.items()})
    return Spots(**parts)


def moments(image):
    image = np.asarray(image, float)
    rows, columns = np.indices(image.shape)
    total = image.sum()
    return total, (columns * image).sum() / total, (rows * image).sum() / total


@settings(max_examples=40, deadline=None)
@given(x=st.floats(20, 27), y=st.floats(20, 27), sigma=st.floats(1.0, 4.0), peak=st.floats(1, 1e4))
def test_a_gaussian_spot_has_its_integral_and_its_centre_at_any_sub_pixel_position(
    x, y, sigma, peak
):
    image = render_spots(spots_at([[x]], [[y]], peak, sigma), 48, 48)[0]
    total, centre_x, centre_y = moments(image)
    assert total == pytest.approx(2 * np.pi * sigma**2 * peak, rel=0.01)
    assert centre_x == pytest.approx(x, abs=0.01)
    assert centre_y == pytest.approx(y, abs=0.01)


def test_every_pixel_of_a_spot_is_the_gaussian_there():
    image = render_spots(spots_at([[15.3]], [[12.8]], 50.0, 2.0), 30, 32)[0].numpy()
    row, column = np.indices(image.shape)
    wanted = 50 * np.exp(-((column - 15.3) ** 2 + (row - 12.8) ** 2) / (2 * 2.0**2))
    # Light farther than four widths counts as 0; there the Gaussian is under exp(-8).
    np.testing.assert_allclose(image, wanted, atol=50 * np.exp(-8))


def test_light_beyond_the_border_is_lost_and_comes_back_nowhere():
    clipped = render_spots(spots_at([[-1.2, 30.6]], [[10.0, 24.9]]), 26, 32)[0]
    whole = render_spots(spots_at([[18.8, 50.6]], [[30.0, 44.9]]), 66, 72)[0]
    torch.testing.assert_close(clipped, whole[20:46, 20:52], rtol=1e-5, atol=1e-4)
    assert float(clipped[:, 12:20].abs().max()) == 0.0


def test_a_spot_out_of_reach_of_the_image_leaves_it_dark():
    image = render_spots(spots_at([[-40.0, 100.0]], [[10.0, 10.0]]), 32, 32)
    assert float(image.abs().max()) == 0.0


def test_images_of_a_batch_do_not_mix_and_a_batch_equals_its_images():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 40, (3, 5)), rng.uniform(0, 30, (3, 5))
    batch = render_spots(spots_at(x, y), 30, 40)
    assert batch.shape == (3, 30, 40)
    assert batch.dtype == torch.float32
    for i in range(3):
        alone = render_spots(spots_at(x[i : i + 1], y[i : i + 1]), 30, 40)
        torch.testing.assert_close(batch[i], alone[0])


def test_light_adds_up_where_spots_overlap():
    together = render_spots(spots_at([[15.0, 17.0]], [[15.0, 15.5]]), 32, 32)
    first = render_spots(spots_at([[15.0]], [[15.0]]), 32, 32)
    second = render_spots(spots_at([[17.0]], [[15.5]]), 32, 32)
    torch.testing.assert_close(together, first + second)


def test_unused_places_give_no_light():
    spots = spots_at([[10.0, 20.0]], [[10.0, 20.0]])
    half = Spots(**{**vars(spots), "peak": torch.tensor([[100.0, 0.0]])})
    torch.testing.assert_close(
        render_spots(half, 32, 32), render_spots(spots_at([[10.0]], [[10.0]]), 32, 32)
    )


@pytest.mark.parametrize("height", [-0.3, 0.5, 3.0])
def test_a_ring_has_its_height_at_its_radius(height):
    spots = spots_at(
        [[32.0]], [[32.0]], 10.0, 1.5, ring_height=height, ring_radius=10.0, ring_width=1.0
    )
    image = render_spots(spots, 65, 65)[0].numpy()
    on_ring = [image[32, 42], image[32, 22], image[42, 32], image[22, 32], image[38, 40]]
    np.testing.assert_allclose(on_ring, 10 * height, rtol=1e-4)
    assert image[32, 32] == pytest.approx(10.0, rel=1e-3)
    np.testing.assert_allclose(image[32, 43], 10 * height * np.exp(-0.5), rtol=1e-3)


def test_stretch_widens_one_axis_by_what_it_narrows_the_other():
    image = render_spots(spots_at([[24.0]], [[24.0]], 10.0, 2.0, stretch=1.2), 49, 49)[0]
    image = image.numpy().astype(float)
    row, column = np.indices(image.shape) - 24
    variance_x = (column**2 * image).sum() / image.sum()
    variance_y = (row**2 * image).sum() / image.sum()
    assert np.sqrt(variance_x) == pytest.approx(2.0 * 1.2, rel=0.01)
    assert np.sqrt(variance_y) == pytest.approx(2.0 / 1.2, rel=0.01)


def test_a_flat_core_is_a_disc():
    image = render_spots(spots_at([[24.0]], [[24.0]], 10.0, 4.0, flatness=6.0), 49, 49)[0].numpy()
    edge = np.sqrt(2) * 4.0
    assert image[24, 24 + 3] > 0.95 * 10
    assert image[24, 24 + int(edge) + 3] < 0.05 * 10

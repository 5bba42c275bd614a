import numpy as np
import pytest
import torch

from cloudtrainer.detector.normalise import by_maximum, by_noise


def noise(shape=(2, 128, 128), sd=1.0, seed=0):
    return sd * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spots(seed=0):
    row, column = np.indices((128, 128))
    rng = np.random.default_rng(seed)
    frame = 100 + rng.normal(0, 5, (128, 128))
    for x, y in rng.uniform(10, 118, (10, 2)):
        frame += 80 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 4.5)
    return torch.as_tensor(frame, dtype=torch.float32)[None]


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 500.0), (37.0, 0.0), (0.01, -3.0), (1e-4, 0.2)])
def test_the_cameras_gain_and_offset_do_not_matter(gain, offset):
    torch.testing.assert_close(
        by_noise(gain * spots() + offset), by_noise(spots()), rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("sd", [0.3, 20.0])
def test_gaussian_noise_comes_out_with_unit_width_around_0(sd):
    seen = by_noise(1000 + noise(sd=sd))
    assert seen.dtype == torch.float32
    middle = np.percentile(seen.numpy(), [15.865, 50, 84.135])
    np.testing.assert_allclose(middle, [-0.99, 0.0, 0.99], atol=0.03)


def test_a_sloping_background_does_not_count_as_noise():
    slope = torch.arange(128.0)[None, None, :] * 0.5
    seen = by_noise(noise() + slope)
    flat = torch.sinh(seen / 4) * 4
    # The scale is that of the noise: neighbours differ by the slope and noise of width 1.
    assert float(flat.diff(dim=1).std()) == pytest.approx(2**0.5, rel=0.03)


def test_bright_values_are_compressed_as_asinh():
    frames = noise((1, 128, 128))
    frames[0, 64, 64] = 4000.0
    frames[0, 20, 20] = 3.0
    seen = by_noise(frames)
    spread = 0.05 * float(frames.std())
    unit = max(1.0, spread)
    assert float(seen[0, 64, 64]) == pytest.approx(4 * np.arcsinh(4000 / 4 / unit), rel=0.02)


def test_a_frame_is_normalised_by_itself():
    pair = torch.cat([spots(0), 50 * spots(1)])
    torch.testing.assert_close(by_noise(pair)[:1], by_noise(spots(0)))
    torch.testing.assert_close(by_noise(pair)[1:], by_noise(50 * spots(1)))


@pytest.mark.parametrize("level", [0.0, 255.0, 65535.0])
def test_a_constant_frame_is_0(level):
    assert torch.equal(by_noise(torch.full((1, 32, 40), level)), torch.zeros(1, 32, 40))


def test_a_frame_that_is_mostly_0_stays_finite_and_bounded():
    frame = torch.zeros(1, 64, 64)
    frame[0, 30:33, 30:33] = 200.0
    seen = by_noise(frame)
    assert bool(torch.isfinite(seen).all())
    assert 5 < float(seen.max()) < 40


def test_whole_numbers_are_taken():
    frames = (spots() * 10).to(torch.int32)
    torch.testing.assert_close(by_noise(frames), by_noise(frames.float()))


def test_the_maximum_of_the_video_divides():
    frames = torch.tensor([[[0, 5], [10, 20]]], dtype=torch.uint8)
    torch.testing.assert_close(
        by_maximum(frames, 40.0), torch.tensor([[[0.0, 0.125], [0.25, 0.5]]])
    )
    assert torch.equal(by_maximum(torch.zeros(1, 2, 2), 0.0), torch.zeros(1, 2, 2))

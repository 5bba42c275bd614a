import numpy as np
import pytest

from cloudtrainer.simulation.motion import brownian_paths


def mean_steps(share, particles=4000, frames=12, variance=2.0, seed=0, moments=8):
    rng = np.random.default_rng(seed)
    start = np.zeros((particles, 2))
    paths = brownian_paths(start, frames, variance, share, rng, moments)
    return np.diff(paths.mean, axis=0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_successive_mean_positions_move_as_berglund_says(share):
    # Berglund 2010: variance 2 D dt (1 - share / 3), covariance of neighbours D dt share / 3, here
    # with 2 D dt = 2; eight moments in place of a continuous exposure make share / 3 1.6 % smaller.
    steps = mean_steps(share)
    blur = share / 3 * (1 - 1 / 64)
    wanted_variance, wanted_covariance = 2.0 * (1 - blur), 2.0 * blur / 2
    n = steps.size
    assert np.mean(steps**2) == pytest.approx(
        wanted_variance, abs=5 * wanted_variance * np.sqrt(2 / n)
    )
    neighbours = np.mean(steps[1:] * steps[:-1])
    assert neighbours == pytest.approx(wanted_covariance, abs=5 * wanted_variance / np.sqrt(n))
    assert np.mean(steps[2:] * steps[:-2]) == pytest.approx(0, abs=5 * wanted_variance / np.sqrt(n))


def test_many_moments_reach_the_continuous_exposure():
    steps = mean_steps(1.0, particles=3000, moments=40)
    sd = 2 / 3 * 2.0 * np.sqrt(2 / steps.size)
    assert np.mean(steps**2) == pytest.approx(2.0 * 2 / 3, abs=5 * sd)


def test_the_axes_move_independently():
    steps = mean_steps(0.3)
    x, y = steps[..., 0].ravel(), steps[..., 1].ravel()
    assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(x.size)


def test_a_strobe_sees_one_moment_and_starts_where_told():
    start = np.array([[3.0, 4.0], [-1.0, 7.5]])
    paths = brownian_paths(start, 5, 1.0, 0.0, np.random.default_rng(0))
    assert paths.x.shape == paths.y.shape == (5, 2, 1)
    np.testing.assert_allclose(paths.mean[0], start)


def test_particles_that_do_not_diffuse_stay():
    start = np.array([[3.0, 4.0]])
    paths = brownian_paths(start, 7, 0.0, 0.5, np.random.default_rng(0))
    assert paths.x.shape == (7, 1, 8)
    assert np.all(paths.x == 3.0)
    assert np.all(paths.y == 4.0)


def test_positions_within_an_exposure_spread_less_than_those_between_frames():
    paths = brownian_paths(np.zeros((2000, 2)), 3, 2.0, 0.1, np.random.default_rng(1))
    within = paths.x[..., -1] - paths.x[..., 0]
    # Seven of eight slices of a tenth of the interval lie between the first and last moment.
    assert np.var(within) == pytest.approx(2.0 * 0.1 * 7 / 8, rel=0.1)

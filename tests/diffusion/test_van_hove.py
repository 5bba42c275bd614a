import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    displacement_correlations,
    displacement_distribution,
    non_gaussian_parameter,
)
from cloudtrainer.errors import ConfigError


def test_pairs_and_the_parameter_by_hand():
    tracks = pd.DataFrame(
        {
            "particle": [3, 3, 3, 8, 8],
            "frame": [0, 1, 3, 3, 4],
            "x": [0.0, 1.0, 4.0, 0.0, 0.0],
            "y": [0.0, 0.0, 0.0, 0.0, 2.0],
        }
    )
    found = displacement_distribution(tracks, 1, frame_interval_s=0.5, pixel_size_um=2.0)
    # Steps (1, 0) and (0, 2) px, about their mean (0.5, 1).
    assert sorted(found.displacement) == [-2.0, -1.0, 1.0, 2.0]
    assert found.standard_deviation == pytest.approx(np.sqrt(2.5))
    assert (found.lag_time, found.length_unit, found.time_unit) == (0.5, "um", "s")
    parameter = non_gaussian_parameter(tracks, [1, 2, 3], frame_interval_s=0.5)
    # <r^4> = (1 + 16) / 2, <r^2> = (1 + 4) / 2.
    assert parameter.value[:2] == pytest.approx([8.5 / (2 * 2.5**2) - 1, -0.5])
    assert parameter.lag_time.tolist() == [0.5, 1.0, 1.5]
    assert np.isnan(parameter.standard_error[1:]).all()


def test_brownian_particles_that_are_alike_are_gaussian_at_every_lag(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(1), 200, 60, 0.5, 0.05)
    found = non_gaussian_parameter(tracks)
    assert found.lag[0] == 1
    assert found.lag[-1] == 14
    assert (np.abs(found.value) < 3.5 * found.standard_error).all()
    assert found.standard_error[0] < 0.03


def test_particles_that_differ_have_the_square_of_their_coefficient_of_variation(brownian_tracks):
    rng = np.random.default_rng(2)
    D = rng.gamma(4, 0.125, 400)
    found = non_gaussian_parameter(brownian_tracks(rng, 400, 50, D, 0.0), [1, 5])
    truth = np.var(D) / np.mean(D) ** 2
    assert np.abs(found.value - truth) == pytest.approx(0, abs=0.06)
    assert (found.standard_error > 0).all()


def test_velocities_of_other_lags_are_correlated_too(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(3), 50, 40)
    found = displacement_correlations(tracks, longest_lag=12)
    assert found.lag.tolist() == list(range(1, 13))
    short = displacement_correlations(tracks)
    np.testing.assert_allclose(found.value[:5], short.value)
    with pytest.raises(ConfigError, match="longest_lag"):
        displacement_correlations(tracks, 0)


@pytest.mark.parametrize("tracks", [0, 1])
def test_no_displacement_gives_nan_and_no_warning(tracks, recwarn):
    table = pd.DataFrame({"particle": [0], "frame": [0], "x": [0.0], "y": [0.0]}).iloc[:tracks]
    assert np.isnan(non_gaussian_parameter(table).value).all()
    assert np.isnan(displacement_distribution(table, 1).standard_deviation)
    assert not recwarn.list
    with pytest.raises(ConfigError, match="lag is 0"):
        non_gaussian_parameter(table, [0])

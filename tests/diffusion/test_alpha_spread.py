"""The spread of alpha between particles, against fractional Brownian motion that is known."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import alpha_spread
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError

DT, PIXEL = 1 / 30, 0.1


def population(simulate, rng, alphas, frames=100, sigma=0.02):
    """Tracks by Cholesky decomposition, each with its own exponent."""
    single = [simulate(rng, 1, frames, 0.1, alpha, sigma) for alpha in alphas]
    return pd.concat([one.assign(particle=number) for number, one in enumerate(single)])


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.2])
def test_the_spread_is_found_without_the_scatter_of_single_tracks(fractional_tracks, spread):
    rng = np.random.default_rng([1, int(100 * spread)])
    squares, held, repeats = [], 0, 5
    for _ in range(repeats):
        alphas = np.clip(rng.normal(0.8, spread, 50), 0.1, 1.9)
        found = alpha_spread(population(fractional_tracks, rng, alphas), DT, PIXEL)
        squares.append(found.value**2)
        held += found.low <= spread <= found.high
        assert found.mean == pytest.approx(0.8, abs=0.2)
    # Estimates of single tracks scatter by 0.15 to 0.2 for their shortness alone.
    assert np.sqrt(np.mean(squares)) == pytest.approx(spread, abs=0.08)
    assert held >= repeats - 2


def test_long_lags_and_units_do_not_change_what_it_is(fractional_tracks):
    rng = np.random.default_rng(2)
    tracks = population(fractional_tracks, rng, rng.normal(0.9, 0.25, 40), frames=120)
    found = alpha_spread(tracks, DT, PIXEL)
    in_pixels = alpha_spread(tracks, None, None)
    assert in_pixels.value == found.value
    assert in_pixels.mean == pytest.approx(found.mean)
    long = alpha_spread(tracks, DT, PIXEL, stride=2)
    assert long.stride == 2
    assert long.low < 0.25 < long.high


def test_no_estimate_has_a_reason(brownian_tracks):
    rng = np.random.default_rng(3)
    few = alpha_spread(brownian_tracks(rng, 8, 60), DT, PIXEL)
    assert np.isnan(few.value)
    assert "fewer than 12" in few.reason
    assert "no estimate" in str(few)
    short = alpha_spread(brownian_tracks(rng, 30, 15), DT, PIXEL)
    assert "20 positions" in short.reason
    still = brownian_tracks(rng, 20, 40).assign(x=1.0, y=2.0)
    assert np.isnan(alpha_spread(still, DT, PIXEL).value)
    assert np.isnan(alpha_spread(still.iloc[:0], DT, PIXEL).value)


def test_bad_input_is_refused(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(4), 3, 5)
    with pytest.raises(ConfigError, match="stride"):
        alpha_spread(tracks, DT, PIXEL, stride=0)
    with pytest.raises(CalibrationError, match="exposure"):
        alpha_spread(tracks, DT, PIXEL, 1.0)
    with pytest.raises(LabelError, match="particle"):
        alpha_spread(tracks.drop(columns="particle"), DT, PIXEL)

"""The spread of D between particles, against populations that are known."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import alpha_spread, diffusion_spread
from cloudtrainer.diffusion.diffusion_spread import _mixing, independent_products
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError

DT = 1 / 30


def share_below(spread, D):
    mass = spread.density * np.gradient(spread.grid)
    return mass[spread.grid < D].sum() / mass.sum()


@pytest.mark.parametrize("stride", [1, 2])
def test_sums_are_those_of_all_pairs_that_are_far_apart(stride):
    rng = np.random.default_rng(1)
    tracks = pd.DataFrame(
        {"particle": 0, "frame": np.arange(30), "x": rng.normal(size=30), "y": rng.normal(size=30)}
    ).drop(index=[7, 19])
    at = {int(row.frame): np.array([row.x, row.y]) for row in tracks.itertuples()}
    q = {}
    for t in at:
        if t + stride in at and t + 2 * stride in at:
            d, after = at[t + stride] - at[t], at[t + 2 * stride] - at[t + stride]
            q[t] = ((d @ d + after @ after) / 8 + d @ after / 2) / stride
    pairs = [(t, u) for t in q for u in q if abs(t - u) >= 3 * stride]
    expected = [len(q), sum(q.values()), len(pairs), sum(q[t] * q[u] for t, u in pairs)]
    np.testing.assert_allclose(
        independent_products(track_arrays(tracks), stride)[0], expected, rtol=1e-9
    )


def test_particles_that_are_alike_have_no_spread(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(2), 200, 60, 0.5, 0.05)
    found = diffusion_spread(tracks, DT, 0.1)
    assert found.low == 0
    assert found.high < 0.2
    assert np.average(found.grid, weights=found.density * np.gradient(found.grid)) == pytest.approx(
        0.5, rel=0.05
    )
    # Single tracks scatter by a quarter: the density is much narrower.
    assert share_below(found, 0.38) < 0.08
    assert share_below(found, 0.65) > 0.92


@pytest.mark.parametrize("spread", [0.3, 1.0])
@pytest.mark.parametrize("full_exposure", [False, True])
def test_the_spread_of_a_gamma_distribution_is_found(brownian_tracks, spread, full_exposure):
    rng = np.random.default_rng([3, full_exposure])
    D = rng.gamma(1 / spread**2, 0.5 * spread**2, 150)
    tracks = brownian_tracks(rng, 150, 60, D, 0.05, full_exposure)
    found = diffusion_spread(tracks, DT, 0.1)
    assert found.low < spread < found.high
    assert found.value == pytest.approx(spread, rel=0.3)
    assert found.unit == "um^2/s"
    assert np.trapezoid(found.density, found.grid) == pytest.approx(1)


def test_two_kinds_of_particles_are_told_apart(brownian_tracks):
    rng = np.random.default_rng(4)
    D = np.repeat([0.1, 1.0], [60, 40])
    found = diffusion_spread(brownian_tracks(rng, 100, 60, D, 0.05), DT, 0.1)
    mean = 0.6 * 0.1 + 0.4 * 1.0
    truth = np.sqrt(0.6 * 0.1**2 + 0.4 - mean**2) / mean
    assert found.low < truth < found.high
    assert share_below(found, 0.3) == pytest.approx(0.6, abs=0.02)
    # Nothing lies between the two.
    assert share_below(found, 0.6) - share_below(found, 0.2) < 0.05


def test_noise_that_differs_between_particles_is_no_spread(brownian_tracks):
    rng = np.random.default_rng(5)
    quiet = brownian_tracks(rng, 80, 80, 0.3, 0.02)
    loud = brownian_tracks(rng, 80, 80, 0.3, 0.12)
    tracks = pd.concat([quiet, loud.assign(particle=loud["particle"] + 80)])
    found = diffusion_spread(tracks, DT, 0.1)
    assert found.low == 0
    assert found.high < 0.3


def test_long_lags_give_the_same_spread_in_the_same_units(brownian_tracks):
    rng = np.random.default_rng(6)
    D = rng.gamma(4, 0.125, 120)
    tracks = brownian_tracks(rng, 120, 150, D, 0.03)
    found = diffusion_spread(tracks, DT, 0.1, stride=3)
    assert found.low < 0.5 < found.high
    mass = found.density * np.gradient(found.grid)
    assert np.average(found.grid, weights=mass) == pytest.approx(D.mean(), rel=0.08)
    in_pixels = diffusion_spread(tracks, None, None, stride=3)
    assert in_pixels.value == found.value
    np.testing.assert_allclose(in_pixels.grid * 0.1**2 / DT, found.grid)
    np.testing.assert_allclose(in_pixels.density / (0.1**2 / DT), found.density)


def test_the_mixing_distribution_of_certain_likelihoods_is_their_frequency():
    likelihood = np.repeat(np.eye(3), [1, 2, 5], axis=0)
    np.testing.assert_allclose(_mixing(likelihood, np.ones(8)), [1 / 8, 2 / 8, 5 / 8])
    # A track counts by its weight.
    np.testing.assert_allclose(_mixing(np.eye(2), np.array([0.5, 1.5])), [0.25, 0.75])


def test_too_few_too_short_or_still_tracks_have_a_reason(brownian_tracks):
    rng = np.random.default_rng(7)
    few = diffusion_spread(brownian_tracks(rng, 8, 60), DT, 0.1)
    assert np.isnan(few.value)
    assert "fewer than 12 tracks have 12 frames" in few.reason
    assert "no estimate" in str(few)
    short = diffusion_spread(brownian_tracks(rng, 50, 20), DT, 0.1, stride=5)
    assert "32 frames" in short.reason
    still = diffusion_spread(brownian_tracks(rng, 50, 40, 0.0, 0.05), DT, 0.1)
    assert "from 0" in still.reason
    empty = brownian_tracks(rng, 8, 60).iloc[:0]
    assert np.isnan(diffusion_spread(empty, DT, 0.1).value)


def test_the_share_that_is_left_out_is_told(brownian_tracks):
    rng = np.random.default_rng(9)
    long = brownian_tracks(rng, 30, 40)
    short = brownian_tracks(rng, 60, 8).assign(particle=lambda table: table["particle"] + 30)
    alone = pd.DataFrame({"particle": [99], "frame": [0], "x": [0.0], "y": [0.0]})
    tracks = pd.concat([long, short, alone])
    found = diffusion_spread(tracks, DT, 0.1)
    assert found.tracks_left_out == pytest.approx(60 / 90)
    assert found.positions_left_out == pytest.approx(60 * 8 / (60 * 8 + 30 * 40))
    assert found.particles == 30
    none = diffusion_spread(pd.concat([short, alone]), DT, 0.1)
    assert none.tracks_left_out == none.positions_left_out == 1.0
    of_alpha = alpha_spread(tracks, DT, 0.1)
    assert of_alpha.positions_left_out == found.positions_left_out
    assert alpha_spread(long, DT, 0.1).tracks_left_out == 0.0


def test_bad_input_is_refused(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(8), 3, 5)
    with pytest.raises(ConfigError, match="stride"):
        diffusion_spread(tracks, DT, 0.1, stride=0)
    with pytest.raises(CalibrationError, match="exposure"):
        diffusion_spread(tracks, DT, 0.1, 1.0)
    with pytest.raises(LabelError, match="particle"):
        diffusion_spread(tracks.drop(columns="particle"), DT, 0.1)

"""The covariance-based estimate's interval: it holds the truth as often as it says."""

import numpy as np
import pytest

from cloudtrainer.diffusion import estimate_diffusion

DT, PIXEL = 1 / 30, 0.1
TRACKS = 1500


@pytest.mark.parametrize("frames", [12, 30, 100])
@pytest.mark.parametrize(
    ("D", "sigma", "full_exposure"), [(0.5, 0.02, False), (2.0, 0.03, True), (0.02, 0.05, True)]
)
def test_intervals_of_single_tracks_hold_the_truth_on_both_sides(
    brownian_tracks, D, sigma, full_exposure, frames
):
    rng = np.random.default_rng([1, frames, int(1000 * D)])
    tracks = brownian_tracks(rng, TRACKS, frames, D, sigma, full_exposure)
    found = estimate_diffusion(tracks, DT, PIXEL, method="cve", per_track=True)
    below, above = (found["D_high"] < D).mean(), (found["D_low"] > D).mean()
    # 1,500 tracks know a coverage of 95% to 0.6%.
    assert 0.93 < 1 - below - above < 0.975
    assert max(below, above) < 0.045
    assert (found["D_low"] < found["D"]).all()
    assert (found["D"] < found["D_high"]).all()


def test_intervals_with_a_known_localisation_error_hold_the_truth(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(2), TRACKS, 30, 0.1, 0.05, True)
    found = estimate_diffusion(tracks, DT, PIXEL, DT, 0.05, method="cve", per_track=True)
    held = (found["D_low"] < 0.1) & (found["D_high"] > 0.1)
    assert 0.93 < held.mean() < 0.97


def test_a_few_displacements_have_a_wide_interval_that_ends(brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(3), TRACKS, 5, 0.5, 0.02)
    found = estimate_diffusion(tracks, DT, PIXEL, method="cve", per_track=True)
    assert np.isfinite(found[["D_low", "D_high"]]).all(axis=None)
    held = (found["D_low"] < 0.5) & (found["D_high"] > 0.5)
    assert held.mean() > 0.95

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import estimate_anomalous, estimate_diffusion
from cloudtrainer.errors import ConfigError

DT, PIXEL = 1 / 30, 0.1


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("sigma", [0.02, 0.08])
def test_unbiased_with_noise(fractional_tracks, alpha, sigma):
    rng = np.random.default_rng(1)
    found = [
        estimate_anomalous(fractional_tracks(rng, 50, 50, 0.1, alpha, sigma), DT, PIXEL)
        for _ in range(12)
    ]
    values = np.array([e.alpha.value for e in found])
    error = np.mean([e.alpha.standard_error for e in found])
    assert abs(values.mean() - alpha) < 3.5 * error / np.sqrt(12)
    assert values.std(ddof=1) == pytest.approx(error, rel=0.6)
    assert sum(e.alpha.low <= alpha <= e.alpha.high for e in found) >= 9
    assert sum(e.K.low <= 0.1 <= e.K.high for e in found) >= 9


def test_a_line_through_log_msd_is_wrong_where_the_likelihood_is_right(fractional_tracks):
    """science: at sigma^2 / (D dt) = 1 the slope of log MSD is 0.75 for a true 1."""
    sigma = np.sqrt(0.5 * DT)
    tracks = fractional_tracks(np.random.default_rng(2), 100, 80, 0.5, 1.0, sigma)
    position = np.stack([part[["x", "y"]] for _, part in tracks.groupby("particle")])
    msd = [((position[:, n:] - position[:, :-n]) ** 2).sum(2).mean() for n in range(1, 11)]
    slope = np.polyfit(np.log(np.arange(1, 11)), np.log(msd), 1)[0]
    assert slope < 0.82
    e = estimate_anomalous(tracks, DT, PIXEL)
    assert e.alpha.low < 1 < e.alpha.high
    assert e.alpha.standard_error < 0.05
    assert e.alpha.offset == pytest.approx(4 * sigma**2, rel=0.3)


def test_exposure(fractional_tracks):
    tracks = fractional_tracks(
        np.random.default_rng(3), 150, 60, 0.1, 0.6, 0.03, exposed_substeps=10
    )
    known = estimate_anomalous(tracks, DT, PIXEL, exposure_s=DT)
    assert abs(known.alpha.value - 0.6) < 3.5 * known.alpha.standard_error
    assert abs(np.log(known.K.value / 0.1)) < 3.5 * known.K.standard_error / known.K.value
    assert known.alpha.localisation_error == pytest.approx(0.03, abs=0.015)
    assert known.alpha_full_exposure is None
    unknown = estimate_anomalous(tracks, DT, PIXEL)
    assert unknown.alpha_full_exposure == pytest.approx(known.alpha.value, abs=0.01)
    assert unknown.alpha.localisation_error is None


@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_known_localisation_error_narrows(fractional_tracks, sigma):
    tracks = fractional_tracks(np.random.default_rng(4), 60, 60, 0.1, 0.7, sigma)
    known = estimate_anomalous(tracks, DT, PIXEL, exposure_s=0.0, localisation_error_um=sigma)
    free = estimate_anomalous(tracks, DT, PIXEL)
    assert abs(known.alpha.value - 0.7) < 3.5 * known.alpha.standard_error
    assert known.alpha.model_standard_error < 0.8 * free.alpha.model_standard_error
    assert known.alpha.localisation_error == pytest.approx(sigma, abs=1e-6)


def test_K_is_in_the_units_of_the_calibration(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(5), 30, 50, 0.1, 0.6)
    s = estimate_anomalous(tracks, DT, PIXEL)
    frames = estimate_anomalous(tracks, None, None)
    assert s.alpha.value == frames.alpha.value
    assert s.K.value == pytest.approx(frames.K.value * PIXEL**2 / DT**s.alpha.value, rel=1e-9)
    assert (s.K.unit, frames.K.unit, s.alpha.unit) == ("um^2/s^alpha", "px^2/frame^alpha", "1")


def test_missing_positions_and_stride(fractional_tracks):
    rng = np.random.default_rng(6)
    tracks = fractional_tracks(rng, 150, 100, 0.1, 0.7, 0.03)
    gappy = estimate_anomalous(tracks[rng.random(len(tracks)) > 0.05], DT, PIXEL)
    assert abs(gappy.alpha.value - 0.7) < 3.5 * gappy.alpha.standard_error
    long = estimate_anomalous(tracks, DT, PIXEL, stride=3)
    assert abs(long.alpha.value - 0.7) < 3.5 * long.alpha.standard_error
    assert abs(np.log(long.K.value / 0.1)) < 3.5 * long.K.standard_error / long.K.value


def test_the_bootstrap_is_that_of_refitted_samples(fractional_tracks):
    rng = np.random.default_rng(7)
    tracks = fractional_tracks(rng, 25, 50, 0.1, 0.8)
    scale = np.repeat(rng.gamma(2, 0.5, 25), 50) ** 0.5
    tracks[["x", "y"]] = tracks[["x", "y"]].mul(scale, axis=0)
    e = estimate_anomalous(tracks, DT, PIXEL)
    parts = [part for _, part in tracks.groupby("particle")]
    refitted = []
    for _ in range(50):
        drawn = [parts[k].assign(particle=i) for i, k in enumerate(rng.integers(0, 25, 25))]
        again = estimate_anomalous(pd.concat(drawn), DT, PIXEL, 0.0, interval="model")
        refitted.append(again.alpha.value)
    strobe = estimate_anomalous(tracks, DT, PIXEL, 0.0)
    assert strobe.alpha.standard_error == pytest.approx(np.std(refitted), rel=0.35)
    assert e.alpha.standard_error > 0


@pytest.mark.parametrize("frames", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_intervals_of_alpha_of_single_tracks(fractional_tracks, frames):
    tracks = fractional_tracks(np.random.default_rng(11), 1200, frames, 0.5, 1.0, 0.05)
    rows = estimate_anomalous(tracks, DT, PIXEL, per_track=True)
    covered = ((rows["alpha_low"] <= 1) & (rows["alpha_high"] >= 1)).mean()
    # 1200 tracks know a coverage to 0.6%.
    assert 0.93 <= covered <= 0.97


def test_single_tracks(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(8), 300, 100, 0.1, 0.7, 0.03)
    rows = estimate_anomalous(tracks, DT, PIXEL, per_track=True)
    covered = ((rows["alpha_low"] <= 0.7) & (rows["alpha_high"] >= 0.7)).mean()
    assert 0.9 <= covered <= 0.985
    assert rows["alpha"].mean() == pytest.approx(0.7, abs=0.05)
    K_covered = ((rows["K_low"] <= 0.1) & (rows["K_high"] >= 0.1)).mean()
    assert 0.88 <= K_covered <= 1.0


def test_no_estimate_says_why():
    short = pd.DataFrame({"particle": 1, "frame": [0, 1, 2], "x": [0.0, 1.0, 3.0], "y": 0.0})
    e = estimate_anomalous(short, DT, PIXEL)
    assert np.isnan([e.alpha.value, e.K.value]).all()
    assert e.alpha.reason == "no track has 4 positions in a row"
    rows = estimate_anomalous(short, DT, PIXEL, per_track=True)
    assert rows["alpha"].isna().all()
    assert rows["reason"].tolist() == ["fewer than 4 positions in a row"]
    still = pd.DataFrame({"particle": 1, "frame": range(9), "x": 1.0, "y": 0.0})
    assert "exactly zero" in str(estimate_anomalous(still, DT, PIXEL).alpha.reason)


def test_a_track_whose_alpha_is_open_says_so_and_nothing_of_its_motion(fractional_tracks):
    """Short moving tracks: D is above zero in some of them whose alpha has no value."""
    tracks = fractional_tracks(np.random.default_rng(12), 300, 8, 0.5, 1.0, 0.05)
    rows = estimate_anomalous(tracks, DT, PIXEL, per_track=True)
    open_ends = rows["alpha"].isna() & (rows["alpha_low"] == 0) & (rows["alpha_high"] == 2)
    assert (rows.loc[open_ends, "reason"] == "alpha can be anything from 0 to 2").sum() > 5
    D = estimate_diffusion(tracks, DT, PIXEL, per_track=True, interval="model")
    assert (D.loc[open_ends, "D_low"] > 0).any()


def test_only_maximum_likelihood(fractional_tracks):
    tracks = fractional_tracks(np.random.default_rng(9), 3, 20)
    with pytest.raises(ConfigError, match="'cve'"):
        estimate_anomalous(tracks, DT, PIXEL, method="cve")  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.6, 0.85, 1.0, 1.15])
def test_figures_of_many_repeats(fractional_tracks, alpha):
    rng = np.random.default_rng(10)
    sigma = np.sqrt(0.1 * DT**alpha)
    found = [
        estimate_anomalous(fractional_tracks(rng, 50, 50, 0.1, alpha, sigma), DT, PIXEL)
        for _ in range(200)
    ]
    values = np.array([e.alpha.value for e in found])
    assert abs(values.mean() - alpha) < 0.01 + 3 * values.std() / np.sqrt(200)
    covered = np.mean([e.alpha.low <= alpha <= e.alpha.high for e in found])
    assert 0.9 <= covered <= 0.985

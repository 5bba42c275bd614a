import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.diffusion import mean_squared_displacement
from cloudtrainer.diffusion import msd as msd_module
from cloudtrainer.errors import ConfigError


def brute_force(track: pd.DataFrame, lags: int) -> tuple[np.ndarray, np.ndarray]:
    frame = track["frame"].to_numpy()
    position = track[["x", "y"]].to_numpy()
    apart = frame[:, None] - frame[None]
    square = ((position[:, None] - position[None]) ** 2).sum(2)
    sums = np.array([square[apart == n].sum() for n in range(1, lags + 1)])
    pairs = np.array([(apart == n).sum() for n in range(1, lags + 1)])
    return sums, pairs


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kept=st.floats(0.3, 1.0),
    particles=st.integers(1, 6),
    frames=st.integers(2, 60),
    drift=st.floats(-3, 3),
    max_lag=st.one_of(st.none(), st.integers(1, 80)),
)
def test_equals_brute_force(seed, kept, particles, frames, drift, max_lag):
    rng = np.random.default_rng(seed)
    frame = np.tile(np.arange(frames), particles)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles) * 3, frames),
            "frame": frame + 11,
            "x": 500 + np.cumsum(rng.normal(size=frame.size)) + drift * frame,
            "y": np.cumsum(rng.normal(size=frame.size)),
        }
    )
    tracks = tracks[rng.random(len(tracks)) <= kept].sample(frac=1, random_state=1)
    found = mean_squared_displacement(tracks, max_lag)
    lags = len(found.lag)
    sums, pairs = np.zeros(lags), np.zeros(lags)
    for i, particle in enumerate(found.particle):
        own_sums, own_pairs = brute_force(tracks[tracks["particle"] == particle], lags)
        assert found.pairs[i].tolist() == own_pairs.tolist()
        there = own_pairs > 0
        np.testing.assert_allclose(
            found.per_track[i, there], own_sums[there] / own_pairs[there], rtol=1e-9
        )
        assert np.isnan(found.per_track[i, ~there]).all()
        sums, pairs = sums + own_sums, pairs + own_pairs
    there = pairs > 0
    np.testing.assert_allclose(found.ensemble[there], sums[there] / pairs[there], rtol=1e-9)


def test_batches_do_not_change_the_result(monkeypatch, brownian_tracks):
    tracks = brownian_tracks(np.random.default_rng(1), 20, 30)
    tracks = tracks[tracks["frame"] < 5 + tracks["particle"]]
    whole = mean_squared_displacement(tracks)
    monkeypatch.setattr(msd_module, "_BATCH", 300)
    cut = mean_squared_displacement(tracks)
    np.testing.assert_allclose(cut.per_track, whole.per_track, rtol=1e-12)
    assert (cut.pairs == whole.pairs).all()


def test_calibration_and_units():
    tracks = pd.DataFrame({"particle": 1, "frame": [0, 1, 2], "x": [0.0, 3.0, 6.0], "y": 0.0})
    pixels = mean_squared_displacement(tracks)
    assert pixels.ensemble == pytest.approx([9.0, 36.0])
    assert (pixels.length_unit, pixels.time_unit) == ("px", "frame")
    um = mean_squared_displacement(tracks, frame_interval_s=0.5, pixel_size_um=0.2)
    assert um.ensemble == pytest.approx([0.36, 1.44])
    assert um.lag_time == pytest.approx([0.5, 1.0])
    assert (um.length_unit, um.time_unit) == ("um", "s")


def test_equal_gap_free_tracks_agree_with_trackpy(brownian_tracks):
    trackpy = pytest.importorskip("trackpy")
    tracks = brownian_tracks(np.random.default_rng(2), 8, 40)
    theirs = trackpy.emsd(tracks, mpp=0.1, fps=30, max_lagtime=20)
    ours = mean_squared_displacement(tracks, 20, frame_interval_s=1 / 30, pixel_size_um=0.1)
    np.testing.assert_allclose(ours.ensemble, theirs.to_numpy(), rtol=1e-9)


def test_standard_error_is_the_scatter_between_ensembles(brownian_tracks):
    rng = np.random.default_rng(3)
    runs = [mean_squared_displacement(brownian_tracks(rng, 30, 40), 10) for _ in range(200)]
    scatter = np.std([run.ensemble for run in runs], axis=0)
    said = np.mean([run.standard_error for run in runs], axis=0)
    np.testing.assert_allclose(said, scatter, rtol=0.2)


def test_no_tracks_at_all():
    empty = pd.DataFrame({"particle": [1], "frame": [0], "x": [0.0], "y": [0.0]})
    found = mean_squared_displacement(empty)
    assert len(found.lag) == 0
    assert len(found.particle) == 0


def test_max_lag_below_one():
    with pytest.raises(ConfigError, match="max_lag"):
        mean_squared_displacement(pd.DataFrame(), 0)

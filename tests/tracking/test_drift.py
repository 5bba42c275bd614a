import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.tracking import subtract_drift

FRAMES = 100


def walks(particles, seed, drift=None, missed=0.0, error=0.0):
    rng = np.random.default_rng(seed)
    xy = np.cumsum(rng.normal(0, 1, (FRAMES, particles, 2)), axis=0) + rng.uniform(
        0, 500, (1, particles, 2)
    )
    xy += rng.normal(0, error, xy.shape)
    if drift is not None:
        xy += drift[:, None]
    frame, particle = np.divmod(np.arange(FRAMES * particles), particles)
    table = pd.DataFrame(
        {"frame": frame, "particle": particle, "x": xy[..., 0].ravel(), "y": xy[..., 1].ravel()}
    )
    return table[rng.random(len(table)) >= missed]


def mean_square(tracks, lag):
    xy = np.full((FRAMES, tracks["particle"].max() + 1, 2), np.nan)
    xy[tracks["frame"], tracks["particle"]] = tracks[["x", "y"]]
    return 2 * np.nanmean((xy[lag:] - xy[:-lag]) ** 2)


DRIFTS = {
    "none": np.zeros((FRAMES, 2)),
    "steady": np.outer(np.arange(FRAMES), [0.4, -0.3]),
    "jitter": np.cumsum(np.random.default_rng(5).normal(0, 0.7, (FRAMES, 2)), axis=0),
}


@pytest.mark.parametrize("kind", list(DRIFTS))
@pytest.mark.parametrize("missed", [0.0, 0.15])
@pytest.mark.parametrize(("particles", "repeats"), [(5, 100), (10, 50), (40, 12)])
def test_subtracting_the_mean_leaves_no_bias(particles, repeats, missed, kind):
    before = np.zeros(2)
    after = np.zeros(2)
    for seed in range(repeats):
        still = walks(particles, seed, missed=missed)
        moved = subtract_drift(walks(particles, seed, DRIFTS[kind], missed), "mean").tracks
        before += [mean_square(still, lag) for lag in (1, 3)]
        after += [mean_square(moved, lag) for lag in (1, 3)]
    # The same walks with and without drift: what is left of the scatter is 0.3% at lag 1.
    assert after[0] / before[0] == pytest.approx(1, abs=0.01)
    assert after[1] / before[1] == pytest.approx(1, abs=0.025)


@pytest.mark.parametrize("method", ["mean", "steady"])
def test_localisation_error_stays_what_it_was(method):
    products = []
    for seed in range(60):
        tracks = subtract_drift(walks(10, seed, DRIFTS["steady"], error=0.7), method).tracks
        for _, track in tracks.groupby("particle"):
            step = np.diff(track[["x", "y"]].to_numpy(), axis=0)
            products.append(np.mean(step[1:] * step[:-1]))
    # Successive steps share an error of variance 0.49, with opposite signs.
    assert np.mean(products) == pytest.approx(-0.49, abs=0.03)


@pytest.mark.parametrize(("kind", "method"), [("steady", "steady"), ("jitter", "mean")])
def test_auto_takes_out_what_is_there(kind, method):
    result = subtract_drift(walks(30, 1, DRIFTS[kind]), "auto")
    assert result.significant
    assert result.method == method
    shift = result.table[["x_drift", "y_drift"]].to_numpy()
    # The mean of 30 walks of unit steps wanders by sqrt(t / 30).
    assert np.abs(shift - (DRIFTS[kind] - DRIFTS[kind][0])).max() < 5 * np.sqrt(FRAMES / 30)
    assert result.table["particles"].tolist() == [0] + [30] * (FRAMES - 1)
    assert "drift together" in result.sentence


def test_auto_leaves_tracks_without_drift_alone():
    touched = 0
    for seed in range(120):
        tracks = walks(10, seed, error=0.5)
        result = subtract_drift(tracks)
        touched += result.significant
        if not result.significant:
            pd.testing.assert_frame_equal(result.tracks, tracks)
    # p < 0.001 for each of two tests
    assert touched <= 2


def test_speed_is_measured_whatever_is_done():
    tracks = walks(40, 3, DRIFTS["steady"])
    assert subtract_drift(tracks, "none").speed_px_per_frame == pytest.approx(0.5, abs=0.08)
    pd.testing.assert_frame_equal(subtract_drift(tracks, "none").tracks, tracks)


def test_rows_index_and_other_columns_stay():
    tracks = walks(6, 4, DRIFTS["steady"]).assign(intensity=3.0).sample(frac=1, random_state=1)
    result = subtract_drift(tracks, "mean").tracks
    assert result.index.equals(tracks.index)
    pd.testing.assert_frame_equal(
        result[["frame", "particle", "intensity"]], tracks[["frame", "particle", "intensity"]]
    )


@pytest.mark.parametrize("method", ["auto", "none", "steady", "mean"])
def test_one_particle_or_none_is_no_error(method):
    assert subtract_drift(walks(3, 0).iloc[:0], method).tracks.empty
    alone = walks(1, 0)
    result = subtract_drift(alone, method)
    assert len(result.tracks) == FRAMES
    if method in ("auto", "none"):
        assert not result.significant


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="median"):
        subtract_drift(walks(3, 0), "median")
    with pytest.raises(LabelError, match="no column particle"):
        subtract_drift(walks(3, 0).drop(columns="particle"))

"""What rests in the frame while the rest drifts is not made to move by subtracting the drift."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.tracking import subtract_drift

FRAMES, FLOW = 100, np.array([0.3, -0.2])


def film(moving, resting, seed=0, flow=FLOW, stage=(0.0, 0.0), error=0.3, frames=FRAMES, D=1.0):
    """Return walks of unit steps in a flow, and noisy positions of what rests; all on a stage."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(np.sqrt(D) * rng.normal(size=(frames, moving, 2)), axis=0)
    walk += flow * np.arange(frames)[:, None, None]
    still = rng.uniform(0, 500, (1, resting, 2)) + rng.normal(0, error, (frames, resting, 2))
    xy = np.concatenate([walk, still], axis=1)
    xy += np.asarray(stage) * np.arange(frames)[:, None, None]
    frame, particle = np.divmod(np.arange(frames * (moving + resting)), moving + resting)
    x, y = xy.reshape(-1, 2).T
    return pd.DataFrame({"frame": frame, "particle": particle, "x": x, "y": y})


def test_what_rests_keeps_its_place_and_has_no_part_in_the_drift():
    tracks = film(60, 6)
    drift = subtract_drift(tracks)
    resting = tracks["particle"] >= 60
    assert drift.at_rest == 6
    pd.testing.assert_frame_equal(drift.tracks[resting], tracks[resting])
    alone = subtract_drift(tracks[~resting])
    pd.testing.assert_frame_equal(drift.tracks[~resting], alone.tracks)
    pd.testing.assert_frame_equal(drift.table, alone.table)
    assert "6 tracks rest in the frame" in drift.sentence


def test_one_that_rests_is_told_of_in_the_singular():
    assert "1 track rests in the frame meanwhile and keeps" in subtract_drift(film(60, 1)).sentence


@pytest.mark.parametrize("frames", [20, 40, 100, 300])
def test_particles_that_move_are_not_taken_for_resting_ones(frames):
    found = [subtract_drift(film(200, 0, seed, frames=frames)).at_rest for seed in range(5)]
    assert sum(found) == 0


def test_slow_particles_that_the_flow_carries_are_not_taken_for_resting_ones():
    fast, slow = film(60, 0), film(20, 0, seed=1, D=0.01)
    slow["particle"] += 1000
    assert subtract_drift(pd.concat([fast, slow], ignore_index=True)).at_rest == 0


def test_what_a_drifting_stage_carries_along_is_made_to_rest():
    tracks = film(60, 6, flow=np.zeros(2), stage=(0.3, -0.2))
    drift = subtract_drift(tracks)
    still = drift.tracks[drift.tracks["particle"] >= 60]
    assert drift.at_rest == 0
    assert still.groupby("particle")[["x", "y"]].std().to_numpy().max() < 1.5


def test_without_drift_nothing_is_looked_for():
    assert subtract_drift(film(60, 6, flow=np.zeros(2))).at_rest == 0
    assert subtract_drift(film(60, 6), "none").at_rest == 0


@pytest.mark.parametrize(
    ("particles", "D", "shake"), [(40, 2.0, 0.5), (20, 1.0, 0.5), (40, 0.5, 1.0)]
)
def test_slow_particles_on_a_shaking_stage_do_not_rest(particles, D, shake):
    fast = film(particles, 0, flow=np.zeros(2), D=D, frames=300)
    slow = film(5, 0, seed=1, flow=np.zeros(2), D=0.002, frames=300)
    slow["particle"] += 1000
    tracks = pd.concat([fast, slow], ignore_index=True)
    shaken = np.random.default_rng(2).normal(0, shake, (300, 2))[tracks["frame"]]
    tracks[["x", "y"]] += shaken
    drift = subtract_drift(tracks)
    assert drift.method == "mean"
    assert drift.at_rest == 0


def test_where_most_rest_all_of_them_are_found():
    tracks = film(10, 90, flow=np.array([1.0, 0.0]), D=0.5, frames=30)
    drift = subtract_drift(tracks)
    assert drift.at_rest >= 85
    assert drift.speed_px_per_frame == pytest.approx(1.0, abs=0.25)


def test_where_the_others_show_no_drift_of_their_own_nothing_rests():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        tracks = pd.concat(
            [film(3, 0, seed, np.zeros(2)), film(3, 0, seed + 99, np.zeros(2), D=0.01)],
            keys=(0, 1),
        )
        tracks["particle"] += 100 * tracks.index.get_level_values(0)
        stage = np.cumsum(rng.normal(0, 0.3, (FRAMES, 2)), axis=0)
        tracks[["x", "y"]] += stage[tracks["frame"]]
        drift = subtract_drift(tracks)
        assert drift.at_rest == 0 or drift.significant


def test_the_drift_is_told_of_every_frame():
    tracks = film(60, 6)
    early = (tracks["particle"] < 60) & ((tracks["frame"] < 10) | (tracks["frame"] > 80))
    drift = subtract_drift(tracks[~early])
    assert drift.at_rest == 6
    assert drift.table["frame"].tolist() == list(range(FRAMES))
    assert drift.table["x_drift"].notna().all()
    assert drift.table["x_drift"].iloc[-1] == drift.table["x_drift"].iloc[80]
    assert drift.table["particles"].iloc[-1] == 0


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda table: table.set_index("frame", drop=False),
        lambda table: table.set_index("particle", drop=False),
        lambda table: table.convert_dtypes(),
        lambda table: table.assign(particle=table["particle"].astype("category")),
        lambda table: table.astype({"particle": str, "frame": str}),
        lambda table: table.sample(frac=1, random_state=0),
        lambda table: table.assign(x=(100 * table["x"]).round().astype(int), y=100 * table["y"]),
    ],
)
def test_tables_of_every_layout_are_taken(laid_out):
    tracks = laid_out(film(60, 6))
    before = tracks.copy()
    drift = subtract_drift(tracks)
    assert drift.at_rest == 6
    assert list(drift.tracks.columns) == list(tracks.columns)
    pd.testing.assert_frame_equal(tracks, before)

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

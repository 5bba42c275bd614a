import numpy as np
import pandas as pd
import pytest
from brownian import detections

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.tracking import filter_tracks, static_specks


def hot_pixels(count, frames, seen=0.8, error=0.1, seed=0):
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    grid = np.stack(np.divmod(np.arange(count), side), axis=1) * (500 / side) + rng.uniform(2, 9, 2)
    parts = []
    for t in range(frames):
        here = np.flatnonzero(rng.random(count) < seen)
        xy = grid[here] + rng.normal(0, error, (len(here), 2))
        parts.append(np.column_stack([np.full(len(here), t), xy]))
    return pd.DataFrame(np.concatenate(parts), columns=["frame", "x", "y"]), grid


@pytest.mark.parametrize("error", [0.0, 0.1, 0.25])
def test_hot_pixels_go_and_particles_stay(error):
    hot, grid = hot_pixels(400, 100, error=error)
    moving = detections(particles=60, step_sd=1.5, frames=100)[["frame", "x", "y"]]
    both = pd.concat([moving.assign(hot=False), hot.assign(hot=True)], ignore_index=True)
    both = both.sample(frac=1, random_state=3)
    result = static_specks(both)
    assert len(result.specks) == 400
    assert result.specks["frame_share"].mean() == pytest.approx(0.8, abs=0.02)
    assert result.specks["scatter_px"].median() == pytest.approx(error, abs=0.03)
    distance = np.hypot(*(result.specks[["x", "y"]].to_numpy()[:, None] - grid).T).min(axis=1)
    assert distance.max() < 0.2
    kept = result.detections["hot"]
    assert kept.sum() < 0.01 * len(hot)
    assert (~kept).sum() > 0.97 * len(moving)
    pd.testing.assert_frame_equal(result.detections, both.loc[result.detections.index])


@pytest.mark.parametrize("step_sd", [0.05, 0.1, 0.3])
def test_slow_particles_are_not_specks(step_sd):
    slow = detections(particles=80, step_sd=step_sd, frames=200, seed=4)
    assert len(static_specks(slow).specks) <= 2


def test_stuck_particles_cannot_be_told_apart():
    stuck = detections(particles=20, stuck=1.0, frames=100)
    assert len(static_specks(stuck).specks) == 20


def test_a_place_seen_in_too_few_frames_is_kept():
    hot, _ = hot_pixels(20, 200, seen=0.3)
    assert static_specks(hot).specks.empty
    assert len(static_specks(hot, min_frame_share=0.2).specks) == 20


@pytest.mark.parametrize("frames", [0, 1, 9])
def test_short_videos_are_left_alone(frames):
    hot, _ = hot_pixels(5, 9)
    hot = hot[hot["frame"] < frames]
    result = static_specks(hot)
    assert len(result.detections) == len(hot)
    assert list(result.specks.columns) == ["x", "y", "frame_share", "scatter_px"]


def test_beads_in_focus_are_not_specks(shared_data):
    beads = pd.read_csv(shared_data / "beads" / "run_1_bright_beads.csv")
    beads = beads.rename(columns={"x_px": "x", "y_px": "y"})
    assert static_specks(beads).specks.empty


def test_bad_speck_settings():
    with pytest.raises(ConfigError, match="radius_px"):
        static_specks(pd.DataFrame({"frame": [], "x": [], "y": []}), radius_px=0)


TRACKS = pd.DataFrame(
    {
        "frame": [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4],
        "particle": [7] * 5 + [3] * 3 + [5] * 5,
        "x": [0.0, 1, 2, 3, 4, 0, 0, 9, 2, 3, 2, 3, 2],
        "y": 0.0,
        "probability": [0.9] * 5 + [0.8] * 3 + [0.2, 0.9, 0.9, 0.2, 0.2],
        "intensity": [1.0, 1, 10, 10, 10] + [5.0] * 3 + [20.0] * 5,
    }
)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"min_frames": 0}, {3, 5, 7}),
        ({}, {5, 7}),
        ({"min_frames": 3, "min_mean_probability": 0.5}, {3, 7}),
        ({"min_frames": 3, "min_median_intensity": 8}, {5, 7}),
        ({"min_frames": 3, "min_net_displacement_px": 4}, {3, 7}),
        ({"min_frames": 6}, set()),
    ],
)
def test_filters_keep_whole_tracks(settings, kept):
    result = filter_tracks(TRACKS.sample(frac=1, random_state=2), **settings)
    assert set(result["particle"]) == kept
    assert len(result) == TRACKS["particle"].isin(kept).sum()


def test_a_filter_needs_its_column():
    with pytest.raises(LabelError, match="no column probability"):
        filter_tracks(TRACKS.drop(columns="probability"), min_mean_probability=0.5)

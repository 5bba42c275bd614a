"""Particles that step over the border of the field of view, and what that does to D."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.diffusion import (
    estimate_anomalous,
    estimate_diffusion,
    with_distance_to_border,
)
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.errors import ConfigError, LabelError

STEP_PX = 3.0
D = STEP_PX**2 / 2


def seen_in(side, particles, frames, rng):
    """Return the tracks of a Brownian gas inside a square of a larger torus."""
    world = 3 * side
    start = rng.uniform(0, world, (9 * particles, 1, 2))
    path = start + np.cumsum(rng.normal(0, STEP_PX, (9 * particles, frames, 2)), axis=1)
    position = path % world - side - 0.5
    inside = ((position > -0.5) & (position < side - 0.5)).all(axis=2)
    visit = np.cumsum(np.diff(inside, axis=1, prepend=False), axis=1)
    who, frame = np.nonzero(inside)
    x, y = position[who, frame].T
    track = np.unique(who * (frames + 1) + visit[who, frame], return_inverse=True)[1]
    return pd.DataFrame({"particle": track, "frame": frame, "x": x, "y": y})


def test_steps_that_are_not_seen_do_not_make_D_smaller():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(12):
        tracks = seen_in(100, 40, 100, rng)
        told = with_distance_to_border(tracks, 100, 100)
        found.append(
            [
                estimate_diffusion(table, None, None, interval="model").value / D - 1
                for table in (tracks, told)
            ]
        )
    every, away = np.array(found).T
    known_to = away.std(ddof=1) / np.sqrt(len(away))
    assert every.mean() < -0.03
    assert abs(away.mean()) < 0.002 + 3 * known_to


def test_alpha_of_an_ensemble_and_not_of_single_tracks():
    tracks = seen_in(100, 40, 100, np.random.default_rng(4))
    told = with_distance_to_border(tracks, 100, 100)
    alpha = [estimate_anomalous(table, None, None).alpha.value for table in (tracks, told)]
    assert alpha[0] != alpha[1]
    single = [estimate_diffusion(table, None, None, per_track=True) for table in (tracks, told)]
    pd.testing.assert_frame_equal(*single)


def test_what_is_left_out_is_told_by_where_a_displacement_begins():
    # Steps of 1 px per axis: from within 2.5 + 2 px of the border nothing is taken.
    x = np.array([1.0, 2, 3, 4, 5, 6, 5, 4, 3])
    table = pd.DataFrame({"particle": 7, "frame": range(9), "x": x, "y": x})
    arrays = track_arrays(with_distance_to_border(table, 100, 100))
    assert np.allclose(arrays.to_border, x + 0.5)
    inner = steps_of(arrays, inner=True)
    # Those from 4 to 5, 5 to 6, 6 to 5, 5 to 4 and 4 to 3, in one piece.
    assert len(inner.gap) == 5
    assert inner.start.tolist() == [0, 5]
    assert len(steps_of(arrays).gap) == 8
    # A displacement over three frames is larger, and begins farther away: hardly one is left.
    assert len(steps_of(arrays, 3, inner=True).gap) == len(steps_of(arrays, 3).gap)


def test_a_visit_to_the_border_cuts_a_track_in_two():
    x = np.array([10.0, 9, 8, 7, 4, 5, 6, 7, 8, 9])
    table = pd.DataFrame({"particle": 7, "frame": range(10), "x": x, "y": 50 + (x % 2)})
    inner = steps_of(track_arrays(with_distance_to_border(table, 100, 100)), inner=True)
    assert inner.start.tolist() == [0, 4, 8]
    assert inner.owner.tolist() == [0, 0]


def test_an_unknown_distance_leaves_nothing_out():
    tracks = seen_in(100, 10, 30, np.random.default_rng(5))
    unknown = tracks.assign(to_border_px=np.nan)
    assert str(estimate_diffusion(unknown, None, None)) == str(
        estimate_diffusion(tracks, None, None)
    )


def test_no_frame_and_no_positions():
    table = pd.DataFrame({"particle": [0], "frame": [0], "x": [1.0]})
    with pytest.raises(LabelError, match="no column 'y'"):
        with_distance_to_border(table, 10, 10)
    with pytest.raises(ConfigError, match="width_px is 0"):
        with_distance_to_border(table.assign(y=1.0), 0, 10)


def test_a_distance_of_text_or_given_twice_is_refused():
    table = pd.DataFrame({"particle": 0, "frame": range(9), "x": range(9), "y": range(9)})
    told = with_distance_to_border(table, 99, 99)
    with pytest.raises(LabelError, match="to_border_px' is there twice"):
        track_arrays(pd.concat([told, told[["to_border_px"]]], axis=1))
    with pytest.raises(LabelError, match="'to_border_px', row 0 holds 'far', not a number"):
        track_arrays(told.assign(to_border_px=["far", *range(8)]))

"""What an analysis is wary of: particles that are stuck, left out, or counted several times."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bright_spots import brownian_tracks

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.doubts import spread_reservations, stuck_tracks, stuck_warning
from cloudtrainer.analysis.fragments import fragments_warning, share_going_on
from cloudtrainer.diffusion import DiffusionSpread, check_model, estimate_diffusion

pytestmark = pytest.mark.usefixtures("without_pictures")


def together(*tables):
    return pd.concat(
        [one.assign(particle=one["particle"] + 1000 * i) for i, one in enumerate(tables)]
    )


def single(tracks):
    rows = estimate_diffusion(tracks, None, None, per_track=True, interval="model")
    return rows.assign(frames=tracks.groupby("particle").size().to_numpy())


def test_D_without_the_tracks_that_do_not_move_stands_beside_D(tmp_path):
    moving = brownian_tracks(76, 40, 1.0, noise_px=0.3, seed=1)
    stuck = brownian_tracks(4, 40, 0.0, noise_px=0.3, seed=2)
    alone = estimate_diffusion(moving, None, None)
    found = analyze(together(moving, stuck), tmp_path / "out")
    assert found.diffusion.value == pytest.approx(0.95 * alone.value, rel=0.01)
    assert found.measurement.moving_diffusion.value == pytest.approx(alone.value, rel=0.01)
    (said,) = [text for text in found.summary["warnings"] if "do not move" in text]
    assert said.startswith("4 of 80 tracks do not move")
    assert str(found.diffusion) in said
    assert str(found.measurement.moving_diffusion) in said
    measured = found.summary["measured"]
    assert measured["tracks_that_do_not_move"] == 4
    assert measured["moving_D_px2_per_frame"]["value"] == pytest.approx(alone.value, rel=0.01)
    assert "D without tracks that do not move" in (tmp_path / "out" / "report.html").read_text(
        encoding="utf-8"
    )


def test_slow_and_short_tracks_are_not_stuck():
    short = brownian_tracks(200, 8, 1.0, noise_px=0.3, seed=3)
    assert not stuck_tracks(single(short), estimate_diffusion(short, None, None)).any()
    # A fifth of the D of the others: told from 0.
    mixed = together(
        brownian_tracks(60, 60, 1.0, noise_px=0.3, seed=4),
        brownian_tracks(20, 60, 0.45, noise_px=0.3, seed=5),
    )
    assert not stuck_tracks(single(mixed), estimate_diffusion(mixed, None, None)).any()


def test_few_stuck_tracks_count_by_their_positions():
    moving = brownian_tracks(300, 8, 1.0, noise_px=0.3, seed=6)
    long = brownian_tracks(3, 100, 0.0, noise_px=0.3, seed=7)
    tracks = together(moving, long)
    D = estimate_diffusion(tracks, None, None)
    assert stuck_tracks(single(tracks), D)[-3:].all()
    short = together(moving, brownian_tracks(3, 8, 0.0, noise_px=0.3, seed=7))
    assert not stuck_tracks(single(short), estimate_diffusion(short, None, None)).any()
    assert not stuck_tracks(single(long), estimate_diffusion(long, None, None)).any()


def test_a_change_that_makes_no_difference_is_not_said():
    D = estimate_diffusion(brownian_tracks(40, 40, 1.0, noise_px=0.3, seed=8), None, None)
    least = min(D.standard_error, 0.02 * D.value)
    assert stuck_warning(D, replace(D, value=D.value + 0.9 * least), 1, 40) is None
    assert "1 of 40" in stuck_warning(D, replace(D, value=D.value + 1.1 * least), 1, 40)


def test_a_spread_of_few_positions_is_told_to_be_that_of_the_long_tracks():
    checks = check_model(brownian_tracks(40, 40, 1.0, seed=9))
    failed = [
        replace(one, passed=False) if one.name == "D against track length" else one
        for one in checks
    ]
    spread = DiffusionSpread(
        value=1.0, low=0.8, high=1.3, particles=20, unit="px^2/frame",
        tracks_left_out=0.6, positions_left_out=0.3,
    )  # fmt: skip
    (said,) = spread_reservations(spread, checks)
    assert "of 20 long tracks: 60% of the tracks, with 30% of the positions" in said
    few = replace(spread, positions_left_out=0.1)
    assert spread_reservations(few, checks) == []
    assert "length of the tracks" in spread_reservations(few, failed)[0]
    assert spread_reservations(replace(few, positions_left_out=0.0), failed) == []


def cut(tracks, gap):
    """Leave out so many frames of every 30: each track becomes fragments."""
    kept = tracks[tracks["frame"] % 30 >= gap]
    part = kept["frame"] // 30
    return kept.assign(particle=kept["particle"] * 100 + part)


def scattered(particles, frames, seed):
    rng = np.random.default_rng(seed)
    tracks = brownian_tracks(particles, frames, 1.0, noise_px=0.2, seed=seed)
    place, late = rng.uniform(0, 500, (particles, 2)), rng.integers(0, 300, particles)
    number = tracks["particle"].to_numpy()
    return tracks.assign(
        x=tracks["x"] + place[number, 0],
        y=tracks["y"] + place[number, 1],
        frame=tracks["frame"] + late[number],
    )


def test_fragments_of_particles_that_come_back_are_recognised():
    tracks = cut(scattered(40, 120, 10), gap=8)
    share = share_going_on(tracks, memory=2)
    repeats = 1 - 40 / tracks["particle"].nunique()
    assert 0.6 * repeats < share < 1.1 * repeats
    assert "counted several times" in fragments_warning(tracks, memory=2)
    # What the links bridge is no new particle.
    assert fragments_warning(tracks, memory=60) is None


@pytest.mark.parametrize("seed", range(5))
def test_tracks_that_begin_anywhere_are_not_taken_for_fragments(seed):
    assert fragments_warning(scattered(150, 40, 20 + seed), memory=2) is None


def test_few_tracks_and_a_crowd_say_nothing_of_fragments():
    few = scattered(10, 40, 11)
    assert np.isnan(share_going_on(few, memory=2))
    assert np.isnan(share_going_on(few.iloc[:0], memory=2))
    crowd = scattered(600, 20, 12)
    crowd = crowd.assign(x=crowd["x"] / 8, y=crowd["y"] / 8)
    assert fragments_warning(crowd, memory=2) is None

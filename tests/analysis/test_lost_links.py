"""What linking takes of D is told from simulated particles, and put back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bright_spots import write_video

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.lost_links import LostLinks, lost_links
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import AnalysisSettings, Config
from cloudtrainer.diffusion import (
    diffusion_spread,
    estimate_diffusion,
    with_distance_to_border,
)
from cloudtrainer.tracking import filter_tracks, subtract_drift, track_particles

SIDE, FRAMES, D, ERROR = 300, 60, 2.0, 0.1
SETTINGS = AnalysisSettings()


def walk(number, seed, moments=1, smeared=0.0, diffusion=D, side=SIDE, life=np.inf):
    """Brownian positions in a box whose sides are joined; 3% missed by chance, 1% false.

    After a mean life of so many frames a particle goes on elsewhere as another one.
    """
    rng = np.random.default_rng(seed)
    step = np.sqrt(2 * diffusion / moments)
    path = rng.normal(0, step, (FRAMES * moments, number, 2)).cumsum(axis=0)
    path = path.reshape(FRAMES, moments, number, 2)
    gone = rng.random((FRAMES, number)) < 1 / life
    jump = rng.uniform(0, side, (FRAMES, number, 2)) * gone[..., None]
    place = rng.uniform(0, side, (number, 2)) + path.mean(axis=1) + jump.cumsum(axis=0)
    lap = np.floor(place / side)
    crossed = np.concatenate([np.zeros((1, number)), np.abs(np.diff(lap, axis=0)).sum(axis=2)])
    particle = np.cumsum((crossed > 0) | gone, axis=0) * number + np.arange(number)
    place += rng.normal(0, ERROR, place.shape) - lap * side
    length = path.var(axis=1).sum(axis=2)
    found = (rng.random(length.shape) > 0.03) & (length <= np.quantile(length, 1 - smeared))
    false = number * FRAMES // 100
    rows = {
        "frame": np.concatenate([np.repeat(np.arange(FRAMES), number), np.arange(false) % FRAMES]),
        "particle": np.concatenate([particle.ravel(), -1 - np.arange(false)]),
        "found": np.concatenate([found.ravel(), np.ones(false, bool)]),
    }
    xy = np.concatenate([place.reshape(-1, 2), rng.uniform(0, side, (false, 2))])
    table = pd.DataFrame(rows).assign(x=xy[:, 0], y=xy[:, 1], x_error=ERROR, y_error=ERROR)
    table = with_distance_to_border(table, side, side)
    return table.sort_values("frame", kind="stable", ignore_index=True)


def linked(there, reach):
    """Return what an analysis knows of positions, and D of their links and of the true tracks."""
    found = there[there["found"]].drop(columns=["particle", "found"]).reset_index(drop=True)
    tracks = track_particles(found, reach)
    drift = subtract_drift(tracks, "none")
    tracked = Tracked(found, 0, tracks, tracks, "bright", reach, None, None, drift, ())
    true = filter_tracks(there[there["particle"] >= 0])
    return (
        tracked,
        estimate_diffusion(tracks, None, None),
        estimate_diffusion(true, None, None, interval="model").value,
    )


def told(tracked, estimate, field=(FRAMES, SIDE, SIDE), settings=SETTINGS, exposure=None):
    spread = diffusion_spread(tracked.tracks, None, None)
    return lost_links(tracked, field, estimate, spread, (1.0, 1.0), settings, exposure)


def test_what_crowding_takes_of_D_is_told_and_put_back():
    taken, kept, left = [], [], []
    for seed in range(4):
        tracked, estimate, true = linked(walk(250, seed), reach=9.6)
        lost = told(tracked, estimate)
        back = lost.put_back(estimate)
        taken.append(estimate.value / true)
        kept.append(lost.kept)
        left.append(back.value / true)
        assert back.links_lost == 1 - lost.kept
        assert back.high - back.low > (estimate.high - estimate.low) / lost.kept
    assert np.mean(taken) < 0.98
    assert np.mean(kept) == pytest.approx(np.mean(taken), abs=0.01)
    assert np.mean(left) == pytest.approx(1, abs=0.01)


def test_a_range_that_cuts_off_steps_is_put_back():
    taken, left, held = [], [], []
    for seed in range(3):
        tracked, estimate, true = linked(walk(60, seed), reach=5.5)
        lost = told(tracked, estimate)
        back = lost.put_back(estimate)
        taken.append(estimate.value / true)
        left.append(back.value / true)
        held.append(back.low < true < back.high)
        assert lost.stretch > 1.1
    assert np.mean(taken) < 0.92
    assert np.mean(left) == pytest.approx(1, abs=0.03)
    assert all(held)


def test_particles_missed_where_they_are_smeared_are_put_back():
    taken, left = [], []
    for seed in range(4):
        tracked, estimate, true = linked(walk(40, seed, moments=8, smeared=0.05), reach=7.8)
        taken.append(estimate.value / true)
        left.append(told(tracked, estimate).put_back(estimate).value / true)
    assert np.mean(taken) < 0.995
    assert np.mean(left) == pytest.approx(1, abs=0.02)


def test_units_make_no_difference():
    tracked, estimate, _ = linked(walk(250, 0), reach=9.6)
    spread = diffusion_spread(tracked.tracks, 0.05, 0.1)
    in_um = estimate_diffusion(tracked.tracks, 0.05, 0.1)
    field = (FRAMES, SIDE, SIDE)
    lost = lost_links(tracked, field, in_um, spread, (1 / 0.1, 0.05), SETTINGS)
    assert lost.kept == pytest.approx(told(tracked, estimate).kept, abs=1e-6)


def test_particles_far_from_each_other_lose_nothing():
    tracked, estimate, _ = linked(walk(3, 0), reach=9.6)
    lost = told(tracked, estimate)
    assert lost == LostLinks()
    assert lost.put_back(estimate) is estimate
    assert lost.warning is None


def test_nothing_is_put_back_where_the_links_are_not_ours():
    tracked, estimate, _ = linked(walk(250, 0), reach=9.6)
    other = SETTINGS.model_copy(update={"linking_engine": "laptrack"})
    assert told(tracked, estimate, settings=other) == LostLinks()
    assert told(tracked, estimate, field=None) == LostLinks()


def test_an_interval_stays_positive_and_D_that_is_not_told_from_0_is_left_alone():
    tracked, estimate, _ = linked(walk(250, 0), reach=9.6)
    wide = replace(estimate, low=estimate.value / 50, high=estimate.value * 3)
    back = LostLinks(0.9, 0.05, stretch=1.5).put_back(wide)
    assert 0 < back.low < wide.low
    assert back.high > wide.high / 0.9
    for_nothing = replace(estimate, low=0.0)
    assert told(tracked, for_nothing) == LostLinks()
    assert LostLinks(0.9, 0.05).put_back(for_nothing) is for_nothing


def test_slow_particles_in_a_range_that_is_far_too_long_are_not_put_wrong():
    """False detections in reach then add to D, and more of what is put back would add more."""
    for seed in range(3):
        there = walk(60, seed, diffusion=0.005)
        tracked, estimate, _ = linked(there, reach=10.0)
        back = told(tracked, estimate).put_back(estimate)
        assert back.value == pytest.approx(estimate.value, rel=0.25)


def test_particles_in_a_part_of_the_field_are_as_crowded_as_they_are_there():
    there = walk(100, 3, side=150.0)
    tracked, estimate, true = linked(there, reach=7.3)
    assert estimate.value < 0.97 * true
    back = told(tracked, estimate, field=(FRAMES, 512, 512)).put_back(estimate)
    assert back.value == pytest.approx(true, rel=0.025)


def test_tracks_that_end_in_the_field_are_said_and_not_put_back():
    """Who leaves the focus is gone on with by others: that adds to D, and no one knows how much."""
    there = walk(250, 1, life=10)
    tracked, estimate, true = linked(there, reach=9.6)
    assert estimate.value > 1.03 * true
    lost = told(tracked, estimate)
    assert lost.put_back(estimate) is estimate
    assert "Particles come and go" in lost.warning


def test_too_crowded_a_field_is_not_corrected_and_said():
    tracked, estimate, true = linked(walk(1500, 0), reach=4.0)
    lost = told(tracked, estimate)
    assert np.isnan(lost.kept)
    assert "do not publish it" in lost.warning
    assert lost.put_back(estimate).value == estimate.value
    assert np.isnan(lost.put_back(estimate).links_lost)
    assert estimate.value < 0.85 * true


def crowd(model, video, *_, **__):
    there = walk(250, 7)
    found = there.loc[there["found"], ["frame", "x", "y", "x_error", "y_error"]]
    return found.reset_index(drop=True).assign(intensity=500.0, probability=0.9)


@pytest.mark.usefixtures("stand_in", "without_pictures")
def test_an_analysis_corrects_D_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("cloudtrainer.analysis.tracks.extract_particles_from_predictions", crowd)
    pixels = np.random.default_rng(0).normal(100, 5, (FRAMES, SIDE, SIDE)).astype(np.uint16)
    result = analyze(
        write_video(tmp_path / "crowd.tif", pixels),
        tmp_path / "out",
        pixel_size_um=0.1,
        frame_interval_s=0.05,
        config=Config(analysis=AnalysisSettings(drift="none", polarity="bright")),
    )
    entry = result.summary["measured"]["D_um2_per_s"]
    assert 0.01 < entry["links_lost"] < 0.1
    as_linked = estimate_diffusion(result.tracks, 0.05, 0.1).value
    assert entry["value"] == pytest.approx(as_linked / (1 - entry["links_lost"]))
    assert any("D has been corrected for it" in said for said in result.summary["warnings"])
    assert "was corrected for what linking takes" in (tmp_path / "out" / "methods.txt").read_text()

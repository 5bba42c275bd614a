"""What linking takes of D is told from simulated particles, and put back."""

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


def walk(number, seed, moments=1, smeared=0.0):
    """Brownian positions in a box whose sides are joined; 3% missed by chance, 1% false."""
    rng = np.random.default_rng(seed)
    path = rng.normal(0, np.sqrt(2 * D / moments), (FRAMES * moments, number, 2)).cumsum(axis=0)
    path = path.reshape(FRAMES, moments, number, 2)
    place = rng.uniform(0, SIDE, (number, 2)) + path.mean(axis=1)
    lap = np.floor(place / SIDE)
    crossed = np.concatenate([np.zeros((1, number)), np.abs(np.diff(lap, axis=0)).sum(axis=2)])
    particle = np.cumsum(crossed > 0, axis=0) * number + np.arange(number)
    place += rng.normal(0, ERROR, place.shape) - lap * SIDE
    length = path.var(axis=1).sum(axis=2)
    found = (rng.random(length.shape) > 0.03) & (length <= np.quantile(length, 1 - smeared))
    false = number * FRAMES // 100
    rows = {
        "frame": np.concatenate([np.repeat(np.arange(FRAMES), number), np.arange(false) % FRAMES]),
        "particle": np.concatenate([particle.ravel(), -1 - np.arange(false)]),
        "found": np.concatenate([found.ravel(), np.ones(false, bool)]),
    }
    xy = np.concatenate([place.reshape(-1, 2), rng.uniform(0, SIDE, (false, 2))])
    table = pd.DataFrame(rows).assign(x=xy[:, 0], y=xy[:, 1], x_error=ERROR, y_error=ERROR)
    table = with_distance_to_border(table, SIDE, SIDE)
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


def told(tracked, estimate, field=(FRAMES, SIDE, SIDE), settings=SETTINGS):
    spread = diffusion_spread(tracked.tracks, None, None)
    return lost_links(tracked, field, estimate, spread, (1.0, 1.0), settings)


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
        assert lost.stretch > 1.2
    assert np.mean(taken) < 0.92
    assert np.mean(left) == pytest.approx(1, abs=0.03)
    assert all(held)


def test_particles_missed_where_they_are_smeared_are_put_back():
    taken, left = [], []
    for seed in range(4):
        tracked, estimate, true = linked(walk(40, seed, moments=8, smeared=0.05), reach=7.8)
        taken.append(estimate.value / true)
        left.append(told(tracked, estimate).put_back(estimate).value / true)
    assert np.mean(taken) < 0.99
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


def test_too_crowded_a_field_is_not_corrected_and_said():
    tracked, estimate, true = linked(walk(1500, 0), reach=4.0)
    lost = told(tracked, estimate)
    assert np.isnan(lost.kept)
    assert "do not publish it" in lost.warning
    assert lost.put_back(estimate) is estimate
    assert estimate.value < 0.85 * true


def crowd(model, video, threshold=None, min_area=3, *, polarity="auto", progress=None):
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

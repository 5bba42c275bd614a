"""The kind of motion in an analysis: of each track, of all, and where the two tests disagree."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from bright_spots import brownian_tracks

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.measure import _agreed
from cloudtrainer.diffusion import classify_motion, estimate_anomalous, motion_type

pytestmark = pytest.mark.usefixtures("without_pictures")


def test_each_track_has_a_kind_or_a_reason(tmp_path):
    tracks = brownian_tracks(25, 60, 1.0, noise_px=0.3, seed=4)
    single = pd.DataFrame({"frame": [3], "particle": [99], "x": [5.0], "y": [5.0]})
    analyze(pd.concat([tracks, single]), tmp_path / "out")
    particles = pd.read_csv(tmp_path / "out" / "particles.csv")
    assert particles["motion_model"].notna().all()
    undetermined = particles["motion_model"] == "undetermined"
    assert particles.loc[undetermined, "motion_reason"].notna().all()
    measured = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))[
        "measured"
    ]
    assert measured["motion_model"] == "brownian"
    assert "do not differ from Brownian" in measured["motion_model_because"]
    assert measured["confinement_radius_px"] is None
    assert measured["speed_px_per_frame"] is None
    shares = measured["motion_of_tracks"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["undetermined"] == pytest.approx(undetermined.mean())


def test_where_the_exponent_contradicts_the_likelihoods_its_test_holds():
    tracks = brownian_tracks(25, 60, 1.0, noise_px=0.3, seed=4)
    motion = motion_type(estimate_anomalous(tracks, None, None))
    found = classify_motion(tracks, None, None)
    assert _agreed(motion, found) is found
    confined = replace(found, motion_model="confined", confinement_radius=2.0)
    kept = _agreed(motion, confined)
    assert kept.motion_model == motion.motion_model == "brownian"
    assert kept.confinement_radius != kept.confinement_radius
    assert kept.sentence == motion.sentence

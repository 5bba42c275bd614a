"""The kind of motion in an analysis: of each track, of all, and where the two tests disagree."""

import json
from dataclasses import replace

import numpy as np
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


def test_the_width_of_a_cage_is_not_called_localisation_error(tmp_path):
    rng = np.random.default_rng(5)
    place = rng.normal(0, 1, (60, 20, 2))
    for frame in range(1, 60):
        place[frame] = 0.5 * place[frame - 1] + np.sqrt(0.75) * place[frame]
    x, y = place.reshape(-1, 2).T
    frames, particles = np.divmod(np.arange(1200), 20)
    caged = pd.DataFrame({"frame": frames, "particle": particles, "x": x, "y": y})
    known = {"frame_interval_s": 0.02, "pixel_size_um": 0.1, "exposure_s": 0.0}
    found = analyze(caged, tmp_path / "cage", **known)
    assert found.summary["measured"]["localisation_error_um"] is None
    assert found.summary["measured"]["alpha"] is None
    assert any("alpha was not estimated" in text for text in found.summary["warnings"])
    free = analyze(brownian_tracks(25, 60, 1.0, noise_px=0.5, seed=4), tmp_path / "free", **known)
    assert free.summary["measured"]["localisation_error_um"] == pytest.approx(0.05, rel=0.3)
    stuck = analyze(brownian_tracks(25, 60, 0.0, noise_px=0.5, seed=4), tmp_path / "stuck", **known)
    assert stuck.summary["measured"]["localisation_error_um"] == pytest.approx(0.05, rel=0.1)
    assert not any("particles differ" in text for text in stuck.summary["warnings"])

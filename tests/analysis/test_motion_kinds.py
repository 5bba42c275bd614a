"""The kind of motion in an analysis: of each track, of all, and where the two tests disagree."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bright_spots import brownian_tracks

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.agreement import agreed, contradict
from cloudtrainer.analysis.kinds import kinds_table
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
    assert agreed(motion, found) is found
    confined = replace(found, motion_model="confined", confinement_radius=2.0)
    kept = agreed(motion, confined)
    assert kept.motion_model == motion.motion_model == "brownian"
    assert kept.confinement_radius != kept.confinement_radius
    assert kept.sentence == motion.sentence
    assert contradict(motion, confined)
    assert not contradict(motion, found)


def test_an_exponent_that_decides_nothing_contradicts_nothing():
    tracks = brownian_tracks(25, 60, 1.0, noise_px=0.3, seed=4)
    motion = motion_type(estimate_anomalous(tracks, None, None))
    motion = replace(motion, motion_type="Undetermined", motion_model="undetermined")
    found = classify_motion(tracks, None, None)
    assert not contradict(motion, found)
    kept = agreed(motion, found)
    assert kept.motion_model == "undetermined"
    assert kept.sentence == f"{motion.sentence} {found.sentence}"


def test_tracks_of_different_kinds_are_not_given_one_exponent_alone(tmp_path):
    moving = brownian_tracks(12, 80, 1.0, noise_px=0.3, seed=5)
    stuck = brownian_tracks(12, 80, 0.0, noise_px=0.3, seed=6)
    away = brownian_tracks(12, 80, 0.3, noise_px=0.3, seed=7)
    # To both sides: what all have in common would be taken for drift.
    away["x"] += (1.0 - 2.0 * (away["particle"] % 2)) * away["frame"]
    tracks = pd.concat(
        [
            one.assign(particle=one["particle"] + 100 * i)
            for i, one in enumerate([moving, stuck, away])
        ]
    )
    found = analyze(tracks, tmp_path / "out")
    said = [text for text in found.summary["warnings"] if "of different kinds" in text]
    assert len(said) == 1
    assert "% directed" in said[0]
    assert "% immobile" in said[0]
    assert "particles.csv" in said[0]
    assert "on the whole, but the tracks are of different kinds" in str(found)
    assert "particles.csv" in found.summary["measured"]["motion_model_because"]
    alike = analyze(moving, tmp_path / "alike")
    assert not any("of different kinds" in text for text in alike.summary["warnings"])


def test_stuck_particles_are_said_to_be_immobile(tmp_path):
    found = analyze(brownian_tracks(20, 100, 0.0, noise_px=0.3, seed=3), tmp_path / "out")
    measured = found.summary["measured"]
    assert (measured["motion_type"], measured["motion_model"]) == ("Undetermined", "immobile")
    said = "Undetermined (immobile: no motion beyond the localisation error)"
    assert f"Motion: {said}" in str(found).splitlines()
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_one_particle_is_a_single_particle(tmp_path):
    found = analyze(brownian_tracks(1, 200, 1.0, noise_px=0.3, seed=2), tmp_path / "out")
    assert any("D rests on 1 particle:" in text for text in found.summary["warnings"])


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


def test_kind_of_motion_and_transport_stand_side_by_side_and_say_why_they_differ(tmp_path):
    moving = brownian_tracks(12, 60, 1.0, noise_px=0.2, seed=5)
    stuck = brownian_tracks(8, 60, 0.0, noise_px=0.2, seed=6)
    tracks = pd.concat([moving, stuck.assign(particle=stuck["particle"] + 12)])
    found = analyze(tracks, tmp_path / "out", pixel_size_um=0.1, frame_interval_s=1 / 30)
    table = kinds_table(found.measurement, found.transport)
    *kinds, everything = table.rows
    np.testing.assert_array_equal(np.sum([row[1:] for row in kinds], axis=0), everything[1:])
    classes = found.transport.mobility.fractions.set_index("class")["particles"]
    assert list(everything[1:-1]) == classes.to_list()
    counts = found.measurement.particles["motion_model"].value_counts()
    assert {row[0]: row[-1] for row in kinds} == counts.to_dict()
    assert everything[-1] == 20
    # Tracks of 60 frames: the two answers do differ.
    assert counts["undetermined"] > classes["undetermined"]
    assert "counts differ" in table.note
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert table.heading in page
    text = (tmp_path / "out" / "methods.txt").read_text(encoding="utf-8")
    assert "Kind of motion and class of transport are separate answers" in text


def test_without_calibration_the_methods_speak_of_no_transport(tmp_path):
    analyze(brownian_tracks(12, 30, 1.0), tmp_path / "out")
    text = (tmp_path / "out" / "methods.txt").read_text(encoding="utf-8")
    assert "The kind of motion of single tracks" in text
    assert "class of transport" not in text

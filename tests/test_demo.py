"""How the demonstration judges itself, with a detector that knows the truth.

The whole of it, training included, is `make demo`.
"""

import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import cli, demo
from cloudtrainer.config import Config, ExperimentSettings
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.evaluation import localisation_bound_px
from cloudtrainer.simulation import simulate_experiment

SMALL = ExperimentSettings(frames=60, height_px=128, width_px=128, particles=25, seed=3)
NAMES = ["F1 of the detections", "localisation error", "D", "alpha", "standard error of D"]


@pytest.fixture(scope="module")
def experiment():
    return simulate_experiment(SMALL)


@pytest.fixture
def found(experiment):
    """The truth, with the error that the best detector would make."""
    truth = experiment.truth
    bound = localisation_bound_px(
        truth["photons"].to_numpy(),
        SMALL.spot_sigma_px,
        SMALL.background_photons,
        SMALL.read_noise_photons,
    )
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "frame": truth["frame"].astype("int64"),
            "x": truth["x"] + rng.normal(0, bound),
            "y": truth["y"] + rng.normal(0, bound),
            "x_error": bound,
            "y_error": bound,
            "probability": 0.9,
            "intensity": 100.0,
        }
    ).reset_index(drop=True)


@pytest.fixture
def demonstrate(tmp_path, monkeypatch, experiment):
    """Run the demonstration with given detections; no network is trained or asked."""
    detector = ParticleDetector()
    validation = SimpleNamespace(numbers=lambda: {"f1": 1.0})
    training = SimpleNamespace(fit=lambda config: (detector, validation))
    monkeypatch.setitem(sys.modules, "cloudtrainer.training", training)
    monkeypatch.setattr(demo, "EXPERIMENT", SMALL)
    monkeypatch.setattr(demo, "simulate_experiment", lambda settings: experiment)
    monkeypatch.setattr(demo, "_keep_model", lambda *_: None)
    monkeypatch.setattr("cloudtrainer.analysis.run.load_model", lambda model: model)
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])

    def run(table):
        monkeypatch.setattr(
            "cloudtrainer.analysis.tracks.extract_particles_from_predictions",
            lambda *_, **__: table.copy(),
        )
        return demo.run_demo(tmp_path / "demo")

    return run


def outcome(result):
    return {comparison.name: comparison.passed for comparison in result.comparisons}


def test_a_detector_at_the_bound_passes_everything(demonstrate, found):
    result = demonstrate(found)
    assert outcome(result) == dict.fromkeys(NAMES, True), str(result)
    assert result.passed
    assert "FAIL" not in str(result)
    assert str(result.results / "report.html") in str(result)


def test_the_summary_adds_truth_detection_and_seconds(demonstrate, found):
    result = demonstrate(found)
    summary = json.loads((result.results / "summary.json").read_text(encoding="utf-8"))
    assert set(summary) == {
        "measured", "mobility", "calibration", "warnings", "checks", "config", "model", "version",
        "video", "truth", "detection", "seconds",
    }  # fmt: skip
    assert summary["truth"] == {"D_um2_per_s": 0.5, "alpha": 1.0}
    assert set(summary["detection"]) == {"f1", "rmse_px", "bound_px"}
    assert set(summary["seconds"]) == {"simulate", "train", "analyze"}
    assert summary["measured"]["D_um2_per_s"]["value"] == pytest.approx(0.5, rel=0.2)
    assert summary["calibration"] == {
        "pixel_size_um": pytest.approx(0.1),
        "frame_interval_s": pytest.approx(1 / 30),
        "exposure_s": pytest.approx(0.01),
        "source": "OME",
    }
    assert (result.results / "report.html").is_file()
    assert not list(result.results.glob("*.part"))


def test_missed_particles_fail_the_f1(demonstrate, found):
    rng = np.random.default_rng(1)
    result = demonstrate(found[rng.uniform(size=len(found)) > 0.1].reset_index(drop=True))
    assert not outcome(result)["F1 of the detections"]
    assert outcome(result)["localisation error"]
    assert not result.passed


def test_blurred_positions_fail_the_localisation_error(demonstrate, found):
    rng = np.random.default_rng(1)
    blurred = found.assign(**{axis: found[axis] + rng.normal(0, 0.4, len(found)) for axis in "xy"})
    result = demonstrate(blurred)
    assert not outcome(result)["localisation error"]
    assert outcome(result)["F1 of the detections"]


def test_a_wrong_scale_fails_D(demonstrate, found, monkeypatch):
    # The truth is another one than that of the video.
    other = SMALL.model_copy(update={"D_um2_per_s": 0.8})
    monkeypatch.setattr(demo, "EXPERIMENT", other)
    result = demonstrate(found)
    assert not outcome(result)["D"]
    assert outcome(result)["alpha"]
    assert not result.passed


def test_nothing_found_is_a_failure_and_no_crash(demonstrate, found):
    result = demonstrate(found.iloc[:0])
    assert not any(outcome(result).values())

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (result.results / "summary.json").read_text(encoding="utf-8")
    summary = json.loads(text, parse_constant=refuse)
    assert summary["measured"]["D_um2_per_s"] is None


def test_a_second_demonstration_replaces_the_first(demonstrate, found, tmp_path):
    demonstrate(found)
    kept = tmp_path / "demo" / "results" / "notes.txt"
    kept.write_text("mine")
    assert demonstrate(found).passed
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_command_exits_with_failure_when_one_comparison_fails(
    tmp_path, monkeypatch, capsys, passed, code
):
    comparisons = (
        demo.Comparison("D", "0.5", "0.5", True),
        demo.Comparison("alpha", "2", "1", passed),
    )
    result = demo.Demonstration(comparisons, tmp_path, {"train": 1.0})
    monkeypatch.setattr(demo, "run_demo", lambda out, progress: result)
    monkeypatch.setattr("sys.argv", ["cloudtrainer", "demo", "-o", str(tmp_path)])
    with pytest.raises(SystemExit, match="1") if code else nullcontext():
        cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok ")
    assert lines[1].startswith("ok " if passed else "FAIL")


def test_a_place_that_is_a_file_is_refused(tmp_path, monkeypatch, capsys):
    training = SimpleNamespace(fit=lambda config: pytest.fail("nothing may be trained"))
    monkeypatch.setitem(sys.modules, "cloudtrainer.training", training)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["cloudtrainer", "demo", "-o", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_experiment_is_the_one_that_was_promised():
    asked = demo.EXPERIMENT
    assert (asked.frames, asked.height_px, asked.width_px, asked.particles) == (200, 256, 256, 40)
    assert (asked.D_um2_per_s, asked.pixel_size_um) == (0.5, 0.1)
    assert asked.frame_interval_s == pytest.approx(1 / 30)
    assert (asked.peak_snr.low, asked.peak_snr.high) == (3, 10)
    # Trained on other scenes: no seed is shared.
    assert Config.from_dict(demo.TRAINING).training.seed != asked.seed

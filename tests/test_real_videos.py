"""Real videos, with the bundled model and nothing tuned by hand."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import load_model
from cloudtrainer.analysis import analyze
from cloudtrainer.config import Config
from cloudtrainer.diffusion import BOLTZMANN, stokes_einstein
from cloudtrainer.evaluation import score_detections
from cloudtrainer.inference import extract_particles_from_predictions
from cloudtrainer.video import Video

BEADS = {"pixel_size_um": 0.175, "frame_interval_s": 0.5}
BEADS_D = 0.476
WIDER = 1.3


@pytest.fixture(scope="module")
def bulk_water(shared_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("bulk_water") / "out"
    return analyze(shared_data / "bulk_water" / "bulk_water.tif", out)


@pytest.mark.slow
def test_bulk_water_shows_as_many_dark_spheres_as_there_are(bulk_water):
    # 300 to 400 are in focus; of those blurred by a third the bundled model is sure as well.
    counts = bulk_water.tracks.groupby("frame").size()
    assert len(counts) == 150
    assert 300 <= counts.mean() <= 600
    assert bulk_water.summary["measured"]["particles_per_frame"] == pytest.approx(counts.mean())
    # Every frame is like the others: none is lost and none is full of noise.
    assert counts.between(0.7 * counts.mean(), 1.3 * counts.mean()).all()


@pytest.mark.slow
def test_bulk_water_gives_the_diffusion_of_its_spheres_and_says_what_is_wrong(bulk_water):
    assert bulk_water.summary["calibration"]["source"] == "ImageJ"
    assert bulk_water.diffusion.unit == "um^2/s"
    assert 0.32 <= bulk_water.diffusion.value <= 0.48
    assert bulk_water.diffusion.stride >= 5
    warnings = " ".join(bulk_water.summary["warnings"])
    assert "correlated" in warnings
    assert "every 12th frame" in warnings
    failed = {check["name"] for check in bulk_water.summary["checks"] if check["passed"] is False}
    assert failed >= {"displacement correlations", "variance by frame phase"}


@pytest.mark.slow
@pytest.mark.parametrize("run", ["run_1", "run_2"])
def test_beads_give_the_diffusion_that_their_size_predicts(shared_data, tmp_path, run):
    found = analyze(shared_data / "beads" / run, tmp_path / "out", **BEADS)
    assert found.diffusion.value == pytest.approx(BEADS_D, rel=0.15)
    constant = stokes_einstein(
        found.diffusion, 297, radius_um=0.5, radius_error_um=0.05, viscosity_Pa_s=9.135e-4
    )
    assert constant.low < BOLTZMANN < constant.high
    wider = Config.from_dict(
        {"analysis": {"search_range_px": WIDER * found.summary["measured"]["search_range_px"]}}
    )
    again = analyze(shared_data / "beads" / run, tmp_path / "wider", config=wider, **BEADS)
    assert again.diffusion.value == pytest.approx(found.diffusion.value, rel=0.03)


def test_bright_beads_are_found_where_they_are(shared_data):
    frames = 3
    labels = pd.read_csv(shared_data / "beads" / "run_1_bright_beads.csv")
    truth = labels[labels["frame"] < frames].rename(columns={"x_px": "x", "y_px": "y"})
    assert len(truth) > 20
    video = Video(shared_data / "beads" / "run_1").crop(frames=(0, frames))
    found = extract_particles_from_predictions(load_model(None), video)
    score = score_detections(found, truth, gate_px=3.0)
    # The labels are of the bright beads in focus only: others that are found are no mistake.
    assert score.recall >= 0.9
    assert abs(np.asarray(score.bias_px)).max() < 0.3


def test_simulated_videos_with_a_measured_spread_function_are_read_almost_whole(shared_data):
    truth = pd.read_csv(shared_data / "sptnet" / "ground_truth.csv")
    model, found = load_model(None), []
    for number in sorted(truth["video"].unique()):
        video = Video(shared_data / "sptnet" / f"video_{number:02}.tif")
        table = extract_particles_from_predictions(model, video)
        # One table for all: frames numbered through, a thousand a video.
        found.append(table.assign(frame=table["frame"] + 1000 * number))
    assert len(found) == 5
    truth = truth.assign(frame=truth["frame"] + 1000 * truth["video"])
    score = score_detections(pd.concat(found, ignore_index=True), truth, gate_px=2.0)
    assert score.f1 >= 0.9, score

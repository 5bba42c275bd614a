"""The usage example of version 3.0, with its names, arguments and defaults."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import cloudtrainer as ct
from cloudtrainer.config import ExperimentSettings
from cloudtrainer.simulation import simulate_experiment, write_experiment

mpl.use("Agg")


@pytest.fixture(scope="module")
def video_path(tmp_path_factory):
    settings = ExperimentSettings(
        frames=40, height_px=128, width_px=128, particles=20, D_um2_per_s=0.2, peak_snr=[15, 20]
    )
    path = tmp_path_factory.mktemp("video") / "beads.ome.tif"
    write_experiment(simulate_experiment(settings), path)
    return path


def run_example(model, video_path):
    detections = ct.extract_particles_from_predictions(model, video_path, threshold=0.5, min_area=3)
    tracks = ct.track_particles(detections, search_range=10, memory=3)
    emsd = ct.calculate_msd(tracks, fps=30, pixel_size=0.1)
    fit = ct.fit_diffusion_models(emsd)
    figures = (
        ct.visualize_tracking_results(video_path, tracks, frame_idx=0),
        ct.visualize_msd_analysis(emsd, fit),
    )
    return detections, tracks, emsd, fit, figures


@pytest.mark.parametrize("kind", ["v3_checkpoint", "bundled"])
def test_the_example_of_version_3_runs(kind, request, video_path, v3_config):
    if kind == "bundled":
        model = ct.load_model()
    else:
        checkpoint = request.getfixturevalue(kind)
        model = ct.ParticleDetector.load_from_checkpoint(str(checkpoint), config=v3_config)
    detections, tracks, emsd, fit, figures = run_example(model, str(video_path))

    assert {"frame", "x", "y", "intensity"} <= set(detections.columns)
    if kind != "bundled":
        assert "area" in detections.columns
    assert "particle" in tracks.columns
    assert tracks.groupby("particle").size().min() >= 5
    assert isinstance(emsd, pd.Series)
    np.testing.assert_allclose(emsd.index[:3], [1 / 30, 2 / 30, 3 / 30])
    assert emsd.iloc[0] > 0
    keys = {"D", "offset", "alpha", "motion_type", "t_fit", "msd_fit", "linear_params"}
    assert fit.keys() >= keys | {"power_params"}
    assert len(fit["t_fit"]) == len(fit["msd_fit"])
    assert fit["motion_type"] in {
        "Normal Brownian diffusion",
        "Sub-diffusive (confined/hindered)",
        "Super-diffusive (active transport)",
        "Undetermined",
    }
    assert all(figure.axes for figure in figures)
    if kind == "bundled":
        assert fit["D"] == pytest.approx(0.2, rel=0.25)

"""A small workspace and settings that train in a second or two; helper modules made importable."""

import sys
from pathlib import Path

import pytest

from cloudtrainer.config import Config, ExperimentSettings
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parent))

TINY = {
    "model": {"grid_channels": [8, 12], "unet_channels": [4, 8]},
    "training": {
        "epochs": 2,
        "steps_per_epoch": 3,
        "batch_size": 4,
        "crop_px": 32,
        "learning_rate": 1e-3,
        "validation_split": 0.25,
        "early_stopping": False,
        "start": "scratch",
    },
}


def settings(**training):
    model = {**TINY["model"], "architecture": training.pop("architecture", "grid")}
    return Config.from_dict({"model": model, "training": {**TINY["training"], **training}})


@pytest.fixture(scope="session")
def tiny():
    """Return a function: tiny settings, with changes to the section ``training``."""
    return settings


@pytest.fixture(scope="session")
def experiment():
    return simulate_experiment(
        ExperimentSettings(frames=8, height_px=48, width_px=64, particles=8, seed=3)
    )


@pytest.fixture
def workspace(experiment, tmp_path):
    """Return a workspace with one labelled video and one without labels."""
    place = Workspace.create(tmp_path / "DeepTrack_Studio")
    truth = write_experiment(experiment, place.videos / "beads.ome.tif")
    truth.rename(place.annotations / truth.name)
    write_experiment(experiment, place.videos / "other.ome.tif")
    (place.videos / "other_particles.csv").unlink()
    return place


@pytest.fixture(autouse=True)
def few_validation_scenes(monkeypatch):
    """Score on two small batches in place of eight large ones."""
    from cloudtrainer.training import validation_sets

    monkeypatch.setattr(validation_sets, "_SIMULATED_BATCHES", 2)
    monkeypatch.setattr(validation_sets, "_SIMULATED_IMAGES", 2)
    monkeypatch.setattr(validation_sets, "_SIMULATED_SIDE_PX", 48)


@pytest.fixture(autouse=True)
def quick_export(monkeypatch):
    """Leave out the tracing of the portable model, which takes seconds and has its own tests."""
    from cloudtrainer.detector import export

    monkeypatch.setattr(export, "_portable", lambda detector: {"model.onnx": b"portable"})

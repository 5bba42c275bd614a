"""Small detectors, frames that they find something in, and exports made once."""

import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from cloudtrainer.detector import ParticleDetector, export_model, module

SMALL = {"name": "small", "grid_channels": [8, 12], "unet_channels": [4, 8]}
HISTORY = {
    "train_loss": [3.0, 1.5, 0.8],
    "val_loss": [3.1, 1.7, 1.1],
    "val_f1": [0.2, 0.7, 0.91],
    "val_rmse_px": [float("nan"), 0.6, 0.3],
}
VIDEOS = [
    {"name": "a.tif", "sha256": "ab" * 32, "md5": "cd" * 16, "labelled_frames": 12},
    {"name": "b.tif", "sha256": "ef" * 32, "md5": "01" * 16, "labelled_frames": 30},
]


def make_detector(architecture, threshold=0.3, error_scale=1.7):
    """Return a small detector of which no weight or running statistic is trivial."""
    detector = ParticleDetector(
        {"model": {**SMALL, "architecture": architecture}},
        threshold=threshold,
        error_scale=error_scale,
    ).eval()
    generator = torch.Generator().manual_seed(3)
    for name, tensor in detector.model.state_dict().items():
        if tensor.dtype.is_floating_point:
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim == 4:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(0.3 * noise + name.endswith("weight"))
    if architecture == "unet":
        # A fifth of these frames is above the threshold.
        seen = detector.normalise(torch.as_tensor(spots(), dtype=torch.float32))
        with torch.no_grad():
            logits = detector.answer(seen[:, None])
            limit = float(np.log(threshold / (1 - threshold)))
            detector.model.final_conv.bias += limit - logits.quantile(0.8)
    return detector


def spots():
    rng = np.random.default_rng(0)
    row, column = np.indices((48, 63))
    frame = rng.normal(100, 5, (2, 48, 63))
    for x, y in rng.uniform(8, 40, (6, 2)):
        frame += 60 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 4.5)
    return frame


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Compute in 32 bit on every processor, so that two ways to one answer can be compared."""
    monkeypatch.setattr(module, "fastest_on", lambda device: nullcontext())


@pytest.fixture
def frames():
    """Two frames of 48 x 63 with a few spots."""
    return spots()


@pytest.fixture
def detector_of():
    return make_detector


@pytest.fixture(scope="session")
def exports_made(tmp_path_factory):
    models = tmp_path_factory.mktemp("workspace") / "DeepTrack_Studio" / "models"
    scores = {"val_loss": 1.1, "val_f1": 0.91234, "val_rmse_px": float("nan")}
    by_video = {
        "a.tif": {"val_f1": 0.95, "val_rmse_px": 0.21},
        "b.tif": {"val_f1": 0.85, "val_rmse_px": float("inf")},
    }
    made = {"grid": models / "v_20260102_030405", "unet": models / "v_20260102_030406"}
    for architecture, folder in made.items():
        export_model(
            make_detector(architecture),
            folder,
            scores=scores,
            origin={"num_videos": 2, "simulated_share": 0.25, "note": float("nan")},
            history=HISTORY,
            scores_by_video=by_video,
            videos=VIDEOS,
            parent="v_20250101_000000",
        )
    return made


@pytest.fixture
def export_of(exports_made, tmp_path):
    """Return a function that gives a copy of an export, alone in a workspace."""

    def copy(architecture="grid"):
        folder = exports_made[architecture]
        return shutil.copytree(folder, tmp_path / "DeepTrack_Studio" / "models" / folder.name)

    return copy


@pytest.fixture
def export(export_of):
    return export_of("grid")

"""Models of versions 2.0 and 3.0 are trained on, and exported for the readers of those versions."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

import cloudtrainer as ct
from cloudtrainer.config import Config
from cloudtrainer.detector.networks import UNet
from cloudtrainer.training import train
from cloudtrainer.workspace import Workspace

KINDS = ["v2_checkpoint", "v3_checkpoint", "v2_export", "v3_export"]
SHORT = {
    "training": {
        "epochs": 2,
        "steps_per_epoch": 2,
        "batch_size": 4,
        "crop_px": 32,
        "learning_rate": 1e-6,
        "simulated_share": 0.0,
        "early_stopping": False,
    }
}


@pytest.fixture
def workspace(tmp_path):
    """Return a workspace as version 3.0 left it: dark ground, bright squares, a tracker, caches."""
    place = Workspace.create(tmp_path / "DeepTrack_Studio")
    rng = np.random.default_rng(0)
    frames = rng.poisson(10, (6, 48, 56)).astype(np.uint16)
    labels = []
    for frame in range(6):
        for _ in range(4):
            x, y = rng.integers(6, 50), rng.integers(6, 42)
            frames[frame, y - 2 : y + 3, x - 2 : x + 3] += 180
            labels.append((frame, x, y, "by hand"))
    frames[2, 0, 0] = 400
    tifffile.imwrite(place.videos / "cells.tif", frames, photometric="minisblack")
    table = pd.DataFrame(labels, columns=["frame", "x", "y", "remark"])
    table.to_csv(place.annotations / "cells_particles.csv", index=False)
    np.save(place.cache / "cells_processed.npy", (frames / 400).astype(np.float32))
    place.ledger.write_text(
        json.dumps(
            {
                "gone.tif": {
                    "hash": "0" * 32,
                    "trained_date": "2025-01-01T10:00:00",
                    "model_version": "v_20250101_100000",
                }
            }
        ),
        encoding="utf-8",
    )
    place.lightning_logs.mkdir(parents=True)
    torch.save({"state_dict": {}}, place.lightning_logs / "last.ckpt")
    return place


@pytest.fixture(autouse=True)
def quick_export(monkeypatch):
    from cloudtrainer.detector import export

    monkeypatch.setattr(export, "_portable", lambda detector: {"model.onnx": b"portable"})


@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_model_is_trained_on_and_exported(kind, workspace, request):
    path = request.getfixturevalue(kind)
    before = ct.load_model(path)
    result = train(workspace, Config.from_dict(SHORT), start=path)
    after = ct.load_model(result.model_dir)
    assert after.config.model.unet_channels == [16, 32, 64]
    # It sees frames as it always did, and is read as it always was.
    assert after.normalisation == "video_maximum"
    assert result.old_scores is not None
    weights, earlier = after.model.state_dict(), before.model.state_dict()
    assert weights.keys() == earlier.keys()
    moved = [float((weights[k].float() - earlier[k].float()).abs().max()) for k in weights]
    assert 0 < max(moved)
    assert all(
        (weights[k] - earlier[k]).abs().max() < 1e-3 for k in weights if k.endswith(".weight")
    )
    # The files of version 3.0, with its keys; opened with no code of ours.
    state = torch.load(result.model_dir / "weights.pth", weights_only=True)
    UNet([16, 32, 64]).load_state_dict(state)
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["architecture"]["type"] == "unet"
    assert metadata["architecture"]["unet_channels"] == [16, 32, 64]
    assert metadata["architecture"]["out_channels"] == 1
    assert {"val_loss", "val_f1", "val_dice", "val_iou"} <= metadata["performance"].keys()
    assert {"deeptrack_version", "torch_version", "lightning_version"} <= metadata[
        "compatibility"
    ].keys()
    config = json.loads((result.model_dir / "config.json").read_text(encoding="utf-8"))
    assert config["model"]["unet_channels"] == [16, 32, 64]
    assert config["data"]["particle_radius"] == 3
    assert (result.model_dir / "MODEL_CARD.md").is_file()
    assert (result.model_dir / "training_progress.png").read_bytes().startswith(b"\x89PNG")
    # What was there before is there still.
    assert (workspace.cache / "cells_processed.npy").is_file()
    ledger = json.loads(workspace.ledger.read_text(encoding="utf-8"))
    assert ledger["gone.tif"]["model_version"] == "v_20250101_100000"
    assert ledger["cells.tif"]["model_version"] == result.model_dir.name
    aside = torch.load(workspace.lightning_logs / "last_of_another_version.ckpt", weights_only=True)
    assert aside == {"state_dict": {}}


def test_the_history_of_version_2_goes_on(v2_checkpoint, workspace):
    result = train(workspace, Config.from_dict(SHORT), start=v2_checkpoint)
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["history"]["val_loss"][:2] == [0.5, 0.4]
    assert len(metadata["history"]["val_loss"]) == 4


def test_the_optimizer_of_version_2_goes_on(spot_unet, workspace, tmp_path, monkeypatch):
    from cloudtrainer.training import module as trained

    network = UNet([16, 32, 64])
    network.load_state_dict(spot_unet)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    network(torch.rand(1, 1, 32, 32)).mean().backward()
    adam.step()
    path = tmp_path / "checkpoint_epoch4.pth"
    torch.save(
        {
            "epoch": 4,
            "model_state_dict": network.state_dict(),
            "optimizer_state_dict": adam.state_dict(),
            "history": {"train_loss": [0.3], "val_loss": [0.4]},
            "config": {"model": {"architecture": "unet", "unet_channels": [16, 32, 64]}},
        },
        path,
    )
    taken = []
    take = trained._continue_optimizer

    def spy(optimizer, state):
        take(optimizer, state)
        taken.append(len(optimizer.state))

    monkeypatch.setattr(trained, "_continue_optimizer", spy)
    train(workspace, Config.from_dict(SHORT), start=path)
    assert taken == [len(list(network.parameters()))]


def test_a_workspace_of_version_3_trains_as_it_is(workspace, v3_export, monkeypatch):
    v3_export.rename(workspace.models / v3_export.name)
    told = []
    config = Config.version_3().with_values(
        ["training.epochs=1", "training.steps_per_epoch=2", "training.crop_px=32"]
    )
    result = train(workspace, config, say=told.append)
    assert any(v3_export.name in line for line in told if line.startswith("Beginning"))
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["parent"] == v3_export.name
    # The default network is another one: it begins with the bundled model, and says so.
    told.clear()
    default = Config().with_values(
        ["training.epochs=1", "training.steps_per_epoch=2", "training.batch_size=2"]
    )
    workspace.set_current(v3_export.name)
    train(workspace, default, say=told.append)
    assert any("is not continued" in line and "--from" in line for line in told)
    assert "Beginning with the bundled model." in told

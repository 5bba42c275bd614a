"""Writes models as versions 2.0 and 3.0 did, from the description of their files."""

import json

import pytest
import torch

from cloudtrainer.detector import ParticleDetector

TRAINING_2 = {
    "epochs": 30,
    "batch_size": 8,
    "learning_rate": 1e-4,
    "validation_split": 0.2,
    "incremental": True,
}
TRAINING_3 = {
    **TRAINING_2,
    "mixed_precision": True,
    "early_stopping": True,
    "gradient_clip": 1.0,
}


def config_of(training):
    return {
        "model": {
            "name": "particle_detector_v3",
            "architecture": "unet",
            "unet_channels": [16, 32, 64],
        },
        "training": dict(training),
        "augmentation": {
            "enabled": True,
            "flip_lr": True,
            "flip_ud": True,
            "rotate": True,
            "brightness": True,
        },
        "data": {"particle_radius": 3},
    }


def metadata_of(config, version, performance, compatibility, **architecture):
    return {
        "model_name": "particle_detector_v3",
        "version": version,
        "created_at": "2025-11-02T10:20:30",
        "architecture": {
            "type": "unet",
            "unet_channels": [16, 32, 64],
            "out_channels": 1,
            **architecture,
        },
        "training": config["training"],
        "performance": performance,
        "data_info": {"num_videos": 3, "augmentation": True},
        "compatibility": {"deeptrack_version": "2.0.1", "torch_version": "2.4.0", **compatibility},
    }


@pytest.fixture(scope="session")
def spot_unet():
    """Return a U-Net of the earlier layout whose mask is a threshold at half the maximum.

    Its first channel carries the frame through the first level's skip; all else is 0.
    """
    network = ParticleDetector(config_of(TRAINING_3)).model
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point:
            tensor.fill_(1.0 if name.endswith("running_var") else 0.0)
    state = network.state_dict()
    for block in ("encoder.0", "decoder.5"):
        for conv in (0, 3):
            state[f"{block}.{conv}.weight"][0, 0, 1, 1] = 1.0
            state[f"{block}.{conv + 1}.weight"][0] = 1.0
    state["final_conv.weight"][0, 0] = 40.0
    state["final_conv.bias"].fill_(-20.0)
    return {name: tensor.clone() for name, tensor in state.items()}


@pytest.fixture
def v2_checkpoint(spot_unet, tmp_path):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))], lr=1e-4)
    history = {name: [0.5, 0.4] for name in ("train_loss", "val_loss", "train_iou", "val_iou")}
    path = tmp_path / "best_model.pth"
    torch.save(
        {
            "epoch": 12,
            "model_state_dict": spot_unet,
            "optimizer_state_dict": optimizer.state_dict(),
            "history": history,
            "config": config_of(TRAINING_2),
        },
        path,
    )
    return path


@pytest.fixture
def v3_checkpoint(spot_unet, tmp_path):
    path = tmp_path / "particle_detector_v3-epoch=07-val_loss=0.0312.ckpt"
    metrics = {"val_f1.tp": torch.tensor(3), "val_dice.score_state": torch.tensor(0.5)}
    torch.save(
        {
            "epoch": 7,
            "global_step": 160,
            "pytorch-lightning_version": "2.4.0",
            "state_dict": {f"model.{name}": tensor for name, tensor in spot_unet.items()} | metrics,
            "loops": {},
            "callbacks": {},
            "optimizer_states": [],
            "lr_schedulers": [],
            "hparams_name": "kwargs",
            "hyper_parameters": {"config": config_of(TRAINING_3)},
        },
        path,
    )
    return path


def write_export(folder, state, config, metadata, card):
    folder.mkdir()
    torch.save(state, folder / "weights.pth")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / card).write_text("# Model card\n", encoding="utf-8")
    (folder / "training_progress.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def v2_export(spot_unet, tmp_path):
    config = config_of(TRAINING_2)
    scores = {"final_train_loss": 0.02, "best_val_loss": 0.03, "best_val_iou": 0.8}
    metadata = metadata_of(
        config, "v_20250102_030405", scores, {"python_version": "3.10"}, input_shape=[1, 512, 512]
    )
    return write_export(
        tmp_path / "v_20250102_030405", spot_unet, config, metadata, "model_card.md"
    )


@pytest.fixture
def v3_export(spot_unet, tmp_path):
    config = config_of(TRAINING_3)
    scores = {"val_loss": 0.03, "val_f1": 0.9, "val_dice": 0.9, "val_iou": 0.8}
    metadata = metadata_of(config, "v_20251102_102030", scores, {"lightning_version": "2.4.0"})
    return write_export(
        tmp_path / "v_20251102_102030", spot_unet, config, metadata, "MODEL_CARD.md"
    )


@pytest.fixture
def v3_config():
    return config_of(TRAINING_3)

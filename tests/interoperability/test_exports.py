"""What other programs make of an export: versions 2.0 and 3.0, safetensors, ONNX Runtime."""

import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import safetensors.torch
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

import cloudtrainer as ct
from cloudtrainer.detector import export_model
from cloudtrainer.detector.model_files import read_model

SCORES = {"val_loss": 0.03, "val_f1": 0.9, "val_dice": 0.88, "val_iou": 0.8}


def double(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class EarlierUNet(nn.Module):
    """The network of versions 2.0 and 3.0, written from the description of their files."""

    def __init__(self, channels):
        super().__init__()
        self.encoder = nn.ModuleList(
            double(above, below) for above, below in zip([1, *channels], channels, strict=False)
        )
        self.bottleneck = double(channels[-1], 2 * channels[-1])
        self.decoder = nn.ModuleList()
        for width in reversed(channels):
            self.decoder.append(nn.ConvTranspose2d(2 * width, width, 2, stride=2))
            self.decoder.append(double(2 * width, width))
        self.final_conv = nn.Conv2d(channels[0], 1, 1)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, block in zip(self.decoder[::2], self.decoder[1::2], strict=True):
            x, skip = up(x), skips.pop()
            if x.shape[2:] != skip.shape[2:]:
                x = functional.interpolate(x, size=skip.shape[2:], mode="nearest")
            x = block(torch.cat([skip, x], dim=1))
        return self.final_conv(x)


def earlier_detections(network, video):
    """Detect as version 3.0 did: over the maximum, threshold 0.5, small ones out, opened."""
    disc = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    rows = []
    for number, frame in enumerate(video.astype(np.float32) / video.max()):
        with torch.no_grad():
            mask = torch.sigmoid(network(torch.from_numpy(frame)[None, None]))[0, 0].numpy() > 0.5
        labels, _ = ndimage.label(mask)
        mask &= np.bincount(labels.ravel())[labels] >= 3
        labels, count = ndimage.label(ndimage.binary_opening(mask, disc))
        centres = ndimage.center_of_mass(labels > 0, labels, range(1, count + 1))
        rows += [(number, x, y) for y, x in centres]
    return pd.DataFrame(rows, columns=["frame", "x", "y"])


def squares():
    video = np.full((3, 63, 50), 10, np.uint8)
    video[0, 8:13, 20:25] = 150
    video[1, 18:23, 33:38] = 200
    video[2, 30:37, 9:14] = 130
    return video


@pytest.fixture
def exported(v3_checkpoint, tmp_path):
    folder = tmp_path / "DeepTrack_Studio" / "models" / "v_20260102_030405"
    detector = ct.load_model(v3_checkpoint)
    history = {name: [0.5, 0.4] for name in ("train_loss", "val_loss", "train_iou", "val_iou")}
    videos = [{"name": "a.tif", "md5": "0" * 32}] * 3
    export_model(
        detector, folder, scores=SCORES, origin={"num_videos": 3}, history=history, videos=videos
    )
    return folder


def earlier_reader(folder):
    """Open an export as versions 2.0 and 3.0 did: settings, a network of theirs, its weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = EarlierUNet(config["model"]["unet_channels"])
    network.load_state_dict(torch.load(folder / "weights.pth", map_location="cpu"), strict=True)
    return network.eval()


def test_the_earlier_network_takes_the_weights_and_finds_the_same(exported):
    wanted = earlier_detections(earlier_reader(exported), squares())
    assert len(wanted) == 3
    for source in (exported, exported / "weights.safetensors", exported / "model.onnx"):
        detector = ct.load_model(source)
        assert (detector.normalisation, detector.threshold) == ("video_maximum", 0.5)
        found = ct.extract_particles_from_predictions(detector, squares())
        np.testing.assert_allclose(found[["frame", "x", "y"]], wanted, atol=1e-5)


def test_safetensors_fit_the_earlier_network(exported):
    weights = safetensors.torch.load_file(exported / "weights.safetensors")
    EarlierUNet([16, 32, 64]).load_state_dict(weights, strict=True)


@pytest.mark.parametrize("size", [(64, 64), (63, 65), (50, 38), (9, 61)])
def test_onnx_runtime_answers_as_the_earlier_network(tmp_path, v3_config, size):
    torch.manual_seed(4)
    network = EarlierUNet([16, 32, 64]).train()
    # A few passes give the running statistics values of their own.
    for _ in range(3):
        network(torch.rand(4, 1, 64, 64))
    torch.save(
        {
            "state_dict": {f"model.{name}": value for name, value in network.state_dict().items()},
            "hyper_parameters": {"config": v3_config},
        },
        tmp_path / "last.ckpt",
    )
    folder = tmp_path / "v_1"
    export_model(ct.load_model(tmp_path / "last.ckpt"), folder, scores={}, origin={})
    frames = torch.rand(2, 1, *size)
    with torch.no_grad():
        wanted = network.eval()(frames).numpy()
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (answer,) = session.run(None, {"frames": frames.numpy()})
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(answer, wanted, atol=1e-5)


def test_metadata_hold_every_key_of_versions_2_and_3(exported, v2_export, v3_export):
    ours = json.loads((exported / "metadata.json").read_text(encoding="utf-8"))
    for export in (v2_export, v3_export):
        theirs = json.loads((export / "metadata.json").read_text(encoding="utf-8"))
        assert ours.keys() >= theirs.keys()
        for section in ("architecture", "training", "data_info", "compatibility"):
            assert ours[section].keys() >= theirs[section].keys()
        assert ours["architecture"]["type"] == theirs["architecture"]["type"]
        assert ours["architecture"]["unet_channels"] == theirs["architecture"]["unet_channels"]
        assert ours["architecture"]["out_channels"] == theirs["architecture"]["out_channels"]
    assert ours["architecture"]["input_shape"] == [1, 512, 512]
    assert ours["performance"] == SCORES
    assert ours["data_info"]["num_videos"] == 3
    names = {path.name for path in exported.iterdir()}
    assert names >= {path.name for path in v3_export.iterdir()}


def test_settings_hold_every_key_of_version_3(exported, v3_config):
    ours = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    for section, values in v3_config.items():
        assert {name: ours[section][name] for name in values} == values


def test_what_version_2_needs_to_go_on_is_read(v2_checkpoint):
    stored = read_model(v2_checkpoint)
    assert stored.epoch == 12
    assert stored.history.keys() == {"train_loss", "val_loss", "train_iou", "val_iou"}
    assert stored.history["val_iou"] == [0.5, 0.4]
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(3))], lr=1.0)
    optimizer.load_state_dict(stored.optimizer)
    assert optimizer.param_groups[0]["lr"] == 1e-4


def test_what_version_3_left_unsaid_is_empty(v3_checkpoint, v3_export):
    stored = read_model(v3_checkpoint)
    assert (stored.epoch, stored.optimizer, stored.history) == (7, None, {})
    stored = read_model(v3_export)
    assert (stored.epoch, stored.optimizer, stored.history) == (None, None, {})

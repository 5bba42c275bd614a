"""What an export holds, read by other tools; and that it is whole or not there."""

import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

import cloudtrainer
from cloudtrainer.detector import export_model, load_model, onnx_export
from cloudtrainer.errors import ModelError

FILES = {
    "weights.pth",
    "weights.safetensors",
    "model.onnx",
    "metadata.json",
    "config.json",
    "MODEL_CARD.md",
    "training_progress.png",
}


def strict_json(path):
    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def without_onnx(monkeypatch):
    """Leave out the slow part where a test is about something else."""
    monkeypatch.setattr(onnx_export, "onnx_bytes", lambda _detector: b"onnx")


def test_an_export_holds_every_file_and_nothing_else(export):
    assert {path.name for path in export.iterdir()} == FILES
    assert [path.name for path in export.parent.iterdir()] == [export.name]


def test_metadata_holds_the_keys_that_earlier_readers_look_for(export):
    metadata = strict_json(export / "metadata.json")
    assert metadata["model_name"] == "small"
    assert metadata["version"] == export.name
    assert metadata["created_at"].startswith("20")
    assert metadata["architecture"] == {
        "type": "grid",
        "unet_channels": [4, 8],
        "grid_channels": [8, 12],
        "context_frames": 0,
        "out_channels": 5,
    }
    assert metadata["training"].keys() >= {"epochs", "batch_size", "learning_rate"}
    # What could not be measured is left out.
    assert metadata["performance"] == {"val_loss": 1.1, "val_f1": 0.91234}
    assert metadata["data_info"] == {
        "num_videos": 2,
        "simulated_share": 0.25,
        "note": None,
        "augmentation": True,
    }
    assert metadata["compatibility"] == {
        "deeptrack_version": "not used",
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "lightning_version": version("lightning"),
        "cloudtrainer_version": cloudtrainer.__version__,
    }


def test_metadata_holds_what_this_version_adds(export):
    metadata = strict_json(export / "metadata.json")
    assert metadata["reading"] == {
        "normalisation": "noise",
        "threshold": 0.3,
        "error_scale": 1.7,
        "error_slope": 0.0,
    }
    assert metadata["parent"] == "v_20250101_000000"
    assert [video["name"] for video in metadata["videos"]] == ["a.tif", "b.tif"]
    assert metadata["videos"][0]["sha256"] == "ab" * 32
    assert metadata["scores_by_video"]["a.tif"] == {"val_f1": 0.95, "val_rmse_px": 0.21}
    assert metadata["scores_by_video"]["b.tif"] == {"val_f1": 0.85}
    assert metadata["history"]["val_f1"] == [0.2, 0.7, 0.91]
    # An epoch without a value keeps its place.
    assert metadata["history"]["val_rmse_px"] == [None, 0.6, 0.3]


def test_a_unet_states_what_version_2_stated(export_of):
    architecture = strict_json(export_of("unet") / "metadata.json")["architecture"]
    assert architecture["type"] == "unet"
    assert architecture["out_channels"] == 1
    assert architecture["input_shape"] == [1, 512, 512]


def test_numbers_of_numpy_and_odd_values_become_json(detector_of, tmp_path, without_onnx):
    origin = {"n": np.int64(3), "x": np.float32(0.5), "at": Path("a"), "pair": (1, np.nan)}
    videos = [{"name": "caf\udce9.tif", "snr": np.float64("inf")}]
    scores = {"val_f1": np.float32(0.5)}
    export_model(detector_of("grid"), tmp_path / "v_1", scores=scores, origin=origin, videos=videos)
    metadata = strict_json(tmp_path / "v_1" / "metadata.json")
    about = metadata["data_info"]
    assert (about["n"], about["x"], about["at"], about["pair"]) == (3, 0.5, "a", [1, None])
    assert metadata["videos"] == [{"name": "caf\udce9.tif", "snr": None}]
    assert metadata["performance"] == {"val_f1": 0.5}
    assert about["num_videos"] == 1


@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_both_files_of_weights_hold_the_same_tensors(export_of, detector_of, architecture):
    folder = export_of(architecture)
    wanted = detector_of(architecture).model.state_dict()
    pickled = torch.load(folder / "weights.pth", weights_only=True)
    safe = safetensors.torch.load_file(folder / "weights.safetensors")
    for found in (pickled, safe):
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with safetensors.safe_open(folder / "weights.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_an_export_loads_with_the_same_detections(export, detector_of, frames):
    again = load_model(export)
    assert not again.training
    assert (again.threshold, again.error_scale, again.normalisation) == (0.3, 1.7, "noise")
    assert again.config == detector_of("grid").config
    wanted = detector_of("grid").detect(frames)
    assert len(wanted) > 0
    pd.testing.assert_frame_equal(again.detect(frames), wanted)
    for name in ("weights.pth", "weights.safetensors"):
        pd.testing.assert_frame_equal(load_model(export / name).detect(frames), wanted)
    (export / "weights.pth").unlink()
    pd.testing.assert_frame_equal(load_model(export).detect(frames), wanted)


@pytest.mark.parametrize("history", [None, {}, {"val_loss": [0.3, 0.2]}])
def test_the_course_of_the_training_is_a_picture(detector_of, tmp_path, without_onnx, history):
    folder = tmp_path / "v_1"
    export_model(detector_of("grid"), folder, scores={}, origin={}, history=history)
    with Image.open(folder / "training_progress.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.width > 400
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 5


def test_exporting_leaves_the_detector_as_it_is(detector_of, tmp_path):
    detector = detector_of("unet").train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    export_model(detector, tmp_path / "v_1", scores={}, origin={})
    assert all(module.training for module in detector.modules())
    assert all(torch.equal(before[name], now) for name, now in detector.state_dict().items())


def test_an_export_is_never_overwritten(export, detector_of, without_onnx):
    before = (export / "weights.pth").read_bytes()
    with pytest.raises(ModelError, match="never overwritten"):
        export_model(detector_of("grid"), export, scores={}, origin={})
    assert (export / "weights.pth").read_bytes() == before
    assert [path.name for path in export.parent.iterdir()] == [export.name]


def test_what_a_killed_run_left_is_cleared_first(detector_of, tmp_path, without_onnx):
    left = tmp_path / "v_1.part"
    left.mkdir()
    (left / "of_before.txt").write_text("half", encoding="utf-8")
    export_model(detector_of("grid"), tmp_path / "v_1", scores={}, origin={})
    assert {path.name for path in (tmp_path / "v_1").iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["v_1"]


@pytest.mark.parametrize("written", range(len(FILES)))
def test_a_disk_that_is_full_leaves_nothing(
    detector_of, tmp_path, monkeypatch, without_onnx, written
):
    write, count = Path.write_bytes, [0]

    def fill_up(path, content):
        count[0] += 1
        if count[0] > written:
            write(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(ModelError, match="No space left on device") as caught:
        export_model(detector_of("grid"), tmp_path / "v_1", scores={}, origin={})
    assert str(tmp_path / "v_1") in one_line(caught)
    assert count[0] == written + 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of file sizes are Linux's")
def test_a_file_that_the_system_cuts_short_leaves_nothing(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from cloudtrainer.detector import ParticleDetector, export_model
from cloudtrainer.errors import ModelError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    export_model(ParticleDetector(), Path(sys.argv[1]) / "v_1", scores={}, origin={})
except ModelError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "v_1: the model cannot be written (File too large)" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_small_disk_that_really_fills_up_holds_nothing_afterwards(detector_of, small_disk):
    with pytest.raises(ModelError, match="No space left on device"):
        export_model(cloudtrainer.ParticleDetector(), small_disk / "v_1", scores={}, origin={})
    assert not list(small_disk.iterdir())
    export_model(detector_of("grid"), small_disk / "v_2", scores={}, origin={})
    assert load_model(small_disk / "v_2").config.model.name == "small"


def test_an_interrupted_export_leaves_nothing(detector_of, tmp_path, monkeypatch, without_onnx):
    def interrupt(_path, _target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_model(detector_of("grid"), tmp_path / "v_1", scores={}, origin={})
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_no_folder_is_said(detector_of, tmp_path, without_onnx):
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be written") as caught:
        export_model(detector_of("grid"), tmp_path / "models" / "v_1", scores={}, origin={})
    one_line(caught)


def test_a_model_that_runs_in_onnx_runtime_has_nothing_to_export(export, tmp_path):
    with pytest.raises(ModelError, match="has no weights to export") as caught:
        export_model(load_model(export / "model.onnx"), tmp_path / "v_1", scores={}, origin={})
    one_line(caught)
    assert not (tmp_path / "v_1").exists()


def test_a_network_that_cannot_be_converted_costs_only_the_onnx_file(
    detector_of, tmp_path, monkeypatch
):
    def fail(*_args, **_keywords):
        raise RuntimeError("no such operator\nand a long report")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.warns(UserWarning, match=r"has no model\.onnx: no such operator$"):
        export_model(detector_of("grid"), tmp_path / "v_1", scores={}, origin={})
    assert {path.name for path in (tmp_path / "v_1").iterdir()} == FILES - {"model.onnx"}
    assert load_model(tmp_path / "v_1").threshold == 0.3


def test_exporting_says_nothing_on_the_screen(tmp_path):
    code = """
import sys
from pathlib import Path
from cloudtrainer.detector import ParticleDetector, export_model
for architecture in ("grid", "unet"):
    detector = ParticleDetector({"model": {"architecture": architecture}})
    export_model(detector, Path(sys.argv[1]) / architecture, scores={}, origin={})
"""
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "unet" / "model.onnx").stat().st_size > 1_000_000

import json
import pickle
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.versions import set_current
from cloudtrainer.errors import ModelError

SMALL = {"model": {"name": "small", "grid_channels": [8, 12]}}


def small_detector(config=SMALL, **keywords):
    torch.manual_seed(0)
    detector = ParticleDetector(config, **keywords).eval()
    if detector.config.model.architecture == "grid":
        with torch.no_grad():
            detector.model.head.bias[0] = 0.5
    return detector


def one_line(caught):
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def test_an_export_of_a_unet_is_a_bare_state_dict_of_earlier_keys(tmp_path):
    detector = small_detector({"model": {"architecture": "unet"}})
    export_model(detector, tmp_path / "v_1", scores={}, origin={})
    weights = torch.load(tmp_path / "v_1" / "weights.pth", weights_only=True)
    assert {"encoder.0.0.weight", "bottleneck.4.running_var", "final_conv.bias"} <= set(weights)
    metadata = json.loads((tmp_path / "v_1" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["architecture"]["type"] == "unet"
    assert metadata["architecture"]["out_channels"] == 1
    # Taught on frames in units of their noise, and read so again.
    assert load_model(tmp_path / "v_1").normalisation == "noise"


def test_weights_keep_their_reading_where_settings_are_given(export):
    given = ParticleDetector.load_from_checkpoint(export / "weights.pth", config=SMALL | GRID)
    assert (given.normalisation, given.threshold, given.error_scale) == ("noise", 0.3, 1.7)


GRID = {"model": {"architecture": "grid", "grid_channels": [8, 12]}}


@pytest.mark.parametrize("name", ["bare.pth", "bare.safetensors"])
def test_bare_weights_of_the_grid_network_are_read_by_noise(tmp_path, frames, name):
    weights = small_detector().model.state_dict()
    weights = {key: values.contiguous() for key, values in weights.items()}
    if name.endswith(".pth"):
        torch.save(weights, tmp_path / name)
    else:
        safetensors.torch.save_file(weights, tmp_path / name)
    detector = ParticleDetector.load_from_checkpoint(tmp_path / name, config=GRID)
    assert detector.normalisation == "noise"
    pd.testing.assert_frame_equal(detector.detect(frames), small_detector().detect(frames))


def test_settings_given_as_a_config_take_the_place_of_the_files(export):
    config = Config.from_dict({**GRID, "analysis": {"memory_frames": 7}})
    detector = ParticleDetector.load_from_checkpoint(export, config=config)
    assert detector.config.analysis.memory_frames == 7
    assert detector.error_scale == 1.7


def test_a_version_is_found_in_the_usual_workspace(export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_model("v_20260102_030405").config.model.name == "small"
    with pytest.raises(ModelError, match="no such model"):
        load_model("v_20990101_000000")


def test_the_bundled_model_is_small_and_ready():
    detector = load_model()
    assert not detector.training
    assert detector.config.model.architecture == "grid"
    assert sum(p.numel() for p in detector.parameters()) * 4 < 3_000_000


def test_a_pickle_that_carries_code_is_refused_and_its_code_is_not_run(tmp_path):
    mark = tmp_path / "mark"

    class Attack:
        def __reduce__(self):
            return (mark.write_text, ("run",))

    torch.save({"state_dict": {}, "payload": Attack()}, tmp_path / "zip.ckpt")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"model_state_dict": Attack()}))
    folder = tmp_path / "v_1"
    folder.mkdir()
    torch.save({"x": Attack()}, folder / "weights.pth")
    for path in (tmp_path / "zip.ckpt", tmp_path / "plain.pth", folder):
        with pytest.raises(ModelError, match="refused") as caught:
            load_model(path)
        one_line(caught)
    assert not mark.exists()


def other_weights(path):
    torch.save(torch.nn.Linear(3, 2).state_dict(), path)


def wrong_architecture(path):
    state = small_detector().model.state_dict()
    torch.save({"model_state_dict": state, "config": {"model": {"architecture": "unet"}}}, path)


def not_settings(path):
    state = small_detector().model.state_dict()
    torch.save({"model_state_dict": state, "config": {"model": {"wings": 2}}}, path)


def a_list(path):
    torch.save([1, 2, 3], path)


def numbers_for_names(path):
    torch.save({0: torch.zeros(2)}, path)


def no_weights(path):
    torch.save({"state_dict": {}, "hyper_parameters": {}}, path)


def numbers_for_weights(path):
    torch.save({"state_dict": {"model.head.bias": 3.0}, "hyper_parameters": {}}, path)


def a_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no model")


@pytest.mark.parametrize(
    "write",
    [
        other_weights,
        wrong_architecture,
        not_settings,
        a_list,
        numbers_for_names,
        no_weights,
        numbers_for_weights,
        a_zip,
        lambda path: path.write_text("frame,x,y\n0,1,2\n", encoding="utf-8"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80"),
        lambda path: path.write_bytes(b"\xff\xd8\xff\xe0 a picture"),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, write):
    path = tmp_path / "model.ckpt"
    write(path)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert str(path) in one_line(caught)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path, zipped):
    whole = tmp_path / "whole.ckpt"
    torch.save(
        {
            "state_dict": {f"model.{k}": v for k, v in small_detector().model.state_dict().items()},
            "hyper_parameters": {"config": SMALL},
        },
        whole,
        _use_new_zipfile_serialization=zipped,
    )
    data = whole.read_bytes()
    path = tmp_path / "cut.ckpt"
    for share in np.linspace(0.001, 0.999, 40):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ModelError) as caught:
            load_model(path)
        one_line(caught)


def test_damaged_safetensors_are_refused_wherever_they_are_cut(export):
    path = export / "weights.safetensors"
    (export / "weights.pth").unlink()
    data = path.read_bytes()
    headers = [b"\xff" * 8 + data[8:], (1 << 40).to_bytes(8, "little") + data[8:], b""]
    for content in [data[: int(share * len(data))] for share in np.linspace(0, 0.99, 20)] + headers:
        path.write_bytes(content)
        for source in (export, path):
            with pytest.raises(ModelError) as caught:
                load_model(source)
            one_line(caught)


def test_a_folder_without_weights_says_which_it_looked_for(export):
    (export / "weights.pth").unlink()
    (export / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights\.pth and no weights\.safetensors"):
        load_model(export)


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        ({"threshold": "high"}, "threshold high is not between 0 and 1"),
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"threshold": None}, "threshold None"),
        ({"threshold": True}, "threshold True"),
        ({"threshold": 10**400}, "threshold 1000"),
        ({"error_scale": 0}, "error_scale 0 is not above 0"),
        ({"error_scale": [1.0]}, "error_scale"),
        ({"normalisation": "magic"}, "normalisation magic is not known"),
        ({"normalisation": {"a": 1}}, "normalisation"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(export, reading, told):
    path = export / "metadata.json"
    path.write_text(json.dumps({"reading": reading}), encoding="utf-8")
    with pytest.raises(ModelError, match=told) as caught:
        load_model(export)
    one_line(caught)


def test_a_workspace_is_loaded_as_its_current_model(export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    newer = shutil.copytree(export, export.with_name("v_20270101_000000"))
    change(newer / "metadata.json", reading={"threshold": 0.8})
    assert load_model("DeepTrack_Studio").threshold == 0.8
    set_current(export.parent, export.name)
    assert load_model("DeepTrack_Studio").threshold == 0.3
    assert load_model(tmp_path / "DeepTrack_Studio").threshold == 0.3


def test_a_workspace_without_a_model_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="DeepTrack_Studio: no such model"):
        load_model("DeepTrack_Studio")
    (tmp_path / "DeepTrack_Studio" / "models" / "v_20260102_030405").mkdir(parents=True)
    with pytest.raises(
        ModelError, match="DeepTrack_Studio: this workspace holds no model"
    ) as caught:
        load_model("DeepTrack_Studio")
    one_line(caught)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), encoding="utf-8")


def checkpoint(path, **more):
    state = {f"model.{k}": v for k, v in small_detector().model.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"config": SMALL}, **more}, path)
    return path


def test_an_export_carries_its_history_and_nothing_to_go_on_with(export):
    stored = read_model(export)
    assert stored.history["val_f1"] == [0.2, 0.7, 0.91]
    assert np.isnan(stored.history["val_rmse_px"][0])
    assert stored.history["val_rmse_px"][1:] == [0.6, 0.3]
    assert (stored.optimizer, stored.epoch) == (None, None)


def test_a_checkpoint_carries_optimizer_epoch_and_history(tmp_path):
    detector = small_detector()
    optimizer = torch.optim.AdamW(detector.model.parameters(), lr=3e-3)
    detector.model(torch.randn(1, 1, 32, 32)).sum().backward()
    optimizer.step()
    path = checkpoint(
        tmp_path / "last.ckpt",
        epoch=4,
        optimizer_states=[optimizer.state_dict()],
        history={"val_loss": [1.0, 0.5], "val_f1": [0, 1]},
    )
    stored = read_model(path)
    assert stored.epoch == 4
    assert stored.history == {"val_loss": [1.0, 0.5], "val_f1": [0.0, 1.0]}
    fresh = torch.optim.AdamW(small_detector().model.parameters(), lr=1.0)
    fresh.load_state_dict(stored.optimizer)
    assert fresh.param_groups[0]["lr"] == 3e-3
    kept = fresh.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(kept, optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_history_among_the_hyper_parameters_is_found(tmp_path):
    settings = {"config": SMALL, "history": {"val_loss": [2.0]}}
    stored = read_model(checkpoint(tmp_path / "a.ckpt", hyper_parameters=settings))
    assert stored.history == {"val_loss": [2.0]}


@pytest.mark.parametrize(
    "history",
    [3, "text", [1, 2], {"a": 3}, {"a": ["1"]}, {"a": [True]}, {3: [1.0]}, {"a": [[1.0]]},
     {"a": [torch.zeros(2)]}, torch.zeros(3), None],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["v4", "v2"])
def test_a_history_that_is_none_is_left_out(tmp_path, history, kind):
    if kind == "v4":
        settings = {"config": SMALL, "history": history}
        path = checkpoint(tmp_path / "a.ckpt", history=history, hyper_parameters=settings)
    else:
        path = tmp_path / "a.pth"
        state = small_detector().model.state_dict()
        config = {"model": {**SMALL["model"], "architecture": "grid"}}
        torch.save({"model_state_dict": state, "config": config, "history": history}, path)
    assert read_model(path).history == {}
    load_model(path)


def test_the_good_parts_of_a_history_are_kept(export):
    history = {"val_loss": [1.0, None, 0.5], "val_f1": [0.5, "x"], "epochs": 3, "big": [10**400]}
    change(export / "metadata.json", history=history)
    stored = read_model(export)
    assert list(stored.history) == ["val_loss"]
    np.testing.assert_array_equal(stored.history["val_loss"], [1.0, np.nan, 0.5])


@pytest.mark.parametrize(
    "optimizers", [None, [], 3, "x", {}, [None], [[1]], [{"state": 3}], [{"param_groups": []}]]
)
def test_an_optimizer_that_is_none_is_left_out(tmp_path, optimizers):
    path = checkpoint(tmp_path / "a.ckpt", optimizer_states=optimizers)
    assert read_model(path).optimizer is None


@pytest.mark.parametrize("epoch", [None, -1, 2.5, "4", True, [3], torch.tensor(3)])
def test_an_epoch_that_is_none_is_left_out(tmp_path, epoch):
    assert read_model(checkpoint(tmp_path / "a.ckpt", epoch=epoch)).epoch is None


def test_json_that_is_nested_too_deep_is_refused(export):
    (export / "metadata.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ModelError, match="is not valid JSON") as caught:
        load_model(export)
    one_line(caught)


@pytest.mark.parametrize("name", ["metadata.json", "config.json"])
def test_an_export_with_damaged_json_is_refused(export, name):
    (export / name).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=f"{name}: is not valid JSON") as caught:
        load_model(export)
    one_line(caught)

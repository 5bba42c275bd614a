import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.errors import ModelError

SMALL = {"model": {"name": "small", "grid_channels": [8, 12]}}
ORIGIN = {"num_videos": 2, "videos": ["a.tif", "b.tif"]}


def frames(seed=0):
    rng = np.random.default_rng(seed)
    row, column = np.indices((48, 64))
    frame = rng.normal(100, 5, (2, 48, 64))
    for x, y in rng.uniform(8, 40, (6, 2)):
        frame += 60 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 4.5)
    return frame


def small_detector(config=SMALL, **keywords):
    torch.manual_seed(0)
    detector = ParticleDetector(config, **keywords).eval()
    if detector.config.model.architecture == "grid":
        with torch.no_grad():
            detector.model.head.bias[0] = 0.5
    return detector


@pytest.fixture
def export(tmp_path):
    detector = small_detector(threshold=0.3, error_scale=1.7)
    folder = tmp_path / "models" / "v_20260102_030405"
    export_model(detector, folder, scores={"val_f1": 0.91234}, origin=ORIGIN)
    return folder


def one_line(caught):
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def test_an_export_loads_with_the_same_detections(export):
    again = load_model(export)
    assert not again.training
    assert (again.threshold, again.error_scale, again.normalisation) == (0.3, 1.7, "noise")
    assert again.config == Config.from_dict(SMALL)
    wanted = small_detector(threshold=0.3, error_scale=1.7).detect(frames())
    assert len(wanted) > 0
    pd.testing.assert_frame_equal(again.detect(frames()), wanted)
    pd.testing.assert_frame_equal(load_model(export / "weights.pth").detect(frames()), wanted)


def test_an_export_holds_what_earlier_readers_look_for(export):
    names = {path.name for path in export.iterdir()}
    assert names == {"weights.pth", "metadata.json", "config.json", "MODEL_CARD.md"}
    metadata = json.loads((export / "metadata.json").read_text(encoding="utf-8"))
    keys = {"model_name", "version", "created_at", "architecture", "training", "performance"}
    assert metadata.keys() >= keys | {"data_info", "compatibility"}
    assert metadata["architecture"].keys() >= {"type", "unet_channels", "out_channels"}
    assert metadata["version"] == "v_20260102_030405"
    assert metadata["performance"] == {"val_f1": 0.91234}
    assert metadata["data_info"] == {**ORIGIN, "augmentation": True}
    assert metadata["compatibility"]["torch_version"] == torch.__version__
    config = json.loads((export / "config.json").read_text(encoding="utf-8"))
    assert config.keys() >= {"model", "training", "augmentation", "data"}
    weights = torch.load(export / "weights.pth", weights_only=True)
    assert set(weights) == set(small_detector().model.state_dict())
    card = (export / "MODEL_CARD.md").read_text(encoding="utf-8")
    for told in ("small", "v_20260102_030405", "0.9123", "a.tif", "0.30"):
        assert told in card


def test_a_score_that_could_not_be_measured_is_left_out_of_the_json(tmp_path):
    scores = {"val_f1": 0.0, "val_rmse_px": float("nan")}
    export_model(small_detector(), tmp_path / "v_1", scores=scores, origin={})

    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    text = (tmp_path / "v_1" / "metadata.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["performance"] == {"val_f1": 0.0}


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


def test_an_export_is_never_overwritten(export):
    before = (export / "weights.pth").read_bytes()
    with pytest.raises(ModelError, match="never overwritten"):
        export_model(small_detector(), export, scores={}, origin={})
    assert (export / "weights.pth").read_bytes() == before
    assert [path.name for path in export.parent.iterdir()] == [export.name]


def test_an_export_that_fails_midway_is_not_there(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        export_model(small_detector(), tmp_path / "v_1", scores={}, origin={})
    assert not (tmp_path / "v_1").exists()


def test_weights_keep_their_reading_where_settings_are_given(export):
    given = ParticleDetector.load_from_checkpoint(export / "weights.pth", config=SMALL | GRID)
    assert (given.normalisation, given.threshold, given.error_scale) == ("noise", 0.3, 1.7)


GRID = {"model": {"architecture": "grid", "grid_channels": [8, 12]}}


def test_bare_weights_of_the_grid_network_are_read_by_noise(tmp_path):
    torch.save(small_detector().model.state_dict(), tmp_path / "bare.pth")
    detector = ParticleDetector.load_from_checkpoint(tmp_path / "bare.pth", config=GRID)
    assert detector.normalisation == "noise"
    pd.testing.assert_frame_equal(detector.detect(frames()), small_detector().detect(frames()))


def test_settings_given_as_a_config_take_the_place_of_the_files(export):
    config = Config.from_dict({**GRID, "analysis": {"memory_frames": 7}})
    detector = ParticleDetector.load_from_checkpoint(export, config=config)
    assert detector.config.analysis.memory_frames == 7
    assert detector.error_scale == 1.7


@pytest.mark.parametrize("place", ["DeepTrack_Studio"])
def test_a_version_is_found_in_the_usual_workspace(export, tmp_path, monkeypatch, place):
    (tmp_path / place).mkdir()
    (tmp_path / "models").rename(tmp_path / place / "models")
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


@pytest.mark.parametrize("name", ["metadata.json", "config.json"])
def test_an_export_with_damaged_json_is_refused(export, name):
    (export / name).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=f"{name}: is not valid JSON") as caught:
        load_model(export)
    one_line(caught)

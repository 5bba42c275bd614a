"""The ONNX file as ONNX Runtime and the ONNX checker see it, and as `load_model` reads it."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import cloudtrainer as ct
from cloudtrainer.detector import ParticleDetector, load_model, tiles
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.onnx_export import onnx_bytes
from cloudtrainer.errors import ModelError, VideoError

ARCHITECTURES = ["grid", "unet"]
SIZES = [(1, 64, 64), (2, 63, 65), (3, 61, 75), (1, 17, 128), (5, 8, 8), (1, 255, 100), (1, 4, 9)]


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def file(export_of, architecture):
    return export_of(architecture) / "model.onnx"


def session_of(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", SIZES)
def test_onnx_runtime_answers_what_pytorch_answers(exports_made, detector_of, architecture, size):
    session = session_of((exports_made[architecture] / "model.onnx").read_bytes())
    frames = torch.randn(size[0], 1, *size[1:], generator=torch.Generator().manual_seed(1))
    (answer,) = session.run(["answer"], {"frames": frames.numpy()})
    with torch.no_grad():
        wanted = detector_of(architecture).answer(frames).numpy()
    assert answer.shape == wanted.shape
    assert wanted.std() > 0.01
    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        {"architecture": "grid", "grid_channels": [8]},
        {"architecture": "grid", "grid_channels": [4, 6, 8, 10]},
        {"architecture": "unet", "unet_channels": [4]},
        {"architecture": "unet", "unet_channels": [4, 8, 16, 32]},
    ],
)
def test_networks_of_any_depth_run_at_any_size(model):
    detector = ParticleDetector({"model": model}).eval()
    session = session_of(onnx_bytes(detector))
    for height, width in [(16, 16), (37, 50), (95, 33), (18, 21)]:
        frames = torch.randn(2, 1, height, width)
        with torch.no_grad():
            wanted = detector.answer(frames).numpy()
        (answer,) = session.run(None, {"frames": frames.numpy()})
        np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


def test_the_bundled_model_answers_the_same_in_onnx_runtime(tmp_path):
    bundled = load_model()
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(bundled))
    again = load_model(tmp_path / "model.onnx")
    rng = np.random.default_rng(5)
    row, column = np.indices((3, 101, 130))[1:]
    light = np.full((3, 101, 130), 100.0)
    for x, y in rng.uniform(5, 95, (25, 2)):
        light += 250 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 4.5)
    video = rng.poisson(light).astype(np.uint16)
    wanted = ct.extract_particles_from_predictions(bundled, video)
    found = ct.extract_particles_from_predictions(again, video)
    assert len(found) == len(wanted) > 40
    assert found["frame"].equals(wanted["frame"])
    numbers = ["x", "y", "x_error", "y_error", "probability"]
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-3)


def test_the_file_passes_the_checker_and_stands_alone(file, architecture):
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""}
    assert not list(model.functions)
    for tensor in model.graph.initializer:
        assert tensor.data_location == TensorProto.DEFAULT
    (given,) = model.graph.input
    (answer,) = model.graph.output
    sizes = [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim]
    assert (given.name, sizes) == ("frames", ["frames", 1, "height", "width"])
    assert given.type.tensor_type.elem_type == TensorProto.FLOAT
    sizes = [dim.dim_param or dim.dim_value for dim in answer.type.tensor_type.shape.dim]
    channels = 5 if architecture == "grid" else 1
    assert (answer.name, sizes) == ("answer", ["frames", channels, "rows", "columns"])
    assert "float32, (frames, 1, height, width)" in model.doc_string


def test_the_file_carries_nothing_of_the_machine_it_was_made_on(file):
    content = file.read_bytes()
    for trace in (b"site-packages", b".py", b"/home", b"/root", b"cloudtrainer/detector", b"File "):
        assert trace not in content


def test_the_file_says_how_it_is_read(file, architecture, detector_of):
    notes = session_of(file.read_bytes()).get_modelmeta().custom_metadata_map
    assert json.loads(notes["threshold"]) == 0.3
    assert json.loads(notes["error_scale"]) == 1.7
    assert json.loads(notes["normalisation"]) == "noise"
    assert json.loads(notes["config"]) == detector_of(architecture).config.to_dict()


def test_one_file_is_enough_to_find_the_same_particles(file, tmp_path, frames):
    beside = load_model(file.parent)
    alone = load_model(shutil.copy(file, tmp_path / "sent by mail.ONNX"))
    assert (alone.threshold, alone.error_scale) == (0.3, 1.7)
    assert alone.normalisation == beside.normalisation
    assert alone.config == beside.config
    assert not alone.training
    assert alone.device == torch.device("cpu")
    wanted = ct.extract_particles_from_predictions(beside, frames)
    found = ct.extract_particles_from_predictions(alone, frames)
    assert len(wanted) > 0
    assert list(found.columns) == list(wanted.columns)
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found[["x", "y"]], wanted[["x", "y"]], atol=5e-3)


def test_a_file_that_says_nothing_of_itself_is_read_by_what_lies_beside_it(
    file, tmp_path, architecture
):
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, file)
    read = load_model(file)
    assert (read.threshold, read.error_scale) == (0.3, 1.7)
    assert read.config.model.name == "small"
    # And with nothing beside it, as the network looks.
    alone = load_model(shutil.copy(file, tmp_path / "model.onnx"))
    assert alone.config.model.architecture == architecture
    assert alone.normalisation == ("noise" if architecture == "grid" else "video_maximum")
    assert (alone.threshold, alone.error_scale) == (0.5, 1.0)


def test_settings_that_are_given_take_the_place_of_the_files(file, architecture):
    config = {"model": {"architecture": architecture}, "analysis": {"memory_frames": 7}}
    detector = ParticleDetector.load_from_checkpoint(file, config)
    assert detector.config.analysis.memory_frames == 7
    assert detector.threshold == 0.3


def test_large_frames_are_answered_in_tiles(file, monkeypatch):
    monkeypatch.setattr(tiles, "_TILE_PX", 128)
    rng = np.random.default_rng(0)
    frames = rng.normal(100, 5, (1, 300, 340)).astype(np.float32)
    network, plain = load_model(file), load_model(file.parent)
    found, wanted = network.detect(frames), plain.detect(frames)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found[["x", "y"]], wanted[["x", "y"]], atol=5e-3)


def test_frames_too_small_are_refused_as_before(file, architecture):
    least = 3 if architecture == "grid" else 4
    detector = load_model(file)
    noise = np.random.default_rng(0).normal(size=(1, 20, 20))
    detector.detect(noise[:, :least, :least])
    with pytest.raises(VideoError, match=f"needs {least} x {least} px"):
        detector.detect(noise[:, : least - 1])


def test_a_model_in_onnx_runtime_is_known_by_its_file(file):
    wanted = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_model(file).weights_sha256() == wanted


def test_training_is_told_that_an_onnx_file_holds_no_weights(file):
    with pytest.raises(ModelError, match=r"give the weights\.pth beside it") as caught:
        read_model(file)
    one_line(caught)
    with pytest.raises(ModelError, match="do not fit") as caught:
        load_model(file).load_weights({"a": torch.zeros(1)}, file)
    one_line(caught)


def test_without_onnx_runtime_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ModelError, match=r"pip install 'deeptrack-cloud-trainer\[onnx\]'"
    ) as caught:
        load_model(file)
    assert str(file) in one_line(caught)


def test_running_a_model_imports_no_trainer_and_no_converter(exports_made, tmp_path):
    code = """
import sys
import numpy as np
import cloudtrainer
frames = np.random.default_rng(0).normal(size=(1, 40, 40))
cloudtrainer.load_model(sys.argv[1]).detect(frames)
cloudtrainer.load_model().detect(frames)
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exports_made["grid"])],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"lightning", "onnx", "onnxscript", "onnxruntime", "matplotlib", "tensorboardX"}
    assert heavy.isdisjoint(done.stdout.split())


# What is not ours, or means harm.


def write_external(path):
    model = onnx.load(path)
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )


def point_outside(path):
    (path.parent / "secret.bin").write_bytes(bytes(1 << 16))
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../../../etc/passwd")
    path.write_bytes(model.SerializeToString())


def hide_in_a_constant(path):
    model = onnx.load(path)
    hidden = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    hidden.ClearField("raw_data")
    hidden.external_data.add(key="location", value="weights.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=hidden))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("spoil", [write_external, point_outside, hide_in_a_constant])
def test_weights_in_other_files_are_refused(export, spoil):
    file = export / "model.onnx"
    spoil(file)
    with pytest.raises(ModelError, match="refused: it names another file") as caught:
        load_model(file)
    one_line(caught)


def test_operators_that_are_not_onnxs_own_are_refused(export):
    file = export / "model.onnx"
    model = onnx.load(file)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, file)
    with pytest.raises(ModelError, match=r"refused: it needs operators of com\.example") as caught:
        load_model(file)
    one_line(caught)


def identity(channels, sizes=("n", 1, "h", "w"), kind=TensorProto.FLOAT, inputs=1, notes=None):
    """Return a network that repeats its frames in each channel."""
    given = [helper.make_tensor_value_info(f"in{i}", kind, sizes) for i in range(inputs)]
    answer = helper.make_tensor_value_info("out", kind, (sizes[0], channels, *sizes[2:]))
    node = helper.make_node("Concat", ["in0"] * channels, ["out"], axis=1)
    graph = helper.make_graph([node], "identity", given, [answer])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, notes or {})
    return model.SerializeToString()


def test_a_foreign_mask_network_is_read_as_those_of_version_3(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(identity(1))
    detector = load_model(path)
    assert detector.normalisation == "video_maximum"
    frames = np.full((1, 30, 40), -9.0)
    frames[0, 10:15, 20:25] = 9.0
    found = detector.detect(frames)
    # The opening by the smallest disc takes the corners of a square of 5 px.
    assert found[["x", "y", "area"]].to_numpy().tolist() == [[22.0, 12.0, 21.0]]


def test_answers_of_the_wrong_shape_are_refused_in_one_line(tmp_path):
    path = tmp_path / "model.onnx"
    # Five channels as the grid network has, but a cell for each pixel.
    path.write_bytes(identity(5))
    with pytest.raises(ModelError, match="is no network of a particle detector") as caught:
        load_model(path).detect(np.zeros((1, 30, 40)))
    one_line(caught)


def test_a_network_for_one_size_says_so_at_others(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(identity(1, (1, 1, 64, 64)))
    detector = load_model(path)
    detector.detect(np.zeros((1, 64, 64)))
    with pytest.raises(ModelError, match="cannot run on frames of 30 x 40 px") as caught:
        detector.detect(np.zeros((1, 30, 40)))
    one_line(caught)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"frame,x,y\n0,1,2\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff" * 100,
        identity(3),
        identity(1, kind=TensorProto.DOUBLE),
        identity(1, inputs=2),
        identity(1, (1, 1, 64)),
        identity(1, notes={"threshold": "{"}),
        identity(1, notes={"threshold": "NaN"}),
        identity(1, notes={"threshold": "[" * 100_000}),
        identity(1, notes={"threshold": '"high"'}),
        identity(1, notes={"error_scale": "-1"}),
        identity(1, notes={"normalisation": '"by magic"'}),
        identity(1, notes={"normalisation": "[1]"}),
        identity(1, notes={"config": '{"model": {"wings": 2}}'}),
        identity(1, notes={"config": '{"model": {"architecture": "grid"}}'}),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert str(path) in one_line(caught)


def test_a_damaged_file_is_refused_wherever_it_is_cut(export):
    file = export / "model.onnx"
    data = file.read_bytes()
    for share in np.linspace(0.001, 0.999, 30):
        file.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ModelError) as caught:
            load_model(file)
        one_line(caught)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ModelError, match="no such model"):
        ParticleDetector.load_from_checkpoint(tmp_path / "model.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match="no such model"):
        load_model(tmp_path / "folder.onnx")


def test_settings_that_are_no_settings_are_refused(export):
    with pytest.raises(ModelError, match="wings: no such setting"):
        ParticleDetector.load_from_checkpoint(export / "model.onnx", {"model": {"wings": 2}})


def test_detections_are_the_same_table(export, frames):
    found = load_model(export / "model.onnx").detect(frames)
    wanted = load_model(export).detect(frames)
    pd.testing.assert_frame_equal(found, wanted, rtol=0.02, atol=0.02)

"""``twin``, ``analyze --twin`` and ``train --twin`` as they are given in a shell."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cloudtrainer
from cloudtrainer.analysis import analyze
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.training import twin_folder

FILES = {"twin.json", "twin.png", "twin.svg", "twin_frames.tif"}
SHORT = ("--set", "twin.steps_per_epoch=1", "--epochs", "1")


def spots(frames=12, side=64, particles=5, amplitude=300.0, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    places, filmed = rng.uniform(0, side, (particles, 2)), []
    for _ in range(frames):
        light = np.full((side, side), 200.0)
        for x, y in places:
            light += amplitude * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.7**2))
        filmed.append(rng.poisson(light))
        places = (places + rng.normal(0, 1.5, places.shape)) % side
    return np.array(filmed, np.uint16)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "spots.tif"
    tifffile.imwrite(path, spots())
    return path


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "noise.tif"
    tifffile.imwrite(path, np.random.default_rng(0).poisson(100, (12, 64, 64)).astype(np.uint16))
    return path


def test_a_twin_is_measured_and_told_with_its_units(command, video, tmp_path):
    code, said, complained = command("twin", video, "-o", tmp_path / "twin", "--no-train")
    assert (code, complained) == (0, "")
    assert "bright particles a frame were found" in said
    assert "px²" in said
    assert "counts" in said
    files = {path.name for path in (tmp_path / "twin").iterdir()}
    assert files == FILES
    frames = tifffile.imread(tmp_path / "twin" / "twin_frames.tif")
    assert (frames.shape, frames.dtype) == ((8, 64, 64), np.uint16)
    assert np.median(frames) == pytest.approx(200, abs=5)
    numbers = json.loads((tmp_path / "twin" / "twin.json").read_text())
    assert numbers["particles"]["found_per_frame"] == pytest.approx(5, abs=1)
    assert numbers["background_counts"]["median"] == pytest.approx(200, abs=5)


def test_a_video_without_particles_is_refused_in_a_line(command, noise, tmp_path):
    code, said, complained = command("twin", noise, "-o", tmp_path / "twin")
    assert code == 2
    assert said == ""
    assert complained.startswith("error: noise.tif: no particle can be told from the noise")


def test_a_twin_that_is_there_is_not_replaced_unasked(command, video, tmp_path):
    out = tmp_path / "twin"
    assert command("twin", video, "-o", out, "--no-train")[0] == 0
    code, _, complained = command("twin", video, "-o", out, "--no-train")
    assert code == 2
    assert "holds twin.json already" in complained
    assert command("twin", video, "-o", out, "--no-train", "--overwrite")[0] == 0
    file = tmp_path / "file"
    file.write_text("")
    code, _, complained = command("twin", video, "-o", file)
    assert (code, "is a file" in complained) == (2, True)


def test_a_model_is_kept_where_its_successor_cannot_be_written(
    command, video, tmp_path, monkeypatch
):
    out, weights = tmp_path / "twin", tmp_path / "twin" / "model" / "weights.pth"
    shutil.copytree(Path(cloudtrainer.__file__).parent / "models" / "default", out / "model")
    before = weights.read_bytes()

    def no_room(*_, **__):
        weights.parent.mkdir()
        weights.write_bytes(b"half")
        raise WorkspaceError(f"{out}: cannot be written (No space left on device)")

    monkeypatch.setattr(twin_folder, "write_twin", no_room)
    code, _, complained = command("twin", video, "-o", out, "--no-train", "--overwrite")
    assert (code, "No space left" in complained) == (2, True)
    assert weights.read_bytes() == before
    monkeypatch.undo()
    assert command("twin", video, "-o", out, "--no-train", "--overwrite")[0] == 0
    assert {path.name for path in out.iterdir()} == FILES


def test_frames_that_are_too_small_or_too_bright_have_no_twin(command, tmp_path):
    for name, frames, said in (
        ("thin", spots()[:, :8], "frames of 64 x 8 px are too small for a twin"),
        ("huge", spots().astype(np.float32) * 1e30, "too large to reckon with"),
    ):
        tifffile.imwrite(tmp_path / f"{name}.tif", frames)
        code, _, complained = command("twin", tmp_path / f"{name}.tif", "-o", tmp_path / name)
        assert (code, said in complained) == (2, True)
        assert not (tmp_path / name).exists()


def test_frames_of_a_single_value_are_left_out_and_named(command, tmp_path):
    filmed = spots(frames=24)
    filmed[::3], filmed[20] = 0, 65535
    tifffile.imwrite(tmp_path / "dropped.tif", filmed)
    code, said, _ = command("twin", tmp_path / "dropped.tif", "-o", tmp_path / "out", "--no-train")
    assert code == 0
    assert "9 of the frames looked at are of a single value (frames 0, 3, 6, 9," in said
    numbers = json.loads((tmp_path / "out" / "twin.json").read_text())
    assert numbers["particles"]["found_per_frame"] == pytest.approx(5, abs=1)
    assert numbers["background_counts"]["median"] == pytest.approx(200, abs=5)
    assert numbers["noise"]["sd_counts"] == pytest.approx(200**0.5, rel=0.1)


@pytest.fixture
def twin_folder_of(tmp_path, command, video):
    """Return a function that makes the folder of a twin whose model is the bundled one."""

    def make(**changed):
        out = tmp_path / "made"
        assert command("twin", video, "-o", out, "--no-train")[0] == 0
        shutil.copytree(Path(cloudtrainer.__file__).parent / "models" / "default", out / "model")
        numbers = json.loads((out / "twin.json").read_text()) | {"training": {}} | changed
        (out / "twin.json").write_text(json.dumps(numbers))
        return out

    return make


def test_a_twin_of_another_video_is_warned_of(command, noise, video, twin_folder_of, tmp_path):
    focus = {"peak_counts": 400.0, "least_peak_counts": 200.0}
    folder = twin_folder_of(focus=focus)
    for filmed, warned in ((noise, True), (video, False)):
        code, said, _ = command("analyze", filmed, "-o", tmp_path / filmed.stem, "--model", folder)
        said = " ".join(said.split())
        assert code == 0
        assert ("The twin is that of another video (spots.tif)" in said) is warned
        assert ("peaks of 200 counts, is that of the other video" in said) is warned


@pytest.mark.parametrize(
    "changed",
    [
        {"doubts": 5},
        {"noise": "none"},
        {"focus": {"peak_counts": float("nan"), "least_peak_counts": 1.0}},
        {"focus": {"peak_counts": 1.0, "least_peak_counts": 2.0}},
    ],
)
def test_a_damaged_twin_is_refused(command, video, twin_folder_of, tmp_path, changed):
    folder = twin_folder_of(**changed)
    code, _, complained = command("analyze", video, "-o", tmp_path / "out", "--model", folder)
    assert (code, "files of this twin are damaged" in complained) == (2, True)


def test_a_polarity_that_changes_is_told_by_any_analysis(command, tmp_path):
    filmed = np.concatenate([spots(frames=12), 700 - spots(frames=8)])
    tifffile.imwrite(tmp_path / "turns.tif", filmed)
    code, said, _ = command("analyze", tmp_path / "turns.tif", "-o", tmp_path / "out")
    assert code == 0
    assert "bright in most of the video, but dark in frame 14, 19" in " ".join(said.split())


def test_analysis_goes_on_with_the_bundled_model_where_there_is_no_twin(command, noise, tmp_path):
    code, said, _ = command("analyze", noise, "-o", tmp_path / "out", "--twin")
    assert code == 0
    assert "No twin was made, and the bundled model was used" in said
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "twin" not in summary
    assert summary["model"]["weights_sha256"] == load_model().weights_sha256()
    assert any("No twin was made" in warning for warning in summary["warnings"])


def test_a_twin_and_another_model_exclude_each_other(command, video, tmp_path):
    code, _, complained = command(
        "analyze", video, "-o", tmp_path / "out", "--twin", "--model", "some.ckpt"
    )
    assert code == 2
    assert "give no other model" in complained


@pytest.mark.slow
def test_a_detector_is_trained_written_and_taken_for_an_analysis(command, video, tmp_path):
    out = tmp_path / "twin"
    code, said, _ = command("twin", video, "-o", out, *SHORT)
    assert code == 0
    assert "On other simulated scenes of the twin" in said
    training = json.loads((out / "twin.json").read_text())["training"]
    assert set(training["after"]) == {"f1", "precision", "recall", "rmse_px"}
    model = load_model(out / "model")
    assert model.weights_sha256() != load_model().weights_sha256()
    code, said, _ = command("analyze", video, "-o", tmp_path / "results", "--model", out)
    assert code == 0
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["model"]["weights_sha256"] == model.weights_sha256()
    assert summary["twin"]["training"]["epochs"] == 1
    assert "The video and its twin" in (tmp_path / "results" / "report.html").read_text()


@pytest.mark.slow
def test_an_analysis_keeps_its_twin_and_takes_it_again(video, tmp_path, monkeypatch):
    config = Config.from_dict({"twin": {"epochs": 1, "steps_per_epoch": 1}})
    out, said = tmp_path / "out", []
    first = analyze(video, out, config=config, twin=True, say=said.append)
    assert any("were found" in line for line in said)
    assert (out / "twin" / "model" / "weights.safetensors").is_file()
    assert first.summary["twin"]["particles"]["found_per_frame"] == pytest.approx(5, abs=1)
    assert "trained for the recording, without labels" in (out / "methods.txt").read_text()

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("cloudtrainer.training.twin.train_on_twin", refuse)
    said.clear()
    again = analyze(video, out, config=config, twin=True, overwrite=True, say=said.append)
    assert any("was learned before" in line for line in said)
    assert again.summary["model"] == first.summary["model"]
    assert again.detections.equals(first.detections)
    # Other settings are another twin.
    with pytest.raises(AssertionError, match="trained again"):
        analyze(video, out, twin=True, overwrite=True)
    # A folder whose files are damaged is not taken.
    (out / "twin" / "model" / "weights.safetensors").write_bytes(b"")
    (out / "twin" / "model" / "weights.pth").write_bytes(b"")
    with pytest.raises(AssertionError, match="trained again"):
        analyze(video, out, config=config, twin=True, overwrite=True)


@pytest.mark.slow
def test_each_video_has_a_twin_of_its_own(video, tmp_path):
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, spots(seed=1, particles=8))
    config = Config.from_dict({"twin": {"epochs": 1, "steps_per_epoch": 1}})
    both = analyze([video, other], tmp_path / "out", config=config, twin=True)
    models = [single.summary["model"]["weights_sha256"] for single in both.videos]
    assert len(set(models)) == 2
    assert (tmp_path / "out" / "spots" / "twin" / "twin.json").is_file()
    assert (tmp_path / "out" / "other" / "twin" / "twin.json").is_file()


@pytest.mark.slow
def test_a_workspace_learns_the_twin_of_a_video(command, video, noise, tmp_path):
    place = tmp_path / "studio"
    assert command("init", place)[0] == 0
    short = ("--epochs", "1", "--batch-size", "4", "--set", "training.steps_per_epoch=1")
    code, said, _ = command("train", place, "--twin", video, *short)
    assert code == 0
    assert "bright particles a frame were found" in said
    assert "twins of videos" in said
    code, _, complained = command("train", place, "--twin", noise, *short)
    assert code == 2
    assert "no particle can be told from the noise" in complained

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels
from cloudtrainer.config import ExperimentSettings
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.simulation import files, simulate_experiment, write_experiment
from cloudtrainer.video import Video


@pytest.fixture(scope="module")
def experiment():
    return simulate_experiment(
        ExperimentSettings(
            frames=6,
            height_px=40,
            width_px=56,
            particles=9,
            pixel_size_um=0.1625,
            frame_interval_s=0.0371,
        )
    )


def test_the_video_reads_back_with_its_calibration(experiment, tmp_path):
    write_experiment(experiment, tmp_path / "beads.ome.tif")
    video = Video(tmp_path / "beads.ome.tif")
    assert video.shape == (6, 40, 56)
    np.testing.assert_array_equal(video.frames(0, 6), experiment.frames)
    assert video.pixel_size_um == 0.1625
    assert video.frame_interval_s == 0.0371
    assert video.calibration_source == "OME"


def test_the_truth_reads_back_as_labels(experiment, tmp_path):
    truth = write_experiment(experiment, tmp_path / "deep" / "beads.ome.tif")
    assert truth == tmp_path / "deep" / "beads_particles.csv"
    labels = read_labels(truth, experiment.frames.shape)
    wanted = experiment.truth.sort_values("frame", kind="stable", ignore_index=True)
    assert labels["frame"].tolist() == wanted["frame"].tolist()
    np.testing.assert_allclose(labels[["x", "y"]], wanted[["x", "y"]], atol=5.1e-5)


def test_an_experiment_without_particles_is_written_whole(tmp_path):
    settings = ExperimentSettings(frames=2, height_px=16, width_px=16, particles=0)
    truth = write_experiment(simulate_experiment(settings), tmp_path / "none.ome.tif")
    assert read_labels(truth).empty


@pytest.mark.parametrize("there", ["beads.ome.tif", "beads_particles.csv"])
def test_what_is_there_is_replaced_only_when_asked(experiment, tmp_path, there):
    (tmp_path / there).write_text("mine", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"is there already; give --overwrite"):
        write_experiment(experiment, tmp_path / "beads.ome.tif")
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [there]
    write_experiment(experiment, tmp_path / "beads.ome.tif", overwrite=True)
    assert Video(tmp_path / "beads.ome.tif").shape == (6, 40, 56)


@pytest.mark.parametrize("name", ["beads.tif", "beads.avi", "beads"])
def test_other_endings_are_refused(experiment, tmp_path, name):
    with pytest.raises(WorkspaceError, match=r"\.ome\.tif"):
        write_experiment(experiment, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(experiment, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="cannot be written") as caught:
        write_experiment(experiment, tmp_path / "file" / "beads.ome.tif")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_neither_file_behind(experiment, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        write_experiment(experiment, tmp_path / "beads.ome.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_torn_video_leaves_the_earlier_one_as_it_was(experiment, tmp_path, monkeypatch):
    write_experiment(experiment, tmp_path / "beads.ome.tif")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def torn(file, *_args, **_kwargs):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.tifffile, "imwrite", torn)
    with pytest.raises(WorkspaceError):
        write_experiment(experiment, tmp_path / "beads.ome.tif", overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

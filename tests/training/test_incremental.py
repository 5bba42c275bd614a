"""New videos are learned, earlier ones rehearsed, and a worse model does not take over."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.detector import load_model
from cloudtrainer.errors import ModelError
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.training import (
    compare_models,
    ensemble,
    export_checkpoint,
    finish,
    fit,
    list_models,
    train,
)


def weights(folder):
    return load_model(folder).model.state_dict()


def close(first, second, within):
    return all(
        (first[name].float() - second[name].float()).abs().max() <= within
        for name in first
        if name.endswith("0.weight")
    )


def add_video(place, name, seed=11, **settings):
    settings = ExperimentSettings(
        frames=8, height_px=48, width_px=64, particles=8, seed=seed, **settings
    )
    video = place.videos / f"{name}.ome.tif"
    truth = write_experiment(simulate_experiment(settings), video, overwrite=True)
    truth.replace(place.annotations / truth.name)
    return video


@pytest.fixture
def batches(monkeypatch):
    """Return the batch makers of all runs."""
    made, fitting = [], ensemble.Fitting

    def spy(config, maker, *rest, **keywords):
        made.append(maker)
        return fitting(config, maker, *rest, **keywords)

    monkeypatch.setattr(ensemble, "Fitting", spy)
    return made


def names(frames):
    return [video.name for video in frames.videos] if frames else []


def test_a_second_run_learns_the_new_video_and_rehearses_the_first(workspace, tiny, batches):
    first = train(workspace, tiny())
    assert (names(batches[-1].new), names(batches[-1].earlier)) == (["beads.ome.tif"], [])
    add_video(workspace, "second")
    second = train(workspace, tiny(rehearsal_share=0.25, batch_size=16))
    maker = batches[-1]
    assert (names(maker.new), names(maker.earlier)) == (["second.ome.tif"], ["beads.ome.tif"])
    shares = [maker.shares(step) for step in range(8)]
    assert {(one.simulated, one.new, one.earlier) for one in shares} == {(8, 6, 2)}
    assert second.learned == ("second.ome.tif",)
    assert second.rehearsed == ("beads.ome.tif",)
    assert "Rehearsed beads.ome.tif." in str(second)

    table = second.comparison
    assert list(table["frames"].unique()) == ["earlier videos", "new videos", "simulated scenes"]
    assert list(table["model"].unique()) == [first.model_dir.name, second.model_dir.name]
    assert len(table) == 6
    assert second.old_scores is not None
    assert second.old_scores.keys() <= second.scores.keys()
    metadata = json.loads((second.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["parent"] == first.model_dir.name
    # The history goes on where that of the earlier model ended.
    assert len(metadata["history"]["val_loss"]) == 4

    ledger = json.loads(workspace.ledger.read_text(encoding="utf-8"))
    assert ledger["beads.ome.tif"]["model_version"] == first.model_dir.name
    assert ledger["second.ome.tif"]["model_version"] == second.model_dir.name


def test_it_begins_with_the_weights_of_the_current_model(workspace, tiny):
    first = train(workspace, tiny())
    add_video(workspace, "second")
    still = tiny(learning_rate=1e-6, epochs=1, steps_per_epoch=1)
    second = train(workspace, still)
    assert close(weights(first.model_dir), weights(second.model_dir), within=1e-4)
    # Not with the newest, where another one is the current.
    add_video(workspace, "third", seed=12)
    other = train(workspace, tiny(seed=5, learning_rate=1e-2))
    workspace.set_current(first.model_dir.name)
    third = train(workspace, still)
    assert close(weights(first.model_dir), weights(third.model_dir), within=1e-4)
    assert not close(weights(other.model_dir), weights(third.model_dir), within=1e-4)
    # The current model knows neither the second video nor the third.
    assert third.learned == ("second.ome.tif", "third.ome.tif")
    assert third.rehearsed == ("beads.ome.tif",)


def test_nothing_new_is_said_and_nothing_is_trained(workspace, tiny):
    first = train(workspace, tiny())
    again = train(workspace, tiny())
    assert not again.trained
    assert again.model_dir == first.model_dir
    assert "Nothing new to learn" in str(again)
    assert "--full" in str(again)
    assert workspace.model_folders() == [first.model_dir]


def test_full_learns_everything_from_the_start(workspace, tiny, batches):
    train(workspace, tiny())
    add_video(workspace, "second")
    result = train(workspace, tiny(incremental=False))
    assert names(batches[-1].new) == ["beads.ome.tif", "second.ome.tif"]
    assert batches[-1].earlier is None
    assert result.rehearsed == ()
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["parent"] is None


def test_a_model_made_current_again_still_knows_its_videos(workspace, tiny, batches):
    first = train(workspace, tiny())
    train(workspace, tiny(incremental=False, seed=1))
    workspace.set_current(first.model_dir.name)
    assert not train(workspace, tiny()).trained
    add_video(workspace, "second")
    result = train(workspace, tiny())
    assert (result.learned, result.rehearsed) == (("second.ome.tif",), ("beads.ome.tif",))
    assert "earlier videos" in set(result.comparison["frames"])


def test_a_video_that_is_gone_is_rehearsed_from_what_was_kept(workspace, tiny, batches):
    train(workspace, tiny())
    next(workspace.videos.glob("beads*")).unlink()
    next(workspace.annotations.glob("beads*")).unlink()
    add_video(workspace, "second")
    result = train(workspace, tiny())
    [kept] = batches[-1].earlier.videos
    assert kept.name == "beads.ome.tif"
    assert any("kept of it take its place" in note for note in result.notes)
    assert kept.frame_numbers(held_out=True) == [6, 7]
    assert "earlier videos" in set(result.comparison["frames"])


def test_another_video_under_an_old_name_is_learned_as_new(workspace, tiny, batches):
    train(workspace, tiny())
    add_video(workspace, "beads", seed=99)
    result = train(workspace, tiny())
    assert result.learned == ("beads.ome.tif",)
    assert any("another video than the one learned under this name" in n for n in result.notes)
    # What was kept of the old one is still rehearsed.
    assert len(batches[-1].earlier.videos) == 1


def test_a_renamed_video_is_not_learned_again(workspace, tiny):
    train(workspace, tiny())
    for folder in (workspace.videos, workspace.annotations):
        [file] = folder.glob("beads*")
        file.rename(file.with_name(file.name.replace("beads", "new name")))
    assert not train(workspace, tiny()).trained


def test_changed_labels_are_learned_again(workspace, tiny):
    train(workspace, tiny())
    [labels] = workspace.annotations.iterdir()
    lines = labels.read_text(encoding="utf-8").splitlines()
    labels.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    result = train(workspace, tiny())
    assert result.learned == ("beads.ome.tif",)
    assert any("labels have changed" in note for note in result.notes)


def spoil(monkeypatch):
    """Let a run forget everything."""
    fitting = ensemble.Fitting.train

    def forget(self):
        detector, history = fitting(self)
        for values in detector.model.parameters():
            torch.nn.init.zeros_(values)
        return detector, history

    monkeypatch.setattr(ensemble.Fitting, "train", forget)


@pytest.fixture
def able(workspace, tiny, monkeypatch):
    """Return a workspace whose current model finds the particles of its first video."""
    first = train(workspace, tiny())
    known = load_model(first.model_dir).weights_sha256()
    scores = finish.calibrate

    def generous(detector, sets, gate_px):
        """Score the earlier model as one that finds everything."""
        real = scores(detector, sets, gate_px)
        if detector.weights_sha256() != known:
            return real
        perfect = replace(real.score, f1=1.0)
        return replace(real, by_kind=dict.fromkeys(real.by_kind, perfect))

    monkeypatch.setattr(finish, "calibrate", generous)
    return workspace


def test_a_model_that_is_worse_on_earlier_videos_does_not_become_current(able, tiny, monkeypatch):
    before = able.current_model()
    add_video(able, "second")
    with monkeypatch.context() as patch:
        spoil(patch)
        result = train(able, tiny())
    assert not result.is_current
    assert able.current_model() == before
    assert len(able.model_folders()) == 2
    assert f"--set-current {result.model_dir.name}" in str(result)
    # The very same again would end the same: it is not done.
    told = train(able, tiny())
    assert not told.trained
    assert "This was tried" in str(told)
    assert len(able.model_folders()) == 2
    # The current model does not know the second video: a run with other settings learns it.
    again = train(able, tiny(max_f1_loss=1.0))
    assert again.learned == ("second.ome.tif",)
    assert again.is_current
    assert able.current_model() == again.model_dir


def test_learning_everything_again_does_not_let_a_worse_model_in(able, tiny, monkeypatch):
    before = able.current_model()
    spoil(monkeypatch)
    result = train(able, tiny(incremental=False, seed=3))
    assert not result.is_current
    assert able.current_model() == before
    assert "earlier videos" in set(result.comparison["frames"])


def test_another_network_begins_anew_and_says_how_to_continue(workspace, tiny):
    first = train(workspace, tiny())
    told = []
    config = tiny(architecture="unet", epochs=1, steps_per_epoch=1)
    result = train(workspace, config, say=told.append)
    assert any("another network (grid 8-12)" in line and "--from" in line for line in told)
    # It is held against the current model all the same.
    assert result.old_scores is not None
    assert set(result.comparison["frames"]) == {"earlier videos", "simulated scenes"}
    assert result.learned == ("beads.ome.tif",)
    assert load_model(result.model_dir).config.model.architecture == "unet"
    assert first.model_dir.is_dir()


def test_the_bundled_model_is_where_a_default_run_begins(workspace):
    from cloudtrainer.config import Config

    config = Config.from_dict(
        {"training": {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "learning_rate": 1e-6}}
    )
    told = []
    result = train(workspace, config, say=told.append)
    assert "Beginning with the bundled model." in told
    assert close(load_model().model.state_dict(), weights(result.model_dir), within=1e-4)
    assert list(result.comparison["model"].unique()) == ["before", result.model_dir.name]


def test_a_model_that_is_given_is_continued(workspace, tiny, batches):
    first = train(workspace, tiny())
    still = tiny(learning_rate=1e-6, epochs=1, steps_per_epoch=1, seed=3)
    result = train(workspace, still, start=first.model_dir.name)
    assert close(weights(first.model_dir), weights(result.model_dir), within=1e-4)
    # One of the workspace's own knows its videos; one from elsewhere does not.
    assert names(batches[-1].earlier) == ["beads.ome.tif"]
    # A file inside an export is that export.
    told = train(workspace, tiny(seed=4), start=first.model_dir / "weights.pth")
    assert told.rehearsed == ("beads.ome.tif",)
    checkpoint = next(workspace.lightning_logs.glob("*/checkpoints/*.ckpt"))
    train(workspace, still, start=checkpoint)
    assert names(batches[-1].new) == ["beads.ome.tif"]
    with pytest.raises(ModelError, match="nowhere"):
        train(workspace, still, start="nowhere.ckpt")


def test_models_are_listed_and_compared(workspace, tiny):
    assert list_models(workspace.root).empty
    first = train(workspace, tiny())
    second = train(workspace, tiny(incremental=False, seed=1))
    listed = list_models(workspace.root)
    assert listed["version"].tolist() == [first.model_dir.name, second.model_dir.name]
    assert listed["current"].tolist() == [False, True]
    assert listed["network"].tolist() == ["grid 8-12", "grid 8-12"]
    assert listed["videos"].tolist() == [1, 1]
    assert listed["f1"].tolist() == [first.scores["val_f1"], second.scores["val_f1"]]
    (workspace.models / "v_20200101_000000").mkdir()
    (workspace.models / "v_20200101_000000" / "weights.pth").write_bytes(b"half")
    odd = workspace.models / "v_20200102_000000"
    odd.mkdir()
    (odd / "weights.pth").write_bytes(b"half")
    for text in ("junk", "[]", '{"architecture": {"type": "of another age"}}'):
        (odd / "metadata.json").write_text(text, encoding="utf-8")
        row = list_models(workspace.root).set_index("version").loc[odd.name]
        assert row["created"] == "metadata.json is missing or damaged"
        assert pd.isna(row["network"])
    (odd / "weights.pth").unlink()
    row = list_models(workspace.root).set_index("version").loc[odd.name]
    assert row["created"] == "holds no weights"
    compared = compare_models(workspace.root)
    assert set(compared["model"]) == {"bundled", *(f.name for f in workspace.model_folders())}
    broken = compared[compared["model"] == "v_20200101_000000"]
    assert broken["frames"].str.startswith("cannot be loaded: ").tolist() == [True]
    own = compared[(compared["model"] == first.model_dir.name)]
    assert own["frames"].tolist() == ["beads.ome.tif", "simulated scenes"]


def test_a_checkpoint_is_exported_as_a_model_folder(workspace, tiny, tmp_path):
    train(workspace, tiny())
    checkpoint = workspace.lightning_logs / "last.ckpt"
    folder = export_checkpoint(checkpoint, out=tmp_path / "v_20300101_000000")
    assert folder == tmp_path / "v_20300101_000000"
    assert load_model(folder).weights_sha256() == load_model(checkpoint).weights_sha256()
    inside = export_checkpoint(checkpoint, workspace=workspace.root)
    assert inside.parent == workspace.models
    metadata = json.loads((inside / "metadata.json").read_text(encoding="utf-8"))
    assert set(metadata["scores_by_video"]) == {"beads.ome.tif", "simulated scenes"}
    # What it learned is what its run learned, not what lies in the workspace now.
    assert [video["name"] for video in metadata["videos"]] == ["beads.ome.tif"]
    assert metadata["data_info"]["num_videos"] == 1
    with pytest.raises(ModelError, match="exists already"):
        export_checkpoint(checkpoint, out=folder)
    with pytest.raises(ModelError, match="say where to"):
        export_checkpoint(checkpoint)


def test_a_fit_outside_a_workspace_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    detector, validation = fit(tiny(), progress_bar=False)
    assert list(tmp_path.iterdir()) == []
    assert 0 < detector.threshold < 1
    assert set(validation.by_set) == {"simulated scenes"}

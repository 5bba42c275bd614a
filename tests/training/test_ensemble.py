"""Ensembles: trained member by member, continued, interrupted, and used as one model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import cloudtrainer as ct
from cloudtrainer.cli import app
from cloudtrainer.config import Config, ExperimentSettings
from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.errors import ConfigError, TrainingError, WorkspaceError
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.training import compare_models, fit, list_models, train
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.callbacks import time_in_words
from cloudtrainer.training.checkpoints import Checkpoints, saved_run, unfinished_run
from cloudtrainer.training.ensemble import mean_history, member_config, member_start
from cloudtrainer.training.start import Start, choose_start


class PowerCutError(Exception):
    pass


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def add_video(place, name, seed):
    settings = ExperimentSettings(frames=8, height_px=48, width_px=64, particles=8, seed=seed)
    truth = write_experiment(simulate_experiment(settings), place.videos / f"{name}.ome.tif")
    truth.rename(place.annotations / truth.name)


def train_until(place, config, monkeypatch, cut):
    """Train until the state of a member, counted from 0, after an epoch of it is saved."""
    save = Checkpoints.on_validation_end

    def save_then_fail(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if (len(self.members), trainer.current_epoch) == cut:
            raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_validation_end", save_then_fail)
        with pytest.raises(PowerCutError):
            train(place, config, progress_bar=False)


@pytest.fixture
def batches(monkeypatch):
    """Return a list of the seed and step of every batch that is drawn."""
    drawn, draw = [], BatchMaker.draw

    def spy(self, step, device):
        drawn.append((self.config.training.seed, step))
        return draw(self, step, device)

    monkeypatch.setattr(BatchMaker, "draw", spy)
    return drawn


def test_an_ensemble_is_trained_member_by_member_and_used_as_one_model(workspace, tiny, batches):
    told = []
    result = train(workspace, tiny(ensemble=2, seed=5), say=told.append)
    assert batches == [(seed, step) for seed in (5, 6) for step in range(6)]
    assert [line.split(".")[0].split(":")[0] for line in told if line.startswith("Member")] == [
        "Member 1 of 2",
        "Member 2 of 2",
    ]
    assert sum("to go for all members" in line for line in told) == 1
    assert any(line.startswith("Member 2 of 2: about") for line in told)

    whole = load_model(result.model_dir)
    assert isinstance(whole.model, EnsembleNet)
    first, second = whole.model.members
    assert not same(first, second)
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["architecture"]["members"] == 2
    assert len(metadata["history"]["val_loss"]) == 2
    assert unfinished_run(workspace.lightning_logs) is None

    table = list_models(workspace.root)
    assert list(table["network"]) == ["2 x grid 8-12"]
    compared = compare_models(workspace.root)
    assert set(compared["model"]) == {"bundled", result.model_dir.name}
    video = sorted(workspace.videos.glob("*"))[0]
    found = ct.extract_particles_from_predictions(whole, video, threshold=0.05)
    assert set(found.columns) >= {"frame", "x", "y", "x_error", "y_error", "probability"}
    assert compared[compared["model"] == result.model_dir.name]["f1"].notna().all()
    runs = sorted(path.name for path in workspace.lightning_logs.glob("run_*"))
    assert len(runs) == 2
    assert runs[1] == f"{runs[0]}_member_2"


def test_the_first_member_is_what_a_single_network_becomes(workspace, tiny, tmp_path):
    other = shutil.copytree(workspace.root, tmp_path / "other")
    whole = load_model(train(workspace, tiny(ensemble=2), progress_bar=False).model_dir)
    single = load_model(train(other, tiny(), progress_bar=False).model_dir)
    assert same(whole.model.members[0], single.model)


def test_outside_a_workspace_an_ensemble_is_one_too(tiny):
    detector, validation = fit(tiny(ensemble=2, epochs=1, architecture="unet"), progress_bar=False)
    assert len(detector.model.members) == 2
    assert not same(*detector.model.members)
    assert 0 <= validation.score.f1 <= 1


@pytest.mark.parametrize("cut", [(0, 1), (1, 0), (0, 0)], ids=["seam", "second", "first"])
def test_a_halted_ensemble_goes_on_with_the_member_it_was_at(
    workspace, tiny, tmp_path, monkeypatch, batches, cut
):
    config = tiny(ensemble=2)
    reference = shutil.copytree(workspace.root, tmp_path / "reference")
    wanted = load_model(train(reference, config, progress_bar=False).model_dir)
    batches.clear()

    train_until(workspace, config, monkeypatch, cut)
    result = train(workspace, config, progress_bar=False)
    # Every batch was drawn once: neither a finished member nor a finished epoch again.
    assert batches == [(seed, step) for seed in (0, 1) for step in range(6)]
    got = load_model(result.model_dir)
    assert got.weights_sha256() == wanted.weights_sha256()
    assert (got.threshold, got.error_scale) == (wanted.threshold, wanted.error_scale)
    assert len(workspace.model_folders()) == 1


def test_a_member_killed_in_its_first_epoch_is_begun_again(workspace, tiny, monkeypatch, batches):
    config = tiny(ensemble=2)

    def fail(self, trainer, pl_module):
        if self.members:
            raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_validation_start", fail, raising=False)
        with pytest.raises(PowerCutError):
            train(workspace, config, progress_bar=False)
    batches.clear()
    train(workspace, config, progress_bar=False)
    assert batches == [(1, step) for step in range(6)]


def test_a_finished_member_whose_states_are_gone_is_named(workspace, tiny, monkeypatch):
    config = tiny(ensemble=3, epochs=1)
    train_until(workspace, config, monkeypatch, (1, 0))
    (first,) = saved_run(workspace.lightning_logs).members
    shutil.rmtree(workspace.lightning_logs / first)
    with pytest.raises(TrainingError, match=f"{first}, a finished member.*--no-resume"):
        train(workspace, config, progress_bar=False)
    train(workspace, config, resume=False, progress_bar=False)


def test_a_disk_that_is_full_between_members_loses_none(workspace, tiny, monkeypatch, batches):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cloudtrainer.training.checkpoints.shutil.copyfile", no_room)
        with pytest.raises(WorkspaceError, match="make room, and give the same command again"):
            train(workspace, tiny(ensemble=2), progress_bar=False)
    train(workspace, tiny(ensemble=2), progress_bar=False)
    assert batches == [(seed, step) for seed in (0, 1) for step in range(6)]


def test_an_interrupted_single_network_is_not_taken_for_an_ensemble(workspace, tiny, monkeypatch):
    train_until(workspace, tiny(), monkeypatch, (0, 0))
    told = []
    train(workspace, tiny(ensemble=2, epochs=1), progress_bar=False, say=told.append)
    assert any("is not continued: its settings were others" in line for line in told)


def made(place, config, members):
    """Put a model of drawn weights into a workspace; return it."""
    config = config.model_copy(deep=True)
    config.training.ensemble = members
    detector = ParticleDetector(config)
    for number, weights in enumerate(detector.model.parameters()):
        weights.data += 0.01 * number
    for number, own in enumerate(getattr(detector.model, "members", [])):
        own.head.bias.data += number
    export_model(detector, place.new_model_folder(), scores={}, origin={"num_videos": 0})
    return detector


@pytest.mark.parametrize(
    ("there", "asked", "begin_with", "note"),
    [
        (3, 3, [0, 1, 2], None),
        (2, 5, [0, 1, 0, 1, 0], "every member is continued, and the further ones begin with"),
        (3, 2, [0, 1], "members 1 to 2 are continued. To continue all: --ensemble 3"),
        (3, 1, [0], "member 1 alone is continued. To continue all: --ensemble 3"),
    ],
)
def test_each_member_continues_its_own(workspace, tiny, there, asked, begin_with, note):
    old = made(workspace, tiny(), there)
    start, config = choose_start(workspace, tiny(ensemble=asked), None)
    assert [note for note in start.notes if "ensemble" in note] == list(start.notes)
    assert len(start.notes) == (note is not None)
    assert note is None or note in start.notes[0]
    for number, member in enumerate(begin_with):
        own = member_start(start, member_config(config, number), number)
        assert same(own.detector.model, old.model.members[member])


def test_a_single_model_is_the_start_of_every_member(workspace, tiny):
    old = made(workspace, tiny(), 1)
    start, config = choose_start(workspace, tiny(ensemble=3), None)
    assert "All 3 members of the ensemble begin with the current model" in start.notes[0]
    for number in range(3):
        own = member_start(start, member_config(config, number), number)
        assert same(own.detector.model, old.model)


def test_a_new_video_is_learned_by_every_member(workspace, tiny):
    config = tiny(ensemble=2, max_f1_loss=1.0)
    first = train(workspace, config, progress_bar=False)
    add_video(workspace, "second", seed=7)
    told = []
    # So small a rate that a member can be told by its weights.
    config.training.learning_rate = 1e-6
    second = train(workspace, config, progress_bar=False, say=told.append)
    assert second.is_current
    assert second.learned == ("second.ome.tif",)
    assert f"Beginning with the current model {first.model_dir.name}." in told
    old, new = load_model(first.model_dir).model.members, load_model(second.model_dir).model.members
    for number in range(2):
        apart = [
            (new[number].head.weight - old[other].head.weight).abs().max().item()
            for other in range(2)
        ]
        assert apart[number] < 1e-4 < apart[1 - number]
    metadata = json.loads((second.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["parent"] == first.model_dir.name
    assert len(metadata["history"]["val_loss"]) == 4


def test_a_model_that_knows_every_video_still_becomes_an_ensemble(workspace, tiny, batches):
    first = train(workspace, tiny(epochs=1), progress_bar=False)
    assert not train(workspace, tiny(epochs=1), progress_bar=False).trained
    batches.clear()
    second = train(workspace, tiny(epochs=1, ensemble=2, max_f1_loss=1.0), progress_bar=False)
    assert batches == [(seed, step) for seed in (0, 1) for step in range(3)]
    assert second.rehearsed == ("beads.ome.tif",)
    assert workspace.current_model() == second.model_dir != first.model_dir
    assert not train(workspace, tiny(epochs=1, ensemble=2), progress_bar=False).trained


def test_a_legacy_network_can_be_continued_as_an_ensemble(workspace, tiny, tmp_path):
    old = ParticleDetector(tiny(architecture="unet"), normalisation="video_maximum")
    checkpoint = {
        "model_state_dict": old.model.state_dict(),
        "config": {"model": {"name": "v2", "architecture": "unet", "unet_channels": [4, 8]}},
    }
    torch.save(checkpoint, tmp_path / "best_model.pth")
    result = train(
        workspace,
        tiny(ensemble=2, epochs=1, simulated_share=0.0),
        start=tmp_path / "best_model.pth",
        progress_bar=False,
    )
    whole = load_model(result.model_dir)
    assert whole.normalisation == "video_maximum"
    assert len(whole.model.members) == 2
    assert not same(*whole.model.members)


def test_the_history_of_an_ensemble_is_the_mean_of_those_that_still_learn():
    histories = [{"val_loss": [4.0, 2.0, 1.0]}, {"val_loss": [2.0]}, {"val_loss": [3.0, 4.0]}]
    assert mean_history(histories) == {"val_loss": [3.0, 3.0, 1.0]}
    assert mean_history(histories[:1]) == histories[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_a_time_is_said_in_words(seconds, words):
    assert time_in_words(seconds) == words


@pytest.mark.parametrize("number", ["0", "21", "-1", "two"])
def test_a_number_of_members_that_cannot_be_is_refused(workspace, number):
    done = CliRunner().invoke(app, ["train", str(workspace.root), "--ensemble", number])
    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigError | SystemExit)
    assert not workspace.model_folders()


def test_the_settings_refuse_no_members_at_all():
    with pytest.raises(ConfigError, match=r"training\.ensemble"):
        Config.from_dict({"training": {"ensemble": 0}})


def test_a_start_of_random_weights_has_no_members_to_tell_of(tiny):
    start = Start("random weights")
    assert member_start(start, tiny(), 1) is start


@pytest.mark.slow
def test_kills_at_random_moments_change_no_member(workspace, tiny, tmp_path):
    # One network has learned one video: what is killed is its continuation as an ensemble.
    train(workspace, tiny(epochs=1), progress_bar=False)
    add_video(workspace, "second", seed=7)
    shutil.rmtree(workspace.lightning_logs)
    config = tiny(ensemble=3, epochs=3, steps_per_epoch=4)
    (tmp_path / "settings.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, script, workspace.root, tmp_path, tmp_path / "settings.json"]
    done = subprocess.run(
        [*map(str, command), "12", "4"], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kills"] >= 12
    reference, *killed = told["workspaces"]
    assert reference["models"] == 2
    assert len(killed) >= 1
    for one in killed:
        assert {**one, "leftovers": []} == reference


SCRIPT = """
import sys
from cloudtrainer.config import Config
from cloudtrainer.detector import export
from cloudtrainer.training import train, validation_sets

export._portable = lambda detector: {}
validation_sets._SIMULATED_BATCHES = validation_sets._SIMULATED_IMAGES = 2
validation_sets._SIMULATED_SIDE_PX = 48
if __name__ == "__main__":
    result = train(sys.argv[1], Config.load(sys.argv[2]), progress_bar=False)
    sys.stdout.write(f"RESULT {result.model_dir.name}\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_train_the_members_one_after_the_other(workspace, tiny, tmp_path, strategy):
    config = tiny(devices=2, strategy=strategy, ensemble=2)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(config.to_dict()), encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(workspace.root), str(settings)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = workspace.model_folders()
    results = {line for line in done.stdout.splitlines() if line.startswith("RESULT")}
    assert results == {f"RESULT {folder.name}"}
    assert done.stdout.count("Member 2 of 2") == 1
    assert not same(*load_model(folder).model.members)
    runs = [path for path in workspace.lightning_logs.glob("run_*") if path.is_dir()]
    assert len(runs) == 2
    assert unfinished_run(workspace.lightning_logs) is None

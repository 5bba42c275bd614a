"""Nothing is lost: trainings that are killed, and disks that are full."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.detector import load_model
from cloudtrainer.errors import TrainingError, WorkspaceError
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.training import train
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.checkpoints import Checkpoints, saved_run
from cloudtrainer.workspace import Workspace


def add_video(place, name, seed):
    settings = ExperimentSettings(frames=8, height_px=48, width_px=64, particles=8, seed=seed)
    truth = write_experiment(simulate_experiment(settings), place.videos / f"{name}.ome.tif")
    truth.rename(place.annotations / truth.name)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(workspace, tiny, tmp_path):
    # One video is learned already, so that a kill may also strike the rehearsal and the ledger.
    train(workspace, tiny(epochs=1), progress_bar=False)
    add_video(workspace, "second", seed=7)
    shutil.rmtree(workspace.lightning_logs)
    config = tiny(epochs=6, steps_per_epoch=5, schedule="plateau", plateau_patience=1)
    (tmp_path / "settings.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, script, workspace.root, tmp_path, tmp_path / "settings.json"]
    done = subprocess.run(
        [*map(str, command), "20", "1"], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kills"] >= 20
    reference, *killed = told["workspaces"]
    assert reference["models"] == 2
    assert reference["learned"] == ["second.ome.tif"]
    assert len(reference["history"]["val_loss"]) == 7
    assert len(killed) >= 1
    for one in killed:
        assert {**one, "leftovers": []} == reference


six_mb = pytest.mark.parametrize("small_disk", [6], indirect=True)


def fill(folder):
    """Write until nothing more fits; return the file."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


@six_mb
def test_a_disk_that_fills_up_loses_neither_ledger_nor_checkpoint(
    workspace, tiny, small_disk, monkeypatch
):
    config = tiny(epochs=3)
    reference = train(workspace, config).model_dir
    shutil.copytree(workspace.root / "training_data", small_disk / "w" / "training_data")
    shutil.rmtree(small_disk / "w" / "training_data" / "rehearsal")
    place = Workspace.open(small_disk / "w")
    known = {"old.tif": {"hash": "0" * 32, "model_version": "v_1"}}
    place.ledger.write_text(json.dumps(known), encoding="utf-8")
    before = place.ledger.read_bytes()

    save = Checkpoints.on_validation_end

    def save_then_fill(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if trainer.current_epoch == 0:
            fill(small_disk)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_validation_end", save_then_fill)
        with pytest.raises(WorkspaceError, match="make room, and give the same command again"):
            train(place, config)
    assert place.ledger.read_bytes() == before
    saved = saved_run(place.lightning_logs)
    assert len(saved.history["val_loss"]) == 1
    load_model(saved.last)
    assert not list(place.root.rglob("*.part"))

    # While the disk is full, the next run says so before it begins.
    with pytest.raises(WorkspaceError, match="No space left"):
        train(place, config)
    (small_disk / "ballast").unlink()
    result = train(place, config)
    assert load_model(result.model_dir).weights_sha256() == load_model(reference).weights_sha256()
    assert set(json.loads(place.ledger.read_text("utf-8"))) == {"old.tif", "beads.ome.tif"}


@six_mb
def test_a_disk_that_is_full_at_the_end_keeps_the_training(
    workspace, tiny, small_disk, monkeypatch
):
    from cloudtrainer.training import run

    shutil.copytree(workspace.root / "training_data", small_disk / "w" / "training_data")
    place = Workspace.open(small_disk / "w")
    finish = run.finish

    def fill_then_finish(*rest):
        fill(small_disk)
        return finish(*rest)

    with monkeypatch.context() as patch:
        patch.setattr(run, "finish", fill_then_finish)
        with pytest.raises(Exception, match=r"cannot be written"):
            train(place, tiny())
    assert not place.ledger.exists()
    assert place.model_folders() == []
    (small_disk / "ballast").unlink()
    drawn = []
    monkeypatch.setattr(BatchMaker, "draw", lambda *rest: drawn.append(rest))
    result = train(place, tiny())
    assert drawn == []
    assert place.current_model() == result.model_dir


def test_a_workspace_that_is_read_only_is_named(workspace, tiny, tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir()
    bound = subprocess.run(
        ["mount", "--bind", str(workspace.root), str(folder)], capture_output=True
    )
    if bound.returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        with pytest.raises(WorkspaceError, match="cannot be written"):
            train(folder, tiny())
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def poisoned(monkeypatch, at_step):
    """Let the images of one step hold a number that is none."""
    draw = BatchMaker.draw

    def draw_poison(self, step, device):
        scenes = draw(self, step, device)
        if step == at_step:
            scenes.images[0, 0, 0] = float("nan")
        return scenes

    monkeypatch.setattr(BatchMaker, "draw", draw_poison)


def test_a_loss_that_is_no_number_stops_and_names_the_batch(workspace, tiny, monkeypatch):
    with monkeypatch.context() as patch:
        poisoned(patch, at_step=4)
        with pytest.raises(TrainingError) as told:
            train(workspace, tiny())
    message = str(told.value)
    assert "step 4 (epoch 2)" in message
    assert "beads.ome.tif frame" in message
    assert "learning_rate" in message
    # The state of the epoch before is there, and is good.
    saved = saved_run(workspace.lightning_logs)
    assert len(saved.history["val_loss"]) == 1
    state = torch.load(saved.last, weights_only=True)["state_dict"]
    assert all(torch.isfinite(values).all() for values in state.values())
    train(workspace, tiny())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to"),
    ],
    ids=["device", "host"],
)
def test_a_batch_that_does_not_fit_into_memory_is_halved(workspace, tiny, monkeypatch, error):
    draw, sizes = BatchMaker.draw, []

    def draw_small(self, step, device):
        size = self.config.training.batch_size
        sizes.append((step, size))
        if step == 4 and size > 2:
            raise error
        return draw(self, step, device)

    monkeypatch.setattr(BatchMaker, "draw", draw_small)
    told = []
    config = tiny(epochs=3, batch_size=8)
    result = train(workspace, config, say=told.append)
    assert [line for line in told if "memory" in line] == [
        "The device's memory does not hold a batch of 8 crops: going on with 4.",
        "The device's memory does not hold a batch of 4 crops: going on with 2.",
    ]
    # What was learned before is kept: the run goes on from the epoch before.
    assert sizes == [
        *[(step, 8) for step in range(5)],
        *[(step, 4) for step in (3, 4)],
        *[(step, 2) for step in range(3, 9)],
    ]
    # The settings are those that were asked for.
    assert load_model(result.model_dir).config == config


def test_memory_too_small_for_a_single_crop_is_said(workspace, tiny, monkeypatch):
    def never(self, step, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(BatchMaker, "draw", never)
    with pytest.raises(TrainingError, match="crop_px"):
        train(workspace, tiny(batch_size=2))


def test_the_smaller_batch_is_remembered_by_a_run_that_is_continued(workspace, tiny, monkeypatch):
    draw, sizes = BatchMaker.draw, []

    def draw_small(self, step, device):
        size = self.config.training.batch_size
        sizes.append((step, size))
        if size > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if step == 3 and not os.environ.get("GO_ON"):
            raise KeyError("power cut")
        return draw(self, step, device)

    monkeypatch.setattr(BatchMaker, "draw", draw_small)
    with pytest.raises(KeyError):
        train(workspace, tiny(batch_size=8))
    sizes.clear()
    monkeypatch.setenv("GO_ON", "1")
    train(workspace, tiny(batch_size=8))
    assert sizes == [(step, 4) for step in (3, 4, 5)]

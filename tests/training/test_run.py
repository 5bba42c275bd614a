import itertools
import json
import math
import signal

import pandas as pd
import pytest
import torch

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.errors import ConfigError, LabelError, ModelError, WorkspaceError
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.training import run, train
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.checkpoints import Checkpoints, saved_run, unfinished_run


def weights(detector):
    return detector.model.state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def steps(monkeypatch):
    """Return the numbers of the steps whose batches are drawn."""
    drawn, draw = [], BatchMaker.draw

    def spy(self, step, device):
        drawn.append(step)
        return draw(self, step, device)

    monkeypatch.setattr(BatchMaker, "draw", spy)
    return drawn


class PowerCutError(Exception):
    pass


def cut_after(epoch, monkeypatch, error=PowerCutError):
    """Let the power fail when the state after this epoch has been saved."""
    save = Checkpoints.on_validation_end

    def cut(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if trainer.current_epoch == epoch:
            monkeypatch.setattr(Checkpoints, "on_validation_end", save)
            raise error

    monkeypatch.setattr(Checkpoints, "on_validation_end", cut)


def test_a_run_leaves_an_export_checkpoints_and_metrics(workspace, tiny):
    result = train(workspace, tiny(epochs=5))
    assert result.model_dir.parent == workspace.models
    assert {path.name for path in result.model_dir.iterdir()} == {
        "weights.pth",
        "weights.safetensors",
        "model.onnx",
        "metadata.json",
        "config.json",
        "MODEL_CARD.md",
        "training_progress.png",
    }
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    finite = {name: value for name, value in result.scores.items() if math.isfinite(value)}
    assert metadata["performance"] == finite
    assert [video["name"] for video in metadata["videos"]] == ["beads.ome.tif"]
    assert set(metadata["scores_by_video"]) == {"beads.ome.tif", "simulated scenes"}
    assert {"val_f1", "val_precision", "val_recall", "val_rmse_px"} <= result.scores.keys()
    assert {"val_loss", "val_dice", "val_iou"} <= result.scores.keys()

    logs = workspace.lightning_logs
    saved = saved_run(logs)
    kept = list((logs / saved.name / "checkpoints").glob("*.ckpt"))
    assert len(kept) == 3
    [metrics_file] = logs.glob("**/metrics.csv")
    assert metrics_file.parent.parent == logs / saved.name
    metrics = pd.read_csv(metrics_file)
    every_epoch = {
        f"{part}_{name}"
        for part in ("train", "val")
        for name in ("loss", "mask_f1", "dice", "iou", "f1", "precision", "recall", "rmse_px")
    }
    assert every_epoch | {"train_loss_step", "epoch"} <= set(metrics.columns)
    assert (metrics[sorted(every_epoch)].notna().sum() == 5).all()
    assert any(name.startswith("lr-") for name in metrics.columns)
    assert list((logs / saved.name).glob("version_0/events.out.tfevents.*"))
    # The three of the lowest loss are those that were kept, and the lowest is what is exported.
    losses = metrics["val_loss"].dropna()
    named = sorted(float(path.stem.rpartition("val_loss=")[2]) for path in kept)
    assert named == pytest.approx(sorted(losses.nsmallest(3)), abs=1e-4)
    assert result.scores["val_loss"] == pytest.approx(losses.min())
    assert same(weights(load_model(saved.best)), weights(load_model(result.model_dir)))
    assert len(saved.history["val_loss"]) == 5
    assert not [path for path in workspace.root.rglob("*") if path.name.endswith(".part")]

    assert result.learned == ("beads.ome.tif",)
    [left_out] = result.left_out
    assert left_out.startswith("other.ome.tif: no labels; they are expected as ")
    assert left_out.endswith("other_particles.csv")
    assert result.is_current
    assert workspace.current_model() == result.model_dir


def test_what_was_left_is_told_in_words(workspace, tiny):
    said = []
    result = train(workspace, tiny(epochs=1), say=said.append)
    # Before hours are spent on it.
    assert said[0].startswith("left out: other.ome.tif: no labels")
    assert "To learn: beads.ome.tif." in said
    text = str(result)
    assert "Learned from beads.ome.tif." in text
    assert "new videos" in text
    assert str(result.model_dir) in text
    assert "current model" in text


def test_its_checkpoints_and_its_export_load_as_detectors(workspace, tiny):
    config = tiny()
    result = train(workspace, config)
    export = load_model(result.model_dir)
    last = ParticleDetector.load_from_checkpoint(workspace.lightning_logs / "last.ckpt")
    assert last.config == export.config == config
    assert last.normalisation == export.normalisation == "noise"
    for path in workspace.lightning_logs.glob("*/checkpoints/*.ckpt"):
        assert load_model(path).config == config


def test_a_workspace_without_labels_learns_from_simulation(workspace, tiny):
    next(workspace.annotations.iterdir()).unlink()
    result = train(workspace, tiny(epochs=1))
    assert result.learned == ()
    assert len(result.left_out) == 2
    assert "simulated scenes alone" in str(result)
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["data_info"]["num_videos"] == 0
    assert metadata["data_info"]["simulated_share"] == 1.0


def test_particles_are_simulated_over_videos_without_labels_when_asked(workspace, tiny):
    settings = tiny(epochs=1, unlabelled="simulate")
    fast = ExperimentSettings(frames=24, height_px=48, width_px=64, particles=8, D_um2_per_s=20)
    truth = write_experiment(
        simulate_experiment(fast), workspace.videos / "other.ome.tif", overwrite=True
    )
    truth.unlink()
    result = train(workspace, settings)
    assert result.left_out == ()
    assert any("simulated particles are drawn over" in note for note in result.notes)
    assert result.learned == ("beads.ome.tif",)


def test_the_unet_trains_too(workspace, tiny):
    result = train(workspace, tiny(architecture="unet", epochs=1, steps_per_epoch=2))
    detector = load_model(result.model_dir)
    assert detector.config.model.architecture == "unet"
    assert detector.normalisation == "noise"
    fresh = ParticleDetector(detector.config)
    assert not same(weights(detector), weights(fresh))


def test_a_seed_gives_one_model(workspace, tiny):
    first = train(workspace, tiny(incremental=False))
    second = train(workspace, tiny(incremental=False))
    assert first.model_dir != second.model_dir
    assert same(weights(load_model(first.model_dir)), weights(load_model(second.model_dir)))
    other = train(workspace, tiny(incremental=False, seed=1))
    assert not same(weights(load_model(first.model_dir)), weights(load_model(other.model_dir)))


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
@pytest.mark.parametrize("cut_epoch", [0, 2])
def test_an_interrupted_run_continues_as_if_it_had_not_been(
    workspace, tiny, steps, monkeypatch, cut_epoch, schedule
):
    config = tiny(epochs=5, incremental=False, schedule=schedule, plateau_patience=0)
    whole = train(workspace, config)
    rates = saved_run(workspace.lightning_logs).history["learning_rate"]
    assert steps == list(range(15))
    steps.clear()

    cut_after(cut_epoch, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    assert steps == list(range(3 * (cut_epoch + 1)))
    assert len(workspace.model_folders()) == 1

    steps.clear()
    told = []
    resumed = train(workspace, config, say=told.append)
    assert any(f"after epoch {cut_epoch + 1}" in line for line in told)
    assert steps == list(range(3 * (cut_epoch + 1), 15))
    assert same(weights(load_model(whole.model_dir)), weights(load_model(resumed.model_dir)))
    assert resumed.scores == pytest.approx(whole.scores, nan_ok=True)
    saved = saved_run(workspace.lightning_logs)
    assert saved.history["learning_rate"] == rates
    # Lightning would have emptied the metrics of the first part.
    logged = [
        pd.read_csv(file)["val_loss"].notna().sum()
        for file in sorted((workspace.lightning_logs / saved.name).glob("version_*/metrics.csv"))
    ]
    assert logged == [cut_epoch + 1, 4 - cut_epoch]


def test_a_plateau_lowers_the_learning_rate(workspace, tiny):
    config = tiny(
        epochs=6,
        schedule="plateau",
        plateau_patience=0,
        plateau_factor=0.1,
        plateau_threshold=0.5,
        learning_rate=1e-3,
    )
    train(workspace, config)
    rates = saved_run(workspace.lightning_logs).history["learning_rate"]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] <= 1e-4
    assert all(
        later in (pytest.approx(now), pytest.approx(now / 10))
        for now, later in itertools.pairwise(rates)
    )


def test_a_cut_before_the_export_leaves_only_the_export_to_do(workspace, tiny, steps, monkeypatch):
    config = tiny(incremental=False)
    cut_after(1, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    best = load_model(saved_run(workspace.lightning_logs).best)
    steps.clear()
    result = train(workspace, config)
    assert steps == []
    assert same(weights(load_model(result.model_dir)), weights(best))
    assert unfinished_run(workspace.lightning_logs) is None


@pytest.mark.parametrize("where", ["keep", "set_current", "mark_finished"])
def test_a_cut_after_the_export_makes_no_second_one(workspace, tiny, monkeypatch, where):
    from cloudtrainer.training import finish
    from cloudtrainer.workspace import Workspace

    def fail(*_):
        raise PowerCutError

    config = tiny(incremental=False)
    with monkeypatch.context() as patch:
        patch.setattr(Workspace if where == "set_current" else finish, where, fail)
        with pytest.raises(PowerCutError):
            train(workspace, config)
    assert len(workspace.model_folders()) == 1
    result = train(workspace, config)
    assert workspace.model_folders() == [result.model_dir]
    assert workspace.current_model() == result.model_dir
    ledger = json.loads(workspace.ledger.read_text(encoding="utf-8"))
    assert ledger["beads.ome.tif"]["model_version"] == result.model_dir.name


def test_a_resumed_run_keeps_three_checkpoints(workspace, tiny, monkeypatch):
    config = tiny(epochs=6, incremental=False)
    cut_after(3, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    train(workspace, config)
    assert len(list(workspace.lightning_logs.glob("*/checkpoints/*.ckpt"))) == 3


def test_an_interrupt_from_the_keyboard_can_be_resumed(workspace, tiny, steps, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    config = tiny(incremental=False)
    cut_after(0, monkeypatch, KeyboardInterrupt)
    try:
        said = []
        with pytest.raises(KeyboardInterrupt):
            train(workspace, config, say=said.append)
        assert said[-1].startswith("Stopped.")
    finally:
        signal.signal(signal.SIGINT, before)
    steps.clear()
    train(workspace, config)
    assert steps == [3, 4, 5]


def test_a_finished_run_is_not_continued(workspace, tiny, steps):
    train(workspace, tiny(incremental=False))
    steps.clear()
    train(workspace, tiny(incremental=False))
    assert steps == list(range(6))


@pytest.mark.parametrize("change", ["resume", "settings", "labels", "videos"])
def test_a_run_starts_anew_when_asked_or_when_something_has_changed(
    workspace, tiny, steps, monkeypatch, change
):
    cut_after(0, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, tiny(incremental=False))
    steps.clear()
    settings = tiny(incremental=False)
    if change == "settings":
        settings = tiny(incremental=False, learning_rate=5e-4)
    if change == "labels":
        labels = next(workspace.annotations.iterdir())
        table = pd.read_csv(labels)
        table.iloc[1:].to_csv(labels, index=False)
    if change == "videos":
        labels = next(workspace.annotations.iterdir())
        labels.with_name("other_particles.csv").write_bytes(labels.read_bytes())
        (workspace.videos / "other.ome.tif").unlink()
        import numpy as np
        import tifffile

        rng = np.random.default_rng(0)
        frames = rng.poisson(50, (8, 48, 64)).astype(np.uint16)
        tifffile.imwrite(workspace.videos / "other.ome.tif", frames, photometric="minisblack")
    told = []
    train(workspace, settings, resume=change != "resume", say=told.append)
    assert steps == list(range(6))
    said = [line for line in told if "is not continued" in line]
    assert len(said) == (0 if change == "resume" else 1)


def test_a_run_is_continued_where_only_the_ledger_knows_more(workspace, tiny, steps, monkeypatch):
    cut_after(0, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, tiny())
    steps.clear()
    # Another run has noted frames that had labels once, which this one does not learn.
    record = saved_run(workspace.lightning_logs).purpose["videos"][0]
    entry = {**record, "labelled": [[0, 7], [20, 30]], "model_version": "v_other"}
    workspace.ledger.write_text(json.dumps({record["name"]: entry}), encoding="utf-8")
    train(workspace, tiny())
    assert steps == [3, 4, 5]


def test_a_checkpoint_of_version_3_under_our_name_is_not_continued(workspace, tiny, steps):
    workspace.lightning_logs.mkdir(parents=True)
    torch.save({"state_dict": {}, "callbacks": {}}, workspace.lightning_logs / "last.ckpt")
    train(workspace, tiny())
    assert steps == list(range(6))


def test_early_stopping_ends_a_run_that_no_longer_improves(workspace, tiny, steps, monkeypatch):
    config = tiny(
        epochs=50, learning_rate=1e-6, early_stopping=True, patience=1, seed=4, incremental=False
    )
    # The stop belongs to the saved state: a run that is killed then only has its export to do.
    ends = []
    finish = run.finish
    monkeypatch.setattr(run, "finish", lambda *rest: ends.append(1) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(workspace, config)
    assert 3 < len(steps) < 150
    steps.clear()
    monkeypatch.setattr(run, "finish", finish)
    train(workspace, config)
    assert steps == []
    assert unfinished_run(workspace.lightning_logs) is None


def test_frames_held_out_are_never_learned_from(workspace, tiny, monkeypatch):
    from cloudtrainer.training import crops

    cut, choose = [], crops.LabelledFrames._choose

    def spy(frames, *rest):
        chosen = choose(frames, *rest)
        cut.extend(int(frames.videos[which].numbers[frame]) for which, frame, *_ in chosen)
        return chosen

    monkeypatch.setattr(crops.LabelledFrames, "_choose", spy)
    train(workspace, tiny(epochs=3, steps_per_epoch=6, batch_size=8, simulated_share=0.0))
    # A quarter of eight frames, the last two, is held out.
    assert set(cut) == set(range(6))


def test_labels_that_are_wrong_stop_the_run_before_it_begins(workspace, tiny):
    labels = next(workspace.annotations.iterdir())
    labels.write_text("frame,x,y\n0,500,3\n", encoding="utf-8")
    with pytest.raises(LabelError, match="outside the frame"):
        train(workspace, tiny())
    labels.write_text("frame,x,y\n", encoding="utf-8")
    with pytest.raises(LabelError, match="holds no particle"):
        train(workspace, tiny())
    assert list(workspace.models.iterdir()) == []


def test_a_folder_that_is_no_workspace_is_refused(tmp_path, tiny):
    with pytest.raises(WorkspaceError, match="cloudtrainer init"):
        train(tmp_path / "nothing", tiny())


def test_a_damaged_newest_model_is_named(workspace, tiny):
    folder = workspace.models / "v_20990101_000000"
    folder.mkdir()
    (folder / "weights.pth").write_bytes(b"half")
    with pytest.raises(ModelError, match="v_20990101_000000"):
        train(workspace, tiny())


def test_a_folder_in_the_place_of_the_newest_state_is_named_before_the_run(workspace, tiny, steps):
    (workspace.lightning_logs / "last.ckpt").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="is a folder"):
        train(workspace, tiny())
    assert steps == []


def test_labels_of_which_none_fits_a_video_stop_the_run(workspace, tiny, steps):
    [labels] = workspace.annotations.iterdir()
    labels.rename(labels.with_name("misspelt_particles.csv"))
    with pytest.raises(LabelError, match="misspelt_particles"):
        train(workspace, tiny())
    assert steps == []


def test_a_video_on_which_nothing_is_found_is_warned_of(workspace, tiny):
    result = train(workspace, tiny(epochs=1))
    [warning] = result.warnings
    assert warning.startswith("beads.ome.tif: F1 is only 0.0")
    assert f"warning: {warning}" in str(result)
    assert "nan" not in str(result)


def test_a_ledger_that_lost_its_entries_is_made_whole_again(workspace, tiny):
    train(workspace, tiny())
    for lost in ("{}", '{"trained_files": 5}', "junk"):
        workspace.ledger.write_text(lost, encoding="utf-8")
        said = []
        assert not train(workspace, tiny(), say=said.append).trained
        assert any("known from the models' own lists" in line for line in said)
        assert "beads.ome.tif" in json.loads(workspace.ledger.read_text(encoding="utf-8"))
        said.clear()
        train(workspace, tiny(), say=said.append)
        assert not any("own lists" in line for line in said)
    assert len(list(workspace.cache.glob("training_tracker.json.damaged*"))) == 2


@pytest.mark.parametrize("strategy", ["nonsense", "", "ddp_notebook_x"])
def test_a_strategy_that_is_none_is_named(workspace, tiny, strategy):
    with pytest.raises(ConfigError, match=r"training\.strategy"):
        train(workspace, tiny(strategy=strategy))


def test_a_second_training_in_one_workspace_is_refused(workspace, tiny):
    from filelock import FileLock

    with (
        FileLock(workspace.logs / "training.lock"),
        pytest.raises(WorkspaceError, match="another training"),
    ):
        train(workspace, tiny())
    train(workspace, tiny(epochs=1))


@pytest.mark.slow
def test_a_few_hundred_steps_find_easy_particles():
    from cloudtrainer.config import Config, ExperimentSettings
    from cloudtrainer.evaluation import score_detections
    from cloudtrainer.simulation import simulate_experiment
    from cloudtrainer.training import fit

    config = Config.from_dict(
        {
            "model": {"grid_channels": [16, 24, 32]},
            "training": {"epochs": 3, "steps_per_epoch": 100, "batch_size": 16, "crop_px": 48},
            "scenes": {
                "spot_sigma_px": [1.2, 1.8],
                "peak_snr": [6, 15],
                "density_per_1000_px2": [0.5, 1.5],
                "background_photons": [50, 200],
                "background_structure": 0.1,
                "ring_share": 0.0,
                "clutter_share": 0.0,
                "compressed_share": 0.0,
                "speck_share": 0.0,
                "smeared_share": 0.0,
            },
        }
    )
    detector, validation = fit(config, progress_bar=False)
    assert validation.score.f1 > 0.9
    experiment = simulate_experiment(
        ExperimentSettings(frames=5, particles=40, peak_snr=[7, 12], seed=99)
    )
    score = score_detections(detector.detect(experiment.frames), experiment.truth, 2.0)
    assert score.f1 > 0.9

import json
import math
import signal

import pandas as pd
import pytest
import torch

from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.errors import LabelError, ModelError, WorkspaceError
from cloudtrainer.training import run, train
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.labelled import LabelledFrames


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
    save = run.LastCheckpoint.on_validation_end

    def cut(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if trainer.current_epoch == epoch:
            monkeypatch.setattr(run.LastCheckpoint, "on_validation_end", save)
            raise error

    monkeypatch.setattr(run.LastCheckpoint, "on_validation_end", cut)


def test_a_run_leaves_an_export_checkpoints_and_metrics(workspace, tiny):
    result = train(workspace, tiny(epochs=5))
    assert result.model_dir.parent == workspace.models
    assert {path.name for path in result.model_dir.iterdir()} == {
        "weights.pth",
        "metadata.json",
        "config.json",
        "MODEL_CARD.md",
    }
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    finite = {name: value for name, value in result.scores.items() if math.isfinite(value)}
    assert metadata["performance"] == finite
    assert metadata["data_info"]["videos"] == ["beads.ome.tif"]
    assert {"val_f1", "val_precision", "val_recall", "val_rmse_px"} <= result.scores.keys()

    logs = workspace.logs / "lightning_logs"
    assert (logs / "last.ckpt").is_file()
    kept = list((logs / "checkpoints").glob("*.ckpt"))
    assert len(kept) == 3
    metrics = pd.read_csv(next(logs.glob("**/metrics.csv")))
    assert metrics["train_loss"].notna().sum() == 5
    assert {"val_loss", "val_f1", "epoch"} <= set(metrics.columns)
    # The three of the lowest loss are those that were kept.
    losses = metrics["val_loss"].dropna().nsmallest(3).round(3)
    named = sorted(float(path.stem.rpartition("val_loss=")[2]) for path in kept)
    assert named == pytest.approx(sorted(losses), abs=1e-9)
    assert not list(workspace.root.glob("**/*.part"))

    assert result.learned == ("beads.ome.tif",)
    assert len(result.left_out) == 1
    assert result.left_out[0].startswith("other.ome.tif: no labels (other_particles.csv)")


def test_its_checkpoints_and_its_export_load_as_detectors(workspace, tiny):
    result = train(workspace, tiny())
    export = load_model(result.model_dir)
    last = ParticleDetector.load_from_checkpoint(workspace.logs / "lightning_logs" / "last.ckpt")
    assert same(weights(last), weights(export))
    assert last.config == export.config == tiny()
    assert last.normalisation == export.normalisation == "noise"
    for path in (workspace.logs / "lightning_logs" / "checkpoints").iterdir():
        assert load_model(path).config == tiny()


def test_a_workspace_without_labels_learns_from_simulation(workspace, tiny):
    next(workspace.annotations.iterdir()).unlink()
    result = train(workspace, tiny(epochs=1))
    assert result.learned == ()
    assert len(result.left_out) == 2
    metadata = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["data_info"]["num_videos"] == 0
    assert metadata["data_info"]["simulated_share"] == 1.0


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


@pytest.mark.parametrize("cut_epoch", [0, 1])
def test_an_interrupted_run_continues_as_if_it_had_not_been(
    workspace, tiny, steps, monkeypatch, cut_epoch
):
    config = tiny(epochs=3, incremental=False)
    whole = train(workspace, config)
    assert steps == list(range(9))
    steps.clear()

    cut_after(cut_epoch, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    assert steps == list(range(3 * (cut_epoch + 1)))
    assert len(workspace.model_folders()) == 1

    steps.clear()
    resumed = train(workspace, config)
    assert steps == list(range(3 * (cut_epoch + 1), 9))
    assert same(weights(load_model(whole.model_dir)), weights(load_model(resumed.model_dir)))
    assert resumed.scores == pytest.approx(whole.scores, nan_ok=True)


def test_a_cut_before_the_last_step_of_all_leaves_only_the_export_to_do(
    workspace, tiny, steps, monkeypatch
):
    config = tiny(incremental=False)
    cut_after(1, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    last = load_model(workspace.logs / "lightning_logs" / "last.ckpt")
    steps.clear()
    result = train(workspace, config)
    assert steps == []
    assert same(weights(load_model(result.model_dir)), weights(last))


def test_a_resumed_run_keeps_three_checkpoints(workspace, tiny, monkeypatch):
    config = tiny(epochs=6, incremental=False)
    cut_after(3, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, config)
    train(workspace, config)
    assert len(list((workspace.logs / "lightning_logs" / "checkpoints").glob("*.ckpt"))) == 3


def test_an_interrupt_from_the_keyboard_can_be_resumed(workspace, tiny, steps, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    config = tiny(incremental=False)
    cut_after(0, monkeypatch, KeyboardInterrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(workspace, config)
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


@pytest.mark.parametrize("how", ["resume", "settings"])
def test_a_run_starts_anew_when_asked_or_with_other_settings(
    workspace, tiny, steps, monkeypatch, how
):
    cut_after(0, monkeypatch)
    with pytest.raises(PowerCutError):
        train(workspace, tiny(incremental=False))
    steps.clear()
    if how == "resume":
        train(workspace, tiny(incremental=False), resume=False)
    else:
        train(workspace, tiny(incremental=False, learning_rate=5e-4))
    assert steps == list(range(6))


def test_an_incremental_run_starts_from_the_newest_model(workspace, tiny, monkeypatch):
    first = train(workspace, tiny())
    assert first.old_scores is None
    began = []
    fit = run.fit

    def spy(config, **keywords):
        began.append(keywords["start"])
        return fit(config, **keywords)

    monkeypatch.setattr(run, "fit", spy)
    still = tiny(learning_rate=1e-6, epochs=1, steps_per_epoch=1)
    second = train(workspace, still)
    assert same(weights(began[0]), weights(load_model(first.model_dir)))
    assert second.old_scores is not None
    assert second.old_scores.keys() == second.scores.keys()
    # One step of 1e-6 changes next to nothing: the start was the earlier model's weights.
    old, new = weights(load_model(first.model_dir)), weights(load_model(second.model_dir))
    assert all((new[k] - old[k]).abs().max() < 1e-4 for k in new if k.endswith("0.weight"))
    train(workspace, tiny(incremental=False))
    assert began[-1] is None


def test_another_network_starts_from_nothing_and_has_no_scores_before(workspace, tiny):
    train(workspace, tiny())
    result = train(workspace, tiny(architecture="unet", epochs=1, steps_per_epoch=1))
    assert result.old_scores is None
    assert load_model(result.model_dir).config.model.architecture == "unet"


def test_early_stopping_ends_a_run_that_no_longer_improves(workspace, tiny, steps, monkeypatch):
    monkeypatch.setattr(run, "_same_network", lambda *_: True)
    config = tiny(epochs=50, learning_rate=1e-6, early_stopping=True, patience=1, seed=4)
    train(workspace, config)
    assert len(steps) < 150
    note = json.loads((workspace.logs / "lightning_logs" / "last_run.json").read_text("utf-8"))
    assert note["finished"]


def test_frames_held_out_are_never_learned_from(workspace, tiny, monkeypatch):
    cut = []
    crop = LabelledFrames._crop

    def spy(labelled, frame, *rest):
        cut.append(frame)
        return crop(labelled, frame, *rest)

    monkeypatch.setattr(LabelledFrames, "_crop", staticmethod(spy))
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


def test_a_video_that_cannot_be_read_is_left_out_with_the_reason(workspace, tiny):
    (workspace.videos / "torn.tif").write_bytes(b"II*\0")
    (workspace.annotations / "torn_particles.csv").write_text("frame,x,y\n0,1,1\n", "utf-8")
    _, left_out = run.find_labelled(workspace, tiny())
    assert [line.partition(":")[0].rpartition("/")[2] for line in left_out] == [
        "other.ome.tif",
        "torn.tif",
    ]


def test_a_folder_that_is_no_workspace_is_refused(tmp_path, tiny):
    with pytest.raises(WorkspaceError, match="cloudtrainer init"):
        train(tmp_path / "nothing", tiny())


def test_a_damaged_newest_model_is_named(workspace, tiny):
    folder = workspace.models / "v_20990101_000000"
    folder.mkdir()
    (folder / "weights.pth").write_bytes(b"half")
    with pytest.raises(ModelError, match="v_20990101_000000"):
        train(workspace, tiny())


@pytest.mark.slow
def test_a_few_hundred_steps_find_easy_particles(monkeypatch):
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

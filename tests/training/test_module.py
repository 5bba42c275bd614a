import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.simulation import draw_scenes
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.metrics import EpochScores, look, truth_table
from cloudtrainer.training.module import TrainableDetector


@pytest.fixture
def scenes(tiny):
    return draw_scenes(tiny().scenes, 6, 48, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_it_is_a_detector_and_a_lightning_module_of_the_same_network(tiny, architecture):
    config = tiny(architecture=architecture)
    module = TrainableDetector(config, BatchMaker(config), [])
    assert isinstance(module, ParticleDetector)
    assert isinstance(module, LightningModule)
    plain = ParticleDetector(config)
    plain.model.load_state_dict(module.model.state_dict())
    # What Lightning saves has the prefix that version 3.0 had.
    assert all(name.startswith("model.") for name in module.state_dict())


@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_a_few_steps_on_one_batch_lower_its_loss(tiny, scenes, architecture):
    torch.manual_seed(0)
    config = tiny(architecture=architecture)
    module = TrainableDetector(config, BatchMaker(config), []).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = look(module, scenes).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]


def test_every_parameter_is_taught(tiny, scenes):
    config = tiny()
    module = TrainableDetector(config, BatchMaker(config), []).train()
    look(module, scenes).loss.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in module.model.head.parameters())
    assert all(p.grad is not None for p in module.parameters())


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth(tiny):
    config = tiny(epochs=10, steps_per_epoch=10, learning_rate=0.01)
    module = TrainableDetector(config, BatchMaker(config), [])
    made = module.configure_optimizers()
    schedule = made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        schedule.step()
    assert made["lr_scheduler"]["interval"] == "step"
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) * 0.001)
    assert max(rates) == pytest.approx(0.01)
    assert rates[54] == pytest.approx(0.01 * 0.505, rel=0.05)
    assert rates[-1] == pytest.approx(0.0001, rel=0.1)
    assert np.all(np.diff(rates[10:]) <= 0)


def test_the_truth_of_a_batch_becomes_a_table(scenes):
    table = truth_table(scenes)
    assert list(table.columns) == ["frame", "x", "y"]
    assert len(table) == int(scenes.present.sum())
    for image in range(6):
        own = table[table["frame"] == image]
        assert own["x"].tolist() == scenes.x[image][scenes.present[image]].tolist()


def perfect(network, scenes, softness=1e-3):
    """Let a grid network answer the truth."""
    from cloudtrainer.detector.targets import grid_targets

    def forward(frames):
        rows, columns = frames.shape[-2] // 2, frames.shape[-1] // 2
        share, offset, _ = grid_targets(scenes.x, scenes.y, scenes.present, rows, columns)
        logit = torch.logit(share.clamp(softness, 1 - softness))
        return torch.cat([logit[:, None], offset, torch.full_like(offset, -1.0)], dim=1)

    network.forward = forward


def test_a_perfect_answer_has_perfect_scores(tiny, scenes):
    config = tiny()
    module = TrainableDetector(config, BatchMaker(config), [])
    perfect(module.model, scenes)
    scores = EpochScores(gate_px=2.0)
    with torch.no_grad():
        looked = look(module, scenes)
    scores.add_loss(looked.loss)
    scores.add(module, scenes, looked)
    numbers = scores.numbers()
    assert numbers["mask_f1"] == numbers["iou"] == 1.0
    assert numbers["dice"] == pytest.approx(1.0, abs=1e-3)
    # Particles nearer than the decoder can part are few.
    assert numbers["f1"] > 0.9
    assert numbers["rmse_px"] < 0.3
    assert numbers["loss"] == pytest.approx(float(looked.loss))


def test_an_empty_answer_finds_nothing(tiny, scenes):
    config = tiny()
    module = TrainableDetector(config, BatchMaker(config), [])
    module.model.forward = lambda frames: torch.full(
        (len(frames), 5, frames.shape[-2] // 2, frames.shape[-1] // 2), -20.0
    )
    scores = EpochScores(gate_px=2.0)
    with torch.no_grad():
        looked = look(module, scenes)
    scores.add(module, scenes, looked)
    numbers = scores.numbers()
    assert (numbers["mask_f1"], numbers["iou"], numbers["f1"], numbers["recall"]) == (0, 0, 0, 0)
    assert numbers["rmse_px"] == 10.0


def test_masks_are_scored_as_by_hand(tiny, scenes):
    from cloudtrainer.training.metrics import Looked, _mask_scores

    guessed = torch.tensor([[0.9, 0.8, 0.1, 0.6]])
    wanted = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    looked = Looked(guessed, guessed, torch.tensor(0.0), guessed, wanted, level=0.5)
    f1, dice, iou = _mask_scores(looked).tolist()
    # Two of three found, one false: 2*2 / (2*2 + 1 + 1), 2 / 4.
    assert f1 == pytest.approx(4 / 6)
    assert iou == pytest.approx(2 / 4)
    assert dice == pytest.approx((2 * 1.6 + 1) / (0.81 + 0.64 + 0.01 + 0.36 + 3 + 1))


@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_moments_of_an_earlier_adam_are_taken_over_where_they_fit(tiny, architecture):
    config = tiny(architecture=architecture)
    plain = ParticleDetector(config)
    adam = torch.optim.Adam(plain.model.parameters(), lr=1e-4)
    for parameter in plain.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    adam.step()
    module = TrainableDetector(config, BatchMaker(config), [], optimizer_state=adam.state_dict())
    made = module.configure_optimizers()
    optimizer = made["optimizer"] if isinstance(made, dict) else made
    first = next(module.parameters())
    assert float(optimizer.state[first]["step"]) == 2
    assert torch.equal(
        optimizer.state[first]["exp_avg"], adam.state[next(plain.parameters())]["exp_avg"]
    )
    # Its learning rate is not: that is a setting.
    assert optimizer.param_groups[0]["initial_lr"] == config.training.learning_rate
    other = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    module = TrainableDetector(config, BatchMaker(config), [], optimizer_state=other.state_dict())
    made = module.configure_optimizers()
    assert not made["optimizer"].state


def test_processes_that_train_together_draw_different_batches(tiny):
    from types import SimpleNamespace

    config = tiny()
    drawn = set()
    for rank in (0, 1, 2):
        module = TrainableDetector(config, BatchMaker(config), [])
        for step in (0, 1, 2, 3):
            module._trainer = SimpleNamespace(global_step=step, world_size=3, global_rank=rank)
            drawn.add(module._step_of_this_process())
    assert drawn == set(range(12))


def test_running_a_model_does_not_import_lightning():
    code = """
import sys
import numpy as np
import cloudtrainer as ct
model = ct.load_model()
ct.extract_particles_from_predictions(model, np.random.default_rng(0).normal(size=(2, 32, 32)))
assert "torch" in sys.modules
print(sorted(name for name in sys.modules if name.partition(".")[0].endswith("lightning")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

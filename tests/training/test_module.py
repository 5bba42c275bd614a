import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.simulation import draw_scenes
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.module import TrainableDetector, truth_table


@pytest.fixture
def scenes(tiny):
    return draw_scenes(tiny().scenes, 6, 48, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_it_is_a_detector_and_a_lightning_module_of_the_same_network(tiny, architecture):
    config = tiny(architecture=architecture)
    module = TrainableDetector(config, BatchMaker(config, None), [])
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
    module = TrainableDetector(config, BatchMaker(config, None), []).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = module._loss(scenes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]


def test_every_parameter_is_taught(tiny, scenes):
    config = tiny()
    module = TrainableDetector(config, BatchMaker(config, None), []).train()
    module._loss(scenes).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in module.model.head.parameters())
    assert all(p.grad is not None for p in module.parameters())


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth(tiny):
    config = tiny(epochs=10, steps_per_epoch=10, learning_rate=0.01)
    module = TrainableDetector(config, BatchMaker(config, None), [])
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

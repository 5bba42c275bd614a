"""bfloat16 on processors that know it: the same particles, twice as fast."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from cloudtrainer import load_model
from cloudtrainer.detector import module, precision
from cloudtrainer.evaluation import score_detections


@pytest.fixture
def bfloat16(monkeypatch):
    """Compute in bfloat16, imitated where the processor does not know it."""
    monkeypatch.setattr(module, "fastest_on", lambda _: torch.autocast("cpu", torch.bfloat16))


def test_only_processors_that_know_bfloat16_compute_in_it(monkeypatch):
    for knows in (True, False):
        monkeypatch.setattr(precision, "processor_knows_bfloat16", lambda knows=knows: knows)
        with precision.fastest_on(torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") is knows
    with precision.fastest_on(torch.device("meta")):
        assert not torch.is_autocast_enabled("cpu")


def test_the_bundled_model_finds_the_same_particles_in_bfloat16(film, monkeypatch, bfloat16):
    fast = load_model().detect(film)
    monkeypatch.setattr(module, "fastest_on", lambda _: nullcontext())
    wanted = load_model().detect(film)
    assert len(wanted) > 50
    score = score_detections(fast, wanted, 0.5)
    assert score.f1 > 0.98
    assert score.rmse_x_px < 0.02
    assert score.rmse_y_px < 0.02


def test_masks_stay_in_32_bit(detector_of, film, bfloat16):
    seen = []
    detector = detector_of("unet")
    detector.model.final_conv.register_forward_hook(lambda *held: seen.append(held[2].dtype))
    detector.detect(film[:, :48, :63])
    assert seen == [torch.float32]


@pytest.fixture
def film():
    """Two frames of 30 spots of 400 photons, of which some are near each other."""
    rng = np.random.default_rng(5)
    row, column = np.indices((128, 128))
    light = np.full((2, 128, 128), 20.0)
    for frame in light:
        for x, y in rng.uniform(8, 120, (30, 2)):
            frame += 28 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 4.5)
    return rng.poisson(light).astype(np.float32)

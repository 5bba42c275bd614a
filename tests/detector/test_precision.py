"""bfloat16 on processors that are faster in it: the same particles in half the time."""

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


def test_only_processors_that_are_faster_in_bfloat16_compute_in_it(monkeypatch):
    for faster in (True, False):
        monkeypatch.setattr(
            precision, "processor_is_faster_in_bfloat16", lambda faster=faster: faster
        )
        with precision.fastest_on(torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") is faster
    with precision.fastest_on(torch.device("meta")):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "amd", "faster"),
    [(True, True, False, True), (False, True, False, False), (False, True, True, True),
     (False, False, True, False)],
)  # fmt: skip
def test_bfloat16_that_is_known_but_slow_is_left_alone(monkeypatch, amx, avx512_bf16, amd, faster):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(precision, "_made_by_amd", lambda: amd)
    assert precision.processor_is_faster_in_bfloat16.__wrapped__() is faster


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

"""How fast a GPU detects and trains, and how long it waits for data.

    python benchmarks/gpu.py

Detection: frames a second of 512 x 512 px, of the network alone and from frames in memory to
positions, beside the processor of the same machine. Training: steps and crops a second, and the
share of a step in which the network waits until its batch is drawn, in a plain loop whose parts are
waited for one by one; then those of `cloudtrainer.training.fit` with its validation and its logs.
Needs an NVIDIA GPU; without one it says so.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from _scenes import scene
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.detector.precision import fastest_on
from cloudtrainer.detector.tiles import answer_in_tiles
from cloudtrainer.inference import extract_particles_from_predictions
from cloudtrainer.training import fit
from cloudtrainer.training.batches import BatchMaker, BatchStock
from cloudtrainer.training.metrics import look
from cloudtrainer.training.module import TrainableDetector

RESULTS = Path(__file__).parent / "results" / "gpu.json"
FRAMES = {"cuda": 256, "cpu": 16}
SPOTS = (100, 500, 1000)
# Side and number of the crops of a batch: the settings' own, and those of the bundled model.
BATCHES = ((64, 32), (128, 64), (256, 64))
STEPS = 128


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest time of some repeats, after one that is not timed."""
    work()
    took = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        took.append(time.perf_counter() - begun)
    return min(took)


def detection(spots: int) -> dict[str, float]:
    """Return frames a second."""
    filmed, _ = scene(400, spots, False, 46_000, 16)
    row: dict[str, float] = {}
    for name, frames in FRAMES.items():
        video = np.tile(filmed, (frames // len(filmed), 1, 1))
        detector = load_model().to(torch.device(name))
        took = seconds(lambda d=detector, v=video: extract_particles_from_predictions(d, v))
        row[f"whole_{name}"] = frames / took
        raw = torch.as_tensor(filmed.astype(np.float32), device=name)
        seen = detector.normalise(raw)
        with torch.inference_mode(), fastest_on(detector.device):
            took = seconds(lambda d=detector, s=seen: answer_in_tiles(d.answer, s, d.model.cell_px))
        row[f"network_{name}"] = len(filmed) / took
    return row


def training(crop_px: int, crops: int) -> dict[str, float]:
    """Return milliseconds of a step, the share of waiting for its batch, and crops a second."""
    config = Config.from_dict({"training": {"crop_px": crop_px, "batch_size": crops}})
    batches = BatchMaker(config)
    stock, device = BatchStock(batches), torch.device("cuda")
    module = TrainableDetector(config, batches, []).to(device)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    waited = learned = 0.0
    for step in range(2 * STEPS):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        scenes = stock.take(step, device)
        torch.cuda.synchronize()
        drawn = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = look(module, scenes).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        torch.cuda.synchronize()
        if step >= STEPS:
            waited += drawn - begun
            learned += time.perf_counter() - drawn
    whole = waited + learned
    return {
        "step_ms": 1000 * whole / STEPS,
        "waiting": waited / whole,
        "crops_a_second": crops * STEPS / whole,
    }


def whole_training() -> float:
    """Return crops a second of training as users run it, its start left out."""
    took = {}
    for epochs in (1, 3):
        config = {"training": {"epochs": epochs, "early_stopping": False}}
        begun = time.perf_counter()
        fit(Config.from_dict(config), progress_bar=False)
        took[epochs] = time.perf_counter() - begun
    settings = Config().training
    crops = 2 * settings.steps_per_epoch * settings.batch_size
    return crops / (took[3] - took[1])


def main() -> None:
    """Print the tables and write JSON."""
    if not torch.cuda.is_available():
        print("No NVIDIA GPU is seen here: not measured.")
        return
    print(f"{torch.cuda.get_device_name()}; PyTorch {torch.__version__}")
    rows = {}
    print("spots a frame   frames/s: network, whole (GPU)   network, whole (processor)")
    for spots in SPOTS:
        row = rows[spots] = detection(spots)
        print(
            f"{spots:>13}   {row['network_cuda']:8.0f} {row['whole_cuda']:8.0f}"
            f"   {row['network_cpu']:8.0f} {row['whole_cpu']:8.0f}",
            flush=True,
        )
    steps = {}
    print("crops           ms a step, share of waiting for the batch, crops/s")
    for crop_px, crops in BATCHES:
        step = steps[f"{crops} of {crop_px} px"] = training(crop_px, crops)
        print(
            f"{crops} of {crop_px} px   {step['step_ms']:6.1f}   {step['waiting']:6.1%}"
            f"   {step['crops_a_second']:8.0f}",
            flush=True,
        )
    crops_a_second = whole_training()
    print(f"training as users run it: {crops_a_second:.0f} crops/s")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "processor_threads": torch.get_num_threads(),
        "detection": rows,
        "training": steps,
        "whole_training_crops_a_second": crops_a_second,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What a detector keeps of one lab's particles while it learns those of others.

    python benchmarks/incremental.py [--quick]

Three simulated labs of different optics are learned one after the other, 24 labelled frames of
192 x 192 px each, from random weights:

- A: sharp spots (sigma 1.1 px, peak SNR 4 to 12) on a dark ground;
- B: dense, dim spots (sigma 2 px, peak SNR 2.5) on a bright ground with read noise;
- C: large particles with defocus rings of 5 to 7 px on an uneven ground, smoothed and in 8 bits
  like a compressed video.

The lab least like the first comes last: learning one that is like it would bring it back, however
much had been forgotten between.

By this trainer, in one workspace: each `train` continues the current model, rehearses the earlier
labs and mixes in simulated scenes. And by plain fine-tuning: the same network, start, steps and
choice of the best epoch, each stage on the new lab alone. After each stage the model is scored at
its own threshold, chosen by its own way's validation, on other frames of each lab: F1 at a gate of
2 px. Of the workspace it is the current model, which the next stage begins with.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.evaluation import score_detections
from cloudtrainer.simulation.camera import photon_noise, read_noise, uneven_background
from cloudtrainer.simulation.spots import Spots, gaussian_spots, render_spots
from cloudtrainer.training import fit, split_labelled, train
from cloudtrainer.training.start import Start
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

SEED = 60_000
SIDE_PX = 192
LEARNED_FRAMES, TEST_FRAMES = 24, 48
EPOCHS, STEPS = 8, 100
GATE_PX = 2.0
MOST_FORGOTTEN = 0.01


@dataclass(frozen=True)
class Lab:
    """A lab: how many particles a frame shows, how far apart they are at least, and its optics."""

    name: str
    particles: int
    apart_px: float
    film: Callable[[Tensor, Tensor, torch.Generator], np.ndarray]

    def frames(self, number: int, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Return frames and the positions in them."""
        rng = np.random.default_rng(seed)
        xy = np.stack([self._places(rng) for _ in range(number)])
        x, y = torch.as_tensor(xy, dtype=torch.float32).unbind(-1)
        frames = self.film(x, y, torch.Generator().manual_seed(seed))
        truth = pd.DataFrame(xy.reshape(-1, 2), columns=["x", "y"])
        truth.insert(0, "frame", np.repeat(np.arange(number), self.particles))
        return frames, truth

    def _places(self, rng: np.random.Generator) -> np.ndarray:
        chosen: list[np.ndarray] = []
        while len(chosen) < self.particles:
            place = rng.uniform(-0.5, SIDE_PX - 0.5, 2)
            if all(np.hypot(*(place - other)) > self.apart_px for other in chosen):
                chosen.append(place)
        return np.array(chosen)


def peaks(low: float, high: float, variance: float, x: Tensor, at: torch.Generator) -> Tensor:
    """Draw the photons at the centres of spots from their ratio to the noise there."""
    snr = low * (high / low) ** torch.rand(x.shape, generator=at)
    return (snr**2 + torch.sqrt(snr**4 + 4 * snr**2 * variance)) / 2


def sharp_spots(x: Tensor, y: Tensor, at: torch.Generator) -> np.ndarray:
    """Film lab A."""
    light = render_spots(gaussian_spots(x, y, peaks(4, 12, 10, x, at), 1.1), SIDE_PX, SIDE_PX)
    return photon_noise(light + 10, at).numpy().astype(np.uint16)


def dim_spots(x: Tensor, y: Tensor, at: torch.Generator) -> np.ndarray:
    """Film lab B."""
    spots = gaussian_spots(x, y, peaks(2.5, 2.5, 300 + 6**2, x, at), 2.0)
    photons = photon_noise(render_spots(spots, SIDE_PX, SIDE_PX) + 300, at)
    return (read_noise(photons, 6.0, at).round() + 100).clamp(min=0).numpy().astype(np.uint16)


def rings(x: Tensor, y: Tensor, at: torch.Generator) -> np.ndarray:
    """Film lab C."""
    one = torch.ones_like(x)
    spots = Spots(
        x=x,
        y=y,
        peak=peaks(5, 12, 600, x, at),
        sigma=2.5 * one,
        flatness=2 * one,
        ring_height=0.6 * one,
        ring_radius=5 + 2 * torch.rand(x.shape, generator=at),
        ring_width=1.2 * one,
        stretch=one,
    )
    ground = 400 + 400 * uneven_background(1, SIDE_PX, SIDE_PX, at)
    photons = photon_noise(render_spots(spots, SIDE_PX, SIDE_PX) + ground, at).numpy()
    smooth = gaussian_filter(photons, (0, 0.7, 0.7))
    low, high = smooth.min(), smooth.max()
    return np.round(255 * (smooth - low) / (high - low)).astype(np.uint8)


LABS = [
    Lab("A", 30, 5.0, sharp_spots),
    Lab("B", 80, 6.0, dim_spots),
    Lab("C", 12, 16.0, rings),
]


def settings(epochs: int, steps: int) -> Config:
    """Return the default settings, from random weights, for a run that does not end early."""
    training = {"epochs": epochs, "steps_per_epoch": steps, "early_stopping": False}
    return Config.from_dict({"training": {**training, "start": "scratch"}})


def write_labelled(lab: Lab, place: Workspace, seed: int) -> tuple[Path, pd.DataFrame]:
    """Put a lab's labelled frames into a workspace."""
    frames, truth = lab.frames(LEARNED_FRAMES, seed)
    video = place.videos / f"lab_{lab.name}.tif"
    tifffile.imwrite(video, frames, photometric="minisblack")
    truth.to_csv(place.annotations / f"lab_{lab.name}_particles.csv", index=False)
    return video, truth


def by_this_trainer(config: Config, folder: Path) -> Iterator[ParticleDetector]:
    """Learn the labs in one workspace; yield the current model after each."""
    place = Workspace.create(folder)
    for number, lab in enumerate(LABS):
        write_labelled(lab, place, SEED + number)
        result = train(place, config, progress_bar=False, say=lambda _: None)
        if not result.is_current:
            print(f"(after lab {lab.name}: the new model is worse on earlier labs and not used)")
        yield load_model(place.current_model())


def by_fine_tuning(config: Config, folder: Path) -> Iterator[ParticleDetector]:
    """Learn each lab from the model of the one before, and from nothing else."""
    place = Workspace.create(folder)
    alone = config.model_copy(deep=True)
    alone.training.simulated_share = 0.0
    start = Start("random weights")
    for number, lab in enumerate(LABS):
        path, truth = write_labelled(lab, place, SEED + number)
        video = split_labelled(Video(path), truth, config.training.validation_split)
        logs = folder / f"logs_{lab.name}"
        detector, _ = fit(alone, labelled=[video], start=start, logs=logs, progress_bar=False)
        start = Start(f"lab {lab.name}", detector)
        yield detector


WAYS = {"this trainer": by_this_trainer, "plain fine-tuning": by_fine_tuning}


def score(detector: ParticleDetector, tests: list[tuple[np.ndarray, pd.DataFrame]]) -> list[float]:
    """Return F1 on the test frames of each lab."""
    return [score_detections(detector.detect(seen), truth, GATE_PX).f1 for seen, truth in tests]


def main() -> None:
    """Learn the labs both ways, print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description="What is kept of a lab while others are learned.")
    parser.add_argument("--quick", action="store_true", help="a few steps, to try this file")
    quick = parser.parse_args().quick
    epochs, steps, test_frames = (1, 5, 2) if quick else (EPOCHS, STEPS, TEST_FRAMES)
    config = settings(epochs, steps)
    tests = [lab.frames(test_frames, SEED + 100 + number) for number, lab in enumerate(LABS)]
    scores: dict[str, list[list[float]]] = {}
    seconds: dict[str, float] = {}
    print(f"F1 on other frames of each lab; {epochs} epochs of {steps} steps a stage")
    print(f"{'':<17} | {'learned':<9} | " + " | ".join(f"lab {lab.name}" for lab in LABS))
    for way, learn in WAYS.items():
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            scores[way] = []
            for number, detector in enumerate(learn(config, Path(folder))):
                scores[way].append(score(detector, tests))
                learned = ", ".join(lab.name for lab in LABS[: number + 1])
                figures = " | ".join(f"{f1:.3f}" for f1 in scores[way][-1])
                print(f"{way:<17} | {learned:<9} | {figures}", flush=True)
        seconds[way] = time.perf_counter() - begun
    falls: dict[str, dict[str, float]] = {}
    for way, stages in scores.items():
        print(f"{way} ({seconds[way]:.0f} s)")
        falls[way] = {}
        for number, lab in enumerate(LABS[:-1]):
            f1 = [stage[number] for stage in stages]
            falls[way][lab.name] = max(f1) - f1[-1]
            print(
                f"  lab {lab.name} after three stages: {f1[-1]:.3f}, its best {max(f1):.3f}, "
                f"fall {falls[way][lab.name]:.3f}"
            )
    ours, plain = (of_labs["A"] for of_labs in falls.values())
    kept = ours <= MOST_FORGOTTEN and plain > ours
    print(
        f"On lab A this trainer falls by at most {MOST_FORGOTTEN}, and plain fine-tuning by more: "
        f"{'yes' if kept else 'NO'}"
    )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    document = {
        "machine": platform.processor(),
        "epochs": epochs,
        "steps_per_epoch": steps,
        "labs": [lab.name for lab in LABS],
        "f1_by_stage_and_lab": scores,
        "fall_by_lab": falls,
        "seconds": seconds,
    }
    ending = "_quick" if quick else ""
    (results / f"incremental{ending}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

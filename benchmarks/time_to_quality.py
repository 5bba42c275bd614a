"""Seconds of training until the detections in held-out frames are good, by four recipes.

    python benchmarks/time_to_quality.py [--limit-s 900] [--quick]

100 simulated frames of 256 x 256 px, each with 60 Gaussian spots (sigma 1.5 px, peak SNR 4 to 10)
on 100 photons a pixel and 2 photons of read noise; every recipe learns from the same first 80 and
is scored on the same last 20, in this run. The spots lie 10 px or more apart, since discs that
touch would count against the recipes that teach masks, and 6 px or more from the border, so that
the Cramer-Rao bound holds for each.

Good is F1 of 0.95 at a gate of 2 px, and a root mean square error per axis (over the matched
detections) of at most 0.2 px, or of at most 1.5 times the Cramer-Rao bound (root mean square over
the particles). A recipe stops when both are met or at the limit.

- version 2.0: a plain loop; U-Net 16-32-64 on whole frames divided by the maximum of all, discs of
  radius 3 px around centres truncated to whole pixels, sigmoid and cross-entropy, Adam 1e-4,
  batches of 8, flips, quarter turns and brightness in NumPy, each for half of the frames.
- version 3.0: the same in Lightning, cross-entropy of the logits, halving of the learning rate at
  a plateau, gradients clipped at 1; without its early stopping and its end after 30 epochs.
- this trainer from random weights, and from its bundled model, which is what a user gets: its
  training on simulated scenes is not in its time. Both with default settings.

Scored every epoch (versions 2.0 and 3.0) or every 25 steps, at a threshold of 0.5. The clock runs
from the first batch, its start-up costs included, and stands still while a model is scored, here
or by its recipe's own validation. Everything is computed in 32 bit on the processor.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import pandas as pd
import torch

from _earlier_versions import version_2, version_3
from _learning_curve import ERROR_OVER_BOUND, ERROR_PX, F1, Curve, Scene, Scored
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import localisation_bound_px
from cloudtrainer.simulation.camera import photon_noise, read_noise
from cloudtrainer.simulation.spots import gaussian_spots, render_spots
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.callbacks import quiet_lightning
from cloudtrainer.training.crops import LabelledFrames
from cloudtrainer.training.fitting import Fitting
from cloudtrainer.training.labelled import labelled_video
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation_sets import parts_of_an_epoch, validation_sets

SEED = 50_000
SIGMA_PX, BACKGROUND, READ_NOISE = 1.5, 100.0, 2.0
SNR = (4.0, 10.0)
APART_PX, BORDER_PX = 10.0, 6.0
STEPS_BETWEEN_SCORES = 25


def scene(frames: int, side_px: int, spots: int, learned: int) -> Scene:
    """Draw the frames."""
    rng = np.random.default_rng(SEED)
    generator = torch.Generator().manual_seed(SEED)
    xy = np.stack([_places(rng, spots, side_px) for _ in range(frames)])
    snr = SNR[0] * (SNR[1] / SNR[0]) ** rng.uniform(size=(frames, spots))
    peak = (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * (BACKGROUND + READ_NOISE**2))) / 2
    x, y, height = (torch.as_tensor(v, dtype=torch.float32) for v in (xy[..., 0], xy[..., 1], peak))
    light = render_spots(gaussian_spots(x, y, height, SIGMA_PX), side_px, side_px)
    counts = read_noise(photon_noise(light + BACKGROUND, generator), READ_NOISE, generator)
    truth = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), spots),
            "x": xy[..., 0].ravel(),
            "y": xy[..., 1].ravel(),
        }
    )
    photons = 2 * np.pi * SIGMA_PX**2 * peak[learned:].ravel()
    bound = localisation_bound_px(photons, SIGMA_PX, BACKGROUND, READ_NOISE)
    camera = (counts.round() + 20).clamp(min=0).numpy().astype(np.uint16)
    return Scene(camera, truth, learned, float(np.sqrt((bound**2).mean())))


def _places(rng: np.random.Generator, spots: int, side_px: int) -> np.ndarray:
    chosen: list[np.ndarray] = []
    while len(chosen) < spots:
        place = rng.uniform(BORDER_PX, side_px - 1 - BORDER_PX, 2)
        if all(np.hypot(*(place - other)) > APART_PX for other in chosen):
            chosen.append(place)
    return np.array(chosen)


def this_trainer(curve: Curve, start: Start) -> None:
    """Learn as this package does, with its default settings."""
    scene, config = curve.scene, Config()
    stretch = ((scene.learned, len(scene.frames) - 1),)
    video = labelled_video("simulated", scene.frames, scene.truth, stretch)
    fitting = Fitting(
        config,
        BatchMaker(config, LabelledFrames([video])),
        parts_of_an_epoch(validation_sets(config, [video], [])),
        start,
        callbacks=[
            Scored(
                curve,
                STEPS_BETWEEN_SCORES,
                lambda module: module.detect(scene.held_out, threshold=0.5),
            )
        ],
        progress_bar=False,
    )
    fitting.train()


RECIPES: dict[str, Callable[[Curve], None]] = {
    "version 2.0": version_2,
    "version 3.0": version_3,
    "this trainer, random weights": lambda curve: this_trainer(curve, Start("random weights")),
    "this trainer, pre-trained": lambda curve: this_trainer(
        curve, Start("the bundled model", load_model())
    ),
}


def table_row(name: str, curve: Curve, version_3: Curve) -> dict[str, object]:
    """Print the row of a recipe, and return it with its curve."""
    limits = (ERROR_PX, ERROR_OVER_BOUND * curve.scene.bound_px)
    seconds = [curve.seconds_to(limit) for limit in limits]
    best = min((p["error_over_bound"] for p in curve.good_f1()), default=None)
    best_f1 = max(p["f1"] for p in curve.points)
    if seconds[0] == 0 and name.endswith("pre-trained"):
        name += " (before its first step)"
    never = f"never within {curve.seconds:.0f} s"
    texts = [never if s is None else f"{s:.1f}" for s in seconds]
    if seconds[1] is None and best is not None:
        texts[1] += f": best {best:.2f} x bound"
    ratios = []
    for own, limit in zip(seconds, limits, strict=True):
        theirs = version_3.seconds_to(limit)
        below = "" if theirs is not None else "< "
        ratio = None if own is None else own / (version_3.seconds if theirs is None else theirs)
        ratios.append("-" if ratio is None else f"{below}{ratio:.3f}" if ratio else "0")
    best_error = "-" if best is None else f"{best:.2f}"
    print(
        f"{name:<50} | {texts[0]:>20} | {texts[1]:>40} | {best_f1:.3f} | {best_error:>5} | "
        f"{ratios[0]}, {ratios[1]}",
        flush=True,
    )
    return {
        "recipe": name,
        "seconds_to_error_px": seconds[0],
        "seconds_to_error_over_bound": seconds[1],
        "best_f1": best_f1,
        "best_error_over_bound": best,
        "seconds_trained": curve.seconds,
        "curve": curve.points,
    }


def main() -> None:
    """Run the recipes one after the other, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description="Seconds until detections are good.")
    parser.add_argument("--limit-s", type=float, default=900.0, help="longest training, seconds")
    parser.add_argument("--quick", action="store_true", help="a tiny scene, to try this file")
    given = parser.parse_args()
    scenery = scene(20, 64, 4, 16) if given.quick else scene(100, 256, 60, 80)
    curves = {}
    with quiet_lightning():
        for name, learn in RECIPES.items():
            curves[name] = Curve(scenery, given.limit_s)
            learn(curves[name])
            print(f"{name}: trained for {curves[name].seconds:.0f} s", flush=True)
    print(
        f"\nCramer-Rao bound {scenery.bound_px:.3f} px; {torch.get_num_threads()} threads\n"
        f"{'recipe':<50} | {f's to F1 {F1}, {ERROR_PX} px':>20} | "
        f"{f's to F1 {F1}, {ERROR_OVER_BOUND} x bound':>40} | best F1 | best error/bound | "
        "seconds over version 3.0's (both criteria)"
    )
    rows = [table_row(name, curve, curves["version 3.0"]) for name, curve in curves.items()]
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    document = {
        "machine": platform.processor(),
        "threads": torch.get_num_threads(),
        "limit_s": given.limit_s,
        "bound_px": scenery.bound_px,
        "recipes": rows,
    }
    ending = "_quick" if given.quick else ""
    (results / f"time_to_quality{ending}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

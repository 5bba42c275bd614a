"""What neighbouring frames add: dim particles that move, with and without them as channels.

    python benchmarks/context.py [steps]

Videos of 256 x 256 px with 30 Brownian Gaussian spots of sigma 1.5 px on 20 photons a pixel, drawn
by the renderer in this file. Three models continue the bundled one, with as many steps on the same
kind of simulated scenes: they see each frame alone, or with one or two frames before and after
(``model.context_frames``). Each has one threshold for all cells, which gives it the best
mean F1 on videos of other seeds; trackpy.locate has, for each cell, the diameter and the cut in
mass that are best there. F1 at 3 px; root mean square error over the Cramer-Rao bound of a single
frame, of the spots that were found; and the diffusion coefficient over that of the true positions
of the same spots, from consecutive displacements (covariance-based: Vestergaard et al. 2014,
Physical Review E 89, 022726, equation 14) and from the mean square displacements of 3 and 7 frames.
"""

import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from scipy.special import erf

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.evaluation import localisation_bound_px, match_detections, score_detections
from cloudtrainer.training import fit
from cloudtrainer.training.start import Start

SIDE_PX = 256
MARGIN_PX = 8.0
SIGMA_PX = 1.5
BACKGROUND = 20.0
SPOTS = 30
APART_PX = 20.0
FRAMES = 24
GATE_PX = 3.0
PHOTONS = (60, 100, 150)
STEPS_PX = (0.3, 1.0, 3.0)
CELLS = [(photons, step) for photons in PHOTONS for step in STEPS_PX]
TUNING_SEED, TEST_SEED = 51_000, 52_000
DIAMETERS_PX = (5, 7, 9, 11)
TRAINING_STEPS = 800
CONTEXTS = (0, 1, 2)
LEAST_PROBABILITY = 0.03
SETTINGS = {
    "training": {"learning_rate": 1e-3, "early_stopping": False, "seed": 7},
    # Dimmer than the scenes that the bundled model has learned.
    "scenes": {
        "peak_snr": [0.5, 8.0],
        "spot_sigma_px": [1.0, 2.5],
        "background_photons": [5.0, 200.0],
    },
}
Videos = dict[tuple[int, float], tuple[np.ndarray, pd.DataFrame]]


def film(photons: float, step_px: float, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Return frames (uint16) of moving spots and their true positions, frame by frame."""
    rng = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < SPOTS:
        place = rng.uniform(MARGIN_PX, SIDE_PX - MARGIN_PX, 2)
        if all(np.hypot(*(place - other)) > APART_PX for other in places):
            places.append(place)
    xy = np.array(places)
    edges = np.arange(SIDE_PX + 1) - 0.5
    frames, truth = [], []
    for frame in range(FRAMES):
        across, down = (
            np.diff(erf((edges - along[:, None]) / (SIGMA_PX * np.sqrt(2)))) / 2 for along in xy.T
        )
        light = BACKGROUND + photons * np.einsum("nr,nc->rc", down, across)
        frames.append(rng.poisson(light).astype(np.uint16))
        truth.append(
            pd.DataFrame({"frame": frame, "x": xy[:, 0], "y": xy[:, 1], "particle": range(SPOTS)})
        )
        xy = xy + rng.normal(0, step_px, xy.shape)
        # Reflected, so that none is lost.
        xy = MARGIN_PX + np.abs(xy - MARGIN_PX)
        xy = SIDE_PX - MARGIN_PX - np.abs(SIDE_PX - MARGIN_PX - xy)
    return np.stack(frames), pd.concat(truth, ignore_index=True)


def videos(seed: int) -> Videos:
    """Return a video of each cell."""
    return {cell: film(*cell, seed + number) for number, cell in enumerate(CELLS)}


def trained(context_frames: int, steps: int) -> ParticleDetector:
    """Return the bundled model, trained further on dim scenes."""
    epochs = 4
    config = Config.from_dict(
        {
            "model": {
                **load_model().config.model.model_dump(),
                "context_frames": context_frames,
            },
            **SETTINGS,
        }
    )
    config.training.epochs, config.training.steps_per_epoch = epochs, max(1, steps // epochs)
    start = Start("the bundled model", load_model())
    detector, _ = fit(config, start=start, progress_bar=False)
    return detector


def best_threshold(found: dict[tuple[int, float], pd.DataFrame], truth: Videos) -> float:
    """Return the threshold of the best mean F1 over all cells."""

    def mean_f1(threshold: float) -> float:
        return float(np.mean([f1(above(found[cell], threshold), truth[cell][1]) for cell in CELLS]))

    return max(np.linspace(0.05, 0.95, 19).round(3).tolist(), key=mean_f1)


def above(found: pd.DataFrame, threshold: float) -> pd.DataFrame:
    return found[found["probability"] >= threshold].reset_index(drop=True)


def f1(found: pd.DataFrame, truth: pd.DataFrame) -> float:
    return score_detections(found, truth, GATE_PX).f1


def locate(frames: np.ndarray, diameter_px: int) -> pd.DataFrame:
    """Return all that trackpy finds, before any cut."""
    return pd.concat(
        [
            trackpy.locate(frame, diameter_px, separation=4).assign(frame=index)
            for index, frame in enumerate(frames)
        ],
        ignore_index=True,
    )


def best_of_trackpy(frames: np.ndarray, truth: pd.DataFrame) -> tuple[int, float]:
    """Return the diameter and the least mass that give trackpy its best F1 on a tuning video."""
    tried = []
    for diameter in DIAMETERS_PX:
        candidates = locate(frames, diameter)
        masses = np.sort(candidates["mass"])[::-1]
        for share in np.linspace(0.1, 1.7, 17):
            mass = float(masses[min(int(share * len(truth)), len(masses) - 1)])
            kept = candidates[candidates["mass"] > mass].reset_index(drop=True)
            tried.append((f1(kept, truth), diameter, mass))
    _, diameter, mass = max(tried)
    return diameter, mass


def measured(found: pd.DataFrame, truth: pd.DataFrame, photons: int) -> dict[str, float]:
    """Return F1, the error over the bound, and D over the true one by two estimators."""
    pairs = match_detections(found, truth, GATE_PX)
    error = float(np.sqrt((pairs[["dx", "dy"]].to_numpy() ** 2).mean())) if len(pairs) else np.nan
    known = truth.iloc[pairs["truth"].to_numpy()]
    seen, real = np.full((2, SPOTS, FRAMES, 2), np.nan)
    seen[known["particle"], known["frame"]] = found.iloc[pairs["found"].to_numpy()][["x", "y"]]
    real[known["particle"], known["frame"]] = known[["x", "y"]]
    bound = float(localisation_bound_px(photons, SIGMA_PX, BACKGROUND))
    return {
        "f1": f1(found, truth),
        "error_over_bound": error / bound,
        "D_covariance_over_true": from_covariance(seen) / mean_square(real, 1),
        "D_lags_3_7_over_true": from_lags(seen) / from_lags(real),
    }


def mean_square(places: np.ndarray, lag: int) -> float:
    """Return the mean square displacement along an axis, (particles, frames, 2) in, px²."""
    return float(np.nanmean((places[:, lag:] - places[:, :-lag]) ** 2))


def from_covariance(places: np.ndarray) -> float:
    """Return the variance of a step along an axis, where errors are independent, px²."""
    steps = np.diff(places, axis=1)
    return mean_square(places, 1) + 2 * float(np.nanmean(steps[:, 1:] * steps[:, :-1]))


def from_lags(places: np.ndarray) -> float:
    """Return the variance of a step from lags beyond which no two positions share a frame, px²."""
    return (mean_square(places, 7) - mean_square(places, 3)) / 4


def main() -> None:
    """Train all, print the table and write it as JSON."""
    trackpy.quiet()
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else TRAINING_STEPS
    tuning, test = videos(TUNING_SEED), videos(TEST_SEED)
    models, seconds = {"bundled": load_model()}, {}
    for context in CONTEXTS:
        begun = time.perf_counter()
        models[f"context {context}"] = trained(context, steps)
        seconds[f"context {context}"] = time.perf_counter() - begun
    scores: dict[str, list[dict[str, float]]] = {}
    thresholds, ms = {}, {}
    for name, model in models.items():
        found = {cell: model.detect(tuning[cell][0], threshold=LEAST_PROBABILITY) for cell in CELLS}
        thresholds[name] = best_threshold(found, tuning)
        scores[name] = []
        begun = time.perf_counter()
        for cell in CELLS:
            seen = model.detect(test[cell][0], threshold=thresholds[name])
            scores[name].append(measured(seen, test[cell][1], cell[0]))
        ms[name] = 1000 * (time.perf_counter() - begun) / (len(CELLS) * FRAMES)
    scores["trackpy"] = []
    for cell in CELLS:
        diameter, mass = best_of_trackpy(*tuning[cell])
        seen = locate(test[cell][0], diameter)
        kept = seen[seen["mass"] > mass].reset_index(drop=True)
        scores["trackpy"].append(measured(kept, test[cell][1], cell[0]))
    _print(scores)
    better, farther = [], []
    for (photons, step), alone, several in zip(
        CELLS, scores["context 0"], scores["context 1"], strict=True
    ):
        name = f"{photons} photons at {step} px a frame"
        if several["f1"] > alone["f1"] + 0.01:
            better.append(name)
        if several["error_over_bound"] > 1.05 * alone["error_over_bound"]:
            farther.append(name)
    print(f"One neighbour on each side raises F1 by more than 0.01: {_listed(better)}.")
    print(f"It raises the error of positions by more than 5%: {_listed(farther)}.")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    document = {
        "machine": platform.processor(),
        "training_steps": steps,
        "training_seconds": seconds,
        "thresholds": thresholds,
        "ms_a_frame_with_scoring": ms,
        "cells": [
            {
                "photons": photons,
                "step_px": step,
                **{name: rows[number] for name, rows in scores.items()},
            }
            for number, (photons, step) in enumerate(CELLS)
        ],
        "f1_better_with_one_neighbour": better,
        "error_larger_with_one_neighbour": farther,
    }
    (results / "context.json").write_text(json.dumps(document, indent=2) + "\n")


def _listed(names: list[str]) -> str:
    return "; ".join(names) or "nowhere"


def _print(scores: dict[str, list[dict[str, float]]]) -> None:
    names = list(scores)
    width = max(map(len, names)) + 2
    head = "".join(f"{name:>{width}}" for name in names)
    for measure in scores["trackpy"][0]:
        print(f"{measure}\nphotons  px/frame{head}")
        for number, (photons, step) in enumerate(CELLS):
            row = "".join(f"{scores[name][number][measure]:{width}.3f}" for name in names)
            print(f"{photons:7d}  {step:8.1f}{row}")


if __name__ == "__main__":
    main()

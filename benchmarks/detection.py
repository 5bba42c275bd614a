"""Detections of the bundled model beside trackpy's, on spots of known brightness and density.

    python benchmarks/detection.py

Frames of 512 x 512 px with Gaussian spots of sigma 1.5 px on 20 photons a pixel, three a cell,
drawn by the renderer in this file. trackpy.locate is given, in each cell, the best of three
diameters and of 25 cuts in mass (its time is that of one run); the model is given nothing and uses
one threshold, its own.
F1 at 3 px; errors as a ratio to the Cramer-Rao bound, over spots that were found: all, and those
with no neighbour within 10 px.
"""

import json
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from scipy.spatial import cKDTree
from scipy.special import erf

from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import localisation_bound_px, match_detections, score_detections

SIDE_PX = 512
SIGMA_PX = 1.5
BACKGROUND = 20.0
FRAMES = 3
GATE_PX = 3.0
DIAMETERS_PX = (7, 9, 11)
SEED = 40_000
CELLS = [
    (60, 100, True),
    (150, 100, True),
    (400, 100, True),
    (1000, 100, True),
    (150, 500, False),
    (400, 500, False),
    (1000, 500, False),
    (400, 1000, False),
    (1000, 1000, False),
]


def scene(photons: float, spots: int, apart: bool, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Return frames (uint16) and the true positions of one cell."""
    rng = np.random.default_rng(seed)
    frames, truth = [], []
    for frame in range(FRAMES):
        xy = _places(rng, spots, 20.0 if apart else 0.0)
        light = np.full((SIDE_PX, SIDE_PX), BACKGROUND)
        edges = np.arange(SIDE_PX + 1) - 0.5
        for x, y in xy:
            across = np.diff(erf((edges - x) / (SIGMA_PX * np.sqrt(2)))) / 2
            down = np.diff(erf((edges - y) / (SIGMA_PX * np.sqrt(2)))) / 2
            light += photons * np.outer(down, across)
        frames.append(rng.poisson(light).astype(np.uint16))
        truth.append(pd.DataFrame({"frame": frame, "x": xy[:, 0], "y": xy[:, 1]}))
    return np.stack(frames), pd.concat(truth, ignore_index=True)


def _places(rng: np.random.Generator, spots: int, distance_px: float) -> np.ndarray:
    chosen: list[np.ndarray] = []
    while len(chosen) < spots:
        place = rng.uniform(10, SIDE_PX - 10, 2)
        if distance_px == 0 or all(np.hypot(*(place - other)) > distance_px for other in chosen):
            chosen.append(place)
    return np.array(chosen)


def quality(found: pd.DataFrame, truth: pd.DataFrame) -> tuple[float, float]:
    """Return what the best setting has most of: F1 to two digits, then precision of position."""
    score = score_detections(found, truth, GATE_PX)
    return round(score.f1, 2), -score.rmse_px


def mass_of_a_spot(photons: float, diameter_px: int) -> float:
    """Return the mass that trackpy gives to one spot of known brightness without noise."""
    edges = np.arange(65) - 0.5
    profile = np.diff(erf((edges - 32) / (SIGMA_PX * np.sqrt(2)))) / 2
    frame = np.round(BACKGROUND + photons * np.outer(profile, profile)).astype(np.uint16)
    return float(trackpy.locate(frame, diameter_px, separation=4)["mass"].max())


def locate(frames: np.ndarray, diameter_px: int) -> pd.DataFrame:
    """Return all that trackpy finds, before any cut."""
    return pd.concat(
        [
            trackpy.locate(frame, diameter_px, separation=4).assign(frame=index)
            for index, frame in enumerate(frames)
        ],
        ignore_index=True,
    )


def best_cut(candidates: pd.DataFrame, mass: float, truth: pd.DataFrame) -> pd.DataFrame:
    """Return what is left after the cut in mass that gives trackpy its best F1."""
    cuts = [
        candidates[candidates["mass"] > share * mass].reset_index(drop=True)
        for share in np.linspace(0.3, 1.5, 25)
    ]
    return max(cuts, key=lambda kept: score_detections(kept, truth, GATE_PX).f1)


def errors_over_bound(found: pd.DataFrame, truth: pd.DataFrame, bound: float) -> tuple[float, ...]:
    """Return root mean square error over the bound, of all found spots and of lonely ones."""
    pairs = match_detections(found, truth, GATE_PX)
    nearest = np.full(len(truth), np.inf)
    for _, rows in truth.groupby("frame"):
        xy = rows[["x", "y"]].to_numpy()
        nearest[rows.index] = cKDTree(xy).query(xy, k=2)[0][:, 1]
    lonely = nearest[pairs["truth"].to_numpy()] > 10

    def over_bound(some: pd.DataFrame) -> float:
        if some.empty:
            return float("nan")
        return float(np.sqrt((some[["dx", "dy"]].to_numpy() ** 2).mean()) / bound)

    return over_bound(pairs), over_bound(pairs[lonely])


def spread_of_stated_errors(found: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Return the robust standard deviation of errors over stated errors."""
    pairs = match_detections(found, truth, GATE_PX)
    stated = found.iloc[pairs["found"].to_numpy()][["x_error", "y_error"]].to_numpy()
    return float(1.4826 * np.median(np.abs(pairs[["dx", "dy"]].to_numpy() / stated)))


def main() -> None:
    """Print the table and write it as JSON."""
    trackpy.quiet()
    model = load_model()
    model.detect(np.zeros((1, SIDE_PX, SIDE_PX)))
    rows = []
    print(
        "photons spots | F1 ours trackpy | error/bound ours (alone) trackpy (alone) "
        "| error/stated | ms a frame ours trackpy"
    )
    for number, (photons, spots, apart) in enumerate(CELLS):
        frames, truth = scene(photons, spots, apart, SEED + number)
        bound = float(localisation_bound_px(photons, SIGMA_PX, BACKGROUND))
        begun = time.perf_counter()
        ours = model.detect(frames)
        between = time.perf_counter()
        candidates = locate(frames, DIAMETERS_PX[0])
        ended = time.perf_counter()
        settings = [best_cut(candidates, mass_of_a_spot(photons, DIAMETERS_PX[0]), truth)]
        for diameter in DIAMETERS_PX[1:]:
            wider = locate(frames, diameter)
            settings.append(best_cut(wider, mass_of_a_spot(photons, diameter), truth))
        theirs = max(settings, key=lambda kept: quality(kept, truth))
        all_ours, alone_ours = errors_over_bound(ours, truth, bound)
        all_theirs, alone_theirs = errors_over_bound(theirs, truth, bound)
        row = {
            "photons": photons,
            "spots": spots,
            "f1": score_detections(ours, truth, GATE_PX).f1,
            "trackpy_f1": score_detections(theirs, truth, GATE_PX).f1,
            "error_over_bound": all_ours,
            "error_over_bound_alone": alone_ours,
            "trackpy_error_over_bound": all_theirs,
            "trackpy_error_over_bound_alone": alone_theirs,
            "error_over_stated": spread_of_stated_errors(ours, truth),
            "ms_a_frame": 1000 * (between - begun) / FRAMES,
            "trackpy_ms_a_frame": 1000 * (ended - between) / FRAMES,
        }
        rows.append(row)
        print(
            f"{photons:7d} {spots:5d} | {row['f1']:.3f}   {row['trackpy_f1']:.3f} | "
            f"{all_ours:.2f} ({alone_ours:.2f})   {all_theirs:.2f} ({alone_theirs:.2f}) | "
            f"{row['error_over_stated']:.2f} | "
            f"{row['ms_a_frame']:.0f}   {row['trackpy_ms_a_frame']:.0f}"
        )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "detection.json").write_text(
        json.dumps({"machine": platform.processor(), "cells": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()

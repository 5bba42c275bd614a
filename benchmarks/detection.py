"""Detections of the bundled model beside trackpy's, on spots of known brightness and density.

    python benchmarks/detection.py [--frames 12]

Frames of 512 x 512 px with Gaussian spots of sigma 1.5 px on 20 photons a pixel, drawn by
`_scenes.py`. trackpy.locate is given, in each cell, the best of three diameters and of 25 cuts in
mass (its time is that of one run with half of the true mass for a cut; it is several times shorter
where numba is installed, which is printed); the model is given nothing and uses one threshold, its
own.

What can be seen at all where spots lie apart, say a matched filter that knows the width and the
ground, and the likelihood ratio of Poisson numbers that knows the brightness as well, each at its
best threshold in each cell. F1 at 3 px. Errors as a ratio to the Cramer-Rao bound of a
lonely spot, over spots that were found: all, and those with no true neighbour within 3 px. Errors
over stated errors: robust standard deviation. Also the memory that one frame of 2048 x 2048 px
takes, in a process of its own.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import trackpy
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.signal import fftconvolve
from scipy.special import erf

from _scenes import BACKGROUND, SIDE_PX, SIGMA_PX, scene
from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import isolated, localisation_bound_px, score_detections

NUMBA = find_spec("numba") is not None
RESULTS = Path(__file__).parent / "results"
GATE_PX = 3.0
DIAMETERS_PX = (7, 9, 11)
SEED = 40_000
NEIGHBOUR_PX = 3.0
# photons of a spot, spots of a frame, whether they lie 20 px apart, and the F1 to reach
CELLS = [
    (60, 100, True, 0.20),
    (150, 100, True, 0.97),
    (400, 100, True, 0.995),
    (1000, 100, True, 0.995),
    (150, 500, False, 0.95),
    (400, 500, False, 0.975),
    (1000, 500, False, 0.985),
    (400, 1000, False, 0.96),
    (1000, 1000, False, 0.975),
]


def mass_of_a_spot(photons: float, diameter_px: int) -> float:
    """Return the mass that trackpy gives to one spot of known brightness without noise."""
    edges = np.arange(65) - 0.5
    profile = np.diff(erf((edges - 32) / (SIGMA_PX * np.sqrt(2)))) / 2
    frame = np.round(BACKGROUND + photons * np.outer(profile, profile)).astype(np.uint16)
    return float(trackpy.locate(frame, diameter_px, separation=4)["mass"].max())


def locate(frames: np.ndarray, diameter_px: int, least_mass: float = 0.0) -> pd.DataFrame:
    """Return what trackpy finds, from a mass on."""
    return pd.concat(
        [
            trackpy.locate(frame, diameter_px, minmass=least_mass, separation=4).assign(frame=index)
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


def matched_filter(frames: np.ndarray, truth: pd.DataFrame) -> float:
    """Return F1 of a filter that knows width and ground, at the threshold that is best here."""
    filtered = [gaussian_filter(frame.astype(float), SIGMA_PX) for frame in frames]
    return best_peaks(filtered, 1, 5, truth)


def likelihood_ratio(frames: np.ndarray, truth: pd.DataFrame, photons: float) -> float:
    """Return F1 of the likelihood ratio that knows all but the places, at its best threshold."""
    along, reach = 4, 6
    pixels = np.arange(-reach, reach + 2) - 0.5
    ratios = []
    for frame in frames:
        fine = np.empty((SIDE_PX, along, SIDE_PX, along), np.float32)
        for i, j in np.ndindex(along, along):
            down, across = (
                np.diff(erf((pixels - (k + 0.5) / along + 0.5) / (SIGMA_PX * np.sqrt(2)))) / 2
                for k in (i, j)
            )
            light = photons * np.outer(down, across)
            weight = np.log1p(light / BACKGROUND)[::-1, ::-1]
            fine[:, i, :, j] = fftconvolve(frame.astype(float), weight, "same") - light.sum()
        ratios.append(fine.reshape(SIDE_PX * along, SIDE_PX * along))
    return best_peaks(ratios, along, 17, truth)


def best_peaks(frames: list[np.ndarray], along: int, apart: int, truth: pd.DataFrame) -> float:
    """Return the best F1 of a cut in the height of peaks; ``along`` values are a pixel."""
    tables = []
    for number, frame in enumerate(frames):
        y, x = np.nonzero((frame == maximum_filter(frame, apart)) & (frame > np.median(frame)))
        place = {"x": (x + 0.5) / along - 0.5, "y": (y + 0.5) / along - 0.5}
        tables.append(pd.DataFrame({"frame": number, **place, "height": frame[y, x]}))
    peaks = pd.concat(tables, ignore_index=True)
    ranked = peaks.sort_values("height", ascending=False, ignore_index=True)
    shares = np.linspace(0.2, 1.3, 45)
    cuts = [ranked[: round(share * len(truth))] for share in shares]
    return max(score_detections(kept, truth, GATE_PX).f1 for kept in cuts)


def quality(found: pd.DataFrame, truth: pd.DataFrame) -> tuple[float, float]:
    """Return what the best setting has most of: F1 to two digits, then precision of position."""
    score = score_detections(found, truth, GATE_PX)
    return round(score.f1, 2), -score.rmse_px


def measures(found: pd.DataFrame, truth: pd.DataFrame, bound: float) -> dict[str, float]:
    """Return the numbers of a cell by name."""
    apart = isolated(truth, NEIGHBOUR_PX)
    everything = score_detections(found, truth, GATE_PX, bound_px=bound)
    without = score_detections(found, truth, GATE_PX, bound_px=bound, errors_over=apart)
    return {
        "f1": everything.f1,
        "precision": everything.precision,
        "recall": everything.recall,
        "error_over_bound": everything.rmse_over_bound,
        "error_over_bound_no_neighbour": without.rmse_over_bound,
        "bias_x_px": everything.bias_px[0],
        "bias_y_px": everything.bias_px[1],
        "error_over_stated": everything.error_over_stated_robust,
    }


def seconds(function: object, frames: np.ndarray, repeats: int = 3) -> float:
    """Return the shortest time of several runs, a frame."""
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function(frames)
        took.append(time.perf_counter() - begun)
    return min(took) / len(frames)


def cell(model: object, number: int, frames: int) -> tuple[dict[str, float], tuple]:
    """Score a cell; also return a frame, what is in it, and what each of the two found."""
    photons, spots, apart, bar = CELLS[number]
    filmed, truth = scene(photons, spots, apart, SEED + number, frames)
    bound = float(localisation_bound_px(photons, SIGMA_PX, BACKGROUND))
    ours = model.detect(filmed)
    settings = [
        best_cut(locate(filmed, diameter), mass_of_a_spot(photons, diameter), truth)
        for diameter in DIAMETERS_PX
    ]
    theirs = max(settings, key=lambda kept: quality(kept, truth))
    # What a video's particles have in common is measured once a video, on five frames.
    timed, common = filmed[:8], model.appearance(filmed[:5])
    least_mass = 0.5 * mass_of_a_spot(photons, DIAMETERS_PX[0])
    row = {
        "photons": photons,
        "spots": spots,
        "f1_bar": bar,
        "f1_matched_filter": matched_filter(filmed, truth),
        "f1_likelihood_ratio": likelihood_ratio(filmed, truth, photons) if apart else None,
        **measures(ours, truth, bound),
        **{f"trackpy_{name}": value for name, value in measures(theirs, truth, bound).items()},
        "ms_a_frame": 1000 * seconds(lambda frames: model.detect(frames, appearance=common), timed),
        "trackpy_ms_a_frame": 1000
        * seconds(lambda frames: locate(frames, DIAMETERS_PX[0], least_mass), timed),
    }
    return row, (filmed[0], *(part[part["frame"] == 0] for part in (truth, ours, theirs)))


def peak_memory_mb() -> float:
    """Return the memory of a process that looks at one frame of 2048 x 2048 px, MB."""
    asked = [sys.executable, __file__, "--one-large-frame"]
    return float(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def look_at_a_large_frame() -> None:
    """Look at a frame of 2048 x 2048 px with 8000 spots, and print the peak memory in MB."""
    filmed, _ = scene(1000, 500, False, SEED, 1)
    model = load_model()
    model.detect(np.tile(filmed, (1, 4, 4)))
    # Linux counts in kB.
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def draw(rows: list[dict[str, float]], example: tuple) -> Figure:
    """Draw F1, errors and calibration of both, and a crowded corner with what they found."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.35, 1])
    axes = left.subplots(3, 1, sharex=True)
    places = np.arange(len(rows))
    panels = [
        ("f1", "F1 at 3 px"),
        ("error_over_bound_no_neighbour", "error / bound\n(no neighbour in 3 px)"),
        ("error_over_stated", "error / stated"),
    ]
    for axis, (name, label) in zip(axes, panels, strict=True):
        ours = [row[name] for row in rows]
        axis.plot(places, ours, "o-", color="#0072B2", label="bundled model")
        if name != "error_over_stated":
            theirs = [row[f"trackpy_{name}"] for row in rows]
            axis.plot(places, theirs, "s--", color="#D55E00", label="trackpy, best settings")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].plot(places, [row["f1_bar"] for row in rows], "_", color="#222222", ms=14, label="bar")
    axes[0].legend(frameon=False)
    axes[1].axhline(1, color="#999999", lw=0.8)
    axes[2].axhspan(0.9, 1.1, color="#d9d9d9", alpha=0.6, lw=0)
    axes[2].set_xticks(places, [f"{row['photons']}\n{row['spots']}" for row in rows])
    axes[2].set_xlabel("photons a spot (above), spots a frame (below)")
    frame, truth, ours, theirs = example
    axis = right.subplots()
    axis.imshow(frame[:128, :128], cmap="gray", vmax=np.percentile(frame, 99.7))
    axis.plot(truth["x"], truth["y"], "o", ms=11, mfc="none", mec="#ffffff", mew=0.7, label="true")
    axis.plot(ours["x"], ours["y"], "+", ms=8, color="#56B4E9", mew=1.6, label="bundled model")
    axis.plot(theirs["x"], theirs["y"], "x", ms=5, color="#E69F00", mew=1.2, label="trackpy")
    axis.set(xlim=(-0.5, 127.5), ylim=(127.5, -0.5), xticks=[], yticks=[])
    axis.set_title("1000 photons, 1000 spots: a quarter of the side", loc="left", fontsize=10)
    axis.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=3,
        facecolor="#444444",
        labelcolor="white",
    )
    return figure


def main() -> None:
    """Print the table, and write it as JSON and as a figure."""
    parser = argparse.ArgumentParser(description="Detection beside trackpy.")
    parser.add_argument("--frames", type=int, default=12, help="frames of each cell")
    parser.add_argument("--one-large-frame", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one_large_frame:
        look_at_a_large_frame()
        return
    trackpy.quiet()
    np.seterr(divide="ignore")
    model = load_model()
    model.detect(np.zeros((1, SIDE_PX, SIDE_PX)))
    print(
        f"threshold {model.threshold}; trackpy {'with' if NUMBA else 'without'} numba\n"
        "photons spots | F1 ours  bar    trackpy matched likelihood | error/bound ours "
        "(no neighbour in 3 px) trackpy      | bias px | error/stated | ms a frame ours/trackpy"
    )
    rows = []
    for number in range(len(CELLS)):
        row, example = cell(model, number, asked.frames)
        rows.append(row)
        seen_at_all = f"{row['f1_likelihood_ratio']:.3f}" if row["f1_likelihood_ratio"] else "  -  "
        print(
            f"{row['photons']:7d} {row['spots']:5d} | "
            f"{row['f1']:.3f}    {row['f1_bar']:.3f}  {row['trackpy_f1']:.3f}   "
            f"{row['f1_matched_filter']:.3f}   {seen_at_all}      | "
            f"{row['error_over_bound']:.2f} ({row['error_over_bound_no_neighbour']:.2f})   "
            f"{row['trackpy_error_over_bound']:.2f} "
            f"({row['trackpy_error_over_bound_no_neighbour']:.2f}) | "
            f"{max(abs(row['bias_x_px']), abs(row['bias_y_px'])):.3f} | "
            f"{row['error_over_stated']:.2f} | "
            f"{row['ms_a_frame']:.0f}/{row['trackpy_ms_a_frame']:.0f} = "
            f"{row['ms_a_frame'] / row['trackpy_ms_a_frame']:.2f}",
            flush=True,
        )
    memory = peak_memory_mb()
    print(f"one frame of 2048 x 2048 px: {memory:.0f} MB at most; GPU: see gpu.py")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "detection.json").write_text(
        json.dumps(
            {
                "machine": platform.processor() or platform.machine(),
                "cores": torch.get_num_threads(),
                "threshold": model.threshold,
                "frames": asked.frames,
                "numba": NUMBA,
                "cells": rows,
                "peak_memory_mb": memory,
            },
            indent=2,
        )
        + "\n"
    )
    draw(rows, example).savefig(RESULTS / "detection.png", dpi=130)


if __name__ == "__main__":
    main()

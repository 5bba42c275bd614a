"""From simulated videos to D: the whole chain, told nothing but calibration, beside version 3.0's.

    python benchmarks/end_to_end.py [--repeats 20] [--only NUMBERS]

Videos of 512 x 512 px and 100 frames at 20 frames/s, 0.1 um a pixel, drawn by the renderer in this
file: Gaussian spots of sigma 1.5 px on 20 photons a pixel, Poisson noise, Brownian motion in a box
whose sides are joined (a particle that leaves on one side enters as a new one on the other),
blurred over the exposure by 8 positions a frame where it is full; some particles are stuck.

- cloudtrainer: what `analyze` does up to its figures, with the bundled model; D, alpha and their
  95% intervals, exposure not given.
- version 3.0's chain: threshold, centroids of areas, range of 10 px, memory of 3, the straight line
  through the first 10 lags of the MSD. Its network is replaced by a threshold at 4 noise standard
  deviations of the smoothed frame.

Bias and standard deviation over the repeats as a share of D ("as linked": before what links took of
it, told from simulated particles, was put back), the share of intervals that hold it,
and the search range over half of the median distance to the nearest neighbour: above 1 swaps are
likely, and the share of repeats that were warned of it is shown. Of stuck particles D is that of
the mobile ones. "anomalous" is the share of repeats whose motion, Brownian throughout, was called
sub- or super-diffusive.
"""

import argparse
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import erf

from _repeats import Repeats
from cloudtrainer.analysis.measure import measure
from cloudtrainer.analysis.source import Given, open_source
from cloudtrainer.analysis.tracks import track_video
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.diffusion import fit_diffusion_models

SIDE_PX, FRAMES = 512, 100
PIXEL_UM, INTERVAL_S = 0.1, 0.05
SIGMA_PX, BACKGROUND = 1.5, 20.0
REACH_PX, BLUR_STEPS = 8, 8
SEED = 60_000
CROWDED = "nearest neighbour"


@dataclass(frozen=True)
class Cell:
    """Videos of one kind; photons of a spot in a frame, D in um^2/s."""

    D: float
    particles: int
    photons: float
    full_exposure: bool = False
    stuck: float = 0.0


CELLS = [
    Cell(0.01, 100, 400),
    Cell(0.1, 100, 400),
    Cell(1.0, 100, 400),
    Cell(0.1, 100, 150),
    Cell(0.1, 100, 1000),
    Cell(0.1, 500, 400),
    Cell(0.1, 1000, 400),
    Cell(0.1, 100, 400, full_exposure=True),
    Cell(1.0, 50, 400, full_exposure=True),
    Cell(0.1, 100, 400, stuck=0.3),
    Cell(0.1, 500, 400, stuck=0.3),
    Cell(1.0, 500, 400),
    Cell(5.0, 50, 400),
]


def filmed(cell: Cell, seed: int) -> np.ndarray:
    """Return the frames of a video, uint16."""
    rng = np.random.default_rng(seed)
    parts = BLUR_STEPS if cell.full_exposure else 1
    step = np.sqrt(2 * cell.D * INTERVAL_S / parts) / PIXEL_UM
    moves = np.arange(cell.particles) >= round(cell.stuck * cell.particles)
    place = rng.uniform(0, SIDE_PX, (cell.particles, 2))
    frames = np.empty((FRAMES, SIDE_PX, SIDE_PX), np.uint16)
    for frame in frames:
        light = np.full((SIDE_PX, SIDE_PX), BACKGROUND)
        for _ in range(parts):
            _add_spots(light, place, cell.photons / parts)
            place = (place + moves[:, None] * rng.normal(0, step, place.shape)) % SIDE_PX
        frame[:] = rng.poisson(light)
    return frames


def _add_spots(light: np.ndarray, place: np.ndarray, photons: float) -> None:
    edges = np.arange(-REACH_PX, REACH_PX + 2) - 0.5
    middle = np.rint(place).astype(int)
    scaled = (edges - (place - middle)[..., None]) / (SIGMA_PX * np.sqrt(2))
    across, down = np.moveaxis(np.diff(erf(scaled), axis=2) / 2, 1, 0)
    spots = photons * down[:, :, None] * across[:, None, :]
    columns = middle[:, 0, None] + np.arange(-REACH_PX, REACH_PX + 1)
    rows = middle[:, 1, None] + np.arange(-REACH_PX, REACH_PX + 1)
    seen = ((rows >= 0) & (rows < SIDE_PX))[:, :, None]
    seen = seen & ((columns >= 0) & (columns < SIDE_PX))[:, None, :]
    where = (rows % SIDE_PX)[:, :, None] * SIDE_PX + (columns % SIDE_PX)[:, None, :]
    light += np.bincount(where[seen], spots[seen], minlength=SIDE_PX * SIDE_PX).reshape(
        SIDE_PX, SIDE_PX
    )


def version_3(frames: np.ndarray) -> float:
    """Return D by version 3.0's chain, um^2/s."""
    tables = []
    for number, frame in enumerate(frames):
        smooth = ndimage.gaussian_filter(frame.astype(np.float32), 1.0)
        ground = np.median(smooth)
        noise = 1.4826 * np.median(np.abs(smooth - ground))
        areas, count = ndimage.label(smooth > ground + 4 * noise)
        which = 1 + np.flatnonzero(np.bincount(areas.ravel(), minlength=count + 1)[1:] >= 3)
        centres = np.array(ndimage.center_of_mass(areas > 0, areas, which)).reshape(-1, 2)
        tables.append(pd.DataFrame({"frame": number, "x": centres[:, 1], "y": centres[:, 0]}))
    try:
        tracks = trackpy.link(pd.concat(tables, ignore_index=True), 10, memory=3)
    except trackpy.SubnetOversizeException:
        return float("nan")
    tracks = trackpy.filter_stubs(tracks, 5).reset_index(drop=True)
    if tracks.empty:
        return float("nan")
    emsd = trackpy.emsd(tracks, PIXEL_UM, 1 / INTERVAL_S, max_lagtime=10)
    plain = pd.Series(emsd.to_numpy(), index=emsd.index)
    return float(fit_diffusion_models(plain)["D"])


def crowding(cell: Cell) -> float:
    """Return 4.8 standard deviations of a step over half the distance to the nearest neighbour."""
    xy = np.random.default_rng(0).uniform(0, SIDE_PX, (cell.particles, 2))
    nearest = np.median(cKDTree(xy, boxsize=SIDE_PX).query(xy, 2)[0][:, 1])
    return float(4.8 * np.sqrt(2 * cell.D * INTERVAL_S) / PIXEL_UM / (nearest / 2))


def one_video(seed: int, cell: Cell) -> dict[str, float]:
    """Return what both chains make of one video, D as a share of the true one."""
    trackpy.quiet()
    warnings.filterwarnings("ignore", module="trackpy")
    settings = Config().analysis
    frames = filmed(cell, seed)
    source = open_source(frames, Given(PIXEL_UM, INTERVAL_S, None, None, None, None, None))
    tracked = track_video(source.video, load_model(), settings, None, None, source.numbers)
    found = measure(tracked, source, settings)
    D, alpha = found.diffusion, found.anomalous.alpha
    return {
        "ours": D.value / cell.D,
        "as_linked": D.value * (1 - D.links_lost) / cell.D,
        "held": D.low <= cell.D <= D.high,
        "half_width": (D.high - D.low) / (2 * cell.D),
        "warned": any(CROWDED in said for said in (*tracked.warnings, *found.warnings)),
        "alpha": alpha.value,
        "alpha_held": alpha.low <= 1 <= alpha.high,
        "anomalous": found.motion.motion_model == "anomalous",
        "theirs": version_3(frames) / cell.D,
    }


def measured(cell: Cell, number: int, count: int, repeats: Repeats) -> dict[str, float]:
    """Return what both chains gave over the repeats."""
    first = SEED + 1000 * number
    videos = repeats.of(one_video, range(first, first + count), cell)
    return {
        "bias": videos["ours"].mean() - 1,
        "bias_error": videos["ours"].sem(),
        "as_linked": videos["as_linked"].mean() - 1,
        "standard_deviation": videos["ours"].std(),
        "half_width": videos["half_width"].mean(),
        "held": videos["held"].mean(),
        "alpha": videos["alpha"].mean(),
        "alpha_held": videos["alpha_held"].mean(),
        "anomalous": videos["anomalous"].mean(),
        "crowding": crowding(cell),
        "warned": videos["warned"].mean(),
        "version_3_bias": videos["theirs"].mean() - 1,
        "version_3_standard_deviation": videos["theirs"].std(),
    }


def main() -> None:
    """Print a line for each kind of video and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", type=int, nargs="*", default=range(len(CELLS)))
    asked = parser.parse_args()
    print(
        "D      particles photons exposure stuck | bias          as linked    sd    half width  "
        "held | alpha  held  anomalous | range/half distance, warned | v3.0 bias, sd"
    )
    rows = []
    with Repeats() as repeats:
        for number in asked.only:
            cell = CELLS[number]
            row = measured(cell, number, asked.repeats, repeats)
            rows.append({**asdict(cell), **row})
            print(
                f"{cell.D:<6} {cell.particles:9d} {cell.photons:7.0f} "
                f"{'full' if cell.full_exposure else 'short':>8} {cell.stuck:5.0%} | "
                f"{row['bias']:+6.1%} ± {row['bias_error']:4.1%}  {row['as_linked']:+6.1%} "
                f"{row['standard_deviation']:9.1%} "
                f"{row['half_width']:6.1%} {row['held']:10.0%} | {row['alpha']:5.3f} "
                f"{row['alpha_held']:5.0%} {row['anomalous']:5.0%}      | {row['crowding']:8.2f} "
                f"{row['warned']:10.0%}           | {row['version_3_bias']:+6.1%} "
                f"{row['version_3_standard_deviation']:5.1%}",
                flush=True,
            )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    document = {"repeats": asked.repeats, "cells": rows}
    (results / "end_to_end.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What the border of the field of view does to D and alpha, with and without the cure.

    python benchmarks/border.py [--videos 40]

Brownian particles move in a world larger than the frame; tracks are what is inside, known up to a
localisation error. No linking and no detector takes part: the steps that are missing are those
that lead out of the frame. Prints bias and coverage of D, and bias of alpha, from all
displacements and from those that begin away from the border; trackpy's line through the
ensemble MSD stands beside them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy

from cloudtrainer.diffusion import (
    estimate_anomalous,
    estimate_diffusion,
    with_distance_to_border,
)

RESULTS = Path(__file__).parent / "results"
FRAME_INTERVAL_S, PIXEL_UM = 1 / 30, 0.1
FRAMES, FEWEST_FRAMES, WORLD_MARGIN_PX = 200, 5, 100
# Side of the frame (px), D (um^2/s), localisation error (um), particles in view.
CELLS = [
    (512, 0.5, 0.02, 100),
    (512, 5.0, 0.02, 100),
    (256, 0.5, 0.02, 60),
    (256, 2.0, 0.05, 60),
    (128, 0.5, 0.05, 30),
    (128, 2.0, 0.02, 40),
]
SEED = 50_000


def tracks_in_view(
    rng: np.random.Generator, side_px: int, D: float, sigma_um: float, particles: int
) -> pd.DataFrame:
    """Return what is seen of particles that move in and out of a frame."""
    world = side_px + 2 * WORLD_MARGIN_PX
    count = round(particles * (world / side_px) ** 2)
    step = np.sqrt(2 * D * FRAME_INTERVAL_S) / PIXEL_UM
    start = rng.uniform(0, world, (count, 1, 2))
    path = start + np.cumsum(rng.normal(0, step, (count, FRAMES, 2)), axis=1)
    lap = np.floor(path / world)
    seen = path - lap * world - WORLD_MARGIN_PX - 0.5
    seen += rng.normal(0, sigma_um / PIXEL_UM, seen.shape)
    inside = ((seen > -0.5) & (seen < side_px - 0.5)).all(axis=2)
    # Out of view, or around the world: another track.
    apart = np.diff(inside, axis=1) | (np.diff(lap, axis=1) != 0).any(axis=2)
    visit = np.cumsum(np.pad(apart, ((0, 0), (1, 0))), axis=1)
    who, frame = np.nonzero(inside)
    xy = seen[who, frame]
    table = pd.DataFrame({"frame": frame, "x": xy[:, 0], "y": xy[:, 1]})
    table.insert(0, "particle", np.unique(who * FRAMES + visit[who, frame], return_inverse=True)[1])
    long = table.groupby("particle")["frame"].transform("size") >= FEWEST_FRAMES
    return table[long].reset_index(drop=True)


def slope_of_msd(tracks: pd.DataFrame) -> float:
    """Return D by a line through ten lags of trackpy's ensemble MSD."""
    msd = trackpy.emsd(tracks, PIXEL_UM, 1 / FRAME_INTERVAL_S, max_lagtime=10)
    return float(np.polyfit(msd.index.to_numpy(), msd.to_numpy(), 1)[0] / 4)


def cell(number: int, videos: int) -> dict[str, float]:
    """Measure the videos of one cell."""
    side, D, sigma, particles = CELLS[number]
    found = []
    for video in range(videos):
        rng = np.random.default_rng([SEED, number, video])
        tracks = tracks_in_view(rng, side, D, sigma, particles)
        row = {"line": slope_of_msd(tracks) / D - 1}
        for name, table in (
            ("all", tracks),
            ("inner", with_distance_to_border(tracks, side, side)),
        ):
            of_all = estimate_diffusion(table, FRAME_INTERVAL_S, PIXEL_UM)
            alpha = estimate_anomalous(table, FRAME_INTERVAL_S, PIXEL_UM, 0.0, interval="model")
            row |= {
                f"{name}_D": of_all.value / D - 1,
                f"{name}_error": of_all.standard_error / D,
                f"{name}_covered": of_all.low <= D <= of_all.high,
                f"{name}_alpha": alpha.alpha.value - 1,
            }
        found.append(row)
    table = pd.DataFrame(found).astype(float)
    mean = table.mean().to_dict()
    return {
        "side_px": side,
        "D_um2_per_s": D,
        "localisation_error_um": sigma,
        "step_px": float(np.sqrt(2 * D * FRAME_INTERVAL_S) / PIXEL_UM),
        **mean,
        "inner_D_known_to": float(table["inner_D"].std(ddof=1) / np.sqrt(videos)),
    }


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=40, help="videos of each cell")
    asked = parser.parse_args()
    trackpy.quiet()
    print(
        "| field (px), step (px), D, sigma (um) | all displacements: bias, covers, alpha - 1 "
        "| away from the border: bias, covers, alpha - 1 | standard error | trackpy, line: bias |"
    )
    print("|---|---|---|---|---|")
    rows = []
    for number in range(len(CELLS)):
        row = cell(number, asked.videos)
        rows.append(row)
        print(
            f"| {row['side_px']:.0f}, {row['step_px']:.1f}, {row['D_um2_per_s']:g}, "
            f"{row['localisation_error_um']:g} "
            f"| {row['all_D']:+.1%}, {row['all_covered']:.0%}, {row['all_alpha']:+.3f} "
            f"| {row['inner_D']:+.1%} ± {row['inner_D_known_to']:.1%}, {row['inner_covered']:.0%}, "
            f"{row['inner_alpha']:+.3f} "
            f"| {row['inner_error'] / row['all_error']:.2f} x | {row['line']:+.1%} |",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "border.json").write_text(
        json.dumps({"videos": asked.videos, "rows": rows}, indent=1)
    )


if __name__ == "__main__":
    main()

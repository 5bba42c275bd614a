"""D and alpha of videos whose frames are missing or uneven in time, with and without their times.

    python benchmarks/uneven_frames.py [videos]

40 Brownian particles of D = 0.5 um^2/s, 60 times about 0.04 s apart, positions with an error of
0.05 um per axis, drawn by this file at the true times. Estimated with the frames numbered by
`number_frames` and its interval, and with the frames numbered as they come and the median of the
steps in time. Means over the videos (40 unless given), their standard error, and the share of 95%
intervals (of the likelihood) that hold the truth.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import estimate_anomalous, estimate_diffusion
from cloudtrainer.tracking import number_frames

D_UM2_PER_S, ERROR_UM, INTERVAL_S, PIXEL_UM = 0.5, 0.05, 0.04, 0.1
PARTICLES, FRAMES = 40, 60

Times = Callable[[np.random.Generator], np.ndarray]
KINDS: dict[str, Times] = {
    "even": lambda rng: np.arange(FRAMES),
    "10% missing": lambda rng: np.flatnonzero(rng.random(FRAMES) > 0.1),
    "30% missing": lambda rng: np.flatnonzero(rng.random(FRAMES) > 0.3),
    "10% missing, times off by 5%": lambda rng: np.sort(
        (np.arange(FRAMES) + rng.normal(0, 0.05, FRAMES))[rng.random(FRAMES) > 0.1]
    ),
    "steps scatter by 10%": lambda rng: np.cumsum(1 + 0.1 * rng.uniform(-1.73, 1.73, FRAMES)),
    "steps scatter by 40%": lambda rng: np.cumsum(1 + 0.4 * rng.uniform(-1.73, 1.73, FRAMES)),
    "exponential steps": lambda rng: np.cumsum(rng.exponential(1, FRAMES)),
    "half the rate from the middle": lambda rng: np.cumsum(
        np.where(np.arange(FRAMES) < FRAMES // 2, 1, 2)
    ),
}


def film(times_s: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``particle, x, y`` (px) of each particle at each time."""
    spread = np.sqrt(2 * D_UM2_PER_S * np.diff(times_s, prepend=times_s[0]))[:, None]
    path = np.cumsum(rng.normal(size=(PARTICLES, times_s.size, 2)) * spread, axis=1)
    seen = (path + rng.normal(0, ERROR_UM, path.shape)).reshape(-1, 2) / PIXEL_UM
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(PARTICLES), times_s.size),
            "x": seen[:, 0],
            "y": seen[:, 1],
        }
    )


def estimated(
    tracks: pd.DataFrame, numbers: np.ndarray, interval_s: float
) -> tuple[float, bool, float]:
    """Return D over the truth, whether its interval holds the truth, and alpha."""
    tracks = tracks.assign(frame=np.tile(numbers, PARTICLES))
    D = estimate_diffusion(tracks, interval_s, PIXEL_UM, interval="model")
    alpha = estimate_anomalous(tracks, interval_s, PIXEL_UM, interval="model").alpha.value
    return D.value / D_UM2_PER_S, D.low <= D_UM2_PER_S <= D.high, alpha


def main() -> None:
    videos = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print("                                 by their times               as they come, median step")
    print(
        "frames                           D / truth      held  alpha   D / truth      held  alpha"
    )
    results = {}
    for name, drawn in KINDS.items():
        rows = []
        for seed in range(videos):
            rng = np.random.default_rng(60_000 + seed)
            times = drawn(rng) * INTERVAL_S
            tracks, clock = film(times, rng), number_frames(times)
            counted, median = np.arange(times.size), float(np.median(np.diff(times)))
            rows.append(
                estimated(tracks, clock.numbers, clock.interval_s)
                + estimated(tracks, counted, median)
            )
        table = np.array(rows, dtype=np.float64)
        mean, error = table.mean(axis=0), table.std(axis=0) / np.sqrt(videos)
        results[name] = {"mean": mean.tolist(), "standard_error": error.tolist()}
        line = "   ".join(
            f"{mean[k]:.3f} +- {error[k]:.3f}  {100 * mean[k + 1]:3.0f}%  {mean[k + 2]:.3f}"
            for k in (0, 3)
        )
        print(f"{name:30s}   {line}", flush=True)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "uneven_frames.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

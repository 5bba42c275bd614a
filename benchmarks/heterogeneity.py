"""The spread of D and of alpha between particles: bias, scatter, coverage on known populations.

    python benchmarks/heterogeneity.py [--repeats N] [--alpha-repeats N]

The populations have D of 0.5 um^2/s on the mean: one D, a gamma distribution of coefficient of
variation 0.3, an exponential one (1.0), and equal numbers of 0.1 and 1.0 um^2/s (0.82). It prints
the root of the mean square of the coefficient of variation, how often its 95% interval holds the
true one, that of the density, and for the mixture how much of the density lies below 0.32 um^2/s;
and writes ``benchmarks/results/heterogeneity.json``. Then fractional Brownian motion, by Cholesky
decomposition, whose alpha is normal about 0.8 with a standard deviation of 0, 0.1 and 0.2: the root
of the mean square of the spread that is found, and how often its interval holds the true one.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from _tracks import fractional
from cloudtrainer.diffusion import alpha_spread, diffusion_spread

RESULTS = Path(__file__).parent / "results" / "heterogeneity.json"
DT, PIXEL = 1 / 30, 0.1
# Tracks, frames, localisation error (um), whether exposed throughout, stride.
REGIMES = [
    (100, 60, 0.05, False, 1),
    (30, 100, 0.05, True, 1),
    (300, 25, 0.10, True, 1),
    (60, 200, 0.05, True, 5),
]
# Tracks, frames, localisation error (um), for alpha.
ALPHA_REGIMES = [(40, 100, 0.02), (100, 60, 0.03), (30, 300, 0.05)]
ALPHA_SPREADS, ALPHA_MEAN, K = (0.0, 0.1, 0.2), 0.8, 0.1
POPULATIONS = {"0": 0.0, "0.3": 0.3, "1": 1.0, "0.1 and 1": 0.45 / 0.55}


def population(rng: np.random.Generator, particles: int, name: str) -> np.ndarray:
    """Return the D of each particle, um^2/s."""
    if name == "0":
        return np.full(particles, 0.5)
    if name == "0.1 and 1":
        return rng.permutation(np.resize([0.1, 1.0], particles))
    shape = 1 / float(name) ** 2
    return rng.gamma(shape, 0.5 / shape, particles)


def tracks(
    rng: np.random.Generator, D: np.ndarray, frames: int, sigma: float, full: bool
) -> pd.DataFrame:
    """Simulate Brownian tracks, averaged exactly over a full exposure."""
    variance = 2 * D[:, None, None] * DT
    step = rng.normal(size=(len(D), frames, 2)) * np.sqrt(variance)
    position = np.cumsum(step, axis=1) - step
    if full:
        position += step / 2 + rng.normal(size=step.shape) * np.sqrt(variance / 12)
    position = (position + sigma * rng.normal(size=step.shape)) / PIXEL
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(len(D)), frames),
            "frame": np.tile(np.arange(frames), len(D)),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )


def alphas(repeats: int, seed: int) -> list[dict[str, object]]:
    """Print and return a line for each regime and spread of alpha."""
    rows: list[dict[str, object]] = []
    print("tracks, frames, sigma | spread of alpha  rms found  sd  covered")
    for regime in ALPHA_REGIMES:
        particles, frames, sigma = regime
        for number, spread in enumerate(ALPHA_SPREADS):
            found, covered = [], 0
            for run in range(repeats):
                rng = np.random.default_rng([seed, run, number])
                drawn = np.clip(rng.normal(ALPHA_MEAN, spread, particles), 0.05, 1.95)
                single = [fractional(rng, 1, frames, K, alpha, sigma) for alpha in drawn]
                table = pd.concat(one.assign(particle=i) for i, one in enumerate(single))
                told = alpha_spread(table, DT, PIXEL)
                found.append(told.value)
                covered += told.low <= spread <= told.high
            row = {
                "regime": regime,
                "spread": spread,
                "rms": float(np.sqrt(np.mean(np.square(found)))),
                "mean": float(np.mean(found)),
                "sd": float(np.std(found)),
                "covered": covered / repeats,
            }
            rows.append(row)
            print(
                f"{regime!s:<22}| {spread:<6.2f} {row['rms']:<6.3f} {row['sd']:<6.3f} "
                f"{100 * covered / repeats:.1f}%",
                flush=True,
            )
    return rows


def main() -> None:
    """Print a line for each regime and population, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--alpha-repeats", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = []
    print("tracks, frames, sigma, full, stride | spread  found  sd  covered  density  below 0.32")
    for regime in REGIMES:
        particles, frames, sigma, full, stride = regime
        for name, truth in POPULATIONS.items():
            found, of_density, below = [], [], []
            covered = 0
            for run in range(given.repeats):
                rng = np.random.default_rng([given.seed, run])
                table = tracks(rng, population(rng, particles, name), frames, sigma, full)
                spread = diffusion_spread(table, DT, PIXEL, stride=stride)
                found.append(spread.value)
                covered += spread.low <= truth <= spread.high
                D, share = spread.grid, spread.density * np.gradient(spread.grid)
                share /= share.sum()
                mean = D @ share
                of_density.append(np.sqrt((D - mean) ** 2 @ share) / mean)
                below.append(share[D < 0.316].sum())
            row = {
                "regime": regime,
                "spread": truth,
                "rms": float(np.sqrt(np.mean(np.square(found)))),
                "sd": float(np.std(found)),
                "covered": covered / given.repeats,
                "of_density": float(np.mean(of_density)),
                "below": float(np.mean(below)),
            }
            rows.append(row)
            print(
                f"{regime!s:<36}| {truth:<6.2f} {row['rms']:<6.3f} {row['sd']:<5.3f} "
                f"{100 * row['covered']:<6.1f}% {row['of_density']:<7.3f}  {row['below']:.3f}",
                flush=True,
            )
    results = {"D": rows, "alpha": alphas(given.alpha_repeats, given.seed)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

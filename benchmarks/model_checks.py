"""How often the checks of the model fail clean tracks, and how often they find what is wrong.

    python benchmarks/model_checks.py [--repeats N]

Each case is simulated with NumPy alone. A line gives the share of runs that failed any check, and
of those that failed each. It writes ``benchmarks/results/model_checks.json``.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import check_model

RESULTS = Path(__file__).parent / "results" / "model_checks.json"
Simulate = Callable[[np.random.Generator], pd.DataFrame]


def tracks(
    rng: np.random.Generator,
    particles: int = 100,
    frames: int = 100,
    *,
    variance: float | np.ndarray = 1.0,
    noise: float | np.ndarray = 0.5,
    lengths: np.ndarray | None = None,
    field: float = 400.0,
    extra: np.ndarray | float = 0.0,
) -> pd.DataFrame:
    """Return Brownian tracks in pixels, steps of this variance an axis, anywhere in the field."""
    scale = np.sqrt(np.broadcast_to(variance, (particles,)))[:, None, None]
    path = np.cumsum(scale * rng.normal(size=(particles, frames, 2)), axis=1)
    path += rng.uniform(0, field, (particles, 1, 2)) + extra
    error = np.broadcast_to(noise, (particles,))[:, None, None]
    position = path + error * rng.normal(size=path.shape)
    frame = np.tile(np.arange(frames), particles)
    found = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), frames),
            "frame": frame,
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
            "intensity": np.repeat(rng.lognormal(5, 0.5, particles), frames),
        }
    )
    if lengths is not None:
        found = found[frame < np.repeat(lengths, frames)].reset_index(drop=True)
    return found


def lengths(rng: np.random.Generator, particles: int, mean: float) -> np.ndarray:
    """Return lengths of tracks that end at random, 5 positions or more."""
    return 5 + rng.exponential(mean - 5, particles).astype(int)


def with_gaps(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Leave out a tenth of the positions."""
    return table[rng.random(len(table)) < 0.9].reset_index(drop=True)


def leaving(rng: np.random.Generator) -> pd.DataFrame:
    """Return tracks that end where particles leave the field or the focal depth for good."""
    particles, frames, field, depth = 250, 120, 200.0, 8.0
    path = np.cumsum(rng.normal(size=(particles, frames, 3)), axis=1)
    path += rng.uniform(0, 1, (particles, 1, 3)) * [field, field, depth]
    outside = (path < 0) | (path > [field, field, depth])
    inside = np.cumsum(outside.any(2), axis=1) == 0
    position = path[:, :, :2] + 0.3 * rng.normal(size=path[:, :, :2].shape)
    owner, frame = np.nonzero(inside)
    x, y = position[owner, frame].T
    found = pd.DataFrame({"particle": owner, "frame": frame, "x": x, "y": y})
    return found[found.groupby("particle")["x"].transform("size") >= 5].reset_index(drop=True)


def locked(rng: np.random.Generator) -> pd.DataFrame:
    """Return positions that are drawn to the middle of pixels by up to 0.08 px."""
    table = tracks(rng, variance=0.5, noise=0.05)
    return table.assign(x=table["x"] - 0.08 * np.sin(2 * np.pi * table["x"]))


def graded(rng: np.random.Generator) -> pd.DataFrame:
    """Return tracks whose D is 50% higher at the right edge than at the left."""
    table = tracks(rng, 200, 100)
    first = table.groupby("particle")["x"].transform("first")
    scale = np.sqrt(0.8 + 0.4 * first / 400)
    return table.assign(x=first + scale * (table["x"] - first), y=scale * table["y"])


def bright_and_slow(rng: np.random.Generator) -> pd.DataFrame:
    """Return particles of two sizes, the larger brighter and 30% slower."""
    table = tracks(rng, 200, variance=np.repeat([1.0, 0.7], 100))
    return table.assign(intensity=table["intensity"] * np.where(table["particle"] < 100, 1, 2))


def vibration(amplitude: float, rate: float, *, shared: bool) -> Simulate:
    """Return tracks that are shaken in x, together or each at its own phase."""

    def simulate(rng: np.random.Generator) -> pd.DataFrame:
        phase = rng.uniform(0, 2 * np.pi, 1 if shared else 100)
        shaken = amplitude * np.sin(2 * np.pi * rate * np.arange(100) + phase[:, None])
        return tracks(rng, extra=np.stack([shaken, 0 * shaken], axis=2))

    return simulate


def wandering(rng: np.random.Generator) -> pd.DataFrame:
    """Return tracks with a stage that wanders: 0.3 px a frame, one direction for 20 frames."""
    velocity = 0.3 * np.repeat(rng.normal(size=(5, 2)), 20, axis=0)
    return tracks(rng, extra=np.cumsum(velocity, axis=0)[None])


CLEAN: dict[str, Simulate] = {
    "100 tracks of 100 frames": tracks,
    "50 of 50, noise as large as steps": lambda rng: tracks(rng, 50, 50, noise=1.0),
    "20 of 300, a tenth missing": lambda rng: with_gaps(tracks(rng, 20, 300), rng),
    "3 of 800": lambda rng: tracks(rng, 3, 800),
    "300 that end at random, mean 30": lambda rng: tracks(
        rng, 300, 150, lengths=lengths(rng, 300, 30.0)
    ),
    "100 of 60, D exponential": lambda rng: tracks(
        rng, 100, 60, variance=rng.exponential(1.0, 100), lengths=lengths(rng, 100, 60.0)
    ),
    "100 of 60, noise of 0.1 to 1.5": lambda rng: tracks(
        rng, 100, 60, noise=rng.uniform(0.1, 1.5, 100)
    ),
    "leaving field and focus": leaving,
}
WRONG: dict[str, Simulate] = {
    "vibration of 0.3 px at 0.23 a frame": vibration(0.3, 0.23, shared=False),
    "the same, shared": vibration(0.3, 0.23, shared=True),
    "drift of 0.15 px a frame": lambda rng: tracks(
        rng, extra=0.15 * np.arange(100)[None, :, None] * [1, 0]
    ),
    "wandering stage": wandering,
    "locked by 0.08 px": locked,
    "D 50% higher at the right": graded,
    "bright ones 30% slower": bright_and_slow,
}


def rates(simulate: Simulate, repeats: int, seed: int) -> dict[str, float]:
    """Return the share of runs that failed any check, and each check."""
    failed: dict[str, float] = {"any": 0.0}
    for run in range(repeats):
        checks = check_model(simulate(np.random.default_rng([seed, run])))
        failed["any"] += any(check.failed for check in checks) / repeats
        for check in checks:
            failed[check.name] = failed.get(check.name, 0.0) + check.failed / repeats
    return failed


def main() -> None:
    """Print a line for each case and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    for heading, cases, share in (("clean", CLEAN, 1), ("wrong", WRONG, 8)):
        print(f"{heading}: % of runs that failed")
        for name, simulate in cases.items():
            repeats = max(given.repeats // share, 1)
            rows[name] = found = rates(simulate, repeats, given.seed)
            each = ", ".join(
                f"{check} {100 * rate:.3g}" for check, rate in found.items() if rate > 0
            )
            print(f"  {name:<36} of {repeats}: {each or 'none'}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

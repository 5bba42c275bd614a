"""How often each kind of motion is recognised, missed, or taken for another, on simulated tracks.

Run it alone: ``python benchmarks/motion.py [--repeats N] [--part tracks|ensembles|nulls]``. It
prints tables and writes ``benchmarks/results/motion_<part>.json``. The part ``nulls`` is what the
tests' limits were chosen by, and has seeds of its own.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import classify_motion

KINDS = ("immobile", "confined", "brownian", "anomalous", "directed", "undetermined")
# Localisation error over the standard deviation of the displacements by motion, each axis.
NOISES = (0.2, 1.0)
Simulate = Callable[[np.random.Generator, int, int], np.ndarray]


def table(position: np.ndarray) -> pd.DataFrame:
    """Return positions, shape (tracks, frames, 2), as a table."""
    tracks, frames, _ = position.shape
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(tracks), frames),
            "frame": np.tile(np.arange(frames), tracks),
            "x": position[:, :, 0].ravel(),
            "y": position[:, :, 1].ravel(),
        }
    )


def immobile(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
    """Return particles that stay where they are."""
    return np.zeros((tracks, frames, 2))


def brownian(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
    """Return Brownian paths whose displacements have a standard deviation of 1 on each axis."""
    return np.cumsum(rng.normal(size=(tracks, frames, 2)), axis=1)


def exposed(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
    """Return Brownian paths averaged over a full exposure."""
    step = rng.normal(size=(tracks, frames, 2))
    # The mean of a path over a frame, given its ends, is normal.
    bridge = rng.normal(size=step.shape) / np.sqrt(12)
    return np.cumsum(step, axis=1) - step / 2 + bridge


def different(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
    """Return Brownian paths of different D: gamma distributed, coefficient of variation 0.5."""
    return brownian(rng, tracks, frames) * np.sqrt(rng.gamma(4, 1 / 4, tracks))[:, None, None]


def directed(speed: float) -> Simulate:
    """Return Brownian paths with a velocity of this length and any direction."""

    def simulate(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi, tracks)
        velocity = speed * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return brownian(rng, tracks, frames) + velocity[:, None] * np.arange(frames)[None, :, None]

    return simulate


def caged(radius: float) -> Simulate:
    """Return Brownian paths in a round cage with hard walls: a step out of it is reflected."""

    def simulate(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
        substeps = 20
        place = radius * np.sqrt(rng.uniform(size=tracks))[:, None] * _directions(rng, tracks)
        path = np.empty((tracks, frames, 2))
        for frame in range(frames):
            path[:, frame] = place
            for _ in range(substeps):
                place = place + rng.normal(size=place.shape) / np.sqrt(substeps)
                distance = np.maximum(np.hypot(*place.T), 1e-12)
                inside = np.where(distance > radius, np.abs(2 * radius - distance), distance)
                place = place * (inside / distance)[:, None]
        return path

    return simulate


def _directions(rng: np.random.Generator, tracks: int) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi, tracks)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def well(rate: float) -> Simulate:
    """Return paths in a harmonic well; the displacements have a standard deviation of 1."""

    def simulate(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
        q = np.exp(-rate)
        spread = np.sqrt(0.5 / (1 - q))
        path = np.empty((tracks, frames, 2))
        path[:, 0] = spread * rng.normal(size=(tracks, 2))
        for i in range(1, frames):
            kick = spread * np.sqrt(1 - q**2) * rng.normal(size=(tracks, 2))
            path[:, i] = q * path[:, i - 1] + kick
        return path

    return simulate


def fractional(alpha: float) -> Simulate:
    """Return fractional Brownian paths."""

    def simulate(rng: np.random.Generator, tracks: int, frames: int) -> np.ndarray:
        k = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames))).astype(float)
        noise = ((k + 1) ** alpha + np.abs(k - 1) ** alpha - 2 * k**alpha) / 2
        steps = np.linalg.cholesky(noise) @ rng.normal(size=(frames, tracks * 2))
        return np.cumsum(steps, axis=0).T.reshape(tracks, 2, frames).transpose(0, 2, 1)

    return simulate


TRUTHS: dict[str, tuple[str, Simulate]] = {
    "immobile": ("immobile", immobile),
    "harmonic well, relaxation 1 frame": ("confined", well(1.0)),
    "harmonic well, relaxation 4 frames": ("confined", well(0.25)),
    "hard cage, radius 3 steps": ("confined", caged(3.0)),
    "Brownian, short exposure": ("brownian", brownian),
    "Brownian, full exposure": ("brownian", exposed),
    "anomalous, alpha 0.6": ("anomalous", fractional(0.6)),
    "anomalous, alpha 1.5": ("anomalous", fractional(1.5)),
    "directed, 0.5 steps a frame": ("directed", directed(0.5)),
    "directed, 1 step a frame": ("directed", directed(1.0)),
}


def heading(text: str) -> None:
    """Print a heading and the names of the columns."""
    print(f"\n{text}\n{'true kind':36s}" + "".join(f"{kind:>14s}" for kind in KINDS))


def line(name: str, said: list[str] | pd.Series, note: str = "") -> dict[str, float]:
    """Print how often each kind was said, and return it."""
    counts = pd.Series(said).value_counts(normalize=True)
    share = {kind: float(counts.get(kind, 0.0)) for kind in KINDS}
    print(
        f"{name:36s}" + "".join(f"{100 * share[kind]:13.1f}%" for kind in KINDS) + note, flush=True
    )
    return share


def noisy(rng: np.random.Generator, path: np.ndarray, noise: float) -> pd.DataFrame:
    """Return a path with localisation error as a table."""
    return table(path + noise * rng.normal(size=path.shape))


def run_tracks(seed: int, count: int) -> list[dict[str, object]]:
    """Classify single tracks of each kind."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for frames in (30, 100, 300):
        for noise in NOISES:
            heading(f"Single tracks of {frames} frames, {count} of each, noise {noise:g}")
            for name, (kind, simulate) in TRUTHS.items():
                tracks = noisy(rng, simulate(rng, count, frames), noise)
                found = classify_motion(tracks, None, None, per_track=True)
                right = found[found["motion_model"] == kind]
                note = ""
                if kind == "confined" and len(right) >= 10:
                    note = f"   radius {right['confinement_radius'].median():.2f}"
                if kind == "directed" and len(right) >= 10:
                    note = f"   speed {right['speed'].median():.2f}"
                share = line(name, found["motion_model"], note)
                rows.append({"frames": frames, "noise": noise, "true": name, "said": share})
    return rows


def run_ensembles(seed: int, repeats: int) -> list[dict[str, object]]:
    """Classify ensembles of each kind; Brownian ones five times as often."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    truths = dict(TRUTHS)
    truths["Brownian, D differs by 50%"] = ("brownian", different)
    for noise in NOISES:
        heading(f"Ensembles of 40 tracks of 40 frames, {repeats} of each, noise {noise:g}")
        for name, (kind, simulate) in truths.items():
            said, radius, speed = [], [], []
            for _ in range(repeats * (5 if kind == "brownian" else 1)):
                found = classify_motion(noisy(rng, simulate(rng, 40, 40), noise), None, None)
                said.append(found.motion_model)
                radius.append(found.confinement_radius)
                speed.append(found.speed)
            note = ""
            if "confined" in said:
                note = f"   radius {np.nanmean(radius):.3f} +- {np.nanstd(radius):.3f}"
            if "directed" in said:
                note = f"   speed {np.nanmean(speed):.3f} +- {np.nanstd(speed):.3f}"
            rows.append({"noise": noise, "true": name, "said": line(name, said, note)})
    return rows


def run_nulls(seed: int, count: int) -> list[dict[str, object]]:
    """Return how often each test rejects at 1% where its null holds: single tracks."""
    from cloudtrainer.diffusion.fractional import blocks_of
    from cloudtrainer.diffusion.motion_decision import null_probabilities
    from cloudtrainer.diffusion.motion_fit import fit_tracks
    from cloudtrainer.diffusion.motion_lattice import motion_lattice
    from cloudtrainer.diffusion.steps import steps_of
    from cloudtrainer.diffusion.tracks import track_arrays

    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    print("Share of single tracks in which each test rejects a true null at 1%")
    for frames in (12, 30, 100, 250):
        many = count if frames <= 100 else count // 4
        for noise in (0.2, 1.0, 2.0, 4.0, 10.0, None):
            path = np.zeros((many, frames, 2)) if noise is None else brownian(rng, many, frames)
            tracks = noisy(rng, path, 1.0 if noise is None else noise)
            lattice = motion_lattice(blocks_of(steps_of(track_arrays(tracks))), 0.0, 1)
            found = null_probabilities(fit_tracks(lattice))
            # D = 0 is a Brownian motion too: all tests have their null there.
            share = {
                name: float((p < 0.01).mean())
                for name, p in found.items()
                if noise is None or not name.startswith("immobile")
            }
            rows.append({"frames": frames, "noise": noise, "rejected": share})
            told = "immobile" if noise is None else f"noise {noise:g}"
            print(
                f"{frames:4d} frames, {told:9s} "
                + "  ".join(f"{name} {100 * value:.1f}%" for name, value in share.items()),
                flush=True,
            )
    return rows


def main() -> None:
    """Run the parts that are asked for, print them and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=40, help="ensembles; ten times as many tracks"
    )
    parser.add_argument("--part", choices=("tracks", "ensembles", "nulls"), default=None)
    asked = parser.parse_args()
    parts: dict[str, Callable[[], list[dict[str, object]]]] = {
        "tracks": lambda: run_tracks(3025, 10 * asked.repeats),
        "ensembles": lambda: run_ensembles(3026, asked.repeats),
        "nulls": lambda: run_nulls(11, 50 * asked.repeats),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    for name, run in parts.items():
        if asked.part in (None, name):
            text = json.dumps({"repeats": asked.repeats, "rows": run()}, indent=1)
            (folder / f"motion_{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

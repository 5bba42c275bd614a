"""Classes of transport, their fractions and intervals on simulated particles.

    python benchmarks/mobility.py [--repeats N]

Frames of 1/30 s, pixels of 160 um / 512. Particles are stuck, in a harmonic cage (D = 0.2 um^2/s,
each coordinate with a standard deviation of 0.15 um), Brownian (0.5 um^2/s) or Brownian (0.05
um^2/s) and moved at 1.5 um/s.

- Classes: the share of particles of each kind that `mobility` calls by its name, and the share that
  it calls undetermined; beside it that of the slope of log MSD alone (0.2, 0.9, 1.2).
- Fractions: particles of the four kinds drawn with probabilities 0.2, 0.3, 0.4 and 0.1; the mean
  fraction, and how often the 95% interval holds the probability.
- Leaving: always 25 stuck and 25 moving particles (1 um^2/s) in focus, each of the latter replaced
  after 4 frames and an exponential time of 25 on average: the mean immobile fraction and effective
  diffusivity at 0.1 s by particle and by frame (truth 0.5 and 0.5 um^2/s), and how often the
  intervals by frame hold the truth.
- Offsets: of the MSD, over the true one, by the Brownian estimate of the ensemble and by the
  particles classed immobile; equal parts stuck and caged, 300 frames.
"""

import argparse
import json
import math
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import estimate_diffusion, mobility

DT, PIXEL = 1 / 30, 160 / 512
KINDS = ("immobile", "hindered", "diffusive", "active")
SHARES = (0.2, 0.3, 0.4, 0.1)
RESULTS = Path(__file__).parent / "results" / "mobility.json"


def brownian(rng: np.random.Generator, frames: int, D: float) -> np.ndarray:
    """Return a path, um."""
    return np.cumsum(rng.normal(0, math.sqrt(2 * D * DT), (frames, 2)), axis=0)


def path_of(rng: np.random.Generator, kind: str, frames: int) -> np.ndarray:
    """Return the path of a particle of a kind, um."""
    if kind == "immobile":
        return np.zeros((frames, 2))
    if kind == "diffusive":
        return brownian(rng, frames, 0.5)
    if kind == "active":
        angle = rng.uniform(0, 2 * math.pi)
        way = 1.5 * DT * np.arange(frames)[:, None]
        return brownian(rng, frames, 0.05) + way * [math.cos(angle), math.sin(angle)]
    size, keep = 0.15, math.exp(-0.2 / 0.15**2 * DT)
    place, path = rng.normal(0, size, 2), []
    for _ in range(frames):
        path.append(place)
        place = keep * place + rng.normal(0, size * math.sqrt(1 - keep**2), 2)
    return np.array(path)


def table(
    rng: np.random.Generator, paths: list[np.ndarray], error_um: float, first: list[int]
) -> pd.DataFrame:
    """Return tracks in pixels."""
    parts = []
    for particle, (path, start) in enumerate(zip(paths, first, strict=True)):
        seen = (path + rng.normal(0, error_um, path.shape)) / PIXEL
        frame = start + np.arange(len(path))
        parts.append(
            pd.DataFrame({"particle": particle, "frame": frame, "x": seen[:, 0], "y": seen[:, 1]})
        )
    return pd.concat(parts, ignore_index=True)


def classes(frames: int, error_um: float, particles: int) -> list[dict[str, object]]:
    """Return how each kind is classed."""
    rng = np.random.default_rng((1, frames, round(1000 * error_um)))
    truth = np.repeat(KINDS, particles)
    paths = [path_of(rng, kind, frames) for kind in truth]
    found = mobility(table(rng, paths, error_um, [0] * len(paths)), DT, PIXEL).tracks
    rows = []
    for kind in KINDS:
        own = found[truth == kind]
        rows.append(
            {
                "frames": frames,
                "error_um": error_um,
                "kind": kind,
                "right": float((own["class"] == kind).mean()),
                "undetermined": float((own["class"] == "undetermined").mean()),
                "right_by_slope_alone": float((own["class_by_slope"] == kind).mean()),
            }
        )
    return rows


def fractions(repeats: int, frames: int, particles: int) -> list[dict[str, object]]:
    """Return mean fractions and the coverage of their intervals."""
    found: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in KINDS}
    for repeat in range(repeats):
        rng = np.random.default_rng((2, repeat))
        truth = rng.choice(KINDS, particles, p=SHARES)
        paths = [path_of(rng, kind, frames) for kind in truth]
        told = mobility(table(rng, paths, 0.02, [0] * particles), DT, PIXEL, seed=repeat).fractions
        for kind, share in zip(KINDS, SHARES, strict=True):
            row = told.set_index("class").loc[kind]
            held = row["by_particle_low"] <= share <= row["by_particle_high"]
            found[kind].append((float(row["by_particle"]), bool(held)))
    return [
        {
            "kind": kind,
            "truth": share,
            "mean": float(np.mean([value for value, _ in found[kind]])),
            "coverage": float(np.mean([held for _, held in found[kind]])),
        }
        for kind, share in zip(KINDS, SHARES, strict=True)
    ]


def offsets(frames: int, particles: int) -> dict[str, float]:
    """Return offsets of the MSD over the true one: equal parts stuck and caged."""
    rng = np.random.default_rng(4)
    paths = [path_of(rng, kind, frames) for kind in ("immobile", "hindered") * particles]
    tracks = table(rng, paths, 0.02, [0] * len(paths))
    true = 4 * 0.02**2
    ensemble = estimate_diffusion(tracks, DT, PIXEL, interval="model")
    return {
        "of_the_ensemble": ensemble.offset / true,
        "of_the_immobile": mobility(tracks, DT, PIXEL).offset_um2 / true,
    }


def leaving(repeats: int, frames: int) -> dict[str, float]:
    """Return fractions and diffusivities where fast particles leave and are replaced."""
    rows = []
    for repeat in range(repeats):
        rng = np.random.default_rng((3, repeat))
        paths, first = [], []
        for _ in range(25):
            paths.append(np.zeros((frames, 2)))
            first.append(0)
            now = 0
            while now < frames:
                stay = min(int(rng.exponential(25)) + 4, frames - now)
                if stay > 3:
                    paths.append(brownian(rng, stay, 1.0))
                    first.append(now)
                now += stay
        told = mobility(
            table(rng, paths, 0.02, first), DT, PIXEL, time_scales_s=(0.1,), reference_s=0.1,
            seed=repeat,
        )  # fmt: skip
        immobile = told.fractions.set_index("class").loc["immobile"]
        row = told.effective.iloc[0]
        rows.append(
            {
                "immobile_by_particle": immobile["by_particle"],
                "immobile_by_frame": immobile["by_frame"],
                "immobile_held": immobile["by_frame_low"] <= 0.5 <= immobile["by_frame_high"],
                "Deff_by_particle": row["mean_by_particle"],
                "Deff_by_frame": row["mean_by_frame"],
                "Deff_held": row["mean_by_frame_low"] <= 0.5 <= row["mean_by_frame_high"],
            }
        )
    return {name: float(value) for name, value in pd.DataFrame(rows).mean().items()}


def main() -> None:
    """Print four tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    told = [
        row
        for frames in (30, 60, 200, 606)
        for error in (0.02, 0.05)
        for row in classes(frames, error, max(2 * repeats, 10))
    ]
    print(pd.DataFrame(told).to_string(index=False, float_format="%.3f"))
    mixed = fractions(repeats, 150, 100)
    print(pd.DataFrame(mixed).to_string(index=False, float_format="%.3f"))
    left = leaving(max(repeats // 2, 2), 300)
    print(pd.Series(left).to_string(float_format="%.3f"))
    taken = offsets(300, max(repeats, 10))
    print(pd.Series(taken).to_string(float_format="%.2f"))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps(
            {"classes": told, "fractions": mixed, "leaving": left, "offsets": taken}, indent=2
        )
        + "\n"
    )


if __name__ == "__main__":
    main()

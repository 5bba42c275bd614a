"""Effective diffusivities and the fastest tenth of simulated Brownian particles.

    python benchmarks/mobility_means.py [--repeats N]

Frames of 1/30 s, pixels of 0.1 um, a localisation error of 0.03 um.

- Blur: 50 particles at 2 um^2/s and 50 at 0.02, or 100 at 0.5, 150 frames each, seen by a strobe or
  with a camera that is open all the time, the exposure known or not: the mean effective diffusivity
  of the slow and of the fast ones over their D, and how often a warning says that the slow ones are
  doubtful.
- Fastest: 100 particles of 60 or 150 frames whose D is log-normal about 0.5 um^2/s with a
  coefficient of variation, or 1 and 0.1 um^2/s in two parts: the mean effective diffusivity of the
  fastest tenth at 1 s as observed and without noise, over that of the distribution, and how often
  the latter's interval holds it.
- Border: particles that come and go in a field of so many pixels for 300 frames: what the mean
  effective diffusivity lacks, by frame and by particle, and what the warning says of it.
"""

import argparse
import json
import math
import os
import re
from pathlib import Path
from statistics import NormalDist

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import (
    Mobility,
    estimate_diffusion,
    mobility,
    with_distance_to_border,
)

DT, PIXEL, ERROR = 1 / 30, 0.1, 0.03
PLACES = 16
RESULTS = Path(__file__).parent / "results" / "mobility_means.json"


def path_of(rng: np.random.Generator, frames: int, D: float, *, blurred: bool) -> np.ndarray:
    """Return a path, um, with its localisation error."""
    places = PLACES if blurred else 1
    steps = rng.normal(0, math.sqrt(2 * D * DT / places), (frames * places, 2))
    path = np.cumsum(steps, axis=0).reshape(frames, places, 2).mean(axis=1)
    return path + rng.normal(0, ERROR, path.shape)


def table(paths: list[np.ndarray]) -> pd.DataFrame:
    """Return tracks in pixels."""
    frames = [len(path) for path in paths]
    x, y = (np.concatenate(paths) / PIXEL).T
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(len(paths)), frames),
            "frame": np.concatenate([np.arange(number) for number in frames]),
            "x": x,
            "y": y,
        }
    )


def measured(tracks: pd.DataFrame, times: tuple[float, ...], **given: float | None) -> Mobility:
    """Return the mobility; exponents, which take long, are left out."""
    exposure = given.get("exposure_s")
    known = estimate_diffusion(tracks, DT, PIXEL, exposure, per_track=True, interval="model")
    known = known.assign(alpha=np.nan, alpha_low=np.nan, alpha_high=np.nan)
    return mobility(tracks, DT, PIXEL, time_scales_s=times, estimates=known, **given)


def blur(repeats: int) -> list[dict[str, object]]:
    """Return diffusivities of slow and fast particles, with and without motion blur."""
    rows: list[dict[str, object]] = []
    for D in ((0.02, 2.0), (0.5, 0.5)):
        for blurred in (False, True):
            for known in (True, False):
                found = []
                for repeat in range(repeats):
                    rng = np.random.default_rng((1, repeat))
                    paths = [path_of(rng, 150, D[n < 50], blurred=blurred) for n in range(100)]
                    exposure = DT * blurred if known else None
                    told = measured(table(paths), (0.1, 0.3, 1.0), exposure_s=exposure)
                    values = told.tracks.filter(like="Deff").to_numpy()
                    said = any("slow particles" in text for text in told.warnings)
                    fast, slow = values[:50].mean(axis=0) / D[1], values[50:].mean(axis=0) / D[0]
                    found.append([*slow, *fast, said])
                mean = np.mean(np.array(found, dtype=float), axis=0)
                error = np.std(np.array(found, dtype=float), axis=0) / math.sqrt(repeats)
                rows.append(
                    {
                        "D_slow": D[0],
                        "D_fast": D[1],
                        "exposure": "full" if blurred else "strobe",
                        "known": known,
                        **{
                            f"{who}_{time}s{end}": float(values[3 * i + j])
                            for i, who in enumerate(("slow", "fast"))
                            for j, time in enumerate((0.1, 0.3, 1))
                            for end, values in (("", mean), ("_error", error))
                        },
                        "warned": float(mean[-1]),
                    }
                )
    return rows


def fastest(repeats: int, frames: int) -> list[dict[str, object]]:
    """Return the bias of the fastest tenth, and the coverage of its interval."""
    rows: list[dict[str, object]] = []
    for kind in (0.0, 0.3, 0.5, 1.0, "10% fast", "50% fast"):
        found = []
        for repeat in range(repeats):
            rng = np.random.default_rng((2, repeat))
            if isinstance(kind, str):
                truth = 1.0
                D = np.where(rng.random(100) < float(kind[:2]) / 100, 1.0, 0.1)
            else:
                width = math.sqrt(math.log(1 + kind**2))
                D = 0.5 * np.exp(rng.normal(-(width**2) / 2, width, 100))
                normal = NormalDist()
                truth = 0.5 * normal.cdf(width - normal.inv_cdf(0.9)) / 0.1
            paths = [path_of(rng, frames, value, blurred=False) for value in D]
            row = measured(table(paths), (1.0,)).fastest.iloc[0]
            held = row["without_noise_low"] <= truth <= row["without_noise_high"]
            found.append([row["as_observed"] / truth, row["without_noise"] / truth, held])
        array = np.array(found, dtype=float)
        rows.append(
            {
                "frames": frames,
                "variation": kind,
                "truth": truth,
                "as_observed": float(array[:, 0].mean()),
                "without_noise": float(array[:, 1].mean()),
                "error": float(array[:, 1].std() / math.sqrt(repeats)),
                "coverage": float(array[:, 2].mean()),
            }
        )
    return rows


def seen_in_a_field(rng: np.random.Generator, side: int, D: float) -> pd.DataFrame:
    """Return the tracks, of 5 frames or more, of particles that come and go for 300 frames."""
    frames, margin = 300, 100
    world = side + 2 * margin
    number = round(60 * (world / side) ** 2)
    step = math.sqrt(2 * D * DT) / PIXEL
    path = rng.uniform(0, world, (number, 1, 2))
    path = path + np.cumsum(rng.normal(0, step, (number, frames, 2)), axis=1)
    lap = np.floor(path / world)
    place = path - lap * world - margin - 0.5
    seen = place + rng.normal(0, ERROR / PIXEL, place.shape)
    inside = ((seen > -0.5) & (seen < side - 0.5)).all(axis=2)
    jumped = np.any(np.diff(lap, axis=1, prepend=lap[:, :1]) != 0, axis=2)
    begins = inside & (np.diff(inside, axis=1, prepend=False) | jumped)
    name = np.cumsum(begins.ravel()).reshape(inside.shape)
    who, frame = np.nonzero(inside)
    x, y = seen[who, frame].T
    tracks = pd.DataFrame({"particle": name[who, frame], "frame": frame, "x": x, "y": y})
    long = tracks.groupby("particle")["frame"].transform("size") >= 5
    return with_distance_to_border(tracks[long], side, side)


def border(repeats: int) -> list[dict[str, object]]:
    """Return what the border takes, and what is said of it."""
    rows: list[dict[str, object]] = []
    for side, D in ((256, 0.1), (256, 0.5), (256, 2.0), (512, 0.5), (1024, 0.5)):
        for time in (0.3, 1.0):
            found, said = [], []
            for repeat in range(repeats):
                rng = np.random.default_rng((3, repeat))
                told = measured(seen_in_a_field(rng, side, D), (time,), localisation_error_um=ERROR)
                row = told.effective.iloc[0]
                found.append([1 - row["mean_by_frame"] / D, 1 - row["mean_by_particle"] / D])
                said += [
                    [float(share) / 100 for share in re.findall(r"(\d+)% ", text)]
                    for text in told.warnings
                    if "lead out of the field" in text
                ]
            mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(repeats)
            by_frame, by_particle = np.mean(said, axis=0) if said else (math.nan, math.nan)
            rows.append(
                {
                    "side_px": side,
                    "D": D,
                    "time_scale_s": time,
                    "lacks_by_frame": float(mean[0]),
                    "by_frame_error": float(error[0]),
                    "lacks_by_particle": float(mean[1]),
                    "by_particle_error": float(error[1]),
                    "warned": len(said) / repeats,
                    "said_by_frame": float(by_frame),
                    "said_by_particle": float(by_particle),
                }
            )
    return rows


def main() -> None:
    """Print three tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    told: dict[str, list[dict[str, object]]] = {}
    for name, rows in (
        ("fastest", lambda: fastest(repeats, 60) + fastest(repeats // 2, 150)),
        ("blur", lambda: blur(repeats)),
        ("border", lambda: border(max(repeats // 2, 2))),
    ):
        told[name] = rows()
        print(pd.DataFrame(told[name]).round(3).to_string(index=False), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

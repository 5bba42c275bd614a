"""What linking takes of D where particles are crowded, and what is left after it was put back.

    python benchmarks/lost_links.py [--repeats 20]

Positions of particles in 512 x 512 px and 100 frames, a box whose sides are joined: steps of 2 px
per axis on average, a localisation error of 0.2 px, 3% missed and 2% false detections, linked with
the measured search range. D of the links over D of the true tracks of the same positions: as
linked, and as `analyze` corrects it; what the correction says is kept; and the share of 95%
intervals that hold D of the population, where it has one. "trackpy" is what the same estimator
makes of trackpy's links with the same range and memory, where trackpy can link at all.

Particles: alike; D gamma distributed with a coefficient of variation of 1; 40% stuck; half of them
19 times as fast as the others; in a flow of one step a frame; fractional Brownian motion of
exponents 0.6 and 1.4; in harmonic cages of 3 px; filmed with a full exposure during which those
that are smeared the most are missed (half of the 3%); in a corner, a quarter of the field; and
alive for 20 frames on average.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy

from _repeats import Repeats, seeds
from _tracks import fractional
from cloudtrainer.analysis.lost_links import lost_links
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import Config
from cloudtrainer.diffusion import (
    diffusion_spread,
    estimate_diffusion,
    with_distance_to_border,
)
from cloudtrainer.tracking import (
    filter_tracks,
    subtract_drift,
    suggest_search_range,
    track_particles,
)

SIDE, FRAMES, D, ERROR, MISSED, FALSE = 512, 100, 2.0, 0.2, 0.03, 0.02
FLOW = np.array([2.0, 0.5])
MOMENTS = 8
KINDS = (
    "alike", "variation 1", "40% stuck", "two kinds", "flow", "alpha 0.6", "alpha 1.4", "cages",
    "smeared", "corner", "20 frames",
)  # fmt: skip
NUMBERS = (50, 100, 200, 400)
SEED = 90_000


def ways(rng: np.random.Generator, kind: str, number: int) -> np.ndarray:
    """Return how far each particle has gone, (frames, moments, particles, 2) in px."""
    each = np.full(number, D)
    if kind == "variation 1":
        each = rng.gamma(1, D, number)
    if kind == "40% stuck":
        each = np.where(rng.random(number) < 0.4, 0, D / 0.6)
    if kind == "two kinds":
        each = np.where(rng.random(number) < 0.5, 0.1 * D, 1.9 * D)
    if kind.startswith("alpha"):
        tracks = fractional(rng, number, FRAMES, 1.0, float(kind.split()[1]), 0.0)
        path = tracks.sort_values(["frame", "particle"])[["x", "y"]].to_numpy()
        path = path.reshape(FRAMES, 1, number, 2)
        return path * np.sqrt(2 * D) / np.diff(path, axis=0).std()
    if kind == "cages":
        stays = np.exp(-D / 9)
        place = 3 * rng.normal(size=(FRAMES, 1, number, 2))
        for now in range(1, FRAMES):
            place[now] = stays * place[now - 1] + np.sqrt(1 - stays**2) * place[now]
        return place
    moments = MOMENTS if kind == "smeared" else 1
    step = rng.normal(size=(FRAMES * moments, number, 2))
    step *= np.sqrt(2 * each / moments)[:, None]
    step += FLOW * (kind == "flow")
    return np.cumsum(step, axis=0).reshape(FRAMES, moments, number, 2)


def positions(rng: np.random.Generator, kind: str, number: int) -> pd.DataFrame:
    """Return positions of particles, and whether each is found; false ones have negative ones."""
    moments = ways(rng, kind, number)
    box = SIDE / 2 if kind == "corner" else SIDE
    new = rng.random((FRAMES, number)) < (1 / 20 if kind == "20 frames" else 0)
    moved = (rng.uniform(0, box, (FRAMES, number, 2)) * new[..., None]).cumsum(axis=0)
    place = rng.uniform(0, box, (number, 2)) + moved + moments.mean(axis=1)
    lap = np.floor(place / box).astype(int)
    new[1:] |= (np.diff(lap, axis=0) != 0).any(axis=2)
    particle = new.cumsum(axis=0) * number + np.arange(number)
    place += rng.normal(0, ERROR, place.shape) - lap * box
    missed = rng.random((FRAMES, number)) < MISSED / (2 if kind == "smeared" else 1)
    if kind == "smeared":
        smear = moments.var(axis=1).sum(axis=2)
        missed |= smear > np.quantile(smear, 1 - MISSED / 2)
    false = rng.binomial(number, FALSE, FRAMES)
    frame = np.repeat(np.arange(FRAMES), number)
    xy = np.concatenate([place.reshape(-1, 2), rng.uniform(0, SIDE, (false.sum(), 2))])
    table = pd.DataFrame(xy, columns=["x", "y"]).assign(
        frame=np.concatenate([frame, np.repeat(np.arange(FRAMES), false)]),
        particle=np.concatenate([particle.ravel(), -1 - np.arange(false.sum())]),
        found=np.concatenate([~missed.ravel(), np.ones(false.sum(), bool)]),
        x_error=ERROR,
        y_error=ERROR,
    )
    table = with_distance_to_border(table, SIDE, SIDE)
    return table.sort_values("frame", kind="stable", ignore_index=True)


def one_table(seed: object, kind: str, number: int) -> dict[str, float]:
    """Return what linking and the correction make of one table of positions."""
    trackpy.quiet()
    warnings.filterwarnings("ignore", module="trackpy")
    there = positions(np.random.default_rng(seed), kind, number)
    velocity = FLOW * (kind == "flow")
    has_D = kind != "cages" and not kind.startswith("alpha")

    def diffusion_of(tracks: pd.DataFrame) -> float:
        xy = tracks[["x", "y"]] - velocity * tracks[["frame"]].to_numpy()
        tracks = tracks.assign(x=xy["x"], y=xy["y"])
        return estimate_diffusion(tracks, None, None, interval="model").value

    true = diffusion_of(filter_tracks(there[there["particle"] >= 0]))
    found = there[there["found"]].drop(columns=["particle", "found"]).reset_index(drop=True)
    reach = suggest_search_range(found).value_px
    linked = track_particles(found, reach)
    drift = subtract_drift(linked, "auto")
    estimate = estimate_diffusion(drift.tracks, None, None)
    tracked = Tracked(
        found, 0, drift.tracks, linked, "bright", reach, None, None, drift, ()
    )  # fmt: skip
    spread = diffusion_spread(drift.tracks, None, None)
    field = (FRAMES, SIDE, SIDE)
    lost = lost_links(tracked, field, estimate, spread, (1.0, 1.0), Config().analysis)
    corrected = lost.put_back(estimate)
    try:
        theirs = trackpy.filter_stubs(trackpy.link(found, reach, memory=3), 5)
        trackpys = diffusion_of(theirs.reset_index(drop=True)) / true
    except trackpy.SubnetOversizeException:
        trackpys = float("nan")
    return {
        "linked": estimate.value / true,
        "trackpy": trackpys,
        "told": lost.kept,
        "error": lost.standard_error,
        "corrected": corrected.value / true,
        "linked_held": estimate.low <= D <= estimate.high if has_D else np.nan,
        "held": corrected.low <= D <= corrected.high if has_D else np.nan,
        "said": bool(lost.warning),
        "range": reach,
    }


def main() -> None:
    """Print a line for each kind and number of particles, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    count = parser.parse_args().repeats
    print(
        "particles              range   D of links / of true tracks: trackpy  as linked  (error)  "
        "corrected | told to be kept, ±, said | intervals that hold D: as linked, corrected"
    )
    rows = []
    with Repeats() as repeats:
        for case, (kind, number) in enumerate((k, n) for k in KINDS for n in NUMBERS):
            found = repeats.of(one_table, seeds(SEED, case, count), kind, number)
            mean = found.mean()
            error = found["linked"].sem()
            rows.append({"kind": kind, "particles": number, "error_of_linked": error, **mean})
            print(
                f"{kind:>12} {number:6d} {mean['range']:9.1f} px {mean['trackpy']:30.3f} "
                f"{mean['linked']:10.3f} {error:8.3f} {mean['corrected']:11.3f} | "
                f"{mean['told']:8.3f} {mean['error']:9.3f} {mean['said']:5.0%} | "
                + (
                    f"{mean['linked_held']:24.0%} {mean['held']:10.0%}" if mean["held"] >= 0 else ""
                ),
                flush=True,
            )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    document = {"repeats": count, "rows": rows}
    (results / "lost_links.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()

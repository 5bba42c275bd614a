"""Intervals over videos and tests between conditions on simulated experiments.

    python benchmarks/conditions.py [--repeats N]

A video has a D of its own, drawn from a log-normal distribution with the coefficient of variation
"between", and 40 particles whose D differs from that by 0.3; tracks have 10 to 60 frames. What a
track without localisation error says of its D is drawn from its exact distribution (chi squared),
so that thousands of experiments can be made; "from tracks" repeats the middle of the grid with
positions, and the estimator and intervals of `estimate_diffusion`.

- Intervals: how often the 95% interval of the mean over videos holds the truth; with one video the
  truth is that of all videos, which its interval cannot know. Compared: the one that is given
  (`mean_over_videos`), its widths over those of Student's t alone, videos and then particles drawn
  with percentiles, the same widened like Student's t, and all tracks in one pot.
- Fractions: the same for a fraction of 0.2 of 60 particles (standard deviation between videos
  0.05).
- Tests: how often two conditions are told apart at 5% where they are alike, and where D differs by
  a factor: the test that is made (`contrast`), Welch's and Student's on log D of videos, a
  permutation of videos, and tests with tracks for replicates: Welch's on log D, Mann & Whitney's.
"""

import argparse
import json
import os
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy import stats

from _tracks import DT, PIXEL, brownian
from cloudtrainer.diffusion import estimate_diffusion
from cloudtrainer.diffusion.contrast import contrast
from cloudtrainer.diffusion.resample import student_quantile
from cloudtrainer.diffusion.videos import VideoValues, mean_over_videos

TRUTH, PARTICLES, SPREAD = 0.5, 40, 0.3
DRAWS = 400
RESULTS = Path(__file__).parent / "results" / "conditions.json"


def log_normal(
    rng: np.random.Generator, mean: float, variation: float, shape: object
) -> np.ndarray:
    """Return numbers of this mean and coefficient of variation."""
    width = np.sqrt(np.log1p(variation**2))
    return mean * np.exp(rng.normal(-(width**2) / 2, width, shape))


def simulate(
    rng: np.random.Generator, videos: int, between: float, mean: float = TRUTH
) -> tuple[np.ndarray, np.ndarray]:
    """Return D of each track and its displacements, both (videos, particles)."""
    own = log_normal(rng, mean, between, (videos, 1))
    D = own * log_normal(rng, 1.0, SPREAD, (videos, PARTICLES))
    steps = rng.integers(9, 60, (videos, PARTICLES))
    return D * rng.chisquare(2 * steps) / (2 * steps), steps


def of_videos(tracks: np.ndarray, steps: np.ndarray) -> VideoValues:
    """Return D of each video with its interval over particles, as `estimate_diffusion` makes it."""
    share = steps / steps.sum(axis=1, keepdims=True)
    value = (share * tracks).sum(axis=1)
    influence = share * (tracks - value[:, None])
    error = np.sqrt((influence**2).sum(axis=1) * PARTICLES / (PARTICLES - 1))
    half = student_quantile(PARTICLES - 1) * error / value
    return VideoValues(
        value, value * np.exp(-half), value * np.exp(half), np.full(len(value), float(PARTICLES))
    )


def drawn(
    rng: np.random.Generator, tracks: np.ndarray, steps: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the percentiles of videos and then particles drawn, and the same widened."""
    videos = len(tracks)
    which = rng.integers(0, videos, (DRAWS, videos))
    one = rng.integers(0, PARTICLES, (DRAWS, videos, PARTICLES))
    picked, weight = tracks[which[..., None], one], steps[which[..., None], one]
    means = ((picked * weight).sum(axis=2) / weight.sum(axis=2)).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    if videos == 1:
        return (low, high), (low, high)
    centre = float(np.log(of_videos(tracks, steps).value.mean()))
    wide = student_quantile(videos - 1) * np.log(means).std() * np.sqrt(videos / (videos - 1))
    return (low, high), (np.exp(centre - wide), np.exp(centre + wide))


def intervals(repeats: int, videos: int, between: float) -> dict[str, float]:
    """Return how often each interval holds the truth."""
    held: dict[str, list[float]] = {}
    for repeat in range(repeats):
        rng = np.random.default_rng((1, videos, round(100 * between), repeat))
        tracks, steps = simulate(rng, videos, between)
        found = of_videos(tracks, steps)
        mean = mean_over_videos(found)
        plain, widened = drawn(rng, tracks, steps)
        pot = of_videos(tracks.reshape(1, -1), steps.reshape(1, -1))
        ends = {
            "given": (mean.low, mean.high),
            "drawn": plain,
            "drawn, widened": widened,
            "one pot": (pot.low[0], pot.high[0]),
        }
        for name, (low, high) in ends.items():
            held.setdefault(name, []).append(low <= TRUTH <= high)
        if videos > 1:
            student = student_quantile(videos - 1) * found.value.std(ddof=1) / np.sqrt(videos)
            for name, (low, high) in (("given", ends["given"]), ("drawn, widened", widened)):
                ratio = np.log(high / low) * found.value.mean() / (2 * student)
                held.setdefault(f"width: {name}", []).append(ratio)
    # A width of which Student's is by chance next to nothing would rule a mean.
    return {
        "videos": videos,
        "between": between,
        **{
            name: float(np.median(one) if name.startswith("width") else np.mean(one))
            for name, one in held.items()
        },
    }


def fractions(repeats: int, videos: int) -> dict[str, float]:
    """Return how often the interval of a mean fraction holds the truth."""
    held = []
    for repeat in range(repeats):
        rng = np.random.default_rng((2, videos, repeat))
        own = np.clip(rng.normal(0.2, 0.05, videos), 0, 1)
        share = rng.binomial(60, own) / 60
        half = 1.96 * np.sqrt(np.maximum(share * (1 - share), 0.01) / 60)
        found = mean_over_videos(
            VideoValues(
                share, share - half, share + half, np.full(videos, 60.0),
                positive=False, lowest=0.0, highest=1.0,
            )
        )  # fmt: skip
        held.append(found.low <= 0.2 <= found.high)
    return {"videos": videos, "held": float(np.mean(held))}


def by_permutation(first: np.ndarray, second: np.ndarray) -> float:
    """Return the p-value of all ways to part the videos in two."""
    both = np.concatenate([first, second])
    ways = np.array(list(combinations(range(len(both)), len(first))))
    sums = both[ways].sum(axis=1)
    distance = np.abs(sums / len(first) - (both.sum() - sums) / len(second))
    return float(np.mean(distance >= np.abs(first.mean() - second.mean()) - 1e-12))


def told_apart(
    repeats: int, videos: int, between: tuple[float, float], factor: float
) -> dict[str, object]:
    """Return how often each test tells two conditions apart at 5%."""
    found: dict[str, list[float]] = {}
    for repeat in range(repeats):
        rng = np.random.default_rng(
            (3, videos, round(100 * sum(between)), round(100 * factor), repeat)
        )
        sides = [
            simulate(rng, videos, one, mean)
            for one, mean in zip(between, (TRUTH, factor * TRUTH), strict=True)
        ]
        values = [of_videos(*side) for side in sides]
        logs = [np.log(one.value) for one in values]
        tracks = [np.log(side[0]).ravel() for side in sides]
        p_values = {
            "given": contrast(*values).p_value,
            "Welch": stats.ttest_ind(*logs, equal_var=False).pvalue,
            "Student": stats.ttest_ind(*logs).pvalue,
            "permutation": by_permutation(*logs) if videos <= 5 else np.nan,
            "tracks: Welch": stats.ttest_ind(*tracks, equal_var=False).pvalue,
            "tracks: Mann-Whitney": stats.mannwhitneyu(*tracks).pvalue,
        }
        for name, p_value in p_values.items():
            found.setdefault(name, []).append(p_value < 0.05 if p_value == p_value else np.nan)
    return {
        "videos": videos,
        "between": " and ".join(f"{one:g}" for one in dict.fromkeys(between)),
        "factor": factor,
        **{name: float(np.mean(one)) for name, one in found.items()},
    }


def from_tracks(repeats: int, videos: int, between: float) -> dict[str, float]:
    """Return coverage and false positives with positions and `estimate_diffusion`."""
    held, positive = [], []
    for repeat in range(repeats):
        rng = np.random.default_rng((4, videos, round(100 * between), repeat))
        sides = []
        for _ in range(2):
            found = []
            for D in log_normal(rng, TRUTH, between, videos):
                own = D * log_normal(rng, 1.0, SPREAD, 20)
                found.append(
                    estimate_diffusion(
                        brownian(rng, 20, 30, own, 0.03, 1 / 6), DT, PIXEL, DT, seed=repeat
                    )
                )
            sides.append(
                VideoValues(
                    *(np.array([getattr(one, name) for one in found]) for name in
                      ("value", "low", "high", "particles"))
                )
            )  # fmt: skip
        for side in sides:
            mean = mean_over_videos(side)
            held.append(mean.low <= TRUTH <= mean.high)
        positive.append(contrast(*sides).p_value < 0.05)
    return {
        "videos": videos,
        "between": between,
        "held": float(np.mean(held)),
        "false positives": float(np.mean(positive)),
    }


def main() -> None:
    """Print four tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    grid = [(videos, between) for videos in (1, 2, 3, 5, 10) for between in (0.0, 0.1, 0.3)]
    told = {
        "intervals": [intervals(repeats, *one) for one in grid],
        "fractions": [fractions(repeats, videos) for videos in (2, 3, 5, 10)],
        "tests": [
            told_apart(repeats, videos, between, factor)
            for factor in (1.0, 1.3)
            for between in ((0.0, 0.0), (0.1, 0.1), (0.3, 0.3), (0.1, 0.3))
            for videos in (3, 5, 10)
        ],
        "from tracks": [
            from_tracks(max(repeats // 10, 4), 3, between) for between in (0.0, 0.1, 0.3)
        ],
    }
    for rows in told.values():
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"), end="\n\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

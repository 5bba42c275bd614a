"""D and alpha of ensembles of simulated tracks, beside version 3.0's fit and the Cramer-Rao bound.

Run it alone: ``python benchmarks/diffusion.py [--repeats N]`` (2,000: an hour on two cores; a
quarter as many of fractional motion). It prints tables and writes
``benchmarks/results/diffusion.json``. Coverage is how often a 95% interval holds the truth: of the
bootstrap over particles, and of the profile likelihood ("model"). The MSD stands beside trackpy's.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy

from _repeats import Repeats, seeds
from _tracks import DT, PIXEL, REGIMES, bound, brownian, fractional
from cloudtrainer.diffusion import (
    Estimate,
    estimate_anomalous,
    estimate_diffusion,
    mean_squared_displacement,
    motion_type,
)

SEED = 2024
# Tracks and frames of each group, and the coefficient of variation of D.
MIXED = [
    (((50, 50),), 0.3),
    (((20, 50),), 1.0),
    (((50, 50),), 1.0),
    (((5, 500), (100, 10)), 0.0),
    (((5, 500), (100, 10)), 0.5),
    (((10, 300), (100, 15)), 0.5),
]
POWER = [(alpha, q) for alpha in (0.6, 0.85, 1.15) for q in (0.1, 1.0)]


def version_3(tracks: pd.DataFrame) -> tuple[float, float]:
    """Return D and alpha as version 3.0 fits them: least squares on ten lags of the MSD."""
    msd = mean_squared_displacement(tracks, 10, frame_interval_s=DT, pixel_size_um=PIXEL)
    slope, _ = np.polyfit(msd.lag_time, msd.ensemble, 1)
    alpha, _ = np.polyfit(np.log(msd.lag_time), np.log(msd.ensemble), 1)
    return float(slope / 4), float(alpha)


def holds(found: Estimate, truth: float) -> bool:
    """Return whether the interval of an estimate holds the truth."""
    return bool(found.low <= truth <= found.high)


def one_regime(seed: object, number: int) -> dict[str, float]:
    """Return what is found on one ensemble of a regime, D as a share of the true one."""
    regime = REGIMES[number]
    tracks, D = brownian(np.random.default_rng(seed), *regime), regime[2]
    found = estimate_diffusion(tracks, DT, PIXEL)
    D_old, alpha_old = version_3(tracks)
    covariance = estimate_diffusion(tracks, DT, PIXEL, method="cve", interval="model")
    anomalous = estimate_anomalous(tracks, DT, PIXEL)
    return {
        "mle": found.value / D,
        "cve": covariance.value / D,
        "v3": D_old / D,
        "bootstrap_holds": holds(found, D),
        "model_holds": holds(estimate_diffusion(tracks, DT, PIXEL, interval="model"), D),
        "alpha": anomalous.alpha.value,
        "alpha_holds": holds(anomalous.alpha, 1),
        "anomalous": motion_type(anomalous).motion_model == "anomalous",
        "v3_normal": 0.95 <= alpha_old <= 1.05,
    }


def run_regimes(repeats: Repeats, count: int) -> list[dict[str, object]]:
    """Return bias, scatter and coverage in the five regimes."""
    rows: list[dict[str, object]] = []
    print(
        f"D, {count} repeats.  bias and sd/bound of: maximum likelihood | covariance-based | "
        "version 3.0;  coverage of 95% intervals"
    )
    for number, regime in enumerate(REGIMES):
        found = repeats.of(one_regime, seeds(SEED, number, count), number)
        mean, sd, limit = found.mean(), found.std(), bound(*regime)
        rows.append({"regime": regime, "bound": limit, "mean": dict(mean), "sd": dict(sd)})
        figures = "  |  ".join(
            f"{100 * (mean[name] - 1):+.2f}% {sd[name] / limit:.2f}"
            for name in ("mle", "cve", "v3")
        )
        print(
            f"{regime[0]:4d} x {regime[1]:3d}  D {regime[2]:<5g} sigma {regime[3]:g} R "
            f"{regime[4]:.2f}   {figures}   bootstrap {mean['bootstrap_holds']:.3f} model "
            f"{mean['model_holds']:.3f}   alpha {mean['alpha']:.4f} +- {sd['alpha']:.3f} covered "
            f"{mean['alpha_holds']:.3f}, called anomalous {mean['anomalous']:.4f} (version 3.0: "
            f"called normal {mean['v3_normal']:.2f})",
            flush=True,
        )
    return rows


def one_mixed(
    seed: object, groups: tuple[tuple[int, int], ...], variation: float
) -> dict[str, float]:
    """Return whether the intervals of one population, whose D differ, hold their mean."""
    rng = np.random.default_rng(seed)
    parts, known = [], 0
    for particles, frames in groups:
        D = np.full(particles, 0.5)
        if variation > 0:
            D = rng.gamma(1 / variation**2, 0.5 * variation**2, particles)
        part = brownian(rng, particles, frames, D, 0.03, 0.0)
        parts.append(part.assign(particle=part["particle"] + known))
        known += particles
    tracks = pd.concat(parts, ignore_index=True)
    found = estimate_diffusion(tracks, DT, PIXEL)
    return {
        "bootstrap": holds(found, 0.5),
        "half_width": (found.high - found.low) / 2 / 0.5,
        "model": holds(estimate_diffusion(tracks, DT, PIXEL, interval="model"), 0.5),
    }


def run_mixed(repeats: Repeats, count: int) -> list[dict[str, object]]:
    """Return coverage where the particles' D differ."""
    rows: list[dict[str, object]] = []
    print("\nParticles of different D (gamma distributed): coverage of the mean")
    for number, (groups, variation) in enumerate(MIXED):
        found = repeats.of(one_mixed, seeds(SEED + 1, number, count), groups, variation)
        mean = dict(found.mean())
        rows.append({"groups": groups, "variation": variation, "coverage": mean})
        tracks = " and ".join(f"{particles} x {frames}" for particles, frames in groups)
        print(
            f"{tracks}, coefficient of variation {variation:g}: bootstrap {mean['bootstrap']:.3f} "
            f"(half width {found['half_width'].median():.0%}), model {mean['model']:.3f}",
            flush=True,
        )
    return rows


def one_power(seed: object, alpha: float, q: float) -> dict[str, float]:
    """Return what is found on one ensemble of fractional Brownian motion."""
    sigma = float(np.sqrt(q * 0.1 * DT**alpha))
    tracks = fractional(np.random.default_rng(seed), 50, 50, 0.1, alpha, sigma)
    found = estimate_anomalous(tracks, DT, PIXEL)
    right = "Sub" if alpha < 1 else "Super"
    return {
        "alpha": found.alpha.value,
        "holds": holds(found.alpha, alpha),
        "recognised": motion_type(found).motion_type.startswith(right),
    }


def run_power(repeats: Repeats, count: int) -> list[dict[str, object]]:
    """Return how often fractional Brownian motion is recognised."""
    rows: list[dict[str, object]] = []
    print("\nalpha, 50 tracks of 50 frames, sigma^2 / (K dt^alpha) = q; exposure unknown")
    for number, (alpha, q) in enumerate(POWER):
        found = repeats.of(one_power, seeds(SEED + 2, number, count), alpha, q)
        mean, sd = found.mean(), found["alpha"].std()
        rows.append({"true_alpha": alpha, "q": q, "sd": sd, **mean})
        print(
            f"alpha {alpha:g}, q {q:g}: {mean['alpha']:.3f} +- {sd:.3f}, covered "
            f"{mean['holds']:.3f}, recognised {mean['recognised']:.3f}",
            flush=True,
        )
    return rows


def run_speed(rng: np.random.Generator) -> dict[str, float]:
    """Return seconds of a few large tasks."""
    many = brownian(rng, 5000, 200, 0.5, 0.03, 0.0)
    thousand = many[many["particle"] < 1000]
    hundred = many[many["particle"] < 100]
    tasks = {
        "MSD, 1000 x 200, all lags": lambda: mean_squared_displacement(thousand),
        "D, 5000 x 200, bootstrap": lambda: estimate_diffusion(many, DT, PIXEL),
        "D, 5000 x 200, per track": lambda: estimate_diffusion(many, DT, PIXEL, per_track=True),
        "D, 100 x 200, bootstrap": lambda: estimate_diffusion(hundred, DT, PIXEL),
        "alpha, 100 x 200, bootstrap": lambda: estimate_anomalous(hundred, DT, PIXEL),
        "alpha, 1000 x 200, bootstrap": lambda: estimate_anomalous(thousand, DT, PIXEL),
        "alpha, 1000 x 200, per track": lambda: estimate_anomalous(
            thousand, DT, PIXEL, per_track=True
        ),
    }
    print("\nSeconds of one core")
    seconds = {}
    for name, task in tasks.items():
        seconds[name] = spent(task)
        print(f"{name}: {seconds[name]:.2f}", flush=True)
    return seconds


def spent(task: Callable[[], object]) -> float:
    """Return the processor's seconds for a task."""
    begin = time.process_time()
    task()
    return time.process_time() - begin


def run_msd(rng: np.random.Generator) -> dict[str, float]:
    """Compare the MSD with trackpy's, on equal tracks without gaps, and time a large one."""
    tracks, times = brownian(rng, 1000, 200, 0.5, 0.03, 0.0), 9
    ours = mean_squared_displacement(tracks, frame_interval_s=DT, pixel_size_um=PIXEL).ensemble
    theirs = trackpy.emsd(tracks, PIXEL, 1 / DT, max_lagtime=len(ours)).to_numpy()
    our_time = np.median([spent(lambda: mean_squared_displacement(tracks)) for _ in range(times)])
    their_time = np.median(
        [spent(lambda: trackpy.emsd(tracks, PIXEL, 1 / DT, len(ours))) for _ in range(times)]
    )
    large = brownian(rng, 10_000, 1000, 0.5, 0.03, 0.0)
    seconds = spent(lambda: mean_squared_displacement(large))
    found = {
        "times_faster_than_trackpy": float(their_time / our_time),
        "largest_difference": float(np.abs(ours / theirs - 1).max()),
        "seconds_10000_x_1000": seconds,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(
        f"\nMSD, 1000 x 200, all lags: {found['times_faster_than_trackpy']:.0f} times as fast as "
        f"trackpy.emsd, values within {found['largest_difference']:.0e}; 10,000 x 1000: "
        f"{seconds:.1f} s, {found['peak_memory_gb']:.1f} GB at the peak with the tracks",
        flush=True,
    )
    return found


def main() -> None:
    """Run everything, print it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="repeats of each ensemble")
    count = parser.parse_args().repeats
    with Repeats() as repeats:
        results = {
            "repeats": count,
            "regimes": run_regimes(repeats, count),
            "mixed": run_mixed(repeats, count),
            "anomalous": run_power(repeats, max(count // 4, 1)),
        }
    results["seconds"] = run_speed(np.random.default_rng(SEED))
    results["msd"] = run_msd(np.random.default_rng(SEED))
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "diffusion.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

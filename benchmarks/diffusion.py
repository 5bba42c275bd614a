"""D and alpha of ensembles of simulated tracks, beside version 3.0's fit and the Cramer-Rao bound.

Run it alone: ``python benchmarks/diffusion.py [--repeats N]``. It prints tables and writes
``benchmarks/results/diffusion.json``.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from _tracks import DT, PIXEL, REGIMES, bound, brownian, fractional
from cloudtrainer.diffusion import (
    estimate_anomalous,
    estimate_diffusion,
    mean_squared_displacement,
    motion_type,
)


def version_3(tracks: pd.DataFrame) -> tuple[float, float]:
    """Return D and alpha as version 3.0 fits them: least squares on ten lags of the MSD."""
    msd = mean_squared_displacement(tracks, 10, frame_interval_s=DT, pixel_size_um=PIXEL)
    slope, _ = np.polyfit(msd.lag_time, msd.ensemble, 1)
    alpha, _ = np.polyfit(np.log(msd.lag_time), np.log(msd.ensemble), 1)
    return float(slope / 4), float(alpha)


def summary(values: list[float], truth: float, limit: float) -> dict[str, float]:
    """Return bias and scatter of estimates of D."""
    ratio = np.array(values) / truth
    return {"bias": float(ratio.mean() - 1), "sd_over_bound": float(ratio.std(ddof=1) / limit)}


def run_regimes(rng: np.random.Generator, repeats: int) -> list[dict[str, object]]:
    """Return bias, scatter and coverage in the five regimes."""
    rows: list[dict[str, object]] = []
    print(
        f"D, {repeats} repeats.  bias and sd/bound of: maximum likelihood | covariance-based | "
        "version 3.0;  coverage of 95% intervals"
    )
    for regime in REGIMES:
        D, limit = regime[2], bound(*regime)
        mle, cve, old, normal, alphas = [], [], [], [], []
        covered = by_model = alpha_covered = called_normal = 0
        for _ in range(repeats):
            tracks = brownian(rng, *regime)
            found = estimate_diffusion(tracks, DT, PIXEL)
            mle.append(found.value)
            covered += found.low <= D <= found.high
            by_model += abs(found.value - D) <= 1.96 * found.model_standard_error
            cve.append(estimate_diffusion(tracks, DT, PIXEL, method="cve", interval="model").value)
            D_old, alpha_old = version_3(tracks)
            old.append(D_old)
            normal.append(0.95 <= alpha_old <= 1.05)
            anomalous = estimate_anomalous(tracks, DT, PIXEL)
            alphas.append(anomalous.alpha.value)
            alpha_covered += anomalous.alpha.low <= 1 <= anomalous.alpha.high
            called_normal += motion_type(anomalous).motion_model != "anomalous"
        row: dict[str, object] = {
            "regime": regime,
            "mle": summary(mle, D, limit),
            "cve": summary(cve, D, limit),
            "v3": summary(old, D, limit),
            "coverage_bootstrap": covered / repeats,
            "coverage_model": by_model / repeats,
            "alpha_mean": float(np.mean(alphas)),
            "alpha_sd": float(np.std(alphas, ddof=1)),
            "alpha_coverage": alpha_covered / repeats,
            "not_called_anomalous": called_normal / repeats,
            "v3_called_normal": float(np.mean(normal)),
        }
        rows.append(row)
        figures = "  |  ".join(
            f"{100 * s['bias']:+.2f}% {s['sd_over_bound']:.2f}"
            for s in (summary(mle, D, limit), summary(cve, D, limit), summary(old, D, limit))
        )
        print(
            f"{regime[0]:4d} x {regime[1]:3d}  D {D:<5g} sigma {regime[3]:g} R {regime[4]:.2f}   "
            f"{figures}   bootstrap {covered / repeats:.3f} model {by_model / repeats:.3f}   "
            f"alpha {np.mean(alphas):.3f} +- {np.std(alphas):.3f} covered "
            f"{alpha_covered / repeats:.3f}, not called anomalous {called_normal / repeats:.3f} "
            f"(version 3.0: {np.mean(normal):.2f})",
            flush=True,
        )
    return rows


def run_mixed(rng: np.random.Generator, repeats: int) -> list[dict[str, object]]:
    """Return coverage where the particles' D differ."""
    rows: list[dict[str, object]] = []
    print("\nParticles of different D (gamma distributed): coverage of the mean")
    for particles, variation in ((50, 0.3), (20, 1.0), (50, 1.0)):
        covered = by_model = 0
        for _ in range(repeats):
            D = rng.gamma(1 / variation**2, 0.5 * variation**2, particles)
            found = estimate_diffusion(brownian(rng, particles, 50, D, 0.03, 0.0), DT, PIXEL)
            covered += found.low <= 0.5 <= found.high
            by_model += abs(found.value - 0.5) <= 1.96 * found.model_standard_error
        rows.append(
            {
                "particles": particles,
                "variation": variation,
                "coverage_bootstrap": covered / repeats,
                "coverage_model": by_model / repeats,
            }
        )
        print(
            f"{particles} particles, coefficient of variation {variation:g}: bootstrap "
            f"{covered / repeats:.3f}, model {by_model / repeats:.3f}",
            flush=True,
        )
    return rows


def run_power(rng: np.random.Generator, repeats: int) -> list[dict[str, object]]:
    """Return how often fractional Brownian motion is recognised."""
    rows: list[dict[str, object]] = []
    print("\nalpha, 50 tracks of 50 frames, sigma^2 / (K dt^alpha) = q; exposure unknown")
    for alpha in (0.6, 0.85, 1.15):
        for q in (0.1, 1.0):
            sigma = float(np.sqrt(q * 0.1 * DT**alpha))
            values, covered, called = [], 0, 0
            for _ in range(repeats):
                found = estimate_anomalous(fractional(rng, 50, 50, 0.1, alpha, sigma), DT, PIXEL)
                values.append(found.alpha.value)
                covered += found.alpha.low <= alpha <= found.alpha.high
                kind = motion_type(found).motion_type
                called += kind.startswith("Sub" if alpha < 1 else "Super")
            rows.append(
                {
                    "alpha": alpha,
                    "q": q,
                    "mean": float(np.mean(values)),
                    "sd": float(np.std(values, ddof=1)),
                    "coverage": covered / repeats,
                    "recognised": called / repeats,
                }
            )
            print(
                f"alpha {alpha:g}, q {q:g}: {np.mean(values):.3f} +- {np.std(values):.3f}, "
                f"covered {covered / repeats:.3f}, recognised {called / repeats:.2f}",
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
    print("\nSeconds, one core")
    seconds = {}
    for name, task in tasks.items():
        begin = time.perf_counter()
        task()
        seconds[name] = time.perf_counter() - begin
        print(f"{name}: {seconds[name]:.2f}", flush=True)
    return seconds


def main() -> None:
    """Run everything, print it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="repeats of each ensemble")
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(2024)
    results = {
        "repeats": repeats,
        "regimes": run_regimes(rng, repeats),
        "mixed": run_mixed(rng, repeats),
        "anomalous": run_power(rng, repeats),
        "seconds": run_speed(rng),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "diffusion.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

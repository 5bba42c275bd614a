"""D and alpha of single tracks beside the Cramer-Rao bound and beside other tools.

Run it alone: ``python benchmarks/single_tracks.py [--tracks N] [--lengths 30 100 300]``. It prints
tables and writes ``benchmarks/results/single_tracks.json``.

Each row is of so many tracks of one length. The error is the root mean square of (estimate - truth)
over the bound for D, or alpha, and the offset free. Coverage is that of the 95% intervals.

Other tools are asked for the same tracks, if they are installed (``pip install lumicks.pylake
sdt-python``); no other package needs them:

- trackpy: `imsd`, and a straight line through its first ten lags (alpha: through their logarithms);
- pylake: its covariance-based estimator, and least squares with Michalet's optimal number of lags,
  each of x and of y, averaged; the blur constant is given;
- sdt-python: `Msd` and `BrownianMotion` with its own two lags; the exposure is given.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from _tracks import DT, PIXEL, REGIMES, bound, brownian
from cloudtrainer.diffusion import estimate_anomalous, estimate_diffusion

RESULTS = Path(__file__).parent / "results" / "single_tracks.json"
SEED = 5077
LENGTHS = (30, 100, 300)
LAGS = 10
Peer = Callable[[pd.DataFrame, float], np.ndarray]


def alpha_bound(frames: int, K: float, alpha: float, s: float) -> float:
    """Return the bound on the standard error of alpha of one track, K and the offset free.

    The displacements of one axis have the MSD M(n) = 2 K (n dt)^alpha + 2 s, n > 0, and thus the
    covariance [M(k + 1) + M(|k - 1|) - 2 M(k)] / 2 at a distance of k frames.
    """
    n = np.arange(frames + 1, dtype=float)
    lag = np.maximum(n, 1) * DT
    seen = n > 0
    motion = lag**alpha * seen
    derivatives = (2 * motion, 2 * K * motion * np.log(lag), 2.0 * seen)
    apart = np.abs(np.subtract.outer(np.arange(frames - 1), np.arange(frames - 1)))

    def covariance(msd: np.ndarray) -> np.ndarray:
        return (msd[apart + 1] + msd[np.abs(apart - 1)] - 2 * msd[apart]) / 2

    inverse = np.linalg.inv(covariance(2 * K * motion + 2 * s * seen))
    parts = [inverse @ covariance(derivative) for derivative in derivatives]
    # Half a trace for each of the two axes.
    information = [[np.trace(first @ second) for second in parts] for first in parts]
    return float(np.sqrt(np.linalg.inv(np.array(information))[1, 1]))


def trackpy_msd(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return trackpy's MSD of each track, um^2, lags in s as the index."""
    import trackpy

    return trackpy.imsd(tracks, mpp=PIXEL, fps=1 / DT, max_lagtime=LAGS)


def trackpy_line(tracks: pd.DataFrame, R: float) -> np.ndarray:
    """Return D of each track by a straight line through ten lags."""
    msd = trackpy_msd(tracks)
    return np.polyfit(msd.index.to_numpy(float), msd.to_numpy(), 1)[0] / 4


def trackpy_power(tracks: pd.DataFrame, R: float) -> np.ndarray:
    """Return alpha of each track by a straight line through the logarithms of ten lags."""
    msd = trackpy_msd(tracks)
    return np.polyfit(np.log(msd.index.to_numpy(float)), np.log(msd.to_numpy()), 1)[0]


def pylake_covariance(tracks: pd.DataFrame, R: float) -> np.ndarray:
    """Return D of each track by pylake's covariance-based estimator."""
    from lumicks.pylake.kymotracker.detail.msd_estimation import (
        PositionUnit,
        estimate_diffusion_cve,
    )

    def along(frame: np.ndarray, coordinate: np.ndarray) -> float:
        return float(estimate_diffusion_cve(frame, coordinate, DT, R, PositionUnit.um).value)

    return _each_axis(tracks, along)


def pylake_least_squares(tracks: pd.DataFrame, R: float) -> np.ndarray:
    """Return D of each track by pylake's least squares over an optimal number of lags."""
    from lumicks.pylake.kymotracker.detail.msd_estimation import (
        PositionUnit,
        determine_optimal_points,
        estimate_diffusion_constant_simple,
    )

    def along(frame: np.ndarray, coordinate: np.ndarray) -> float:
        lags, _ = determine_optimal_points(frame, coordinate)
        return float(
            estimate_diffusion_constant_simple(
                frame, coordinate, DT, lags, "ols", PositionUnit.um
            ).value
        )

    return _each_axis(tracks, along)


def sdt_two_lags(tracks: pd.DataFrame, R: float) -> np.ndarray:
    """Return D of each track by sdt-python."""
    from sdt.motion import Msd

    msd = Msd(tracks, frame_rate=1 / DT, n_lag=2, n_boot=0, ensemble=False, pixel_size=PIXEL)
    found = msd.fit("brownian", exposure_time=6 * R * DT).get_results()
    return found[0]["D"].to_numpy(float)


def _each_axis(
    tracks: pd.DataFrame, estimate: Callable[[np.ndarray, np.ndarray], float]
) -> np.ndarray:
    """Return the mean of both axes' estimates for each track, positions in um."""
    found = []
    for _, track in tracks.groupby("particle"):
        frame = track["frame"].to_numpy()
        found.append(
            np.mean([estimate(frame, PIXEL * track[axis].to_numpy()) for axis in ("x", "y")])
        )
    return np.array(found)


D_PEERS: dict[str, Peer] = {
    "trackpy, line": trackpy_line,
    "pylake, covariance": pylake_covariance,
    "pylake, optimal lags": pylake_least_squares,
    "sdt-python": sdt_two_lags,
}
ALPHA_PEERS: dict[str, Peer] = {"trackpy, log line": trackpy_power}


def ask(peer: Peer, tracks: pd.DataFrame, R: float) -> tuple[np.ndarray, float] | None:
    """Return another tool's estimates and its seconds; None where it is not installed."""
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = peer(tracks, R)
    except ModuleNotFoundError:
        return None
    return found, time.perf_counter() - begin


def figures(values: np.ndarray, truth: float, limit: float) -> dict[str, float]:
    """Return bias, standard deviation and root-mean-square error of the estimates there are."""
    good = values[np.isfinite(values)]
    return {
        "bias": float(good.mean() / truth - 1),
        "sd_over_bound": float(good.std(ddof=1) / limit),
        "error_over_bound": float(np.sqrt(np.mean((good - truth) ** 2)) / limit),
        "without_estimate": float(1 - len(good) / len(values)),
    }


def covered(rows: pd.DataFrame, name: str, truth: float) -> dict[str, float]:
    """Return the share of intervals that hold the truth, and that lie below and above it."""
    below, above = rows[f"{name}_high"] < truth, rows[f"{name}_low"] > truth
    return {
        "coverage": float((~below & ~above & rows[name].notna()).mean()),
        "below": float(below.mean()),
        "above": float(above.mean()),
    }


def said(name: str, row: dict[str, float] | None) -> str:
    """Return a line of the table."""
    if row is None:
        return f"    {name:24s} not installed"
    text = (
        f"    {name:24s} bias {100 * row['bias']:+7.1f}%   sd/bound {row['sd_over_bound']:5.2f}   "
        f"error/bound {row['error_over_bound']:5.2f}"
    )
    if "coverage" in row:
        text += f"   covers {100 * row['coverage']:5.1f}%"
    return text + f"   {row['seconds']:6.2f} s"


def run_regime(number: int, frames: int, count: int) -> dict[str, object]:
    """Return the figures of one regime and length, and print them."""
    _, _, D, sigma, R = REGIMES[number]
    rng = np.random.default_rng((SEED, number, frames))
    tracks = brownian(rng, count, frames, D, sigma, R)
    limit = D * bound(1, frames, D, sigma, R)
    limit_alpha = alpha_bound(frames, D, 1.0, sigma**2 - 2 * R * D * DT)
    print(
        f"\n{frames} frames, D {D:g} um^2/s, sigma {sigma:g} um, "
        f"{'full exposure' if R else 'strobe'}: bound {100 * limit / D:.1f}% of D, "
        f"{limit_alpha:.3f} of alpha",
        flush=True,
    )
    rows: dict[str, dict[str, float] | None] = {}
    for name, own in (
        ("D, likelihood", {}),
        ("D, exposure known", {"exposure_s": 6 * R * DT}),
        ("D, covariance", {"method": "cve"}),
    ):
        begin = time.perf_counter()
        found = estimate_diffusion(tracks, DT, PIXEL, **own, per_track=True)
        seconds = time.perf_counter() - begin
        rows[name] = (
            figures(found["D"].to_numpy(), D, limit) | covered(found, "D", D) | {"seconds": seconds}
        )
        print(said(name, rows[name]), flush=True)
    for name, peer in D_PEERS.items():
        answer = ask(peer, tracks, R)
        rows[name] = answer and figures(answer[0], D, limit) | {"seconds": answer[1]}
        print(said(name, rows[name]), flush=True)
    begin = time.perf_counter()
    found = estimate_anomalous(tracks, DT, PIXEL, per_track=True)
    seconds = time.perf_counter() - begin
    rows["alpha, likelihood"] = (
        figures(found["alpha"].to_numpy(), 1.0, limit_alpha)
        | covered(found, "alpha", 1.0)
        | {"seconds": seconds}
    )
    print(said("alpha, likelihood", rows["alpha, likelihood"]), flush=True)
    for name, peer in ALPHA_PEERS.items():
        answer = ask(peer, tracks, R)
        rows[name] = answer and figures(answer[0], 1.0, limit_alpha) | {"seconds": answer[1]}
        print(said(name, rows[name]), flush=True)
    return {
        "frames": frames, "D_um2_per_s": D, "sigma_um": sigma, "R": R, "tracks": count,
        "bound_of_D": limit / D, "bound_of_alpha": limit_alpha, "estimates": rows,
    }  # fmt: skip


def main() -> None:
    """Run everything, print it and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=1000, help="tracks of each length")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="frames")
    chosen = parser.parse_args()
    results = [
        run_regime(number, frames, chosen.tracks)
        for number in range(len(REGIMES))
        for frames in chosen.lengths
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

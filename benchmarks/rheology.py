"""Moduli from compliances known in closed form, and from beads seen through whole-frame exposures.

    python benchmarks/rheology.py [--repeats N]

Transform and slope of ln MSD: the MSD of beads in four materials, without noise, at about 16 lags a
decade up to 1000 frames of 10 ms. Errors of G' and G'' as a share of |G*|: the largest and the
median over frequencies, without the six lowest and the three highest, which rest on how the MSD
goes on.

- transform: `cloudtrainer.diffusion.compliance` (Evans et al. 2009, Phys. Rev. E 80:012501);
- slope: Mason 2000, Rheol. Acta 39:371;
- slope and curvature: Dasgupta et al. 2002, Phys. Rev. E 65:051505, as common programs have it.

Exposure: 40 beads, 150 frames of 1/30 s, each exposed throughout (the mean of 32 positions), 20
beads stuck to the glass, 300 frames. G' and G'' as shares of the true |G*|, their mean and how
often the 95% interval holds the truth, at the highest frequency, a quarter of it and the lowest,
with the exposure known and unknown. With the exposure known also without stuck beads, by the
offset of `estimate_anomalous`.
"""

import argparse
import json
import math
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.special import gamma

from _tracks import DT, PIXEL, table
from cloudtrainer.diffusion import BOLTZMANN, estimate_anomalous, shear_moduli
from cloudtrainer.diffusion.compliance import ComplianceTransform
from cloudtrainer.diffusion.moduli_lags import spread_lags

WINDOW = 0.7
RESULTS = Path(__file__).parent / "results" / "rheology.json"
MATERIALS = {
    "liquid of 1 mPa s": (lambda t: t / 1e-3, lambda w: 1e-3j * w),
    "Maxwell, 2 Pa, 0.5 s": (lambda t: t + 0.5, lambda w: 1j * w / (1 + 0.5j * w)),
    "Kelvin-Voigt, 2 Pa, 0.5 s": (lambda t: (1 - np.exp(-2 * t)) / 2, lambda w: 2 + 1j * w),
    "power law of 0.6": (lambda t: t**0.6 / math.gamma(1.6), lambda w: (1j * w) ** 0.6),
}

# alpha, K (um^2/s^alpha), localisation error (um).
MEDIA = {
    "gel, alpha 0.5": (0.5, 0.01, 0.02),
    "gel, alpha 0.8": (0.8, 0.05, 0.02),
    "water": (1.0, 0.43, 0.03),
}
BEADS, FRAMES, PARTS = 40, 150, 32
MATERIAL = {"temperature_K": 298.0, "radius_um": 0.5}
MSD_OVER_J = 2 * BOLTZMANN * 298.0 / (3 * math.pi * 0.5e-18)


def derivatives(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, slope and second slope of parabolas through y(x) in a Gaussian window."""
    found = []
    for middle in x:
        weight = np.exp(-0.25 * ((x - middle) / WINDOW) ** 2)
        second, first, value = np.polyfit(x - middle, y, 2, w=weight)
        found.append((value, first, 2 * second))
    value, slope, bend = np.array(found).T
    return value, slope, bend


def by_slope(time: np.ndarray, compliance: np.ndarray, *, curved: bool) -> np.ndarray:
    """Return G* at one over each time."""
    value, slope, bend = derivatives(np.log(time), np.log(compliance))
    size = 1 / (np.exp(value) * gamma(1 + slope))
    if not curved:
        return size * np.exp(0.5j * math.pi * slope)
    size /= 1 + bend / 2
    _, rise, bend = derivatives(-np.log(time), np.log(size))
    extra = math.pi / 2 - 1
    storage = np.cos(math.pi / 2 * rise) - extra * rise * bend
    loss = np.sin(math.pi / 2 * rise) - extra * (1 - rise) * bend
    return size / (1 + bend) * (storage + 1j * loss)


def exposed(rng: np.random.Generator, alpha: float, K: float, sigma: float) -> np.ndarray:
    """Return positions of fractional Brownian beads, um, each the mean over its frame.

    The increments are exact, by circulant embedding (Davies & Harte 1987, Biometrika 74:95).
    """
    points = FRAMES * PARTS
    k = np.arange(points + 1.0)
    covariance = ((k + 1) ** alpha + np.abs(k - 1) ** alpha - 2 * k**alpha) / 2
    row = np.concatenate([covariance, covariance[-2:0:-1]])
    power = np.maximum(np.fft.rfft(row).real, 0)
    white = np.fft.rfft(rng.normal(size=(2 * BEADS, len(row))))
    steps = np.fft.irfft(white * np.sqrt(power), len(row))[:, :points]
    path = np.cumsum(steps, axis=1) * math.sqrt(2 * K * (DT / PARTS) ** alpha)
    seen = path.reshape(BEADS, 2, FRAMES, PARTS).mean(3).transpose(0, 2, 1)
    return seen + rng.normal(0, sigma, seen.shape)


def exposure_rows(repeats: int) -> dict[str, dict[str, list[list[float]]]]:
    """Print and return means and coverages of moduli at full exposure."""
    rows: dict[str, dict[str, list[list[float]]]] = {}
    print(
        "\nfull exposure: mean over |G*| (coverage) at the highest frequency, a quarter of it, the "
        "lowest"
    )
    for name, (alpha, K, sigma) in MEDIA.items():
        told: dict[str, list[np.ndarray]] = {}
        for repeat in range(repeats):
            rng = np.random.default_rng((7, round(10 * alpha), repeat))
            tracks = table(exposed(rng, alpha, K, sigma))
            stuck = table(rng.normal(0, sigma, (20, 300, 2)))
            fit = estimate_anomalous(tracks, DT, PIXEL, DT)
            ways = {
                "stuck beads, exposure unknown": {"stuck": stuck},
                "stuck beads, exposure known": {"stuck": stuck, "exposure_s": DT},
                "offset of the fit, exposure known": {
                    "offset_um2": fit.K.offset,
                    "offset_error_um2": fit.offset_standard_error,
                    "exposure_s": DT,
                },
            }
            for way, known in ways.items():
                found = shear_moduli(tracks, DT, PIXEL, **MATERIAL, **known)
                frequency = found.angular_frequency
                true = (1j * frequency) ** alpha * MSD_OVER_J / (4 * K * math.gamma(1 + alpha))
                size = np.abs(true)
                held = [
                    (low <= value) & (value <= high)
                    for low, value, high in (
                        (found.storage_low, true.real, found.storage_high),
                        (found.loss_low, true.imag, found.loss_high),
                    )
                ]
                at = [int(np.argmin(np.abs(frequency * DT - part))) for part in (1, 0.25, 0)]
                numbers = [found.storage / size, found.loss / size, *held]
                told.setdefault(way, []).append(np.array(numbers, float)[:, at])
        angle = math.pi / 2 * alpha
        print(f"{name}: true {math.cos(angle):.2f}, {math.sin(angle):.2f}")
        rows[name] = {}
        for way, each in told.items():
            mean = np.nanmean(each, axis=0)
            rows[name][way] = mean.tolist()
            print(
                f"  {way:<34} "
                + "   ".join(
                    f"G' {g1:.2f} ({100 * c1:.0f}%) G'' {g2:.2f} ({100 * c2:.0f}%)"
                    for g1, g2, c1, c2 in mean.T
                ),
                flush=True,
            )
    return rows


def main() -> None:
    """Print a line for each material and write JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    transform = ComplianceTransform(spread_lags(1000) * 0.01)
    time, frequency = transform.time, transform.angular_frequency
    rows = {}
    print(f"{'largest (median) error / |G*|':<30} transform       slope           and curvature")
    for name, (compliance, modulus) in MATERIALS.items():
        slopes = (by_slope(time, compliance(time), curved=curved) for curved in (False, True))
        ways = {
            "transform": (transform.modulus(compliance(time)[None])[0], modulus(frequency)),
            "slope": (next(slopes)[::-1], modulus(1 / time)[::-1]),
            "slope and curvature": (next(slopes)[::-1], modulus(1 / time)[::-1]),
        }
        rows[name] = {}
        for way, (found, known) in ways.items():
            off = (np.abs(found - known) / np.abs(known))[6:-3]
            rows[name][way] = {"largest": float(off.max()), "median": float(np.median(off))}
        line = [f"{row['largest']:.3f} ({row['median']:.3f})" for row in rows[name].values()]
        print(f"{name:<30} " + "   ".join(line))
    told = {"transform": rows, "exposure": exposure_rows(repeats)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Moduli from compliances known in closed form: the transform, and the slope of ln MSD.

    python benchmarks/rheology.py

The MSD of beads in four materials, without noise, at about 16 lags a decade up to 1000 frames of
10 ms. Errors of G' and G'' as a share of |G*|: the largest and the median over frequencies, without
the six lowest and the three highest, which rest on how the MSD goes on.

- transform: `cloudtrainer.diffusion.compliance` (Evans et al. 2009, Phys. Rev. E 80:012501);
- slope: Mason 2000, Rheol. Acta 39:371;
- slope and curvature: Dasgupta et al. 2002, Phys. Rev. E 65:051505, as common programs have it.
"""

import json
import math
from pathlib import Path

import numpy as np
from scipy.special import gamma

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


def main() -> None:
    """Print a line for each material and write JSON."""
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
        told = [f"{row['largest']:.3f} ({row['median']:.3f})" for row in rows[name].values()]
        print(f"{name:<30} " + "   ".join(told))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

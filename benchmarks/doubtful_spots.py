"""Dim spots of many kinds of videos, with and without weighing them by their photons.

    python benchmarks/doubtful_spots.py [--frames 24]

Frames of 256 x 256 px with spots at least 14 px apart, drawn by this file: cameras, grounds,
brightness and shapes vary from kind to kind. F1 at 3 px and errors over stated errors (robust) of
the bundled model, which is told nothing, at its one threshold: of the network with the fit, and
with doubtful spots weighed as well. Where the photons cannot tell, nothing is weighed. trackpy is
given the diameter of the spots and, of 40, the cut in mass that is best for the frames.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import score_detections

RESULTS = Path(__file__).parent / "results"
SEED = 45_000
SIDE_PX, APART_PX, GATE_PX = 256, 14.0, 3.0


@dataclass(frozen=True)
class Kind:
    """What a video is like; light in photons, sizes in px."""

    photons: float = 150.0
    brightness_spread: float = 0.0
    spots: int = 40
    sigma: float = 1.5
    sigma_spread: float = 0.0
    smear: float = 0.0
    ground: float = 20.0
    slope: float = 0.0
    bumps: float = 0.0
    flicker: float = 0.0
    blurred: int = 0
    dim_share: float = 0.0
    hot_share: float = 0.0
    dark: bool = False
    gain: float = 1.0
    read_noise: float = 0.0
    multiplied: bool = False
    smoothed: float = 0.0


KINDS = {
    "spots of 150 photons": Kind(),
    "of 110 photons": Kind(photons=110),
    "wide, 400 photons": Kind(photons=400, sigma=3.0, spots=20),
    "narrow, 90 photons": Kind(photons=90, sigma=1.0),
    "brightness differs by half": Kind(brightness_spread=0.5),
    "bright, differing by half": Kind(photons=800, brightness_spread=0.5),
    "width differs by a fifth, 250 photons": Kind(photons=250, sigma_spread=0.2),
    "smeared by motion, 200 photons": Kind(photons=200, smear=1.5),
    "dark, 260 of 60 a pixel": Kind(photons=260, ground=60, dark=True),
    "ground twice as bright on one side": Kind(slope=0.7),
    "light flickers by a third": Kind(flicker=0.3),
    "gain 3, read noise 5 counts": Kind(gain=3.0, read_noise=5.0),
    "read noise alone": Kind(ground=3.0, read_noise=5.0),
    "electron multiplication, 250 photons": Kind(photons=250, multiplied=True),
    "half as many blurred": Kind(blurred=20),
    "a third of 120 among 1000 photons": Kind(photons=1000, dim_share=0.3),
    "hot pixels": Kind(hot_share=0.001),
    "bumps of a third of the noise": Kind(bumps=0.3),
    "smoothed by compression": Kind(smoothed=0.6),
}


def film(kind: Kind, seed: int, frames: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Return frames, float32, and the places of the spots."""
    rng = np.random.default_rng(seed)
    across = np.linspace(-0.5, 0.5, SIDE_PX)
    ground = kind.ground * (1 + kind.slope * across + np.zeros((SIDE_PX, 1)))
    bumps = gaussian_filter(rng.normal(size=ground.shape), 2.5)
    ground = ground + kind.bumps * np.sqrt(kind.ground) * bumps / bumps.std()
    hot = (rng.random(ground.shape) < kind.hot_share) * rng.uniform(3, 30, ground.shape)
    filmed, truth = [], []
    for number in range(frames):
        xy = _places(rng, kind.spots)
        photons = kind.photons * np.exp(
            kind.brightness_spread * rng.normal(size=kind.spots) - kind.brightness_spread**2 / 2
        )
        photons[rng.random(kind.spots) < kind.dim_share] = 120.0
        width = kind.sigma * np.exp(kind.sigma_spread * rng.normal(size=kind.spots))
        light = _light(xy, photons, width, kind.smear)
        elsewhere = rng.uniform(0, SIDE_PX - 1, (kind.blurred, 2))
        more = np.full(kind.blurred, 1.2 * kind.photons)
        light += _light(elsewhere, more, 2.2 * kind.sigma + 0 * more, 0.0)
        here = np.maximum(ground * (1 + kind.flicker * np.sin(number)), 0.5)
        here = np.maximum(here - light, 0.2) if kind.dark else here + light
        counts = rng.poisson(here).astype(float)
        if kind.multiplied:
            counts = np.where(counts > 0, rng.gamma(np.maximum(counts, 1e-9)), 0.0)
        counts = kind.gain * counts + rng.normal(0, kind.read_noise, counts.shape) + 100
        counts += hot * np.sqrt(kind.ground)
        if kind.smoothed:
            counts = np.round(gaussian_filter(counts, kind.smoothed) * 3) / 3
        filmed.append(counts)
        truth.append(pd.DataFrame({"frame": number, "x": xy[:, 0], "y": xy[:, 1]}))
    return np.stack(filmed).astype(np.float32), pd.concat(truth, ignore_index=True)


def _places(rng: np.random.Generator, spots: int) -> np.ndarray:
    chosen: list[np.ndarray] = []
    while len(chosen) < spots:
        place = rng.uniform(0, SIDE_PX - 1, 2)
        if all(np.hypot(*(place - other)) > APART_PX for other in chosen):
            chosen.append(place)
    return np.array(chosen)


def _light(xy: np.ndarray, photons: np.ndarray, sigma: np.ndarray, smear: float) -> np.ndarray:
    edges = np.arange(SIDE_PX + 1) - 0.5
    light = np.zeros((SIDE_PX, SIDE_PX))
    for (x, y), each, width in zip(xy, photons, sigma, strict=True):
        along = np.hypot(width, smear) * np.sqrt(2)
        across = np.diff(erf((edges - x) / along)) / 2
        down = np.diff(erf((edges - y) / (width * np.sqrt(2)))) / 2
        light += each * np.outer(down, across)
    return light


def best_of_trackpy(frames: np.ndarray, truth: pd.DataFrame, kind: Kind) -> float:
    """Return F1 of trackpy with the cut in mass that is best for these frames."""
    diameter = 2 * round(2.3 * kind.sigma) + 1
    found = pd.concat(
        [
            trackpy.locate(frame, diameter, minmass=0, separation=4, invert=kind.dark).assign(
                frame=number
            )
            for number, frame in enumerate(frames)
        ]
    ).sort_values("mass", ascending=False, ignore_index=True)
    cuts = (np.linspace(0.3, 1.4, 40) * len(truth)).astype(int)
    return max(score_detections(found[:cut], truth, GATE_PX).f1 for cut in cuts)


def main() -> None:
    """Print a line for each kind of video, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24, help="frames of each kind")
    asked = parser.parse_args()
    trackpy.quiet()
    np.seterr(divide="ignore")
    model = load_model()
    rows = []
    print("kind                                   | F1: network  weighed  trackpy | error/stated")
    for number, (name, kind) in enumerate(KINDS.items()):
        frames, truth = film(kind, SEED + number, asked.frames)
        sign = -1 if kind.dark else 1
        told = model.appearance(frames[:5], polarity=sign)
        found = model.detect(frames, polarity=sign, appearance=told)
        without = told.without_population()
        by_network = model.detect(frames, polarity=sign, appearance=without)
        weighed = score_detections(found, truth, GATE_PX)
        row = {
            "kind": name,
            **asdict(kind),
            "weighed": told.population is not None,
            "f1": weighed.f1,
            "f1_network": score_detections(by_network, truth, GATE_PX).f1,
            "f1_trackpy": best_of_trackpy(frames, truth, kind),
            "error_over_stated": weighed.error_over_stated_robust,
        }
        rows.append(row)
        shown = f"{row['f1']:.3f}" if row["weighed"] else "    -"
        print(
            f"{name:<38} |     {row['f1_network']:.3f}    {shown}    {row['f1_trackpy']:.3f} "
            f"| {row['error_over_stated']:.2f}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "doubtful_spots.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

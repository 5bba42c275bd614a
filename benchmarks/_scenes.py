"""Frames of Gaussian spots of known brightness and density."""

import numpy as np
import pandas as pd
from scipy.special import erf

SIDE_PX = 512
SIGMA_PX = 1.5
BACKGROUND = 20.0
FRAMES = 3


def scene(
    photons: float, spots: int, apart: bool, seed: int, frames: int = FRAMES
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return frames (uint16) and the true positions of one cell."""
    rng = np.random.default_rng(seed)
    filmed, truth = [], []
    for frame in range(frames):
        xy = _places(rng, spots, 20.0 if apart else 0.0)
        light = np.full((SIDE_PX, SIDE_PX), BACKGROUND)
        edges = np.arange(SIDE_PX + 1) - 0.5
        for x, y in xy:
            across = np.diff(erf((edges - x) / (SIGMA_PX * np.sqrt(2)))) / 2
            down = np.diff(erf((edges - y) / (SIGMA_PX * np.sqrt(2)))) / 2
            light += photons * np.outer(down, across)
        filmed.append(rng.poisson(light).astype(np.uint16))
        truth.append(pd.DataFrame({"frame": frame, "x": xy[:, 0], "y": xy[:, 1]}))
    return np.stack(filmed), pd.concat(truth, ignore_index=True)


def _places(rng: np.random.Generator, spots: int, distance_px: float) -> np.ndarray:
    chosen: list[np.ndarray] = []
    while len(chosen) < spots:
        place = rng.uniform(10, SIDE_PX - 10, 2)
        if distance_px == 0 or all(np.hypot(*(place - other)) > distance_px for other in chosen):
            chosen.append(place)
    return np.array(chosen)

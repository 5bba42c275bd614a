"""Detections in which one particle is found as two: smeared by its motion, or a pair of two."""

import numpy as np
import pandas as pd

PARTS = 16


def filmed(seed, D=5.0, particles=40, frames=60, side=512.0, split_from=2.8):
    """Brownian particles filmed with a full exposure; D in px^2 a frame.

    A particle that is smeared further than ``split_from`` px is found as two: the first and the
    second half of its way. Returns the detections ``frame, x, y, intensity, truth``.
    """
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, np.sqrt(2 * D / PARTS), (frames, PARTS, particles, 2))
    way = rng.uniform(0, side, (particles, 2)) + np.cumsum(
        steps.reshape(-1, particles, 2), axis=0
    ).reshape(steps.shape)
    smear = np.sqrt((way.std(axis=1) ** 2).sum(axis=2))
    rows = []
    for frame, particle in np.ndindex(frames, particles):
        path = way[frame, :, particle]
        if smear[frame, particle] <= split_from:
            found = [(path.mean(axis=0), 400.0)]
        else:
            found = [(half.mean(axis=0), 200.0) for half in np.split(path, 2)]
        for xy, light in found:
            xy = xy + rng.normal(0, 0.2, 2)
            rows.append((frame, *xy, light * rng.uniform(0.85, 1.15), particle))
    return pd.DataFrame(rows, columns=["frame", "x", "y", "intensity", "truth"])


def dimers(seed, D, particles=40, frames=60, apart=5.0, parted=0.1, side=512.0):
    """Pairs that turn and diffuse, D in px^2 a frame, and are found as two in some frames."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, particles)
    centre = rng.uniform(0, side, (particles, 2))
    rows = []
    for frame in range(frames):
        angle = angle + rng.normal(0, 0.3, particles)
        centre = centre + rng.normal(0, np.sqrt(2 * D), centre.shape)
        half = apart / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        for pair in range(particles):
            light = 400 * rng.uniform(0.85, 1.15)
            found = [(centre[pair], light)]
            if rng.random() < parted:
                found = [(centre[pair] + sign * half[pair], light / 2) for sign in (-1, 1)]
            rows += [(frame, *(xy + rng.normal(0, 0.2, 2)), lit) for xy, lit in found]
    return pd.DataFrame(rows, columns=["frame", "x", "y", "intensity"])

"""Brownian particles as a detector would see them, for the tests of this folder."""

import numpy as np
import pandas as pd


def detections(
    particles=100,
    step_sd=1.0,
    frames=60,
    size=512.0,
    stuck=0.0,
    false=0.0,
    missed=0.0,
    error=0.15,
    flow=(0.0, 0.0),
    seed=0,
):
    """Simulate a table frame, x, y, truth (-1 for false detections); the field is periodic."""
    rng = np.random.default_rng(seed)
    position = rng.uniform(0, size, (particles, 2))
    moves = rng.random(particles) >= stuck
    parts = []
    for t in range(frames):
        seen = np.flatnonzero(rng.random(particles) >= missed)
        xy = position[seen] + rng.normal(0, error, (len(seen), 2))
        extra = rng.uniform(0, size, (rng.poisson(false * particles), 2))
        who = np.concatenate([seen, np.full(len(extra), -1)])
        parts.append(np.column_stack([np.full(len(who), t), np.concatenate([xy, extra]), who]))
        position += moves[:, None] * (rng.normal(0, step_sd, (particles, 2)) + np.asarray(flow))
        position %= size
    table = pd.DataFrame(np.concatenate(parts), columns=["frame", "x", "y", "truth"])
    return table.astype({"frame": np.int64, "truth": np.int64})

"""Videos of a known microscope and camera, made with NumPy alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.video import Video


@dataclass(frozen=True)
class Film:
    """What `film` makes: counts = gain * Poisson(light / gain) + read noise, rounded.

    ``truth`` has ``frame, x, y`` of every particle and the ``kind`` of its profile; ``ground`` is
    the counts without light.
    """

    video: Video
    truth: pd.DataFrame
    ground: np.ndarray


def gaussian(sigma):
    return lambda distance: np.exp(-(distance**2) / (2 * sigma**2))


def ringed(distance):
    """Return a faint core within a ring of radius 9 px."""
    return 0.5 * np.exp(-(distance**2) / (2 * 2**2)) + np.exp(-((distance - 9) ** 2) / (2 * 1.5**2))


def film(
    profiles,
    amplitudes,
    *,
    particles=20,
    frames=30,
    side=128,
    ground=200.0,
    gain=1.0,
    read_noise=0.0,
    step_px=4.0,
    sign=1,
    seed=0,
    dtype=np.uint16,
):
    """Film particles that walk; each has one of the profiles and of the amplitudes (counts)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    below = np.broadcast_to(np.asarray(ground, float), (side, side))
    places = rng.uniform(0, side, (particles, 2))
    kinds = rng.permutation(np.arange(particles) % len(profiles))
    filmed, truth = [], []
    for number in range(frames):
        light = below.copy()
        for kind, (x, y) in zip(kinds, places, strict=True):
            shape = profiles[kind](np.hypot(columns - x, rows - y))
            light += sign * amplitudes[kind] * shape
        counts = gain * rng.poisson(light.clip(0) / gain) + rng.normal(0, read_noise, light.shape)
        filmed.append(counts)
        truth += [(number, x, y, kind) for kind, (x, y) in zip(kinds, places, strict=True)]
        places = (places + rng.normal(0, step_px, places.shape)) % side
    counts = np.array(filmed)
    if np.issubdtype(dtype, np.integer):
        counts = np.rint(counts).clip(0, np.iinfo(dtype).max)
    table = pd.DataFrame(truth, columns=["frame", "x", "y", "kind"])
    return Film(Video(counts.astype(dtype)), table, below)

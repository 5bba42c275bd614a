"""Simulated tracks whose truth is known, and what can be told from them at best."""

import numpy as np
import pandas as pd

DT, PIXEL = 1 / 30, 0.1
# Tracks, frames, D (um^2/s), sigma (um), R = exposure over six frame intervals.
REGIMES = [
    (50, 50, 0.5, 0.02, 0.0),
    (50, 50, 0.5, 0.05, 1 / 6),
    (200, 30, 0.05, 0.05, 1 / 6),
    (20, 300, 2.0, 0.03, 1 / 6),
    (50, 50, 0.02, 0.05, 1 / 6),
]


def table(position: np.ndarray) -> pd.DataFrame:
    """Return positions in um, shape (tracks, frames, 2), as a table in pixels."""
    particles, frames, _ = position.shape
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), frames),
            "frame": np.tile(np.arange(frames), particles),
            "x": position[:, :, 0].ravel() / PIXEL,
            "y": position[:, :, 1].ravel() / PIXEL,
        }
    )


def brownian(
    rng: np.random.Generator,
    particles: int,
    frames: int,
    D: float | np.ndarray,
    sigma: float,
    R: float,
) -> pd.DataFrame:
    """Simulate Brownian tracks, averaged exactly over a full exposure where R = 1/6."""
    variance = 2 * np.broadcast_to(D, (particles,))[:, None, None] * DT
    step = rng.normal(size=(particles, frames, 2)) * np.sqrt(variance)
    start = np.cumsum(step, axis=1) - step
    if R == 0:
        position = start
    else:
        # The mean of a path over a frame, given its ends, is normal: half the step, and D dt / 6.
        bridge = rng.normal(size=step.shape) * np.sqrt(variance / 12)
        position = start + step / 2 + bridge
    return table(position + sigma * rng.normal(size=position.shape))


def fractional(
    rng: np.random.Generator, particles: int, frames: int, K: float, alpha: float, sigma: float
) -> pd.DataFrame:
    """Simulate fractional Brownian tracks."""
    k = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames))).astype(float)
    noise = ((k + 1) ** alpha + np.abs(k - 1) ** alpha - 2 * k**alpha) / 2
    factor = np.linalg.cholesky(2 * K * DT**alpha * noise)
    steps = factor @ rng.normal(size=(frames, particles * 2))
    path = np.cumsum(steps, axis=0).T.reshape(particles, 2, frames).transpose(0, 2, 1)
    return table(path + sigma * rng.normal(size=path.shape))


def bound(particles: int, frames: int, D: float, sigma: float, R: float) -> float:
    """Return the Cramer-Rao bound on the standard error of D over D, sigma free."""
    N = frames - 1
    c = 1 - np.cos(np.arange(1, N + 1) * np.pi / (N + 1))
    eigenvalue = 2 * D * DT + 2 * (sigma**2 - 2 * R * D * DT) * c
    gradient = np.array([2 * DT - 4 * R * DT * c, 2 * c]) / eigenvalue
    return float(np.sqrt(np.linalg.inv(particles * gradient @ gradient.T)[0, 0])) / D

"""Tracks simulated with NumPy alone: the truth of these tests comes from here."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

Simulate = Callable[..., pd.DataFrame]


def table(position: np.ndarray, pixel: float) -> pd.DataFrame:
    particles, frames, _ = position.shape
    return pd.DataFrame(
        {
            "particle": np.repeat(np.arange(particles), frames),
            "frame": np.tile(np.arange(frames), particles),
            "x": position[:, :, 0].ravel() / pixel,
            "y": position[:, :, 1].ravel() / pixel,
        }
    )


@pytest.fixture
def brownian_tracks() -> Simulate:
    """Return a simulator of Brownian tracks; a full exposure is averaged over substeps."""

    def simulate(
        rng: np.random.Generator,
        particles: int,
        frames: int,
        D: float | np.ndarray = 0.5,
        sigma: float = 0.03,
        full_exposure: bool = False,
        dt: float = 1 / 30,
        pixel: float = 0.1,
    ) -> pd.DataFrame:
        substeps = 40 if full_exposure else 1
        scale = np.sqrt(2 * np.broadcast_to(D, (particles,)) * dt / substeps)[:, None, None]
        steps = rng.normal(size=(particles, frames * substeps, 2)) * scale
        after = np.cumsum(steps, axis=1)
        # The mean of both ends of each substep: blur of the continuous path.
        middle = after - steps / 2 if full_exposure else after
        position = middle.reshape(particles, frames, substeps, 2).mean(axis=2)
        return table(position + sigma * rng.normal(size=position.shape), pixel)

    return simulate


@pytest.fixture
def fractional_tracks() -> Simulate:
    """Return a simulator of fractional Brownian tracks by Cholesky decomposition."""

    def simulate(
        rng: np.random.Generator,
        particles: int,
        frames: int,
        K: float = 0.1,
        alpha: float = 0.6,
        sigma: float = 0.03,
        exposed_substeps: int = 0,
        dt: float = 1 / 30,
        pixel: float = 0.1,
    ) -> pd.DataFrame:
        substeps = 10 if exposed_substeps else 1
        n = frames * substeps
        k = np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
        noise = ((k + 1) ** alpha + np.abs(k - 1) ** alpha - 2 * k**alpha) / 2
        factor = np.linalg.cholesky(2 * K * (dt / substeps) ** alpha * noise)
        steps = factor @ rng.normal(size=(n, particles * 2))
        path = np.cumsum(steps, axis=0).T.reshape(particles, 2, n).transpose(0, 2, 1)
        if exposed_substeps:
            frames_of = path.reshape(particles, frames, substeps, 2)
            path = frames_of[:, :, :exposed_substeps].mean(axis=2)
        return table(path + sigma * rng.normal(size=path.shape), pixel)

    return simulate

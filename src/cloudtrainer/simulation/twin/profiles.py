"""Radial profiles of particles in frames: how the light falls off around each candidate."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Floats = NDArray[np.float32]

# Pixels this near to another candidate show that one.
_OTHERS_CORE_PX = 4.0
# A median of n normal numbers scatters by this factor more than their mean.
_MEDIAN_SPREAD = 1.2533
STEP_PX = 0.5
_STIFFNESS = 1e-3
# What is further from a profile than this share of its height, noise aside, is a neighbour.
_FAR_OFF = 0.15


@dataclass(frozen=True)
class Patches:
    """Square cut-outs around candidates, all of one size.

    Attributes
    ----------
    light : ndarray
        Counts above the background, float32, (candidates, side, side).
    distance : ndarray
        From the candidate's sub-pixel position, px, float32, of the same shape.
    own : ndarray
        Pixels that are inside the frame and not at the core of another candidate, bool.
    reach_px : int
        Largest distance that lies within every patch.
    """

    light: Floats
    distance: Floats
    own: NDArray[np.bool_]
    reach_px: int

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Patches":
        return Patches(self.light[chosen], self.distance[chosen], self.own[chosen], self.reach_px)

    def __len__(self) -> int:
        return len(self.light)

    def above(self, counts: Floats) -> "Patches":
        """Return the patches with their light above a level of each, (candidates,)."""
        return replace(self, light=self.light - counts[:, None, None])


def cut_patches(
    residual: Floats, chosen: pd.DataFrame, others: pd.DataFrame, reach_px: int
) -> Patches:
    """Cut out what surrounds each candidate.

    Parameters
    ----------
    residual : ndarray
        Frames without their background, counts, (frames, height, width).
    chosen : DataFrame
        ``frame, x, y`` of the candidates to be cut out.
    others : DataFrame
        ``frame, x, y`` of all candidates: what is near another one is not a candidate's own.
    reach_px : int
        How far a patch goes from its candidate's pixel.
    """
    height, width = residual.shape[1:]
    steps = np.arange(-reach_px, reach_px + 1)
    frame = chosen["frame"].to_numpy()
    x, y = chosen["x"].to_numpy(np.float32), chosen["y"].to_numpy(np.float32)
    column = np.rint(x).astype(int)[:, None] + steps
    row = np.rint(y).astype(int)[:, None] + steps
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None]
    light = residual[
        frame[:, None, None],
        row.clip(0, height - 1)[:, :, None],
        column.clip(0, width - 1)[:, None, :],
    ]
    distance = np.hypot((row - y[:, None])[:, :, None], (column - x[:, None])[:, None, :])
    taken = covered(residual.shape, others, _OTHERS_CORE_PX)
    foreign = taken[
        frame[:, None, None],
        row.clip(0, height - 1)[:, :, None],
        column.clip(0, width - 1)[:, None, :],
    ]
    # Around its own position a candidate has a core, too.
    own = inside & (~foreign | (distance <= _OTHERS_CORE_PX))
    return Patches(light.astype(np.float32), distance.astype(np.float32), own, reach_px)


def radial_medians(patches: Patches) -> tuple[Floats, Floats]:
    """Return the median light in rings around each candidate, and the pixels that each is of.

    Medians, so that neighbours which no candidate stands for hardly count.

    Returns
    -------
    light, pixels : ndarray
        At distances of 0, 1, 2, ... px, (candidates, reach + 1); light is 0 where there are no
        pixels.
    """
    count = len(patches)
    light = patches.light.reshape(count, -1)
    ring = np.rint(patches.distance.reshape(count, -1)).astype(int)
    used = patches.own.reshape(count, -1) & (ring <= patches.reach_px)
    low, high = light.min(), light.max()
    # Sorted by ring, and within a ring by light.
    span = max(float(high - low), 1e-12)
    key = np.where(used, ring + np.float32(0.999 / span) * (light - low), np.float32(np.inf))
    key.sort(axis=1)
    rings = patches.reach_px + 1
    row = np.arange(count)[:, None]
    held = np.bincount(
        (row * rings + np.where(used, ring, 0)).ravel(), used.ravel(), count * rings
    ).reshape(count, rings)
    start = np.cumsum(held, axis=1) - held
    last = key.shape[1] - 1
    middle = [
        np.take_along_axis(key, (start + part).clip(max=last).astype(int), axis=1)
        for part in ((held - 1).clip(min=0) // 2, held // 2)
    ]
    value = ((middle[0] + middle[1]) / 2 - np.arange(rings)) * (span / 0.999) + low
    pixels = held.astype(np.float32)
    return np.where(held > 0, value, 0.0).astype(np.float32), pixels


def median_errors(pixels: Floats, noise: float) -> Floats:
    """Return the standard error of medians over these numbers of pixels, counts."""
    spread = np.where(pixels <= 2, 1.0, _MEDIAN_SPREAD)
    return (noise * spread / np.sqrt(np.maximum(pixels, 1e-6))).astype(np.float32)


def fine_profile(patches: Patches, amplitude: Floats, noise: float) -> Floats:
    """Fit one profile in steps of half a pixel to the patches of particles of one shape.

    The sub-pixel positions of many particles sample the profile more finely than pixels do. It is
    the straight line between its values that is fitted, by least squares over all pixels weighted
    by the square of the amplitude; pixels that are far off (neighbours) are left out.

    Parameters
    ----------
    patches : Patches
        Particles of the shape.
    amplitude : ndarray
        What the profile is multiplied by in each, counts, (candidates,).
    noise : float
        Standard deviation of a pixel, counts.

    Returns
    -------
    ndarray
        The profile at 0, 0.5, 1, ... px, up to the reach of the patches.
    """
    knots = int(patches.reach_px / STEP_PX) + 1
    scale = amplitude[:, None, None] * np.ones_like(patches.light)
    use = patches.own & (patches.distance < patches.reach_px - 1e-3)
    place = patches.distance[use] / STEP_PX
    light, scale = patches.light[use] / scale[use], scale[use]
    knot = place.astype(int)
    share = place - knot
    weight = scale.astype(np.float64) ** 2
    profile = np.zeros(knots, np.float32)
    for turn in range(3):
        if turn:
            fitted = (1 - share) * profile[knot] + share * profile[knot + 1]
            off = np.abs(light - fitted)
            weight = np.where(
                off < 4 * noise / scale + _FAR_OFF, scale.astype(np.float64) ** 2, 0.0
            )
        profile = _piecewise_linear(knot, share, light, weight, knots)
    return profile


def fitted_amplitudes(patches: Patches, profile: Floats, noise: float) -> Floats:
    """Fit the amplitude of each candidate to its pixels, neighbours left out, (candidates,).

    Parameters
    ----------
    patches : Patches
        What surrounds the candidates.
    profile : ndarray
        Light at 0, 0.5, 1, ... px, its largest value 1.
    noise : float
        Standard deviation of a pixel, counts.
    """
    expected = np.interp(patches.distance, np.arange(len(profile)) * STEP_PX, profile)
    weight = expected * patches.own
    amplitude = np.zeros((len(patches), 1, 1))
    for turn in range(3):
        if turn:
            off = np.abs(patches.light - amplitude * expected)
            near = off < 4 * noise + _FAR_OFF * np.abs(amplitude)
            weight = expected * (patches.own & near)
        norm = np.maximum((weight * expected).sum(axis=(1, 2), keepdims=True), 1e-6)
        amplitude = (weight * patches.light).sum(axis=(1, 2), keepdims=True) / norm
    return np.maximum(amplitude[:, 0, 0], 1e-6).astype(np.float32)


def _piecewise_linear(
    knot: NDArray[np.int64], share: Floats, value: Floats, weight: NDArray[np.float64], knots: int
) -> Floats:
    def summed(at: NDArray[np.int64], what: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at, what, knots).astype(np.float64)

    rest = 1 - share
    diagonal = summed(knot, weight * rest**2) + summed(knot + 1, weight * share**2)
    beside = summed(knot, weight * rest * share)
    right = summed(knot, weight * rest * value) + summed(knot + 1, weight * share * value)
    # What decides where there is no pixel.
    stiff = _STIFFNESS * float(np.median(diagonal)) + 1e-9
    bands = np.zeros((3, knots))
    bands[0], bands[1] = diagonal + 1e-9, beside
    for first in range(knots - 2):
        for row, one in enumerate((1.0, -2.0, 1.0)):
            for column, other in enumerate((1.0, -2.0, 1.0)):
                if column >= row:
                    bands[column - row, first + row] += stiff * one * other
    # Beyond the middle the profile goes on as it came.
    bands[0, 0] += 4 * stiff
    bands[0, 1] += 4 * stiff
    bands[1, 0] -= 4 * stiff
    return solveh_banded(bands, right, lower=True).astype(np.float32)


def covered(shape: tuple[int, ...], particles: pd.DataFrame, radius_px: float) -> NDArray[np.bool_]:
    """Return which pixels lie within a radius of particles, bool, (frames, height, width)."""
    frames, height, width = shape
    mask = np.zeros((frames, height, width), bool)
    for frame, x, y in zip(particles["frame"], particles["x"], particles["y"], strict=True):
        top, bottom = max(0, int(y - radius_px)), min(height, int(y + radius_px) + 2)
        left, right = max(0, int(x - radius_px)), min(width, int(x + radius_px) + 2)
        if top >= bottom or left >= right:
            continue
        rows = np.arange(top, bottom)[:, None] - y
        columns = np.arange(left, right) - x
        mask[frame, top:bottom, left:right] |= rows**2 + columns**2 <= radius_px**2
    return mask

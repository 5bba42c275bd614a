"""Noise that the background cannot show: that of the particles' own light, and hot pixels."""

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.twin.profiles import STEP_PX, Floats, Patches
from cloudtrainer.simulation.twin.shapes import Sorted
from cloudtrainer.simulation.twin.twin import SpotShape

_FLAT = 0.25
_PATCH_PX = 5
_MIDDLE_PX = 0.75
_MOST_BINS, _FEWEST_IN_BIN = 8, 60
_SIGNIFICANT = 3.0
_SPECK_OVER_NOISE, _AROUND_SPECK = 7.0, 2.5
_FEWEST_SPECKS = 0.5
_QUANTILES = 21


def too_flat(background: Floats) -> bool:
    """Tell whether a background is too even to show how the noise grows with the intensity.

    Parameters
    ----------
    background : ndarray
        Counts as filmed, (height, width).
    """
    # Its own noise does not make a background uneven.
    smooth = ndimage.uniform_filter(background, _PATCH_PX)
    low, middle, high = np.percentile(smooth, [1, 50, 99])
    return float(high - low) < _FLAT * abs(float(middle))


def with_noise_of_light(
    noise: Noise, patches: Patches, by_shape: Sorted, ground: float, polarity: int
) -> Noise:
    """Return a noise that grows with the light of the particles, where theirs shows it.

    How far the middle pixels of particles scatter around their shape's profile is fitted by
    ``variance + gain * light``. In the middle a profile is level, so that it hardly matters if a
    position is not exact.

    Parameters
    ----------
    noise : Noise
        As the background shows it: the same at every intensity. In counts as filmed.
    patches : Patches
        What surrounds the candidates.
    by_shape : Sorted
        Their shapes and amplitudes.
    ground : float
        Median of the background as filmed, counts.
    polarity : {1, -1}
        Whether more light is more counts.
    """
    light, off = _scatter(patches, by_shape)
    middle = patches.own & (patches.distance < _MIDDLE_PX)
    light, off = light[middle], off[middle]
    bins = min(_MOST_BINS, len(light) // _FEWEST_IN_BIN)
    if bins == 0:
        return noise
    constant = noise.read_noise**2
    parts = np.array_split(np.argsort(light, kind="stable"), bins)
    level = np.array([light[part].mean() for part in parts])
    variance = np.array([_robust_variance(off[part]) for part in parts])
    error = variance * np.sqrt([2 / len(part) for part in parts]) + 1e-12
    information = float((level**2 / error**2).sum())
    gain = polarity * float((level * (variance - constant) / error**2).sum()) / information
    if gain < _SIGNIFICANT / math.sqrt(information):
        return noise
    if gain * ground <= constant:
        return replace(
            noise, gain=gain, offset=0.0, read_noise=float(np.sqrt(constant - gain * ground))
        )
    return replace(noise, gain=gain, offset=ground - constant / gain, read_noise=0.0)


def hot_pixels(
    residual: Floats, covered: NDArray[np.bool_], noise_sd: float, knots: int
) -> SpotShape | None:
    """Return what single hot pixels look like; None where there are hardly any.

    Parameters
    ----------
    residual : ndarray
        Frames without their background, counts, (frames, height, width).
    covered : ndarray
        Where particles are.
    noise_sd : float
        Standard deviation of a pixel, counts.
    knots : int
        Length of the profile.
    """
    hot = (residual > _SPECK_OVER_NOISE * noise_sd) & ~covered
    around = np.ones((1, 3, 3), bool)
    around[0, 1, 1] = False
    others = ndimage.maximum_filter(residual, footprint=around, mode="nearest")
    hot &= others < _AROUND_SPECK * noise_sd
    heights = residual[hot]
    if len(heights) < _FEWEST_SPECKS * len(residual):
        return None
    profile = np.zeros(knots, np.float32)
    profile[0] = 1.0
    quantiles = np.quantile(heights, np.linspace(0, 1, _QUANTILES)).astype(np.float32)
    return SpotShape(
        profile=torch.as_tensor(profile),
        amplitude=torch.as_tensor(quantiles),
        per_frame=len(heights) / len(residual) / max(float((~covered).mean()), 0.1),
        in_focus=0.0,
        is_speck=True,
    )


def _scatter(patches: Patches, by_shape: Sorted) -> tuple[Floats, Floats]:
    """Return the light of each pixel, and how far it is off, as if no amplitude were fitted.

    The fit takes the share ``profile**2 / sum(profile**2)`` of a pixel's variance away; what is
    off is enlarged by it.
    """
    profile = np.empty_like(patches.light)
    knots = np.arange(by_shape.profiles.shape[1]) * STEP_PX
    for number, values in enumerate(by_shape.profiles):
        own = by_shape.shape == number
        profile[own] = np.interp(patches.distance[own], knots, values)
    light = profile * by_shape.amplitude[:, None, None]
    norm = np.maximum((profile**2 * patches.own).sum(axis=(1, 2), keepdims=True), 1e-6)
    left = np.sqrt(np.maximum(1 - profile**2 / norm, 0.1))
    return light, (patches.light - light) / left


def _robust_variance(values: Floats) -> float:
    """Return the variance of what lies within four robust standard deviations."""
    off = values - np.median(values)
    near = np.abs(off) < 4 * 1.4826 * np.median(np.abs(off)) + 1e-12
    return float(off[near].var())

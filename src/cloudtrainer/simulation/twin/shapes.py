"""The shapes of a video's particles: candidates sorted by how their light falls off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.simulation.twin.profiles import (
    Floats,
    Patches,
    fine_profile,
    fitted_amplitudes,
    median_errors,
    radial_medians,
)

MOST_SHAPES = 10
_FEWEST = 8
_TURNS = 8
# Particles of one shape differ by this share of their peak: their position is not exact.
_TOLERANCE = 0.06
# Slow light under a particle, in standard deviations of a pixel.
_UNEVEN = 0.15
_WELL_FITTED = 1.3
_WORTH_A_SPLIT = 20.0
_WORST_COUNTED = 5.0
_MOST_AVERAGED = 400
_TAPER_PX = 3.0
_REFINEMENTS = 3


@dataclass(frozen=True)
class Sorted:
    """Candidates sorted by shape.

    Attributes
    ----------
    shape : ndarray
        Number of each candidate's shape, (candidates,).
    amplitude : ndarray
        What its shape's profile is multiplied by, counts, (candidates,).
    misfit : ndarray
        Mean squared deviation of its radial profile from that, in squared standard errors.
    profiles : ndarray
        Of each shape, light at 0, 0.5, 1, ... px, its largest value 1, (shapes, knots).
    """

    shape: NDArray[np.int64]
    amplitude: Floats
    misfit: Floats
    profiles: Floats


def sort_by_shape(patches: Patches, noise: float, most: int = MOST_SHAPES) -> Sorted:
    """Sort candidates into a few shapes, whatever their brightness.

    Every candidate's radial profile is fitted by each shape's with an amplitude of its own, and
    belongs to the shape that fits best; shapes are the averages of what belongs to them, weighted
    as the fit is. Beginning with one shape, the shape that leaves most unexplained is split along
    the main direction of what it leaves, until nothing much is left. Dim candidates, whose profiles
    are uncertain, therefore make no shapes of their own.

    Parameters
    ----------
    patches : Patches
        What surrounds each candidate, one or more.
    noise : float
        Standard deviation of a pixel, counts.
    most : int
        Largest number of shapes.
    """
    light, pixels = radial_medians(patches)
    # What is around a particle is not its own.
    around = np.median(light[:, -max(3, patches.reach_px // 6) :], axis=1)
    light = light - around[:, None]
    patches = patches.above(around)
    error = np.hypot(median_errors(pixels, noise), _UNEVEN * noise)
    near = np.where(pixels > 0, np.abs(light), 0)[:, : max(3, patches.reach_px // 2)]
    tolerance = _TOLERANCE * np.maximum(near.max(axis=1, keepdims=True), noise)
    weight = np.where(pixels > 0, 1 / (error**2 + tolerance**2), 0.0)

    shape = np.zeros(len(light), np.int64)
    shapes = _averages(light, weight, shape, near.max(axis=1), 1)
    whole: set[int] = set()
    while True:
        for _ in range(_TURNS):
            amplitude, misfit = _fit(light, weight, shapes)
            shape = misfit.argmin(axis=1)
            own = np.take_along_axis(amplitude, shape[:, None], axis=1)[:, 0]
            shapes = _averages(light, weight, shape, own, len(shapes), shapes)
        amplitude, misfit = _fit(light, weight, shapes)
        shape = misfit.argmin(axis=1)
        own = np.take_along_axis(amplitude, shape[:, None], axis=1)[:, 0]
        left = misfit.min(axis=1)
        unexplained = (left - _WELL_FITTED).clip(0, _WORST_COUNTED)
        gain = np.bincount(shape, unexplained, len(shapes))
        gain[list(whole)] = 0
        worst = int(gain.argmax())
        if len(shapes) == most or gain[worst] < _WORTH_A_SPLIT:
            break
        members = np.flatnonzero(shape == worst)
        side = _main_direction(light, weight, shapes[worst], own, members) > 0
        if min(side.sum(), (~side).sum()) < _FEWEST:
            whole.add(worst)
            continue
        shape[members[side]] = len(shapes)
        shapes = _averages(light, weight, shape, own, len(shapes) + 1)
    profiles = []
    for number, coarse in enumerate(shapes):
        members = np.flatnonzero(shape == number)
        profile, own[members] = _fine(patches[members], own[members], coarse, noise)
        profiles.append(profile)
    return Sorted(
        shape=shape,
        amplitude=own,
        misfit=left.astype(np.float32),
        profiles=np.stack(profiles),
    )


def half_width_px(profile: Floats) -> float:
    """Return the distance at which a profile, from its middle, has fallen to half its middle."""
    level = profile[0] / 2
    below = np.flatnonzero(profile < level)
    if profile[0] <= 0 or len(below) == 0:
        return float((len(profile) - 1) / 2)
    after = int(below[0])
    high, low = float(profile[after - 1]), float(profile[after])
    return float(after - 1 + (high - level) / max(high - low, 1e-9)) / 2


def reach_px(profile: Floats, share: float) -> float:
    """Return the distance beyond which a profile stays below a share of its largest value."""
    above = np.flatnonzero(np.abs(profile) >= share * np.abs(profile).max())
    return float(above[-1]) / 2 if len(above) else 0.0


def ring_of(profile: Floats) -> tuple[float, float] | None:
    """Return radius (px) and height (of the middle) of a ring around the core; None without one."""
    middle = max(float(profile[0]), 1e-6)
    falling = np.diff(profile) < 0
    start = int(np.argmax(falling)) if falling.any() else 0
    # From where the profile first rises again.
    rising = np.flatnonzero(~falling[start:])
    if len(rising) == 0:
        return None
    valley = start + int(rising[0])
    crest = valley + int(np.argmax(profile[valley:]))
    if profile[crest] - profile[valley] < 0.1 * float(profile.max()):
        return None
    return crest / 2, float(profile[crest]) / middle


def _fit(light: Floats, weight: NDArray[np.float64], shapes: Floats) -> tuple[Floats, Floats]:
    """Return amplitude and misfit of every candidate under every shape, (candidates, shapes)."""
    norm = np.maximum(weight @ (shapes**2).T, 1e-12)
    amplitude = np.maximum((weight * light) @ shapes.T / norm, 1e-6)
    rings = np.maximum((weight > 0).sum(axis=1), 1)
    misfit = np.stack(
        [
            (weight * (light - amplitude[:, k : k + 1] * shape) ** 2).sum(axis=1) / rings
            for k, shape in enumerate(shapes)
        ],
        axis=1,
    )
    return amplitude.astype(np.float32), misfit.astype(np.float32)


def _averages(
    light: Floats,
    weight: NDArray[np.float64],
    shape: NDArray[np.int64],
    amplitude: Floats,
    count: int,
    before: Floats | None = None,
) -> Floats:
    """Return the weighted mean profile of each shape; an empty one stays as it was."""
    result = []
    for number in range(count):
        own = shape == number
        if not own.any() and before is not None:
            result.append(before[number])
            continue
        scale = amplitude[own][:, None]
        total = (weight[own] * scale**2).sum(axis=0)
        mean = (weight[own] * scale * light[own]).sum(axis=0) / np.maximum(total, 1e-12)
        result.append(mean / max(float(mean.max()), 1e-6))
    return np.stack(result).astype(np.float32)


def _main_direction(
    light: Floats,
    weight: NDArray[np.float64],
    shape: Floats,
    amplitude: Floats,
    members: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return where the members lie along the main direction of what their shape leaves."""
    left = (light[members] - amplitude[members][:, None] * shape) * np.sqrt(weight[members])
    left = np.clip(left - left.mean(axis=0), -10, 10)
    _, _, directions = np.linalg.svd(left, full_matrices=False)
    along: NDArray[np.float64] = left @ directions[0]
    return along


def _fine(
    members: Patches, amplitude: Floats, coarse: Floats, noise: float
) -> tuple[Floats, Floats]:
    """Return the profile of a shape in half pixels, its largest value 1, and its amplitudes.

    A first amplitude rests on few pixels, above all on the middle one, whose noise would make the
    profile too sharp; so each is fitted anew to all pixels, with the profile so far.
    """
    knots = np.arange(2 * members.reach_px + 1) / 2
    if len(members) == 0:
        flat = np.interp(knots, np.arange(len(coarse)), coarse).astype(np.float32)
        return flat / max(float(flat.max()), 1e-6), amplitude
    # It must end at 0, or each particle would be drawn with an edge.
    ending = np.clip((members.reach_px - knots) / _TAPER_PX, 0, 1)
    profile = np.zeros(len(knots), np.float32)
    for _ in range(_REFINEMENTS):
        brightest = np.argsort(-amplitude, kind="stable")[:_MOST_AVERAGED]
        fine = fine_profile(members[brightest], amplitude[brightest], noise) * ending
        profile = (fine / max(float(fine.max()), 1e-6)).astype(np.float32)
        amplitude = fitted_amplitudes(members, profile, noise)
    return profile, amplitude

"""Displacements of tracks, over one frame or more."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.arguments import whole_number
from cloudtrainer.diffusion.border import begins_inside
from cloudtrainer.diffusion.tracks import FloatArray, IntArray, TrackArrays

# Where particles cross the field in a few frames, hardly a step begins far from its border: with
# more than this share near it, none is left out.
MOST_NEAR_BORDER = 0.75


@dataclass(frozen=True)
class Steps:
    """Displacements between the consecutive positions of each track, or of its phases.

    With a stride of m a track becomes m interleaved sub-tracks (its phases), each of every m-th
    frame, and one unit of time is m frames. Rows are in the order of sub-tracks.

    Attributes
    ----------
    displacement : ndarray of float64, shape (steps, 2)
        Pixels.
    gap : ndarray of int64, shape (steps,)
        Units of time from one position to the next; 1 unless positions are missing.
    start : ndarray of int64, shape (subtracks + 1,)
        Steps ``start[j]:start[j + 1]`` belong to sub-track j; each has at least one.
    owner : ndarray of int64, shape (subtracks,)
        Number of the particle of each sub-track, into `particle`; ascending.
    particle : ndarray, shape (particles,)
        Particles with at least one step.
    stride : int
        Frames in one unit of time.
    near_border : float
        Share of all displacements that begin near the border of the field of view. They are left
        out, unless less than a quarter would be left; 0 where they were not looked for.
    """

    displacement: FloatArray
    gap: IntArray
    start: IntArray
    owner: IntArray
    particle: NDArray[np.generic]
    stride: int
    near_border: float = 0.0

    @property
    def per_particle(self) -> IntArray:
        """Displacements of each particle, shape (particles,)."""
        counts = np.bincount(self.owner, weights=np.diff(self.start), minlength=len(self.particle))
        return counts.astype(np.int64)


def steps_of(tracks: TrackArrays, stride: int = 1, *, inner: bool = False) -> Steps:
    """Return the displacements between consecutive positions, every `stride`-th frame.

    With `inner`, those that begin near the border of the field of view are left out, where the
    tracks tell their distance from it and a quarter is left: each is then two sub-tracks, before
    and after.

    Raises
    ------
    ConfigError
        `stride` is no whole number of at least 1.
    """
    stride = whole_number("stride", stride, "frames", least=1)
    owner = np.repeat(np.arange(len(tracks.particle)), tracks.lengths)
    phase = tracks.frame % stride
    order = np.lexsort((tracks.frame, phase, owner))
    owner, phase = owner[order], phase[order]
    frame, position = tracks.frame[order], tracks.position[order]
    taken = np.flatnonzero((np.diff(owner) == 0) & (np.diff(phase) == 0))
    near_border = 0.0
    if inner and tracks.to_border is not None and len(taken):
        moved = position[taken + 1] - position[taken]
        frames = frame[taken + 1] - frame[taken]
        inside = begins_inside(moved, frames, tracks.to_border[order][taken])
        near_border = 1 - float(inside.mean())
        taken = taken if near_border > MOST_NEAR_BORDER else taken[inside]
    gap = (frame[taken + 1] - frame[taken]) // stride
    displacement = position[taken + 1] - position[taken]
    step_owner = owner[taken]
    fresh = np.ones(len(gap), dtype=bool)
    fresh[1:] = np.diff(taken) != 1
    start = np.append(np.flatnonzero(fresh), len(gap))
    with_steps, number = np.unique(step_owner[start[:-1]], return_inverse=True)
    return Steps(
        displacement=displacement,
        gap=gap.astype(np.int64),
        start=start.astype(np.int64),
        owner=number.astype(np.int64),
        particle=tracks.particle[with_steps],
        stride=stride,
        near_border=near_border,
    )


def still_axes(steps: Steps) -> NDArray[np.bool_]:
    """Return whether a particle never moves along x, and along y, shape (particles, 2)."""
    owner = np.repeat(steps.owner, np.diff(steps.start))
    particles = len(steps.particle)
    squares = (steps.displacement**2).T
    moved = [np.bincount(owner, of_axis, minlength=particles) > 0 for of_axis in squares]
    return ~np.column_stack(moved)


def why_without_motion(steps: Steps) -> str | None:
    """Return why displacements tell nothing of motion in two dimensions, or None."""
    still = still_axes(steps).all(axis=0)
    if still.all():
        return "every displacement is exactly zero: these positions were not measured anew"
    if still.any():
        return (
            f"every displacement along {'xy'[int(np.argmax(still))]} is exactly zero: positions "
            "along one line, whose D over two axes would come out as half of what it is"
        )
    return None


def longest_runs(steps: Steps) -> IntArray:
    """Return the longest gap-free run of displacements of each particle, shape (particles,)."""
    longest = np.zeros(len(steps.particle), dtype=np.int64)
    if not len(steps.gap):
        return longest
    subtrack = np.repeat(np.arange(len(steps.owner)), np.diff(steps.start))
    unit = steps.gap == 1
    ends = ~unit
    ends[1:] |= np.diff(subtrack) != 0
    run = np.cumsum(ends)
    length = np.bincount(run[unit], minlength=run[-1] + 1)
    owner = np.zeros(len(length), dtype=np.int64)
    owner[run] = steps.owner[subtrack]
    np.maximum.at(longest, owner, length)
    return longest

"""The exact likelihood of Brownian displacements seen with noise and blur, with gaps.

One axis of a track has Gaussian displacements of covariance a C(p): with one time unit a frame,
a = 2 D + 2 s, p = D / a, and C has the diagonal 2 p k + 1 - 2 p for a displacement over k frames
and -(1/2 - p) beside it. s = sigma^2 - 2 R D is the offset that the data can tell (Berglund 2010,
Phys. Rev. E 82, 011917; Michalet & Berglund 2012, Phys. Rev. E 85, 061916); p - 1/2 is the
correlation of neighbouring displacements. C is positive definite for p in [0, 1], which is
s >= -D / 2. With p = sin^2(psi) the likelihood is smooth in psi up to both ends: p = 0 is a
particle that does not move.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray, IntArray

# Elements of one working array: what stays in a core's cache.
_CACHE = 60_000


@dataclass(frozen=True)
class PaddedSteps:
    """Steps in time-major order, sub-tracks sorted from long to short.

    Attributes
    ----------
    displacement : ndarray of float64, shape (longest, 2, subtracks)
    gap : ndarray of float64, shape (longest, subtracks), or None
        None when no position is missing.
    alive : ndarray of int64, shape (longest,)
        Sub-tracks that are at least this long.
    owner : ndarray of int64, shape (subtracks,)
        Particle of each sub-track.
    size : ndarray of float64, shape (particles,)
        Measured numbers of each particle: two axes times its displacements.
    """

    displacement: FloatArray
    gap: FloatArray | None
    alive: IntArray
    owner: IntArray
    size: FloatArray


def pad_steps(steps: Steps) -> PaddedSteps:
    """Return the steps as padded arrays for `quadratic_forms`."""
    length = np.diff(steps.start)
    order = np.argsort(-length, kind="stable")
    longest = int(length.max())
    column = np.empty(len(order), dtype=np.int64)
    column[order] = np.arange(len(order))
    row = np.arange(len(steps.gap)) - np.repeat(steps.start[:-1], length)
    place = np.repeat(column, length)
    displacement = np.zeros((longest, 2, len(order)))
    displacement[row, :, place] = steps.displacement
    gap = None
    if (steps.gap != 1).any():
        gap = np.ones((longest, len(order)))
        gap[row, place] = steps.gap
    alive = len(length) - np.searchsorted(np.sort(length), np.arange(longest), side="right")
    size = np.asarray(2 * steps.per_particle, dtype=np.float64)
    return PaddedSteps(displacement, gap, alive.astype(np.int64), steps.owner[order], size)


def quadratic_forms(padded: PaddedSteps, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return x' C(p)^-1 x and log det C(p) of each particle, both axes and all phases summed.

    Parameters
    ----------
    padded : PaddedSteps
    p : ndarray of float64, shape (points,)
        D / (2 D + 2 s), in [0, 1].

    Returns
    -------
    form, log_determinant : ndarray of float64, shape (particles, points)

    Notes
    -----
    LDL' decomposition of the tridiagonal covariance, one step of time for all tracks at once.
    Without gaps the pivots of a short track are the first pivots of a long one.
    """
    particles, points = len(padded.size), len(p)
    form = np.empty((particles, points))
    log_determinant = np.empty((particles, points))
    subtracks = len(padded.owner)
    chunk = max(1, _CACHE // (3 * subtracks))
    for first in range(0, points, chunk):
        part = slice(first, first + chunk)
        q, logs = _recursion(padded, p[part])
        for target, values in ((form, q), (log_determinant, logs)):
            for g in range(values.shape[0]):
                target[:, first + g] = np.bincount(padded.owner, values[g], minlength=particles)
    return form, log_determinant


def _recursion(padded: PaddedSteps, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Run the recursion for every sub-track; returns two arrays of shape (points, subtracks)."""
    subtracks = len(padded.owner)
    points = len(p)
    beside = (p - 0.5)[:, None]
    square = beside**2
    twice = 2 * p[:, None]
    form = np.zeros((points, subtracks))
    logs = np.zeros((points, subtracks))
    pivot: NDArray[np.float64] = np.ones((points, 1))
    previous: NDArray[np.float64] = np.zeros((points, 2, subtracks))
    for i, alive in enumerate(padded.alive):
        if padded.gap is None:
            diagonal = np.ones((points, 1))
        else:
            diagonal = 1 + twice * (padded.gap[i, :alive] - 1)
        x = padded.displacement[i, :, :alive]
        if i == 0:
            pivot = diagonal
            current = np.broadcast_to(x, (points, 2, alive))
        else:
            if pivot.shape[1] > alive:
                pivot = pivot[:, :alive]
            factor = beside / pivot
            current = x - factor[:, None, :] * previous[:, :, :alive]
            pivot = diagonal - square / pivot
        form[:, :alive] += (current[:, 0] ** 2 + current[:, 1] ** 2) / pivot
        logs[:, :alive] += np.log(pivot)
        previous = current
    return form, 2 * logs

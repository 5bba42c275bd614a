"""Exact likelihoods of particles that diffuse, drift or relax in a well, seen with noise and blur.

One axis has the MSD M(n) = 2 A (1 - q^n) + 2 s at a lag of n frames: a harmonic well (an
Ornstein-Uhlenbeck process) of position variance A that forgets the factor q in a frame. For q -> 1
at constant A (1 - q) = D it is Brownian motion. Divided by M(1), the covariance depends on q and on
v = 2 A (1 - q) / M(1), the part of M(1) that is motion. The exposure changes A and s but not the
form of M, so the offset s is free in sign, down to where the spectrum at the highest frequency
vanishes, v = (1 + q) / q.

The positions of a gap-free block are filtered by Kalman's recursion, with the unknown centre of the
well (for q = 1 the unknown start) as a regressor; that is the likelihood of its displacements.
"""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.fractional import Blocks
from cloudtrainer.diffusion.tracks import FloatArray, IntArray


@dataclass(frozen=True)
class Columns:
    """Positions of one axis of gap-free blocks, from long to short.

    Attributes
    ----------
    position : ndarray of float64, shape (longest + 1, columns)
        From the first position of each block on.
    steps : ndarray of int64, shape (columns,)
        Displacements of each.
    key : ndarray of int64, shape (columns,)
        Particle, plus the number of particles for the second axis.
    particles : int
    """

    position: FloatArray
    steps: IntArray
    key: IntArray
    particles: int

    def sums(self, values: FloatArray) -> FloatArray:
        """Add up columns, shape (points, columns), to shape (points, 2 axes, particles)."""
        count = 2 * self.particles
        added = np.array([np.bincount(self.key, row, minlength=count) for row in values])
        return added.reshape(len(values), 2, self.particles)


def columns_of(blocks: Blocks) -> list[Columns]:
    """Return blocks of displacements as columns of positions, group by group."""
    particles = len(blocks.size)
    result = []
    for x, steps, owner in zip(blocks.displacement, blocks.length, blocks.owner, strict=True):
        key = owner.copy()
        key[len(owner) // 2 :] += particles
        order = np.argsort(-steps, kind="stable")
        position = np.zeros((len(x) + 1, len(order)))
        np.cumsum(x[:, order], axis=0, out=position[1:])
        result.append(Columns(position, steps[order], key[order], particles))
    return result


@dataclass(frozen=True)
class Forms:
    """What the likelihood of each particle needs at each point, shape (points, particles).

    Attributes
    ----------
    form : ndarray
        x' C^-1 x, both axes.
    log_determinant : ndarray
        log det C, both axes.
    drift, drift_weight : ndarray, shape (points, 2, particles) and (points, particles)
        g' C^-1 x of each axis and g' C^-1 g, g the time that each displacement takes: the velocity
        of the largest likelihood is their ratio.
    """

    form: FloatArray
    log_determinant: FloatArray
    drift: FloatArray
    drift_weight: FloatArray


def well_forms(columns: list[Columns], q: float, v: FloatArray) -> Forms:
    """Return the forms of a well at each v, shape (points,); of Brownian motion where q is 1.

    Notes
    -----
    The innovations' variances are the same for all blocks, and so are those of the regressors; a
    short block stops earlier.
    """
    parts = [_group(group, q, np.asarray(v, dtype=np.float64)) for group in columns]
    return Forms(*(np.sum([part[i] for part in parts], axis=0) for i in range(4)))


def _group(columns: Columns, q: float, v: FloatArray) -> tuple[FloatArray, ...]:
    noise = (1 - v) / 2
    if q < 1:
        start = v / (2 * (1 - q))
        fresh = start * (1 - q**2)
    else:
        # The start is a regressor, so any variance of it does; this one keeps the pivots positive.
        start, fresh = np.ones_like(v), v
    rows, width = columns.position.shape
    gain, pivot, ones, ramp = (np.empty((rows, len(v))) for _ in range(4))
    variance = start
    expected = np.zeros((2, len(v)))
    for i in range(rows):
        pivot[i] = variance + noise
        gain[i] = variance / pivot[i]
        ones[i], ramp[i] = 1 - expected[0], i - expected[1]
        expected = q * (expected + gain[i] * np.stack([ones[i], ramp[i]]))
        variance = q**2 * variance * (1 - gain[i]) + fresh

    alive = width - np.searchsorted(np.sort(columns.steps), np.arange(rows), side="left")
    squares, centre, slope = np.zeros((3, len(v), width))
    predicted = np.zeros((len(v), width))
    for i, n in enumerate(alive):
        predicted = predicted[:, :n]
        innovation = columns.position[i, :n] - predicted
        scaled = innovation / pivot[i][:, None]
        squares[:, :n] += innovation * scaled
        centre[:, :n] += ones[i][:, None] * scaled
        slope[:, :n] += ramp[i][:, None] * scaled
        predicted = predicted + gain[i][:, None] * innovation
        if q < 1:
            predicted *= q

    def until(terms: FloatArray) -> FloatArray:
        return np.cumsum(terms, axis=0)[columns.steps].T

    weight = until(ones**2 / pivot)
    form = columns.sums(squares - centre**2 / weight).sum(1)
    logs = columns.sums(until(np.log(pivot)) + np.log(weight)).sum(1)
    beside = until(ones * ramp / pivot)
    drift = columns.sums(slope - beside * centre / weight)
    drift_weight = columns.sums(until(ramp**2 / pivot) - beside**2 / weight)[:, 0]
    return form, logs, drift, drift_weight

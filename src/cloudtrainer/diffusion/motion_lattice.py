"""Likelihoods of every kind of motion on a few nodes, for splines between them.

All kinds are computed for the same displacements, and each track has a scale of its own, which is
eliminated analytically. What is left is psi, with sin^2(psi) the part of M(1) that is motion over
the largest possible one, and the relaxation rate k of a well or the exponent alpha. Brownian motion
is the row k = 0 of one lattice and alpha = 1 of the other: the models are nested exactly.
"""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.fractional import Blocks, largest_motion_part, toeplitz_forms
from cloudtrainer.diffusion.relaxation import Columns, columns_of, well_forms
from cloudtrainer.diffusion.tracks import FloatArray

ALPHA_NODES = np.array([0.1, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 1.92])
BROWNIAN_NODE = 4
_PSI_NODES, _RATE_NODES, _WANDERINGS = 14, 15, 44
# sin^2(psi) is 0.75 for Brownian motion under a full exposure.
LARGEST_PSI = float(np.arcsin(np.sqrt(0.9)))
# Per frame: a well that forgets faster looks like localisation error.
FASTEST_RATE = 3.0
_PER_INTERVAL = 3


@dataclass(frozen=True)
class Axis:
    """Nodes of one parameter, on a scale on which likelihoods are smooth, and a finer grid.

    Attributes
    ----------
    node, fine : ndarray
    matrix : ndarray, shape (fine, node)
        Takes values at the nodes to those of a cubic spline on the finer grid.
    """

    node: FloatArray
    fine: FloatArray
    matrix: FloatArray


def _axis(node: FloatArray) -> Axis:
    from scipy.interpolate import CubicSpline

    place = np.arange((len(node) - 1) * _PER_INTERVAL + 1) / _PER_INTERVAL
    fine = np.interp(place, np.arange(len(node)), node)
    return Axis(node, fine, np.asarray(CubicSpline(node, np.eye(len(node)))(fine)))


@dataclass(frozen=True)
class MotionLattice:
    """Logarithms of quadratic forms, and log-determinants, at the nodes.

    Attributes
    ----------
    blocks : Blocks
        The displacements, of `stride` interleaved phases.
    columns : list of Columns
        The same as positions.
    exposure : float
        In time units; 0 where it is unknown.
    stride : int
        Phases that count as one.
    psi, rate, alpha : Axis
        The first two on the scale log(1 + n x / 2), n the longest block.
    well, power : pair of ndarray, shape (nodes, psi nodes, particles)
        Log form and log-determinant of a particle in a well, and of fractional Brownian motion.
    moved : ndarray, shape (psi nodes, particles)
        Log form of Brownian motion about the best constant velocity.
    velocity : ndarray, shape (psi nodes, 2, particles)
        That velocity, in pixels a time unit.
    log_weight : ndarray, shape (psi nodes, particles)
        Logarithm of its statistical weight.
    wandering : ndarray
        Grid of log w: velocities are drawn from a normal distribution of variance w M(1).
    """

    blocks: Blocks
    columns: list[Columns]
    exposure: float
    stride: int
    psi: Axis
    rate: Axis
    alpha: Axis
    well: tuple[FloatArray, FloatArray]
    power: tuple[FloatArray, FloatArray]
    moved: FloatArray
    velocity: FloatArray
    log_weight: FloatArray
    wandering: FloatArray

    def unscaled(self, place: FloatArray) -> FloatArray:
        """Return psi or the rate at a place on its axis."""
        return np.asarray(np.expm1(place) * 2 / self.blocks.longest)

    def scaled(self, value: FloatArray) -> FloatArray:
        """Return the place of psi or the rate on its axis."""
        return np.asarray(np.log1p(value * self.blocks.longest / 2))


def well_part(psi: FloatArray, rate: float) -> FloatArray:
    """Return v, the part of M(1) that is motion, in a well of this relaxation rate."""
    return np.asarray(np.sin(psi) ** 2 * (1 + np.exp(rate)))


def power_part(psi: float, alpha: float, exposure: float) -> float:
    """Return v, the part of M(1) that is motion, of fractional Brownian motion."""
    return float(np.sin(psi) ** 2 * min(largest_motion_part(alpha, exposure), 1e3))


def motion_lattice(blocks: Blocks, exposure: float, stride: int) -> MotionLattice:
    """Compute the likelihoods of blocks of displacements at all nodes."""
    n = blocks.longest
    psi_axis = _axis(np.linspace(0, np.log1p(LARGEST_PSI * n / 2), _PSI_NODES))
    rate_axis = _axis(np.linspace(0, np.log1p(FASTEST_RATE * n / 2), _RATE_NODES))
    psi, rates = (np.expm1(axis.node) * 2 / n for axis in (psi_axis, rate_axis))

    columns = columns_of(blocks)
    wells = [well_forms(columns, float(np.exp(-k)), well_part(psi, float(k))) for k in rates]
    free = wells[0]
    form, logs = np.empty((2, len(ALPHA_NODES), len(psi), len(blocks.size)))
    for i, alpha in enumerate(ALPHA_NODES):
        if i == BROWNIAN_NODE:
            form[i], logs[i] = free.form, free.log_determinant
            continue
        for j in range(len(psi)):
            v = power_part(float(psi[j]), float(alpha), exposure)
            found = toeplitz_forms(blocks, float(alpha), v, exposure)
            form[i, j], logs[i, j] = (np.inf, np.inf) if found is None else found
    explained = (free.drift**2).sum(1) / free.drift_weight / free.form
    lowest = -2 - 3 * np.log10(n)
    return MotionLattice(
        blocks=blocks,
        columns=columns,
        exposure=exposure,
        stride=stride,
        psi=psi_axis,
        rate=rate_axis,
        alpha=_axis(ALPHA_NODES),
        well=(
            np.log([forms.form for forms in wells]),
            np.array([forms.log_determinant for forms in wells]),
        ),
        power=(np.log(form), logs),
        # A straight line without any scatter would have no likelihood.
        moved=np.log(free.form * np.maximum(1 - explained, 1e-12)),
        velocity=free.drift / free.drift_weight[:, None],
        log_weight=np.log(free.drift_weight),
        wandering=np.linspace(lowest, 4, _WANDERINGS) * np.log(10),
    )

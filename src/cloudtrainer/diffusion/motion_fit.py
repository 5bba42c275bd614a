"""The largest likelihood of each kind of motion, with its parameters, for single tracks."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from cloudtrainer.diffusion.motion_lattice import MotionLattice, well_part
from cloudtrainer.diffusion.profile_likelihood import HALF_CHI2_95, peak
from cloudtrainer.diffusion.tracks import FloatArray

# Half the 90% quantile: D is above the upper end in 5%.
_HALF_CHI2_ONE_SIDED = 1.352771727047702
# Tracks of one pass: what stays in memory that is near.
_ROWS = 150


@dataclass(frozen=True)
class MotionFits:
    """Fits of each kind of motion, in pixels and time units; a row a track, or one row for all.

    Attributes
    ----------
    immobile, brownian, confined, anomalous, directed : ndarray, shape (rows,)
        Largest log-likelihoods. In `directed` the velocity of each track is drawn from a normal
        distribution, so that `confined`, `anomalous` and `directed` have one parameter more than
        `brownian` each, however many tracks there are.
    drift_test : ndarray, shape (rows,)
        ``2 sum (N - 1) log(form / form about the best velocity)`` at the Brownian fit: chi-square
        with two degrees of freedom a track.
    noise_variance : ndarray, shape (rows,)
        Of a position, each axis, if nothing moves.
    largest_step_variance : ndarray, shape (rows,)
        2 D a time unit at the upper 95% limit of D.
    largest_well_part : ndarray, shape (rows,)
        Upper 95% limit of the part of `noise_variance` that is motion in a well, for wells that
        relax in a frame or more and within a quarter of the track.
    rate, well_variance, well_error : ndarray, shape (rows,)
        Relaxation rate of the well, variance of the position in it (each axis, blurred by the
        exposure), and the standard error of its logarithm.
    alpha, alpha_low, alpha_high : ndarray, shape (rows,)
        Exponent and its 95% interval by profile likelihood.
    speed, speed_error : ndarray, shape (rows,)
        Length of the velocity and its standard error. Of several tracks the root mean square, less
        what the errors add.
    """

    immobile: FloatArray
    brownian: FloatArray
    confined: FloatArray
    anomalous: FloatArray
    directed: FloatArray
    drift_test: FloatArray
    noise_variance: FloatArray
    largest_step_variance: FloatArray
    largest_well_part: FloatArray
    rate: FloatArray
    well_variance: FloatArray
    well_error: FloatArray
    alpha: FloatArray
    alpha_low: FloatArray
    alpha_high: FloatArray
    speed: FloatArray
    speed_error: FloatArray


@dataclass(frozen=True)
class MotionGrids:
    """What is known of some tracks on the fine grids: the track first, psi last.

    `well`, `power` and `directed` are log-likelihoods; `well_variance` is that of the position,
    from the second rate on (Brownian motion, the first, is a well without end); `scale` and
    `moved_scale` are M(1) of Brownian motion without and with a velocity.
    """

    well: FloatArray
    power: FloatArray
    directed: FloatArray
    well_variance: FloatArray
    scale: FloatArray
    moved_scale: FloatArray
    velocity: FloatArray
    log_weight: FloatArray


def added(parts: list[MotionGrids], tracks: int) -> MotionGrids:
    """Return grids of one row for all tracks: sums of likelihoods, means of the rest."""

    def total(name: str) -> FloatArray:
        return np.asarray(sum(getattr(part, name).sum(0, keepdims=True) for part in parts))

    likelihoods = ("well", "power", "directed")
    return MotionGrids(
        **{
            field.name: total(field.name) / (1 if field.name in likelihoods else tracks)
            for field in fields(MotionGrids)
        }
    )


def _grids(lattice: MotionLattice, rows: slice) -> MotionGrids:
    size = lattice.blocks.size[rows]
    psi_matrix = lattice.psi.matrix

    def spline(values: FloatArray, matrix: FloatArray) -> FloatArray:
        return np.asarray(
            np.einsum("ai,ijr,bj->rab", matrix, values[:, :, rows], psi_matrix, optimize=True)
        )

    def along_psi(values: FloatArray) -> FloatArray:
        return np.asarray((psi_matrix @ values[:, rows]).T)

    def likelihood(log_form: FloatArray, logs: FloatArray) -> FloatArray:
        count = size[:, None, None]
        value = -0.5 * (count * (log_form - np.log(count) + 1) + logs)
        return np.asarray(value / lattice.stride)

    log_well = spline(lattice.well[0], lattice.rate.matrix)
    well_logs = spline(lattice.well[1], lattice.rate.matrix)
    log_form, log_moved = log_well[:, 0], along_psi(lattice.moved)
    log_weight = along_psi(lattice.log_weight)
    weight = np.exp(lattice.wandering[:, None] + log_weight[:, None])
    left = np.log1p(np.expm1(np.minimum(log_moved - log_form, 0))[:, None] * weight / (1 + weight))
    psi, rate = (lattice.unscaled(axis.fine) for axis in (lattice.psi, lattice.rate))
    part = np.array([well_part(psi, k) / (2 * -np.expm1(-k)) for k in rate[1:]])
    return MotionGrids(
        well=likelihood(log_well, well_logs),
        power=likelihood(
            spline(lattice.power[0], lattice.alpha.matrix),
            spline(lattice.power[1], lattice.alpha.matrix),
        ),
        directed=likelihood(log_form[:, None] + left, well_logs[:, :1] + 2 * np.log1p(weight)),
        well_variance=part * np.exp(log_well[:, 1:]) / size[:, None, None],
        scale=np.exp(log_form) / size[:, None],
        moved_scale=np.exp(log_moved) / np.maximum(size - 2, 1)[:, None],
        velocity=np.moveaxis(
            np.tensordot(psi_matrix, lattice.velocity[:, :, rows], 1), 0, 2
        ).swapaxes(0, 1),
        log_weight=log_weight,
    )


def _ridge(values: FloatArray, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where along the last axis each row is highest, and how high."""
    where, top = peak(values.reshape(-1, values.shape[-1]), grid)
    return where.reshape(values.shape[:-1]), top.reshape(values.shape[:-1])


def _at(values: FloatArray, grid: FloatArray, where: FloatArray) -> FloatArray:
    """Return values, shape (..., points), between the two points nearest to each place."""
    right = np.clip(np.searchsorted(grid, where), 1, len(grid) - 1)
    share = (where - grid[right - 1]) / (grid[right] - grid[right - 1])
    low = np.take_along_axis(values, right[..., None] - 1, -1)[..., 0]
    high = np.take_along_axis(values, right[..., None], -1)[..., 0]
    return np.asarray(np.where(share <= 0, low, low * (1 - share) + high * share))


def _ends(profile: FloatArray, grid: FloatArray, drop: float) -> tuple[FloatArray, FloatArray]:
    """Return where each profile has fallen by `drop` to both sides; NaN where it does not."""
    inside = profile >= profile.max(1, keepdims=True) - drop
    level = profile.max(1) - drop
    row, last = np.arange(len(profile)), len(grid) - 1

    def crossing(within: FloatArray, beyond: FloatArray) -> FloatArray:
        fall = profile[row, within] - profile[row, beyond]
        share = (profile[row, within] - level) / np.where(fall > 0, fall, 1)
        return np.asarray(grid[within] + share * (grid[beyond] - grid[within]))

    first, final = np.argmax(inside, 1), last - np.argmax(inside[:, ::-1], 1)
    low = np.where(first == 0, np.nan, crossing(first, np.maximum(first - 1, 0)))
    high = np.where(final == last, np.nan, crossing(final, np.minimum(final + 1, last)))
    return low, high


def grids_of(lattice: MotionLattice) -> Iterator[tuple[slice, MotionGrids]]:
    """Yield the grids of some tracks at a time, with their rows."""
    for first in range(0, len(lattice.blocks.size), _ROWS):
        rows = slice(first, first + _ROWS)
        yield rows, _grids(lattice, rows)


def joined(parts: list[MotionFits]) -> MotionFits:
    """Return fits of some tracks each as fits of all."""
    return MotionFits(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(MotionFits)
        }
    )


def fit_tracks(lattice: MotionLattice) -> MotionFits:
    """Fit each track alone, all at once."""
    return joined(
        [fit_grids(lattice, grids, lattice.blocks.size[rows]) for rows, grids in grids_of(lattice)]
    )


def fit_grids(lattice: MotionLattice, grids: MotionGrids, size: FloatArray) -> MotionFits:
    """Fit each row of the grids, of `size` measured numbers each."""
    psi_grid, rate_grid, alpha_grid = lattice.psi.fine, lattice.rate.fine, lattice.alpha.fine
    psi = lattice.unscaled(psi_grid)
    well_psi, well_top = _ridge(grids.well, psi_grid)
    rate, confined = peak(well_top, rate_grid)
    alpha, anomalous = peak(_ridge(grids.power, psi_grid)[1], alpha_grid)
    directed_psi, directed_top = _ridge(grids.directed, psi_grid)
    wandering = np.argmax(directed_top, 1)
    moving_psi = directed_psi[np.arange(len(size)), wandering]

    at_brownian = well_psi[:, 0]
    left = np.log(grids.moved_scale * np.maximum(size - 2, 1)[:, None] / size[:, None])
    log_ratio = _at(np.log(grids.scale) - left, psi_grid, at_brownian)
    _, highest_psi = _ends(grids.well[:, 0], psi_grid, _HALF_CHI2_ONE_SIDED)
    highest_psi = np.where(np.isfinite(highest_psi), highest_psi, psi_grid[-1])
    steps = 2 * np.sin(psi) ** 2 * grids.scale

    log_variance = np.log(np.maximum(grids.well_variance, 1e-300))
    along = _at(log_variance, psi_grid, well_psi[:, 1:])
    share = np.exp(grids.well[:, 1:] - confined[:, None, None])
    share /= share.sum((1, 2), keepdims=True)
    mean = (share * log_variance).sum((1, 2), keepdims=True)

    k = lattice.unscaled(rate_grid[1:])
    possible = grids.well[:, 1:] >= confined[:, None, None] - _HALF_CHI2_ONE_SIDED
    possible &= ((k <= 1) & (k * size[:, None] / 2 >= 4))[:, :, None]
    part = np.where(possible, grids.well_variance, 0).max((1, 2)) * 2 / grids.scale[:, 0]

    low, high = _ends(_ridge(grids.power, psi_grid)[1], alpha_grid, HALF_CHI2_95)
    x, y = (_at(grids.velocity[:, axis], psi_grid, moving_psi) for axis in (0, 1))
    error = np.exp(-_at(grids.log_weight, psi_grid, moving_psi) / 2)
    error = error * np.sqrt(_at(grids.moved_scale, psi_grid, moving_psi) * lattice.stride)
    return MotionFits(
        immobile=grids.well[:, 0, 0],
        brownian=well_top[:, 0],
        confined=confined,
        anomalous=anomalous,
        directed=directed_top.max(1),
        drift_test=(size - 2) * np.maximum(log_ratio, 0) / lattice.stride,
        noise_variance=grids.scale[:, 0] / 2,
        largest_step_variance=_at(steps, psi_grid, highest_psi),
        largest_well_part=part,
        rate=lattice.unscaled(rate),
        well_variance=np.exp(_at(along, rate_grid[1:], np.maximum(rate, rate_grid[1]))),
        well_error=np.sqrt((share * (log_variance - mean) ** 2).sum((1, 2))),
        alpha=alpha,
        alpha_low=np.where(np.isfinite(low), low, 0.0),
        alpha_high=np.where(np.isfinite(high), high, 2.0),
        speed=np.hypot(x, y),
        speed_error=error,
    )

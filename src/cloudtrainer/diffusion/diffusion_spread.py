"""How much D differs between particles, without the scatter of its own estimate."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.diffusion.brownian import fit_tracks, likelihoods_of_tracks
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.resample import (
    bootstrap_error,
    bootstrap_interval,
    bootstrap_weights,
    student_quantile,
)
from cloudtrainer.diffusion.spread import FEWEST_PARTICLES, Spread, drawn, left_out
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays, track_arrays
from cloudtrainer.diffusion.unequal import degrees_of_freedom

# Two estimates of D from one track need this many displacements between them and around.
_APART = 3
_FEWEST_BEYOND = 7
MOST_FOR_DENSITY = 2000
_POINTS = 100
_LOWEST = 1 / 300
_MOST_ITERATIONS = 1024
# What doubling the iterations must add to the log-likelihood to go on.
_WORTHWHILE = 0.5


@dataclass(frozen=True, kw_only=True)
class DiffusionSpread(Spread):
    """Distribution of D over the particles; `value` is its coefficient of variation.

    Attributes
    ----------
    standard_error : float
        Of `value`, by bootstrap over particles.
    grid : ndarray of float64, shape (points,)
        D in `unit`, spaced evenly in its logarithm.
    density : ndarray of float64, shape (points,)
        Of D, in 1 / `unit`; it integrates to 1. What lies at the first point is there or below.
    unit : str
        ``um^2/s`` or ``px^2/frame``.
    """

    standard_error: float = float("nan")
    grid: FloatArray = field(default_factory=lambda: np.empty(0))
    density: FloatArray = field(default_factory=lambda: np.empty(0))
    unit: str


def diffusion_spread(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    *,
    stride: int = 1,
    seed: int = 0,
) -> DiffusionSpread:
    """Estimate how D is distributed over particles, the noise of each track deconvolved.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels, frames may be missing. Tracks of
        fewer than 12 frames (``5 stride + 7``) are left out, and their share is told.
    frame_interval_s, pixel_size_um, exposure_s : float or None
        As for `estimate_diffusion`.
    stride : int
        Use displacements over this many frames.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DiffusionSpread

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        Non-positive calibration, or an exposure longer than the frame interval.
    ConfigError
        A stride below 1.

    Notes
    -----
    Each particle counts by its displacements. The mean that the coefficient of variation is over is
    that of the tracks that are long enough: where fast particles leave the focus before they are
    seen in 12 frames, it is that of the slow ones, and the spread is not that of all
    (`positions_left_out`).

    The coefficient of variation needs no model of the noise. Every two neighbouring displacements
    give an unbiased estimate ``q = (|d|^2 + |d'|^2) / 8 + d . d' / 2`` of D times their duration
    (Vestergaard et al. 2014, eq. 14), whatever the localisation error and the exposure. The ``q``
    of one particle are independent when they are three displacements apart, so that the mean of
    their products is an unbiased estimate of the square of its own D, and the mean of that over
    particles one of ``<D^2>``.

    The density is the non-parametric maximum-likelihood estimate of the mixing distribution (Laird
    1978, J. Am. Stat. Assoc. 73, 805) on a grid of log D, from each track's likelihood of D with
    its own offset. The iteration (expectation-maximisation, which is that of Richardson 1972 and
    Lucy 1974) begins with a flat density and ends where twice as many steps would add less than
    0.5 to the log-likelihood: a longer one breaks a smooth density up into spikes. Density and
    coefficient of variation are estimated apart, and the first is the wider one for particles that
    are alike.
    """
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s)
    arrays = track_arrays(tracks)
    steps_of(arrays, stride)
    to_D = calibration.length**2 / calibration.time
    sums = independent_products(arrays, int(stride))
    long = long_enough(sums, int(stride))
    particles = int(long.sum())
    short_tracks, short_positions = left_out(arrays, long)

    def without(reason: str) -> DiffusionSpread:
        return DiffusionSpread(
            particles=particles,
            tracks_left_out=short_tracks,
            positions_left_out=short_positions,
            stride=int(stride),
            unit=calibration.diffusion_unit,
            reason=reason,
        )

    if particles < FEWEST_PARTICLES:
        frames = 5 * stride + _FEWEST_BEYOND
        return without(f"fewer than {FEWEST_PARTICLES} tracks have {frames} frames or more")
    ratio, low, high, error = _ratio(sums[long], seed)
    if not np.isfinite(ratio):
        return without("the mean D cannot be told from 0")
    D, density = _density(arrays, long, calibration, int(stride), seed)
    value = float(np.sqrt(max(ratio - 1, 0.0)))
    ends = [float(np.sqrt(max(end - 1, 0.0))) for end in (low, high)]
    return DiffusionSpread(
        value=value,
        # Of the root: half that of the square over the value, and no more than the interval says.
        standard_error=min(error / (2 * value) if value > 0 else np.inf, (ends[1] - ends[0]) / 2),
        low=ends[0],
        high=ends[1],
        grid=D * to_D,
        density=density / to_D,
        unit=calibration.diffusion_unit,
        particles=particles,
        tracks_left_out=short_tracks,
        positions_left_out=short_positions,
        stride=int(stride),
    )


def long_enough(sums: FloatArray, stride: int) -> NDArray[np.bool_]:
    """Return which tracks tell their own D, by their `independent_products`."""
    return np.asarray(sums[:, 0] >= _APART * stride + _FEWEST_BEYOND)


def independent_products(arrays: TrackArrays, stride: int) -> FloatArray:
    """Return sums over the estimates q of each track, shape (tracks, 4).

    The columns are the number of q, their sum, the number of ordered pairs of independent ones,
    and the sum of their products; px^2 a frame.
    """
    tracks = len(arrays.particle)
    owner = np.repeat(np.arange(tracks), arrays.lengths)
    span = int(np.ptp(arrays.frame)) + 1 if len(arrays.frame) else 1
    reach = span + 3 * stride
    key = owner * reach + arrays.frame - (arrays.frame.min() if len(arrays.frame) else 0)

    def later(frames: int, keys: np.ndarray) -> np.ndarray:
        """Return where the row so many frames later is, or -1."""
        place = np.minimum(np.searchsorted(keys, keys + frames), max(len(keys) - 1, 0))
        return np.where(keys[place] == keys + frames, place, -1) if len(keys) else place

    once, twice = later(stride, key), later(2 * stride, key)
    first = np.flatnonzero((once >= 0) & (twice >= 0))
    d = arrays.position[once[first]] - arrays.position[first]
    after = arrays.position[twice[first]] - arrays.position[once[first]]
    q = ((d**2 + after**2) / 8 + d * after / 2).sum(1) / stride
    key, owner = key[first], owner[first]

    number = np.bincount(owner, minlength=tracks).astype(np.float64)
    total = np.bincount(owner, q, minlength=tracks)
    pairs = number**2 - number
    products = total**2 - np.bincount(owner, q**2, minlength=tracks)
    for frames in range(1, _APART * stride):
        other = later(frames, key)
        here = np.flatnonzero(other >= 0)
        pairs -= 2 * np.bincount(owner[here], minlength=tracks)
        products -= 2 * np.bincount(owner[here], q[here] * q[other[here]], minlength=tracks)
    return np.column_stack([number, total, pairs, products])


def _ratio(sums: FloatArray, seed: int) -> tuple[float, float, float, float]:
    """Return <D^2> / <D>^2, its 95% interval, and its standard error."""
    number, total, pairs, products = sums.T
    parts = np.column_stack([number, total, number * products / pairs])
    particles = len(parts)

    def ratio(summed: FloatArray) -> FloatArray:
        mean = summed[:, 1] / summed[:, 0]
        # The square of a mean is too large by the variance of the mean.
        return np.asarray(summed[:, 2] / summed[:, 0] / (mean**2 - variance))

    mean = float(total.sum() / number.sum())
    influence = (total - mean * number) / number.sum()
    variance = float((influence**2).sum()) * particles / (particles - 1)
    nan = float("nan")
    if not mean > 0 or not mean**2 > 4 * variance:
        return nan, nan, nan, nan
    value = float(ratio(parts.sum(0, keepdims=True))[0])
    error = bootstrap_error(ratio(bootstrap_weights(particles, seed) @ parts), number)
    freedom = degrees_of_freedom(number)
    low, high = bootstrap_interval(value, error, ratio(parts.sum(0) - parts), freedom)
    excess = value - 1
    if excess > 2 * error:
        # A few particles of large D may not have been met: the excess is uncertain by a factor.
        half = student_quantile(freedom) * error / excess
        high = max(high, 1 + excess * float(np.exp(half)))
    return value, low, high, error


def _density(
    arrays: TrackArrays, chosen: np.ndarray, calibration: Calibration, stride: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return a grid of D in px^2 a frame and the density there."""
    numbers = drawn(np.flatnonzero(chosen), MOST_FOR_DENSITY, seed)
    grid, likelihood, weight = likelihoods_on_grid(arrays.only(numbers), calibration, stride)
    share = _mixing(likelihood, weight)
    density = share / np.gradient(grid)
    return grid / stride, density / np.trapezoid(density, grid) * stride


def likelihoods_on_grid(
    arrays: TrackArrays, calibration: Calibration, stride: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a grid of D, px^2 in a stride, the likelihood there of each track, and its weight.

    The likelihood has the shape (tracks, points) and is 1 at most; the weight goes with the number
    of displacements and is 1 on average. Without points where no track moves.
    """
    steps = steps_of(arrays, stride)
    fraction = calibration.exposure_fraction(stride)
    R = None if fraction is None else fraction / 6
    single = fit_tracks(steps, R, None).D
    weight = steps.per_particle / steps.per_particle.mean()
    mean = float(np.average(single, weights=weight))
    if not mean > 0:
        return np.empty(0), np.empty((len(single), 0)), weight
    low = max(0.5 * float(np.quantile(single, 0.01)), mean * _LOWEST)
    grid = np.geomspace(low, 1.5 * float(single.max()), _POINTS)
    log_likelihood = likelihoods_of_tracks(steps, R, grid)
    return grid, np.exp(log_likelihood - log_likelihood.max(1, keepdims=True)), weight


def _mixing(likelihood: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the share of each grid point, from likelihoods of shape (tracks, points)."""
    share = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    before, turn = -np.inf, 8
    for iteration in range(1, _MOST_ITERATIONS + 1):
        mixed = likelihood @ share
        share = share * ((weight / mixed) @ likelihood) / weight.sum()
        if iteration == turn:
            now = float(weight @ np.log(likelihood @ share))
            if now - before < _WORTHWHILE:
                break
            before, turn = now, 2 * turn
    return share

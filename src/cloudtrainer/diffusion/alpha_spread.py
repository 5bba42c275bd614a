"""How much the exponent differs between particles, without the scatter of its own estimate."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import checked_seed
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.fractional_tracks import fit_tracks
from cloudtrainer.diffusion.profile_likelihood import HALF_CHI2_95
from cloudtrainer.diffusion.spread import FEWEST_PARTICLES, Spread, drawn, left_out
from cloudtrainer.diffusion.steps import steps_of, still_axes
from cloudtrainer.diffusion.surface import surface_of
from cloudtrainer.diffusion.tracks import FloatArray, IntArray, TrackArrays, track_arrays

# Shorter tracks hardly know their exponent.
FEWEST_FRAMES = 20
_MOST_PARTICLES = 1000
# Standard deviations that are tried; at the largest, exponents are anything from 0 to 2.
_SPREADS = np.linspace(0.0, 0.8, 161)


@dataclass(frozen=True, kw_only=True)
class AlphaSpread(Spread):
    """Spread of the exponent alpha over the particles; `value` is its standard deviation.

    Attributes
    ----------
    mean : float
        Mean of alpha over the particles, each counting by what its track tells.
    """

    mean: float = float("nan")


def alpha_spread(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    *,
    stride: int = 1,
    seed: int = 0,
) -> AlphaSpread:
    """Estimate how much alpha differs between particles, the noise of each track deconvolved.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels. Tracks of fewer than 20 positions
        (times `stride`) are left out, and their share is told; of more than 1,000 tracks so many
        are drawn.
    frame_interval_s, pixel_size_um, exposure_s : float or None
        As for `estimate_anomalous`.
    stride : int
        Use displacements over this many frames.
    seed : int
        Of that draw.

    Returns
    -------
    AlphaSpread

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        Non-positive calibration, or an exposure longer than the frame interval.
    ConfigError
        A stride below 1, or a seed that is none.

    Notes
    -----
    alpha of particle i is taken to be normal over the population, with mean m and standard
    deviation t, between 0 and 2. The likelihood of (m, t) is the product over particles of the
    integral over alpha of each track's own likelihood, with K and the offset at their best for
    that alpha, times that density. So a track counts by what it tells, and its own scatter is no
    spread. m is integrated out, which leaves t without the bias that a fitted mean gives it; the
    estimate is the largest likelihood, its interval what lies within 1.92 of its logarithm.
    """
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s)
    arrays = track_arrays(tracks)
    steps_of(arrays, stride)
    seed = checked_seed(seed)
    long = arrays.lengths >= FEWEST_FRAMES * stride
    short_tracks, short_positions = left_out(arrays, long)
    numbers = np.flatnonzero(long)
    numbers = numbers[_moving(arrays, numbers)]
    numbers = drawn(numbers, _MOST_PARTICLES, seed)
    particles = len(numbers)

    def without(reason: str) -> AlphaSpread:
        return AlphaSpread(
            particles=particles,
            tracks_left_out=short_tracks,
            positions_left_out=short_positions,
            stride=int(stride),
            reason=reason,
        )

    if particles < FEWEST_PARTICLES:
        frames = FEWEST_FRAMES * int(stride)
        return without(f"fewer than {FEWEST_PARTICLES} moving tracks have {frames} positions")
    steps = steps_of(arrays.only(numbers), stride)
    fits = fit_tracks(surface_of(steps, calibration), int(stride), 0.0)
    if not fits.moves.any():
        return without("the particles do not move beyond their localisation error")
    means, of_pair = _likelihoods(fits.grid, fits.profile)
    top = of_pair.max()
    share = np.exp(of_pair - top)
    with np.errstate(divide="ignore"):
        of_spread = np.log(share.sum(axis=1))
    best = int(np.argmax(of_spread))
    inside = np.flatnonzero(of_spread >= of_spread[best] - HALF_CHI2_95)
    if inside[-1] == len(_SPREADS) - 1:
        return without("the tracks are too short to tell how their exponents differ")
    return AlphaSpread(
        value=float(_SPREADS[best]),
        low=float(_SPREADS[inside[0]]),
        high=float(_SPREADS[inside[-1]]),
        mean=float((share[best] @ means) / share[best].sum()),
        particles=particles,
        tracks_left_out=short_tracks,
        positions_left_out=short_positions,
        stride=int(stride),
    )


def _moving(arrays: TrackArrays, numbers: IntArray) -> np.ndarray:
    """Return which tracks are not at one place, or on one line, in all frames."""
    if not len(numbers):
        return np.zeros(0, dtype=bool)
    return np.asarray(~still_axes(steps_of(arrays.only(numbers))).any(axis=1))


def _likelihoods(grid: FloatArray, profile: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return means of alpha, and the log-likelihood at each spread and mean."""
    means = grid[::4]
    highest = profile.max(axis=1, keepdims=True)
    likelihood = np.exp(profile - highest)
    found = np.empty((len(_SPREADS), len(means)))
    for row, spread in enumerate(_SPREADS):
        # Narrower than the grid, the density is that of its nearest points.
        wide = max(float(spread), float(grid[1] - grid[0]))
        density = np.exp(-0.5 * ((grid[:, None] - means) / wide) ** 2)
        density /= density.sum(axis=0)
        found[row] = np.log(np.maximum(likelihood @ density, 1e-300)).sum(axis=0)
    return means, found

"""The distribution of displacements, and how far it is from a Gaussian."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import listed, whole_number
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.tracks import FloatArray, IntArray, TrackArrays, track_arrays

# Lags that no one gave: about this many, up to a quarter of the longest track.
_LAGS = 10
_SHARE_OF_LONGEST = 4


@dataclass(frozen=True)
class DisplacementDistribution:
    """Self part of the van Hove correlation function of one axis, at one lag.

    Attributes
    ----------
    displacement : ndarray of float64, shape (displacements,)
        Of both axes, about the mean of all, in `length_unit`.
    lag : int
        Frames.
    lag_time : float
        The same in `time_unit`.
    standard_deviation : float
        Of `displacement`.
    length_unit, time_unit : str
    """

    displacement: FloatArray
    lag: int
    lag_time: float
    standard_deviation: float
    length_unit: str
    time_unit: str


@dataclass(frozen=True)
class NonGaussianParameter:
    """Non-Gaussian parameter of displacements in two dimensions.

    Attributes
    ----------
    lag : ndarray of int64, shape (lags,)
        Frames.
    lag_time : ndarray of float64, shape (lags,)
        The same in `time_unit`.
    value, standard_error : ndarray of float64, shape (lags,)
        The error is from the scatter between particles; NaN for fewer than two.
    time_unit : str
    """

    lag: IntArray
    lag_time: FloatArray
    value: FloatArray
    standard_error: FloatArray
    time_unit: str


def displacement_distribution(
    tracks: pd.DataFrame,
    lag: int,
    *,
    frame_interval_s: float | None = None,
    pixel_size_um: float | None = None,
) -> DisplacementDistribution:
    """Return all displacements over a lag along x and y, whose histogram is the van Hove function.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels, frames may be missing.
    lag : int
        Frames.
    frame_interval_s, pixel_size_um : float or None
        Calibration; None: frames, pixels.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        A calibration that is not positive.
    ConfigError
        `lag` below 1.
    """
    calibration = Calibration(frame_interval_s, pixel_size_um)
    lag = whole_number("lag", lag, "frames", least=1)
    moved, _ = _pairs(track_arrays(tracks), lag)
    moved = moved * calibration.length
    about = (moved - moved.mean(0)).ravel() if len(moved) else moved.ravel()
    return DisplacementDistribution(
        displacement=about,
        lag=lag,
        lag_time=lag * calibration.time,
        standard_deviation=float(np.sqrt(np.mean(about**2))) if len(about) else float("nan"),
        length_unit=calibration.length_unit,
        time_unit=calibration.time_unit,
    )


def non_gaussian_parameter(
    tracks: pd.DataFrame,
    lags: Sequence[int] | None = None,
    *,
    frame_interval_s: float | None = None,
) -> NonGaussianParameter:
    """Return ``<r^4> / (2 <r^2>^2) - 1`` of displacements r at each lag.

    It is 0 for Brownian particles that are alike, at every lag. Particles of different D have the
    square of the coefficient of variation of D, where localisation error is small.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; frames may be missing.
    lags : sequence of int or None
        Frames; None: about ten, to a quarter of the longest track.
    frame_interval_s : float or None
        Seconds a frame; None: times stay in frames.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        A frame interval that is not positive.
    ConfigError
        A lag below 1.

    Notes
    -----
    Rahman 1964 (Phys. Rev. 136, A405) for two dimensions. Averages are over all pairs of positions
    that are a lag apart.
    """
    calibration = Calibration(frame_interval_s, None)
    arrays = track_arrays(tracks)
    if lags is None:
        chosen = spread_lags(arrays)
    else:
        given = listed("lags", lags, "[1, 2, 4]")
        chosen = [whole_number("a lag", lag, "frames", least=1) for lag in given]
    value, error = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    for i, lag in enumerate(chosen):
        moved, owner = _pairs(arrays, lag)
        square = (moved**2).sum(1)
        if not square.any():
            continue
        particles = len(arrays.particle)
        number, second, fourth = (
            np.bincount(owner, square**power, minlength=particles) for power in (0, 1, 2)
        )
        total = number.sum()
        ratio = fourth.sum() * total / (2 * second.sum() ** 2)
        value[i] = ratio - 1
        # Linear influence of each particle on the ratio.
        influence = ratio * (fourth / fourth.sum() + number / total - 2 * second / second.sum())
        with_any = int((number > 0).sum())
        if with_any > 1:
            error[i] = np.sqrt((influence**2).sum() * with_any / (with_any - 1))
    lag_array = np.array(chosen, dtype=np.int64)
    return NonGaussianParameter(
        lag=lag_array,
        lag_time=np.asarray(lag_array * calibration.time, dtype=np.float64),
        value=value,
        standard_error=error,
        time_unit=calibration.time_unit,
    )


def spread_lags(arrays: TrackArrays) -> list[int]:
    """Return lags spread evenly in their logarithm, to a quarter of the longest track."""
    longest = 1
    if len(arrays.frame):
        first, last = arrays.frame[arrays.start[:-1]], arrays.frame[arrays.start[1:] - 1]
        longest = max(int((last - first).max()) // _SHARE_OF_LONGEST, 1)
    return [int(lag) for lag in np.unique(np.rint(np.geomspace(1, longest, _LAGS)))]


def _pairs(arrays: TrackArrays, lag: int) -> tuple[FloatArray, IntArray]:
    """Return displacements of all pairs of positions a lag apart, px, and whose they are."""
    if not len(arrays.frame):
        return np.empty((0, 2)), np.empty(0, dtype=np.int64)
    owner = np.repeat(np.arange(len(arrays.particle)), arrays.lengths)
    first = arrays.frame.min()
    key = owner * (int(arrays.frame.max() - first) + 1 + lag) + arrays.frame - first
    other = np.minimum(np.searchsorted(key, key + lag), len(key) - 1)
    here = np.flatnonzero(key[other] == key + lag)
    return arrays.position[other[here]] - arrays.position[here], owner[here]

"""Mean squared displacements of all tracks at once, exact with gaps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import whole_number
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.tracks import FloatArray, IntArray, TrackArrays, track_arrays

# Elements of one padded array of a batch: bounds the memory, and stays in the processor's cache.
_BATCH = 200_000


@dataclass(frozen=True)
class MeanSquaredDisplacement:
    """Time-averaged MSD of each track, and of the ensemble.

    Attributes
    ----------
    lag : ndarray of int64, shape (lags,)
        1, 2, ... frames.
    lag_time : ndarray of float64, shape (lags,)
        The same in `time_unit`.
    per_track : ndarray of float64, shape (tracks, lags)
        Mean over all pairs of positions that are a lag apart, in `length_unit` squared; NaN
        where a track has no such pair.
    pairs : ndarray of int64, shape (tracks, lags)
        Pairs of positions behind each mean.
    particle : ndarray, shape (tracks,)
    ensemble : ndarray of float64, shape (lags,)
        Mean over the tracks, each weighted by its pairs. trackpy's ``emsd`` weights by effective
        counts instead (Qian et al. 1991, eq. B4): equal on gap-free tracks of equal length, about
        2% apart at lag 30 when lengths differ.
    standard_error : ndarray of float64, shape (lags,)
        Of `ensemble`, from the scatter of the tracks; NaN for fewer than two.
    length_unit, time_unit : str
    """

    lag: IntArray
    lag_time: FloatArray
    per_track: FloatArray
    pairs: IntArray
    particle: NDArray[np.generic]
    ensemble: FloatArray
    standard_error: FloatArray
    length_unit: str
    time_unit: str


def mean_squared_displacement(
    tracks: pd.DataFrame,
    max_lag: int | None = None,
    *,
    frame_interval_s: float | None = None,
    pixel_size_um: float | None = None,
) -> MeanSquaredDisplacement:
    """Return the time-averaged MSD of each track and of the ensemble.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels, frames may be missing. Tracks of
        one position are left out.
    max_lag : int or None
        Longest lag in frames; None: the longest that any track has.
    frame_interval_s, pixel_size_um : float or None
        Calibration; None: frames, pixels.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        A calibration that is not positive.
    ConfigError
        `max_lag` below 1.

    Notes
    -----
    Sums over pairs by FFT, ``sum |r(i+n) - r(i)|^2 = sum (|r(i+n)|^2 + |r(i)|^2) - 2 sum
    r(i+n).r(i)``, on positions about the mean of each track, with the presence of positions as a
    factor; the transform of the presence gives the pairs.
    """
    if max_lag is not None:
        max_lag = whole_number("max_lag", max_lag, "frames", least=1)
    calibration = Calibration(frame_interval_s, pixel_size_um)
    arrays = track_arrays(tracks)
    tracked = np.flatnonzero(arrays.lengths > 1)
    span = arrays.frame[arrays.start[tracked + 1] - 1] - arrays.frame[arrays.start[tracked]] + 1
    longest = int(span.max()) - 1 if len(span) else 0
    lags = longest if max_lag is None else min(max_lag, longest)

    sums = np.zeros((len(tracked), lags))
    pairs = np.zeros((len(tracked), lags), dtype=np.int64)
    order = np.argsort(span, kind="stable")
    first = 0
    while first < len(order):
        # Sorted by length, so a batch wastes little on padding.
        last = first + 1
        while last < len(order) and (last + 1 - first) * int(span[order[last]]) * 4 <= _BATCH:
            last += 1
        batch = order[first:last]
        sums[batch], pairs[batch] = _pair_sums(arrays, tracked[batch], int(span[batch].max()), lags)
        first = last

    square = calibration.length**2
    with np.errstate(invalid="ignore", divide="ignore"):
        per_track = np.where(pairs > 0, sums / pairs, np.nan) * square
        total = pairs.sum(0)
        ensemble = np.where(total > 0, sums.sum(0) / total, np.nan) * square
        deviation = np.where(pairs > 0, per_track - ensemble, 0.0) * pairs
        contributing = (pairs > 0).sum(0)
        scatter = np.sqrt((deviation**2).sum(0) * contributing / (contributing - 1)) / total
    lag = np.arange(1, lags + 1)
    return MeanSquaredDisplacement(
        lag=lag,
        lag_time=np.asarray(lag * calibration.time, dtype=np.float64),
        per_track=per_track,
        pairs=pairs,
        particle=arrays.particle[tracked],
        ensemble=ensemble,
        standard_error=np.where(contributing > 1, scatter, np.nan),
        length_unit=calibration.length_unit,
        time_unit=calibration.time_unit,
    )


def offset_exceeds(msd: MeanSquaredDisplacement, offset: float) -> bool:
    """Return whether an offset exceeds the ensemble's MSD at the first lag by more than chance.

    Of particles that stand still the two are equal, and scatter: by three standard errors.
    """
    if not len(msd.lag) or not np.isfinite(msd.ensemble[0]):
        return False
    # Squares of displacements that share a position are correlated: half as many are independent.
    least = msd.ensemble[0] * np.sqrt(2 / msd.pairs[:, 0].sum())
    error = np.fmax(msd.standard_error[0], least)
    return bool(offset > msd.ensemble[0] + 3 * error)


def _pair_sums(
    arrays: TrackArrays, numbers: IntArray, span: int, lags: int
) -> tuple[FloatArray, IntArray]:
    """Return sums of squared displacements in px^2 and numbers of pairs, shape (tracks, lags)."""
    from scipy.fft import irfft, next_fast_len, rfft

    lengths = arrays.lengths[numbers]
    first = np.cumsum(lengths) - lengths
    part = np.arange(lengths.sum()) + np.repeat(arrays.start[numbers] - first, lengths)
    row = np.repeat(np.arange(len(numbers)), lengths)
    column = arrays.frame[part] - arrays.frame[arrays.start[numbers]][row]
    centre = np.add.reduceat(arrays.position[part], first) / lengths[:, None]
    position = np.zeros((len(numbers), 2, span))
    position[row, :, column] = arrays.position[part] - centre[row]
    present = np.zeros((len(numbers), span), dtype=bool)
    present[row, column] = True
    reach = min(lags, span - 1)
    size = next_fast_len(span + reach, real=True)

    spectrum = rfft(position, size)
    products = irfft((spectrum.real**2 + spectrum.imag**2).sum(1), size)[:, 1 : reach + 1]
    square = (position**2).sum(1)
    if present.all():
        total = np.cumsum(square, axis=1)
        # The first span - n squares, and the last.
        ends = total[:, -1:] - total[:, :reach]
        squares = total[:, span - 1 - np.arange(1, reach + 1)] + ends
        count = np.broadcast_to(span - np.arange(1, reach + 1), products.shape)
    else:
        of_presence, of_squares = rfft(present, size), rfft(square, size)
        cross = (of_squares.conj() * of_presence).real
        both = irfft(2 * cross, size)[:, 1 : reach + 1]
        squares = both
        count = np.rint(irfft(np.abs(of_presence) ** 2, size)[:, 1 : reach + 1])
    sums = np.zeros((len(numbers), lags))
    pairs = np.zeros((len(numbers), lags), dtype=np.int64)
    pairs[:, :reach] = count
    sums[:, :reach] = np.where(count > 0, np.maximum(squares - 2 * products, 0), 0)
    return sums, pairs

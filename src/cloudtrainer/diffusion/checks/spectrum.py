"""Whether the spectrum of displacements is the smooth one of Brownian motion, or has lines."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.checks.check import Curve, Finding, UnitSteps, untold
from cloudtrainer.diffusion.tracks import FloatArray

# Share of the displacements' variance that matters; displacements and bins of a spectrum.
SMALLEST_SHARE = 0.01
SHORTEST_RUN = 8
MOST_BINS = 64
FEWEST_BINS = 4
# Of a bin, times their number: to be left out of the fit.
_SURELY_ABOVE = 1e-3
# Over five frames and more a vibration this fast has not grown, and diffusion has.
FAST_ENOUGH_FOR_LONG_LAGS = 1 / 6


@dataclass(frozen=True)
class Spectrum:
    """Power of displacements by frequency, averaged over tracks.

    Attributes
    ----------
    frequency : ndarray of float64, shape (bins,)
        Cycles a frame, middle of the bin.
    power, fitted : ndarray of float64, shape (bins,)
        Each track's over its own mean; `fitted` is the Brownian model's.
    freedom : ndarray of float64, shape (bins,)
        Degrees of freedom behind each power.
    """

    frequency: FloatArray
    power: FloatArray
    fitted: FloatArray
    freedom: FloatArray


def displacement_spectrum(steps: UnitSteps) -> Spectrum | None:
    """Return the mean periodogram of displacements; None without runs of nine frames.

    Notes
    -----
    N displacements of one axis, of covariance 2 D + 2 s on the diagonal and -s beside it, have
    independent coefficients in a sine transform, of variance ``2 D + 2 s (1 - cos(2 pi f))`` at
    ``f = k / (2 (N + 1))`` cycles a frame (Berglund 2010, Phys. Rev. E 82, 011917). Tracks of
    different D and s, each over its own mean power, average to the same form, ``A + B (1 - cos(2
    pi f))``, which is fitted by the likelihood of chi-square variables. Where powers scatter more
    between tracks than chi-square lets them, the degrees of freedom are fewer.
    """
    from scipy.fft import dst

    first = np.flatnonzero(np.diff(steps.run, prepend=-1))
    length = np.diff(np.append(first, len(steps.run)))
    first, length = first[length >= SHORTEST_RUN], length[length >= SHORTEST_RUN]
    if not len(length):
        return None
    typical = np.repeat(length, length)
    bins = int(np.clip(np.median(typical) // 2, FEWEST_BINS, MOST_BINS))
    power = np.zeros((steps.particles, bins))
    count = np.zeros((steps.particles, bins))
    for N in np.unique(length):
        starts = first[length == N]
        runs = steps.displacement[starts[:, None] + np.arange(N)]
        squares = (dst(runs, type=1, axis=1, norm="ortho") ** 2).sum(2)
        column = np.minimum((np.arange(1, N + 1) / (N + 1) * bins).astype(np.int64), bins - 1)
        owner = steps.owner[starts]
        cell = (owner[:, None] * bins + column).ravel()
        size = steps.particles * bins
        power += np.bincount(cell, squares.ravel(), minlength=size).reshape(-1, bins)
        count += np.bincount(cell, minlength=size).reshape(-1, bins)
    moving = power.sum(1) > 0
    power, count = power[moving], count[moving]
    if not len(power):
        return None
    power *= (count.sum(1) / power.sum(1))[:, None]
    total = count.sum(0)
    mean = power.sum(0) / total
    seen = count > 0
    # Of a mean of n squares of two axes the variance is mean^2 / n.
    excess = np.where(seen, (power - count * mean) ** 2, 0).sum() / (count * mean**2).sum()
    widen = max(1.0, excess * len(power) / max(len(power) - 1, 1))
    frequency = (np.arange(bins) + 0.5) / (2 * bins)
    freedom = 2 * total / widen
    return Spectrum(frequency, mean, _brownian(frequency, mean, freedom), freedom)


def _brownian(frequency: FloatArray, power: FloatArray, freedom: FloatArray) -> FloatArray:
    """Return A + B (1 - cos(2 pi f)), fitted by iterated weighted least squares.

    Bins that stand far above it, a quarter of them at most, are left out of a second fit: a line
    must not hide itself.
    """
    from scipy.stats import chi2

    fitted = _fitted(frequency, power, freedom)
    p_values = np.asarray(chi2.sf(freedom * power / fitted, freedom))
    outlying = np.argsort(p_values)[: len(power) // 4]
    outlying = outlying[p_values[outlying] * len(power) < _SURELY_ABOVE]
    if not len(outlying):
        return fitted
    weight = freedom.copy()
    weight[outlying] = 0
    return _fitted(frequency, power, weight)


def _fitted(frequency: FloatArray, power: FloatArray, weight: FloatArray) -> FloatArray:
    terms = np.column_stack([np.ones_like(frequency), 1 - np.cos(2 * np.pi * frequency)])
    fitted = np.full_like(power, np.average(power, weights=weight))
    for _ in range(10):
        w = np.sqrt(weight) / fitted
        amplitude = np.linalg.lstsq(terms * w[:, None], power * w, rcond=None)[0]
        fitted = np.maximum(terms @ amplitude, 1e-3)
    return np.asarray(fitted)


def spectrum_check(steps: UnitSteps, frame_interval_s: float | None) -> Finding:
    """Test the highest bin of the spectrum over the fitted one (chi-square, times the bins)."""
    from scipy.stats import chi2

    name = "spectrum of displacements"
    description = "share of the variance of displacements in the strongest excess of the spectrum"
    spectrum = displacement_spectrum(steps)
    if spectrum is None:
        sentence = "No track is long enough (9 frames in a row) for a spectrum of displacements."
        return untold(name, description, sentence)
    power, fitted = spectrum.power, spectrum.fitted
    p_values = np.asarray(chi2.sf(spectrum.freedom * power / fitted, spectrum.freedom))
    strongest = int(np.argmin(p_values))
    excess = power - fitted
    low, high = _around(excess, strongest, 0.5)
    first, last = _around(excess, strongest, 0.1)
    part = slice(first, last + 1)
    share = float((excess * spectrum.freedom)[part].sum() / (power * spectrum.freedom).sum())
    frequency = float(np.average(spectrum.frequency[part], weights=np.maximum(excess[part], 1e-12)))
    rate = 1.0 if frame_interval_s is None else 1 / frame_interval_s
    unit = "cycles a frame" if frame_interval_s is None else "Hz"
    half = (high - low + 1) / (4 * len(power)) * rate
    spoken = f"{frequency * rate:.3g} +- {half:.2g} {unit}"
    narrow = high - low + 1 <= max(2, len(power) // 8) and low > 0
    if narrow:
        wrong = (
            f"The spectrum of displacements has a line at {spoken}, with {100 * share:.0f}% of "
            "their variance: a vibration at this frequency, or at one that differs from it by a "
            "multiple of the frame rate, or a camera that repeats. Look for pumps, fans and stages "
            "that move, and film again; vibration that all particles share goes with the drift of "
            "each frame."
        )
    elif low == 0:
        wrong = (
            "The spectrum of displacements rises towards low frequencies, below "
            f"{2 * half:.2g} {unit}, with {100 * share:.0f}% of their variance above the Brownian "
            "model: compressed or smoothed video, whose correlations die away within a few frames, "
            "or drift, flow and directed motion, whose correlations stay. Look at both, and at the "
            "drift."
        )
    else:
        wrong = (
            f"The spectrum of displacements departs from the Brownian model broadly, about "
            f"{spoken}, with {100 * share:.0f}% of their variance: displacements that turn back, "
            "as in a cage or a gel, or positions that are not independent from frame to frame. "
            "Report alpha, and D at stated time scales."
        )
    return Finding(
        name=name,
        number=share,
        description=description,
        p_value=min(1.0, float(p_values[strongest]) * len(power)),
        matters=share >= SMALLEST_SHARE,
        fine="The spectrum of displacements is that of Brownian motion: no line, no excess.",
        wrong=wrong,
        long_lags_help=narrow and frequency >= FAST_ENOUGH_FOR_LONG_LAGS,
        curve=Curve(
            x=spectrum.frequency * rate,
            y=power,
            error=power * np.sqrt(2 / spectrum.freedom),
            expected=fitted,
            x_label=f"frequency ({unit})",
            y_label="power over its mean",
        ),
    )


def _around(excess: FloatArray, top: int, share: float) -> tuple[int, int]:
    """Return the first and the last bin about the top whose excess is over this share of its."""
    below = np.flatnonzero(excess <= share * excess[top])
    low = below[below < top].max(initial=-1) + 1
    high = below[below > top].min(initial=len(excess)) - 1
    return int(low), int(high)

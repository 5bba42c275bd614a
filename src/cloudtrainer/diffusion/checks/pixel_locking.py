"""Whether the positions of moving particles prefer a part of the pixel."""

import numpy as np

from cloudtrainer.diffusion.checks.check import FEWEST_PARTICLES, Curve, Finding, untold
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays

# Depth to which the density of positions is modulated; 0.1 is a bias of 0.016 px of the period 1.
SMALLEST_DEPTH = 0.1
# Two pixels are the grid on which detectors of half the frame's resolution answer.
PERIODS_PX = (2.0, 1.0, 0.5)
# Squared bias over the variance of a displacement from which it matters for D.
_MATTERS_FOR_D = 0.02
_DRAWN_BINS = 16


def pixel_locking_check(in_place: TrackArrays) -> Finding:
    """Test whether positions prefer a phase of the pixels (Rayleigh's test over particles).

    Notes
    -----
    Each particle that moved over the whole period gives the sum ``z_i`` of ``exp(2 pi i x /
    period)`` over its positions. Without locking the phases of the ``z_i`` are independent and
    uniform, however slowly the particle moves, and ``|sum z_i|^2 / sum |z_i|^2`` is
    exponentially distributed. A density ``1 + h cos(2 pi (x - x0) / period)`` comes of a bias of
    ``h period / (2 pi)`` at most.
    """
    name = "pixel locking"
    description = "depth to which the density of positions varies within a period of the pixels"
    track = np.repeat(np.arange(len(in_place.particle)), in_place.lengths)
    best: tuple[float, float, int, float, FloatArray] | None = None
    tests = 0
    for axis in (0, 1):
        x = in_place.position[:, axis]
        if not len(x):
            continue
        span = np.maximum.reduceat(x, in_place.start[:-1]) - np.minimum.reduceat(
            x, in_place.start[:-1]
        )
        for period in PERIODS_PX:
            moving = span >= period
            if moving.sum() < FEWEST_PARTICLES:
                continue
            tests += 1
            used = moving[track]
            wave = np.exp(2j * np.pi * x[used] / period)
            z = np.bincount(track[used], wave.real) + 1j * np.bincount(track[used], wave.imag)
            p_value = float(np.exp(-(np.abs(z.sum()) ** 2) / (np.abs(z) ** 2).sum()))
            depth = float(2 * np.abs(z.sum()) / used.sum())
            if best is None or p_value < best[0]:
                best = (p_value, depth, axis, period, x[used])
    if best is None:
        sentence = (
            f"Fewer than {FEWEST_PARTICLES} particles moved over half a pixel: too few to test for "
            "positions that prefer a part of the pixel."
        )
        return untold(name, description, sentence)
    p_value, depth, axis, period, used_x = best
    bias = depth * period / (2 * np.pi)
    phase = used_x / period % 1.0
    counts = np.bincount(
        (phase * _DRAWN_BINS).astype(np.int64) % _DRAWN_BINS, minlength=_DRAWN_BINS
    )
    step = np.diff(in_place.position[:, axis])[np.diff(track) == 0]
    return Finding(
        name=name,
        number=depth,
        description=description,
        p_value=min(1.0, p_value * tests),
        matters=depth >= SMALLEST_DEPTH,
        fine=(
            f"The density of positions of moving particles varies by {100 * depth:.2g}% within "
            f"the pixel: "
            + (
                "as it may by chance."
                if depth >= SMALLEST_DEPTH
                else f"less than {100 * SMALLEST_DEPTH:.0f}%, at which it would matter."
            )
        ),
        wrong=(
            f"Positions in {'xy'[axis]} prefer a part of the pixel: their density varies by "
            f"{100 * depth:.0f}% within {period:g} px, as a bias of up to {bias:.2g} px makes it "
            "(pixel locking). Displacements shorter than a pixel are distorted: locate anew with a "
            "window as wide as the particle, a fit, or a detector trained on the video's twin."
        ),
        long_lags_help=bool(bias**2 > _MATTERS_FOR_D * np.mean(step**2)),
        curve=Curve(
            x=(np.arange(_DRAWN_BINS) + 0.5) / _DRAWN_BINS * period,
            y=counts / counts.mean(),
            error=np.full(_DRAWN_BINS, np.nan),
            expected=np.ones(_DRAWN_BINS),
            x_label=f"{'xy'[axis]} modulo {period:g} px",
            y_label="density over its mean",
        ),
    )

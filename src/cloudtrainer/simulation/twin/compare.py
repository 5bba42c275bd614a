"""A video and its twin by the same measures: frames, intensities, spectra, profiles."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cloudtrainer.figures.twin import ProfilePair, TwinComparison
from cloudtrainer.simulation.twin.scenes import TwinSpots, draw_frame
from cloudtrainer.simulation.twin.twin import SpotShape, Twin
from cloudtrainer.video import Video

Floats = NDArray[np.floating]

_FEWEST_FRAMES, _MOST_FRAMES, _PIXELS = 6, 30, 1 << 21
_SHOWN_PX = 320
_BINS = 80
_MOST_PROFILES = 4
# With fewer particles a frame, the middle frame may hold none.
_FEW_PARTICLES = 5.0
_SMOOTHED_PX = (1.5, 1.5)


def compare(twin: Twin, video: Video, seed: int = 2) -> TwinComparison:
    """Put a video and its twin side by side.

    Parameters
    ----------
    twin : Twin
        The twin.
    video : Video
        The video that it was measured in.
    seed : int
        Seed of the frames of the twin.
    """
    height, width = twin.grounds.shape[1:]
    part = video.middle(height, width)
    frames = int(np.clip(_PIXELS // (height * width), _FEWEST_FRAMES, _MOST_FRAMES))
    numbers = np.unique(np.linspace(0, len(video) - 1, frames).round().astype(int)).tolist()
    real = np.stack([part.frames(n, n + 1)[0] for n in numbers]).astype(np.float32)
    generator = torch.Generator().manual_seed(seed)
    drawn = [draw_frame(twin, generator) for _ in numbers]
    made = np.stack([_as_filmed(twin, frame.numpy()) for frame, _ in drawn])
    levels = _levels(twin, real, made)
    rows, columns = (
        slice((side - min(side, _SHOWN_PX)) // 2, (side + min(side, _SHOWN_PX)) // 2)
        for side in (height, width)
    )
    here, there = _to_show(twin, real, drawn, rows, columns)
    spots = drawn[there][1]
    x, y, in_focus = _positions(twin, spots, rows, columns)
    frequency, video_power = _spectrum(real)
    return TwinComparison(
        name=twin.name,
        frame_number=numbers[here],
        video=real[here, rows, columns],
        twin=made[there, rows, columns],
        x=x,
        y=y,
        in_focus=in_focus,
        levels=levels,
        video_share=np.histogram(real, levels)[0] / real.size,
        twin_share=np.histogram(made, levels)[0] / made.size,
        frequency=frequency,
        video_power=video_power,
        twin_power=_spectrum(made)[1],
        profiles=_profiles(twin, drawn),
        shapes=sum(not one.is_speck for one in twin.shapes),
    )


def _to_show(
    twin: Twin,
    real: Floats,
    drawn: list[tuple[torch.Tensor, TwinSpots]],
    rows: slice,
    columns: slice,
) -> tuple[int, int]:
    """Return which frame of the video and which of the twin to show: with particles, if few are."""
    if twin.particles_per_frame >= _FEW_PARTICLES:
        return len(real) // 2, len(drawn) // 2
    light = gaussian_filter(twin.polarity * real[:, rows, columns], (0, *_SMOOTHED_PX))
    # What is there all the time is no particle that moves.
    changing = light - np.median(light, axis=0)
    number = [len(_positions(twin, spots, rows, columns)[0]) for _, spots in drawn]
    return int(np.argmax(changing.max(axis=(1, 2)))), int(np.argmax(number))


def frames_of_twin(twin: Twin, number: int, dtype: np.dtype[Any], seed: int = 3) -> NDArray[Any]:
    """Draw whole frames of a twin, each on its own, in the counts of the video.

    Parameters
    ----------
    twin : Twin
        The twin.
    number : int
        How many.
    dtype : dtype
        Type of the video's pixels.
    seed : int
        Seed of the frames.

    Returns
    -------
    ndarray
        Counts, (frames, height, width); float32 where the video holds no whole numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    frames = np.stack(
        [_as_filmed(twin, draw_frame(twin, generator)[0].numpy()) for _ in range(number)]
    )
    if not np.issubdtype(dtype, np.integer):
        return frames.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.clip(frames.round(), limits.min, limits.max).astype(dtype)


def _as_filmed(twin: Twin, counts: Floats) -> Floats:
    return counts if twin.polarity > 0 else twin.turned_at - counts


def _levels(twin: Twin, real: Floats, made: Floats) -> Floats:
    """Return edges of bins, whole steps wide where the video has steps."""
    low, high = min(real.min(), made.min()), max(real.max(), made.max())
    low, high = float(low), float(high)
    width = max((high - low) / _BINS, 1e-9)
    if twin.step > 0:
        width = max(round(width / twin.step), 1) * twin.step
        low -= twin.step / 2
    return low + width * np.arange(int((high - low) / width) + 2)


def _positions(
    twin: Twin, spots: TwinSpots, rows: slice, columns: slice
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    particle = np.array([not one.is_speck for one in twin.shapes])
    kind, peak = spots.shape[0].numpy(), spots.peak[0].numpy()
    x, y = spots.x[0].numpy() - columns.start, spots.y[0].numpy() - rows.start
    shown = (peak > 0) & particle[kind]
    shown &= (x > -0.5) & (x < columns.stop - columns.start - 0.5)
    shown &= (y > -0.5) & (y < rows.stop - rows.start - 0.5)
    middles = np.array([float(one.profile[0]) for one in twin.shapes])
    least = -np.inf if twin.focus is None else twin.focus.least
    return x[shown], y[shown], (peak * middles[kind] >= least)[shown]


def _spectrum(frames: Floats) -> tuple[Floats, Floats]:
    """Return frequencies (1/px) and the power averaged over directions and frames."""
    height, width = frames.shape[1:]
    window = np.hanning(height)[:, None] * np.hanning(width)
    flat = (frames - frames.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.rfft2(flat)) ** 2).mean(axis=0) / (window**2).sum()
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    rings = max(8, min(height, width) // 4)
    ring = (frequency / 0.5 * rings).round().astype(int)
    number = np.bincount(ring.ravel(), minlength=rings + 1)[1 : rings + 1]
    total = np.bincount(ring.ravel(), power.ravel(), rings + 1)[1 : rings + 1]
    return np.arange(1, rings + 1) * 0.5 / rings, total / np.maximum(number, 1)


def _profiles(twin: Twin, drawn: list[tuple[torch.Tensor, TwinSpots]]) -> tuple[ProfilePair, ...]:
    """Return the light around particles of the most frequent shapes, in video and twin."""
    numbered = [(n, one) for n, one in enumerate(twin.shapes) if not one.is_speck]
    return tuple(
        _pair(twin, number, one, drawn, alone=len(numbered) == 1)
        for number, one in numbered[:_MOST_PROFILES]
    )


def _pair(
    twin: Twin,
    number: int,
    one: SpotShape,
    drawn: list[tuple[torch.Tensor, TwinSpots]],
    *,
    alone: bool,
) -> ProfilePair:
    reach = one.drawn_px
    rings = np.arange(reach + 1, dtype=float)
    light = one.typical_amplitude * one.profile.numpy()
    label = "in the video" if alone else f"{one.per_frame:.3g} a frame"
    ring = one.ring
    if ring is not None and not alone:
        label += f", ring {ring[0]:.0f} px"
    values = [_around(frame.numpy(), spots, number, reach) for frame, spots in drawn]
    seen = np.concatenate(values)
    scale = one.typical_amplitude
    mean = np.nanmedian(seen, axis=0) * scale if len(seen) else np.full(len(rings), np.nan)
    video = np.interp(rings, np.arange(len(light)) / 2, light)
    return ProfilePair(label, rings, video, mean - mean[-1] + video[-1])


def _around(frame: Floats, spots: TwinSpots, number: int, reach: int) -> Floats:
    """Return medians in rings around particles of a shape, each over its amplitude."""
    height, width = frame.shape
    x, y, peak = (values[0].numpy() for values in (spots.x, spots.y, spots.peak))
    inside = (x > reach + 1) & (x < width - reach - 2) & (y > reach + 1) & (y < height - reach - 2)
    chosen = np.flatnonzero(inside & (spots.shape[0].numpy() == number) & (peak > 0))[:40]
    steps = np.arange(-reach, reach + 1)
    result = np.full((len(chosen), reach + 1), np.nan)
    for row, k in enumerate(chosen):
        column, line = round(float(x[k])), round(float(y[k]))
        patch = frame[line - reach : line + reach + 1, column - reach : column + reach + 1]
        ring = np.hypot((line + steps - y[k])[:, None], column + steps - x[k]).round().astype(int)
        for distance in range(reach + 1):
            if (ring == distance).any():
                result[row, distance] = np.median(patch[ring == distance]) / peak[k]
    return result - np.nanmedian(result[:, -1:], axis=1, keepdims=True) if len(chosen) else result

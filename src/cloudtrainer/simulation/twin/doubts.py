"""What in a video a twin cannot follow, said in sentences."""

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.twin.ground import Background
from cloudtrainer.simulation.twin.sample import Sample

Floats = NDArray[np.float32]

_SATURATED_SHARE = 0.02
_FLICKER = 0.02
_COMB = 3.0
_BLOCKS = 1.08
_CHANGED = 0.7
_SQUARE_PX = 32
_HIDDEN_SHARE = 0.2
_FEW_SEEN = 30


def doubts_about(
    sample: Sample,
    background: Background,
    noise: Noise,
    *,
    noise_sd: float,
    saturated: float,
    too_flat: bool,
) -> tuple[str, ...]:
    """Say what may be wrong with a video, or beyond what its twin can follow.

    Parameters
    ----------
    sample : Sample
        Frames of the video and the candidates in them.
    background : Background
        What was found below the candidates.
    noise : Noise
        The noise of a pixel.
    noise_sd : float
        Its standard deviation in the background, counts.
    saturated : float
        Share of the candidates whose brightest pixel is at the largest count.
    too_flat : bool
        The background is too even to show how the noise grows with the intensity.
    """
    frames = sample.frames
    said = [
        _few_frames(len(sample.numbers)),
        _few_seen(len(sample.candidates)),
        _blank(sample.blank),
        _hidden(background),
        _saturation(saturated, sample.highest),
        sample.signs.doubt(sample.polarity),
        _not_poisson(noise, sample.step, too_flat),
        _interlaced(frames),
        _in_blocks(frames),
        _flicker(frames, noise_sd),
        _moving(frames, noise_sd),
    ]
    return tuple(sentence for sentence in said if sentence)


def _few_frames(frames: int) -> str:
    if frames > 2:
        return ""
    held = "is a single frame" if frames == 1 else "has two frames"
    return (
        f"The video {held}: background and noise cannot be told apart over time, so the background "
        "is taken to be smooth and the noise to be the same everywhere."
    )


def _few_seen(detections: int) -> str:
    if detections >= _FEW_SEEN:
        return ""
    return (
        f"Shape, brightness and number of the simulated particles rest on {detections} "
        f"detection{'' if detections == 1 else 's'} in the frames looked at: compare them with the "
        "video's, and film more if they differ."
    )


def _blank(frames: list[int]) -> str:
    if not frames:
        return ""
    named = ", ".join(map(str, frames[:8])) + (", ..." if len(frames) > 8 else "")
    return (
        f"{len(frames)} of the frames looked at are of a single value (frames {named}): dropped, "
        "black or saturated. They were left out; no particle is found in them."
    )


def _hidden(background: Background) -> str:
    if background.never_free < _HIDDEN_SHARE:
        return ""
    return (
        f"Particles cover {100 * background.never_free:.0f}% of the pixels in every frame looked "
        "at: the background there is continued from around, and may be wrong."
    )


def _saturation(share: float, highest: float) -> str:
    if share < _SATURATED_SHARE:
        return ""
    return (
        f"{100 * share:.0f}% of the particles are saturated (at {highest:g} counts): their true "
        "brightness is unknown and their twins have the same flat tops; expose shorter."
    )


def _not_poisson(noise: Noise, step: float, too_flat: bool) -> str:
    alike = noise.blur_px > 0
    if (noise.gain != 0 or too_flat) and not alike:
        return ""
    sd = max(noise.read_noise, step / 3)
    what = []
    if noise.gain == 0 and not too_flat:
        what.append(f"does not grow with the intensity (it is {sd:.2g} counts everywhere)")
    if alike:
        what.append(f"is smoothed over {noise.blur_px:.1f} px")
    return (
        f"The noise is not that of photons: it {' and '.join(what)}. The video was compressed, "
        "filtered or rounded to few grey values; errors derived from photon counts do not hold."
    )


def _interlaced(frames: Floats) -> str:
    """Compare the finest stripes along rows with those along columns, in what moves."""
    if len(frames) < 2 or min(frames.shape[1:]) < 16:
        return ""
    moved = frames[1:] - frames[:-1]
    # Neighbouring lines with opposite sign, smooth along the line.
    along_rows = _stripes(moved)
    along_columns = _stripes(moved.transpose(0, 2, 1))
    if along_rows < _COMB * max(along_columns, 1e-12):
        return ""
    return (
        "The video looks interlaced: even and odd lines were filmed at different times, so that "
        "particles are torn between them; export one field alone."
    )


def _stripes(moved: Floats) -> float:
    lines = moved.shape[1] // 2 * 2
    even, odd = moved[:, 0:lines:2], moved[:, 1:lines:2]
    comb = even[:, 1:] - (odd[:, 1:] + odd[:, :-1]) / 2
    width = comb.shape[2] // 4 * 4
    smooth = comb[:, :, :width].reshape(*comb.shape[:2], -1, 4).mean(axis=3)
    # Moving particles are few: the mean square sees them, a median would not.
    return float((smooth.astype(np.float64) ** 2).mean())


def _in_blocks(frames: Floats) -> str:
    """Look for the edges of the 8 x 8 px blocks of JPEG and video codecs."""
    if min(frames.shape[1:]) < 64:
        return ""
    ratios = []
    for axis in (1, 2):
        steps = np.abs(np.diff(frames[::4], axis=axis))
        if np.median(steps) == 0:
            return ""
        jump = steps.mean(axis=(0, 3 - axis))
        whole = jump[: (len(jump) + 1) // 8 * 8 - 1]
        at_edge = whole[7::8].mean()
        inside = np.concatenate([whole[k::8] for k in (1, 2, 3, 4, 5)]).mean()
        ratios.append(at_edge / max(float(inside), 1e-12))
    if min(ratios) < _BLOCKS:
        return ""
    return (
        "The edges of blocks of 8 x 8 px show: the video was compressed as JPEG, or by the codec "
        "of a movie; use the uncompressed video if there is one."
    )


def _flicker(frames: Floats, noise_sd: float) -> str:
    if len(frames) < 3:
        return ""
    levels = np.median(frames.reshape(len(frames), -1)[:, ::7], axis=1)
    spread = float(np.std(levels))
    contrast = float(np.percentile(frames[::4], 99.5) - np.percentile(frames[::4], 0.5))
    if spread < max(_FLICKER * contrast, 0.5 * noise_sd) or spread == 0:
        return ""
    return (
        f"The background flickers or drifts: its level varies by {spread:.2g} counts (standard "
        "deviation) between frames; scenes vary as much."
    )


def _moving(frames: Floats, noise_sd: float) -> str:
    """Compare the first half with the second, and even frames with odd ones, on a coarse grid."""
    if len(frames) < 8 or min(frames.shape[1:]) < 32:
        return ""
    coarse = _coarse(frames)
    half = len(frames) // 2
    change = _spread(_change(coarse[:half], coarse[half:]))
    by_chance = _spread(_change(coarse[::2], coarse[1::2]))
    structure = _spread(np.median(coarse, axis=0))
    if change < 5 * by_chance + 0.2 * noise_sd or change < _CHANGED * structure:
        return ""
    return (
        f"The background itself moves or changes: by {change:.2g} counts between the first half of "
        "the video and the second. What is wider than about 10 px is followed frame by frame; "
        "finer structure is not."
    )


def _coarse(frames: Floats) -> Floats:
    """Return medians of squares, less the median of each frame: particles hardly count."""
    size = max(4, min(_SQUARE_PX, min(frames.shape[1:]) // 8))
    rows, columns = (side // size for side in frames.shape[1:])
    squares = frames[:, : rows * size, : columns * size].reshape(-1, rows, size, columns, size)
    coarse = np.median(squares, axis=(2, 4))
    return np.asarray(coarse - np.median(coarse, axis=(1, 2), keepdims=True))


def _change(before: Floats, after: Floats) -> Floats:
    return np.asarray(np.median(before, axis=0) - np.median(after, axis=0))


def _spread(values: Floats) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))

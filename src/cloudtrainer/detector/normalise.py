"""Frames as the networks expect them."""

import torch
from torch import Tensor

# Beyond this many noise standard deviations the intensity is compressed logarithmically.
_LINEAR_UP_TO = 4.0


def by_noise(frames: Tensor) -> Tensor:
    """Express intensities in units of the noise, around each frame's median.

    Bright values are compressed as asinh, so that very bright particles do not drown dim ones; the
    result does not depend on the camera's gain or offset.

    Parameters
    ----------
    frames : Tensor
        Intensities, (frames, height, width).

    Returns
    -------
    Tensor
        float32, (frames, height, width).
    """
    frames = frames.float()
    flat = frames.flatten(1)
    ground = _median(flat)
    noise = noise_of(frames)
    scaled = (frames - ground[:, None, None]) / noise[:, None, None]
    return _LINEAR_UP_TO * torch.asinh(scaled / _LINEAR_UP_TO)


def noise_of(frames: Tensor) -> Tensor:
    """Estimate the noise of each frame.

    It is read from differences between neighbouring pixels that cancel any slope of the background.
    Where that is next to nothing, it is a twentieth of the frame's standard deviation.

    Parameters
    ----------
    frames : Tensor
        Intensities, (frames, height, width).

    Returns
    -------
    Tensor
        Standard deviations, float32, above 0, (frames,).
    """
    frames = frames.float()
    across = frames[:, :, :-2] - 2 * frames[:, :, 1:-1] + frames[:, :, 2:]
    rough = across[:, :-2] - 2 * across[:, 1:-1] + across[:, 2:]
    # The weights 1 -2 1; -2 4 -2; 1 -2 1 have the sum of squares 36.
    noise = 1.4826 * _graded_median(rough.abs().flatten(1)) / 6.0
    # Clipped, constant or heavily compressed frames have no noise to speak of.
    spread = frames.flatten(1).std(dim=1)
    return torch.maximum(noise, 0.05 * spread).clamp(min=1e-12)


def by_maximum(frames: Tensor, maximum: Tensor | float) -> Tensor:
    """Divide by the maximum of the whole video, as versions 2.0 and 3.0 did.

    Parameters
    ----------
    frames : Tensor
        Intensities, (frames, height, width).
    maximum : Tensor or float
        One for all frames, or one for each, (frames,).
    """
    if isinstance(maximum, Tensor):
        each = maximum.to(frames.device, torch.float32).clamp(min=1e-12)
        return frames.float() / each.reshape(-1, 1, 1)
    return frames.float() / max(maximum, 1e-12)


def _median(values: Tensor) -> Tensor:
    """Median of each row; of at most about 16,384 evenly spaced values, which is exact enough."""
    return _some(values).median(dim=1).values


def _graded_median(values: Tensor) -> Tensor:
    """Median of each row, between the steps of values that are whole numbers.

    Values in steps are taken to be spread evenly around each step.
    """
    some = _some(values)
    middle = some.median(dim=1, keepdim=True).values
    below, above = some < middle, some > middle
    lower = torch.where(below, some, -torch.inf).amax(dim=1, keepdim=True)
    higher = torch.where(above, some, torch.inf).amin(dim=1, keepdim=True)
    lower = torch.where(lower.isfinite(), lower, middle)
    higher = torch.where(higher.isfinite(), higher, middle)
    count = some.shape[1]
    equal = count - below.sum(dim=1, keepdim=True) - above.sum(dim=1, keepdim=True)
    into = (0.5 * count - below.sum(dim=1, keepdim=True)) / equal
    graded = (lower + middle) / 2 + (higher - lower) / 2 * into
    return graded[:, 0]


def _some(values: Tensor) -> Tensor:
    return values[:, :: max(1, values.shape[1] // 16_384)]

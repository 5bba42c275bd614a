"""Temporal context: each frame with its neighbours, as the channels that the grid network sees."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cloudtrainer.errors import ModelError


def with_neighbours(frames: Tensor, context_frames: int) -> Tensor:
    """Put each frame of a video between its neighbours.

    Parameters
    ----------
    frames : Tensor
        Consecutive frames, (frames, height, width).
    context_frames : int
        Frames before and after each one.

    Returns
    -------
    Tensor
        (frames, 2 context_frames + 1, height, width), in the order of time; before the first and
        behind the last frame these are repeated.
    """
    if context_frames == 0:
        return frames[:, None]
    steps = torch.arange(-context_frames, context_frames + 1, device=frames.device)
    place = torch.arange(len(frames), device=frames.device)[:, None] + steps
    return frames[place.clamp(0, len(frames) - 1)]


def middle_frames(stacks: Tensor, context_frames: int) -> Tensor:
    """Return the middle of short stacks of frames: what a model of another context sees of them.

    Parameters
    ----------
    stacks : Tensor
        An odd number of frames each, (images, stacked, height, width).
    context_frames : int
        Frames before and after the middle one that are wanted.

    Returns
    -------
    Tensor
        (images, 2 context_frames + 1, height, width); where a stack has fewer frames, its first and
        last are repeated.
    """
    middle = stacks.shape[1] // 2
    if middle == context_frames:
        return stacks
    steps = torch.arange(-context_frames, context_frames + 1, device=stacks.device)
    return stacks[:, middle + steps.clamp(-middle, middle)]


def widened(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fit the weights of a network to one that sees more frames, without changing its answers.

    Where a layer takes more channels than before, those of the middle frame get its weights and
    those of the neighbours zeros.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Of the network that sees fewer frames.
    wanted : mapping of str to Tensor
        Weights of the other network, for their names and shapes.

    Raises
    ------
    ModelError
        The two networks differ in more than the frames that they see.
    """
    if weights.keys() != wanted.keys():
        raise ModelError("a model can be continued only with a network of the same layers")
    fitted = {}
    for name, own in wanted.items():
        given = weights[name]
        more = own.shape[1] - given.shape[1] if given.ndim == own.ndim == 4 else 0
        middle = slice(more // 2, own.shape[1] - more // 2) if more else slice(None)
        if more < 0 or more % 2 or (own[:, middle] if more else own).shape != given.shape:
            raise ModelError(
                f"{name}: weights of shape {tuple(given.shape)} do not fit a network that wants "
                f"{tuple(own.shape)}"
            )
        fitted[name] = given.clone()
        if more:
            fitted[name] = torch.zeros_like(own)
            fitted[name][:, middle] = given
    return fitted

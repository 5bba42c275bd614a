"""Writing a network as one ONNX file that runs at any frame size without PyTorch."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.detector.module import ParticleDetector
from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.detector.onnx_network import OnnxNetwork, parts
from cloudtrainer.version import __version__

_OPSET = 18
_EXPLAINED = {
    "grid": """\
Input: normalised frames, float32, (frames, 1, height, width), of any size.
Answer: for each cell of 2 x 2 pixels, (frames, 5, rows, columns): the logit of its share of a
particle; the particle's offset (x, y) from the cell's centre in pixels; and, as
0.01 + softplus(value), the standard errors of the two offsets in pixels, which are then
multiplied by error_scale * (error / 0.2) ** error_slope.
The centre of cell i is at pixel 2 i + 0.5, of which the centre of the first pixel is 0.""",
    "unet": """\
Input: normalised frames, float32, (frames, 1, height, width), of any size.
Answer: the logit of each pixel to belong to a particle, (frames, 1, height, width).""",
}


def onnx_bytes(detector: ParticleDetector) -> bytes:
    """Return the detector's network as an ONNX file.

    Its input, ``frames``, is normalised frames, float32, (frames, 1, height, width), or of a model
    that sees neighbours (frames, 2 context_frames + 1, height, width); number and size are free:
    padding and cropping are part of the network. Its output, ``answer``, is that of
    `ParticleDetector.answer`. The settings, the normalisation, the threshold and the scale of the
    errors are carried along as JSON, in the file's ``metadata_props``.
    """
    network = copy.deepcopy(detector.model).cpu().float().eval()
    settings = detector.config.model
    grid = settings.architecture == "grid"
    model = _traced(
        _AnySize(network),
        len(settings.grid_channels if grid else settings.unet_channels),
        2 * settings.context_frames + 1,
    )
    _forget_where_it_was_made(model)
    _name_axes(model.graph.input[0], "frames", "height", "width")
    _name_axes(model.graph.output[0], "frames", "rows", "columns")
    model.producer_name, model.producer_version = "cloudtrainer", __version__
    model.doc_string = _EXPLAINED[settings.architecture] + _neighbours(settings.context_frames)
    notes = {
        "config": detector.config.to_dict(),
        "normalisation": detector.normalisation,
        "threshold": detector.threshold,
        "error_scale": detector.error_scale,
        "error_slope": detector.error_slope,
    }
    for name, value in notes.items():
        model.metadata_props.add(key=name, value=json.dumps(value, allow_nan=False))
    content: bytes = model.SerializeToString()
    return content


def _neighbours(context_frames: int) -> str:
    """Say what the channels of the input are, where they are several."""
    if context_frames == 0:
        return ""
    stacked = 2 * context_frames + 1
    return (
        f"\nThe input has {stacked} channels in place of 1: each frame between the "
        f"{context_frames} before and the {context_frames} after it, in the order of time, each "
        "normalised by itself; at the ends of a video the first and the last frame are repeated."
    )


class _AnySize(nn.Module):
    """Pads frames to what a network needs, by their last row and column, and crops its answer."""

    def __init__(self, network: GridNet | UNet | EnsembleNet | OnnxNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        multiple, cell = self.network.multiple, self.network.cell_px
        height, width = frames.shape[-2:]
        if multiple > 1:
            rows = torch.arange((height + multiple - 1) // multiple * multiple)
            columns = torch.arange((width + multiple - 1) // multiple * multiple)
            frames = frames[:, :, rows.clamp(max=height - 1)]
            frames = frames[:, :, :, columns.clamp(max=width - 1)]
        answer: Tensor = self.network(frames)
        return answer[:, :, : (height + cell - 1) // cell, : (width + cell - 1) // cell]


def _traced(network: nn.Module, halvings: int, stacked: int) -> Any:
    # Odd at every halving, or the case of odd sides is lost; unequal, or a square is presumed.
    unit = 2**halvings
    frames = torch.zeros(2, stacked, 4 * unit - 1, 6 * unit - 1)
    free = torch.export.Dim.DYNAMIC
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (frames,),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=["frames"],
            output_names=["answer"],
            dynamic_shapes=({0: free, 2: free, 3: free},),
        )
    if program is None:
        raise RuntimeError("torch.onnx gave no network back")
    return program.model_proto


def _forget_where_it_was_made(model: Any) -> None:
    """Take out what the tracing noted at each step: lines of source and paths of this machine."""
    del model.graph.value_info[:]
    for part in parts(model):
        for name in ("doc_string", "metadata_props"):
            if name in part.DESCRIPTOR.fields_by_name:
                part.ClearField(name)


def _name_axes(value: Any, *names: str) -> None:
    sizes = value.type.tensor_type.shape.dim
    for axis, name in zip((0, 2, 3), names, strict=True):
        sizes[axis].dim_param = name


@contextmanager
def _quietly() -> Iterator[None]:
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

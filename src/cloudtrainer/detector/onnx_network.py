"""A network in an ONNX file, run by ONNX Runtime in place of PyTorch."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cloudtrainer.config import Config
from cloudtrainer.detector.model_files import read_json
from cloudtrainer.detector.model_notes import checked_config, checked_reading, dictionary
from cloudtrainer.errors import ModelError

# Channels of the answer and pixels along the side of a cell, by architecture.
_CHANNELS = {"grid": 5, "unet": 1}
_CELL_PX = {"grid": 2, "unet": 1}
_OWN_OPERATORS = {"", "ai.onnx"}


@dataclass(frozen=True)
class Described:
    """What an ONNX file, or the files beside it, say of their network.

    Attributes
    ----------
    config : Config
        The settings it was trained with.
    reading : dict
        ``normalisation``, ``threshold`` and ``error_scale`` of `ParticleDetector`.
    """

    config: Config
    reading: dict[str, Any]


class OnnxNetwork(nn.Module):
    """Runs a network in ONNX Runtime, on the processor; it has no weights that PyTorch knows of.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The loaded network.
    architecture : str
        ``grid`` or ``unet``.
    path : Path
        Its file, for messages.
    sha256 : str
        SHA-256 of the file.
    """

    # The graph itself pads its frames to what the network needs.
    multiple = 1

    def __init__(self, session: Any, architecture: str, path: Path, sha256: str) -> None:
        super().__init__()
        self.session = session
        self.path = path
        self.sha256 = sha256
        self.cell_px = _CELL_PX[architecture]
        self.channels = _CHANNELS[architecture]

    def forward(self, frames: Tensor) -> Tensor:
        """Return the network's answer to normalised frames, (frames, stacked, height, width).

        Raises
        ------
        ModelError
            The network cannot run on frames of this size, or answers something else.
        """
        name = self.session.get_inputs()[0].name
        values = frames.detach().float().cpu().contiguous().numpy()
        try:
            answer = self.session.run(None, {name: values})[0]
        except Exception as error:  # ONNX Runtime's errors have many types
            raise ModelError(
                f"{self.path}: cannot run on frames of {frames.shape[-2]} x {frames.shape[-1]} px "
                f"({_first_line(error)})"
            ) from None
        rows, columns = (-(-side // self.cell_px) for side in frames.shape[-2:])
        if answer.shape != (len(frames), self.channels, rows, columns):
            raise ModelError(
                f"{self.path}: answers numbers of shape {answer.shape} to frames of shape "
                f"{tuple(frames.shape)}; it is no network of a particle detector"
            )
        return torch.from_numpy(answer).to(frames.device)


def read_onnx(
    path: Path, config: Config | dict[str, Any] | None = None
) -> tuple[Described, OnnxNetwork]:
    """Open an ONNX file.

    Settings, threshold and normalisation are those that the file carries, else those of the
    ``config.json`` and ``metadata.json`` beside it.

    Parameters
    ----------
    path : Path
        A ``model.onnx``.
    config : Config or dict, optional
        Settings that take the place of the file's own.

    Raises
    ------
    ModelError
        The file is missing, is no network of a particle detector, or names other files to load;
        or ONNX Runtime is not installed.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    content = path.read_bytes()
    session = _session(path, content)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    channels = outputs[0].shape[1] if outputs and len(outputs[0].shape) == 4 else None
    looks_like = next((name for name, count in _CHANNELS.items() if count == channels), None)
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or looks_like is None:
        raise ModelError(f"{path}: holds no network of a particle detector")
    carried = _carried(path, session.get_modelmeta().custom_metadata_map)
    beside = path.parent
    settings = carried.pop("config", None) or read_json(beside / "config.json")
    reading = carried or dictionary(read_json(beside / "metadata.json").get("reading"))
    checked = checked_config(path, config or settings, looks_like)
    architecture = checked.model.architecture
    if architecture != looks_like:
        raise ModelError(
            f"{path}: its network does not fit the architecture '{architecture}' of its settings"
        )
    stacked = inputs[0].shape[1] if len(inputs[0].shape) == 4 else None
    if isinstance(stacked, int) and stacked != 2 * checked.model.context_frames + 1:
        raise ModelError(
            f"{path}: its network takes stacks of {stacked} frames, but model.context_frames of "
            f"its settings is {checked.model.context_frames}"
        )
    described = Described(checked, checked_reading(path, architecture, reading))
    sha256 = hashlib.sha256(content).hexdigest()
    return described, OnnxNetwork(session, architecture, path, sha256)


def parts(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and every message within it."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        for field, value in part.ListFields():
            if field.type == field.TYPE_MESSAGE:
                waiting += [value] if hasattr(value, "ListFields") else list(value)


def _session(path: Path, content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(
            f"{path}: needs ONNX Runtime: pip install 'deeptrack-cloud-trainer[onnx]'"
        ) from None
    _refuse_what_reaches_out(path, content)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have many types
        raise ModelError(
            f"{path}: cannot be read as an ONNX model ({_first_line(error)})"
        ) from None


def _refuse_what_reaches_out(path: Path, content: bytes) -> None:
    """Refuse a network that names other files, or operators that are not ONNX's own."""
    from onnx import ModelProto, TensorProto

    try:
        model = ModelProto.FromString(content)
    except Exception as error:  # protobuf's own
        raise ModelError(
            f"{path}: cannot be read as an ONNX model ({_first_line(error)})"
        ) from None
    for part in parts(model):
        if isinstance(part, TensorProto) and (
            part.data_location == TensorProto.EXTERNAL or part.external_data
        ):
            raise ModelError(
                f"{path}: refused: it names another file for its weights; write it as one file"
            )
    foreign = {opset.domain for opset in model.opset_import} - _OWN_OPERATORS
    if foreign:
        raise ModelError(f"{path}: refused: it needs operators of {', '.join(sorted(foreign))}")


def _carried(path: Path, notes: dict[str, str]) -> dict[str, Any]:
    """Return what the file says of itself, from JSON."""
    known = ("config", "normalisation", "threshold", "error_scale", "error_slope")
    try:
        return {name: json.loads(notes[name]) for name in known if name in notes}
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: what it says of itself is not valid JSON") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__

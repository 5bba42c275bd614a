"""Ways to run the bundled network on a processor: which are faster, and how far answers differ.

    python benchmarks/network_speed.py

Frames of 512 x 512 px. As in version 3.0, a batch at once in 32 bit; one frame at a time, which the
processor's caches hold; with batch normalisation folded into the convolutions; compiled by
`torch.compile` (needs a C++ compiler); in ONNX Runtime; and in bfloat16, where the processor
computes it. The detector takes one frame at a time, in bfloat16 where it is known. What differs is
the probability of a particle in a cell, at most.
"""

import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from _scenes import scene
from cloudtrainer.detector import load_model
from cloudtrainer.detector.onnx_export import onnx_bytes
from cloudtrainer.detector.precision import processor_knows_bfloat16

FRAMES = 8
REPEATS = 7
RESULTS = Path(__file__).parent / "results" / "network_speed.json"


def folded(network: nn.Module) -> nn.Module:
    """Return the network with its batch normalisation in the convolutions."""
    network = copy.deepcopy(network)
    for holder in network.modules():
        for name, child in holder.named_children():
            if isinstance(child, nn.Sequential) and isinstance(child[1], nn.BatchNorm2d):
                first, second = (fuse_conv_bn_eval(child[i], child[i + 1]) for i in (0, 3))
                setattr(holder, name, nn.Sequential(first, child[2], second, child[5]))
    return network.to(memory_format=torch.channels_last)


def one_by_one(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what answers frames each by itself."""
    return lambda frames: torch.cat([network(frame) for frame in frames.split(1)])


def in_bfloat16(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what answers in bfloat16."""

    def answer(frames: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(frames)

    return answer


def in_onnx_runtime(detector: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what answers in ONNX Runtime, on as many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(onnx_bytes(detector))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda frames: torch.as_tensor(session.run(None, {name: frames.numpy()})[0])


def main() -> None:
    """Print a line for each way and write JSON."""
    detector = load_model()
    network, plain = detector.model, copy.deepcopy(detector.model)
    plain.to(memory_format=torch.contiguous_format)
    joined = folded(network)
    ways = {
        "a batch at once, channels first": plain,
        "a batch at once": network,
        "one frame at a time": one_by_one(network),
        "the same, batch norm folded": one_by_one(joined),
        "the same, compiled": one_by_one(torch.compile(joined)),
        "ONNX Runtime": one_by_one(in_onnx_runtime(detector)),
    }
    if processor_knows_bfloat16():
        ways |= {
            "a batch at once, bfloat16": in_bfloat16(network),
            "one frame at a time, bfloat16": in_bfloat16(one_by_one(network)),
            "the same, folded, bfloat16": in_bfloat16(one_by_one(joined)),
            "the same, folded, compiled, bfloat16": in_bfloat16(one_by_one(torch.compile(joined))),
        }
    filmed, _ = scene(400, 500, False, 45_000, FRAMES)
    rows = {}
    with torch.inference_mode():
        frames = detector.normalise(torch.as_tensor(filmed.astype(np.float32)))[:, None]
        exact = torch.sigmoid(network(frames)[:, 0])
        for name, way in ways.items():
            way(frames)
            took = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                answer = way(frames)
                took.append(time.perf_counter() - begun)
            differs = float((torch.sigmoid(answer[:, 0].float()) - exact).abs().max())
            rows[name] = {"ms_a_frame": 1000 * min(took) / FRAMES, "differs": differs}
            print(f"{name:<38} {rows[name]['ms_a_frame']:6.1f} ms  {differs:.4f}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"machine": platform.processor(), "threads": torch.get_num_threads()}
    RESULTS.write_text(json.dumps({**machine, "ways": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

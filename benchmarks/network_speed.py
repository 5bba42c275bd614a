"""Ways to run the bundled network on a processor: which are faster, and how far answers differ.

    python benchmarks/network_speed.py

Frames of 512 x 512 px. As in version 3.0, a batch at once in 32 bit; one frame at a time, which the
processor's caches hold; with batch normalisation folded into the convolutions; compiled by
`torch.compile` (left out without a C++ compiler); in ONNX Runtime; and in bfloat16, which some
processors only imitate. The detector takes one frame at a time, in bfloat16 where the processor has
units for it (AMX), or is one of AMD's. What differs is the probability of a particle in a cell, at
most. Then the learning of a batch of crops, forward and backward, in both precisions.
"""

import copy
import json
import platform
import shutil
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
from cloudtrainer.detector.precision import processor_is_faster_in_bfloat16

FRAMES = 8
CROPS, CROP_PX = 16, 64
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


def quickest_ms(way: Callable[[], object]) -> float:
    """Return the shortest time of several, the first left out."""
    way()
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        way()
        took.append(time.perf_counter() - begun)
    return 1000 * min(took)


def ways_to_answer(detector: nn.Module) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the ways to run the network on frames."""
    network, plain = detector.model, copy.deepcopy(detector.model)
    plain.to(memory_format=torch.contiguous_format)
    joined = folded(network)
    ways = {
        "a batch at once, channels first": plain,
        "a batch at once": network,
        "one frame at a time": one_by_one(network),
        "the same, batch norm folded": one_by_one(joined),
        "ONNX Runtime": one_by_one(in_onnx_runtime(detector)),
        "a batch at once, bfloat16": in_bfloat16(network),
        "one frame at a time, bfloat16": in_bfloat16(one_by_one(network)),
        "the same, folded, bfloat16": in_bfloat16(one_by_one(joined)),
    }
    if shutil.which("c++"):
        compiled = one_by_one(torch.compile(joined))
        ways |= {
            "folded, compiled": compiled,
            "folded, compiled, bfloat16": in_bfloat16(compiled),
        }
    return ways


def learning(network: nn.Module, precise: bool) -> Callable[[], None]:
    """Return one step of learning, forward and backward, on random crops."""
    network = copy.deepcopy(network).train().requires_grad_()
    crops = torch.randn(CROPS, 1, CROP_PX, CROP_PX)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            answer = network(crops).float()
        answer.square().mean().backward()

    return step


def main() -> None:
    """Print a line for each way and write JSON."""
    detector = load_model()
    chosen = "bfloat16" if processor_is_faster_in_bfloat16() else "32 bit"
    print(f"{torch.get_num_threads()} threads; this processor is used in {chosen}")
    filmed, _ = scene(400, 500, False, 45_000, FRAMES)
    rows = {}
    with torch.inference_mode():
        frames = detector.normalise(torch.as_tensor(filmed.astype(np.float32)))[:, None]
        exact = torch.sigmoid(detector.model(frames)[:, 0])
        for name, way in ways_to_answer(detector).items():
            ms = quickest_ms(lambda way=way: way(frames)) / FRAMES
            differs = float((torch.sigmoid(way(frames)[:, 0].float()) - exact).abs().max())
            rows[name] = {"ms_a_frame": ms, "differs": differs}
            print(f"{name:<38} {ms:6.1f} ms  {differs:.4f}", flush=True)
    learned = {
        name: quickest_ms(learning(detector.model, precise))
        for name, precise in (("32 bit", True), ("bfloat16", False))
    }
    for name, ms in learned.items():
        print(f"learning {CROPS} crops of {CROP_PX} px, {name:<9} {ms:6.1f} ms", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"machine": platform.processor(), "threads": torch.get_num_threads()}
    told = {**machine, "used": chosen, "ways": rows, "learning_ms": learned}
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

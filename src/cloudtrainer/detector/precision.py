"""Which precision a device computes a network fastest in."""

import platform
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch


@cache
def processor_is_faster_in_bfloat16() -> bool:
    """Tell whether bfloat16 is faster than 32 bit, and not merely known or imitated.

    It is where matrices have units of their own (AMX), and in AVX-512 of AMD's processors, which
    multiply twice as many numbers of bfloat16 at once; Intel's without AMX do not, and are slower
    in it (docs/detector.md).
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and _made_by_amd()


def _made_by_amd() -> bool:
    listed = Path("/proc/cpuinfo")
    told = listed.read_text() if listed.exists() else platform.processor()
    return "AuthenticAMD" in told


def fastest_on(device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network answers fastest: bfloat16 where it is the faster one.

    Only the network's layers are computed so, about twice as fast; positions are read from its
    answer, and fitted, in 32 bit. On a GPU the network is no faster in bfloat16.
    """
    if device.type == "cpu" and processor_is_faster_in_bfloat16():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()

"""Stacks on disk: computed once for their parameters, and read back ever after."""

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cloudtrainer.atomic import replacing
from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.deeptrack2 import deeptrack_version
from cloudtrainer.simulation.optics.stack import DefocusStack, compute_stack

# Another one where stacks of the same settings are computed in another way.
_EDITION = 1
# These change what the camera makes of a stack, or nothing at all, but not the stack.
_NOT_IN_STACK = {"pixel_fill"}
_NOT_IN_FLUORESCENCE = {"refractive_index_particle"}


def load_stack(optics: OpticsSettings) -> DefocusStack:
    """Return the stack of a microscope and a particle, from the cache where it is there.

    A file that is damaged is computed anew; where none can be written, the stack is computed each
    time.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed.
    """
    path = cache_folder() / f"{_name(optics)}.npz"
    stack = _read(path)
    if stack is None:
        stack = compute_stack(optics)
        _write(stack, path)
    return stack


def cache_folder() -> Path:
    """Return the folder of cached files: ``$CLOUDTRAINER_CACHE``, or one in the user's own."""
    given = os.environ.get("CLOUDTRAINER_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "cloudtrainer"


def _name(optics: OpticsSettings) -> str:
    left_out = _NOT_IN_STACK | (_NOT_IN_FLUORESCENCE if optics.kind == "fluorescence" else set())
    known = {
        "optics": optics.model_dump(mode="json", exclude=left_out),
        "deeptrack": deeptrack_version(),
        "edition": _EDITION,
    }
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return f"optics-{optics.kind}-{digest[:24]}"


def _read(path: Path) -> DefocusStack | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            planes, heights = file["planes"], file["heights_um"]
            samples = int(file["samples"])
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    whole = planes.ndim == 4 and planes.dtype == np.float32 and heights.shape == planes.shape[:1]
    whole = whole and planes.shape[1] in (1, 2) and planes.shape[2] == planes.shape[3]
    return DefocusStack(planes, heights, samples) if whole and np.isfinite(planes).all() else None


def _write(stack: DefocusStack, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several processes may compute the same stack at once: each writes a file of its own.
        own = path.with_name(f"{path.stem}.{os.getpid()}")
        with replacing(own) as part, part.open("wb") as file:
            np.savez_compressed(file, **vars(stack))
        own.replace(path)
    except OSError:
        return

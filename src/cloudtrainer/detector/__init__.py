"""The networks, what they are taught, positions from their answer, and model files."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtrainer.detector.export import export_model
    from cloudtrainer.detector.loading import load_model
    from cloudtrainer.detector.module import ParticleDetector

__all__ = ["ParticleDetector", "export_model", "load_model"]

# Imported when first used: `cloudtrainer.detector.versions` lists models without PyTorch.
_HOMES = {
    "ParticleDetector": "cloudtrainer.detector.module",
    "export_model": "cloudtrainer.detector.export",
    "load_model": "cloudtrainer.detector.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cloudtrainer.detector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

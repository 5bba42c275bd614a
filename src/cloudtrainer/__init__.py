"""cloudtrainer: from a microscopy video to trajectories, a diffusion coefficient and an exponent.

Public names are imported when they are first used, so that ``import cloudtrainer`` is quick.
"""

from importlib import import_module
from typing import Any

from cloudtrainer.version import __version__

_HOMES = {
    "Analysis": "cloudtrainer.analysis",
    "CalibrationError": "cloudtrainer.errors",
    "CloudTrainerError": "cloudtrainer.errors",
    "Config": "cloudtrainer.config",
    "ConfigError": "cloudtrainer.errors",
    "LabelError": "cloudtrainer.errors",
    "ModelError": "cloudtrainer.errors",
    "ParticleDetector": "cloudtrainer.detector",
    "TrainingError": "cloudtrainer.errors",
    "Video": "cloudtrainer.video",
    "VideoError": "cloudtrainer.errors",
    "Workspace": "cloudtrainer.workspace",
    "WorkspaceError": "cloudtrainer.errors",
    "analyze": "cloudtrainer.analysis",
    "compare_conditions": "cloudtrainer.analysis.conditions",
    "calculate_msd": "cloudtrainer.diffusion",
    "extract_particles_from_predictions": "cloudtrainer.inference",
    "fit_diffusion_models": "cloudtrainer.diffusion",
    "load_model": "cloudtrainer.detector",
    "score_detections": "cloudtrainer.evaluation",
    "score_tracks": "cloudtrainer.evaluation",
    "track_particles": "cloudtrainer.tracking",
    "train": "cloudtrainer.training",
    "visualize_msd_analysis": "cloudtrainer.figures",
    "visualize_tracking_results": "cloudtrainer.analysis",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cloudtrainer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)

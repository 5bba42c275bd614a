"""The networks, what they are taught, positions from their answer, and model files."""

from cloudtrainer.detector.export import export_model
from cloudtrainer.detector.module import ParticleDetector, load_model

__all__ = ["ParticleDetector", "export_model", "load_model"]

"""The networks, what they are taught, positions from their answer, and model files."""

from cloudtrainer.detector.model_files import export_model, load_model
from cloudtrainer.detector.module import ParticleDetector

__all__ = ["ParticleDetector", "export_model", "load_model"]

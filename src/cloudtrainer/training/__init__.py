"""Training: from labelled videos and simulated scenes to an exported detector."""

from cloudtrainer.training.labelled import LabelledVideo, split_labelled
from cloudtrainer.training.models import compare_models, export_checkpoint, list_models
from cloudtrainer.training.module import TrainableDetector
from cloudtrainer.training.result import TrainingResult
from cloudtrainer.training.run import fit, train

__all__ = [
    "LabelledVideo",
    "TrainableDetector",
    "TrainingResult",
    "compare_models",
    "export_checkpoint",
    "fit",
    "list_models",
    "split_labelled",
    "train",
]

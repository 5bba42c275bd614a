"""Training: from labelled videos and simulated scenes to an exported detector."""

from cloudtrainer.training.labelled import LabelledVideo, split_labelled
from cloudtrainer.training.models import compare_models, export_checkpoint, list_models
from cloudtrainer.training.module import TrainableDetector
from cloudtrainer.training.result import TrainingResult
from cloudtrainer.training.run import fit, train
from cloudtrainer.training.twin import train_on_twin
from cloudtrainer.training.twin_folder import make_twin
from cloudtrainer.training.unlabelled import twin_of

__all__ = [
    "LabelledVideo",
    "TrainableDetector",
    "TrainingResult",
    "compare_models",
    "export_checkpoint",
    "fit",
    "list_models",
    "make_twin",
    "split_labelled",
    "train",
    "train_on_twin",
    "twin_of",
]

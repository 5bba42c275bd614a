"""Training: from labelled videos and simulated scenes to an exported detector."""

from cloudtrainer.training.labelled import LabelledVideo
from cloudtrainer.training.module import TrainableDetector
from cloudtrainer.training.run import TrainingResult, fit, train

__all__ = ["LabelledVideo", "TrainableDetector", "TrainingResult", "fit", "train"]

"""Training: from labelled videos and simulated scenes to an exported detector."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtrainer.training.labelled import LabelledVideo, split_labelled
    from cloudtrainer.training.model_list import list_models
    from cloudtrainer.training.models import compare_models, export_checkpoint
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

# Imported when first used: the ledger and the list of models are read without PyTorch.
_HOMES = {
    "LabelledVideo": "cloudtrainer.training.labelled",
    "TrainableDetector": "cloudtrainer.training.module",
    "TrainingResult": "cloudtrainer.training.result",
    "compare_models": "cloudtrainer.training.models",
    "export_checkpoint": "cloudtrainer.training.models",
    "fit": "cloudtrainer.training.run",
    "list_models": "cloudtrainer.training.model_list",
    "make_twin": "cloudtrainer.training.twin_folder",
    "split_labelled": "cloudtrainer.training.labelled",
    "train": "cloudtrainer.training.run",
    "train_on_twin": "cloudtrainer.training.twin",
    "twin_of": "cloudtrainer.training.unlabelled",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cloudtrainer.training' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

"""One validated description of a run.

The command line, ``config.json`` and the model card are made from these fields. The sections
``model``, ``training``, ``augmentation`` and ``data`` keep the keys of versions 2.0 and 3.0, so
that an earlier ``config.json`` loads as it is.
"""

from cloudtrainer.config.configuration import Config, explain, setting_fields
from cloudtrainer.config.optics import CameraSettings, OpticsSettings
from cloudtrainer.config.sections import (
    AnalysisSettings,
    AugmentationSettings,
    DataSettings,
    ExperimentSettings,
    ModelSettings,
    SceneSettings,
    TrainingSettings,
)
from cloudtrainer.config.twin import TwinSettings
from cloudtrainer.config.wording import range_in_words, unit_of, value_as_text

__all__ = [
    "AnalysisSettings",
    "AugmentationSettings",
    "CameraSettings",
    "Config",
    "DataSettings",
    "ExperimentSettings",
    "ModelSettings",
    "OpticsSettings",
    "SceneSettings",
    "TrainingSettings",
    "TwinSettings",
    "explain",
    "range_in_words",
    "setting_fields",
    "unit_of",
    "value_as_text",
]

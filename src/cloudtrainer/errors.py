"""Exceptions of the package: each message says what is wrong, where, and what to do."""


class CloudTrainerError(Exception):
    """Base of every exception that cloudtrainer raises on purpose."""


class VideoError(CloudTrainerError):
    """A video that is missing, unreadable, ambiguous or without usable frames."""


class LabelError(CloudTrainerError):
    """A table of labels, detections or tracks that does not hold what it must."""


class ModelError(CloudTrainerError):
    """A model file or folder that cannot be loaded, or is not a model."""


class WorkspaceError(CloudTrainerError):
    """A folder that cannot be read or written, or that holds other results already."""


class CalibrationError(CloudTrainerError):
    """A pixel size, frame interval or exposure that cannot be right."""


class ConfigError(CloudTrainerError):
    """A setting that is unknown or out of its range."""


class TrainingError(CloudTrainerError):
    """A training that cannot go on; what it had learned until then is kept."""

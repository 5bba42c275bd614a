"""Training a detector of its own for a video without labels, on the video's twin."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.simulation.twin import Twin
from cloudtrainer.training.batches import BatchMaker
from cloudtrainer.training.ensemble import train_members
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation import Validation, calibrate, score_model
from cloudtrainer.training.validation_sets import parts_of_an_epoch, scenes_of_twin

Say = Callable[[str], None]


@dataclass(frozen=True)
class TwinTraining:
    """A detector that has learned the twin of a video.

    Attributes
    ----------
    twin : Twin
        What it learned from.
    detector : ParticleDetector
        The detector, its threshold and errors calibrated on scenes of the twin.
    before, after : Validation
        Scores on held-out scenes of the twin, of the model that it began with and of itself.
    history : dict of str to list of float
        Scores of the epochs.
    seconds : float
        What the training took.
    """

    twin: Twin
    detector: ParticleDetector
    before: Validation
    after: Validation
    history: dict[str, list[float]]
    seconds: float

    def __str__(self) -> str:
        old, new = self.before.score, self.after.score
        return (
            "On other simulated scenes of the twin, not on the video "
            f"(gate {self.after.gate_px:g} px): F1 {new.f1:.3f}, precision {new.precision:.3f}, "
            f"recall {new.recall:.3f}, position error "
            f"{new.rmse_px:.3f} px; the model that it began with: F1 {old.f1:.3f}, "
            f"{old.rmse_px:.3f} px. Trained in {self.seconds:.0f} s."
        )


def twin_config(config: Config, detector: ParticleDetector) -> Config:
    """Return the settings that a detector is taught a twin with."""
    settings = config.model_copy(deep=True)
    settings.model = detector.config.model.model_copy(update={"name": "particle_detector_twin"})
    training = settings.training
    training.ensemble = detector.config.training.ensemble
    training.epochs = config.twin.epochs
    training.steps_per_epoch = config.twin.steps_per_epoch
    training.learning_rate = config.twin.learning_rate
    training.schedule = "cosine"
    training.early_stopping = False
    return settings


def train_on_twin(
    twin: Twin,
    config: Config | None = None,
    start: ParticleDetector | None = None,
    *,
    progress_bar: bool = True,
    say: Say = print,
) -> TwinTraining:
    """Teach a detector the twin of a video, and choose its threshold on held-out scenes of it.

    Parameters
    ----------
    twin : Twin
        What to learn.
    config : Config, optional
        The settings; the section ``twin`` decides how long and how fast is learned.
    start : ParticleDetector, optional
        The detector to begin with; default: the bundled model.
    progress_bar : bool
        Show the epoch's progress and metrics.
    say : callable
        Told, in a sentence, what the user must know while it runs.

    Raises
    ------
    TrainingError
        The loss is not a number any more.
    """
    begun = time.monotonic()
    start = start or load_model()
    settings = twin_config(config or Config(), start)
    gate = settings.training.gate_px
    sets = [scenes_of_twin(twin, settings)]
    trained = train_members(
        settings,
        BatchMaker(settings, twins=[twin]),
        parts_of_an_epoch(sets),
        Start("the bundled model", start),
        progress_bar=progress_bar,
        say=say,
    )
    after = calibrate(trained.detector, sets, gate)
    return TwinTraining(
        twin=twin,
        detector=trained.detector,
        before=score_model(start, sets, gate),
        after=after,
        history=trained.histories[0],
        seconds=time.monotonic() - begun,
    )

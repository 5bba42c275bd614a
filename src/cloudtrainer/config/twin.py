"""Settings of the twin of a video: how long a detector learns from it, and beside what."""

from cloudtrainer.config.sections import Section, setting


class TwinSettings(Section):
    """How a detector is taught the simulated twin of a video."""

    epochs: int = setting(6, "Epochs of training on the twin of a video.", ge=1, le=1000)
    steps_per_epoch: int = setting(100, "Batches in one of these epochs.", ge=1, le=10_000)
    learning_rate: float = setting(1e-3, "Peak learning rate of these epochs.", ge=1e-6, le=1e-1)
    share: float = setting(
        0.7,
        "Share of the simulated crops that are of twins; the others are scenes of every kind.",
        ge=0.05,
        le=1.0,
    )

"""Which model a training begins with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.module import Normalisation
from cloudtrainer.detector.versions import current_version, names_no_model
from cloudtrainer.workspace import Workspace


@dataclass(frozen=True)
class Start:
    """The model that a run begins with.

    Attributes
    ----------
    source : str
        What it is, in words.
    detector : ParticleDetector or None
        The model; None: random weights.
    version : str or None
        Its version, where it is one of the workspace's own.
    optimizer : dict or None
        State of the optimizer it was trained with.
    history : dict of str to list of float
        Scores of the epochs that it was trained for.
    notes : tuple of str
        What the user must be told of the choice.
    """

    source: str
    detector: ParticleDetector | None = None
    version: str | None = None
    optimizer: dict[str, Any] | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def normalisation(self) -> Normalisation:
        """How frames are normalised: as the model has learned it."""
        return self.detector.normalisation if self.detector is not None else "noise"


def choose_start(place: Workspace, config: Config, given: Path | None) -> tuple[Start, Config]:
    """Choose the model that a run begins with.

    A model that is given is continued whatever its network; otherwise the workspace's current one,
    where the settings ask for the same network; otherwise the bundled model, or random weights.

    Parameters
    ----------
    place : Workspace
        The workspace.
    config : Config
        The settings.
    given : Path or None
        A checkpoint or an export of any version to continue, or one of the workspace's versions.

    Returns
    -------
    start : Start
        The model.
    config : Config
        The settings, with the network of the model that is given.

    Raises
    ------
    ModelError
        A model is missing, damaged, or none.
    """
    if given is not None:
        own = place.models / given.name
        path = own if not given.exists() and own.is_dir() else given
        if (path / "models").is_dir():
            path = current_version(path / "models") or path
        return _given(place, config, path)
    notes: tuple[str, ...] = ()
    current = place.current_model()
    if current is not None and names_no_model(place.models):
        notes = (
            f"{place.models / 'current.json'}: names none of the models; {current.name}, the "
            f"newest, is taken. To choose: cloudtrainer models {place.root} --set-current VERSION",
        )
    if config.training.incremental and current is not None:
        detector = load_model(current)
        if same_network(detector.config, config):
            stored = read_model(current)
            source = f"the current model {current.name}"
            return Start(
                source, detector, current.name, history=stored.history, notes=notes
            ), config
        notes = (
            *notes,
            f"The current model {current.name} has another network "
            f"({network_name(detector.config)}) and is not continued; to continue it, give: "
            f"--from {current}",
        )
    return _fresh(config, notes), config


def _given(place: Workspace, config: Config, path: Path) -> tuple[Start, Config]:
    detector = load_model(path)
    stored = read_model(path)
    config = config.model_copy(deep=True)
    config.model = detector.config.model.model_copy(update={"name": config.model.name})
    folder = path if path.is_dir() else path.parent
    inside = folder.resolve().parent == place.models.resolve()
    start = Start(
        str(path),
        detector,
        folder.name if inside else None,
        optimizer=stored.optimizer,
        history=stored.history,
    )
    return start, config


def _fresh(config: Config, notes: tuple[str, ...]) -> Start:
    if config.training.start == "bundled":
        bundled = load_model()
        if same_network(bundled.config, config):
            return Start("the bundled model", bundled, notes=notes)
    return Start("random weights", notes=notes)


def same_network(first: Config, second: Config) -> bool:
    """Tell whether the weights of one fit the network of the other."""
    return network_name(first) == network_name(second)


def network_name(config: Config) -> str:
    """Return the network and its channels in words."""
    model = config.model
    channels = model.grid_channels if model.architecture == "grid" else model.unet_channels
    return f"{model.architecture} {'-'.join(map(str, channels))}"

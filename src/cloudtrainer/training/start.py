"""Which model a training begins with."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.detector.context import widened
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.module import Normalisation
from cloudtrainer.detector.versions import current_version, names_no_model
from cloudtrainer.errors import ConfigError, ModelError
from cloudtrainer.training.model_list import frames_seen, layers, network_name
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
    sees_more : bool
        Whether the model did not see neighbouring frames before that it is to see from now on.
    """

    source: str
    detector: ParticleDetector | None = None
    version: str | None = None
    optimizer: dict[str, Any] | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sees_more: bool = False

    @property
    def members(self) -> int:
        """Networks that answer together in it."""
        network = self.detector.model if self.detector is not None else None
        return len(network.members) if isinstance(network, EnsembleNet) else 1

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

    Notes
    -----
    Of an ensemble each member continues the same member of the model; the start's notes say what
    becomes of them where their numbers differ. A model that sees fewer neighbouring frames than the
    settings ask for is continued by one that sees them and at first gives the same answers.

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
    ConfigError
        Neighbouring frames are asked for and the model given is a U-Net.
    """
    start, config = _choose(place, config, given)
    start = seeing_neighbours(start, config)
    return replace(start, notes=(*start.notes, *_on_members(start, config))), config


def _choose(place: Workspace, config: Config, given: Path | None) -> tuple[Start, Config]:
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
        if can_become(detector.config, config):
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
    network, asked = detector.config.model, config.model
    if asked.context_frames and network.architecture == "unet":
        raise ConfigError(
            f"{path}: is a U-Net, which sees each frame alone; continue it with "
            "model.context_frames=0"
        )
    context = max(network.context_frames, asked.context_frames)
    config = config.model_copy(deep=True)
    config.model = network.model_copy(update={"name": asked.name, "context_frames": context})
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
        if can_become(bundled.config, config):
            return Start("the bundled model", bundled, notes=notes)
    return Start("random weights", notes=notes)


def _on_members(start: Start, config: Config) -> list[str]:
    """Say what becomes of the members of a model where another number of them is to be trained."""
    there, asked = start.members, config.training.ensemble
    if start.detector is None or there == asked:
        return []
    if there == 1:
        return [
            f"All {asked} members of the ensemble begin with {start.source}: they differ only in "
            "what they are shown from here on."
        ]
    about = f"{start.source} is an ensemble of {there}; training.ensemble is {asked}"
    if there > asked:
        went = "member 1 alone is" if asked == 1 else f"members 1 to {asked} are"
        return [f"{about}: {went} continued. To continue all: --ensemble {there}"]
    return [f"{about}: every member is continued, and the further ones begin with the first again."]


def seeing_neighbours(start: Start, config: Config) -> Start:
    """Return the start with a network that sees as many frames at once as the settings ask for.

    Its answers are the same as before: to begin with the neighbours have no weight.
    """
    old, context = start.detector, config.model.context_frames
    if old is None or old.context_frames >= context:
        return start
    settings = old.config.model_copy(deep=True)
    settings.model.context_frames = context
    new = ParticleDetector(
        settings,
        normalisation=old.normalisation,
        threshold=old.threshold,
        error_scale=old.error_scale,
        error_slope=old.error_slope,
    )
    new.model.load_state_dict(widened(old.model.state_dict(), new.model.state_dict()))
    before, now = frames_seen(old.context_frames), frames_seen(context)
    note = f"{start.source}: saw {before}; it learns to see {now}"
    return replace(start, detector=new.eval(), notes=(*start.notes, note), sees_more=True)


def current_context(place: Workspace) -> int:
    """Return the frames before and after each that the current model sees; 0 where there is none.

    A model that is trained is held against it on the same frames.
    """
    current = place.current_model()
    if current is None:
        return 0
    try:
        return read_model(current).config.model.context_frames
    except ModelError:
        return 0


def can_become(first: Config, second: Config) -> bool:
    """Tell whether the weights of one fit the network of the other, which may see more frames."""
    fewer = first.model.context_frames <= second.model.context_frames
    return fewer and layers(first) == layers(second)

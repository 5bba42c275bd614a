"""``init`` and ``train``: from a new workspace to a model."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cloudtrainer.cli.options import option
from cloudtrainer.cli.output import console
from cloudtrainer.config import Config, TrainingSettings
from cloudtrainer.errors import ConfigError


def init(
    workspace: Annotated[Path, typer.Argument(help="Folder to make, such as DeepTrack_Studio.")],
) -> None:
    """Make a workspace: folders for videos, labels, models and results."""
    from cloudtrainer.workspace import Workspace

    place = Workspace.create(workspace)
    console.print(f"Workspace {escape(str(place.root))} is ready.")
    console.print(f"  videos go to {escape(str(place.videos))}")
    console.print(
        f"  labels go to {escape(str(place.annotations))} as <video stem>_particles.csv "
        "with the columns frame,x,y"
    )
    console.print(f"then: cloudtrainer train {escape(str(place.root))}")


def train(
    workspace: Annotated[Path, typer.Argument(help="Workspace, see: cloudtrainer init.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings, a config.json of this or an earlier version.")
    ] = None,
    version_3: Annotated[
        bool,
        typer.Option("--version-3", help="The network, defaults and recipe of version 3.0's form."),
    ] = False,
    epochs: Annotated[int | None, option(TrainingSettings, "epochs")] = None,
    batch_size: Annotated[int | None, option(TrainingSettings, "batch_size")] = None,
    learning_rate: Annotated[float | None, option(TrainingSettings, "learning_rate")] = None,
    simulated_share: Annotated[float | None, option(TrainingSettings, "simulated_share")] = None,
    rehearsal_share: Annotated[float | None, option(TrainingSettings, "rehearsal_share")] = None,
    seed: Annotated[int | None, option(TrainingSettings, "seed")] = None,
    ensemble: Annotated[int | None, option(TrainingSettings, "ensemble")] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Model to continue from: a checkpoint or export of this or an earlier version; "
            "default: the workspace's current model.",
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Learn all videos again, from the bundled model on, not the new ones alone.",
        ),
    ] = False,
    simulate_unlabelled: Annotated[
        bool,
        typer.Option(
            "--simulate-unlabelled",
            help="Draw simulated particles over the background of videos without labels, in "
            "place of leaving them out.",
        ),
    ] = False,
    twin: Annotated[
        list[str] | None,
        typer.Option(
            "--twin",
            metavar="VIDEO",
            help="A video without labels whose particles, background and noise are measured and "
            "simulated, to be learned too; may be given several times.",
        ),
    ] = None,
    devices: Annotated[int | None, option(TrainingSettings, "devices")] = None,
    num_nodes: Annotated[int | None, option(TrainingSettings, "num_nodes")] = None,
    strategy: Annotated[str | None, option(TrainingSettings, "strategy")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting by its name, such as training.patience=20; may be given several "
            "times; see: cloudtrainer settings.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue a run of the same settings that was interrupted.")
    ] = True,
) -> None:
    """Train a detector on the workspace's labelled videos and on simulated scenes."""
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "simulated_share": simulated_share,
        "rehearsal_share": rehearsal_share,
        "seed": seed,
        "ensemble": ensemble,
        "incremental": False if full else None,
        "unlabelled": "simulate" if simulate_unlabelled else None,
        "devices": devices,
        "num_nodes": num_nodes,
        "strategy": strategy,
    }
    settings = _first_settings(config, version_3).to_dict()
    settings["training"].update({name: value for name, value in given.items() if value is not None})
    checked = Config.from_dict(settings).with_values(values or [])

    from cloudtrainer.training import train as run
    from cloudtrainer.training.processes import is_first_process

    result = run(workspace, checked, resume=resume, start=start, twins=twin or [])
    if is_first_process():
        console.print(escape(str(result)))


def _first_settings(config: Path | None, version_3: bool) -> Config:
    if config and version_3:
        raise ConfigError("--version-3 and --config: give one of the two")
    if version_3:
        return Config.version_3()
    return Config.load(config) if config else Config()

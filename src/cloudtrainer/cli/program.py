"""The program itself: its verbs in the order of its help, and how it ends."""

import os
import sys
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.analyze import analyze
from cloudtrainer.cli.compare import CONTEXT, compare
from cloudtrainer.cli.info import info
from cloudtrainer.cli.labels import labels_app
from cloudtrainer.cli.models import export, models
from cloudtrainer.cli.output import complaints
from cloudtrainer.cli.score import score
from cloudtrainer.cli.settings import settings
from cloudtrainer.cli.simulate import demo, simulate
from cloudtrainer.cli.studio import studio
from cloudtrainer.cli.tracks import tracks_app
from cloudtrainer.cli.train import init, train
from cloudtrainer.cli.twin import twin
from cloudtrainer.cli.usage import USAGE_ERRORS, complaint, is_only_help
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.version import __version__

_STOPPED = 130

app = typer.Typer(
    name="cloudtrainer",
    help="From a microscopy video of moving particles to trajectories, a diffusion coefficient "
    "and an anomalous exponent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(simulate)
app.command()(train)
app.command()(twin)
app.command()(models)
app.command()(export)
app.command()(analyze)
app.command(context_settings=CONTEXT)(compare)
app.command()(score)
app.command()(studio)
app.command()(demo)
app.command()(info)
app.command()(settings)
app.add_typer(labels_app, name="labels", help="Labels of videos, made in other programs.")
app.add_typer(tracks_app, name="tracks", help="Tracks from detections, and for other programs.")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cloudtrainer {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say the version and end."
        ),
    ] = False,
) -> None:
    """Take the options of the program itself."""


def main() -> None:
    """Run the command line: exit 0 done, 2 bad input, 1 a fault of the program."""
    try:
        code = app(prog_name="cloudtrainer", standalone_mode=False)
    except USAGE_ERRORS as error:
        if not is_only_help(error):
            complaints.print(f"[bold red]error:[/] {escape(complaint(error, sys.argv[1:]))}")
        sys.exit(2)
    except CloudTrainerError as error:
        complaints.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        complaints.print("stopped")
        sys.exit(_STOPPED)
    except Exception as error:
        if os.environ.get("CLOUDTRAINER_DEBUG"):
            raise
        complaints.print(
            f"[bold red]internal error:[/] {type(error).__name__}: {escape(str(error))}\n"
            "This is a fault of cloudtrainer, not of your data. Please report it with what "
            "CLOUDTRAINER_DEBUG=1 prints."
        )
        sys.exit(1)
    if code == _STOPPED:
        complaints.print("stopped")
    if isinstance(code, int) and code:
        sys.exit(code)

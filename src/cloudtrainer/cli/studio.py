"""``studio``: the page of a workspace, in a browser."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console
from cloudtrainer.errors import WorkspaceError


def studio(
    workspace: Annotated[
        Path, typer.Argument(help="Workspace; it is made where there is none.")
    ] = Path("DeepTrack_Studio"),
    port: Annotated[int, typer.Option(help="Port on this machine; 0: any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Look at data, train and analyse on a page in the browser."""
    from cloudtrainer.workspace import Workspace

    try:
        import panel  # noqa: F401
    except ImportError:
        raise WorkspaceError(
            "the Studio needs Panel: pip install 'deeptrack-cloud-trainer[studio]'"
        ) from None
    from cloudtrainer.studio import serve

    serve(
        Workspace.create(workspace),
        port=port,
        open_browser=browser,
        say=lambda line: console.print(escape(line)),
    )

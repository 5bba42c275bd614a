"""``models`` and ``export``: the models of a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console, print_table
from cloudtrainer.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_SCORES = ("f1", "precision", "recall", "rmse_px")


def models(
    workspace: Annotated[Path, typer.Argument(help="Workspace, see: cloudtrainer init.")],
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Score every model on the workspace's held-out frames."),
    ] = False,
    set_current: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="Make this version the one that analysis and training take."
        ),
    ] = None,
) -> None:
    """List the models of a workspace, compare them, or choose the current one."""
    if set_current is not None:
        from cloudtrainer.workspace import Workspace

        Workspace.open(workspace).set_current(set_current)
        console.print(
            f"{escape(set_current)} is now the current model of {escape(str(workspace))}."
        )
    if compare:
        from cloudtrainer.training import compare_models

        _print_models(compare_models(workspace), workspace)
    elif set_current is None:
        from cloudtrainer.training import list_models

        _print_models(list_models(workspace), workspace)


def _print_models(table: "pd.DataFrame", workspace: Path) -> None:
    if table.empty:
        where = escape(str(workspace))
        console.print(f"No models in {where} yet; train one with: cloudtrainer train {where}")
        return
    names = [str(name) for name in table.columns]
    rows = table.itertuples(index=False, name=None)
    print_table(names, ([_text(*cell) for cell in zip(names, row, strict=True)] for row in rows))


def _text(name: str, value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3f}" if name in _SCORES else str(value)


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint of a training, of this or an earlier version.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to make for the model.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Workspace to add the model to, as a version of its own.")
    ] = None,
) -> None:
    """Export a checkpoint as a model folder."""
    if out is not None and workspace is not None:
        raise ConfigError("--out and --workspace: give one of the two")

    from cloudtrainer.training import export_checkpoint

    folder = export_checkpoint(checkpoint, out=out, workspace=workspace)
    console.print(f"Model: {escape(str(folder))}")

"""``labels``: labels of videos, made in other programs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console

labels_app = typer.Typer(no_args_is_help=True)


@labels_app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="Labels or tracks: TrackMate XML or CSV, Icy XML, particle tracking challenge "
            "XML, napari points CSV, or tables of tracks (.csv, .parquet, .xml)."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Labels to write, <video stem>_particles.csv.")
    ],
    pixel_size_um: Annotated[
        float | None,
        typer.Option(help=escape("Pixel size [um], where positions are lengths.")),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that are there.")
    ] = False,
) -> None:
    """Convert labels or tracks of another program to a table frame,x,y in pixels."""
    from cloudtrainer.annotations import convert_labels

    table = convert_labels(source, out, pixel_size_um, overwrite=overwrite)
    console.print(
        f"Wrote {len(table)} positions in {table['frame'].nunique()} frames to {escape(str(out))}."
    )

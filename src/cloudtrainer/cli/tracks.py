"""``tracks``: tracks for other programs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console

tracks_app = typer.Typer(no_args_is_help=True)


@tracks_app.callback()
def _tracks() -> None:
    """Tracks for other programs."""


@tracks_app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TRACKS", help="Tracks, in any format that is read: .csv, .parquet, .xml."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="File to write; for GEFF a folder."),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="csv, parquet, trackmate, challenge, napari or geff; default: told by the ending.",
        ),
    ] = None,
    pixel_size_um: Annotated[
        float | None,
        typer.Option(
            help=escape("Pixel size [um], for TrackMate and GEFF, and to read lengths as pixels.")
        ),
    ] = None,
    frame_interval_s: Annotated[
        float | None,
        typer.Option(help=escape("Time from frame to frame [s], for TrackMate and GEFF.")),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace tracks that are there.")
    ] = False,
) -> None:
    """Convert tracks to the format of another program."""
    from cloudtrainer.annotations import read_tracks, write_tracks
    from cloudtrainer.annotations.exports import track_format

    format = track_format(out, to)
    tracks = read_tracks(source, pixel_size_um)
    write_tracks(
        tracks,
        out,
        pixel_size_um=pixel_size_um,
        frame_interval_s=frame_interval_s,
        format=format,
        overwrite=overwrite,
    )
    lengths = tracks["particle"].value_counts()
    console.print(
        f"Wrote {len(tracks)} positions of {len(lengths)} particles to {escape(str(out))} "
        f"({format})."
    )
    single = int((lengths == 1).sum())
    if format == "trackmate" and single:
        console.print(
            f"Particles with one position: {single}; they are spots outside any track there."
        )

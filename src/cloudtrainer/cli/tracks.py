"""``tracks``: detections of long videos linked, and tracks for other programs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.options import option
from cloudtrainer.cli.output import complaints, console
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.errors import LabelError

_A = AnalysisSettings()

tracks_app = typer.Typer(no_args_is_help=True)


@tracks_app.callback()
def _tracks() -> None:
    """Tracks from detections, and tracks for other programs."""


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
    from cloudtrainer.annotations import as_in_video, read_tracks, write_tracks
    from cloudtrainer.annotations.exports import track_format

    format = track_format(out, to)
    tracks = read_tracks(source, pixel_size_um)
    if format not in ("csv", "parquet"):
        # Other programs show tracks over the video, and keep no second position.
        tracks = as_in_video(tracks)
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


@tracks_app.command()
def link(
    detections: Annotated[
        Path,
        typer.Argument(
            metavar="DETECTIONS",
            help=escape("Parquet file with frame, x and y [px], sorted by frame."),
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="TRACKS", help="Parquet file to write.")
    ],
    search_range: Annotated[
        float | None, option(AnalysisSettings, "search_range_px", "--search-range")
    ] = None,
    memory: Annotated[
        int, option(AnalysisSettings, "memory_frames", "--memory")
    ] = _A.memory_frames,
    min_track_frames: Annotated[
        int, option(AnalysisSettings, "min_track_frames")
    ] = _A.min_track_frames,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace tracks that are there.")
    ] = False,
) -> None:
    """Link detections a frame at a time, however long the video."""
    from cloudtrainer.tracking import link_parquet
    from cloudtrainer.tracking.detections_file import DetectionsFile

    if not DetectionsFile(detections).rows:
        raise LabelError(f"{detections}: holds no detections; there is nothing to link.")
    linked = link_parquet(
        detections, out, search_range, memory, min_track_frames, overwrite=overwrite
    )
    if linked.suggested is not None:
        console.print(f"Search range {linked.search_range_px:.1f} px: {linked.suggested.reason}")
    if linked.smeared_joined:
        console.print(
            f"Joined {linked.smeared_joined} pairs of detections that are two parts of one particle"
        )
    for warning in linked.warnings:
        complaints.print(f"warning: {escape(warning)}")
    console.print(
        f"Linked {linked.positions} of {linked.detections} detections into {linked.particles} "
        f"tracks: {escape(str(out))}"
    )

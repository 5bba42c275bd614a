"""``analyze``: from videos or tracks to a report."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.options import (
    Channel,
    Frames,
    Plane,
    Region,
    option,
    parse_frames,
    parse_region,
)
from cloudtrainer.cli.output import console, progress_bar
from cloudtrainer.config import AnalysisSettings, Config

_A = AnalysisSettings()


def analyze(
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Videos, folders of images, or tables of tracks (.csv, .parquet, .xml)."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    model: Annotated[
        str | None,
        typer.Option(help="Model file, export folder or version; default: the bundled model."),
    ] = None,
    pixel_size_um: Annotated[
        float | None, typer.Option(help=escape("Pixel size [um]; default: from the file."))
    ] = None,
    frame_interval_s: Annotated[
        float | None, typer.Option(help=escape("Time between frames [s]; default: from the file."))
    ] = None,
    exposure_s: Annotated[
        float | None, typer.Option(help=escape("Exposure of a frame [s]; default: unknown."))
    ] = None,
    search_range: Annotated[
        float | None, option(AnalysisSettings, "search_range_px", "--search-range")
    ] = None,
    engine: Annotated[
        str, option(AnalysisSettings, "linking_engine", "--engine")
    ] = _A.linking_engine,
    split_merge_range: Annotated[
        float | None, option(AnalysisSettings, "split_merge_range_px", "--split-merge-range")
    ] = None,
    memory: Annotated[
        int, option(AnalysisSettings, "memory_frames", "--memory")
    ] = _A.memory_frames,
    min_track_frames: Annotated[
        int, option(AnalysisSettings, "min_track_frames")
    ] = _A.min_track_frames,
    threshold: Annotated[float | None, option(AnalysisSettings, "threshold")] = None,
    min_relative_probability: Annotated[
        float, option(AnalysisSettings, "min_relative_probability")
    ] = _A.min_relative_probability,
    polarity: Annotated[str, option(AnalysisSettings, "polarity")] = _A.polarity,
    drift: Annotated[str, option(AnalysisSettings, "drift")] = _A.drift,
    frames: Frames = None,
    region: Region = None,
    channel: Channel = None,
    plane: Plane = None,
    twin: Annotated[
        bool,
        typer.Option(
            "--twin",
            help="First train a detector on simulated scenes like the video, without labels; a few "
            "minutes a video, and kept for the next time.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results in the output folder.")
    ] = False,
) -> None:
    """Analyse videos: detections, tracks, MSD, D and alpha with 95% intervals, and a report."""
    settings = AnalysisSettings().model_dump() | {
        "threshold": threshold,
        "min_relative_probability": min_relative_probability,
        "polarity": polarity,
        "search_range_px": search_range,
        "linking_engine": engine,
        "split_merge_range_px": split_merge_range,
        "memory_frames": memory,
        "min_track_frames": min_track_frames,
        "drift": drift,
    }
    config = Config.from_dict({"analysis": settings})
    part = parse_frames(frames)
    area = parse_region(region)

    from cloudtrainer.analysis import analyze as run

    with progress_bar() as progress:
        analysis = run(
            videos,
            out,
            model,
            config=config,
            pixel_size_um=pixel_size_um,
            frame_interval_s=frame_interval_s,
            exposure_s=exposure_s,
            frames=part,
            region=area,
            channel=channel,
            plane=plane,
            twin=twin,
            overwrite=overwrite,
            progress=progress,
            say=lambda line: console.print(escape(line)),
        )
    console.print(escape(str(analysis)))
    console.print(f"Report: {escape(str(out / 'report.html'))}")

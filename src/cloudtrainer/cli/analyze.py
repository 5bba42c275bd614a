"""``analyze``: from videos or tracks to a report."""

from pathlib import Path
from typing import Annotated, Any

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
_CALIBRATION = "Calibration"
_DETECTION = "Detection"
_LINKING = "Linking and drift"
_MATERIAL = "Material: viscosity, radius, moduli, mobility"


def _given(text: str, under: str, metavar: str | None = None) -> Any:
    """Make an option of what only the user knows."""
    return typer.Option(help=escape(text), rich_help_panel=under, metavar=metavar)


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
    pixel_size_um: Annotated[
        float | None, _given("Pixel size [um]; default: from the file.", _CALIBRATION)
    ] = None,
    frame_interval_s: Annotated[
        float | None, _given("Time between frames [s]; default: from the file.", _CALIBRATION)
    ] = None,
    exposure_s: Annotated[
        float | None, _given("Exposure of a frame [s]; default: unknown.", _CALIBRATION)
    ] = None,
    frames: Frames = None,
    region: Region = None,
    channel: Channel = None,
    plane: Plane = None,
    threshold: Annotated[
        float | None, option(AnalysisSettings, "threshold", under=_DETECTION)
    ] = None,
    min_relative_probability: Annotated[
        float, option(AnalysisSettings, "min_relative_probability", under=_DETECTION)
    ] = _A.min_relative_probability,
    polarity: Annotated[str, option(AnalysisSettings, "polarity", under=_DETECTION)] = _A.polarity,
    doubtful_spots: Annotated[
        str, option(AnalysisSettings, "doubtful_spots", under=_DETECTION)
    ] = _A.doubtful_spots,
    static_specks: Annotated[
        str, option(AnalysisSettings, "static_specks", under=_DETECTION)
    ] = _A.static_specks,
    search_range: Annotated[
        float | None,
        option(AnalysisSettings, "search_range_px", "--search-range", under=_LINKING),
    ] = None,
    engine: Annotated[
        str, option(AnalysisSettings, "linking_engine", "--engine", under=_LINKING)
    ] = _A.linking_engine,
    split_merge_range: Annotated[
        float | None,
        option(AnalysisSettings, "split_merge_range_px", "--split-merge-range", under=_LINKING),
    ] = None,
    memory: Annotated[
        int, option(AnalysisSettings, "memory_frames", "--memory", under=_LINKING)
    ] = _A.memory_frames,
    min_track_frames: Annotated[
        int, option(AnalysisSettings, "min_track_frames", under=_LINKING)
    ] = _A.min_track_frames,
    drift: Annotated[str, option(AnalysisSettings, "drift", under=_LINKING)] = _A.drift,
    temperature_c: Annotated[
        float | None,
        _given(
            "Temperature [degrees Celsius]: with the radius gives the viscosity, G' and G'', "
            "with the viscosity the radius, with both D over that of a free particle.",
            _MATERIAL,
        ),
    ] = None,
    temperature_error_k: Annotated[
        float, _given("Standard error of the temperature [K].", _MATERIAL)
    ] = 0.0,
    particle_radius_um: Annotated[
        float | None, _given("Radius of the particles, half their size [um].", _MATERIAL)
    ] = None,
    particle_radius_relative_error: Annotated[
        float,
        _given("Standard error of the radius as a share of it: 0.05 is 5%.", _MATERIAL),
    ] = 0.0,
    viscosity_pa_s: Annotated[
        float | None,
        _given("Viscosity of the medium [Pa s]; water at 20 C has 0.001.", _MATERIAL),
    ] = None,
    viscosity_relative_error: Annotated[
        float, _given("Standard error of the viscosity as a share of it.", _MATERIAL)
    ] = 0.0,
    wall_distance_um: Annotated[
        float | None,
        _given("Distance of the particles' centres from a plane wall [um].", _MATERIAL),
    ] = None,
    static_error_um: Annotated[
        float | None,
        _given("Localisation error of each axis that stuck particles show [um].", _MATERIAL),
    ] = None,
    time_scale_s: Annotated[
        list[float] | None,
        _given(
            "Time scale of an effective diffusivity [s]; may be given again. Default: 0.1, "
            "0.3, 1 and 3.",
            _MATERIAL,
            "<float>",
        ),
    ] = None,
) -> None:
    """Analyse videos: detections, tracks, MSD, D and alpha with 95% intervals, and a report."""
    settings = AnalysisSettings().model_dump() | {
        "threshold": threshold,
        "min_relative_probability": min_relative_probability,
        "polarity": polarity,
        "doubtful_spots": doubtful_spots,
        "static_specks": static_specks,
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
    from cloudtrainer.analysis.ranges import kelvin

    with progress_bar() as progress:
        analysis = run(
            videos,
            out,
            model,
            config=config,
            pixel_size_um=pixel_size_um,
            frame_interval_s=frame_interval_s,
            exposure_s=exposure_s,
            temperature_K=None if temperature_c is None else kelvin(temperature_c),
            particle_radius_um=particle_radius_um,
            viscosity_Pa_s=viscosity_pa_s,
            temperature_error_K=temperature_error_k,
            particle_radius_relative_error=particle_radius_relative_error,
            viscosity_relative_error=viscosity_relative_error,
            wall_distance_um=wall_distance_um,
            static_error_um=static_error_um,
            **({"time_scales_s": time_scale_s} if time_scale_s else {}),
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

"""The command line: ``cloudtrainer <verb>``. It holds no logic of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape

from cloudtrainer.config import (
    AnalysisSettings,
    Config,
    ExperimentSettings,
    TrainingSettings,
    explain,
)
from cloudtrainer.errors import CloudTrainerError, ConfigError

if TYPE_CHECKING:
    from cloudtrainer.inference import Progress

app = typer.Typer(
    name="cloudtrainer",
    help="From a microscopy video of moving particles to trajectories, a diffusion coefficient "
    "and an anomalous exponent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, soft_wrap=True, emoji=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def _option(section: type[BaseModel], name: str, *flags: str) -> Any:
    """Make an option from a setting: its help, with its unit."""
    field = section.model_fields[name]
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    text = f"{field.description} [{unit}]" if unit else field.description
    return typer.Option(*flags, help=escape(str(text)))


def main() -> None:
    """Run the command line: exit 0 done, 2 bad input, 1 a fault of the program."""
    try:
        app()
    except CloudTrainerError as error:
        complaints.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        complaints.print("stopped")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("CLOUDTRAINER_DEBUG"):
            raise
        complaints.print(
            f"[bold red]internal error:[/] {type(error).__name__}: {escape(str(error))}\n"
            "This is a fault of cloudtrainer, not of your data. Please report it with what "
            "CLOUDTRAINER_DEBUG=1 prints."
        )
        sys.exit(1)


@app.command()
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


_E = ExperimentSettings()


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("-o", "--out", help="Video to write (.ome.tif).")],
    frames: Annotated[int, _option(ExperimentSettings, "frames")] = _E.frames,
    height_px: Annotated[int, _option(ExperimentSettings, "height_px")] = _E.height_px,
    width_px: Annotated[int, _option(ExperimentSettings, "width_px")] = _E.width_px,
    particles: Annotated[int, _option(ExperimentSettings, "particles")] = _E.particles,
    diffusion: Annotated[
        float, _option(ExperimentSettings, "D_um2_per_s", "--D-um2-per-s")
    ] = _E.D_um2_per_s,
    pixel_size_um: Annotated[
        float, _option(ExperimentSettings, "pixel_size_um")
    ] = _E.pixel_size_um,
    frame_interval_s: Annotated[
        float, _option(ExperimentSettings, "frame_interval_s")
    ] = _E.frame_interval_s,
    exposure_s: Annotated[float, _option(ExperimentSettings, "exposure_s")] = _E.exposure_s,
    min_peak_snr: Annotated[
        float, typer.Option(help="Peak over noise of the dimmest particle.")
    ] = _E.peak_snr.low,
    max_peak_snr: Annotated[
        float, typer.Option(help="Peak over noise of the brightest particle.")
    ] = _E.peak_snr.high,
    spot_sigma_px: Annotated[
        float, _option(ExperimentSettings, "spot_sigma_px")
    ] = _E.spot_sigma_px,
    background_photons: Annotated[
        float, _option(ExperimentSettings, "background_photons")
    ] = _E.background_photons,
    read_noise_photons: Annotated[
        float, _option(ExperimentSettings, "read_noise_photons")
    ] = _E.read_noise_photons,
    seed: Annotated[int, _option(ExperimentSettings, "seed")] = _E.seed,
    overwrite: Annotated[bool, typer.Option(help="Replace a video that is there.")] = False,
) -> None:
    """Simulate a video of Brownian particles, and write the truth beside it."""
    from cloudtrainer.simulation import simulate_experiment, write_experiment

    with _settings_checked():
        settings = ExperimentSettings(
            frames=frames,
            height_px=height_px,
            width_px=width_px,
            particles=particles,
            D_um2_per_s=diffusion,
            pixel_size_um=pixel_size_um,
            frame_interval_s=frame_interval_s,
            exposure_s=exposure_s,
            peak_snr={"low": min_peak_snr, "high": max_peak_snr},  # type: ignore[arg-type]
            spot_sigma_px=spot_sigma_px,
            background_photons=background_photons,
            read_noise_photons=read_noise_photons,
            seed=seed,
        )
    truth = write_experiment(simulate_experiment(settings), out, overwrite=overwrite)
    console.print(
        f"Wrote {settings.frames} frames to {escape(str(out))} and the truth to "
        f"{escape(str(truth))}."
    )


_T = TrainingSettings()


@app.command()
def train(
    workspace: Annotated[Path, typer.Argument(help="Workspace, see: cloudtrainer init.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings, a config.json of this or an earlier version.")
    ] = None,
    epochs: Annotated[int | None, _option(TrainingSettings, "epochs")] = None,
    batch_size: Annotated[int | None, _option(TrainingSettings, "batch_size")] = None,
    learning_rate: Annotated[float | None, _option(TrainingSettings, "learning_rate")] = None,
    simulated_share: Annotated[float | None, _option(TrainingSettings, "simulated_share")] = None,
    seed: Annotated[int | None, _option(TrainingSettings, "seed")] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue a run of the same settings that was interrupted.")
    ] = True,
) -> None:
    """Train a detector on the workspace's labelled videos and on simulated scenes."""
    settings = (Config.load(config) if config else Config()).to_dict()
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "simulated_share": simulated_share,
        "seed": seed,
    }
    settings["training"].update({name: value for name, value in given.items() if value is not None})
    checked = Config.from_dict(settings)

    from cloudtrainer.training import train as run

    result = run(workspace, checked, resume=resume)
    for line in result.left_out:
        console.print(f"left out: {escape(line)}")
    learned = ", ".join(result.learned) or "simulated scenes alone"
    console.print(f"Learned from {escape(learned)}.")
    for name, value in result.scores.items():
        before = f" (before: {result.old_scores[name]:.4g})" if result.old_scores else ""
        console.print(f"  {name} {value:.4g}{before}")
    console.print(f"Model: {escape(str(result.model_dir))}")


_A = AnalysisSettings()


@app.command()
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
        float | None, _option(AnalysisSettings, "search_range_px", "--search-range")
    ] = None,
    memory: Annotated[
        int, _option(AnalysisSettings, "memory_frames", "--memory")
    ] = _A.memory_frames,
    min_track_frames: Annotated[
        int, _option(AnalysisSettings, "min_track_frames")
    ] = _A.min_track_frames,
    threshold: Annotated[float | None, _option(AnalysisSettings, "threshold")] = None,
    min_relative_probability: Annotated[
        float, _option(AnalysisSettings, "min_relative_probability")
    ] = _A.min_relative_probability,
    polarity: Annotated[str, _option(AnalysisSettings, "polarity")] = _A.polarity,
    drift: Annotated[str, _option(AnalysisSettings, "drift")] = _A.drift,
    frames: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Frames A to B-1, from 0; default: all."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help=escape("Part of the frame [px]; default: all of it.")),
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="Channel of a file with several, from 0.")
    ] = None,
    plane: Annotated[
        int | None, typer.Option(help="Z-plane of a file with several, from 0.")
    ] = None,
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
        "memory_frames": memory,
        "min_track_frames": min_track_frames,
        "drift": drift,
    }
    config = Config.from_dict({"analysis": settings})
    part = _parse_frames(frames)
    area = _parse_region(region)

    from cloudtrainer.analysis import analyze as run

    with _progress_bar() as progress:
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
            overwrite=overwrite,
            progress=progress,
        )
    console.print(escape(str(analysis)))
    console.print(f"Report: {escape(str(out / 'report.html'))}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the demonstration.")] = Path(
        "demo"
    ),
) -> None:
    """Simulate an experiment, train on other scenes, analyse it, and compare with the truth."""
    from cloudtrainer.demo import run_demo

    with _progress_bar() as progress:
        result = run_demo(out, progress=progress)
    console.print(escape(str(result)))
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def info(
    video: Annotated[
        str | None, typer.Argument(help="A video: its size and calibration are shown.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="Channel of a file with several, from 0.")
    ] = None,
    plane: Annotated[
        int | None, typer.Option(help="Z-plane of a file with several, from 0.")
    ] = None,
) -> None:
    """Show what a video says of itself, or the version, the device and the bundled model."""
    if video is None:
        from cloudtrainer.analysis import describe_installation

        lines = describe_installation()
    else:
        from cloudtrainer.analysis import describe_video

        lines = describe_video(video, channel=channel, plane=plane)
    for name, text in lines:
        console.print(f"{name + ':':<18} {escape(text)}")


labels_app = typer.Typer(no_args_is_help=True)
app.add_typer(labels_app, name="labels", help="Labels of videos, made in other programs.")


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


def _parse_frames(text: str | None) -> tuple[int, int | None] | None:
    if text is None:
        return None
    first, colon, after = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first or 0), int(after) if after else None
    except ValueError:
        raise ConfigError(f"--frames {text!r}: give A:B, such as 0:100") from None


def _parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--region {text!r}: give X,Y,W,H, such as 0,0,256,256") from None
    return x, y, width, height


@contextmanager
def _settings_checked() -> Iterator[None]:
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


@contextmanager
def _progress_bar() -> Iterator["Progress"]:
    """Show frames done and the time left, on the error stream."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, time left"),
        TimeRemainingColumn(),
    )
    # Elsewhere than in a terminal a bar that vanishes leaves an empty line.
    shown = complaints.is_terminal
    with Bar(*columns, console=complaints, transient=True, disable=not shown) as bar:
        task = bar.add_task("finding particles", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

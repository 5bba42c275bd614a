"""``simulate`` and ``demo``: videos whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape

from cloudtrainer.cli.options import option
from cloudtrainer.cli.output import console, progress_bar
from cloudtrainer.config import (
    CameraSettings,
    Config,
    ExperimentSettings,
    OpticsSettings,
    explain,
)
from cloudtrainer.errors import ConfigError

_E = ExperimentSettings()


def simulate(
    out: Annotated[Path, typer.Option("-o", "--out", help="Video to write (.ome.tif).")],
    frames: Annotated[int, option(ExperimentSettings, "frames")] = _E.frames,
    height_px: Annotated[int, option(ExperimentSettings, "height_px")] = _E.height_px,
    width_px: Annotated[int, option(ExperimentSettings, "width_px")] = _E.width_px,
    particles: Annotated[int, option(ExperimentSettings, "particles")] = _E.particles,
    diffusion: Annotated[
        float, option(ExperimentSettings, "D_um2_per_s", "--D-um2-per-s")
    ] = _E.D_um2_per_s,
    pixel_size_um: Annotated[float, option(ExperimentSettings, "pixel_size_um")] = _E.pixel_size_um,
    frame_interval_s: Annotated[
        float, option(ExperimentSettings, "frame_interval_s")
    ] = _E.frame_interval_s,
    exposure_s: Annotated[float, option(ExperimentSettings, "exposure_s")] = _E.exposure_s,
    min_peak_snr: Annotated[
        float, typer.Option(help="Peak over noise of the dimmest particle.")
    ] = _E.peak_snr.low,
    max_peak_snr: Annotated[
        float, typer.Option(help="Peak over noise of the brightest particle.")
    ] = _E.peak_snr.high,
    spot_sigma_px: Annotated[float, option(ExperimentSettings, "spot_sigma_px")] = _E.spot_sigma_px,
    background_photons: Annotated[
        float, option(ExperimentSettings, "background_photons")
    ] = _E.background_photons,
    read_noise_photons: Annotated[
        float, option(ExperimentSettings, "read_noise_photons")
    ] = _E.read_noise_photons,
    seed: Annotated[int, option(ExperimentSettings, "seed")] = _E.seed,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting of the microscope or the camera, such as optics.kind=brightfield; may "
            "be given several times; see: cloudtrainer settings optics. With one of the camera, "
            "camera.read_noise counts in place of --read-noise-photons.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a video that is there.")] = False,
) -> None:
    """Simulate a video of Brownian particles, and write the truth beside it."""
    from cloudtrainer.simulation import simulate_experiment, write_experiment

    try:
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
    except ValidationError as error:
        raise ConfigError(explain(error)) from None
    experiment = simulate_experiment(settings, *_seen_with(values or []))
    truth = write_experiment(experiment, out, overwrite=overwrite)
    console.print(
        f"Wrote {settings.frames} frames to {escape(str(out))} and the truth to "
        f"{escape(str(truth))}."
    )


def _seen_with(pairs: list[str]) -> tuple[OpticsSettings, CameraSettings | None]:
    """Return the microscope, and the camera where one is described."""
    given = Config().with_values(pairs)
    sections = {pair.strip().partition(".")[0] for pair in pairs}
    if sections - {"optics", "camera"}:
        raise ConfigError(
            f"--set {', '.join(pairs)}: a simulated experiment has settings of optics and camera "
            "alone; the others are options of their own, see: cloudtrainer simulate --help"
        )
    return given.optics, given.camera if "camera" in sections else None


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the demonstration.")] = Path(
        "demo"
    ),
) -> None:
    """Simulate an experiment, train on other scenes, analyse it, and compare with the truth."""
    from cloudtrainer.demo import run_demo

    with progress_bar() as progress:
        result = run_demo(out, progress=progress)
    console.print(escape(str(result)))
    if not result.passed:
        raise typer.Exit(1)

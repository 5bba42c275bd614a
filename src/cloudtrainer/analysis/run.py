"""`analyze`: videos in; tables, figures, estimates and a report out."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.joined import join
from cloudtrainer.analysis.material import Material
from cloudtrainer.analysis.outputs import output_folder
from cloudtrainer.analysis.result import Analysis
from cloudtrainer.analysis.single import analyse_one
from cloudtrainer.analysis.source import TABLE_ENDINGS, Given, Source, open_source
from cloudtrainer.analysis.twins import Say, given_twin, model_of_twin
from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.diffusion import TIME_SCALES_S, check_time_scales
from cloudtrainer.errors import ConfigError, WorkspaceError
from cloudtrainer.inference import Progress
from cloudtrainer.simulation.twin.files import TwinModel
from cloudtrainer.video import Video

_UNSAFE = re.compile(r'[\x00-\x1f"<>|:?*\\]|^[=+\-@]')

Input = Video | pd.DataFrame | NDArray[Any] | str | Path


def analyze(
    videos: Input | Sequence[Input],
    out: str | Path,
    model: ParticleDetector | str | Path | None = None,
    *,
    config: Config | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    exposure_s: float | None = None,
    temperature_K: float | None = None,
    particle_radius_um: float | None = None,
    viscosity_Pa_s: float | None = None,
    temperature_error_K: float = 0.0,
    particle_radius_relative_error: float = 0.0,
    viscosity_relative_error: float = 0.0,
    wall_distance_um: float | None = None,
    static_error_um: float | None = None,
    time_scales_s: Sequence[float] = TIME_SCALES_S,
    frames: tuple[int, int | None] | None = None,
    region: tuple[int, int, int, int] | None = None,
    channel: int | None = None,
    plane: int | None = None,
    twin: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Analysis:
    """Measure diffusion in videos, from detections to a report.

    Parameters
    ----------
    videos : path, Video, ndarray, table of tracks, or a sequence of these
        What to analyse. A ``.csv``, ``.parquet`` or ``.xml`` file holds tracks, of this package,
        trackpy, TrackMate, Icy or the particle tracking challenge. Several videos are analysed one
        by one and together: the video is then the replicate.
    out : str or Path
        Folder for the results; it appears whole or not at all.
    model : ParticleDetector, str, Path or None
        A detector, or what `load_model` takes; None: the bundled model. The folder of a twin is
        taken with what it says of the focus.
    config : Config, optional
        The settings; the section ``analysis`` is used.
    pixel_size_um, frame_interval_s : float, optional
        Calibration, um and s; None: the file's own. Without both, results are in pixels and frames.
    exposure_s : float, optional
        Exposure of a frame, s; None: unknown, the offset of the MSD is then free in sign.
    temperature_K : float, optional
        Absolute temperature, K. With the radius D gives the viscosity and the MSD G' and G''; with
        the viscosity D gives the hydrodynamic radius; with both D is compared with that of a free
        particle.
    particle_radius_um, viscosity_Pa_s : float, optional
        Radius of the particles, um; viscosity of the medium, Pa s.
    temperature_error_K, particle_radius_relative_error, viscosity_relative_error : float
        Their standard errors, K and shares of the values.
    wall_distance_um : float, optional
        Distance of the particles' centres from a plane wall that they move along, um.
    static_error_um : float, optional
        Localisation error of each axis that stuck particles show under the same optics, um: taken
        out of the MSD for G', G'' and effective diffusivities.
    time_scales_s : sequence of float
        Time scales of the effective diffusivities, s.
    frames : (int, int or None), optional
        First frame, and the first one after the last (None: to the end).
    region : (int, int, int, int), optional
        x, y, width and height of the part to use, px.
    channel, plane : int, optional
        Channel and Z-plane of a file that has several.
    twin : bool
        Teach a detector the twin of each video first, and analyse with that one: minutes a video.
        It is kept in ``out``, and taken again for the same video and settings. A video whose twin
        cannot be made is analysed with the bundled model, with a warning.
    overwrite : bool
        Replace the results that ``out`` holds.
    progress : callable, optional
        Called with the frames done and the number of all frames, for each video.
    say : callable, optional
        Told, in sentences, what a twin is like while it is made.

    Returns
    -------
    Analysis
        What was measured; the same is in the output folder.

    Raises
    ------
    CloudTrainerError
        The input cannot be used, or the folder cannot be written; nothing is left half-written.
    """
    inputs: list[Input] = (
        [videos]
        if isinstance(videos, Video | pd.DataFrame | np.ndarray | str | Path)
        else list(videos)
    )
    if not inputs:
        raise ConfigError("no video was given")
    if twin and model is not None:
        raise ConfigError("a twin is learned beginning with the bundled model: give no other model")
    config = config or Config()
    given = Given(pixel_size_um, frame_interval_s, exposure_s, frames, region, channel, plane)
    material = Material(
        temperature_K=temperature_K,
        particle_radius_um=particle_radius_um,
        viscosity_Pa_s=viscosity_Pa_s,
        temperature_error_K=temperature_error_K,
        particle_radius_relative_error=particle_radius_relative_error,
        viscosity_relative_error=viscosity_relative_error,
        wall_distance_um=wall_distance_um,
        static_error_um=static_error_um,
    )
    check_time_scales(time_scales_s)
    out = Path(out)
    _keep_inputs(inputs, out)
    with output_folder(out, overwrite=overwrite) as folder:
        sources = [open_source(thing, given) for thing in inputs]
        _check_replicates(sources)
        needed = any(source.video is not None for source in sources)
        common = given_twin(model)
        detector = _detector(common.detector if common else model) if needed else None
        places = [(folder, out)]
        if len(sources) > 1:
            places = [(folder / name, out / name) for name in _folder_names(sources)]
        singles = []
        for source, (new, final) in zip(sources, places, strict=True):
            new.mkdir(exist_ok=True)
            own: TwinModel | str | None = common
            if twin:
                own = model_of_twin(source, new, final, config, say or _say_nothing)
            singles.append(
                analyse_one(
                    source,
                    detector,
                    own,
                    config,
                    material,
                    time_scales_s,
                    new,
                    final,
                    progress,
                    bundled=model is None,
                )
            )
        if len(sources) == 1:
            return singles[0]
        return join(singles, material, folder, out)


def _keep_inputs(inputs: list[Input], out: Path) -> None:
    """Refuse to write results over the table that they would come from."""
    for thing in inputs:
        if (
            isinstance(thing, str | Path)
            and Path(thing).suffix.lower() in TABLE_ENDINGS
            and Path(thing).resolve().parent == out.resolve()
        ):
            raise WorkspaceError(
                f"{thing}: lies in the output folder, whose tables would replace it; give another "
                "folder for the results"
            )


def _check_replicates(sources: list[Source]) -> None:
    """Refuse one video given twice: the scatter between videos would come out too small."""
    seen: dict[str, str] = {}
    for source in sources:
        if source.sha256 and source.sha256 in seen:
            raise ConfigError(
                f"{source.name}: holds the same as {seen[source.sha256]}; give each video once"
            )
        seen[source.sha256] = source.name


def _say_nothing(_: str) -> None:
    """Leave the twin untold."""


def _detector(model: ParticleDetector | str | Path | None) -> ParticleDetector:
    import torch

    detector = model if isinstance(model, ParticleDetector) else load_model(model)
    return detector.to("cuda" if torch.cuda.is_available() else "cpu")


def _folder_names(sources: list[Source]) -> list[str]:
    """Return a folder name for each source, from its file name and a number where two agree.

    What Windows does not take in a name, and what a spreadsheet takes for the beginning of a
    formula, becomes ``_``.
    """
    names: list[str] = []
    # The figures of all videos together are beside the folders.
    taken = {"figures"}
    for source in sources:
        stem = Path(source.name).name.split(".")[0] or "video"
        stem = _UNSAFE.sub("_", stem)
        name, again = stem, 1
        while name.lower() in taken:
            again += 1
            name = f"{stem}_{again}"
        names.append(name)
        taken.add(name.lower())
    return names

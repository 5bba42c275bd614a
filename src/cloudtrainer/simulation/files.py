"""Simulated experiments as files: OME-TIFF with its calibration, and the truth as CSV."""

from pathlib import Path

import tifffile

from cloudtrainer.errors import WorkspaceError
from cloudtrainer.simulation.experiment import Experiment

_ENDING = ".ome.tif"


def write_experiment(experiment: Experiment, video: Path, *, overwrite: bool = False) -> Path:
    """Write the video as OME-TIFF and the truth beside it.

    Parameters
    ----------
    experiment : Experiment
        What was simulated.
    video : Path
        The file to write, ending in ``.ome.tif``; both files are written under a temporary name
        and renamed, so that neither is ever half there.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    Path
        The truth, ``<video stem>_particles.csv``: the labels' file name, so that the video can be
        trained on.

    Raises
    ------
    WorkspaceError
        The name does not end in ``.ome.tif``, a file is there already, or cannot be written.
    """
    if not video.name.endswith(_ENDING):
        raise WorkspaceError(f"{video}: give a name that ends in {_ENDING}")
    truth = video.with_name(video.name.removesuffix(_ENDING) + "_particles.csv")
    for file in (video, truth):
        if file.exists() and not overwrite:
            raise WorkspaceError(f"{file}: is there already; give --overwrite to replace it")
    try:
        video.parent.mkdir(parents=True, exist_ok=True)
        _write(experiment, video, truth)
    except OSError as error:
        raise WorkspaceError(f"{video}: cannot be written ({error.strerror})") from None
    return truth


def _write(experiment: Experiment, video: Path, truth: Path) -> None:
    settings = experiment.settings
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": settings.pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": settings.pixel_size_um,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": settings.frame_interval_s,
        "TimeIncrementUnit": "s",
    }
    unfinished = {file: file.with_name(file.name + ".part") for file in (video, truth)}
    try:
        tifffile.imwrite(
            unfinished[video],
            experiment.frames,
            ome=True,
            metadata=metadata,
            photometric="minisblack",
        )
        experiment.truth.to_csv(unfinished[truth], index=False, float_format="%.4f")
        for file, part in unfinished.items():
            part.replace(file)
    finally:
        for part in unfinished.values():
            part.unlink(missing_ok=True)

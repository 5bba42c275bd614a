"""The folder of a twin: what was measured, the figure, and the detector that has learned it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tifffile

from cloudtrainer.atomic import replacing, write_json
from cloudtrainer.config import Config
from cloudtrainer.detector import export_model
from cloudtrainer.errors import ModelError, VideoError, WorkspaceError
from cloudtrainer.figures import to_png, to_svg
from cloudtrainer.figures.twin import twin_figure
from cloudtrainer.simulation.twin import Twin
from cloudtrainer.simulation.twin.compare import compare, frames_of_twin
from cloudtrainer.simulation.twin.files import FRAMES, MODEL, NUMBERS, PICTURE, polarity_of
from cloudtrainer.training.metrics import named
from cloudtrainer.training.twin import Say, TwinTraining, train_on_twin
from cloudtrainer.training.unlabelled import twin_of
from cloudtrainer.version import __version__
from cloudtrainer.video import Video

_FRAMES_DRAWN = 8


def make_twin(
    source: str | Path,
    out: str | Path,
    config: Config | None = None,
    *,
    train: bool = True,
    frames: tuple[int, int | None] | None = None,
    region: tuple[int, int, int, int] | None = None,
    channel: int | None = None,
    plane: int | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> Path | None:
    """Measure a video, simulate scenes like it, and train a detector on them.

    Parameters
    ----------
    source : str or Path
        The video.
    out : str or Path
        Folder for ``twin.json``, ``twin.png``, ``twin.svg``, ``twin_frames.tif`` and ``model/``.
    config : Config, optional
        The settings; ``analysis.polarity`` is read too.
    train : bool
        Train a detector; without, the twin is only measured.
    frames : (int, int or None), optional
        First frame, and the first one after the last (None: to the end).
    region : (int, int, int, int), optional
        x, y, width and height of the part to use, px.
    channel, plane : int, optional
        Channel and Z-plane of a file that has several.
    overwrite : bool
        Replace a twin that the folder holds.
    say : callable
        Told, in sentences, what was measured and how good the detector is.

    Returns
    -------
    Path or None
        The model; None where none was trained.

    Raises
    ------
    VideoError
        No particle can be seen in the video, or it cannot be used.
    WorkspaceError
        The folder holds a twin already, or cannot be written.
    """
    config, out = config or Config(), Path(out)
    whole = Video(source, channel=channel, plane=plane)
    _check_free(out, overwrite=overwrite)
    video = whole
    if frames is not None or region is not None:
        first, after = frames or (0, None)
        part = (first, len(whole) if after is None else after)
        video = whole.crop(frames=part, region=region)
    try:
        twin = twin_of(video, polarity_of(config))
    except VideoError:
        if not any(out.iterdir()):
            out.rmdir()
        raise
    for line in str(twin).splitlines():
        say(line)
    training = train_on_twin(twin, config, say=say) if train else None
    if training is not None:
        say(str(training))
    with _put_aside(out / MODEL):
        _write_frames(out / FRAMES, twin, video)
        write_twin(out, twin, video, training)
    return out / MODEL if train else None


@contextmanager
def _put_aside(model: Path) -> Iterator[None]:
    """Keep the model that is to be replaced until the new one is written."""
    aside = model.with_name(f".{model.name}_before")
    if aside.exists():
        shutil.rmtree(aside)
    if not model.exists():
        yield
        return
    model.rename(aside)
    try:
        yield
    except BaseException:
        shutil.rmtree(model, ignore_errors=True)
        aside.rename(model)
        raise
    shutil.rmtree(aside)


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Make sure that the folder can be written, before minutes are spent on what it should hold."""
    if out.exists() and not out.is_dir():
        raise WorkspaceError(f"{out}: is a file; give a folder for the twin")
    there = [name for name in (NUMBERS, MODEL) if (out / name).exists()]
    if there and not overwrite:
        raise WorkspaceError(
            f"{out}: holds {there[0]} already; give another folder, or --overwrite to replace it"
        )
    if (out / MODEL).exists() and not (out / MODEL / "metadata.json").is_file():
        raise WorkspaceError(f"{out / MODEL}: is there and no model; give another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / ".writable") as trial:
            trial.write_bytes(b"")
        (out / ".writable").unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{out}: cannot be written ({error.strerror}); give another folder"
        ) from None


def _write_frames(path: Path, twin: Twin, video: Video) -> None:
    """Write a few frames of the twin, to be looked at in any program.

    Raises
    ------
    WorkspaceError
        The file cannot be written.
    """
    frames = frames_of_twin(twin, _FRAMES_DRAWN, video.dtype)
    try:
        with replacing(path) as unfinished:
            tifffile.imwrite(unfinished, frames, photometric="minisblack")
    except OSError as error:
        raise WorkspaceError(
            f"{path}: cannot be written ({error.strerror}); free space, or give another folder"
        ) from None


def write_twin(
    folder: Path, twin: Twin, video: Video, training: TwinTraining | None, key: str = ""
) -> dict[str, Any]:
    """Write the numbers, the figure and, where one was trained, the detector of a twin.

    Parameters
    ----------
    folder : Path
        Folder to write to; made where it is missing.
    twin : Twin
        The twin.
    video : Video
        The video that it was measured in.
    training : TwinTraining or None
        The training on it; None: only what was measured is written.
    key : str
        What tells it from others, see `cloudtrainer.simulation.twin.files.twin_key`.

    Returns
    -------
    dict
        What ``twin.json`` holds.

    Raises
    ------
    WorkspaceError
        The folder cannot be written, or holds a model already.
    """
    numbers = twin.to_dict() | {
        "key": key,
        "video_sha256": video.sha256,
        "version": __version__,
    }
    if training is not None:
        numbers["training"] = {
            "seconds": training.seconds,
            "epochs": training.detector.config.training.epochs,
            "before": named(training.before.score),
            "after": named(training.after.score),
            "gate_px": training.after.gate_px,
            "model": MODEL,
        }
    figure = twin_figure(compare(twin, video))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((PICTURE, to_png(figure)), ("twin.svg", to_svg(figure))):
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(content)
        if training is not None:
            _export(folder / MODEL, training, video)
        # Last: where it is, all of it is.
        write_json(folder / NUMBERS, numbers)
    except (OSError, ModelError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorkspaceError(
            f"{folder}: cannot be written ({reason}); free space, or give another folder"
        ) from None
    return numbers


def _export(folder: Path, training: TwinTraining, video: Video) -> None:
    config = training.detector.config
    export_model(
        training.detector,
        folder,
        scores=training.after.numbers(),
        origin={
            "num_videos": 1,
            "trained_on": f"the simulated twin of {video.name}, without labels",
            "twin_share": config.twin.share,
            "seed": config.training.seed,
        },
        history=training.history,
        videos=[{"name": video.name, "sha256": video.sha256, "labelled_frames": 0}],
    )

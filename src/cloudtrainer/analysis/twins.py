"""The detector of a video's own: made from its twin, or taken from an earlier analysis."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.analysis.source import Source, in_video
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.errors import ModelError, VideoError
from cloudtrainer.simulation.twin import Focus, peaks_in_video
from cloudtrainer.simulation.twin.files import (
    MODEL,
    NUMBERS,
    PICTURE,
    TwinModel,
    holds_twin,
    polarity_of,
    read_twin,
    twin_key,
)
from cloudtrainer.video import Video

Say = Callable[[str], None]

FOLDER = "twin"


def model_of_twin(
    source: Source, folder: Path, earlier: Path, config: Config, say: Say
) -> TwinModel | str:
    """Return the detector that has learned the twin of a video.

    An earlier one of the same video and settings is taken as it is; otherwise the twin is measured
    and a detector trained on it.

    Parameters
    ----------
    source : Source
        The video.
    folder : Path
        Folder of the new results; ``twin/`` in it will hold the twin.
    earlier : Path
        Folder of earlier results, whose ``twin/`` may hold it already.
    config : Config
        The settings.
    say : callable
        Told, in sentences, what was measured.

    Returns
    -------
    TwinModel or str
        The detector; where the video has no twin, the sentence that says why.
    """
    if source.video is None:
        return f"{source.name}: a table of tracks has no twin."
    bundled = load_model()
    part = [list(source.shape or ()), list(source.origin)]
    key = twin_key(source.sha256, part, config, bundled, config.analysis.polarity)
    known = read_twin(earlier / FOLDER, key) if source.sha256 else None
    if known is not None:
        shutil.copytree(earlier / FOLDER, folder / FOLDER)
        say(f"{source.name}: its twin was learned before, and is taken from {earlier / FOLDER}.")
        return known

    # Lightning takes seconds to import; only training needs it.
    from cloudtrainer.training.twin import train_on_twin
    from cloudtrainer.training.twin_folder import write_twin
    from cloudtrainer.training.unlabelled import twin_of

    try:
        twin = twin_of(source.video, polarity_of(config))
    except VideoError as error:
        return f"No twin was made, and the bundled model was used: {error}."
    for line in twin.sentences():
        say(line)
    training = train_on_twin(twin, config, bundled, progress_bar=False, say=say)
    say(str(training))
    numbers = write_twin(folder / FOLDER, twin, source.video, training, key)
    picture = (folder / FOLDER / PICTURE).read_bytes()
    return TwinModel(training.detector, twin.focus, numbers, picture)


def given_twin(model: object) -> TwinModel | None:
    """Return the twin of a folder that was given in place of a model; None where it holds none.

    Raises
    ------
    ModelError
        The folder holds a twin whose files are damaged.
    """
    if not isinstance(model, str | Path) or not holds_twin(Path(model)):
        return None
    known = read_twin(Path(model))
    if known is None:
        raise ModelError(
            f"{model}: the files of this twin are damaged ({NUMBERS}, {PICTURE} or {MODEL}/); make "
            "it anew"
        )
    return known


def of_another_video(twin: TwinModel, source: Source) -> str | None:
    """Say, in a sentence, that a twin was measured in another video; None if in this one."""
    if source.video is None or twin.numbers.get("video_sha256") == source.sha256:
        return None
    limit = ""
    if twin.focus is not None:
        limit = (
            f" Its limit of focus, peaks of {twin.focus.least:.3g} counts, is that of the other "
            "video, too: filmed with other light or another camera, it chooses other particles."
        )
    return (
        f"The twin is that of another video ({twin.numbers.get('video')}): its detector knows "
        f"other particles.{limit} Give --twin for one of this video's own."
    )


def told(twin: TwinModel) -> dict[str, Any]:
    """Return what ``summary.json`` holds of a twin; the rest is in ``twin/twin.json``."""
    names = (
        "video", "video_sha256", "background_counts", "noise", "particles", "focus", "training",
    )  # fmt: skip
    return {name: twin.numbers.get(name) for name in names}


def tracks_in_focus(
    tracks: pd.DataFrame, video: Video, polarity: int, focus: Focus | None
) -> pd.DataFrame:
    """Return the whole tracks of particles that are in focus for half of their time or more.

    Whole tracks: a choice among single detections would cut tracks into pieces, and keep slow
    moments.
    """
    if focus is None or tracks.empty:
        return tracks
    peaks = pd.Series(peaks_in_video(video, in_video(tracks), polarity), index=tracks.index)
    typical = peaks.groupby(tracks["particle"]).median()
    kept = tracks["particle"].map(typical >= focus.least)
    return tracks[kept.to_numpy(bool)].reset_index(drop=True)

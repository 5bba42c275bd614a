"""The videos of a workspace as a list: size, calibration, labels, and who has learned them."""

import io
import shutil
import unicodedata
from base64 import b64encode
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations import read_labels
from cloudtrainer.detector.versions import FILE_SUFFIXES, ZIP_SUFFIX
from cloudtrainer.errors import CloudTrainerError, LabelError, WorkspaceError
from cloudtrainer.training.found_videos import NO_LABELS, frames_without_particles
from cloudtrainer.training.hashes import ContentHashes, labels_hash
from cloudtrainer.training.ledger import Ledger, VideoRecord
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace, comparable_name, label_names

Place = Literal["videos", "labels", "models"]

_THUMBNAIL_PX = 72
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_LONGEST_NAME_BYTES = 180
# What Windows, which a mounted drive may meet, takes in no name.
_NOT_IN_NAMES = '<>:"/\\|?*'
_LABEL_SUFFIXES = (".csv", ".xml", ".parquet")
MODEL_SUFFIXES = (*FILE_SUFFIXES, ZIP_SUFFIX)


@dataclass(frozen=True)
class ListedVideo:
    """A row of the list.

    Attributes
    ----------
    path : Path
        The file or folder.
    video : Video or None
        The video; None where it cannot be opened.
    labels : DataFrame or None
        Its labels ``frame, x, y``; None where it has none.
    state : str
        "new", "new: labels changed since v_...", "no labels", "learned by v_...", or what is wrong
        with it.
    empty : ndarray of int64
        Frames that were confirmed to hold no particle.
    """

    path: Path
    video: Video | None
    labels: pd.DataFrame | None
    state: str
    empty: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def trouble(self) -> str:
        """What its state says, without the folder that the list is of."""
        return self.state.replace(str(self.path), self.path.name)

    def row(self) -> dict[str, Any]:
        """Return what is shown of it, as plain text."""
        video, labels = self.video, self.labels
        shown = {"picture": "", "size": "", "calibration": ""}
        if video is not None:
            frames, height, width = video.shape
            plural = "frame" if frames == 1 else "frames"
            shown = {
                "picture": thumbnail(video),
                "size": f"{width} x {height} px, {frames} {plural}",
                "calibration": _calibration(video),
            }
        count = "none"
        if labels is not None:
            labelled = labels["frame"].nunique()
            count = f"{len(labels)} on {labelled} {'frame' if labelled == 1 else 'frames'}"
        if len(self.empty):
            count += f", {len(self.empty)} without particles"
        # Of what cannot be opened, what to do about it is said when it is chosen.
        state = self.trouble if video is not None else self.trouble.partition(";")[0]
        return {"video": self.path.name, **shown, "labels": count, "state": state}


def list_videos(place: Workspace) -> list[ListedVideo]:
    """Open every video of a workspace, with its labels; what is wrong is said in its row."""
    files = place.video_files()
    listed = [_opened(path) for path in files]
    try:
        labels = place.labels_of([one.path for one in listed if one.video is not None])
    except LabelError as error:
        return [replace(one, state=str(error)) if one.video else one for one in listed]
    listed = [_with_labels(one, labels.get(one.path)) for one in listed]
    listed = [_with_empty(place, one, labels.get(one.path)) for one in listed]
    ledger = Ledger.open(place.ledger, place.model_folders())
    hashes = ContentHashes(place.cache / "content_hashes.json")
    listed = [_with_state(one, ledger, hashes) for one in listed]
    hashes.save()
    return listed


def _calibration(video: Video) -> str:
    pixel, interval = video.pixel_size_um, video.frame_interval_s
    known = [f"{pixel:.4g} um"] if pixel else []
    known += [f"{interval:.4g} s"] if interval else []
    if not known:
        return "unknown"
    missing = "" if pixel and interval else "; the other unknown"
    return f"{', '.join(known)}{missing} ({video.calibration_source})"


def _opened(path: Path) -> ListedVideo:
    try:
        return ListedVideo(path, Video(path), None, "no labels")
    except (CloudTrainerError, OSError) as error:
        return ListedVideo(path, None, None, str(error))


def _with_labels(one: ListedVideo, file: Path | None) -> ListedVideo:
    if one.video is None or file is None:
        return one
    try:
        labels = read_labels(file, one.video.shape, one.video.pixel_size_um)
    except (CloudTrainerError, OSError) as error:
        return replace(one, state=str(error))
    return replace(one, labels=labels, state="new")


def _with_empty(place: Workspace, one: ListedVideo, file: Path | None) -> ListedVideo:
    if one.video is None:
        return one
    labels = NO_LABELS if one.labels is None else one.labels
    try:
        empty = frames_without_particles(place, one.path, file, labels, len(one.video))
    except LabelError:
        # A training says it; the list is of labels, which are there.
        return one
    return replace(one, empty=empty)


def _with_state(one: ListedVideo, ledger: Ledger, hashes: ContentHashes) -> ListedVideo:
    if one.video is None or one.labels is None or not ledger.records:
        return one
    try:
        md5, sha256 = hashes.of(one.path)
    except OSError as error:
        return replace(one, state=str(error))
    record = ledger.find(VideoRecord(name=one.path.name, md5=md5, sha256=sha256))
    if record is None or not record.model_version:
        return one
    if record.labels_sha256 and record.labels_sha256 != labels_hash(one.labels, one.empty):
        return replace(one, state=f"new: labels changed since {record.model_version}")
    return replace(one, state=f"learned by {record.model_version}")


def thumbnail(video: Video) -> str:
    """Return the first frame as a small PNG, base64."""
    from PIL import Image

    frame = video.frames(0, 1)[0].astype(np.float32)
    step = max(1, max(frame.shape) // (2 * _THUMBNAIL_PX))
    low, high = contrast(frame)
    grey = np.clip((frame[::step, ::step] - low) / max(high - low, 1e-9), 0, 1)
    image = Image.fromarray((255 * grey).astype(np.uint8))
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return b64encode(buffer.getvalue()).decode()


def contrast(frame: NDArray[Any]) -> tuple[float, float]:
    """Return the intensities that are shown black and white."""
    finite = frame[np.isfinite(frame)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [_LOW_PERCENT, _HIGH_PERCENT])
    return float(low), float(max(high, low + 1e-6))


def safe_name(given: str) -> str:
    """Return a file name that stays in its folder, on any system, like the one given.

    Raises
    ------
    WorkspaceError
        Nothing is left of it.
    """
    name = given.replace("\\", "/").rpartition("/")[2]
    name = unicodedata.normalize("NFC", name)
    # Control characters, and those that turn the direction of writing.
    name = "".join(sign for sign in name if unicodedata.category(sign) not in ("Cc", "Cf", "Cs"))
    name = "".join("_" if sign in _NOT_IN_NAMES else sign for sign in name)
    stem, dot, suffix = name.strip().lstrip(".").rpartition(".")
    stem, suffix = (stem, dot + suffix) if dot and stem else (suffix, "")
    while len(f"{stem}{suffix}".encode()) > _LONGEST_NAME_BYTES and stem:
        stem = stem[:-1]
    name = f"{stem.strip()}{suffix}".rstrip(". ")
    if not name:
        raise WorkspaceError(f"{given!r}: is no name for a file; rename it")
    return name


def destination(place: Workspace, given: str) -> tuple[Path, Place]:
    """Return where a file of this name belongs in a workspace: a table to the labels.

    Of a model it is where it is kept until it has been looked at.

    Raises
    ------
    WorkspaceError
        A file of that name is there, or it is no name.
    """
    name = safe_name(given)
    suffix = Path(name).suffix.lower()
    if suffix in MODEL_SUFFIXES:
        return place.models / ".incoming" / name, "models"
    is_labels = suffix in _LABEL_SUFFIXES
    path = (place.annotations if is_labels else place.videos) / name
    if path.exists():
        raise WorkspaceError(
            f"{name}: a file of this name is in {path.parent.name} already; rename yours, or "
            "remove the other first"
        )
    return path, "labels" if is_labels else "videos"


def check(place: Workspace, file: Path, path: Path, kind: Place) -> str:
    """Make sure that a file is what it should be, and return what to say of it.

    Parameters
    ----------
    place : Workspace
        The workspace that it is to be put into.
    file : Path
        The file as it lies now.
    path : Path
        Where it is to lie.
    kind : {"videos", "labels"}
        What it should be.

    Raises
    ------
    VideoError, LabelError
        It is not.
    """
    if kind == "videos":
        frames, height, width = Video(file).shape
        return f"{path.name}: {frames} frames of {width} x {height} px"
    owner = next(
        (one for one in place.video_files() if comparable_name(path) in label_names(one)), None
    )
    if owner is None:
        # Its pixel size is not known yet: the table is read, and checked when its video is there.
        count = len(read_labels(file, pixel_size_um=1.0))
        return (
            f"{path.name}: {count} labels, of no video here yet; its name must be that of its "
            "video, without extension, and _particles.csv"
        )
    video = Video(owner)
    return f"{path.name}: {len(read_labels(file, video.shape, video.pixel_size_um))} labels"


def add_by_path(place: Workspace, given: str) -> str:
    """Copy a file, or a folder of images, from this machine into a workspace; return what it is.

    Raises
    ------
    WorkspaceError
        There is no such file, one of that name is there already, or the disk is full.
    VideoError, LabelError, ModelError
        It is no video, no table of labels, or no model.
    """
    source = Path(given.strip().strip("\"'")).expanduser()
    if not source.exists():
        raise WorkspaceError(f"{source}: no such file or folder; check the path")
    if source.suffix.lower() in MODEL_SUFFIXES:
        return add_model(place, source)
    path, kind = destination(place, source.name)
    said = check(place, source, path, kind)
    unfinished = path.with_name(f".adding-{path.name}")
    try:
        if source.is_dir():
            shutil.copytree(source, unfinished)
        else:
            shutil.copyfile(source, unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise WorkspaceError(
            f"{path.name}: could not be copied ({error.strerror or error}); make room on the disk"
        ) from None
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)
    return said


def add_model(place: Workspace, source: Path) -> str:
    """Take a model into a workspace; return what to say of it.

    Raises
    ------
    ModelError
        It is no model, is damaged, or is there already.
    """
    # PyTorch takes seconds to import; the list of videos needs none of it.
    from cloudtrainer.training.model_import import import_model

    folder = import_model(source, place)
    current = place.current_model()
    what_now = (
        "it is the current one, for there was none"
        if folder == current or current is None
        else f"the current one is still {current.name}"
    )
    return f"{source.name} as the model {folder.name}; {what_now}"

"""The videos of a workspace: opened, joined with their labels, and told apart by content."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations import read_labels
from cloudtrainer.annotations.looked_at import empty_frames, looked_at_file, read_looked_at
from cloudtrainer.errors import LabelError, VideoError
from cloudtrainer.training.hashes import ContentHashes, labels_hash
from cloudtrainer.training.ledger import VideoRecord
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace, comparable_name, label_names

NO_LABELS = pd.DataFrame({"frame": pd.Series(dtype="int64"), "x": [], "y": []}).astype(
    {"x": "float64", "y": "float64"}
)
_TABLES = (".csv", ".xml", ".parquet")


@dataclass(frozen=True)
class FoundVideo:
    """A labelled video.

    Attributes
    ----------
    video : Video
        The video.
    labels : DataFrame
        ``frame, x, y``, pixels; no row where all that is known are frames without a particle.
    empty : ndarray of int64
        Numbers of the frames that were confirmed to hold no particle, rising.
    record : VideoRecord
        Its name and hashes.
    """

    video: Video
    labels: pd.DataFrame
    empty: NDArray[np.int64]
    record: VideoRecord

    @property
    def with_particles(self) -> NDArray[np.int64]:
        """Numbers of the frames with labels, rising."""
        return np.unique(self.labels["frame"].to_numpy(np.int64))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of all frames that are learned from or held out, rising."""
        return np.union1d(self.with_particles, self.empty)


@dataclass
class FoundVideos:
    """What the folder of videos holds.

    Attributes
    ----------
    labelled : list of FoundVideo
        Videos with labels, by name, each content once.
    unlabelled : dict of Path to Video
        Videos without.
    left_out : list of str
        What is no video, or cannot be used, each with the reason.
    notes : list of str
        Labels that belong to no video, and frames without particles.
    """

    labelled: list[FoundVideo] = field(default_factory=list)
    unlabelled: dict[Path, Video] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_videos(place: Workspace, hashes: ContentHashes) -> FoundVideos:
    """Open every video of a workspace, with its labels and the frames that hold no particle.

    A video of which nothing but such frames is known, as of a sample without particles, is found
    where another one has labels: what particles look like must be known from somewhere.

    All labels are checked before the first video is read for its hash, which takes long.

    Parameters
    ----------
    place : Workspace
        The workspace.
    hashes : ContentHashes
        Where hashes of large videos are remembered.

    Raises
    ------
    LabelError
        Labels are not valid, or it is not clear which video they belong to.
    """
    found = FoundVideos()
    found.unlabelled = _opened(place, found)
    files = _label_files(place, found)
    labels = {video: _labels(file, found.unlabelled[video]) for video, file in files.items()}
    empty = {
        path: _empty(place, path, files.get(path), labels.get(path, NO_LABELS), found)
        for path in found.unlabelled
    }
    known = {*labels, *(path for path in empty if len(empty[path]) and labels)}
    found.notes += [
        f"{path.name}: its {_counted(len(empty[path]))} confirmed as empty will be learned from "
        "once a frame of any video has labels"
        for path in empty
        if len(empty[path]) and not labels
    ]
    for path in sorted(known):
        here = labels.get(path, NO_LABELS)
        _add(found, path, found.unlabelled.pop(path), here, empty[path], hashes)
    return found


def frames_without_particles(
    place: Workspace, path: Path, file: Path | None, labels: pd.DataFrame, frames: int
) -> NDArray[np.int64]:
    """Return the frames of a video that were confirmed to hold no particle, and have no label.

    Parameters
    ----------
    place : Workspace
        The workspace.
    path : Path
        The video's file or folder.
    file : Path or None
        Its file of labels.
    labels : DataFrame
        What that holds.
    frames : int
        How many frames the video has.

    Raises
    ------
    LabelError
        The note of them is damaged.
    """
    notes = read_looked_at(looked_at_file(place.labels_csv(path, file)))
    confirmed = np.array(sorted(empty_frames(notes, frames)), np.int64)
    return np.setdiff1d(confirmed, labels["frame"].to_numpy(np.int64))


def _opened(place: Workspace, found: FoundVideos) -> dict[Path, Video]:
    videos = {}
    for path in place.video_files():
        try:
            videos[path] = Video(path)
        except (VideoError, OSError) as error:
            is_table = path.suffix.lower() in _TABLES
            where = f"{path}: is no video; labels belong into {place.annotations}"
            found.left_out.append(where if is_table else str(error))
    return videos


def _label_files(place: Workspace, found: FoundVideos) -> dict[Path, Path]:
    """Return the label file of each video that opens; note those of no video at all."""
    files = place.labels_of(list(found.unlabelled))
    names = {name for path in place.video_files() for name in label_names(path)}
    strangers = [file for file in place.label_files() if comparable_name(file) not in names]
    found.notes += [
        f"{file.name}: labels of no video in {place.videos}; name them "
        "<video name without its extension>_particles.csv"
        for file in strangers
    ]
    found.notes += _taken_by_another(files, found)
    return files


def _taken_by_another(files: dict[Path, Path], found: FoundVideos) -> list[str]:
    """Say which video a file of labels was taken for, where its name fits another one too."""
    owners = {comparable_name(file): video for video, file in files.items()}
    return [
        f"{files[owners[name]].name}: taken for {owners[name].name}; for {video.name} it must be "
        f"named {video.stem}_particles.csv"
        for video in found.unlabelled
        if video not in files
        for name in label_names(video)
        if name in owners
    ]


def _labels(file: Path, video: Video) -> pd.DataFrame:
    labels = read_labels(file, video.shape, video.pixel_size_um)
    if labels.empty:
        raise LabelError(
            f"{file}: holds no particle; label some, or remove the file and confirm in the Studio "
            "that its frames are empty"
        )
    return labels


def _empty(
    place: Workspace, path: Path, file: Path | None, labels: pd.DataFrame, found: FoundVideos
) -> NDArray[np.int64]:
    try:
        return frames_without_particles(place, path, file, labels, len(found.unlabelled[path]))
    except LabelError as error:
        found.notes.append(str(error))
        return np.empty(0, np.int64)


def _counted(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"


def _add(
    found: FoundVideos,
    path: Path,
    video: Video,
    labels: pd.DataFrame,
    empty: NDArray[np.int64],
    hashes: ContentHashes,
) -> None:
    try:
        md5, sha256 = hashes.of(path)
    except OSError as error:
        found.left_out.append(str(error))
        return
    twin = next((one.record.name for one in found.labelled if one.record.sha256 == sha256), None)
    if twin is not None:
        found.left_out.append(f"{path.name}: the same video as {twin}, whose labels are used")
        return
    record = VideoRecord(
        name=path.name,
        md5=md5,
        sha256=sha256,
        labels_sha256=labels_hash(labels, empty),
        labelled_frames=int(labels["frame"].nunique()) + len(empty),
    )
    if len(empty):
        found.notes.append(
            f"{path.name}: {_counted(len(empty))} confirmed as empty: examples without particles"
        )
    found.labelled.append(FoundVideo(video, labels, empty, record))

"""Frames kept from learned videos, so that they are rehearsed when the videos are gone."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.atomic import replacing
from cloudtrainer.training.hashes import is_hash, is_sha256
from cloudtrainer.training.labelled import LabelledVideo
from cloudtrainer.training.ledger import VideoRecord
from cloudtrainer.training.neighbours import Neighbours, numbers_around

_MOST_LEARNED = 32
_MOST_HELD_OUT = 8
# Large frames: fewer of them.
_MOST_BYTES = 256 << 20
_ENDING = ".npz"


@dataclass(frozen=True)
class KeptVideo:
    """What is kept of a learned video.

    Attributes
    ----------
    path : Path
        The file.
    record : VideoRecord
        What was known of the video when its frames were kept.
    video : LabelledVideo
        The kept frames with their labels, each read when it is asked for.
    """

    path: Path
    record: VideoRecord
    video: LabelledVideo


class KeptFrames:
    """Images in a file of kept frames, read one by one: those of many videos fill a memory."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path = path
        self.names = names

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        with np.load(self.path, allow_pickle=False) as stored:
            image: NDArray[Any] = stored[self.names[index]]
        return image

    def __len__(self) -> int:
        return len(self.names)


def keep(folder: Path, video: LabelledVideo, record: VideoRecord) -> None:
    """Keep some frames of a learned video, evenly spaced, and of those held out too.

    Where they were learned with the frames around them, these are kept as well.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = video.around.context_frames if video.around is not None else 0
    nbytes = max(1, video.images[0].nbytes * (2 * context + 1))
    most = max(2, min(_MOST_LEARNED + _MOST_HELD_OUT, _MOST_BYTES // nbytes))
    held_out = _spread(np.flatnonzero(video.held_out), max(1, most * _MOST_HELD_OUT // 40))
    learned = _spread(np.flatnonzero(~video.held_out), most - len(held_out))
    chosen = np.sort(np.concatenate([learned, held_out]))
    images: dict[str, Any] = {
        _image(place): video.images[int(index)] for place, index in enumerate(chosen)
    }
    if video.around is not None:
        images |= _neighbours(video.around, video.numbers[chosen])
    with replacing(folder / f"{record.sha256}{_ENDING}") as unfinished, unfinished.open("wb") as at:
        # Not compressed: noise hardly shrinks, and each crop of a training reads an image.
        np.savez(
            at,
            name=np.array(record.name),
            md5=np.array(record.md5),
            labels_sha256=np.array(record.labels_sha256),
            labelled_frames=np.array(record.labelled_frames),
            stretches=np.array(record.held_out, np.int64).reshape(-1, 2),
            numbers=video.numbers[chosen],
            context_frames=np.array(context),
            positions=np.concatenate([video.positions[int(index)] for index in chosen]),
            particles=np.array([len(video.positions[int(index)]) for index in chosen]),
            held_out=video.held_out[chosen],
            polarity=np.array(video.polarity),
            brightest=np.array(video.brightest),
            **images,
        )


def kept_videos(
    folder: Path, present: Collection[str] = frozenset()
) -> tuple[list[KeptVideo], list[str]]:
    """Return what is kept of learned videos, and a line for each file that cannot be read.

    Parameters
    ----------
    folder : Path
        Where the frames are kept.
    present : collection of str
        SHA-256 of videos that are not gone, whose kept frames are left alone.
    """
    kept, notes = [], []
    for path in sorted(folder.glob(f"*{_ENDING}")) if folder.is_dir() else []:
        if path.name.startswith(".") or path.stem in present:
            continue
        try:
            kept.append(_read(path))
        except Exception:
            # A damaged archive ends in any exception: BadZipFile, zlib.error, KeyError, ...
            notes.append(
                f"{path}: is damaged, or holds no kept frames; it is not rehearsed: remove it"
            )
    return kept, notes


def _read(path: Path) -> KeptVideo:
    with np.load(path, allow_pickle=False) as stored:
        numbers = stored["numbers"].astype(np.int64)
        particles = stored["particles"].astype(np.int64)
        positions = stored["positions"].astype(np.float32).reshape(-1, 2)
        stretches = stored["stretches"].astype(np.int64).reshape(-1, 2)
        record = VideoRecord(
            name=str(stored["name"]),
            md5=str(stored["md5"]),
            sha256=path.stem,
            labels_sha256=str(stored["labels_sha256"]),
            held_out=tuple((int(first), int(last)) for first, last in stretches),
            labelled_frames=int(stored["labelled_frames"]),
        )
        names = [_image(index) for index in range(len(numbers))]
        images, around = KeptFrames(path, list(names)), None
        if "neighbour_numbers" in stored:
            others = stored["neighbour_numbers"].astype(np.int64)
            names += [_neighbour(index) for index in range(len(others))]
            every = np.concatenate([numbers, others])
            order = np.argsort(every)
            frames = KeptFrames(path, [names[index] for index in order])
            around = Neighbours(every[order], frames, int(stored["context_frames"]))
        video = LabelledVideo(
            name=record.name,
            images=images,
            numbers=numbers,
            positions=np.split(positions, np.cumsum(particles)[:-1]),
            held_out=stored["held_out"].astype(bool),
            polarity=int(stored["polarity"]),
            brightest=float(stored["brightest"]),
            around=around,
        )
        # Images are read again while the model learns: a damaged one must be found before.
        shapes = {stored[name].shape for name in names}
    if not (
        len(numbers) == len(particles) == len(video.held_out)
        and particles.sum() == len(positions)
        and [len(shape) for shape in shapes] == [2]
        and is_sha256(record.sha256)
        and is_hash(record.md5)
    ):
        raise ValueError
    return KeptVideo(path, record, video)


def _neighbours(around: Neighbours, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """Return the frames around some of the labelled ones as they are stored."""
    frames = int(around.numbers[-1]) + 1
    wanted = numbers_around(numbers, around.context_frames, frames)
    others = np.setdiff1d(np.intersect1d(wanted, around.numbers), numbers)
    chosen = around.chosen(others)
    return {
        "neighbour_numbers": others,
        **{_neighbour(index): chosen[index] for index in range(len(others))},
    }


def _spread(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    places = np.linspace(0, len(indices) - 1, min(most, len(indices)))
    chosen: NDArray[np.int64] = indices[np.unique(places.round().astype(int))]
    return chosen


def _image(index: int) -> str:
    return f"image_{index}"


def _neighbour(index: int) -> str:
    return f"neighbour_{index}"

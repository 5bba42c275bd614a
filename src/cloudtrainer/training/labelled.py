"""Labelled frames: which are learned from, which are held out, and crops of them.

A frame that was confirmed to hold no particle is one of them, with no position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.frame_cache import Frames, VideoFrames
from cloudtrainer.training.hold_out import hold_out_frames, is_held_out
from cloudtrainer.training.ledger import Ranges
from cloudtrainer.training.neighbours import Neighbours, numbers_around
from cloudtrainer.video import Video

_FRAMES_FOR_POLARITY = 20
# Of the crops of a video, and of all videos: most of what is learned shows particles.
_MOST_WITHOUT_PARTICLES = 0.25


@dataclass(frozen=True)
class LabelledVideo:
    """The labelled frames of a video, and which of them are held out.

    Attributes
    ----------
    name : str
        Its file name.
    images : Frames
        Its labelled frames, each read when it is asked for.
    numbers : ndarray of int64
        Their numbers in the video.
    positions : list of ndarray
        x, y of every particle of each frame, float32, (particles, 2), pixels; none, (0, 2), where
        it was confirmed that there is none.
    held_out : ndarray of bool
        Which frames are for validation only.
    polarity : int
        1 if the labelled particles are brighter than their surroundings, -1 if darker; 1 where
        there are none.
    brightest : float
        Largest intensity of the video.
    around : Neighbours or None
        Its labelled frames with those around them; None where these are not needed or not there.
    """

    name: str
    images: Frames
    numbers: NDArray[np.int64]
    positions: list[NDArray[np.float32]]
    held_out: NDArray[np.bool_]
    polarity: int
    brightest: float
    around: Neighbours | None = None

    def stack(self, index: int, context_frames: int) -> list[NDArray[Any]]:
        """Return a labelled frame between its neighbours, 2 context_frames + 1 in all.

        The nearest frame that is there stands for one that is not.
        """
        if context_frames == 0 or self.around is None:
            return [self.images[index]] * (2 * context_frames + 1)
        return self.around.stack(int(self.numbers[index]), context_frames)

    @property
    def particles(self) -> int:
        """The number of labels."""
        return sum(len(xy) for xy in self.positions)

    @property
    def scores(self) -> bool:
        """Whether a held-out frame has particles: what is found in others has no recall."""
        return any(len(self.positions[index]) > 0 for index in np.flatnonzero(self.held_out))

    def frame_numbers(self, held_out: bool) -> list[int]:
        """Return the labelled frames of one of the two parts."""
        return [int(number) for number in self.numbers[self.held_out == held_out]]


def labelled_video(
    name: str,
    images: Frames,
    labels: pd.DataFrame,
    stretches: Ranges,
    brightest: float | None = None,
    around: Neighbours | None = None,
    empty: NDArray[np.int64] | None = None,
) -> LabelledVideo:
    """Join the labelled frames of a video with their labels, and find its polarity.

    Parameters
    ----------
    name : str
        The video's file name.
    images : Frames
        Its labelled frames, in their order.
    labels : DataFrame
        ``frame, x, y`` of every particle of the frames that are labelled.
    stretches : tuple of (int, int)
        First and last frame of what is held out.
    brightest : float, optional
        Largest intensity of the whole video; default: that of the labelled frames.
    around : Neighbours, optional
        The labelled frames with those around them.
    empty : ndarray of int64, optional
        Numbers of frames that hold no particle; they are among the images.
    """
    numbers = np.unique(labels["frame"].to_numpy(np.int64))
    if empty is not None:
        numbers = np.union1d(numbers, empty)
    ordered = labels.sort_values("frame", kind="stable")
    cuts = np.searchsorted(ordered["frame"].to_numpy(), numbers[1:])
    # A label on the outer edge of the last pixel belongs to that pixel.
    height, width = images[0].shape
    xy = ordered[["x", "y"]].to_numpy(np.float32).clip(-0.5, [width - 0.501, height - 0.501])
    positions = np.split(xy.astype(np.float32), cuts)
    if brightest is None:
        brightest = max(float(images[index].max()) for index in range(len(images)))
    return LabelledVideo(
        name=name,
        images=images,
        numbers=numbers,
        positions=positions,
        held_out=is_held_out(numbers, stretches),
        polarity=_polarity(images, positions),
        brightest=brightest,
        around=around,
    )


def split_labelled(
    video: Video, labels: pd.DataFrame, validation_split: float, context_frames: int = 0
) -> LabelledVideo:
    """Hold out the last labelled frames of a video, in one block."""
    numbers = np.unique(labels["frame"].to_numpy(np.int64))
    stretches = hold_out_frames(numbers, validation_split)
    around = None
    if context_frames:
        wanted = numbers_around(numbers, context_frames, len(video))
        around = Neighbours(wanted, VideoFrames(video, wanted), context_frames)
    frames = VideoFrames(video, numbers)
    return labelled_video(video.name, frames, labels, stretches, around=around)


def _polarity(images: Frames, positions: list[NDArray[np.float32]]) -> int:
    contrast = []
    shown = [index for index, xy in enumerate(positions) if len(xy)]
    if not shown:
        return 1
    for index in shown[:_FRAMES_FOR_POLARITY]:
        frame = images[index].astype(float)
        column, row = positions[index].round().astype(int).T
        inside = frame[row.clip(0, frame.shape[0] - 1), column.clip(0, frame.shape[1] - 1)]
        contrast.append(float(np.median(inside) - np.median(frame)))
    return 1 if np.median(contrast) >= 0 else -1


@dataclass
class LabelledFrames:
    """Crops of the frames that are learned from.

    Attributes
    ----------
    videos : list of LabelledVideo
        The videos; each is drawn from equally often, however many of its frames are labelled.
        Frames without particles, and videos without any, are drawn as often as others, but at most
        in a quarter of the crops.
    as_filmed : bool
        Leave dark particles dark, as models of versions 2.0 and 3.0 see them; otherwise frames are
        inverted so that particles are bright.
    """

    videos: list[LabelledVideo]
    as_filmed: bool = False
    _learned: list["_Drawn"] = field(init=False)
    _which: "_Drawn" = field(init=False)

    def __post_init__(self) -> None:
        self.videos = [video for video in self.videos if not video.held_out.all()]
        self._learned = [
            _Drawn(np.flatnonzero(~video.held_out), [len(xy) > 0 for xy in video.positions])
            for video in self.videos
        ]
        with_particles = [video.particles > 0 for video in self.videos]
        self._which = _Drawn(np.arange(len(self.videos)), with_particles)

    def __len__(self) -> int:
        """Return the number of frames that are learned from."""
        return sum(len(frames) for frames in self._learned)

    def crops(
        self,
        number: int,
        size_px: int,
        generator: torch.Generator,
        margin_px: int = 0,
        context_frames: int = 0,
    ) -> Scenes:
        """Cut crops at random from random frames.

        Parameters
        ----------
        number : int
            Crops to cut.
        size_px : int
            Side of a crop that lies within its frame, in pixels.
        margin_px : int
            What is added on each side, for turning; it may reach out of the frame, which is
            mirrored there together with its labels.
        generator : torch.Generator
            Source of every random number; its device is the device of the crops.
        context_frames : int
            Frames before and after each, which are cut at the same place.

        Returns
        -------
        Scenes
            Images (number, size_px + 2 margin_px, size_px + 2 margin_px) and positions.
        """
        images, positions, brightest = [], [], []
        for which, frame, right, down in self._choose(number, generator):
            video = self.videos[which]
            stack = video.stack(frame, context_frames)
            places = video.positions[frame]
            image, xy = _crop(stack, places, size_px, margin_px, right, down)
            images.append(image if self.as_filmed else video.polarity * image)
            positions.append(xy)
            brightest.append(video.brightest)
        x, y, present = _packed(positions)
        device = generator.device
        frames = torch.as_tensor(np.stack(images), device=device)
        crops = Scenes(
            images=frames[:, context_frames],
            x=torch.as_tensor(x, device=device),
            y=torch.as_tensor(y, device=device),
            present=torch.as_tensor(present, device=device),
            brightest=torch.tensor(brightest, dtype=torch.float32, device=device),
        )
        return crops.with_frames(frames)

    def sources(self, number: int, generator: torch.Generator) -> list[str]:
        """Name the video and the frame of each crop that the same generator would cut."""
        return [
            f"{self.videos[which].name} frame {self.videos[which].numbers[frame]}"
            for which, frame, _, _ in self._choose(number, generator)
        ]

    def _choose(
        self, number: int, generator: torch.Generator
    ) -> list[tuple[int, int, float, float]]:
        """Draw the video, the frame and the corner, as shares of the room for it, of each crop."""
        drawn = torch.rand(number, 4, generator=generator, device=generator.device).cpu().numpy()
        chosen = []
        for video_share, frame_share, right, down in drawn.astype(float):
            which = self._which.at(video_share)
            frame = self._learned[which].at(frame_share)
            chosen.append((which, frame, right, down))
        return chosen


class _Drawn:
    """Numbers to draw from, each equally often, but those without particles not too often."""

    def __init__(self, numbers: NDArray[Any], shows: Sequence[bool]) -> None:
        some = np.array(shows, bool)[numbers]
        # First those without particles: without any, one is drawn as if this were not here.
        self._parts = [part for part in (numbers[~some], numbers[some]) if len(part)]
        self._share_of_first = 1.0
        if len(self._parts) == 2:
            self._share_of_first = min(float((~some).mean()), _MOST_WITHOUT_PARTICLES)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def at(self, share: float) -> int:
        """Return the number at a place from 0 to below 1."""
        part, low, high = self._parts[0], 0.0, self._share_of_first
        if share >= high:
            part, low, high = self._parts[1], high, 1.0
        place = int((share - low) / (high - low) * len(part))
        return int(part[min(place, len(part) - 1)])


def _crop(
    stack: list[NDArray[Any]],
    xy: NDArray[np.float32],
    size_px: int,
    margin_px: int,
    right: float,
    down: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut one crop of all frames of a stack, (frames, side, side).

    What a frame lacks in size is mirrored at its borders, its labels ``xy`` too.
    """
    height, width = stack[0].shape
    top, bottom = _stretch(height, size_px, margin_px, down)
    left, end = _stretch(width, size_px, margin_px, right)
    rows, columns = slice(max(top, 0), bottom), slice(max(left, 0), end)
    image = np.stack([pixels[rows, columns] for pixels in stack]).astype(np.float32)
    if top < 0 or bottom > height or left < 0 or end > width:
        outside = (
            (0, 0),
            (max(-top, 0), max(bottom - height, 0)),
            (max(-left, 0), max(end - width, 0)),
        )
        image = np.pad(image, outside, mode="symmetric")
        xy = _mirrored(xy, left, end, width, 0)
        xy = _mirrored(xy, top, bottom, height, 1)
    xy = xy - np.array([left, top], np.float32)
    inside = ((xy >= -0.5) & (xy < image.shape[-1] - 0.5)).all(axis=1)
    return image, xy[inside]


def _stretch(side: int, size_px: int, margin_px: int, share: float) -> tuple[int, int]:
    """Return where a crop begins and ends along one side; a short side lies in its middle."""
    first = int(share * (side - size_px + 1)) if side >= size_px else -((size_px - side) // 2)
    return first - margin_px, first + size_px + margin_px


def _mirrored(
    xy: NDArray[np.float32], first: int, end: int, side: int, axis: int
) -> NDArray[np.float32]:
    """Add the mirror images of positions along one axis, as often as the crop reaches out."""
    period = 2 * side
    copies = []
    for lap in range(first // period - 1, end // period + 2):
        along = xy.copy()
        along[:, axis] += lap * period
        back = xy.copy()
        back[:, axis] = lap * period - 1 - back[:, axis]
        copies += [along, back]
    joined = np.concatenate(copies)
    inside = (joined[:, axis] >= first - 0.5) & (joined[:, axis] < end - 0.5)
    return joined[inside]


def held_out_frames(
    labelled: LabelledVideo, most: int, *, as_filmed: bool = False, context_frames: int = 0
) -> list[Scenes]:
    """Return at most ``most`` held-out frames of a video, in parts of at most 256 x 256 px.

    The frames are evenly spaced; parts, because the truth of a large frame with many particles
    would not fit in memory.
    """
    indices = np.flatnonzero(labelled.held_out)
    spread = np.linspace(0, len(indices) - 1, min(most, len(indices)))
    sign = 1 if as_filmed else labelled.polarity
    parts = []
    for index in indices[np.unique(spread.astype(int))]:
        stack = labelled.stack(int(index), context_frames)
        image = sign * np.stack(stack).astype(np.float32)
        xy = labelled.positions[int(index)]
        for rows in _stretches(image.shape[1]):
            for columns in _stretches(image.shape[2]):
                corner = np.array([columns.start, rows.start], np.float32)
                end = np.array([columns.stop, rows.stop], np.float32)
                inside = ((xy >= corner - 0.5) & (xy < end - 0.5)).all(axis=1)
                part = np.ascontiguousarray(image[:, rows, columns])
                parts.append(_scene(part, xy[inside] - corner, labelled.brightest))
    return parts


def _stretches(length: int, longest: int = 256) -> list[slice]:
    """Part a side into stretches of nearly equal length."""
    edges = np.linspace(0, length, -(-length // longest) + 1).round().astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]


def _scene(image: NDArray[np.float32], xy: NDArray[np.float32], brightest: float) -> Scenes:
    x, y, present = _packed([xy])
    frames = torch.as_tensor(image)[None]
    scene = Scenes(
        images=frames[:, len(image) // 2],
        x=torch.as_tensor(x),
        y=torch.as_tensor(y),
        present=torch.as_tensor(present),
        brightest=torch.tensor([brightest]),
    )
    return scene.with_frames(frames)


def _packed(
    positions: list[NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Put positions of several images side by side, with at least one place in each."""
    most = max(1, max(len(xy) for xy in positions))
    packed = np.zeros((len(positions), most, 2), np.float32)
    present = np.zeros((len(positions), most), bool)
    for row, xy in enumerate(positions):
        packed[row, : len(xy)] = xy
        present[row, : len(xy)] = True
    return packed[..., 0], packed[..., 1], present

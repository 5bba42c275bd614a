"""Scenes cut from labelled frames: crops to learn from, and parts of the frames held out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.labelled import LabelledVideo

# Of the crops of a video, and of all videos: most of what is learned shows particles.
_MOST_WITHOUT_PARTICLES = 0.25


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
        return Scenes.of_frames(
            torch.as_tensor(np.stack(images), device=device),
            x=torch.as_tensor(x, device=device),
            y=torch.as_tensor(y, device=device),
            present=torch.as_tensor(present, device=device),
            brightest=torch.tensor(brightest, dtype=torch.float32, device=device),
        )

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
    return Scenes.of_frames(
        torch.as_tensor(image)[None],
        x=torch.as_tensor(x),
        y=torch.as_tensor(y),
        present=torch.as_tensor(present),
        brightest=torch.tensor([brightest]),
    )


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

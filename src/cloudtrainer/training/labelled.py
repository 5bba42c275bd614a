"""Frames with labels: which are learned from, which are held out, and crops of them."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.video import Video


@dataclass(frozen=True)
class LabelledVideo:
    """A video, its labels, and the frame at which the held-out part begins.

    Attributes
    ----------
    video : Video
        The video.
    labels : DataFrame
        ``frame, x, y`` of every particle of the frames that are labelled.
    first_held_out : int
        Frames from this one on are for validation only.
    polarity : int
        1 if the labelled particles are brighter than their surroundings, -1 if darker.
    """

    video: Video
    labels: pd.DataFrame
    first_held_out: int
    polarity: int

    def frame_numbers(self, held_out: bool) -> list[int]:
        """Return the labelled frames of one of the two parts."""
        frames = np.unique(self.labels["frame"].to_numpy())
        return [int(frame) for frame in frames if (frame >= self.first_held_out) == held_out]


def split_labelled(video: Video, labels: pd.DataFrame, validation_split: float) -> LabelledVideo:
    """Hold out the last labelled frames of a video, in one block, and find its polarity.

    A contiguous block, because neighbouring frames show the same particles: a random choice of
    frames would score the detector on what it has seen.
    """
    frames = np.unique(labels["frame"].to_numpy())
    held_out = round(validation_split * len(frames))
    held_out = min(max(held_out, 1), len(frames) - 1) if len(frames) > 1 else 0
    first = int(frames[-held_out]) if held_out else int(frames[-1]) + 1
    return LabelledVideo(video, labels, first, _polarity(video, labels))


def _polarity(video: Video, labels: pd.DataFrame) -> int:
    contrast = []
    for number in np.unique(labels["frame"].to_numpy())[:20]:
        frame = video.frames(int(number), int(number) + 1)[0].astype(float)
        own = labels[labels["frame"] == number]
        column = own["x"].round().astype(int).clip(0, frame.shape[1] - 1)
        row = own["y"].round().astype(int).clip(0, frame.shape[0] - 1)
        contrast.append(float(np.median(frame[row, column]) - np.median(frame)))
    return 1 if np.median(contrast) >= 0 else -1


@dataclass
class LabelledFrames:
    """Crops of the frames that are learned from.

    Attributes
    ----------
    videos : list of LabelledVideo
        The videos of a workspace that have labels.
    """

    videos: list[LabelledVideo]
    _places: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._places = [
            (index, frame)
            for index, labelled in enumerate(self.videos)
            for frame in labelled.frame_numbers(held_out=False)
        ]

    def crops(self, number: int, size_px: int, generator: torch.Generator) -> Scenes:
        """Cut crops at random from random frames, (number, size_px, size_px)."""
        device = generator.device
        chosen = torch.randint(
            len(self._places), (number,), generator=generator, device=device
        ).tolist()
        corners = torch.rand(number, 2, generator=generator, device=device).cpu().numpy()
        images, positions = [], []
        for place, (right, down) in zip(chosen, corners, strict=True):
            index, frame = self._places[place]
            image, xy = self._crop(self.videos[index], frame, size_px, float(right), float(down))
            images.append(image)
            positions.append(xy)
        most = max(1, max(len(xy) for xy in positions))
        packed = np.zeros((number, most, 2), np.float32)
        present = np.zeros((number, most), bool)
        for row, xy in enumerate(positions):
            packed[row, : len(xy)] = xy
            present[row, : len(xy)] = True
        return Scenes(
            images=torch.as_tensor(np.stack(images), device=device),
            x=torch.as_tensor(packed[..., 0], device=device),
            y=torch.as_tensor(packed[..., 1], device=device),
            present=torch.as_tensor(present, device=device),
        )

    @staticmethod
    def _crop(
        labelled: LabelledVideo, frame: int, size_px: int, right: float, down: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pixels = labelled.video.frames(frame, frame + 1)[0].astype(np.float32)
        short_y, short_x = (max(0, size_px - side) for side in pixels.shape)
        if short_y or short_x:
            pixels = np.pad(pixels, ((0, short_y), (0, short_x)), mode="symmetric")
        top = int(down * (pixels.shape[0] - size_px + 1))
        left = int(right * (pixels.shape[1] - size_px + 1))
        own = labelled.labels[labelled.labels["frame"] == frame]
        xy = own[["x", "y"]].to_numpy(np.float32) - np.array([left, top], np.float32)
        inside = ((xy > -0.5) & (xy < size_px - 0.5)).all(axis=1)
        image = labelled.polarity * pixels[top : top + size_px, left : left + size_px]
        return image, xy[inside]


def held_out_frames(labelled: LabelledVideo, most: int = 20) -> list[Scenes]:
    """Return held-out frames of a video (at most ``most``), in parts of at most 256 x 256 px.

    Parts, because the truth of a large frame with many particles would not fit in memory.
    """
    numbers = labelled.frame_numbers(held_out=True)
    chosen = np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).astype(int))
    parts = []
    for number in (numbers[index] for index in chosen):
        image = labelled.video.frames(number, number + 1)[0].astype(np.float32)
        own = labelled.labels[labelled.labels["frame"] == number]
        xy = own[["x", "y"]].to_numpy(np.float32)
        for rows in _stretches(image.shape[0]):
            for columns in _stretches(image.shape[1]):
                corner = np.array([columns.start, rows.start], np.float32)
                end = np.array([columns.stop, rows.stop], np.float32)
                inside = ((xy >= corner - 0.5) & (xy < end - 0.5)).all(axis=1)
                parts.append(_scene(labelled.polarity * image[rows, columns], xy[inside] - corner))
    return parts


def _stretches(length: int, longest: int = 256) -> list[slice]:
    """Part a side into stretches of nearly equal length."""
    edges = np.linspace(0, length, -(-length // longest) + 1).round().astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]


def _scene(image: NDArray[np.float32], xy: NDArray[np.float32]) -> Scenes:
    """Return one image with its positions; an empty one has a place that holds no particle."""
    padded = xy if len(xy) else np.zeros((1, 2), np.float32)
    return Scenes(
        images=torch.as_tensor(np.ascontiguousarray(image))[None],
        x=torch.as_tensor(padded[:, 0])[None],
        y=torch.as_tensor(padded[:, 1])[None],
        present=torch.full((1, len(padded)), len(xy) > 0),
    )

"""Scenes to train on over the background and with the noise of a real video without labels."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cloudtrainer.config import SceneSettings
from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.moving import repeat_at_ends
from cloudtrainer.simulation.noise import Noise, measure_noise
from cloudtrainer.simulation.particles import draw_particles
from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.video import Video

_FRAMES = 60
_BYTES_AT_ONCE = 1 << 27


@dataclass(frozen=True)
class Backdrop:
    """What remains of a video without its moving particles, which are brighter than it.

    Of a video with dark particles all counts are turned over: the largest becomes 0.

    Attributes
    ----------
    background : Tensor
        Counts without noise, float32, (height, width).
    noise : Noise
        The noise of a pixel.
    step : float
        Counts between neighbouring values of the video; 0 where there is only one value.
    lowest, highest : float
        Least and largest counts of the frames looked at.
    """

    background: Tensor
    noise: Noise
    step: float
    lowest: float
    highest: float

    def to(self, device: torch.device) -> "Backdrop":
        """Return the backdrop on a device."""
        return replace(self, background=self.background.to(device))


def measure_backdrop(video: Video, polarity: int = 1) -> Backdrop:
    """Measure a video's background and noise, leaving out particles that move.

    A pixel's background is the mean of the darker values that it has in up to 60 evenly spaced
    frames (from the tenth to the fortieth percentile; brighter ones for dark particles), plus what
    these are darker than the mean by noise alone: so particles vanish that are over it in less
    than about half of the frames. What stays longer is taught as background by scenes that are
    drawn over it: stuck particles, and those that move by less than their own width in the whole
    video. Look at the background before training on it. The fewer the frames, the more of their
    noise stays in it: a seventh of its variance with ten.

    Parameters
    ----------
    video : Video
        Three frames or more; up to 60 are read, several times where they are large.
    polarity : int
        1 if the video's particles are brighter than their surroundings, -1 if darker.

    Raises
    ------
    VideoError
        If the video has fewer than three frames or all are identical: then particles cannot be
        told from the background.
    """
    if len(video) < 3:
        raise VideoError(
            f"{video.name}: has {len(video)} frame(s), three are needed to tell particles from "
            "the background and simulate others over it; label it, or leave it out"
        )
    seen = _look(video, polarity)
    noise = measure_noise(video, seen.numbers, seen.median, seen.step, (seen.lowest, seen.highest))
    if noise.gain == noise.read_noise == seen.step == 0:
        # Of particles as bright as no noise nothing would show.
        noise = replace(noise, read_noise=0.05 * float(seen.median.std()) or 1.0)
    sd = noise.variance(torch.from_numpy(seen.median)).sqrt()
    background = torch.from_numpy(seen.calm) + polarity * seen.darker_by_sd * sd
    if polarity > 0:
        return Backdrop(background, noise, seen.step, seen.lowest, seen.highest)
    return Backdrop(
        background=seen.highest - background,
        noise=noise.turned_over(seen.highest),
        step=seen.step,
        lowest=0.0,
        highest=seen.highest - seen.lowest,
    )


@dataclass(frozen=True)
class _Seen:
    """Sampled frames of a video in short.

    ``calm`` is the mean of the values away from those of particles, which noise alone takes
    ``darker_by_sd`` standard deviations away from the mean of all.
    """

    numbers: list[int]
    median: NDArray[np.float32]
    calm: NDArray[np.float32]
    darker_by_sd: float
    step: float
    lowest: float
    highest: float


def _look(video: Video, polarity: int) -> _Seen:
    """Read the sampled frames, as many rows at once as fit in 128 MB."""
    count, height, width = video.shape
    numbers = np.unique(np.linspace(0, count - 1, _FRAMES).round().astype(int)).tolist()
    sampled = len(numbers)
    ranks = np.arange(math.floor(0.1 * sampled), math.ceil(0.4 * sampled))
    rows_at_once = max(1, _BYTES_AT_ONCE // (sampled * width * video.dtype.itemsize))
    median, calm = np.empty((2, height, width), np.float32)
    lowest, highest, moves = math.inf, -math.inf, False
    values = np.empty(0, video.dtype)
    for top in range(0, height, rows_at_once):
        rows = slice(top, min(top + rows_at_once, height))
        stack = np.empty((rows.stop - top, width, sampled), video.dtype)
        for index, number in enumerate(numbers):
            stack[..., index] = video.frames(number, number + 1)[0, rows]
        values = np.union1d(values, stack.reshape(-1)[:: max(1, stack.size // 65_536)])
        stack.sort(axis=-1)
        lowest, highest = min(lowest, float(stack.min())), max(highest, float(stack.max()))
        moves = moves or bool((stack[..., 0] < stack[..., -1]).any())
        middle = stack[..., (sampled - 1) // 2 : sampled // 2 + 1]
        median[rows] = middle.mean(axis=-1, dtype=np.float32)
        if polarity < 0:
            stack = stack[..., ::-1]
        calm[rows] = stack[..., ranks[0] : ranks[-1] + 1].mean(axis=-1, dtype=np.float32)
    if not moves and lowest < highest:
        raise VideoError(
            f"{video.name}: the {sampled} frames looked at are identical, which does not tell "
            "particles from the background to simulate others over it; check the export"
        )
    # Expected values of ordered normal numbers: Blom 1958, alpha = 3/8.
    normal = [NormalDist().inv_cdf((rank + 0.625) / (sampled + 0.25)) for rank in ranks]
    return _Seen(
        numbers=numbers,
        median=median,
        calm=calm,
        darker_by_sd=-float(np.mean(normal)),
        step=float(np.diff(values).min()) if len(values) > 1 else 0.0,
        lowest=lowest,
        highest=highest,
    )


def draw_over(
    backdrop: Backdrop,
    settings: SceneSettings,
    images: int,
    size_px: int,
    generator: torch.Generator,
    context_frames: int = 0,
) -> Scenes:
    """Draw scenes of simulated particles over crops of a real background, with its noise.

    Particles and clutter are those of `draw_scenes`; background, noise, compression and specks
    are the video's own, so the settings of these are not read. Crops are mirrored and turned at
    random, and go on mirrored where a video is smaller than they are.

    Parameters
    ----------
    backdrop : Backdrop
        What to draw over; best kept on the generator's device.
    settings : SceneSettings
        The limits between which each scene draws its own values.
    images : int
        Number of scenes.
    size_px : int
        Side of a scene in pixels.
    generator : torch.Generator
        Source of every random number; its device is the device of the scenes.
    context_frames : int
        Frames before and after each image: particles move between them, the background stays.

    Returns
    -------
    Scenes
        Images, in the video's counts, and truth; ``brightest`` is at least the video's.
    """
    draw = Draw(generator)
    noise, step = backdrop.noise, backdrop.step
    ground = _crops(backdrop.background.to(generator.device), images, size_px, draw)
    # A particle fainter than half a step would be rounded away.
    variance = noise.variance(ground.flatten(1).median(dim=1, keepdim=True).values)
    variance = variance.clamp(min=(step / 2) ** 2)
    sigma = draw.log_between(settings.spot_sigma_px.low, settings.spot_sigma_px.high, (images, 1))
    # Smoothing takes noise from a pixel but little from a spot: the noise before it counts.
    variance = variance / noise.left_by_blur
    particles = draw_particles(settings, draw, sigma, variance, noise.gain, size_px, context_frames)
    # Noise is added to one image like to another, whatever scene it is a frame of.
    expected = (ground[:, None] + particles.frames).flatten(0, 1)
    counts = filmed(expected, noise, step, backdrop.lowest, generator).view(particles.frames.shape)
    if context_frames:
        counts = repeat_at_ends(counts, draw)
    scenes = particles.scenes(counts)
    return replace(scenes, brightest=scenes.brightest.clamp(min=backdrop.highest))


def filmed(
    expected: Tensor, noise: Noise, step: float, lowest: float, generator: torch.Generator
) -> Tensor:
    """Return counts as the video's camera gives them: with its noise, in its steps.

    Parameters
    ----------
    expected : Tensor
        Counts without noise, (images, height, width).
    noise : Noise
        The noise of a pixel.
    step, lowest : float
        Distance of neighbouring values, 0 where they are continuous, and the least value.
    generator : torch.Generator
        Source of every random number.
    """
    if step > 0:
        # Rounding gives its own share of the noise back.
        unrounded = math.sqrt(max(0.0, noise.read_noise**2 - step**2 / 12))
        counts = replace(noise, read_noise=unrounded).add(expected, generator)
        counts = lowest + step * ((counts - lowest) / step).round()
    else:
        counts = noise.add(expected, generator)
    # Below its least value the camera, or whoever exported the video, cuts off.
    return counts.clamp(min=lowest)


def _crops(background: Tensor, images: int, size_px: int, draw: Draw) -> Tensor:
    """Cut crops at random places, mirrored and turned at random, (images, size_px, size_px)."""
    rows, columns = (crop_places(side, images, size_px, draw) for side in background.shape)
    crops = background[rows[:, :, None], columns[:, None, :]]
    return torch.where(draw.chance(0.5, (images, 1, 1)), crops.transpose(1, 2), crops)


def crop_places(length: int, images: int, size_px: int, draw: Draw) -> Tensor:
    """Draw which rows or columns each crop shows, (images, size_px)."""
    choices = length - size_px + 1 if length >= size_px else 2 * length
    first = (choices * draw.uniform((images, 1))).long().clamp(max=choices - 1)
    place = (first + torch.arange(size_px, device=first.device)) % (2 * length)
    place = torch.where(place < length, place, 2 * length - 1 - place)
    return torch.where(draw.chance(0.5, (images, 1)), place.flip(1), place)

"""Measuring the twin of a video: background, noise, shapes, brightness and density."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cloudtrainer.detector import ParticleDetector
from cloudtrainer.detector.normalise import noise_of
from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.noise import Noise, measure_noise
from cloudtrainer.simulation.twin.doubts import doubts_about
from cloudtrainer.simulation.twin.ground import Background, free_median, slow_light, smooth_ground
from cloudtrainer.simulation.twin.light_noise import hot_pixels, too_flat, with_noise_of_light
from cloudtrainer.simulation.twin.population import particle_shapes
from cloudtrainer.simulation.twin.profiles import Floats, Patches, covered, cut_patches
from cloudtrainer.simulation.twin.sample import Limits, Sample, candidates_in, take_sample
from cloudtrainer.simulation.twin.scenes import draw_frame, particles_inside
from cloudtrainer.simulation.twin.shapes import Sorted, reach_px, sort_by_shape
from cloudtrainer.simulation.twin.twin import SpotShape, Twin
from cloudtrainer.simulation.twin.visible import (
    FIRST_RADIUS_PX,
    believable,
    found_in_empty,
    like_particles,
    nothing_seen,
    only_specks,
)
from cloudtrainer.video import Video, check_frames

# The part of a large frame that is looked at.
_WIDEST_PX = 1024
_WIDEST_REACH_PX = 32
_BEYOND_PX, _MOST_MASKED_PX = 3.0, 20.0
_BEYOND_NEIGHBOURS = 1.5
_MOST_CANDIDATES = 1500
_MOST_GROUNDS = 16
_GROUND_PIXELS = 1 << 23
_BORDER_PX = 4
_PIXELS_LOOKED_AT = 1 << 20
_TURNS = 2
_FEW = 10
_SATURATED_SHARE = 0.02
# Where the count of saturation is looked for, as a share of the largest, and how many times as many
# pixels it has as the count below it.
_NEAR_THE_TOP, _PILED_UP = 0.02, 3


def measure_twin(video: Video, detector: ParticleDetector, polarity: int | None = None) -> Twin:
    """Measure what simulated scenes need to look like a video.

    Nothing but the video is needed. A detector proposes candidates; what they look like is then
    measured in the frames themselves, so the detector need not know particles of this kind well.

    - Background: the median of each pixel over the frames in which no candidate covers it, and the
      slow light of each frame (particles far out of focus, the lamp).
    - Noise: from differences between consecutive frames where no particle is.
    - Shapes: the radial profiles of the candidates sorted into up to ten shapes, whatever their
      brightness, see `sort_by_shape`.
    - Brightness: quantiles of the amplitude of each shape; below the dimmest that are found it goes
      on to half the 5th percentile.
    - Density: candidates a frame less those that are found in ground and noise alone, over the
      share that the same detector finds of the particles in frames of the twin itself.

    Parameters
    ----------
    video : Video
        The video.
    detector : ParticleDetector
        What proposes candidates.
    polarity : {1, -1, None}
        Whether particles are bright or dark; None: decided from the video.

    Raises
    ------
    VideoError
        No particle can be seen in the video, its particles are too large, its frames are of one
        value, or all are identical.
    """
    check_frames(video)
    part = _middle(video)
    sample = take_sample(part, detector, polarity)
    still = np.zeros(sample.frames.shape[1:], bool)
    background = _background(sample, FIRST_RADIUS_PX, still)
    noise = _noise(part, sample, background)
    for _ in range(_TURNS):
        empty = found_in_empty(sample, background, noise, detector)
        still |= like_particles(empty, detector, still.shape)
        background = _background(sample, FIRST_RADIUS_PX, still)
    empty = found_in_empty(sample, background, noise, detector)
    limits, false = believable(sample, empty, detector, video)
    sample = sample.kept(limits)
    sd = float(noise.variance(torch.as_tensor(background.counts).median()).sqrt())

    residual = sample.frames - background.counts
    chosen = _chosen(sample)
    reach = _needed_reach(residual, chosen, sample.candidates, sd)
    patches = cut_patches(residual, chosen, sample.candidates, reach)
    by_shape = sort_by_shape(patches, sd)
    radius = min(_typical_reach(by_shape) + _BEYOND_PX, _MOST_MASKED_PX)
    background = _background(sample, radius, still)
    residual = sample.frames - background.counts
    patches = cut_patches(residual, chosen, sample.candidates, reach)
    by_shape = sort_by_shape(patches, sd)

    saturated = _saturated_share(sample, chosen)
    per_frame = max(len(sample.candidates) / len(sample.frames) - false, 0.0)
    shapes, focus = particle_shapes(by_shape, chosen["peak"].to_numpy(), sd, per_frame)
    if not shapes:
        raise VideoError(nothing_seen(video, sample.frames, detector))
    if all(one.is_speck for one in shapes):
        raise VideoError(only_specks(video, len(sample.candidates) / len(sample.frames)))
    flat = too_flat(_as_filmed(sample, background.counts))
    if noise.gain == 0 and flat and saturated < _SATURATED_SHARE:
        noise = _with_noise_of_light(noise, patches, by_shape, background, sample)
    where = covered(sample.frames.shape, sample.candidates, radius)
    specks = hot_pixels(residual, where, sd, by_shape.profiles.shape[1])
    shapes = shapes if specks is None else (*shapes, specks)
    twin = Twin(
        name=video.name,
        polarity=sample.polarity,
        grounds=_grounds(sample, background, residual, radius, sd),
        noise=noise,
        step=sample.step,
        lowest=0.0 if sample.polarity < 0 else sample.lowest,
        highest=sample.highest - sample.lowest if sample.polarity < 0 else sample.highest,
        turned_at=sample.highest,
        saturated=saturated,
        shapes=shapes,
        focus=focus,
        found_per_frame=len(sample.candidates) / len(sample.frames),
        false_per_frame=false,
        doubts=(
            *doubts_about(
                sample, background, noise, noise_sd=sd, saturated=saturated, too_flat=flat
            ),
            *_cut_off(shapes, reach, sample, video),
        ),
    )
    return _as_dense(twin, detector, limits)


def _middle(video: Video) -> Video:
    _, height, width = video.shape
    return video.middle(min(height, _WIDEST_PX), min(width, _WIDEST_PX))


def _background(sample: Sample, radius_px: float, still: NDArray[np.bool_]) -> Background:
    """Return the background below the candidates, and where a particle stays unseen."""
    where = np.asarray(covered(sample.frames.shape, sample.candidates, radius_px) | still)
    if len(sample.frames) < 3:
        return smooth_ground(sample.frames.mean(axis=0), np.asarray(where.any(axis=0)))
    return free_median(sample.frames, where)


def _noise(part: Video, sample: Sample, background: Background) -> Noise:
    if len(sample.frames) < 3:
        flat = torch.as_tensor(sample.frames - background.counts)
        noise = Noise(0.0, 0.0, float(noise_of(flat).mean()), 0.0)
    else:
        ground = _as_filmed(sample, background.counts)
        limits = (sample.lowest, sample.highest)
        noise = measure_noise(part, sample.numbers, ground, sample.step, limits)
        noise = noise if sample.polarity > 0 else noise.turned_over(sample.highest)
    if noise.gain == noise.read_noise == sample.step == 0:
        # Of particles as bright as no noise nothing would show.
        spread = float(background.counts.std()) or float(sample.frames.std())
        noise = replace(noise, read_noise=0.05 * spread or 1.0)
    return noise


def _with_noise_of_light(
    noise: Noise, patches: Patches, by_shape: Sorted, background: Background, sample: Sample
) -> Noise:
    """Return the noise with what the particles' own light adds to it."""
    ground = float(np.median(_as_filmed(sample, background.counts)))
    grown = with_noise_of_light(noise, patches, by_shape, ground, sample.polarity)
    turn = sample.polarity < 0 and grown.gain != 0
    return grown.turned_over(sample.highest) if turn else grown


def _as_filmed(sample: Sample, counts: Floats) -> Floats:
    return counts if sample.polarity > 0 else sample.highest - counts


def _chosen(sample: Sample) -> pd.DataFrame:
    """Choose candidates to be measured: away from the border, and not all of very many."""
    height, width = sample.frames.shape[1:]
    all_of_them = sample.candidates
    inside = (all_of_them["x"] > _BORDER_PX) & (all_of_them["x"] < width - 1 - _BORDER_PX)
    inside &= (all_of_them["y"] > _BORDER_PX) & (all_of_them["y"] < height - 1 - _BORDER_PX)
    some = all_of_them[inside] if inside.any() else all_of_them
    if len(some) > _MOST_CANDIDATES:
        places = np.random.default_rng(0).permutation(len(some))[:_MOST_CANDIDATES]
        some = some.iloc[np.sort(places)]
    return some.reset_index(drop=True)


def _needed_reach(
    residual: Floats, chosen: pd.DataFrame, candidates: pd.DataFrame, sd: float
) -> int:
    """Return how far particles reach, from a first look as far as may be."""
    widest = min(_WIDEST_REACH_PX, min(residual.shape[1:]) // 4)
    # Further out there are neighbours at every distance.
    widest = int(max(8, min(widest, _BEYOND_NEIGHBOURS * _neighbour_px(candidates))))
    first = cut_patches(residual, chosen.iloc[::3].reset_index(drop=True), candidates, widest)
    rough = sort_by_shape(first, sd, most=6)
    share = np.bincount(rough.shape, minlength=len(rough.profiles)) / len(rough.shape)
    ends = [
        reach_px(profile, 0.05)
        for profile, part in zip(rough.profiles, share, strict=True)
        if part > 0.03
    ]
    return int(np.clip(math.ceil(1.25 * max(ends)) + 2, min(8, widest), widest))


def _neighbour_px(candidates: pd.DataFrame) -> float:
    """Return the median distance of a candidate to the nearest other one in its frame."""
    frames = [one[["x", "y"]].to_numpy() for _, one in candidates.groupby("frame")]
    nearest = [np.asarray(cKDTree(xy).query(xy, k=2)[0])[:, 1] for xy in frames if len(xy) > 1]
    return float(np.median(np.concatenate(nearest))) if nearest else math.inf


def _typical_reach(by_shape: Sorted) -> float:
    """Return how far four fifths of the candidates reach."""
    ends = np.array([reach_px(profile, 0.05) for profile in by_shape.profiles])
    return float(np.quantile(ends[by_shape.shape], 0.8))


def _saturated_share(sample: Sample, chosen: pd.DataFrame) -> float:
    """Return the share of the candidates with two pixels or more at the largest count."""
    top = _saturation(sample.frames)
    near = cut_patches(sample.frames, chosen, chosen.iloc[:0], 2)
    flat = (near.light >= top - 1e-6 * max(abs(top), 1.0)).sum(axis=(1, 2)) >= 2
    # A single flat top is one that is brightest by chance.
    return float(flat.mean()) if flat.sum() > 1 else 0.0


def _saturation(frames: Floats) -> float:
    """Return the count at which frames saturate, had they done so.

    It is the largest, or a little below it a count that many pixels have: compression leaves some
    of those that were saturated a step above the others.
    """
    top = float(frames.max())
    levels, pixels = np.unique(frames[frames >= top - _NEAR_THE_TOP * abs(top)], return_counts=True)
    spike = int(np.argmax(pixels))
    if spike > 0 and pixels[spike] > _PILED_UP * pixels[spike - 1]:
        return float(levels[spike])
    return top


def _grounds(
    sample: Sample, background: Background, residual: Floats, radius: float, sd: float
) -> torch.Tensor:
    """Return background and slow light of some frames, (frames, height, width)."""
    if len(sample.frames) < 3:
        return torch.as_tensor(background.counts)[None]
    height, width = background.counts.shape
    most = int(np.clip(_GROUND_PIXELS // (height * width), 2, _MOST_GROUNDS))
    few = np.unique(np.linspace(0, len(residual) - 1, most).round().astype(int))
    here = sample.candidates[sample.candidates["frame"].isin(few)]
    here = here.assign(frame=np.searchsorted(few, here["frame"]))
    shape = (len(few), height, width)
    where = covered(shape, here, radius)
    if where.mean() > 0.7:
        where = covered(shape, here, radius / 2)
    return torch.as_tensor(background.counts + slow_light(residual[few], where, sd))


def _as_dense(twin: Twin, detector: ParticleDetector, limits: Limits) -> Twin:
    """Return a twin with as many particles as the detector must have missed in the video.

    In frames of the twin it is known how many there are, and how many of them are found.
    """
    number = int(np.clip(_PIXELS_LOOKED_AT // twin.pixels, 3, 24))
    generator = torch.Generator().manual_seed(1)
    drawn = [draw_frame(twin, generator) for _ in range(number)]
    frames = torch.stack([frame for frame, _ in drawn]).numpy()
    found = int(limits.passed(candidates_in(frames, detector)).sum())
    present = sum(particles_inside(twin, spots) for _, spots in drawn)
    if min(found, present) < _FEW:
        return twin
    return twin.multiplied(float(np.clip(present / found, 0.7, 2.0)))


def _cut_off(shapes: tuple[SpotShape, ...], reach: int, sample: Sample, video: Video) -> list[str]:
    """Say what of the particles and of the frames was not looked at."""
    said = []
    if max(one.reach_px for one in shapes) > 0.9 * reach and reach >= _WIDEST_REACH_PX:
        said.append(
            f"Some particles reach further than {reach} px from their middle: they are cut off "
            "there; shrink the video if these are the ones to be measured."
        )
    (height, width), (tall, wide) = video.shape[1:], sample.frames.shape[1:]
    if (height, width) != (tall, wide):
        said.append(
            f"Of the frames of {width} x {height} px the middle {wide} x {tall} px were measured."
        )
    return said

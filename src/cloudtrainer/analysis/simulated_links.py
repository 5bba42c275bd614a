"""Simulated particles that are linked as those of a video: as many, as fast, as often missed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.diffusion import (
    DiffusionSpread,
    Estimate,
    estimate_diffusion,
    with_distance_to_border,
)
from cloudtrainer.diffusion.tracks import BORDER_COLUMN
from cloudtrainer.simulation.motion import brownian_paths
from cloudtrainer.tracking import GapSteps, gap_steps, nearest_neighbour_px

FloatArray = NDArray[np.float64]

# So many times the positions of the video scatter much less than these.
_TIMES, _MOST_ROWS = 8, 40_000
_MOST_FRAMES, _FEWEST_FRAMES, _TRACKS_LONG, _LEAST_REPEATS = 200, 20, 3, 3
# Of the blur of an exposure that is as long as the frame interval.
_MOST_BLUR = 1 / 6


@dataclass(frozen=True)
class Scene:
    """Brownian particles at random places; pixels and frames, x first.

    Attributes
    ----------
    side : ndarray of float64, shape (2,)
        Width and height of the field.
    frames, repeats : int
        How many frames are simulated, and how many times.
    D : ndarray of float64, shape (particles,)
        Px^2 a frame.
    velocity : ndarray of float64, shape (2,)
        What they have in common.
    exposure_share : float
        Exposure over frame interval.
    error : float
        Localisation error per axis.
    missed : float
        Share of the particles that are missed in a frame.
    missed_for_smear : float
        Share of those that are missed because they are smeared the most.
    false_per_frame : float
        False detections, anywhere.
    """

    side: FloatArray
    frames: int
    repeats: int
    D: FloatArray
    velocity: FloatArray
    exposure_share: float
    error: float
    missed: float
    false_per_frame: float
    missed_for_smear: float = 0.0

    def positions(self, rng: np.random.Generator) -> pd.DataFrame:
        """Return where the particles are found, and where they would be if they were not missed.

        Returns
        -------
        DataFrame
            ``frame, x, y, particle, found, to_border_px``; of false detections the particle is
            negative. Who leaves the field on one side enters it on the other as a new particle.
        """
        number = len(self.D)
        paths = brownian_paths(np.zeros((number, 2)), self.frames, 1.0, self.exposure_share, rng)
        time = np.arange(self.frames)
        place = rng.uniform(0, 1, (number, 2)) * self.side
        place = place + np.sqrt(2 * self.D)[:, None] * paths.mean
        place += self.velocity * time[:, None, None]
        lap = np.floor(place / self.side)
        new = np.concatenate([np.ones((1, number), bool), (np.diff(lap, axis=0) != 0).any(axis=2)])
        particle = np.cumsum(new, axis=0) * number + np.arange(number)
        place += rng.normal(0, self.error, place.shape) - lap * self.side
        smear = (paths.x.var(axis=2) + paths.y.var(axis=2)) * self.D
        most_smeared = smear > np.quantile(smear, 1 - self.missed * self.missed_for_smear)
        by_chance = rng.random(smear.shape) < self.missed * (1 - self.missed_for_smear)
        false = rng.poisson(self.false_per_frame, self.frames)
        elsewhere = rng.uniform(0, 1, (false.sum(), 2)) * self.side
        xy = np.concatenate([place.reshape(-1, 2), elsewhere])
        found = ~(most_smeared | by_chance)
        table = pd.DataFrame(
            {
                "frame": np.concatenate([np.repeat(time, number), np.repeat(time, false)]),
                "x": xy[:, 0],
                "y": xy[:, 1],
                "particle": np.concatenate([particle.ravel(), -1 - np.arange(false.sum())]),
                "found": np.concatenate([found.ravel(), np.ones(false.sum(), bool)]),
            }
        )
        table = with_distance_to_border(table, self.side[0], self.side[1])
        return table.sort_values("frame", kind="stable", ignore_index=True)

    def estimate_of(self, tracks: pd.DataFrame, stride: int) -> Estimate:
        """Return D of tracks, px^2 a frame, their common velocity taken out."""
        at_rest = tracks[["x", "y"]] - self.velocity * tracks[["frame"]].to_numpy()
        tracks = tracks.assign(x=at_rest["x"], y=at_rest["y"])
        return estimate_diffusion(tracks, None, None, interval="model", stride=stride)


@dataclass(frozen=True)
class Seen:
    """What simulations take from a video; pixels and frames, x first.

    Attributes
    ----------
    like : Scene
        Its particles, with a mean D of 1; exposure and errors are those of a call.
    stated : float
        Mean square of the stated errors of positions, per axis; 0 where none are stated.
    exposure_share : float or None
        Exposure over frame interval, where it is known.
    gaps : GapSteps
        Steps across gaps.
    in_reach : float
        Other particles within the search range of one, on average.
    seed : int
        Of what is drawn.
    """

    like: Scene
    stated: float
    exposure_share: float | None
    gaps: GapSteps
    in_reach: float
    seed: int

    def scene(self, D: float, offset: float) -> Scene:
        """Return particles of a mean D, px^2 a frame, and an offset of the MSD, px^2.

        The offset is 4 sigma^2 - 8 R D: where the exposure, 6 R, is not known, what of the offset
        is blur follows from the stated errors. These are too small for particles that are smeared:
        where such are missed, the exposure is taken to be as long as the frame interval.
        """
        if self.exposure_share is not None:
            R = self.exposure_share * _MOST_BLUR
        elif self.gaps.are_longer:
            R = _MOST_BLUR
        else:
            R = float(np.clip((self.stated - offset / 4) / (2 * D), 0, _MOST_BLUR))
        scene = replace(
            self.like,
            D=D * self.like.D,
            exposure_share=R / _MOST_BLUR,
            error=float(np.sqrt(max(offset / 4 + 2 * R * D, 0.0))),
        )
        if R == 0 or not self.gaps.are_longer:
            return scene
        return replace(scene, missed_for_smear=self._missed_for_smear(scene))

    def _missed_for_smear(self, scene: Scene) -> float:
        """Return the share that makes steps across gaps longer by the ratio that was seen."""
        ends = []
        for share in (0.0, 1.0):
            smeared = replace(scene, missed_for_smear=share)
            there = smeared.positions(np.random.default_rng(self.seed))
            ends.append(gap_steps(there[there["found"]]).ratio)
        if not ends[1] > ends[0]:
            return 0.0
        return float(np.clip((self.gaps.ratio - ends[0]) / (ends[1] - ends[0]), 0, 1))


def seen_in(
    tracked: Tracked,
    field: tuple[int, ...],
    spread: DiffusionSpread,
    exposure_share: float | None,
    settings: AnalysisSettings,
) -> Seen:
    """Return what simulations take from a video.

    Parameters
    ----------
    tracked : Tracked
        Its tracks.
    field : tuple of int
        Its frames, height and width.
    spread : DiffusionSpread
        How D differs between particles.
    exposure_share : float or None
        Exposure over frame interval, if known.
    settings : AnalysisSettings
        How it was linked.
    """
    linked = tracked.linked.sort_values(["particle", "frame"])
    # Of the frames that are there: those that the camera dropped miss everything.
    there_are = np.unique(tracked.detections["frame"])
    places = linked[["particle"]].assign(place=np.searchsorted(there_are, linked["frame"]))
    place = places.groupby("particle")["place"]
    missed = 1 - len(linked) / int((place.max() - place.min() + 1).sum())
    velocity = tracked.drift.table[["x_drift", "y_drift"]].diff().mean()

    frames, height, width = field
    density = len(tracked.detections) / (frames * width * height)
    # In one part of the field, or in clusters, particles are nearer to each other than anywhere.
    evenly = np.sqrt(np.log(2) / (np.pi * density))
    side = np.array([width, height]) * min(nearest_neighbour_px(tracked.detections) / evenly, 1.0)
    there = len(linked) / frames
    number = max(round(there / (1 - missed)), 1)
    fewest = max(_FEWEST_FRAMES, _TRACKS_LONG * settings.min_track_frames)
    rows = min(_TIMES * len(linked), _MOST_ROWS)
    times = int(np.clip(rows / _LEAST_REPEATS / there, fewest, max(_MOST_FRAMES, fewest)))
    times = min(times, frames)
    stated = (tracked.tracks[["x_error", "y_error"]] ** 2).mean().mean()
    like = Scene(
        side=side,
        frames=times,
        repeats=max(round(rows / (there * times)), _LEAST_REPEATS),
        D=_relative_to_mean(number, spread),
        velocity=np.nan_to_num(velocity.to_numpy(np.float64)),
        exposure_share=0.0,
        error=0.0,
        missed=missed,
        false_per_frame=max(len(tracked.detections) - len(linked), 0) / frames,
    )
    reach = tracked.search_range_px or 0.0
    others = max(len(tracked.detections) / frames - 1, 0.0)
    return Seen(
        like=like,
        stated=float(np.nan_to_num(stated)),
        exposure_share=exposure_share,
        gaps=gap_steps(linked),
        in_reach=others * np.pi * reach**2 / float(np.prod(side)),
        seed=settings.seed,
    )


def ends_inside(tracks: pd.DataFrame, away: float, memory: int) -> float:
    """Return the share of positions that are the last of a track far from border and last frame."""
    last = tracks.sort_values("frame").drop_duplicates("particle", keep="last")
    inside = tracks[BORDER_COLUMN] > away
    ends = (last[BORDER_COLUMN] > away) & (last["frame"] < tracks["frame"].max() - memory)
    return float(ends.sum() / max(inside.sum(), 1))


def _relative_to_mean(number: int, spread: DiffusionSpread) -> FloatArray:
    """Return D of so many particles over their mean; all the same where they do not differ."""
    if not spread.low > 0 or not len(spread.grid):
        return np.ones(number)
    share = np.cumsum(spread.density * np.gradient(spread.grid))
    D = np.interp((np.arange(number) + 0.5) / number, share / share[-1], spread.grid)
    return np.asarray(D / D.mean())

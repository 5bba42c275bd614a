"""Simulated particles that are linked as those of a video: as many, as fast, as often missed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.diffusion import DiffusionSpread, estimate_diffusion, with_distance_to_border
from cloudtrainer.simulation.motion import brownian_paths
from cloudtrainer.tracking import gap_steps

FloatArray = NDArray[np.float64]

# So many times the positions of the video scatter much less than these.
_TIMES, _MOST_ROWS = 4, 40_000
_MOST_FRAMES, _FEWEST_FRAMES, _LEAST_REPEATS = 200, 20, 3
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

    def diffusion_of(self, tracks: pd.DataFrame, stride: int) -> float:
        """Return D of tracks, px^2 a frame, their common velocity taken out."""
        at_rest = tracks[["x", "y"]] - self.velocity * tracks[["frame"]].to_numpy()
        tracks = tracks.assign(x=at_rest["x"], y=at_rest["y"])
        return estimate_diffusion(tracks, None, None, interval="model", stride=stride).value


def scene_like(
    tracked: Tracked,
    field: tuple[int, ...],
    D: float,
    offset: float,
    spread: DiffusionSpread,
    seed: int,
) -> Scene:
    """Return particles that are as many, as fast and as often missed as those of a video.

    Parameters
    ----------
    tracked : Tracked
        Its tracks.
    field : tuple of int
        Its frames, height and width.
    D, offset : float
        Px^2 a frame, and the offset of the MSD, px^2.
    spread : DiffusionSpread
        How D differs between particles.
    seed : int
        Of what is drawn.
    """
    linked = tracked.linked.sort_values(["particle", "frame"])
    # Of the frames that are there: those that the camera dropped miss everything.
    there_are = np.unique(tracked.detections["frame"])
    places = linked[["particle"]].assign(place=np.searchsorted(there_are, linked["frame"]))
    place = places.groupby("particle")["place"]
    missed = 1 - len(linked) / int((place.max() - place.min() + 1).sum())
    step = linked[["particle", "frame", "x", "y"]].diff()
    velocity = step.loc[(step["particle"] == 0) & (step["frame"] == 1), ["x", "y"]].mean()
    frames, height, width = field
    there = len(linked) / frames
    rows = min(_TIMES * len(linked), _MOST_ROWS)
    times = int(np.clip(rows / _LEAST_REPEATS / there, _FEWEST_FRAMES, min(frames, _MOST_FRAMES)))
    # The offset is 4 sigma^2 - 8 R D: what of it is blur follows from the stated errors sigma.
    stated = float(np.nan_to_num((linked[["x_error", "y_error"]] ** 2).mean().mean()))
    R = float(np.clip((stated - offset / 4) / (2 * D), 0, _MOST_BLUR))
    scene = Scene(
        side=np.array([width, height], np.float64),
        frames=times,
        repeats=max(round(rows / (there * times)), _LEAST_REPEATS),
        D=_drawn(max(round(there / (1 - missed)), 1), D, spread, seed),
        velocity=np.nan_to_num(velocity.to_numpy(np.float64)),
        exposure_share=R / _MOST_BLUR,
        error=float(np.sqrt(max(offset / 4 + 2 * R * D, 0.0))),
        missed=missed,
        false_per_frame=max(len(tracked.detections) - len(linked), 0) / frames,
    )
    steps = gap_steps(linked)
    if R == 0 or not steps.are_longer:
        return scene
    return replace(scene, missed_for_smear=_missed_for_smear(scene, steps.ratio, seed))


def _drawn(number: int, mean: float, spread: DiffusionSpread, seed: int) -> FloatArray:
    """Draw D of so many particles from its distribution; all the same where they do not differ."""
    if not spread.low > 0 or not len(spread.grid):
        return np.full(number, mean)
    weight = spread.density * np.gradient(spread.grid)
    rng = np.random.default_rng(seed)
    D = rng.choice(spread.grid, number, p=weight / weight.sum())
    return np.asarray(D * (mean / D.mean()))


def _missed_for_smear(scene: Scene, ratio: float, seed: int) -> float:
    """Return the share that makes steps across gaps longer by the ratio that was seen."""
    ends = []
    for share in (0.0, 1.0):
        there = replace(scene, missed_for_smear=share).positions(np.random.default_rng(seed))
        ends.append(gap_steps(there[there["found"]]).ratio)
    return float(np.clip((ratio - ends[0]) / (ends[1] - ends[0]), 0, 1)) if ends[1] > ends[0] else 0

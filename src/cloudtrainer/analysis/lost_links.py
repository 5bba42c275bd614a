"""How much of D is lost where links are exchanged: simulated particles, linked as the video's."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cloudtrainer.analysis.simulated_links import Scene, scene_like
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.diffusion import DiffusionSpread, Estimate
from cloudtrainer.tracking import filter_tracks, gap_steps, track_particles

# With fewer other particles than this in reach of one, on average, 0.1% of D is lost or less.
_FEWEST_IN_REACH = 0.02
# Simulations told what was lost to within a quarter of it (docs/tracking.md).
_ERROR_OF_SHARE = 0.25
# Where more is lost, D before linking can hardly be told from what is left.
_MOST_LOST = 0.2
_CHANGE, _MOST_ROUNDS = 0.003, 6
# How what is kept falls with D: at -1 what is left is the same for any D.
_FASTER, _STEEPEST = 1.3, -0.6
_WORTH_SAYING = 0.01


@dataclass(frozen=True)
class LostLinks:
    """What linking leaves of D.

    Attributes
    ----------
    kept : float
        D from tracks as they were linked, over that from true tracks; 1 where particles are too
        far from each other to matter, or nothing was linked. NaN where it is too crowded to tell.
    standard_error : float
        Of `kept`: the scatter of the simulations, and what they may be wrong by.
    stretch : float
        By how much more, as a share, D differs than what is left of it: the faster particles are,
        the more is lost of their D.
    """

    kept: float = 1.0
    standard_error: float = 0.0
    stretch: float = 1.0

    def put_back(self, estimate: Estimate) -> Estimate:
        """Return D with what was lost, and the error of that in its interval."""
        if not np.isfinite(self.kept) or self.kept == 1 or not np.isfinite(estimate.value):
            return estimate
        value = estimate.value / self.kept
        error = value * self.standard_error / self.kept
        larger = self.stretch / self.kept
        below = np.hypot(larger * (estimate.value - estimate.low), 1.96 * error)
        above = np.hypot(larger * (estimate.high - estimate.value), 1.96 * error)
        return replace(
            estimate,
            value=value,
            standard_error=float(np.hypot(larger * estimate.standard_error, error)),
            low=value - float(below),
            high=value + float(above),
            model_standard_error=float(np.hypot(larger * estimate.model_standard_error, error)),
            links_lost=1 - self.kept,
        )

    @property
    def warning(self) -> str | None:
        """A sentence, or None where hardly anything is lost."""
        if np.isnan(self.kept):
            return (
                "Particles are so crowded for their speed that linking takes more than "
                f"{100 * _MOST_LOST:.0f}% of D, too much to correct: D is too small, do not "
                "publish it. Film faster, or dilute."
            )
        lost = 1 - self.kept
        if abs(lost) < _WORTH_SAYING:
            return None
        return (
            f"Linking {'takes' if lost > 0 else 'adds'} {100 * abs(lost):.1f}% "
            f"(± {100 * self.standard_error:.1f}%) {'of' if lost > 0 else 'to'} D: particles that "
            "come close are exchanged, and long steps are lost. So it does for simulated Brownian "
            "particles as many, as fast and as often missed, linked in the same way. D has been "
            "corrected for it and its interval widened; the exponent, the MSD, effective "
            "diffusivities and single tracks have not. Film faster, or dilute."
        )


def lost_links(
    tracked: Tracked,
    field: tuple[int, ...] | None,
    diffusion: Estimate,
    spread: DiffusionSpread,
    to_px: tuple[float, float],
    settings: AnalysisSettings,
) -> LostLinks:
    """Tell what linking leaves of D, from simulated particles.

    Particles that come close may be exchanged. The links with the smallest squared steps are
    shorter than the true ones on average, a link that is lost is mostly a long one, and a search
    range that crowding limits cuts steps off: D comes out small. How small depends on how many
    particles there are, how far they move, how often they are missed and how many detections are
    false. All of these are measured, so particles like them are simulated (Brownian, at random
    places), linked with the same settings, and D from their links is compared with D from their
    true tracks. It is done again with the D that this gives, until it changes no more: indirect
    inference (Gourieroux, Monfort & Renault 1993, J. Appl. Econometrics 8:S85).

    Parameters
    ----------
    tracked : Tracked
        The tracks and how they were linked.
    field : tuple of int or None
        Frames, height and width of the video, if there is one.
    diffusion : Estimate
        D of the tracks.
    spread : DiffusionSpread
        How it differs between them.
    to_px : (float, float)
        Px in one unit of length, and units of time in one frame.
    settings : AnalysisSettings
        How they were linked.

    Returns
    -------
    LostLinks
    """
    reach = tracked.search_range_px
    if field is None or reach is None or settings.linking_engine != "trackpy":
        return LostLinks()
    if not diffusion.value > 0:
        return LostLinks()
    frames, height, width = field
    in_reach = len(tracked.detections) / frames * np.pi * reach**2 / (height * width)
    if in_reach < _FEWEST_IN_REACH and not gap_steps(tracked.linked).are_longer:
        return LostLinks()

    least, seed = settings.min_track_frames, settings.seed

    def link(detections: pd.DataFrame) -> pd.DataFrame:
        return track_particles(detections, reach, settings.memory_frames, least)

    px, time = to_px
    found, offset = diffusion.value * px**2 * time, diffusion.offset * px**2

    def kept_of(D: float) -> tuple[float, float]:
        scene = scene_like(tracked, field, D, offset, spread, seed)
        return _kept(scene, link, diffusion.stride, least, seed)

    kept, error = kept_of(found)
    if np.isnan(kept):
        return LostLinks()
    for _ in range(_MOST_ROUNDS):
        if not kept > 1 - _MOST_LOST:
            return LostLinks(float("nan"), float("nan"))
        before, (kept, error) = kept, kept_of(found / kept)
        if abs(kept - before) < _CHANGE:
            break
    error = float(np.hypot(error, _ERROR_OF_SHARE * (1 - kept)))
    faster = kept_of(_FASTER * found / kept)[0]
    slope = np.log(faster / kept) / np.log(_FASTER)
    if not (kept > 1 - _MOST_LOST and slope > _STEEPEST):
        return LostLinks(float("nan"), float("nan"))
    return LostLinks(kept, error, float(1 / (1 + min(slope, 0.0))))


def _kept(
    scene: Scene, link: Callable[[pd.DataFrame], pd.DataFrame], stride: int, least: int, seed: int
) -> tuple[float, float]:
    """Return D of linked over that of true tracks, with its error; NaN where none is seen."""
    D = np.empty((scene.repeats, 2))
    for repeat in range(scene.repeats):
        there = scene.positions(np.random.default_rng((seed, repeat)))
        true = filter_tracks(there[there["particle"] >= 0], least)
        linked = link(there[there["found"]].drop(columns="particle"))
        D[repeat] = scene.diffusion_of(linked, stride), scene.diffusion_of(true, stride)
    of_links, of_truth = D.mean(axis=0)
    if not of_truth > 0:
        return float("nan"), float("nan")
    kept = float(of_links / of_truth)
    scatter = (D[:, 0] - kept * D[:, 1]).std(ddof=1) / of_truth
    return kept, float(scatter / np.sqrt(scene.repeats))

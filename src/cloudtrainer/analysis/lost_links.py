"""How much of D is lost where links are exchanged: simulated particles, linked as the video's."""

from dataclasses import dataclass, replace

import numpy as np

from cloudtrainer.analysis.simulated_links import Scene, ends_inside, seen_in
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.diffusion import DiffusionSpread, Estimate
from cloudtrainer.tracking import filter_tracks, track_particles

# With fewer other particles than this in reach of one, on average, and a range that cuts off no
# steps, 0.1% of D is lost or less.
_FEWEST_IN_REACH, _RANGE_IN_SD = 0.02, 4.3
# Where particles come and go, with fewer than this in reach D was within 1% (docs/tracking.md).
_CROWDED = 0.1
# Simulations told what was lost to within a quarter of it (docs/tracking.md).
ERROR_OF_SHARE = 0.25
# Where more is lost or added, D before linking can hardly be told from what is left; nor where
# what is left is nearly the same for any D (the slope of one over the other, in logarithms).
_MOST_LOST, _STEEPEST, _FASTER = 0.2, -0.6, 1.3
_CHANGE, _MOST_ROUNDS = 0.003, 8
# What is known no better than this, as a share of the standard error of D, is not put back.
_NOISIEST = 0.5
# Of tracks that end inside the field, over those that do so in simulations.
_MOST_ENDS, _FEW_ENDS = 2.0, 0.01
_WORTH_SAYING = 0.01


@dataclass(frozen=True)
class LostLinks:
    """What linking leaves of D.

    Attributes
    ----------
    kept : float
        D from tracks as they were linked, over that from true tracks; 1 where that is not told from
        noise, or was not looked for. NaN where so much is lost that it cannot be told.
    standard_error : float
        Of `kept`: the scatter of the simulations, and what they may be wrong by.
    stretch : float
        Change of D in logarithms, over that of what is left of it: the faster particles are, the
        more is lost.
    come_and_go : bool
        Whether tracks end inside a crowded field much oftener than those of simulated particles,
        which stay in focus: nothing is told then.
    """

    kept: float = 1.0
    standard_error: float = 0.0
    stretch: float = 1.0
    come_and_go: bool = False

    def put_back(self, estimate: Estimate) -> Estimate:
        """Return D with what was lost, and the error of that in its interval."""
        if self.kept == 1 or not estimate.low > 0:
            return estimate
        if np.isnan(self.kept):
            return replace(estimate, links_lost=float("nan"))
        value = estimate.value / self.kept
        error = self.stretch * self.standard_error / self.kept

        def relative(of: float) -> float:
            return float(np.hypot(self.stretch * of / estimate.value, error))

        below = np.hypot(self.stretch * np.log(estimate.value / estimate.low), 1.96 * error)
        above = np.hypot(self.stretch * np.log(estimate.high / estimate.value), 1.96 * error)
        return replace(
            estimate,
            value=value,
            standard_error=value * relative(estimate.standard_error),
            low=float(value * np.exp(-below)),
            high=float(value * np.exp(above)),
            model_standard_error=value * relative(estimate.model_standard_error),
            links_lost=1 - self.kept,
        )

    @property
    def warning(self) -> str | None:
        """A sentence, or None where hardly anything is lost."""
        if np.isnan(self.kept):
            return (
                "Particles are so crowded, or the search range so far from their steps, that "
                f"linking may change D by more than {100 * _MOST_LOST:.0f}%: D has not been "
                "corrected for it, do not publish it. Film faster, dilute, or have the range "
                "measured."
            )
        if self.come_and_go:
            return (
                "Particles come and go in a crowded field: tracks of those that leave the focus go "
                "on with others, which mostly makes D too large. How much could not be told. Link "
                "with a shorter memory (memory_frames; 0 errs least), film faster, dilute, or keep "
                "the particles in focus."
            )
        lost = 1 - self.kept
        if abs(lost) < _WORTH_SAYING:
            return None
        how = (
            f"Linking takes {100 * lost:.1f}% (± {100 * self.standard_error:.1f}%) of D: particles "
            "that come close are exchanged, and long steps are lost."
            if lost > 0
            else f"Linking adds {-100 * lost:.1f}% (± {100 * self.standard_error:.1f}%) to D: "
            "particles that come close are exchanged."
        )
        return (
            f"{how} So it does for simulated Brownian particles as many, as fast and as often "
            "missed, linked in the same way. D has been corrected for it and its interval widened; "
            "all else (the exponent, the MSD, the localisation error, effective diffusivities, "
            "single tracks) is as linked. Film faster, or dilute."
        )


_CANNOT_TELL = LostLinks(float("nan"), float("nan"))


def lost_links(
    tracked: Tracked,
    field: tuple[int, ...] | None,
    diffusion: Estimate,
    spread: DiffusionSpread,
    to_px: tuple[float, float],
    settings: AnalysisSettings,
    exposure_share: float | None = None,
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
    exposure_share : float or None
        Exposure over frame interval, if known.

    Returns
    -------
    LostLinks
    """
    reach = tracked.search_range_px
    if field is None or reach is None or settings.linking_engine != "trackpy":
        return LostLinks()
    if not diffusion.low > 0:
        return LostLinks()
    px, time = to_px
    as_linked, offset = diffusion.value * px**2 * time, diffusion.offset * px**2
    seen = seen_in(tracked, field, spread, exposure_share, settings)
    flow = float(np.hypot(*seen.like.velocity))
    cut_off = reach < flow + _RANGE_IN_SD * np.sqrt(2 * as_linked)
    if seen.in_reach < _FEWEST_IN_REACH and not cut_off and not seen.gaps.are_longer:
        return LostLinks()

    def compared(D: float, offset: float) -> _Compared:
        return _compare(seen.scene(D, offset), reach, diffusion.stride, settings)

    found = compared(as_linked, offset)
    for _ in range(_MOST_ROUNDS):
        if np.isnan(found.kept):
            return LostLinks()
        if not abs(1 - found.kept) < _MOST_LOST:
            return _CANNOT_TELL
        before, found = found, compared(as_linked / found.kept, offset - found.offset_added)
        if abs(found.kept - before.kept) < _CHANGE:
            break
    if found.scatter > _NOISIEST * diffusion.standard_error / diffusion.value:
        return LostLinks()
    if _come_and_go(tracked, reach, found.ends, settings.memory_frames):
        return LostLinks(come_and_go=seen.in_reach > _CROWDED)
    faster = compared(_FASTER * as_linked / found.kept, offset - found.offset_added)
    slope = np.log(faster.kept / found.kept) / np.log(_FASTER)
    if not (abs(1 - found.kept) < _MOST_LOST and slope > _STEEPEST):
        return _CANNOT_TELL
    error = np.hypot(found.scatter, ERROR_OF_SHARE * (1 - found.kept))
    return LostLinks(found.kept, float(error), float(1 / (1 + min(slope, 0.0))))


@dataclass(frozen=True)
class _Compared:
    """Tracks as they are linked beside true ones: D over D, MSD offset less offset, and ends.

    All but the ends are NaN where the simulated tracks say nothing of D.
    """

    kept: float
    scatter: float
    offset_added: float
    ends: float


def _compare(scene: Scene, reach: float, stride: int, settings: AnalysisSettings) -> _Compared:
    """Link simulated particles, and compare the tracks with the true ones."""
    least, memory = settings.min_track_frames, settings.memory_frames
    D, offset = np.empty((scene.repeats, 2)), np.empty((scene.repeats, 2))
    ends = np.empty(scene.repeats)
    for repeat in range(scene.repeats):
        there = scene.positions(np.random.default_rng((settings.seed, repeat)))
        true = filter_tracks(there[there["particle"] >= 0], least)
        found = there[there["found"]].drop(columns="particle")
        linked = track_particles(found, reach, memory, least)
        ends[repeat] = ends_inside(linked, reach, memory)
        both = scene.estimate_of(linked, stride), scene.estimate_of(true, stride)
        D[repeat] = [one.value for one in both]
        offset[repeat] = [one.offset for one in both]
    of_links, of_truth = D.mean(axis=0)
    if not of_truth > 0:
        nan = float("nan")
        return _Compared(nan, nan, nan, float(ends.mean()))
    kept = float(of_links / of_truth)
    scatter = (D[:, 0] - kept * D[:, 1]).std(ddof=1) / of_truth
    return _Compared(
        kept=kept,
        scatter=float(scatter / np.sqrt(scene.repeats)),
        offset_added=float((offset[:, 0] - offset[:, 1]).mean()),
        ends=float(ends.mean()),
    )


def _come_and_go(tracked: Tracked, reach: float, simulated: float, memory: int) -> bool:
    """Tell whether tracks end inside the field much oftener than simulated ones."""
    ends = ends_inside(tracked.linked, reach, memory)
    return ends > _MOST_ENDS * simulated + _FEW_ENDS

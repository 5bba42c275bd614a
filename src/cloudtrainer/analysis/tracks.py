"""From a video to its tracks: detections, specks, linking, drift."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.twins import tracks_in_focus
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.diffusion import with_distance_to_border
from cloudtrainer.inference import (
    Progress,
    extract_particles_from_predictions,
    missing_neighbours,
    polarity_sign,
    signs_seen,
    video_appearance,
)
from cloudtrainer.report.wording import counted
from cloudtrainer.simulation.twin.files import TwinModel
from cloudtrainer.tracking import (
    Drift,
    SearchRange,
    StaticSpecks,
    filter_tracks,
    join_smeared,
    link_detections,
    missed_while_moving,
    search_range_scan,
    search_range_warning,
    static_specks,
    subtract_drift,
    suggest_search_range,
    track_particles,
)
from cloudtrainer.video import Video

# Steps larger than so many errors were measured to bias D by no more than 7% (docs/detector.md).
_STEPS_OVER_ERRORS = 6.0


@dataclass(frozen=True)
class Tracked:
    """The tracks of a source and how they came about.

    Attributes
    ----------
    detections : DataFrame
        Detections without static specks, the parts of smeared particles joined; empty where tracks
        were given.
    specks : int
        Static specks that were masked.
    tracks : DataFrame
        Tracks, drift taken out: the detections' columns, ``particle`` and ``to_border_px``.
    linked : DataFrame
        All tracks as they were linked: where the particles are in the frames, drift included, and
        also those that are not measured.
    polarity : str or None
        "bright" or "dark": what was looked for; None where tracks were given.
    search_range_px : float or None
        The search range that was used.
    suggested : SearchRange or None
        What it rests on, where it was suggested.
    scan : DataFrame or None
        D against the search range.
    drift : Drift
        The common motion and what was done about it.
    warnings : tuple of str
        What the user should know.
    smeared_joined : int
        How many times a particle was found as two in a frame, which were joined.
    weighed : bool
        Whether the photons of doubtful spots decided what is a particle.
    why_left_out, how_left_out : str
        Why tracks are linked and not measured, and by what they were told: the end of a sentence
        that begins with "tracks were left out".
    """

    detections: pd.DataFrame
    specks: int
    tracks: pd.DataFrame
    linked: pd.DataFrame
    polarity: str | None
    search_range_px: float | None
    suggested: SearchRange | None
    scan: pd.DataFrame | None
    drift: Drift
    warnings: tuple[str, ...]
    smeared_joined: int = 0
    weighed: bool = False
    why_left_out: str = ""
    how_left_out: str = ""

    @property
    def left_out(self) -> int:
        """Number of tracks that were linked but are not measured."""
        return self.linked["particle"].nunique() - self.tracks["particle"].nunique()

    def measured_in_place(self) -> pd.DataFrame:
        """Return the measured tracks where they are in the frames, drift included."""
        return self.linked[self.linked["particle"].isin(self.tracks["particle"])]

    def not_measured(self) -> pd.DataFrame:
        """Return the tracks that were linked and left out, where they are in the frames."""
        return self.linked[~self.linked["particle"].isin(self.tracks["particle"])]

    def displacements_px(self) -> NDArray[np.float64]:
        """Return the lengths of all displacements between consecutive frames, px."""
        tracks = self.tracks.sort_values(["particle", "frame"])
        step = tracks[["particle", "frame", "x", "y"]].diff()
        consecutive = (step["particle"] == 0) & (step["frame"] == 1)
        moved = step.loc[consecutive, ["x", "y"]].to_numpy(np.float64)
        return np.asarray(np.hypot(moved[:, 0], moved[:, 1]))


def track_video(
    video: Video,
    model: ParticleDetector,
    settings: AnalysisSettings,
    progress: Progress | None = None,
    twin: TwinModel | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Tracked:
    """Detect, mask static specks, join smeared particles, link, and take out drift.

    Tracks of particles that are not in focus are linked and not measured: where the detector has
    learned the video's twin, by the height of their peaks, otherwise by how sure it is of them.

    Where frames are missing, ``numbers`` are those of the frames that are there (`FrameClock`).
    Positions are then at these, counted from the first, and a column ``video_frame`` tells which
    frame of the video it is.
    """
    sign, doubt = _sign(model, video, settings)
    polarity: Literal["bright", "dark"] = "bright" if sign > 0 else "dark"
    appearance = video_appearance(model, video, sign)
    if appearance is not None and settings.doubtful_spots == "keep":
        appearance = appearance.without_population()
    weighed = appearance is not None and appearance.population is not None
    found = extract_particles_from_predictions(
        model,
        video,
        settings.threshold,
        settings.min_area,
        polarity=polarity,
        appearance=appearance,
        progress=progress,
    )
    masked = StaticSpecks(found, found.iloc[:0])
    if settings.static_specks == "mask":
        masked = static_specks(found, n_frames=len(video))
    detections = masked.detections.reset_index(drop=True)
    if numbers is not None:
        image = detections["frame"]
        detections = detections.assign(frame=(numbers - numbers[0])[image], video_frame=image)
    short = missing_neighbours(model, video)
    warnings = [said for said in (short, doubt) if said]
    if len(masked.specks):
        warnings.append(
            f"{counted(len(masked.specks), 'static speck')} (hot pixels, dirt or stuck particles) "
            "masked: not counted as immobile particles."
        )
    if detections.empty or detections["frame"].nunique() < 2:
        warnings.append(_why_no_tracks(detections, len(video)))
        tracks = track_particles(detections, 1.0, settings.memory_frames)
        return Tracked(
            detections, len(masked.specks), tracks, tracks, polarity, None, None, None,
            subtract_drift(tracks, "none"), tuple(warnings), weighed=weighed,
        )  # fmt: skip

    suggested = None
    reach = settings.search_range_px
    if reach is None:
        suggested = suggest_search_range(detections, settings.memory_frames)
        reach = suggested.value_px
        warnings.extend(suggested.warnings)
    smeared = join_smeared(detections, reach)
    detections = smeared.detections
    if smeared.warning is not None:
        warnings.append(smeared.warning)
    scan = search_range_scan(detections, reach, memory=settings.memory_frames)
    warning = search_range_warning(scan)
    if warning is not None:
        warnings.append(warning)
    links = link_detections(
        detections,
        reach,
        settings.memory_frames,
        settings.min_track_frames,
        settings.linking_engine,
        settings.split_merge_range_px,
    )
    linked = with_distance_to_border(links.tracks, video.shape[-1], video.shape[-2])
    if links.warning is not None:
        warnings.append(links.warning)
    if twin is not None:
        focus = twin.focus if settings.min_relative_probability > 0 else None
        tracks = tracks_in_focus(linked, video, sign, focus)
        why, how = _out_of_focus(twin)
    else:
        tracks = _sure_tracks(linked, settings.min_relative_probability)
        why, how = _unsure(settings.min_relative_probability)
    drift = subtract_drift(tracks, settings.drift)
    if drift.significant:
        warnings.append(drift.sentence)
    warnings += [
        said
        for said in (
            missed_while_moving(drift.tracks),
            _shared_frames(model.context_frames, drift.tracks),
        )
        if said is not None
    ]
    return Tracked(
        detections=detections,
        specks=len(masked.specks),
        tracks=drift.tracks,
        linked=linked,
        polarity=polarity,
        search_range_px=reach,
        suggested=suggested,
        scan=scan,
        drift=drift,
        warnings=tuple(warnings),
        smeared_joined=smeared.joined,
        weighed=weighed,
        why_left_out=why,
        how_left_out=how,
    )


def _sign(model: ParticleDetector, video: Video, settings: AnalysisSettings) -> tuple[int, str]:
    """Return the particles' sign, and what speaks against it."""
    if settings.polarity != "auto" or model.normalisation == "video_maximum":
        return polarity_sign(model, video, settings.polarity), ""
    seen = signs_seen(model, video)
    return seen.sign, seen.doubt(seen.sign)


def given_tracks(source: Source, settings: AnalysisSettings) -> Tracked:
    """Take the tracks of a table as they are; only drift is looked for."""
    tracks = source.tracks if source.tracks is not None else pd.DataFrame()
    tracks = filter_tracks(tracks, settings.min_track_frames).reset_index(drop=True)
    drift = subtract_drift(tracks, settings.drift)
    return Tracked(
        detections=tracks.iloc[:0],
        specks=0,
        tracks=drift.tracks,
        linked=tracks,
        polarity=None,
        search_range_px=None,
        suggested=None,
        scan=None,
        drift=drift,
        warnings=(drift.sentence,) if drift.significant else (),
    )


def _sure_tracks(tracks: pd.DataFrame, relative: float) -> pd.DataFrame:
    """Leave out whole tracks that are much less sure than the surest tenth of them.

    Relative to the video's own, so that a video of dim particles keeps them. Mask models state no
    errors, and their probability does not tell a dim particle from a bright one: all are kept.
    """
    if tracks.empty or tracks["x_error"].isna().all():
        return tracks
    sure = tracks.groupby("particle")["probability"].mean().quantile(0.9)
    kept = filter_tracks(tracks, min_frames=1, min_mean_probability=relative * float(sure))
    return kept.reset_index(drop=True)


def _unsure(relative: float) -> tuple[str, str]:
    return (
        "the detector was less sure of them (far out of focus, very dim, or noise)",
        f"whose mean probability was below {relative:g} times that of the surest tenth",
    )


def _out_of_focus(twin: TwinModel) -> tuple[str, str]:
    if twin.focus is None:
        return "", ""
    return (
        "they are out of focus for more than half of their frames, with peaks less than half as "
        "high as those in the focal plane",
        f"whose median peak was less than {twin.focus.least:.3g} counts high, half of the 95th "
        "percentile of all peaks",
    )


def _shared_frames(context_frames: int, tracks: pd.DataFrame) -> str | None:
    """Say that D of short lags is biased, where positions of slow particles rest on shared frames.

    Estimators of D take the errors of neighbouring frames for independent. It matters where a step
    is not much larger than the error of a position.
    """
    if context_frames == 0 or tracks.empty:
        return None
    ordered = tracks.sort_values(["particle", "frame"])
    moved = ordered[["particle", "frame", "x", "y"]].diff()
    consecutive = (moved["particle"] == 0) & (moved["frame"] == 1)
    if not consecutive.any():
        return None
    square = float((moved.loc[consecutive, ["x", "y"]] ** 2).to_numpy().mean())
    error = float((ordered[["x_error", "y_error"]] ** 2).to_numpy().mean())
    if not square < (1 + _STEPS_OVER_ERRORS**2) * error:
        return None
    return (
        f"The model sees {2 * context_frames + 1} frames at once, and the particles move little "
        "between frames compared with the error of a position: errors of neighbouring frames are "
        f"not independent, and D from lags under {2 * context_frames + 1} frames may be off. "
        "Compare it with that of a model that sees each frame alone."
    )


def _why_no_tracks(detections: pd.DataFrame, frames: int) -> str:
    if detections.empty:
        return "No particles were found: there are no tracks and nothing was estimated."
    if frames == 1:
        return "The video has a single frame: there are no tracks and nothing was estimated."
    return "Particles were found in one frame only: there are no tracks and nothing was estimated."

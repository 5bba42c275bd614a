"""`classify_motion`: immobile, confined, Brownian, anomalous or directed, or undetermined."""

from dataclasses import dataclass, fields
from typing import Literal, overload

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.fractional import SHORTEST_RUN, blocks_of
from cloudtrainer.diffusion.motion_decision import LEVEL, MotionModel, alike, decide
from cloudtrainer.diffusion.motion_fit import fit_tracks
from cloudtrainer.diffusion.motion_lattice import MotionLattice, motion_lattice
from cloudtrainer.diffusion.motion_lengths import Lengths, lengths_of
from cloudtrainer.diffusion.motion_together import fit_together
from cloudtrainer.diffusion.steps import Steps, steps_of
from cloudtrainer.diffusion.tracks import track_arrays

# A track of fewer displacements, in all its gap-free runs of `SHORTEST_RUN`, says too little.
FEWEST_DISPLACEMENTS = 10


@dataclass(frozen=True)
class MotionClass:
    """The kind of motion that an ensemble of tracks shows.

    Attributes
    ----------
    motion_model : str
        "immobile", "confined", "brownian", "anomalous", "directed" or "undetermined".
    p_value : float
        Of Brownian motion, against the other kinds; NaN without a fit.
    p_immobile : float
        Of no motion at all.
    confinement_radius, confinement_radius_error : float
        Square root of the plateau of the MSD without its offset, in `length_unit`, and its
        standard error; NaN unless the motion is confined. In a harmonic well it is two standard
        deviations of the position (each axis), in a round cage with hard walls its radius.
    speed, speed_error : float
        Of the lasting velocity (root mean square over tracks), in `length_unit` a `time_unit`, and
        its standard error; NaN unless the motion is directed.
    length_unit, time_unit : str
        ``um`` or ``px``; ``s`` or ``frame``.
    tracks, displacements : int
        What the choice rests on.
    tracks_differ : bool
        Whether the tracks are found not to have one kind and part of motion in common.
    sentence : str
        The choice, and why.
    """

    motion_model: MotionModel
    p_value: float
    p_immobile: float
    confinement_radius: float
    confinement_radius_error: float
    speed: float
    speed_error: float
    length_unit: str
    time_unit: str
    tracks: int
    displacements: int
    tracks_differ: bool
    sentence: str


@overload
def classify_motion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    per_track: Literal[False] = ...,
    *,
    stride: int = ...,
) -> MotionClass: ...


@overload
def classify_motion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    *,
    per_track: Literal[True],
    stride: int = ...,
) -> pd.DataFrame: ...


def classify_motion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    localisation_error_um: float | None = None,
    per_track: bool = False,
    *,
    stride: int = 1,
) -> MotionClass | pd.DataFrame:
    """Choose the kind of motion that the tracks show, by likelihood-ratio tests at the 1% level.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels. Tracks are cut at missing frames.
    frame_interval_s : float or None
        Seconds a frame; None: times stay in frames.
    pixel_size_um : float or None
        Micrometres a pixel; None: lengths stay in pixels.
    exposure_s : float or None
        Exposure of a frame in seconds, 0 for a strobe; it corrects the radius. None: unknown, the
        radius is then that of the blurred positions. The offset of the MSD is free in sign either
        way.
    localisation_error_um : float or None
        Localisation error per axis, if known (0 is a value); needs `exposure_s`. Only with it can
        a particle that rattles faster than the frames be told from an immobile one.
    per_track : bool
        Classify each track, and return a table with one row a particle.
    stride : int
        Use displacements over this many frames, in all interleaved phases.

    Returns
    -------
    MotionClass
        Or, with `per_track`, a DataFrame ``particle, motion_model, p_value, p_immobile,
        confinement_radius, confinement_radius_error, speed, speed_error, displacements,
        length_unit, speed_unit, reason``, with the meaning of the attributes of `MotionClass`;
        `reason` says why a kind is undetermined.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        Non-positive calibration, or an exposure longer than the frame interval.
    ConfigError
        A stride below 1.

    Notes
    -----
    Exact Gaussian likelihoods with a free offset: Brownian motion (Berglund 2010, Phys. Rev. E 82,
    011917), a harmonic well (Uhlenbeck & Ornstein 1930, Phys. Rev. 36, 823), fractional Brownian
    motion (Backlund, Joyner & Moerner 2015, Phys. Rev. E 91, 062716), and Brownian motion with a
    constant velocity of each track. Motion is not Brownian where one of the others is better at the
    1% level, counted for three tests; which of them is chosen only if its likelihood exceeds the
    next one's 12 times. Motion that is not told from Brownian motion is called so only where the
    95% interval of alpha is within 0.4 of 1 (0.2 for an ensemble). A track is immobile where D = 0
    is not rejected at 1%, the upper 95% limit of D would carry it over the whole track less far
    than its localisation error, and motion in a cage makes up less than a third of its scatter.
    Tracks together share the kind of motion and the part of a displacement that is motion, not the
    scale; where they do not, the kind is undetermined.
    """
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s, localisation_error_um)
    steps = steps_of(track_arrays(tracks), stride, inner=not per_track)
    reason = _too_little(steps)
    usable = steps.particle[reason == ""]
    if len(usable) and len(usable) < len(steps.particle):
        usual = track_arrays(tracks[tracks["particle"].isin(usable)])
        kept = steps_of(usual, stride, inner=not per_track)
    else:
        kept = steps
    if per_track:
        return _table(steps, kept, reason, calibration)
    return _ensemble(kept, len(usable), calibration)


def _too_little(steps: Steps) -> np.ndarray:
    """Return why each particle is not classified; an empty string where it is."""
    count = len(steps.particle)
    reason = np.full(count, "", dtype=object)
    if not (steps.gap == 1).any():
        reason[:] = f"fewer than {_needed(steps.stride)}"
        return reason
    blocks = blocks_of(steps)
    displacements = blocks.size / 2 / steps.stride
    longest = np.zeros(count)
    for length, owner in zip(blocks.length, blocks.owner, strict=True):
        np.maximum.at(longest, owner, length)
    few = (displacements < FEWEST_DISPLACEMENTS) | (longest < SHORTEST_RUN)
    reason[few] = f"fewer than {_needed(steps.stride)}"
    moved = np.bincount(
        np.repeat(steps.owner, np.diff(steps.start)),
        (steps.displacement**2).sum(1) * (steps.gap == 1),
        minlength=count,
    )
    reason[moved == 0] = "every displacement is exactly zero"
    return reason


def _needed(stride: int) -> str:
    if stride == 1:
        return f"{FEWEST_DISPLACEMENTS} displacements from frame to frame"
    return f"{FEWEST_DISPLACEMENTS} independent displacements over {stride} frames"


def _lattice(steps: Steps, calibration: Calibration) -> MotionLattice:
    exposure = calibration.exposure_fraction(steps.stride) or 0.0
    return motion_lattice(blocks_of(steps), exposure, steps.stride)


def _table(steps: Steps, kept: Steps, reason: np.ndarray, calibration: Calibration) -> pd.DataFrame:
    """Return one row a particle; what is too short is undetermined, with the reason."""
    count = len(steps.particle)
    names = ("p_value", "p_immobile", *(field.name for field in fields(Lengths)))
    columns = {name: np.full(count, np.nan) for name in names}
    model = np.full(count, "undetermined", dtype=object)
    good = reason == ""
    if good.any():
        lattice = _lattice(kept, calibration)
        fits = fit_tracks(lattice)
        size = lattice.blocks.size / kept.stride
        decision = decide(fits, size / 2, calibration.localisation_error_px, size, "track")
        lengths = lengths_of(
            fits, decision.motion_model, decision.p_immobile, size, kept, calibration
        )
        model[good] = decision.motion_model
        reason[good] = decision.reason
        columns["p_value"][good] = decision.p_brownian
        columns["p_immobile"][good] = decision.p_immobile
        for field in fields(Lengths):
            columns[field.name][good] = getattr(lengths, field.name)
    return pd.DataFrame(
        {
            "particle": steps.particle,
            "motion_model": model,
            **columns,
            "displacements": steps.per_particle,
            "length_unit": calibration.length_unit,
            "speed_unit": f"{calibration.length_unit}/{calibration.time_unit}",
            "reason": reason,
        }
    )


def _ensemble(steps: Steps, tracks: int, calibration: Calibration) -> MotionClass:
    model: MotionModel = "undetermined"
    numbers = dict.fromkeys(("p_value", "p_immobile"), float("nan"))
    numbers |= dict.fromkeys((field.name for field in fields(Lengths)), float("nan"))
    displacements, differ = 0, False
    if not tracks:
        reason = f"no track has {_needed(steps.stride)}"
    else:
        lattice = _lattice(steps, calibration)
        size = lattice.blocks.size / steps.stride
        displacements = int(lattice.blocks.size.sum() / 2)
        found = fit_together(lattice)
        total = size.sum(keepdims=True)
        decision = decide(
            found.fits,
            size.mean(keepdims=True) / 2,
            calibration.localisation_error_px,
            total,
            "track" if tracks == 1 else "ensemble",
            found.shares,
            tracks,
        )
        model, reason = decision.motion_model[0], decision.reason[0]
        numbers |= {"p_value": decision.p_brownian[0], "p_immobile": decision.p_immobile[0]}
        differ = model != "immobile" and not alike(found.difference, tracks)
        if differ:
            model, reason = "undetermined", "the tracks differ: see the kind of each track alone"
        lengths = lengths_of(
            found.fits, np.array([model]), decision.p_immobile, total, steps, calibration
        )
        numbers |= {field.name: getattr(lengths, field.name)[0] for field in fields(Lengths)}
    numbers = {name: float(value) for name, value in numbers.items()}
    return MotionClass(
        motion_model=model,
        **numbers,
        length_unit=calibration.length_unit,
        time_unit=calibration.time_unit,
        tracks=tracks,
        displacements=displacements,
        tracks_differ=differ,
        sentence=_sentence(model, reason, numbers, calibration),
    )


def _sentence(
    model: MotionModel, reason: str, numbers: dict[str, float], calibration: Calibration
) -> str:
    length, time = calibration.length_unit, calibration.time_unit
    if model == "undetermined":
        return f"The kind of motion is undetermined: {reason}."
    if model == "immobile":
        return (
            "The tracks are immobile: no motion beyond the localisation error "
            f"(p = {numbers['p_immobile']:.2g})."
        )
    p = numbers["p_value"]
    if model == "brownian":
        return f"The tracks do not differ from Brownian motion (p = {p:.2g})."
    found = f"Brownian motion is rejected (p = {p:.2g}, tested at 1%), and"
    if model == "confined":
        radius, error = numbers["confinement_radius"], numbers["confinement_radius_error"]
        if not p < LEVEL:
            found = "The positions scatter more than the localisation error explains, and"
        return f"{found} confinement is likeliest: radius {radius:.3g} +- {error:.1g} {length}."
    if model == "directed":
        speed, error = numbers["speed"], numbers["speed_error"]
        return (
            f"{found} a lasting velocity is likeliest: {speed:.3g} +- {error:.1g} {length}/{time}."
        )
    return f"{found} fractional Brownian motion is likeliest."

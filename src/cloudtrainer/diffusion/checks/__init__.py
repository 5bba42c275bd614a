"""Tests of the Brownian model: are displacements what the likelihood takes them for."""

import pandas as pd

from cloudtrainer.arguments import choice
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.checks.check import LEVEL, Check, Curve, judged, unit_steps
from cloudtrainer.diffusion.checks.common_motion import Taken, common_motion_check, drift_check
from cloudtrainer.diffusion.checks.correlations import (
    DisplacementCorrelations,
    correlation_check,
    displacement_correlations,
)
from cloudtrainer.diffusion.checks.phase import phase_check
from cloudtrainer.diffusion.checks.pixel_locking import pixel_locking_check
from cloudtrainer.diffusion.checks.population import (
    brightness_check,
    diffusion_of_particles,
    length_check,
    position_check,
)
from cloudtrainer.diffusion.checks.spectrum import spectrum_check
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import track_arrays

__all__ = [
    "LEVEL",
    "Check",
    "Curve",
    "DisplacementCorrelations",
    "check_model",
    "displacement_correlations",
]


def check_model(
    tracks: pd.DataFrame,
    *,
    in_place: pd.DataFrame | None = None,
    frame_interval_s: float | None = None,
    drift: Taken = "none",
) -> list[Check]:
    """Test whether the tracks are what the estimate of D takes them for.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y`` (pixels) and, if known, ``intensity``; frames may be
        missing.
    in_place : DataFrame or None
        The same tracks where they are in the frames, where drift was taken out of `tracks`: what
        is tested against the pixels and the field. None: `tracks`.
    frame_interval_s : float or None
        Seconds a frame, for frequencies in Hz; None: cycles a frame.
    drift : {"none", "steady", "mean"}
        What was taken out of `tracks` (`Drift.method`): ``drift left`` cannot be told after any
        correction, ``motion in common`` after the mean step of each frame.

    Returns
    -------
    list of Check
        ``displacement correlations``, ``variance by frame phase``, ``spectrum of displacements``,
        ``drift left``, ``motion in common``, ``pixel locking``, ``D against track length``, ``D
        against brightness``, ``D against position``.

    Raises
    ------
    LabelError
        A table is not one of tracks.
    CalibrationError
        The frame interval is not positive.
    ConfigError
        `drift` is none of the three.

    Notes
    -----
    Under Brownian motion with localisation error and motion blur the displacements of a particle
    are uncorrelated beyond lag 1 (Vestergaard et al. 2014, Phys. Rev. E 89, 022726), and those of
    different particles are independent. The p-values are adjusted for the number of tests (Holm
    1979), and a test fails below 1%, so that clean tracks fail any of them in 1% of cases. It also
    needs an effect that is large enough to matter for D: a huge data set is not failed for what
    does not matter.
    """
    Calibration(frame_interval_s, None)
    choice("drift", drift, ("none", "steady", "mean"))
    arrays = track_arrays(tracks)
    steps = unit_steps(arrays)
    here = tracks if in_place is None else in_place
    D = diffusion_of_particles(steps_of(arrays))
    return judged(
        [
            correlation_check(steps),
            phase_check(steps),
            spectrum_check(steps, frame_interval_s),
            drift_check(steps, drift),
            common_motion_check(steps, drift),
            pixel_locking_check(arrays if in_place is None else track_arrays(in_place)),
            length_check(D),
            brightness_check(D, tracks),
            position_check(D, here),
        ]
    )

"""`estimate_anomalous`: the anomalous exponent and the generalised diffusion coefficient."""

from typing import Literal, overload

import pandas as pd

from cloudtrainer.arguments import choice
from cloudtrainer.diffusion.anomalous_ensemble import AnomalousEstimate, estimate_ensemble
from cloudtrainer.diffusion.anomalous_tracks import table_of_tracks
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.estimate import Interval
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import track_arrays


@overload
def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Literal["mle"] = ...,
    interval: Interval = ...,
    per_track: Literal[False] = ...,
    *,
    stride: int = ...,
    seed: int = ...,
) -> AnomalousEstimate: ...


@overload
def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Literal["mle"] = ...,
    interval: Interval = ...,
    *,
    per_track: Literal[True],
    stride: int = ...,
    seed: int = ...,
) -> pd.DataFrame: ...


def estimate_anomalous(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    localisation_error_um: float | None = None,
    method: Literal["mle"] = "mle",
    interval: Interval = "bootstrap",
    per_track: bool = False,
    *,
    stride: int = 1,
    seed: int = 0,
) -> AnomalousEstimate | pd.DataFrame:
    """Estimate the exponent alpha and K of fractional Brownian motion by maximum likelihood.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels. Tracks are cut at missing frames,
        and those of an ensemble near the border where ``to_border_px`` tells it.
    frame_interval_s : float or None
        Seconds a frame; None: times stay in frames.
    pixel_size_um : float or None
        Micrometres a pixel; None: lengths stay in pixels.
    exposure_s : float or None
        Exposure of a frame in seconds, 0 for a strobe. None: unknown; `alpha_full_exposure` then
        tells what a full exposure would change. The offset of the MSD is free in sign either way.
    localisation_error_um : float or None
        Localisation error per axis, if known (0 is a value); needs `exposure_s`.
    method : {"mle"}
        Maximum likelihood.
    interval : {"bootstrap", "model"}
        ``bootstrap``: the particles are drawn anew 2000 times. ``model``: the likelihood.
    per_track : bool
        Return a table with one row a particle, with the model's intervals.
    stride : int
        Use displacements over this many frames, in all interleaved phases.
    seed : int
        Of the bootstrap.

    Returns
    -------
    AnomalousEstimate
        Or, with `per_track`, a DataFrame ``particle, alpha, alpha_standard_error, alpha_low,
        alpha_high, K, K_low, K_high, displacements, unit, reason``. Where the likelihood is
        largest at an end of the searched range only the interval is given, open to that end.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        Non-positive calibration, or an exposure longer than the frame interval.
    ConfigError
        An unknown method or interval, or a stride below 1.

    Notes
    -----
    No exponent is given where the likelihood is largest at an end of the searched range (0.02 to
    1.98), as for particles in cages, where more than 5% of the bootstrap samples are, or where
    localisation error alone is not rejected at 1% (likelihood ratio, two degrees of freedom).
    MSD under exposure: Backlund, Joyner & Moerner 2015 (Phys. Rev. E 91, 062716). Tracks of more
    than 256 displacements count as several.
    """
    choice("method", method, ("mle",))
    choice("interval", interval, ("bootstrap", "model"))
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s, localisation_error_um)
    steps = steps_of(track_arrays(tracks), stride, inner=not per_track)
    if per_track:
        return table_of_tracks(steps, calibration)
    return estimate_ensemble(steps, calibration, interval, seed)

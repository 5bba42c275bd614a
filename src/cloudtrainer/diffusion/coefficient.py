"""`estimate_diffusion`: the diffusion coefficient of an ensemble, or of each track."""

from typing import Literal, overload

import numpy as np
import pandas as pd

from cloudtrainer.arguments import choice
from cloudtrainer.diffusion.brownian import fit_ensemble, fit_tracks
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.covariance import covariance_estimates, displacement_sums
from cloudtrainer.diffusion.estimate import Estimate, Interval
from cloudtrainer.diffusion.resample import (
    NO_SCATTER,
    ONE_PARTICLE,
    bootstrap_error,
    bootstrap_interval,
    bootstrap_weights,
    interval_error,
    scatters,
)
from cloudtrainer.diffusion.steps import Steps, steps_of, still_axes, why_without_motion
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.diffusion.unequal import degrees_of_freedom, share_of_variance

Method = Literal["mle", "cve"]


@overload
def estimate_diffusion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Method = ...,
    interval: Interval = ...,
    per_track: Literal[False] = ...,
    *,
    stride: int = ...,
    seed: int = ...,
) -> Estimate: ...


@overload
def estimate_diffusion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = ...,
    localisation_error_um: float | None = ...,
    method: Method = ...,
    interval: Interval = ...,
    *,
    per_track: Literal[True],
    stride: int = ...,
    seed: int = ...,
) -> pd.DataFrame: ...


def estimate_diffusion(
    tracks: pd.DataFrame,
    frame_interval_s: float | None,
    pixel_size_um: float | None,
    exposure_s: float | None = None,
    localisation_error_um: float | None = None,
    method: Method = "mle",
    interval: Interval = "bootstrap",
    per_track: bool = False,
    *,
    stride: int = 1,
    seed: int = 0,
) -> Estimate | pd.DataFrame:
    """Estimate the diffusion coefficient D of Brownian tracks.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels, frames may be missing. Tracks of
        one position are left out. With a column ``to_border_px`` (`with_distance_to_border`) an
        ensemble's displacements that begin near the border of the field of view are left out.
    frame_interval_s : float or None
        Seconds a frame; None: times stay in frames.
    pixel_size_um : float or None
        Micrometres a pixel; None: lengths stay in pixels.
    exposure_s : float or None
        Exposure of a frame in seconds, 0 for a strobe. None: unknown; the offset of the MSD is
        then free in sign, and D is unbiased for any exposure.
    localisation_error_um : float or None
        Localisation error per axis, if known (0 is a value); needs `exposure_s`.
    method : {"mle", "cve"}
        ``mle``: exact maximum likelihood, gaps included. ``cve``: covariance-based
        (Vestergaard et al. 2014), from consecutive frames only.
    interval : {"bootstrap", "model"}
        ``bootstrap``: the particles are drawn anew 2000 times; holds when they differ.
        ``model``: the likelihood (for ``cve`` the paper's variance); holds for one common D.
        One particle alone has the model's interval only.
    per_track : bool
        Return a table with one row a particle, with the model's intervals.
    stride : int
        Use displacements over this many frames, in all interleaved phases: an estimate from
        long lags, for videos whose short displacements are correlated.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        Or, with `per_track`, a DataFrame ``particle, D, D_standard_error, D_low, D_high, offset,
        localisation_error, displacements, unit, reason``.

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
    Likelihood: Berglund 2010 (Phys. Rev. E 82, 011917); Michalet & Berglund 2012 (Phys. Rev. E
    85, 061916). Particles of different D give the mean of D, each weighted by its displacements.
    """
    choice("method", method, ("mle", "cve"))
    choice("interval", interval, ("bootstrap", "model"))
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s, localisation_error_um)
    steps = steps_of(track_arrays(tracks), stride, inner=not per_track)
    if per_track:
        return _table(steps, calibration, method)
    return _ensemble(steps, calibration, method, interval, seed)


def _blur(calibration: Calibration, stride: int) -> float | None:
    """Return R: the exposure over six time units."""
    fraction = calibration.exposure_fraction(stride)
    return None if fraction is None else fraction / 6


def _why_not(steps: Steps, method: Method, sigma_known: bool) -> str | None:
    """Return why there can be no estimate, or None."""
    if not len(steps.gap):
        return "no track has two positions" + (
            f" {steps.stride} frames apart" if steps.stride > 1 else ""
        )
    still = why_without_motion(steps)
    longest = int(np.diff(steps.start).max())
    if not sigma_known and longest < 2 and (steps.displacement != 0).any():
        return "no track has three positions, which motion and localisation error need"
    if still is not None:
        return still
    if method == "cve":
        sums = displacement_sums(steps).sum(0)
        if sums[1] == 0 or (not sigma_known and sums[3] == 0):
            return "no track has positions in three consecutive frames, which the method needs"
    return None


def _ensemble(
    steps: Steps, calibration: Calibration, method: Method, interval: Interval, seed: int
) -> Estimate:
    R, sigma = _blur(calibration, steps.stride), calibration.localisation_error_px
    particles = len(steps.particle)
    to_D = calibration.length**2 / (calibration.time * steps.stride)
    reason = _why_not(steps, method, sigma is not None)
    D = s = error = model_error = low = high = float("nan")
    freedom = float("inf")
    how: str = interval
    if reason is None:
        resampled = interval == "bootstrap" and particles > 1
        weights = bootstrap_weights(particles, seed) if resampled else None
        if method == "mle":
            fit, replicates, left_out = fit_ensemble(steps, R, sigma, weights)
            D, s, low, high = (float(part[0]) for part in (fit.D, fit.s, fit.low, fit.high))
            model_error = interval_error(D, low, high)
        else:
            sums = displacement_sums(steps)
            cve = covariance_estimates(sums.sum(0, keepdims=True), R, sigma, steps.stride)
            D, s, model_error = (float(part[0]) for part in (cve.D, cve.s, cve.standard_error))
            low, high = float(cve.low[0]), float(cve.high[0])
            if weights is not None:
                replicates = covariance_estimates(weights @ sums, R, sigma, 1).D
                # A draw of tracks without neighbouring displacements tells nothing.
                replicates = replicates[np.isfinite(replicates)]
                left_out = covariance_estimates(sums.sum(0) - sums, R, sigma, 1).D
        error = model_error
        if weights is not None and not scatters(replicates):
            how = NO_SCATTER
        elif weights is not None:
            weight = np.diff(steps.start).astype(np.float64)
            error = bootstrap_error(replicates, weight)
            freedom = degrees_of_freedom(weight, share_of_variance(model_error, error))
            ends = bootstrap_interval(D, error, left_out, freedom)
            # Particles that do not move hardly scatter: the model's says more.
            without_scatter = method == "mle" and ends[0] <= 0
            low, high = (min(ends[0], low), max(ends[1], high)) if without_scatter else ends
        elif interval == "bootstrap":
            how = ONE_PARTICLE
    return Estimate(
        value=D * to_D,
        standard_error=error * to_D,
        low=low * to_D,
        high=high * to_D,
        method=method,
        unit=calibration.diffusion_unit,
        interval=how,
        model_standard_error=model_error * to_D,
        offset=4 * s * calibration.length**2,
        localisation_error=_localisation_error(D, s, R, calibration.length),
        length_unit=calibration.length_unit,
        particles=particles,
        displacements=len(steps.gap),
        degrees_of_freedom=freedom,
        stride=steps.stride,
        near_border=steps.near_border,
        reason=reason,
    )


def _table(steps: Steps, calibration: Calibration, method: Method) -> pd.DataFrame:
    """Return one row a particle; too short tracks have NaN and the reason."""
    R, sigma = _blur(calibration, steps.stride), calibration.localisation_error_px
    to_D = calibration.length**2 / (calibration.time * steps.stride)
    particles = len(steps.particle)
    reason = _short_tracks(steps, method, sigma is not None)
    estimated = reason == ""
    if not estimated.any():
        D = s = low = high = error = np.full(particles, np.nan)
    elif method == "mle":
        fit = fit_tracks(steps, R, sigma)
        D, s, low, high = fit.D, fit.s, fit.low, fit.high
        error = np.array([interval_error(*row) for row in zip(D, low, high, strict=True)])
    else:
        cve = covariance_estimates(displacement_sums(steps), R, sigma, steps.stride)
        D, s, error = cve.D, cve.s, cve.standard_error
        low, high = cve.low, cve.high
    offset = 4 * s * calibration.length**2
    sigma_found = np.full(particles, np.nan)
    if R is not None:
        sigma_found = np.sqrt(np.maximum(s + 2 * R * D, 0)) * calibration.length

    columns = {
        "D": D * to_D,
        "D_standard_error": error * to_D,
        "D_low": low * to_D,
        "D_high": high * to_D,
        "offset": offset,
        "localisation_error": sigma_found,
    }
    return pd.DataFrame(
        {
            "particle": steps.particle,
            **{name: np.where(estimated, values, np.nan) for name, values in columns.items()},
            "displacements": steps.per_particle,
            "unit": calibration.diffusion_unit,
            "reason": reason,
        }
    )


def _short_tracks(steps: Steps, method: Method, sigma_known: bool) -> np.ndarray:
    """Return why each particle has no estimate; an empty string where it has one."""
    particles = len(steps.particle)
    longest = np.zeros(particles, dtype=np.int64)
    np.maximum.at(longest, steps.owner, np.diff(steps.start))
    still = still_axes(steps)
    reason = np.full(particles, "", dtype=object)
    if method == "cve":
        sums = displacement_sums(steps)
        enough = (sums[:, 1] > 0) & (sigma_known | (sums[:, 3] > 0))
        reason[~enough] = "no positions in three consecutive frames"
    reason[still.any(axis=1)] = "every displacement along one axis is exactly zero"
    if not sigma_known:
        reason[longest < 2] = "fewer than three positions"
    reason[still.all(axis=1)] = "every displacement is exactly zero"
    return reason


def _localisation_error(D: float, s: float, R: float | None, length: float) -> float | None:
    """Return sigma from the offset; 0 where noise alone makes its square negative."""
    if R is None or not np.isfinite(D):
        return None
    return float(np.sqrt(max(s + 2 * R * D, 0.0))) * length

"""What laboratories of gels and mucus report: effective diffusivities, fractions, the fastest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, listed, shown, whole_number
from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.mobility_border import field_too_small
from cloudtrainer.diffusion.mobility_doubts import (
    doubts,
    error_too_large,
    not_independent,
    not_positive,
)
from cloudtrainer.diffusion.mobility_fastest import Fastest, fastest_without_noise
from cloudtrainer.diffusion.mobility_offset import OF_IMMOBILE, offset_of
from cloudtrainer.diffusion.mobility_tables import (
    all_alike,
    effective_row,
    fastest_table,
    fractions_table,
    in_fastest_tenth,
    long_table,
)
from cloudtrainer.diffusion.mobility_values import (
    described,
    effective_diffusivities,
    estimates_of,
    msd_table,
    slopes,
)
from cloudtrainer.diffusion.msd import (
    mean_squared_displacement,
    offset_exceeds,
)
from cloudtrainer.diffusion.stokes_einstein import StokesEinstein, free_diffusion
from cloudtrainer.diffusion.tracks import track_arrays
from cloudtrainer.diffusion.transport import TransportLimits, by_slope, classify
from cloudtrainer.diffusion.weighting import populations
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError

TIME_SCALES_S = (0.1, 0.3, 1.0, 3.0)
REFERENCE_S = 1.0
# Lags of the table of MSDs: as many seconds as MPTHub gives, and no more than so many rows.
_LONGEST_MSD_S, _MOST_LAGS = 10.0, 1000
_ESTIMATES = ("D", "D_low", "D_high", "alpha", "alpha_low", "alpha_high")
# No localisation error is larger.
_MOST_UM = 1e6


@dataclass(frozen=True)
class Mobility:
    """Mobility of a population of particles. Intervals are 95%, from a bootstrap over particles.

    Attributes
    ----------
    tracks : DataFrame
        A row a particle: ``particle, first_frame, frames, duration_s, class, why_undetermined,
        slope, class_by_slope, D, D_low, D_high, alpha, alpha_low, alpha_high, fastest_tenth`` and
        for each time scale ``Deff_<s>s_um2_per_s``, with a free value ``Deff_<s>s_over_free``.
    effective : DataFrame
        A row a time scale: the mean effective diffusivity by particle and by frame, the ratio of
        the two, the medians, what these would be of as many particles that are all alike (single
        tracks scatter unevenly about their mean), and ratios to the free value.
    fractions : DataFrame
        A row a class: fractions by particle and by frame, their difference, and the fraction by
        the slope of log MSD alone.
    fastest : DataFrame
        The mean effective diffusivity of the fastest tenth at the reference time, by particle and
        by frame: without the noise of single tracks, with its interval, or ``why_none``; as
        observed, which noise makes too high; and what chance alone makes of the latter where all
        particles are alike.
    msd : DataFrame
        ``lag_s`` and a column a particle, um^2; nothing is taken out.
    offset_um2, offset_from : float, str
        What was taken out of the MSD for the effective diffusivities, and where it is from.
    blur_s : float
        What was taken out of the time scales for motion blur, s: a third of the exposure, 0 where
        that is unknown.
    reference_s : float
        The time scale of `fastest`, s.
    free : StokesEinstein or None
        D of such a particle in the free liquid.
    limits : TransportLimits
    warnings : tuple of str
    """

    tracks: pd.DataFrame
    effective: pd.DataFrame
    fractions: pd.DataFrame
    fastest: pd.DataFrame
    msd: pd.DataFrame
    offset_um2: float
    offset_from: str
    blur_s: float
    reference_s: float
    free: StokesEinstein | None
    limits: TransportLimits
    warnings: tuple[str, ...] = ()

    @property
    def immobile_offset_um2(self) -> float | None:
        """The offset, where it is the MSD of immobile particles of the same tracks."""
        return self.offset_um2 if self.offset_from.endswith(OF_IMMOBILE) else None

    def table(self) -> pd.DataFrame:
        """Return all numbers of the population in one table, a row a number."""
        return long_table(self.effective, self.fractions, self.fastest)


def mobility(
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    *,
    exposure_s: float | None = None,
    time_scales_s: Sequence[float] = TIME_SCALES_S,
    reference_s: float = REFERENCE_S,
    temperature_K: float | None = None,
    particle_radius_um: float | None = None,
    viscosity_Pa_s: float | None = None,
    wall_distance_um: float | None = None,
    localisation_error_um: float | None = None,
    limits: TransportLimits | None = None,
    estimates: pd.DataFrame | None = None,
    stride: int = 1,
    seed: int = 0,
) -> Mobility:
    """Return effective diffusivities, fractions of transport and the fastest tenth.

    The effective diffusivity of a track at the time scale t is ``(MSD(t) - offset) / (4 (t -
    exposure / 3))``: a third of the exposure is the motion blur of a Brownian particle, whatever
    its D. Means weight each particle equally, or each by its number of frames: particles that move
    fast leave the focal plane early and others come in their place, so that equal weights count
    them too often (Wang et al. 2015, J. Control. Release 220, 37). Weighted by frames, a fraction
    is that of the particles in a frame.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``, pixels; without drift.
    frame_interval_s, pixel_size_um : float
        Calibration.
    exposure_s : float, optional
        Exposure of a frame, s, for the motion blur; None: unknown, and no blur is taken out of the
        time scales.
    time_scales_s : sequence of float
        Time scales, s; each is taken at the nearest whole number of frames.
    reference_s : float
        Time in which displacements are compared with `limits`, and time scale of the fastest tenth.
    temperature_K, particle_radius_um, viscosity_Pa_s, wall_distance_um : float, optional
        With the first three, effective diffusivities are also given over that of such a particle
        in the free medium of that viscosity (`free_diffusion`).
    localisation_error_um : float, optional
        Static localisation error of each axis, um, as stuck particles show it: the offset is then
        4 times its square. Without it, the offset is the MSD of the particles classed immobile
        (mean over the first three lags from ``stride`` on, three particles or more); without them,
        that of the Brownian estimate of the ensemble, which where particles are caged also holds
        what they do within a frame. One offset is taken for all tracks. Without an exposure the
        last of the three holds the mean blur of the ensemble, which is too much for slow particles
        among fast ones; with the other two, blur lowers effective diffusivities by
        exposure / (3 t).
    limits : TransportLimits, optional
        Where the classes part.
    estimates : DataFrame, optional
        ``particle, D, D_low, D_high, alpha, alpha_low, alpha_high`` of each particle, where they
        are known already; otherwise they are estimated.
    stride : int
        Frames of the displacements that the Brownian estimate of the offset rests on: more than 1
        where positions of neighbouring frames are not independent (`check_model`). At shorter time
        scales no effective diffusivity is given.
    seed : int
        Of the bootstrap.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        A calibration, temperature, radius or viscosity is none that can be.
    ConfigError
        A time scale is not positive, or there is none.
    """
    stride = whole_number("stride", stride, "frames", least=1)
    limits = TransportLimits() if limits is None else limits
    if not isinstance(limits, TransportLimits):
        raise ConfigError(f"limits is {shown(limits)}: give TransportLimits, or None")
    _check_estimates(estimates)
    check_time_scales(time_scales_s)
    check_time_scales((reference_s,))
    _check(frame_interval_s, pixel_size_um, localisation_error_um)
    calibration = Calibration(frame_interval_s, pixel_size_um, exposure_s)
    free = None
    if not (temperature_K is None or particle_radius_um is None or viscosity_Pa_s is None):
        free = free_diffusion(
            temperature_K, particle_radius_um, viscosity_Pa_s, wall_distance_um=wall_distance_um
        )
    arrays = track_arrays(tracks)
    wanted = sorted({_lag(time, frame_interval_s) for time in time_scales_s})
    reference = _lag(reference_s, frame_interval_s)
    longest = max(*wanted, reference, min(round(_LONGEST_MSD_S / frame_interval_s), _MOST_LAGS))
    msd = mean_squared_displacement(
        tracks, longest, frame_interval_s=frame_interval_s, pixel_size_um=pixel_size_um
    )
    if estimates is None:
        estimates = estimates_of(tracks, frame_interval_s, pixel_size_um, exposure_s)
    found = described(arrays, msd, frame_interval_s).merge(
        estimates[["particle", *_ESTIMATES]], on="particle", how="left"
    )
    found["class"], found["why_undetermined"] = classify(found, reference_s, limits)
    found["slope"] = slopes(msd, reference)
    found["class_by_slope"] = by_slope(found["slope"].to_numpy(), limits)
    offset = offset_of(
        msd, found["class"] == "immobile", tracks, frame_interval_s, pixel_size_um, exposure_s,
        localisation_error_um, stride, seed,
    )  # fmt: skip
    too_large = localisation_error_um is not None and offset_exceeds(msd, offset.um2)
    reached = [lag for lag in wanted if stride <= lag <= len(msd.lag)]
    if reached and not stride <= reference <= len(msd.lag):
        reference = reached[0] if reference < stride else reached[-1]
    unknown = replace(offset, um2=np.nan)
    effective = {
        lag: effective_diffusivities(msd, lag, unknown if too_large or lag < stride else offset)
        for lag in sorted({*wanted, reference})
    }
    people = populations(found["frames"].to_numpy(np.float64), seed)
    told = fastest_without_noise(arrays, effective[reference], found, people, calibration, seed)
    if reference < stride:
        told = dict.fromkeys(told, Fastest(reason="no time scale is long enough"))
    means = {lag: people["frame"].mean(values)[0][0] for lag, values in effective.items()}
    noise = {
        lag: max(offset.um2, 0.0) / (8 * mean * frame_interval_s) if mean > 0 else np.nan
        for lag, mean in means.items()
    }
    alike = all_alike(arrays, msd, noise, seed)
    fastest = fastest_table(effective[reference], people, told, free, alike[reference])
    found["fastest_tenth"] = in_fastest_tenth(effective[reference])
    for lag in wanted:
        name = f"Deff_{lag * frame_interval_s:.3g}s"
        found[f"{name}_um2_per_s"] = effective[lag]
        if free is not None:
            found[f"{name}_over_free"] = effective[lag] / free.value
    table = pd.DataFrame(
        [
            effective_row(lag, lag * frame_interval_s, effective[lag], people, free, alike[lag])
            for lag in wanted
        ]
    )
    fractions = fractions_table(found, people)
    return Mobility(
        tracks=found,
        effective=table,
        fractions=fractions,
        fastest=fastest.assign(time_scale_s=reference * frame_interval_s),
        msd=msd_table(msd),
        offset_um2=offset.um2,
        offset_from=offset.origin,
        blur_s=offset.blur_s,
        reference_s=reference * frame_interval_s,
        free=free,
        limits=limits,
        warnings=(
            error_too_large(localisation_error_um, msd)
            if too_large and localisation_error_um is not None
            else ()
        )
        + offset.warnings
        + not_independent(table, stride, frame_interval_s)
        + not_positive(table, offset.um2, offset.origin)
        + field_too_small(arrays, table, pixel_size_um, seed)
        + doubts(
            found,
            effective[reference],
            table.iloc[:0] if too_large else table[table["lag_frames"] >= stride],
            fractions,
            reference,
            frame_interval_s,
            free,
        ),
    )


def check_time_scales(time_scales_s: object) -> None:
    """Refuse time scales that cannot be.

    Raises
    ------
    ConfigError
        There is none, or one is not above 0.
    """
    times = listed("time_scales_s", time_scales_s, "[0.1, 1.0], in seconds")
    if not times:
        raise ConfigError("time_scales_s is empty: give one time scale or more, in seconds")
    for value in times:
        if not (is_number(value) and value > 0):
            raise ConfigError(f"a time scale of {shown(value)} s: must be above 0")


def _check_estimates(estimates: pd.DataFrame | None) -> None:
    if estimates is None:
        return
    if not isinstance(estimates, pd.DataFrame):
        raise LabelError(f"estimates is {shown(estimates)}: give a pandas DataFrame, or None")
    missing = [name for name in ("particle", *_ESTIMATES) if name not in estimates]
    if missing:
        raise LabelError(
            f"estimates: no column {missing[0]!r}; particle, {', '.join(_ESTIMATES)} are needed"
        )


def _check(frame_interval_s: float, pixel_size_um: float, error_um: float | None) -> None:
    for name, value in (("frame_interval_s", frame_interval_s), ("pixel_size_um", pixel_size_um)):
        if not (is_number(value) and value > 0):
            raise CalibrationError(f"{name} is {value!r}: give a positive number")
    if error_um is not None and not (is_number(error_um) and 0 <= error_um <= _MOST_UM):
        raise CalibrationError(
            f"localisation_error_um is {error_um!r}: must be 0 or more, {_MOST_UM:g} at most"
        )


def _lag(time_s: float, frame_interval_s: float) -> int:
    return max(1, round(time_s / frame_interval_s))

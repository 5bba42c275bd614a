"""What laboratories of gels and mucus report: effective diffusivities, fractions, the fastest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, listed, shown
from cloudtrainer.diffusion.anomalous import estimate_anomalous
from cloudtrainer.diffusion.ensemble import estimate_diffusion
from cloudtrainer.diffusion.mobility_tables import (
    effective_row,
    ends,
    fastest_table,
    fractions_table,
    in_fastest_tenth,
    long_table,
)
from cloudtrainer.diffusion.msd import (
    MeanSquaredDisplacement,
    mean_squared_displacement,
    offset_exceeds,
)
from cloudtrainer.diffusion.stokes_einstein import StokesEinstein, free_diffusion
from cloudtrainer.diffusion.tracks import Calibration, FloatArray, TrackArrays, track_arrays
from cloudtrainer.diffusion.transport import TransportLimits, by_slope, classify
from cloudtrainer.diffusion.weighting import populations
from cloudtrainer.errors import CalibrationError, ConfigError, LabelError

TIME_SCALES_S = (0.1, 0.3, 1.0, 3.0)
REFERENCE_S = 1.0
# Lags of the table of MSDs: as many seconds as MPTHub gives, and no more than so many rows.
_LONGEST_MSD_S, _MOST_LAGS = 10.0, 1000
_FEWEST_IMMOBILE = 3
_OF_IMMOBILE = "immobile particles"
_ESTIMATES = ("D", "D_low", "D_high", "alpha", "alpha_low", "alpha_high")
# Shares of tracks from which on a reader must know of them.
_WORTH_SAYING = 0.1
# Weights that change a mean by less are of no matter to it.
_WORTH_WEIGHING = 0.05
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
        the two, the medians, and ratios to the free value.
    fractions : DataFrame
        A row a class: fractions by particle and by frame, their difference, and the fraction by
        the slope of log MSD alone.
    fastest : DataFrame
        The fastest tenth at the reference time, by particle and by frame, and what chance alone
        makes of the fastest tenth of particles that are all alike.
    msd : DataFrame
        ``lag_s`` and a column a particle, um^2; nothing is taken out.
    offset_um2, offset_from : float, str
        What was taken out of the MSD for the effective diffusivities, and where it is from.
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
    reference_s: float
    free: StokesEinstein | None
    limits: TransportLimits
    warnings: tuple[str, ...] = ()

    @property
    def immobile_offset_um2(self) -> float | None:
        """The offset, where it is the MSD of immobile particles of the same tracks."""
        return self.offset_um2 if self.offset_from.endswith(_OF_IMMOBILE) else None

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
    seed: int = 0,
) -> Mobility:
    """Return effective diffusivities, fractions of transport and the fastest tenth.

    The effective diffusivity of a track at the time scale t is ``(MSD(t) - offset) / (4 t)``.
    Means weight each particle equally, or each by its number of frames: particles that move fast
    leave the focal plane early and others come in their place, so that equal weights count them
    too often (Wang et al. 2015, J. Control. Release 220, 37). Weighted by frames, a fraction is
    that of the particles in a frame.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``, pixels; without drift.
    frame_interval_s, pixel_size_um : float
        Calibration.
    exposure_s : float, optional
        Exposure of a frame, s, for the estimates of single tracks.
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
        (mean over lags of 1 to 3 frames, three particles or more); without them, that of the
        Brownian estimate of the ensemble, which where particles are caged also holds what they do
        within a frame. One offset is taken for all tracks; motion blur, which lowers the effective
        diffusivity by exposure / (3 t), is in the last of the three alone.
    limits : TransportLimits, optional
        Where the classes part.
    estimates : DataFrame, optional
        ``particle, D, D_low, D_high, alpha, alpha_low, alpha_high`` of each particle, where they
        are known already; otherwise they are estimated.
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
    limits = TransportLimits() if limits is None else limits
    if not isinstance(limits, TransportLimits):
        raise ConfigError(f"limits is {shown(limits)}: give TransportLimits, or None")
    _check_estimates(estimates)
    check_time_scales(time_scales_s)
    check_time_scales((reference_s,))
    _check(frame_interval_s, pixel_size_um, localisation_error_um)
    Calibration(frame_interval_s, pixel_size_um, exposure_s)
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
        estimates = _estimates(tracks, frame_interval_s, pixel_size_um, exposure_s)
    found = _described(arrays, msd, frame_interval_s).merge(
        estimates[["particle", *_ESTIMATES]], on="particle", how="left"
    )
    found["class"], found["why_undetermined"] = classify(found, reference_s, limits)
    found["slope"] = _slopes(msd, reference)
    found["class_by_slope"] = by_slope(found["slope"].to_numpy(), limits)
    if localisation_error_um is not None:
        offset, offset_from = 4 * localisation_error_um**2, "the localisation error given"
    else:
        offset, offset_from = _offset(
            msd, found["class"] == "immobile", tracks, frame_interval_s, pixel_size_um, exposure_s
        )
    too_large = localisation_error_um is not None and offset_exceeds(msd, offset)
    reached = [lag for lag in wanted if lag <= len(msd.lag)]
    if reference > len(msd.lag) and reached:
        reference = reached[-1]
    effective = {
        lag: _effective(msd, lag, np.nan if too_large else offset)
        for lag in sorted({*wanted, reference})
    }
    people = populations(found["frames"].to_numpy(np.float64), seed)
    fastest = fastest_table(arrays, msd, effective[reference], people, reference, free, seed)
    found["fastest_tenth"] = in_fastest_tenth(effective[reference])
    for lag in wanted:
        name = f"Deff_{lag * frame_interval_s:.3g}s"
        found[f"{name}_um2_per_s"] = effective[lag]
        if free is not None:
            found[f"{name}_over_free"] = effective[lag] / free.value
    table = pd.DataFrame(
        [effective_row(lag, lag * frame_interval_s, effective[lag], people, free) for lag in wanted]
    )
    fractions = fractions_table(found, people)
    return Mobility(
        tracks=found,
        effective=table,
        fractions=fractions,
        fastest=fastest.assign(time_scale_s=reference * frame_interval_s),
        msd=_msd_table(msd),
        offset_um2=offset,
        offset_from=offset_from,
        reference_s=reference * frame_interval_s,
        free=free,
        limits=limits,
        warnings=(
            _too_large(localisation_error_um, msd)
            if too_large and localisation_error_um is not None
            else ()
        )
        + _warnings(
            found,
            effective[reference],
            table.iloc[:0] if too_large else table,
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


def _too_large(error_um: float, msd: MeanSquaredDisplacement) -> tuple[str, ...]:
    return (
        f"The static error given ({error_um:g} um) is larger than the particles' whole motion: 4 "
        f"times its square is {4 * error_um**2:.3g} um^2, and their MSD at the first lag "
        f"{msd.ensemble[0]:.3g} um^2. Effective diffusivities are not given; check the error and "
        "its unit.",
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


def _estimates(
    tracks: pd.DataFrame, frame_interval_s: float, pixel_size_um: float, exposure_s: float | None
) -> pd.DataFrame:
    parts = [
        estimate(
            tracks, frame_interval_s, pixel_size_um, exposure_s, per_track=True, interval="model"
        )
        for estimate in (estimate_diffusion, estimate_anomalous)
    ]
    return parts[0].merge(parts[1], on="particle", how="outer")


def _described(
    arrays: TrackArrays, msd: MeanSquaredDisplacement, frame_interval_s: float
) -> pd.DataFrame:
    """Return what tracks of two positions or more are, in the order of `msd`."""
    long = arrays.lengths > 1
    first, last = arrays.frame[arrays.start[:-1]][long], arrays.frame[arrays.start[1:] - 1][long]
    return pd.DataFrame(
        {
            "particle": msd.particle,
            "first_frame": first,
            "frames": arrays.lengths[long],
            "duration_s": (last - first) * frame_interval_s,
        }
    )


def _offset(
    msd: MeanSquaredDisplacement,
    immobile: pd.Series,
    tracks: pd.DataFrame,
    frame_interval_s: float,
    pixel_size_um: float,
    exposure_s: float | None,
) -> tuple[float, str]:
    chosen = immobile.to_numpy()
    if chosen.sum() >= _FEWEST_IMMOBILE:
        pairs = msd.pairs[chosen, :3]
        sums = np.nan_to_num(msd.per_track[chosen, :3]) * pairs
        return float(sums.sum() / pairs.sum()), f"the MSD of {chosen.sum()} {_OF_IMMOBILE}"
    D = estimate_diffusion(tracks, frame_interval_s, pixel_size_um, exposure_s, interval="model")
    if np.isfinite(D.offset):
        return D.offset, "the Brownian estimate of the ensemble"
    return 0.0, "nothing: there is no estimate of it"


def _effective(msd: MeanSquaredDisplacement, lag: int, offset: float) -> FloatArray:
    if lag > len(msd.lag):
        return np.full(len(msd.particle), np.nan)
    return np.asarray((msd.per_track[:, lag - 1] - offset) / (4 * msd.lag_time[lag - 1]))


def _slopes(msd: MeanSquaredDisplacement, reference: int) -> FloatArray:
    """Return the slope of ln MSD against ln lag of each track.

    Over the lags up to the reference time, and to a quarter of the track where that is shorter, but
    of three lags at least.
    """
    lags = min(max(reference, 3), len(msd.lag))
    value, pairs = msd.per_track[:, :lags], msd.pairs
    longest = np.where(pairs > 0, msd.lag, 0).max(axis=1, initial=0)
    used = msd.lag[:lags] <= np.maximum(longest / 4, 3)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.log(value)
        used &= np.isfinite(y)
        x = np.broadcast_to(np.log(msd.lag[:lags]), y.shape)
        y = np.where(used, y, 0.0)
        number = used.sum(axis=1)
        x = np.where(used, x - (x * used).sum(axis=1, keepdims=True) / number[:, None], 0.0)
        slope = (x * y).sum(axis=1) / (x**2).sum(axis=1)
    return np.asarray(np.where(number >= 3, slope, np.nan))


def _msd_table(msd: MeanSquaredDisplacement) -> pd.DataFrame:
    table = pd.DataFrame(msd.per_track.T, columns=[str(name) for name in msd.particle])
    table.insert(0, "lag_s", msd.lag_time)
    return table


def _warnings(
    found: pd.DataFrame,
    values: FloatArray,
    table: pd.DataFrame,
    fractions: pd.DataFrame,
    reference: int,
    frame_interval_s: float,
    free: StokesEinstein | None,
) -> tuple[str, ...]:
    said = list(free.warnings) if free is not None else []
    unreached = table.loc[table["particles"] == 0, "time_scale_s"]
    if len(unreached):
        named = ", ".join(f"{time:.3g} s" for time in unreached)
        said.append(f"No track is long enough for an effective diffusivity at {named}.")
    short = ~np.isfinite(values)
    if len(found) and _WORTH_SAYING < short.mean() < 1:
        quick = found.loc[short, "D"].median() / found.loc[~short, "D"].median()
        than = f"; their median D is {quick:.2g} times that of the others" if quick > 0 else ""
        said.append(
            f"{short.sum()} of {len(found)} tracks are too short for the effective diffusivity at "
            f"{reference * frame_interval_s:.3g} s and are not in it{than}."
        )
    for row in table.to_dict("records"):
        value, low, high = ends(row, "frame_over_particle")
        if (high < 1 or low > 1) and abs(value - 1) > _WORTH_WEIGHING:
            said.append(
                f"Weighted by frames, the mean effective diffusivity at {row['time_scale_s']:.3g} "
                f"s is {value:.2f} ({low:.2f} to {high:.2f}) times that of equal weights: length "
                "and speed of the tracks go together. Say which weights you quote."
            )
            break
    unknown = fractions.set_index("class").loc["undetermined"]
    if unknown["by_particle"] > _WORTH_SAYING:
        said.append(
            f"{unknown['by_particle']:.0%} of the tracks ({unknown['by_frame']:.0%} by frames) are "
            "too short or too noisy for a class of transport: the other fractions are not those of "
            "the whole population."
        )
    return tuple(said)

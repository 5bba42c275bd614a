"""From tracks to numbers: MSD, D, alpha, the tests of the model, and what to be wary of."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cloudtrainer.analysis.agreement import agreed, contradict, kinds_found
from cloudtrainer.analysis.doubts import (
    oddities,
    reservations,
    spread_reservations,
    stuck_tracks,
    stuck_warning,
)
from cloudtrainer.analysis.fragments import fragments_warning
from cloudtrainer.analysis.lost_links import LostLinks, lost_links
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import AnalysisSettings
from cloudtrainer.diffusion import (
    AlphaSpread,
    AnomalousEstimate,
    Check,
    DiffusionSpread,
    DisplacementCorrelations,
    DisplacementDistribution,
    Estimate,
    MeanSquaredDisplacement,
    Motion,
    MotionClass,
    NonGaussianParameter,
    alpha_spread,
    check_model,
    classify_motion,
    diffusion_spread,
    displacement_correlations,
    displacement_distribution,
    estimate_anomalous,
    estimate_diffusion,
    mean_squared_displacement,
    motion_type,
    non_gaussian_parameter,
)
from cloudtrainer.diffusion.steps import MOST_NEAR_BORDER
from cloudtrainer.report.wording import without_displacements
from cloudtrainer.tracking import subtract_drift

# Where displacements of neighbouring frames cannot be trusted, those over this many frames are
# used: the correlations that compression leaves have died away by then.
# The first gives the estimate; what the longer ones give is covered by its interval.
LONG_LAGS_FRAMES = (5, 8, 12)


@dataclass(frozen=True)
class Measurement:
    """What the tracks of a source say.

    Attributes
    ----------
    msd : MeanSquaredDisplacement
        Of each track and of the ensemble.
    diffusion : Estimate
        D; from long lags where the model failed at short ones, and with what links took of it.
    short_lag_diffusion : Estimate or None
        D from all displacements, where `diffusion` is from long lags.
    moving_diffusion : Estimate or None
        D without the tracks that do not move, from the same lags as `diffusion`; None where there
        are none of them, or they make no difference.
    stuck : int
        Tracks that `moving_diffusion` is without.
    diffusion_of_all : Estimate or None
        D with the tracks that were left out, as `diffusion`; None where none were.
    long_lags_frames : tuple of int
        The lags whose D lies in the interval of `diffusion`, where that is from long lags.
    lost : LostLinks
        What links took of `diffusion`, `short_lag_diffusion`, `moving_diffusion` and
        `diffusion_of_all`, and of nothing else has been put back.
    anomalous : AnomalousEstimate
        Exponent and generalised diffusion coefficient, from the same lags as `diffusion`.
    motion : Motion
        The kind of motion, by the exponent of the ensemble.
    motion_class : MotionClass
        The kind of motion of the ensemble by the likelihoods of all kinds. Its model is that of
        `motion` where the two contradict each other, or it cannot choose.
    spread : DiffusionSpread
        How D differs between particles, from the same lags as `diffusion`.
    alpha_spread : AlphaSpread
        How the exponent differs between particles, from the same lags.
    checks : tuple of Check
        Tests of the model.
    correlations : DisplacementCorrelations
        What the first of them rests on.
    distributions : tuple of DisplacementDistribution
        Displacements over one frame, and over the middle lag of `non_gaussian`.
    non_gaussian : NonGaussianParameter
        How far they are from a Gaussian.
    particles : DataFrame
        One row a particle: ``particle, first_frame, frames, D..., alpha..., alpha_reason,
        motion_model, motion_p_value, confinement_radius..., speed..., motion_reason``.
    warnings : tuple of str
        What the user should know.
    """

    msd: MeanSquaredDisplacement
    diffusion: Estimate
    short_lag_diffusion: Estimate | None
    moving_diffusion: Estimate | None
    stuck: int
    diffusion_of_all: Estimate | None
    long_lags_frames: tuple[int, ...]
    lost: LostLinks
    anomalous: AnomalousEstimate
    motion: Motion
    spread: DiffusionSpread
    alpha_spread: AlphaSpread
    motion_class: MotionClass
    checks: tuple[Check, ...]
    correlations: DisplacementCorrelations
    distributions: tuple[DisplacementDistribution, ...]
    non_gaussian: NonGaussianParameter
    particles: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def kinds_found(self) -> dict[str, float]:
        """The kinds of single tracks with their shares, where the tracks are not of one kind."""
        return kinds_found(self.motion_class, self.particles)


def measure(tracked: Tracked, source: Source, settings: AnalysisSettings) -> Measurement:
    """Estimate what the tracks say, in um and s where the source is calibrated."""
    tracks, seed = tracked.tracks, settings.seed
    interval = source.frame_interval_s if source.calibrated else None
    pixel = source.pixel_size_um if source.calibrated else None
    exposure = source.exposure_s if source.calibrated else None

    def diffusion_at(stride: int, of: pd.DataFrame = tracks) -> Estimate:
        return estimate_diffusion(of, interval, pixel, exposure, stride=stride, seed=seed)

    def at_long_lags(of: pd.DataFrame) -> list[Estimate]:
        return [diffusion_at(frames, of) for frames in LONG_LAGS_FRAMES]

    def anomalous_at(stride: int) -> AnomalousEstimate:
        return estimate_anomalous(tracks, interval, pixel, exposure, stride=stride, seed=seed)

    checks = check_model(
        tracks,
        in_place=tracked.measured_in_place(),
        frame_interval_s=source.frame_interval_s,
        drift=tracked.drift.method,
    )
    failed = [check for check in checks if check.failed]
    long_lags_help = any(check.long_lags_help for check in failed)
    diffusion = short = diffusion_at(1)
    stride = 1
    lags: tuple[int, ...] = ()
    if long_lags_help:
        at_lags = at_long_lags(tracks)
        from_long = _widened(at_lags)
        if np.isfinite(from_long.value):
            diffusion, stride = from_long, LONG_LAGS_FRAMES[0]
            lags = tuple(one.stride for one in at_lags if np.isfinite(one.value))
    spread = diffusion_spread(tracks, interval, pixel, exposure, stride=stride, seed=seed)
    to_px = (1 / (pixel or 1.0), interval or 1.0)
    share = None if exposure is None or not interval else exposure / interval
    lost = lost_links(tracked, source.shape, diffusion, spread, to_px, settings, share)

    def as_diffusion(of: pd.DataFrame) -> Estimate:
        return lost.put_back(_widened(at_long_lags(of)) if stride > 1 else diffusion_at(1, of))

    diffusion, short = lost.put_back(diffusion), lost.put_back(short)
    warnings = [check.sentence for check in failed]
    if long_lags_help:
        if stride > 1:
            warnings.append(
                f"D and alpha are therefore taken from displacements over {stride} frames, "
                f"which gives D = {diffusion}; all displacements would give {short}."
            )
        else:
            warnings.append(
                "The tracks are too short to use longer displacements instead: do not publish D "
                "without finding the cause."
            )
    anomalous = anomalous_at(stride)
    motion = motion_type(anomalous, anomalous_at(1) if stride > 1 else None)
    likeliest = classify_motion(tracks, interval, pixel, exposure, stride=stride)
    motion_class = agreed(motion, likeliest)
    warnings += [*oddities(tracks), *reservations(diffusion, motion, anomalous)]
    parted = fragments_warning(tracks, settings.memory_frames, seed)
    warnings += [parted] if parted else []
    warnings += [lost.warning] if lost.warning else _exchanged_rarely(lost, tracked)
    warnings += spread_reservations(spread, checks)
    particles = _particles(tracks, source, stride)
    stuck = particles.loc[stuck_tracks(particles, diffusion), "particle"]
    moving = None
    if len(stuck):
        moving = as_diffusion(tracks[~tracks["particle"].isin(stuck)])
        said = stuck_warning(diffusion, moving, len(stuck), len(particles))
        moving = moving if said else None
        warnings += [said] if said else []
    kinds = kinds_found(motion_class, particles)
    if kinds:
        shares = ", ".join(f"{100 * share:.0f}% {kind}" for kind, share in kinds.items())
        warnings.append(
            f"The tracks are of different kinds ({shares}): one D and one exponent for all "
            "describe none of them. See each track's motion_model in particles.csv, and measure "
            "the kinds apart."
        )
    if contradict(motion, likeliest):
        warnings.append(_contradiction(motion, likeliest, stride))
    everything = None
    if tracked.left_out:
        idle = idle_tracks(diffusion, tracks["particle"].nunique())
        linked = subtract_drift(tracked.linked, settings.drift).tracks
        everything = as_diffusion(linked)
        warnings.append(
            f"{tracked.left_out} of {tracked.linked['particle'].nunique()} tracks do not enter D: "
            f"{tracked.why_left_out}. With them D would be {everything}. "
            f"{f'Of the others, {idle}: not in D either. ' if idle else ''}"
            "--min-relative-probability 0 keeps all."
        )
    non_gaussian = non_gaussian_parameter(tracks, frame_interval_s=interval)
    return Measurement(
        msd=mean_squared_displacement(tracks, frame_interval_s=interval, pixel_size_um=pixel),
        diffusion=diffusion,
        short_lag_diffusion=short if stride > 1 else None,
        moving_diffusion=moving,
        diffusion_of_all=everything,
        stuck=len(stuck) if moving is not None else 0,
        long_lags_frames=lags,
        lost=lost,
        anomalous=anomalous,
        motion=motion,
        spread=spread,
        alpha_spread=alpha_spread(tracks, interval, pixel, exposure, stride=stride, seed=seed),
        motion_class=motion_class,
        checks=tuple(checks),
        correlations=displacement_correlations(tracks),
        distributions=tuple(
            displacement_distribution(
                tracks, int(lag), frame_interval_s=interval, pixel_size_um=pixel
            )
            for lag in sorted({1, int(non_gaussian.lag[len(non_gaussian.lag) // 2])})
        ),
        non_gaussian=non_gaussian,
        particles=particles,
        warnings=tuple(warnings),
    )


def idle_tracks(D: Estimate, tracks: int) -> str:
    """Return how many of all measured tracks do not enter D, and why; empty where none."""
    if not np.isfinite(D.value):
        return ""
    border = 0 < D.near_border <= MOST_NEAR_BORDER
    return without_displacements(tracks, D.particles, D.stride, border)


def _widened(estimates: list[Estimate]) -> Estimate:
    """Return the first estimate, its interval widened to hold the values of the others."""
    first = estimates[0]
    values = [estimate.value for estimate in estimates if np.isfinite(estimate.value)]
    if not np.isfinite(first.value):
        return first
    return replace(first, low=min(first.low, *values), high=max(first.high, *values))


def _exchanged_rarely(lost: LostLinks, tracked: Tracked) -> list[str]:
    """Say that crowding, which was warned of, takes little of D, where simulations tell."""
    crowded = tracked.suggested is not None and tracked.suggested.warnings
    if not crowded or not lost.standard_error > 0:
        return []
    return [
        "Of simulated Brownian particles as crowded and as fast, linking changes D by "
        f"{100 * (lost.kept - 1):+.1f}%: D has been corrected for it."
    ]


def _contradiction(motion: Motion, likeliest: MotionClass, stride: int) -> str:
    """Say that exponent and likelihoods disagree, and what of it the failed checks explain."""
    if stride == 1:
        return (
            f"{likeliest.sentence} But the exponent speaks against it: {motion.sentence} Look at "
            "the kinds of the single tracks."
        )
    return (
        f"By their likelihoods the tracks would be {likeliest.motion_model}, not what the exponent "
        f"says: {motion.sentence} Likelihoods suppose displacements as the failed checks say that "
        "these are not, and the exponent's test rests on the scatter between tracks: it decides."
    )


def _particles(tracks: pd.DataFrame, source: Source, stride: int) -> pd.DataFrame:
    """Return one row a particle, with the model's intervals."""
    interval = source.frame_interval_s if source.calibrated else None
    pixel = source.pixel_size_um if source.calibrated else None
    exposure = source.exposure_s if source.calibrated else None
    seen = tracks.groupby("particle")["frame"].agg(first_frame="min", frames="size").reset_index()
    D = estimate_diffusion(
        tracks, interval, pixel, exposure, per_track=True, interval="model", stride=stride
    )
    alpha = estimate_anomalous(
        tracks, interval, pixel, exposure, per_track=True, interval="model", stride=stride
    )
    motion = classify_motion(tracks, interval, pixel, exposure, per_track=True, stride=stride)
    motion = motion.rename(columns={"p_value": "motion_p_value", "reason": "motion_reason"})
    motion = motion.drop(columns=["displacements", "p_immobile", "length_unit", "speed_unit"])
    D = D.drop(columns=["displacements", "unit", "reason"])
    alpha["alpha_reason"] = alpha["reason"].mask(alpha["reason"] == "")
    alpha = alpha.drop(columns=["displacements", "unit", "reason"])
    for table in (D, alpha, motion):
        seen = seen.merge(table, on="particle", how="left")
    alone = seen["motion_model"].isna()
    seen["motion_model"] = seen["motion_model"].mask(alone, "undetermined")
    seen["motion_reason"] = seen["motion_reason"].mask(alone, "seen in one frame")
    return seen

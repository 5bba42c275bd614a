"""Several videos together: the video is the replicate, because its tracks share its faults."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cloudtrainer.analysis.lost_links import ERROR_OF_SHARE
from cloudtrainer.analysis.summary import estimate_entry
from cloudtrainer.diffusion import Estimate
from cloudtrainer.diffusion.videos import VideoValues, mean_over_videos
from cloudtrainer.version import __version__


@dataclass(frozen=True)
class Combined:
    """The mean over videos.

    Attributes
    ----------
    diffusion, alpha : Estimate
        Means over videos.
    summary : dict
        What ``summary.json`` of the whole holds.
    """

    diffusion: Estimate
    alpha: Estimate
    summary: dict[str, Any]


def combine(
    summaries: list[dict[str, Any]], estimates: list[tuple[Estimate, Estimate]]
) -> Combined:
    """Average D and alpha over videos, each video with equal weight.

    The interval is that of `mean_over_videos`; videos without an estimate, or in another unit than
    the first, are left out and named.
    """
    warnings = []
    good = [D for D, _ in estimates if np.isfinite(D.value)]
    units = {D.unit for D in good}
    if len(units) > 1:
        warnings.append("Some videos are calibrated and others are not: D is not averaged.")
    D = _mean([D for D, _ in estimates], comparable=len(units) <= 1, positive=True)
    alpha = _mean([alpha for _, alpha in estimates], comparable=True, positive=False)
    for summary, (own, exponent) in zip(summaries, estimates, strict=True):
        if not np.isfinite(own.value):
            warnings.append(f"{summary['video']['name']} gave no estimate and is left out.")
        elif not np.isfinite(exponent.value) and np.isfinite(alpha.value):
            warnings.append(f"{summary['video']['name']} gave no alpha: its mean is without it.")
    if len(good) == 1:
        warnings.append(
            "Only one video gave an estimate: its interval says nothing about the scatter between "
            "videos; film three or more."
        )
    elif len(good) == 2:
        warnings.append(
            "2 videos say little about the scatter between videos: the interval is wide; film "
            "three or more."
        )
    warnings += _joined_warnings(summaries)
    first = summaries[0]
    # Videos without an estimate do not decide the unit.
    leading = next(
        (
            summary
            for summary, (own, _) in zip(summaries, estimates, strict=True)
            if np.isfinite(own.value)
        ),
        first,
    )
    key, error = (
        next(name for name in leading["measured"] if name.startswith(beginning))
        for beginning in ("D_", "localisation_error_")
    )
    errors = [summary["measured"].get(error) for summary in summaries]
    known = [value for value in errors if value is not None]
    per_frame = [
        summary["measured"]["particles_per_frame"]
        for summary in summaries
        if summary["measured"]["particles_per_frame"] is not None
    ]
    kinds = {summary["measured"]["motion_type"] for summary in summaries}
    models = {summary["measured"]["motion_model"] for summary in summaries}
    summary = {
        "measured": {
            key: estimate_entry(D),
            "alpha": estimate_entry(alpha),
            "particles_per_frame": float(np.mean(per_frame)) if per_frame else None,
            "tracks": sum(summary["measured"]["tracks"] for summary in summaries),
            error: float(np.mean(known)) if known and not len(units) > 1 else None,
            "motion_type": kinds.pop() if len(kinds) == 1 else "Undetermined",
            "motion_model": models.pop() if len(models) == 1 else "undetermined",
        },
        "calibration": {
            name: _common([summary["calibration"][name] for summary in summaries])
            for name in first["calibration"]
        },
        "warnings": warnings,
        "checks": [
            {"video": summary["video"]["name"], **check}
            for summary in summaries
            for check in summary["checks"]
        ],
        "config": first["config"],
        "model": first["model"],
        "version": __version__,
        "video": {
            "name": ", ".join(summary["video"]["name"] for summary in summaries),
            "sha256": [summary["video"]["sha256"] for summary in summaries],
            "shape": [summary["video"]["shape"] for summary in summaries],
        },
        "videos": summaries,
    }
    return Combined(D, alpha, summary)


def _joined_warnings(summaries: list[dict[str, Any]]) -> list[str]:
    """Return each warning once, with the videos that it is about."""
    videos: dict[str, list[str]] = {}
    for summary in summaries:
        for warning in summary["warnings"]:
            videos.setdefault(warning, []).append(summary["video"]["name"])
    return [
        f"{'All videos' if len(names) == len(summaries) else ', '.join(names)}: {warning}"
        for warning, names in videos.items()
    ]


def _common(values: list[Any]) -> Any:
    """Return what all videos share, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def _mean(estimates: list[Estimate], *, comparable: bool, positive: bool) -> Estimate:
    good = [estimate for estimate in estimates if np.isfinite(estimate.value)]
    if not good or not comparable:
        reason = "no video gave an estimate" if not good else "the videos have different units"
        nan = float("nan")
        return replace(
            estimates[0], value=nan, standard_error=nan, low=nan, high=nan, reason=reason
        )
    if len(good) == 1:
        return replace(good[0], interval=f"{good[0].interval} within the one video")
    value, low, high, particles = (
        np.array([getattr(estimate, name) for estimate in good], dtype=np.float64)
        for name in ("value", "low", "high", "particles")
    )
    mean = mean_over_videos(VideoValues(value, low, high, particles, positive, lowest=0.0))
    lost = float(np.mean([estimate.links_lost for estimate in good]))
    # All videos share what the correction of their links is wrong by.
    error = ERROR_OF_SHARE * abs(np.nan_to_num(lost)) * mean.value
    return replace(
        good[0],
        value=mean.value,
        standard_error=float(np.hypot(mean.standard_error, error)),
        low=max(mean.value - float(np.hypot(mean.value - mean.low, 1.96 * error)), 0.0),
        high=mean.value + float(np.hypot(mean.high - mean.value, 1.96 * error)),
        interval=f"Student's t over {len(good)} videos, then over their particles",
        # What the likelihood of one video says does not hold for the mean.
        model_standard_error=float("nan"),
        offset=float("nan"),
        localisation_error=None,
        stride=good[0].stride if len({estimate.stride for estimate in good}) == 1 else 1,
        near_border=float(np.mean([estimate.near_border for estimate in good])),
        links_lost=lost,
        particles=sum(estimate.particles for estimate in good),
        displacements=sum(estimate.displacements for estimate in good),
    )

"""``summary.json``: every number with its interval, how it was made, and from what."""

from typing import Any

import numpy as np

from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.config import Config
from cloudtrainer.diffusion import AlphaSpread, DiffusionSpread, Estimate
from cloudtrainer.diffusion.motion import UNDETERMINED
from cloudtrainer.version import __version__


def summarise(
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    config: Config,
    warnings: tuple[str, ...],
    model: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return what ``summary.json`` holds, as plain numbers and text."""
    length = "um" if source.calibrated else "px"
    unit = "um2_per_s" if source.calibrated else "px2_per_frame"
    error, error_from = _localisation_error(source, tracked, measured)
    frames = source.shape[0] if source.shape else None
    return {
        "measured": {
            f"D_{unit}": estimate_entry(measured.diffusion),
            "D_spread": _spread_entry(measured.spread),
            "alpha": estimate_entry(measured.anomalous.alpha),
            "alpha_spread": _alpha_spread_entry(measured.alpha_spread),
            f"K_{length}2_per_{'s' if source.calibrated else 'frame'}_to_alpha": estimate_entry(
                measured.anomalous.K
            ),
            "alpha_if_exposed_throughout": measured.anomalous.alpha_full_exposure,
            f"msd_offset_{length}2": measured.diffusion.offset,
            f"anomalous_msd_offset_{length}2": measured.anomalous.K.offset,
            "particles_per_frame": _per_frame(tracked, source),
            "detections_per_frame": len(tracked.detections) / frames if frames else None,
            "tracks": int(tracked.tracks["particle"].nunique()),
            "tracks_left_out": tracked.left_out,
            "tracks_left_out_because": tracked.why_left_out if tracked.left_out else None,
            "tracks_left_out_by": tracked.how_left_out if tracked.left_out else None,
            "tracks_linked": int(tracked.linked["particle"].nunique()),
            "linked_per_frame": _linked_per_frame(tracked, source),
            f"localisation_error_{length}": error,
            "localisation_error_from": error_from,
            "motion_type": measured.motion.motion_type,
            "motion_model": measured.motion_class.motion_model,
            "motion_model_because": measured.motion_class.sentence,
            f"confinement_radius_{length}": _number(measured.motion_class.confinement_radius),
            f"speed_{length}_per_{'s' if source.calibrated else 'frame'}": _number(
                measured.motion_class.speed
            ),
            "motion_of_tracks": motion_shares(measured),
            "tracks_that_do_not_move": measured.stuck or None,
            f"moving_D_{unit}": None
            if measured.moving_diffusion is None
            else estimate_entry(measured.moving_diffusion),
            f"D_of_all_tracks_{unit}": None
            if measured.diffusion_of_all is None
            else estimate_entry(measured.diffusion_of_all),
            "tracks_of_different_kinds": bool(measured.kinds_found),
            "long_lags_frames": list(measured.long_lags_frames),
            "search_range_px": tracked.search_range_px,
            "search_range_measured": tracked.suggested is not None
            and bool(np.isfinite(tracked.suggested.step_sd_px)),
            "static_specks": tracked.specks,
            "smeared_joined": tracked.smeared_joined,
            "drift_px_per_frame": tracked.drift.speed_px_per_frame,
            "drift_method": tracked.drift.method,
            "tracks_at_rest_in_drift": tracked.drift.at_rest,
        },
        "calibration": {
            "pixel_size_um": source.pixel_size_um,
            "frame_interval_s": source.frame_interval_s,
            "exposure_s": source.exposure_s,
            "source": source.calibration_source,
        },
        "warnings": list(warnings),
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "number": check.number,
                "what": check.description,
                "p_value": check.p_value,
                "sentence": check.sentence,
            }
            for check in measured.checks
        ],
        "config": config.to_dict()["analysis"],
        "model": model,
        "version": __version__,
        "video": {
            "name": source.name,
            "sha256": source.sha256,
            "shape": list(source.shape) if source.shape else None,
            "first_frame": source.origin[0],
            "region_x": source.origin[1],
            "region_y": source.origin[2],
        },
    }


def spoken_motion(measured: dict[str, Any]) -> str:
    """Return the type of motion of a summary, with what it would be wrong to leave out."""
    kind = str(measured["motion_type"])
    if measured.get("tracks_of_different_kinds"):
        return f"{kind} on the whole, but the tracks are of different kinds"
    if kind == UNDETERMINED and measured["motion_model"] == "immobile":
        return f"{kind} (immobile: no motion beyond the localisation error)"
    return kind


def motion_shares(measured: Measurement) -> dict[str, float]:
    """Return the fraction of tracks of each kind of motion that a track was found to have."""
    counts = measured.particles["motion_model"].value_counts(normalize=True)
    return {str(kind): float(share) for kind, share in counts.items()}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _per_frame(tracked: Tracked, source: Source) -> float | None:
    """Return the particles of a frame that entered the measurement, or that were found."""
    if source.shape is None:
        return None
    counted = tracked.detections if tracked.tracks.empty else tracked.tracks
    return len(counted) / source.shape[0]


def _linked_per_frame(tracked: Tracked, source: Source) -> float | None:
    """Return the particles of a frame that are in tracks, measured or not."""
    return None if source.shape is None else len(tracked.linked) / source.shape[0]


def estimate_entry(estimate: Estimate) -> dict[str, Any] | None:
    """Return an estimate as it stands in ``summary.json``; None where there is none."""
    if not np.isfinite(estimate.value):
        return None
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "low": estimate.low,
        "high": estimate.high,
        "method": f"{estimate.method}, {estimate.interval}"
        + (f", displacements over {estimate.stride} frames" if estimate.stride > 1 else ""),
        "interval": estimate.interval,
        "stride_frames": estimate.stride,
        "near_border": estimate.near_border,
        "links_lost": estimate.links_lost,
        "unit": estimate.unit,
        "model_standard_error": estimate.model_standard_error,
        "particles": estimate.particles,
        "displacements": estimate.displacements,
    }


def _spread_entry(spread: DiffusionSpread) -> dict[str, Any] | None:
    if not np.isfinite(spread.value):
        return None
    return {
        "value": spread.value,
        "standard_error": spread.standard_error,
        "low": spread.low,
        "high": spread.high,
        "method": "products of independent displacements, bootstrap"
        + (f", displacements over {spread.stride} frames" if spread.stride > 1 else ""),
        "what": "coefficient of variation of D between particles",
        "unit": "1",
        "particles": spread.particles,
        "tracks_left_out": spread.tracks_left_out,
        "positions_left_out": spread.positions_left_out,
    }


def _alpha_spread_entry(spread: AlphaSpread) -> dict[str, Any] | None:
    if not np.isfinite(spread.value):
        return None
    return {
        "value": spread.value,
        "low": spread.low,
        "high": spread.high,
        "method": "likelihoods of single tracks, likelihood ratio"
        + (f", displacements over {spread.stride} frames" if spread.stride > 1 else ""),
        "what": "standard deviation of alpha between particles",
        "unit": "1",
        "mean": spread.mean,
        "particles": spread.particles,
        "tracks_left_out": spread.tracks_left_out,
        "positions_left_out": spread.positions_left_out,
    }


def _localisation_error(
    source: Source, tracked: Tracked, measured: Measurement
) -> tuple[float | None, str | None]:
    """Return the localisation error from the MSD, or else what the detector states.

    The offset of the MSD is that of the error only where D alone describes the motion: it takes
    the width of a cage for error.
    """
    free = measured.motion_class.motion_model in ("brownian", "immobile")
    held = measured.diffusion.stride == 1 and not any(
        check.failed for check in measured.checks if check.name == "displacement correlations"
    )
    if free and held and measured.diffusion.localisation_error is not None:
        return measured.diffusion.localisation_error, "offset of the MSD and the exposure"
    tracks = tracked.tracks
    if "x_error" in tracks and tracks["x_error"].notna().any():
        stated = float(np.sqrt(np.nanmean(tracks[["x_error", "y_error"]].to_numpy() ** 2)))
        pixel = source.pixel_size_um if source.calibrated else 1.0
        origin = "errors stated by the detector"
        if not held:
            origin += ", which hold for noise that positions of neighbouring frames do not share"
        return stated * float(pixel or 1.0), origin
    return None, None

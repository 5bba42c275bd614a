"""What the summary, the report and the methods say of the mobility."""

from dataclasses import asdict
from typing import Any

import numpy as np

from cloudtrainer.analysis.transport import Transport
from cloudtrainer.diffusion import Mobility
from cloudtrainer.diffusion.mobility import REFERENCE_S
from cloudtrainer.figures import with_interval
from cloudtrainer.report import ReportTable


def transport_entry(transport: Transport) -> dict[str, Any]:
    """Return what ``summary.json`` says of the mobility."""
    found = transport.mobility
    return {
        "tracks": len(found.tracks),
        "msd_offset_um2": found.offset_um2,
        "msd_offset_from": found.offset_from,
        "effective_diffusivity_um2_per_s": found.effective.to_dict("records"),
        "fractions": found.fractions.to_dict("records"),
        "fastest_tenth_um2_per_s": found.fastest.to_dict("records"),
        "limits": asdict(found.limits),
    }


def transport_tables(transport: Transport) -> tuple[ReportTable, ...]:
    """Return the tables of the report."""
    found = transport.mobility
    effective = []
    for row in found.effective.to_dict("records"):
        cells = [f"{row['time_scale_s']:.3g}", row["particles"]]
        cells += [_text(row, f"mean_by_{who}") for who in ("particle", "frame")]
        cells.append(_text(row, "frame_over_particle"))
        cells.append(_text(row, "median_by_particle"))
        cells.append(row["median_by_particle_by_chance"])
        if found.free is not None:
            cells.append(_text(row, "over_free_by_frame"))
        effective.append(tuple(cells))
    free = ("by frame, over free",) if found.free is not None else ()
    fractions = [
        (
            row["class"],
            row["particles"],
            *(_text(row, name) for name in ("by_particle", "by_frame", "difference")),
            row["by_slope_alone"],
        )
        for row in found.fractions.to_dict("records")
    ]
    fastest = [
        (
            f"by {row['weighting']}",
            _text(row, "without_noise"),
            row["without_noise_over_mean"],
            row["as_observed"],
            row["as_observed_over_mean"],
            row["as_observed_over_mean_by_chance"],
        )
        for row in found.fastest.to_dict("records")
    ]
    return (
        ReportTable(
            "Effective diffusivities (µm²/s)",
            ("time scale (s)", "tracks", "by particle", "by frame", "frame / particle",
             "median by particle", "the same by chance", *free),
            tuple(effective),
            f"(MSD - offset) / (4 {_time(found)}), mean over particles with equal weights and with "
            "their numbers of frames: fast particles leave the focal plane early, others come in "
            "their place, and equal weights count them too often. In brackets: 95% intervals over "
            "particles. The luck of short tracks puts their median below their mean: by chance it "
            "would be as low where all particles are alike. "
            f"Offset: {found.offset_um2:.3g} µm², from {found.offset_from}.",
        ),
        ReportTable(
            "Fractions of transport",
            ("class", "tracks", "by particle", "by frame", "frame - particle", "by slope alone"),
            tuple(fractions),
            "Immobile: no motion beyond localisation error, or less than "
            f"{found.limits.immobile_um:.2g} µm in {REFERENCE_S:g} s. Hindered and active: the "
            "exponent differs from 1 at the 1% level. Undetermined: too short or too noisy. By "
            "slope alone: as common programs tell it, without regard to noise and chance.",
        ),
        ReportTable(
            f"The fastest 10 %, at {found.reference_s:.3g} s",
            ("weights", "diffusivity (µm²/s)", "over the mean of all", "as observed (µm²/s)",
             "as observed, over the mean", "the same by chance"),
            tuple(fastest),
            "Without the noise of single tracks, from the distribution of D that is deconvolved "
            "from it, with the 95% interval over particles. As observed, the luckiest tracks are "
            "among the fastest, and the value is too high; the last column is what particles that "
            f"are all alike, seen for as long as these, would give.{_why_none(found)}",
        ),
    )  # fmt: skip


def transport_methods(transport: Transport) -> list[str]:
    """Return sentences for the methods of a paper."""
    found = transport.mobility
    blur = " less a third of the exposure for motion blur" if found.blur_s > 0 else ""
    return [
        "Effective diffusivities are the mean squared displacements of single tracks, less an "
        f"offset of {found.offset_um2:.3g} µm² from {found.offset_from}, over four times the time "
        f"scale{blur}; means weight particles equally or by their frames (Wang et al. 2015, J. "
        "Control. Release 220, 37, doi:10.1016/j.jconrel.2015.10.021). Tracks were called "
        "immobile where motion could not be told from their own localisation error by likelihood "
        "ratio, hindered or active where the exponent differed from 1 at the 1% level."
    ]


def _time(found: Mobility) -> str:
    if found.blur_s > 0:
        return f"(time scale - {found.blur_s:.3g} s for motion blur)"
    return "time scale"


def _why_none(found: Mobility) -> str:
    reasons = [reason for reason in found.fastest["why_none"].unique() if reason]
    return f" Without noise there is none: {'; '.join(reasons)}." if reasons else ""


def _text(row: dict[Any, Any], name: str) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return with_interval(value, low, high, "1") if np.isfinite(value) else "not estimated"

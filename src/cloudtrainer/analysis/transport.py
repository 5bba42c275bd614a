"""The mobility of an analysis: its estimates, files, and places in the report and summary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloudtrainer.analysis.material import Material, MaterialFindings
from cloudtrainer.analysis.material_report import material_rows
from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.analysis.workbook import write_workbook
from cloudtrainer.diffusion import Mobility, TransportLimits, mobility
from cloudtrainer.figures import with_interval
from cloudtrainer.report import ReportTable
from cloudtrainer.version import __version__

# So many cells of MSDs are written whole; of more, lags are left out evenly on a logarithmic axis.
_MOST_MSD_CELLS, _LAGS_SHOWN = 400_000, 60
_REFERENCE_S = 1.0


@dataclass(frozen=True)
class Transport:
    """The mobility with what else a reader must know of it.

    Attributes
    ----------
    mobility : Mobility
    warnings : tuple of str
    """

    mobility: Mobility
    warnings: tuple[str, ...]


def transport_of(
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    material: Material,
    time_scales_s: Sequence[float],
    seed: int,
) -> Transport | None:
    """Return the mobility of a calibrated source that has tracks, otherwise None."""
    pixel, interval = source.pixel_size_um, source.frame_interval_s
    if pixel is None or interval is None or tracked.tracks.empty:
        return None
    limits, warnings = _limits(tracked, measured)
    both = material.particle_radius_um is not None and material.viscosity_Pa_s is not None
    found = mobility(
        tracked.tracks,
        interval,
        pixel,
        exposure_s=source.exposure_s,
        time_scales_s=time_scales_s,
        reference_s=_REFERENCE_S,
        temperature_K=material.temperature_K if both else None,
        particle_radius_um=material.particle_radius_um,
        viscosity_Pa_s=material.viscosity_Pa_s,
        wall_distance_um=material.wall_distance_um,
        localisation_error_um=material.static_error_um,
        limits=limits,
        estimates=measured.particles,
        seed=seed,
    )
    if tracked.specks:
        warnings.append(_masked(tracked.specks, found))
    # What `free_diffusion` says of the material is said there.
    repeated = found.free.warnings if found.free is not None else ()
    own = [said for said in found.warnings if said not in repeated]
    return Transport(found, (*warnings, *own))


def _limits(tracked: Tracked, measured: Measurement) -> tuple[TransportLimits, list[str]]:
    """Return the limits of the classes, the least motion above the noise of the drift's mean."""
    limits = TransportLimits()
    D = measured.diffusion.value
    if tracked.drift.method != "mean" or not D > 0:
        return limits, []
    together = float(tracked.drift.table["particles"].mean())
    # A mean over M particles wanders with D / M; twice its mean square leaves few above.
    least = float(np.sqrt(2 * 4 * D / max(together, 1.0) * _REFERENCE_S))
    if least <= limits.immobile_um:
        return limits, []
    return replace(limits, immobile_um=least), [
        f"The drift taken out is the mean of {together:.0f} particles and wanders with them: "
        f"particles that move by less than {least:.2g} um in {_REFERENCE_S:g} s count as immobile, "
        f"not those under {limits.immobile_um:g} um. Keep the stage still to see slower motion."
    ]


def _masked(specks: int, found: Mobility) -> str:
    tracks = len(found.tracks)
    immobile = int((found.tracks["class"] == "immobile").sum())
    return (
        f"{specks} places that never move were masked and are in none of the fractions of "
        f"transport: were they all stuck particles, {(immobile + specks) / (tracks + specks):.0%} "
        f"of the particles would be immobile, not {immobile / tracks:.0%}. --static-specks keep "
        "counts them; hot pixels and dirt are then counted too."
    )


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
            _text(row, "mean"),
            row["over_mean_of_all"],
            row["over_mean_of_all_by_chance"],
        )
        for row in found.fastest.to_dict("records")
    ]
    return (
        ReportTable(
            "Effective diffusivities (µm²/s)",
            ("time scale (s)", "tracks", "by particle", "by frame", "frame / particle",
             "median by particle", *free),
            tuple(effective),
            "(MSD - offset) / (4 time scale), mean over particles with equal weights and with "
            "their numbers of frames: fast particles leave the focal plane early, others come in "
            "their place, and equal weights count them too often. In brackets: 95% intervals over "
            f"particles. Offset: {found.offset_um2:.3g} µm², from {found.offset_from}.",
        ),
        ReportTable(
            "Fractions of transport",
            ("class", "tracks", "by particle", "by frame", "frame - particle", "by slope alone"),
            tuple(fractions),
            "Immobile: no motion beyond localisation error, or less than "
            f"{found.limits.immobile_um:.2g} µm in {_REFERENCE_S:g} s. Hindered and active: the "
            "exponent differs from 1 at the 1% level. Undetermined: too short or too noisy. By "
            "slope alone: as common programs tell it, without regard to noise and chance.",
        ),
        ReportTable(
            f"The fastest 10 %, at {found.reference_s:.3g} s",
            ("weights", "diffusivity (µm²/s)", "over the mean of all", "the same by chance"),
            tuple(fastest),
            "The last column is what particles that are all alike, seen for as long as these, "
            "would give: only more than that speaks of particles that differ.",
        ),
    )  # fmt: skip


def transport_methods(transport: Transport) -> list[str]:
    """Return sentences for the methods of a paper."""
    found = transport.mobility
    return [
        "Effective diffusivities are the mean squared displacements of single tracks, less an "
        f"offset of {found.offset_um2:.3g} µm² from {found.offset_from}, over four times the time "
        "scale; means weight particles equally or by their frames (Wang et al. 2015, J. Control. "
        "Release 220, 37, doi:10.1016/j.jconrel.2015.10.021). Tracks were called immobile where "
        "motion could not be told from their own localisation error by likelihood ratio, hindered "
        "or active where the exponent differed from 1 at the 1% level."
    ]


def write_transport(
    transport: Transport,
    findings: MaterialFindings,
    source: Source,
    summary: dict[str, Any],
    folder: Path,
) -> None:
    """Write ``mobility.csv``, ``mobility_tracks.csv`` and the workbook ``mobility.xlsx``."""
    found = transport.mobility
    tracks = found.tracks.assign(first_frame=found.tracks["first_frame"] + source.first_number)
    numbers = found.table()
    numbers.to_csv(folder / "mobility.csv", index=False, float_format="%.6g")
    tracks.to_csv(folder / "mobility_tracks.csv", index=False, float_format="%.6g")
    msd, thinned = _thinned(found.msd)
    write_workbook(
        {
            "summary": _summary_sheet(transport, findings, source, summary),
            "tracks": _with_units(tracks),
            "effective diffusivities": _with_units(found.effective),
            "fractions": found.fractions,
            "fastest 10 %": _with_units(found.fastest),
            "MSD per track": msd.rename(
                columns=lambda name: name if name == "lag_s" else f"msd_{name}_um2"
            ),
            "settings and units": _settings_sheet(found, findings, source, summary, thinned),
        },
        folder / "mobility.xlsx",
    )


def _with_units(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of the workbook, in which no other column tells the unit of a D."""
    stems = ("D", "mean", "median")
    ends = ("", "_low", "_high")
    weights = ("", "_by_particle", "_by_frame")
    names = [f"{stem}{weight}{end}" for stem in stems for weight in weights for end in ends]
    return table.rename(columns={name: f"{name}_um2_per_s" for name in names})


def _summary_sheet(
    transport: Transport, findings: MaterialFindings, source: Source, summary: dict[str, Any]
) -> pd.DataFrame:
    found = transport.mobility
    measured = summary["measured"]
    rows: list[tuple[object, ...]] = [("video", None, None, None, "", source.name)]
    rows.append(("tracks", len(found.tracks), None, None, "1", ""))
    for name, label in (("D_um2_per_s", "D"), ("alpha", "alpha")):
        entry = measured[name]
        if entry is not None:
            rows.append((label, entry["value"], entry["low"], entry["high"], entry["unit"],
                         entry["method"]))  # fmt: skip
    rows += [
        (told.quantity, told.value, told.low, told.high, told.unit, "")
        for told in (findings.free, findings.from_diffusion)
        if told is not None
    ]
    rows += [
        (
            row["quantity"],
            row["value"],
            row["low"],
            row["high"],
            row["unit"],
            ", ".join(
                part
                for part in (
                    f"{row['time_scale_s']:.3g} s" if row["time_scale_s"] > 0 else "",
                    row["class"],
                    f"by {row['weighting']}",
                )
                if part
            ),
        )
        for row in found.table().to_dict("records")
    ]
    rows += [("warning", None, None, None, "", said) for said in summary["warnings"]]
    return pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "unit", "of"])


def _settings_sheet(
    found: Mobility,
    findings: MaterialFindings,
    source: Source,
    summary: dict[str, Any],
    thinned: bool,
) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = [
        ("program", f"cloudtrainer {__version__}", ""),
        ("video", source.name, ""),
        ("SHA-256", source.sha256, ""),
        ("pixel size", source.pixel_size_um, "um"),
        ("frame interval", source.frame_interval_s, "s"),
        ("exposure", source.exposure_s, "s"),
        *material_rows(findings),
        ("offset taken out of the MSD", found.offset_um2, "um^2"),
        ("offset from", found.offset_from, ""),
        *((f"limit: {name}", value, "um" if name.endswith("_um") else "1")
          for name, value in asdict(found.limits).items()),
        *((f"setting: {name}", None if value is None else str(value), "")
          for name, value in summary["config"].items()),
        ("columns D_.._um2_per_s", "of single tracks, by maximum likelihood, with the 95% "
         "interval of the likelihood", "um^2/s"),
        ("columns alpha, alpha_low, alpha_high", "exponent of the MSD, the same way", "1"),
        ("column slope", "of log MSD against log lag, nothing taken out", "1"),
        ("columns Deff_..s_um2_per_s", "(MSD - offset) / (4 time scale)", "um^2/s"),
        ("columns .._low, .._high", "95% interval, bootstrap over particles", ""),
        ("columns by_particle, by_frame", "equal weights; weights by numbers of frames", ""),
        ("sheet MSD per track", "mean squared displacement in the plane, nothing taken out; a "
         "column a particle" + ("; some lags are left out to keep the file small"
                                if thinned else ""), "um^2"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "value", "unit"])


def _thinned(msd: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    if msd.size <= _MOST_MSD_CELLS or len(msd) <= _LAGS_SHOWN:
        return msd, False
    rows = np.unique(np.geomspace(1, len(msd), _LAGS_SHOWN).round().astype(int)) - 1
    return msd.iloc[rows], True


def _text(row: dict[Any, Any], name: str) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return with_interval(value, low, high, "1") if np.isfinite(value) else "not estimated"

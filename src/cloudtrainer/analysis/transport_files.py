"""The tables of mobility of an analysis, and the workbook that holds all of them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloudtrainer.analysis.material import MaterialFindings
from cloudtrainer.analysis.material_report import material_rows
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.transport import Transport
from cloudtrainer.analysis.workbook import write_workbook
from cloudtrainer.diffusion import Mobility
from cloudtrainer.version import __version__

# So many cells of MSDs are written whole; of more, lags are left out evenly on a logarithmic axis.
_MOST_MSD_CELLS, _LAGS_SHOWN = 400_000, 60


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
    tracks = _with_units(tracks)
    tracks.to_csv(folder / "mobility_tracks.csv", index=False, float_format="%.6g")
    msd, thinned = _thinned(found.msd)
    write_workbook(
        {
            "summary": _summary_sheet(transport, findings, source, summary),
            "tracks": tracks,
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
    """Return a table in which the names of diffusion coefficients tell their unit."""
    stems = ("D", "mean", "median", "without_noise", "as_observed")
    ends = ("", "_low", "_high", "_by_chance")
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
        ("taken out of time scales for motion blur", found.blur_s, "s"),
        ("columns Deff_..s_um2_per_s", "(MSD - offset) / (4 (time scale - blur))", "um^2/s"),
        ("columns .._low, .._high", "95% interval, bootstrap over particles", ""),
        ("columns without_noise..", "mean of the fastest tenth, the noise of single tracks taken "
         "out; without a value for the reason in why_none", "um^2/s"),
        ("columns as_observed..", "mean of the highest tenth of single tracks, which noise makes "
         "too high: no estimate of the particles", "um^2/s"),
        ("columns median.._by_chance", "median of as many particles that are all alike", "um^2/s"),
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

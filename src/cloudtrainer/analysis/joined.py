"""Several videos in one analysis: their means, tables, figure and report."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloudtrainer.analysis.columns import columns_table
from cloudtrainer.analysis.conditions.compare import Comparison, of_one_condition
from cloudtrainer.analysis.conditions.doubts import unlike
from cloudtrainer.analysis.conditions.picture import draw_conditions
from cloudtrainer.analysis.conditions.recordings import Recording
from cloudtrainer.analysis.conditions.wording import spoken_mean
from cloudtrainer.analysis.document import entry_text, headline_of
from cloudtrainer.analysis.material import Material, MaterialFindings, relations
from cloudtrainer.analysis.material_report import material_entry, material_methods, material_table
from cloudtrainer.analysis.outputs import finite, write_json, write_table
from cloudtrainer.analysis.readings import readings
from cloudtrainer.analysis.result import Analysis
from cloudtrainer.analysis.several import combine
from cloudtrainer.analysis.summary import spoken_motion
from cloudtrainer.analysis.workbook import write_workbook
from cloudtrainer.diffusion import Estimate
from cloudtrainer.figures import to_png, to_svg
from cloudtrainer.report import (
    Report,
    ReportFigure,
    ReportLink,
    ReportTable,
    methods_text,
    write_report,
)
from cloudtrainer.version import __version__

_MEANS = [
    "quantity", "videos", "value", "low", "high", "unit", "standard_error", "between_videos_sd",
    "weighted_by_particles",
]  # fmt: skip


def join(singles: list[Analysis], material: Material, folder: Path, out: Path) -> Analysis:
    """Average analysed videos, and write what holds for all of them into a folder.

    Parameters
    ----------
    singles : list of Analysis
        Two or more videos; their folders are written already.
    material : Material
        What is known of the particles and the medium, the same for all.
    folder, out : Path
        Where to write, and where the folder will be in the end.
    """
    combined = combine([single.summary for single in singles], [
        (single.diffusion, single.alpha) for single in singles
    ])  # fmt: skip
    means = of_one_condition(_recordings(singles, ["all videos"] * len(singles)))
    differs = unlike(_recordings(singles, [single.out.name for single in singles]))
    calibrated = combined.diffusion.unit == "um^2/s"
    findings = MaterialFindings(material)
    if calibrated and np.isfinite(combined.diffusion.value):
        findings = relations(material, combined.diffusion, anomalous=_anomalous(singles))
    summary: dict[str, Any] = finite(combined.summary)
    summary["warnings"] += [
        *differs, *(said for said in findings.warnings if not _is_said(said, summary["warnings"]))
    ]  # fmt: skip
    table = means.table()[_MEANS]
    summary["means_over_videos"] = finite(table.to_dict("records"))
    if material != Material() and calibrated:
        summary["material"] = finite(material_entry(findings, combined.diffusion))

    tracks = _stacked(singles, [single.tracks for single in singles])
    write_table(tracks, folder / "tracks")
    table.to_csv(folder / "means_over_videos.csv", index=False, float_format="%.6g")
    units = ("um", "s") if calibrated else ("px", "frame")
    columns_table(folder, length_unit=units[0], time_unit=units[1]).to_csv(
        folder / "columns.csv", index=False
    )
    if any(single.transport is not None for single in singles):
        _write_workbook(means, table, folder / "mobility.xlsx")
    (folder / "figures").mkdir()
    drawn = draw_conditions(means)
    png = to_png(drawn)
    (folder / "figures" / "videos.png").write_bytes(png)
    (folder / "figures" / "videos.svg").write_bytes(to_svg(drawn))
    report = _report(summary, singles, means, findings, combined.diffusion, combined.alpha, png)
    write_report(folder / "report.html", report)
    (folder / "methods.txt").write_text(f"{report.methods}\n", encoding="utf-8")
    write_json(summary, folder / "summary.json")
    return Analysis(
        out=out,
        summary=summary,
        detections=_stacked(singles, [single.detections for single in singles]),
        tracks=tracks,
        diffusion=combined.diffusion,
        alpha=combined.alpha,
        measurement=None,
        material=findings if "material" in summary else None,
        videos=tuple(singles),
    )


def _recordings(singles: list[Analysis], names: list[str]) -> list[Recording]:
    return [
        Recording(name, single.out.name, single.out, single.summary, readings(single.summary))
        for single, name in zip(singles, names, strict=True)
    ]


def _anomalous(singles: list[Analysis]) -> bool:
    found = [single.measurement for single in singles if single.measurement is not None]
    return any(one.motion.motion_model == "anomalous" for one in found)


def _is_said(warning: str, warnings: list[str]) -> bool:
    """Return whether a warning stands there already, with the videos that it is about."""
    return any(said.endswith(warning) for said in warnings)


def _write_workbook(means: Comparison, table: pd.DataFrame, path: Path) -> None:
    """Write the means, and the values of the videos side by side."""
    values = means.videos()
    order = list(dict.fromkeys(values["quantity"]))
    units = values.drop_duplicates("quantity").set_index("quantity")["unit"]
    wide = values.pivot_table(
        index="quantity", columns="video", values="value", sort=False, observed=True
    ).reindex(order)
    wide.insert(0, "unit", units.reindex(order))
    notes = [
        ("program", f"cloudtrainer {__version__}"),
        ("means", "each video with equal weight"),
        ("columns low, high", "95% interval over videos, and no narrower than their particles"),
        ("column between_videos_sd", "standard deviation between videos beyond what their "
         "particles explain; from three videos on"),
        ("column weighted_by_particles", "mean that all tracks in one pot would give"),
        ("by frame, by particle", "weights by numbers of frames, and equal weights; see the "
         "workbook of each video"),
        ("K", "MSD / 4 at 1 s"),
    ]  # fmt: skip
    write_workbook(
        {
            "means over videos": table,
            "each video": wide.reset_index(),
            "settings and units": pd.DataFrame(notes, columns=["name", "value"]),
        },
        path,
    )


def _report(
    summary: dict[str, Any],
    singles: list[Analysis],
    means: Comparison,
    findings: MaterialFindings,
    D: Estimate,
    alpha: Estimate,
    png: bytes,
) -> Report:
    heading = "Each video, and the mean over videos"
    figure = ReportFigure(
        heading=heading,
        caption="Points are videos with their 95% intervals over particles, in the order of the "
        "table; the diamond is the mean over videos with its 95% interval.",
        png=png,
        alt=heading,
    )
    return Report(
        title=f"Diffusion in {len(singles)} videos",
        subtitle="The video is the replicate: means and intervals are over videos.",
        headline=(headline_of("D", D, "mean over videos"), headline_of("alpha", alpha, "")),
        warnings=tuple(summary["warnings"]),
        figures=(figure,),
        tables=(
            _videos_table(singles),
            _means_table(means, singles),
            *material_table(findings),
        ),
        methods=methods_text(summary, material_methods(findings)),
        settings=summary["config"],
        provenance={
            "videos": {one.out.name: one.summary["video"]["sha256"] for one in singles},
            "version": __version__,
        },
    )


def _videos_table(singles: list[Analysis]) -> ReportTable:
    rows = []
    for single in singles:
        measured = single.summary["measured"]
        own_D = next(value for name, value in measured.items() if name.startswith("D_"))
        rows.append(
            (
                single.summary["video"]["name"],
                entry_text(own_D),
                entry_text(measured["alpha"]),
                measured["tracks"],
                spoken_motion(measured),
                ReportLink("open", f"{single.out.name}/report.html"),
            )
        )
    return ReportTable(
        heading="Each video",
        columns=("video", "D", "alpha", "tracks", "kind of motion", "report"),
        rows=tuple(rows),
        note="In brackets: 95% intervals over the particles of the video.",
    )


def _means_table(means: Comparison, singles: list[Analysis]) -> ReportTable:
    rows = []
    for quantity in means.leading:
        (condition,) = means.conditions
        mean = means.means[quantity, condition]
        between = means.between(quantity, condition)
        rows.append(
            (
                quantity.label,
                mean.videos,
                spoken_mean(mean, quantity.unit),
                f"{between:.2g}" if np.isfinite(between) else None,
                mean.by_particles,
            )
        )
    note = (
        "In brackets: 95% intervals over videos, and no narrower than their particles allow. "
        "Scatter between videos: standard deviation beyond what their particles explain, from "
        "three videos on. Weighted by particles: what all tracks in one pot would give, for "
        "comparison. All quantities are in means_over_videos.csv."
    )
    if any(single.material is not None and single.material.moduli for single in singles):
        note += (
            " G' and G'' are not averaged: each video's rest on an offset and on times of its own; "
            "see its report."
        )
    return ReportTable(
        "Means over videos",
        ("quantity", "videos", "mean", "scatter between videos", "weighted by particles"),
        tuple(rows),
        note,
    )


def _stacked(singles: list[Analysis], tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of several videos below each other, particles numbered through."""
    named, first = [], 0
    for single, table in zip(singles, tables, strict=True):
        named.append(table.assign(video=single.out.name))
        if "particle" in table and len(table):
            named[-1]["particle"] += first
            first = int(named[-1]["particle"].max()) + 1
    return pd.concat(named, ignore_index=True)

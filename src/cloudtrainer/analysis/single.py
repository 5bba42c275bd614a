"""One video or table: its tracks, what they say, and its output folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtrainer.analysis.columns import columns_table
from cloudtrainer.analysis.document import video_report
from cloudtrainer.analysis.material import Material, MaterialFindings, material_findings
from cloudtrainer.analysis.material_report import material_entry
from cloudtrainer.analysis.measure import Measurement, measure
from cloudtrainer.analysis.outputs import finite, write_json, write_table
from cloudtrainer.analysis.pictures import draw
from cloudtrainer.analysis.result import Analysis
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.summary import summarise
from cloudtrainer.analysis.tracks import Tracked, given_tracks, track_video
from cloudtrainer.analysis.transport import transport_of
from cloudtrainer.analysis.transport_files import write_transport
from cloudtrainer.analysis.transport_report import transport_entry
from cloudtrainer.analysis.twins import of_another_video, told
from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector
from cloudtrainer.inference import Progress
from cloudtrainer.report import write_report
from cloudtrainer.simulation.twin.files import TwinModel


def analyse_one(
    source: Source,
    detector: ParticleDetector | None,
    own: TwinModel | str | None,
    config: Config,
    material: Material,
    time_scales_s: Sequence[float],
    folder: Path,
    out: Path,
    progress: Progress | None,
    *,
    bundled: bool,
) -> Analysis:
    """Measure one video or table of tracks, and write what was found into a folder.

    Parameters
    ----------
    source : Source
        The video or the table.
    detector : ParticleDetector or None
        What finds particles in a video; a twin's own takes its place.
    own : TwinModel, str or None
        The twin of the video, or why it could not be made.
    config : Config
        The settings.
    material : Material
        Temperature, radius and viscosity, as far as they are known.
    time_scales_s : sequence of float
        Of the effective diffusivities, s.
    folder, out : Path
        Where to write, and where the folder will be in the end.
    progress : callable or None
        Called with the frames done and the number of all frames.
    bundled : bool
        Whether the detector is the one that comes with the package.
    """
    settings = config.analysis
    twin = own if isinstance(own, TwinModel) else None
    doubts: tuple[str, ...] = (own,) if isinstance(own, str) else ()
    if twin is not None:
        other = of_another_video(twin, source)
        doubts = twin.doubts if other is None else (other,)
    if source.video is not None and detector is not None:
        detector = detector if twin is None else twin.detector.to(detector.device)
        tracked = track_video(source.video, detector, settings, progress, twin, source.numbers)
        model = _described(detector, tracked, settings.threshold, bundled=bundled and twin is None)
    else:
        tracked, model = given_tracks(source, settings), None
    measured = measure(tracked, source, settings)
    transport = transport_of(source, tracked, measured, material, time_scales_s, settings.seed)
    findings = material_findings(
        material,
        source,
        tracked,
        measured,
        settings.seed,
        None if transport is None else transport.mobility.immobile_offset_um2,
    )
    warnings = (
        *source.warnings,
        *doubts,
        *tracked.warnings,
        *measured.warnings,
        *findings.warnings,
        *(transport.warnings if transport is not None else ()),
    )
    summary = summarise(source, tracked, measured, config, warnings, model)
    if material != Material():
        summary["material"] = material_entry(findings, measured.diffusion)
    if transport is not None:
        summary["mobility"] = transport_entry(transport)
    if twin is not None:
        summary["twin"] = told(twin)
    summary = finite(summary)

    detections = _in_whole_video(tracked.detections, source)
    tracks = _in_whole_video(_with_places(tracked), source)
    if source.video is not None:
        write_table(detections, folder / "detections")
    write_table(tracks, folder / "tracks")
    _write_tables(source, tracked, measured, findings, folder)
    if transport is not None:
        write_transport(transport, findings, source, summary, folder)
    units = columns_table(
        folder, length_unit=measured.msd.length_unit, time_unit=measured.msd.time_unit
    )
    units.to_csv(folder / "columns.csv", index=False)
    pictures = draw(source, tracked, measured, findings)
    (folder / "figures").mkdir()
    for picture in pictures:
        (folder / "figures" / f"{picture.name}.png").write_bytes(picture.figure.png)
        (folder / "figures" / f"{picture.name}.svg").write_bytes(picture.svg)
    report = video_report(source, tracked, measured, summary, pictures, findings, transport, twin)
    write_report(folder / "report.html", report)
    (folder / "methods.txt").write_text(f"{report.methods}\n", encoding="utf-8")
    write_json(summary, folder / "summary.json")
    return Analysis(
        out=out,
        summary=summary,
        detections=detections,
        tracks=tracks,
        diffusion=measured.diffusion,
        alpha=measured.anomalous.alpha,
        measurement=measured,
        material=findings,
        transport=transport,
    )


def _write_tables(
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    findings: MaterialFindings,
    folder: Path,
) -> None:
    if source.video is not None:
        write_table(_in_whole_video(tracked.not_measured(), source), folder / "tracks_left_out")
    particles = measured.particles
    particles = particles.assign(first_frame=particles["first_frame"] + source.first_number)
    write_table(particles, folder / "particles")
    _msd_table(measured).to_csv(folder / "msd.csv", index=False, float_format="%.6g")
    if findings.moduli is not None:
        moduli = findings.moduli.table()
        moduli.to_csv(folder / "moduli.csv", index=False, float_format="%.6g")


def _in_whole_video(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Move positions from the part that was used to the whole video."""
    first, x, y = source.origin
    if "video_frame" in table:
        table = table.assign(video_frame=table["video_frame"] + first)
    if (source.first_number, x, y) == (0, 0, 0):
        return table
    if "video_x" in table:
        table = table.assign(video_x=table["video_x"] + x, video_y=table["video_y"] + y)
    return table.assign(
        frame=table["frame"] + source.first_number, x=table["x"] + x, y=table["y"] + y
    )


def _with_places(tracked: Tracked) -> pd.DataFrame:
    """Return the measured tracks, with where they are in the frames if drift was taken out."""
    if tracked.drift.method == "none":
        return tracked.tracks
    there = tracked.measured_in_place()
    return tracked.tracks.assign(video_x=there["x"].to_numpy(), video_y=there["y"].to_numpy())


def _msd_table(measured: Measurement) -> pd.DataFrame:
    msd = measured.msd
    return pd.DataFrame(
        {
            "lag_frames": msd.lag,
            f"lag_{msd.time_unit}": msd.lag_time,
            f"msd_{msd.length_unit}2": msd.ensemble,
            f"standard_error_{msd.length_unit}2": msd.standard_error,
            "pairs": msd.pairs.sum(axis=0),
        }
    )


def _described(
    detector: ParticleDetector, tracked: Tracked, threshold: float | None, *, bundled: bool
) -> dict[str, Any]:
    """Return what tells which detector made the detections, and how it was used."""
    return {
        "name": detector.config.model.name,
        "bundled": bundled,
        "architecture": detector.config.model.architecture,
        "networks": detector.config.training.ensemble,
        "context_frames": detector.context_frames,
        "weights_sha256": detector.weights_sha256(),
        "threshold": detector.threshold if threshold is None else threshold,
        "polarity": tracked.polarity,
        "doubtful_spots_weighed": tracked.weighed,
    }

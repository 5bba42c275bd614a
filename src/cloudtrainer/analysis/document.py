"""The report of an analysis: its numbers, sentences and tables in the order that a reader wants."""

from typing import Any

import numpy as np

from cloudtrainer.analysis.kinds import kinds_methods, kinds_table
from cloudtrainer.analysis.material import MaterialFindings
from cloudtrainer.analysis.material_report import material_methods, material_table
from cloudtrainer.analysis.measure import Measurement, idle_tracks
from cloudtrainer.analysis.pictures import Picture
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.summary import spoken_motion
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.analysis.transport import Transport
from cloudtrainer.analysis.transport_report import transport_methods, transport_tables
from cloudtrainer.diffusion import AlphaSpread, DiffusionSpread, Estimate
from cloudtrainer.diffusion.estimate import LEAST_LOST
from cloudtrainer.figures import display_sentence, display_unit, with_interval
from cloudtrainer.report import Headline, Report, ReportFigure, ReportTable, methods_text
from cloudtrainer.simulation.twin.files import TwinModel
from cloudtrainer.version import __version__

# Differences of alpha below this are not shown.
_WORTH_SAYING = 0.005
_TOLD = {True: "yes", False: "no", None: "cannot be told"}


def video_report(
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    summary: dict[str, Any],
    pictures: list[Picture],
    material: MaterialFindings,
    transport: Transport | None = None,
    twin: TwinModel | None = None,
) -> Report:
    """Return the report of one video or table of tracks."""
    return Report(
        title=f"Diffusion in {source.name}",
        subtitle=_subtitle(source),
        headline=_headline(measured, summary),
        warnings=tuple(summary["warnings"]),
        figures=(*(picture.figure for picture in pictures), *_twin_figure(twin)),
        tables=(
            _numbers_table(tracked, measured, summary),
            *material_table(material),
            *(
                (*transport_tables(transport), kinds_table(measured, transport))
                if transport is not None
                else ()
            ),
            _checks_table(measured),
        ),
        methods=methods_text(
            summary,
            [
                *material_methods(material),
                *(transport_methods(transport) if transport is not None else ()),
                *(kinds_methods(transport) if len(measured.particles) else ()),
            ],
        ),
        settings=summary["config"],
        provenance={
            "video": summary["video"],
            "calibration": summary["calibration"],
            "model": summary["model"],
            "version": __version__,
        },
    )


def _twin_figure(twin: TwinModel | None) -> tuple[ReportFigure, ...]:
    if twin is None or not twin.picture:
        return ()
    heading = "The video and its twin"
    caption = (
        "The detector learned from simulated scenes like the one in the middle, and is as good as "
        "these are like the video: compare sizes, rings and crowding, the intensities, the power "
        "spectra (lines that part at high frequencies: another noise) and the light around "
        "particles of each shape."
    )
    return (ReportFigure(heading=heading, caption=caption, png=twin.picture, alt=heading),)


def _subtitle(source: Source) -> str:
    parts = []
    if source.shape is not None:
        frames, height, width = source.shape
        parts.append(f"{frames} frames of {width} x {height} px")
    if source.pixel_size_um is not None:
        parts.append(f"{source.pixel_size_um:.4g} µm a pixel")
    if source.frame_interval_s is not None:
        parts.append(f"{source.frame_interval_s:.4g} s between frames")
    if source.exposure_s is None:
        parts.append("exposure unknown")
    else:
        parts.append(f"{source.exposure_s:.4g} s exposure")
    return ", ".join(parts)


def _headline(measured: Measurement, summary: dict[str, Any]) -> tuple[Headline, ...]:
    D = measured.diffusion
    note = f"from displacements over {D.stride} frames" if D.stride > 1 else ""
    every = measured.diffusion_of_all
    with_all = ""
    if every is not None and np.isfinite(every.value):
        with_all = f"with the tracks left out: {_shown(every)}"
    return (
        headline_of("D", D, "; ".join(part for part in (note, with_all) if part)),
        headline_of("alpha", measured.anomalous.alpha, note),
        Headline("Motion", spoken_motion(summary["measured"]), "", measured.motion.sentence),
    )


def headline_of(label: str, estimate: Estimate, note: str) -> Headline:
    """Return an estimate as a large number at the top."""
    if not np.isfinite(estimate.value):
        return Headline(label, "not estimated", "", str(estimate.reason))
    value, _, interval = with_interval(
        estimate.value, estimate.low, estimate.high, estimate.unit
    ).partition(" (95%: ")
    spoken = f"95% interval {interval.rstrip(')')}" if interval else ""
    return Headline(label, value, spoken, note)


def _numbers_table(tracked: Tracked, measured: Measurement, summary: dict[str, Any]) -> ReportTable:
    found = summary["measured"]
    length = "µm" if measured.msd.length_unit == "um" else "px"
    error = found.get("localisation_error_um", found.get("localisation_error_px"))
    K = measured.anomalous.K
    full = measured.anomalous.alpha_full_exposure
    rows: list[tuple[object, ...]] = [
        (
            "particles in a frame",
            found["particles_per_frame"],
            "in the tracks that were measured, mean over the frames",
        ),
        ("detections in a frame", found["detections_per_frame"], "all that were found"),
        ("tracks", found["tracks"], _used(measured.diffusion, found["tracks"])),
        (
            "tracks left out",
            found["tracks_left_out"],
            found["tracks_left_out_because"],
        ),
        (
            f"localisation error ({length}, each axis)",
            error,
            found["localisation_error_from"],
        ),
        (
            f"offset of the MSD ({length}²)",
            measured.diffusion.offset,
            _offset_note(measured.diffusion),
        ),
        (
            f"K ({display_unit(K.unit)})",
            entry_text(summary["measured"][_key(found, "K_")]),
            "MSD = 4 K t^alpha + offset"
            + (f", its own: {K.offset:.3g} {length}²" if np.isfinite(K.offset) else ""),
        ),
    ]
    spread = measured.spread
    rows.append(
        (
            "spread of D between particles",
            with_interval(spread.value, spread.low, spread.high, "1"),
            "standard deviation over mean, without each track's own uncertainty" + _of_long(spread)
            if np.isfinite(spread.value)
            else spread.reason,
        )
    )
    differ = measured.alpha_spread
    rows.append(
        (
            "spread of alpha between particles",
            with_interval(differ.value, differ.low, differ.high, "1"),
            "standard deviation, without each track's own uncertainty; 0: alike" + _of_long(differ)
            if np.isfinite(differ.value)
            else differ.reason,
        )
    )
    motion, shares = measured.motion_class, found["motion_of_tracks"]
    rows.append(
        ("kind of motion, all tracks", motion.motion_model, display_sentence(motion.sentence))
    )
    if shares:
        kinds = ", ".join(f"{100 * share:.0f}% {kind}" for kind, share in shares.items())
        rows.append(("kind of motion, each track alone", kinds, "reasons in the table particles"))
    if full is not None and abs(full - measured.anomalous.alpha.value) > _WORTH_SAYING:
        rows.append(
            (
                "alpha, if exposed throughout",
                full,
                "the exposure is unknown: alpha lies between this and the headline",
            )
        )
    if measured.short_lag_diffusion is not None:
        short = measured.short_lag_diffusion
        rows.append(
            (
                "D from all displacements",
                _shown(short),
                "not used: see the warnings",
            )
        )
    D, lost = measured.diffusion, measured.diffusion.links_lost
    if abs(lost) >= LEAST_LOST:
        rows.append(
            (
                f"D as linked ({display_unit(D.unit)})",
                D.value * (1 - lost),
                f"linking {f'takes {100 * lost:.2g}% of' if lost > 0 else 'adds to'} D of "
                "simulated particles as many and as fast, which was put right",
            )
        )
    if measured.diffusion_of_all is not None:
        rows.append(
            (
                "D with the tracks left out",
                _shown(measured.diffusion_of_all),
                f"{tracked.left_out} tracks: see the warnings",
            )
        )
    if measured.moving_diffusion is not None:
        moving = measured.moving_diffusion
        rows.append(
            (
                "D without tracks that do not move",
                _shown(moving),
                f"{measured.stuck} tracks: see the warnings",
            )
        )
    if tracked.search_range_px is not None:
        reason = tracked.suggested.reason if tracked.suggested else "given"
        rows.append(("search range (px)", tracked.search_range_px, reason))
    rows.append(
        (
            "drift (px a frame)",
            tracked.drift.speed_px_per_frame,
            tracked.drift.sentence
            + (
                "" if tracked.drift.method == "none" else " The tables of tracks hold what is left."
            ),
        )
    )
    rows.append(("static specks masked", tracked.specks, "places that never move"))
    return ReportTable("Numbers", ("what", "value", "note"), tuple(rows))


def _shown(estimate: Estimate) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high, estimate.unit)


def _offset_note(D: Estimate) -> str:
    if D.stride > 1:
        return (
            f"of the line through displacements over {D.stride} frames and more: where positions "
            "of neighbouring frames are not independent it is not that of error and blur"
        )
    return "4 (localisation error)² less the motion blur; it may be negative"


def _used(D: Estimate, tracks: int) -> str:
    """Return the displacements and tracks that enter D, and why others do not."""
    idle = idle_tracks(D, tracks)
    said = f"displacements: {D.displacements} of {D.particles} tracks"
    return f"{said}; {idle}" if idle else said


def _of_long(spread: DiffusionSpread | AlphaSpread) -> str:
    """Say how much of the tracks is too short for a spread."""
    if not spread.positions_left_out > 0:
        return ""
    return (
        f"; {100 * spread.tracks_left_out:.0f}% of the tracks, with "
        f"{100 * spread.positions_left_out:.0f}% of the positions, are too short for it"
    )


def _checks_table(measured: Measurement) -> ReportTable:
    rows = tuple(
        (
            check.name,
            _TOLD[check.passed],
            check.number,
            check.description,
            display_sentence(check.sentence),
        )
        for check in measured.checks
    )
    return ReportTable(
        "Does the model hold?", ("check", "passed", "number", "what it is", "what it says"), rows
    )


def entry_text(entry: dict[str, Any] | None) -> str:
    """Return an estimate of ``summary.json`` with its interval and unit."""
    if entry is None:
        return "not estimated"
    low, high = (
        float("nan") if entry[end] is None else float(entry[end]) for end in ("low", "high")
    )
    return with_interval(entry["value"], low, high, entry["unit"])


def _key(measured: dict[str, Any], beginning: str) -> str:
    return next(name for name in measured if name.startswith(beginning))

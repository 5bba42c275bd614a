"""The figures of an analysis, drawn for the report and for the folder of figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cloudtrainer.analysis.material import MaterialFindings
from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.source import Source, in_video
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.figures import (
    Units,
    correlation_figure,
    counts_figure,
    detections_figure,
    diffusion_field_figure,
    histogram_figure,
    linking_figure,
    model_tests_figure,
    moduli_figure,
    msd_figure,
    parts_of_field,
    to_png,
    to_svg,
    trajectories_figure,
    van_hove_figure,
)
from cloudtrainer.report import ReportFigure
from cloudtrainer.video import Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Add = Callable[[str, "Figure", str, str], None]

_NORMAL_95 = 1.96
# Beyond a quarter of the longest track few pairs are left, and those that are depend on each other.
_SHOWN_SHARE_OF_LAGS = 0.25
_FEWEST_SHOWN_LAGS = 10
# Shorter tracks say next to nothing by themselves.
_FEWEST_FRAMES_FOR_HISTOGRAM = 20
# Fewer parts of the field show no gradient.
_FEWEST_PARTS = 4
_LEAST_LOST_DRAWN = 0.005


@dataclass(frozen=True)
class Picture:
    """A figure under its file name, for the report as PNG and for a paper as SVG."""

    name: str
    figure: ReportFigure
    svg: bytes


def draw(
    source: Source, tracked: Tracked, measured: Measurement, material: MaterialFindings
) -> list[Picture]:
    """Draw every figure of an analysis, in the order of the report."""
    pictures = []

    def add(name: str, drawn: "Figure", heading: str, caption: str) -> None:
        pictures.append(
            Picture(
                name,
                ReportFigure(heading=heading, caption=caption, png=to_png(drawn), alt=heading),
                to_svg(drawn),
            )
        )

    if source.video is not None:
        _draw_frames(source, source.video, tracked, add)
    if tracked.tracks.empty:
        return pictures
    add(
        "msd",
        msd_figure(
            _shown_lags(measured),
            diffusion=measured.diffusion,
            anomalous=measured.anomalous,
            units=Units(length=measured.msd.length_unit, time=measured.msd.time_unit),
        ),
        "Mean squared displacement",
        "Ensemble MSD with its 95% band, and the curves of the estimates. The estimates come from "
        "the displacements themselves (maximum likelihood), not from a fit to these points, which "
        f"depend on each other and lack, at long lags, what left the field.{_of_long(measured)}"
        f"{_as_linked(measured)} A "
        "straight line on the left and slope 1 on the right are Brownian motion; the offset at lag "
        "0 is localisation error (up) and motion blur (down).",
    )
    if material.moduli is not None:
        add(
            "moduli",
            moduli_figure(material.moduli.table()),
            "Storage and loss modulus",
            "By the generalised Stokes-Einstein relation, with 95% bands over particles. G' above "
            "G'' is a solid, below it a liquid. Localisation error that was not taken out looks "
            "like elasticity at high frequency; read the warnings.",
        )
    _draw_distributions(source, tracked, measured, add)
    if tracked.scan is not None and tracked.search_range_px is not None:
        step_sd = tracked.suggested.step_sd_px if tracked.suggested else None
        add(
            "linking",
            linking_figure(
                tracked.scan,
                tracked.displacements_px(),
                tracked.search_range_px,
                step_sd_px=step_sd,
                pixel_size_um=source.pixel_size_um if source.calibrated else None,
                frame_interval_s=source.frame_interval_s if source.calibrated else None,
            ),
            "Linking",
            "Left: D of all that was linked, from displacements over one frame, against the search "
            "range; on a plateau the range neither cuts off steps nor "
            "swaps particles. Right: the steps that were linked; they should die away well before "
            "the search range. The curve is that of particles with one D, from steps measured "
            "before linking: the bars depart from it where particles differ, or where errors of "
            "neighbouring frames are correlated, as in compressed videos.",
        )
    found = measured.correlations
    add(
        "correlations",
        correlation_figure(found.lag, found.value, found.standard_error),
        "Are the displacements independent?",
        "Correlation of displacements k frames apart, with 95% intervals. At one frame it shows "
        "localisation error (negative) and motion blur (positive); from two frames on it vanishes "
        "if the motion is Brownian and the positions are measured independently.",
    )
    add(
        "model_tests",
        model_tests_figure(measured.checks),
        "All tests of the model",
        "What each test looked at, with 95% intervals, and what the model says (line). The table "
        "below says in words what was found, and which tests could not be made. p-values are "
        "adjusted for the number of tests; a test fails at 1%, and only where the effect matters "
        "for D.",
    )
    return pictures


def _draw_frames(source: Source, video: Video, tracked: Tracked, add: Add) -> None:
    detections = in_video(tracked.detections)
    counts = np.bincount(detections["frame"].to_numpy(), minlength=len(video))
    number = int(np.argsort(counts, kind="stable")[len(counts) // 2])
    frame = video.frames(number, number + 1)[0]
    pixel = source.pixel_size_um
    add(
        "detections",
        detections_figure(
            frame,
            detections[detections["frame"] == number],
            pixel_size_um=pixel,
            title=f"frame {number + source.origin[0]}",
        ),
        "Detections",
        "A typical frame with all that was found in it, also what does not enter D afterwards. If "
        "particles are missed or noise is found, change the threshold, or train a detector: on the "
        "video's twin (--twin), or on labelled frames of your own.",
    )
    add(
        "detections_per_frame",
        counts_figure(pd.Series(counts, index=np.arange(len(counts)) + source.origin[0])),
        "Detections in each frame",
        "All that was found, also what does not enter D afterwards. A steady number is what you "
        "want; a fall is bleaching or loss of focus.",
    )
    if not tracked.tracks.empty:
        add(
            "trajectories",
            trajectories_figure(frame, tracked.measured_in_place(), pixel_size_um=pixel),
            "Trajectories",
            "The tracks that were measured, over one frame, drift included. Long straight jumps "
            "are wrong links.",
        )


def _draw_distributions(source: Source, tracked: Tracked, measured: Measurement, add: Add) -> None:
    particles = measured.particles
    particles = particles[particles["frames"] >= _FEWEST_FRAMES_FOR_HISTOGRAM]
    unit = {"um": "µm²/s", "px": "px²/frame"}[measured.msd.length_unit]
    add(
        "D_of_particles",
        histogram_figure(
            particles["D"],
            label=f"D ({unit})",
            estimate=measured.diffusion,
            spread=measured.spread,
        ),
        "D of each particle",
        f"Estimates from single tracks of at least {_FEWEST_FRAMES_FOR_HISTOGRAM} frames; their "
        "scatter is mostly their own uncertainty, more so the shorter the tracks."
        + _marks(measured)
        + _as_linked(measured),
    )
    places = tracked.measured_in_place()
    shape = (source.shape[1], source.shape[2]) if source.shape else None
    if parts_of_field(places, particles, shape) >= _FEWEST_PARTS:
        add(
            "D_over_field",
            diffusion_field_figure(places, particles, label=f"D ({unit})", shape=shape),
            "D over the field of view",
            "Left: each track in the colour of its own D, which is uncertain. Right: means of all "
            "tracks in a part of the field. Colours that change steadily from side to side speak "
            "of a tilted chamber, a gradient of temperature, or optics that distort.",
        )
    add(
        "van_hove",
        van_hove_figure(measured.distributions, measured.non_gaussian),
        "Are displacements Gaussian?",
        "Left: displacements along x and y over their standard deviation, at one frame and at a "
        "longer lag (van Hove). Right: the non-Gaussian parameter, 0 for Brownian particles that "
        "are alike. Above 0 at all lags, particles differ in D; falling towards 0, each particle "
        "changes its D, or compression, wrong links and rare large errors spoil short steps.",
    )
    add(
        "alpha_of_particles",
        histogram_figure(particles["alpha"], label="alpha", estimate=measured.anomalous.alpha),
        "Exponent of each particle",
        "Exponents from single tracks are very uncertain; judge the kind of motion by the "
        "ensemble's alpha (line and band), and by the test in the table below.",
    )


def _as_linked(measured: Measurement) -> str:
    """Say where D has been corrected for what linking takes, and what is drawn has not."""
    if not abs(measured.diffusion.links_lost) >= _LEAST_LOST_DRAWN:
        return ""
    return (
        " D has been corrected for what linking takes of it "
        f"({100 * measured.diffusion.links_lost:.1f}%); all else is drawn as linked."
    )


def _of_long(measured: Measurement) -> str:
    stride = measured.diffusion.stride
    if stride == 1:
        return ""
    return (
        f" They are from displacements over {stride} frames, because those over fewer failed a "
        "test: the curves need not meet the points before that lag."
    )


def _marks(measured: Measurement) -> str:
    """Return what the histogram of D holds beside its bars."""
    said = ""
    if np.isfinite(measured.diffusion.value):
        said += " The line and band are the ensemble's D and its 95% interval."
    if np.isfinite(measured.spread.value):
        said += (
            " The curve is how D itself differs between particles, the tracks' own uncertainty "
            "taken out: a narrow one says that all are alike."
        )
    return said


def _shown_lags(measured: Measurement) -> pd.DataFrame:
    msd = measured.msd
    shown = max(_FEWEST_SHOWN_LAGS, int(_SHOWN_SHARE_OF_LAGS * len(msd.lag)))
    table = pd.DataFrame(
        {
            "lag": msd.lag_time,
            "msd": msd.ensemble,
            "low": msd.ensemble - _NORMAL_95 * msd.standard_error,
            "high": msd.ensemble + _NORMAL_95 * msd.standard_error,
            "pairs": msd.pairs.sum(axis=0),
        }
    )
    return table.iloc[:shown]

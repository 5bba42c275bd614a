"""What an analysis gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloudtrainer.analysis.material import MaterialFindings
from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.summary import spoken_motion
from cloudtrainer.analysis.transport import Transport
from cloudtrainer.diffusion import Estimate
from cloudtrainer.figures import with_interval
from cloudtrainer.figures.numbers import MINUS


@dataclass(frozen=True)
class Analysis:
    """What was measured in one video, or in several together.

    Attributes
    ----------
    out : Path
        Folder with ``report.html``, ``summary.json``, ``tracks.csv`` and the other tables.
    summary : dict
        What ``summary.json`` holds.
    detections, tracks : DataFrame
        Positions in pixels of the whole video; ``tracks`` has ``particle``, and drift taken out.
        Of several videos also ``video``.
    diffusion, alpha : Estimate
        D and the anomalous exponent; of several videos their means, with the interval over videos.
    measurement : Measurement or None
        All that the tracks say; None for several videos.
    material : MaterialFindings or None
        Viscosity, radius or moduli; None for several videos.
    transport : Transport or None
        Effective diffusivities and fractions of transport; None for several videos, and where the
        source is not calibrated or has no tracks.
    videos : tuple of Analysis
        The analyses of the single videos, where there are several.
    """

    out: Path
    summary: dict[str, Any]
    detections: pd.DataFrame
    tracks: pd.DataFrame
    diffusion: Estimate
    alpha: Estimate
    measurement: Measurement | None
    material: MaterialFindings | None = None
    transport: Transport | None = None
    videos: tuple["Analysis", ...] = ()

    def __str__(self) -> str:
        lines = []
        for video in self.videos:
            lines += [f"{video.summary['video']['name']}:", *video._numbers(), ""]
        if self.videos:
            lines.append(f"All {len(self.videos)} videos:")
        # Those of all videos are those of each, with its name.
        warnings = [f"warning: {warning}" for warning in self.summary["warnings"]]
        return "\n".join([*lines, *self._numbers(), *warnings])

    def _numbers(self) -> list[str]:
        lines = []
        measured = self.summary["measured"]
        if measured["particles_per_frame"] is not None:
            lines.append(
                f"{measured['particles_per_frame']:.1f} particles a frame in "
                f"{measured['tracks']} tracks{_found(measured)}"
            )
        lines.append(f"D     = {_spoken(self.diffusion)}")
        lines.append(f"alpha = {_spoken(self.alpha)}")
        lines.append(f"Motion: {spoken_motion(measured)}")
        if self.material is not None:
            lines += [
                str(found)
                for found in (self.material.free, self.material.from_diffusion)
                if found is not None
            ]
        return lines


def _found(measured: dict[str, Any]) -> str:
    found = measured.get("detections_per_frame")
    return "" if found is None else f" ({found:.1f} detections a frame)"


def _spoken(estimate: Estimate) -> str:
    if not np.isfinite(estimate.value):
        return f"not estimated ({estimate.reason})"
    # The digits of the report, in signs that every terminal has.
    digits = with_interval(estimate.value, estimate.low, estimate.high, "1").replace(MINUS, "-")
    value, _, interval = digits.partition(" (95%: ")
    unit = "" if estimate.unit == "1" else f" {estimate.unit}"
    spoken = f", 95% interval {interval.removesuffix(')')} ({estimate.interval})"
    return f"{value}{unit}{spoken if interval else ''}"

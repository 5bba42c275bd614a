"""The two answers that an analysis gives for each track, side by side: kind of motion, transport.

Both are made from the same displacements and ask different things, so their counts differ.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.transport import Transport
from cloudtrainer.diffusion.motion_decision import LEVEL, MODELS
from cloudtrainer.diffusion.transport import CLASSES, TransportLimits
from cloudtrainer.report import ReportTable


def kinds_table(measured: Measurement, transport: Transport) -> ReportTable:
    """Return the table of tracks of each kind of motion and class of transport."""
    limits = transport.mobility.limits
    counts = _counts(measured, transport)
    rows: list[tuple[object, ...]] = [
        (kind, *number, int(number.sum()))
        for kind, number in zip(MODELS, counts, strict=True)
        if number.any()
    ]
    rows.append(("all tracks", *counts.sum(axis=0), int(counts.sum())))
    return ReportTable(
        "Two answers for each track: kind of motion and transport",
        ("kind of motion", *(f"transport: {name}" for name in CLASSES), "all tracks"),
        tuple(rows),
        "Numbers of tracks. The kind of motion (rows) asks which law moves the particle. It is "
        f"told only where the other kinds are excluded (tests at the {100 * LEVEL:g}% level): most "
        "short tracks are undetermined, and so is one that a cage and anomalous diffusion describe "
        "alike. Transport (columns) asks how far the particle gets, from its D and its exponent "
        f"alone: immobile {_immobile(limits)}; diffusive where its exponent is not told from 1, "
        "which does not show that the motion is Brownian. So the counts differ, and neither "
        "corrects the other. Quote transport for how many particles get through a gel or mucus, "
        "and the kind of motion for why.",
    )


def _immobile(limits: TransportLimits) -> str:
    by_distance = f"where it moves by less than {limits.immobile_um:.2g} µm in 1 s"
    if limits.immobile_um >= limits.unresolved_um:
        return by_distance
    return (
        "where no motion is seen (tested at the 5% level) and one of more than "
        f"{limits.unresolved_um:.2g} µm in 1 s is excluded, or {by_distance}"
    )


def kinds_methods(transport: Transport | None) -> list[str]:
    """Return what a methods section says of the kinds of motion of single tracks."""
    said = [
        "The kind of motion of single tracks (immobile, confined, Brownian, anomalous or directed) "
        "was chosen by likelihood-ratio tests of these five models at the "
        f"{100 * LEVEL:g}% level and called undetermined where more than one describes a track."
    ]
    if transport is not None:
        said.append(
            "Kind of motion and class of transport are separate answers, whose numbers of tracks "
            "differ: the first says which model describes a track, and is given only where the "
            "other models are excluded; the second says how far a particle gets, by its D and its "
            "exponent alone, so that a track whose model is undetermined may still be called "
            "diffusive (exponent not told from 1), hindered or active."
        )
    return said


def _counts(measured: Measurement, transport: Transport) -> NDArray[np.int64]:
    """Return the tracks of each kind (rows) and class (columns); those of one position in none."""
    both = measured.particles.merge(transport.mobility.tracks[["particle", "class"]], on="particle")
    counts = pd.crosstab(both["motion_model"], both["class"])
    counts = counts.reindex(index=list(MODELS), columns=list(CLASSES), fill_value=0)
    return counts.to_numpy(np.int64)

"""What a reader of mobilities must know of them."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.mobility_tables import ends
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.stokes_einstein import StokesEinstein
from cloudtrainer.diffusion.tracks import FloatArray

# Shares of tracks from which on a reader must know of them.
_WORTH_SAYING = 0.1
# Weights that change a mean by less are of no matter to it.
_WORTH_WEIGHING = 0.05


def error_too_large(error_um: float, msd: MeanSquaredDisplacement) -> tuple[str, ...]:
    """Say that a static error that was given cannot be."""
    return (
        f"The static error given ({error_um:g} um) is larger than the particles' whole motion: 4 "
        f"times its square is {4 * error_um**2:.3g} um^2, and their MSD at the first lag "
        f"{msd.ensemble[0]:.3g} um^2. Effective diffusivities are not given; check the error and "
        "its unit.",
    )


def not_independent(table: pd.DataFrame, stride: int, frame_interval_s: float) -> tuple[str, ...]:
    """Say which time scales are too short for positions that are not independent."""
    short = table.loc[table["lag_frames"] < stride, "time_scale_s"]
    if short.empty:
        return ()
    times = ", ".join(f"{time:.3g} s" for time in short)
    return (
        f"No effective diffusivity is given at {times}: positions of neighbouring frames are not "
        f"independent here, and only displacements over {stride} frames "
        f"({stride * frame_interval_s:.3g} s) or more tell how far particles move.",
    )


def not_positive(table: pd.DataFrame, offset_um2: float, offset_from: str) -> tuple[str, ...]:
    """Say where effective diffusivities are not above 0, and which offset made them so."""
    below = table[table["mean_by_particle"] <= 0]
    if below.empty:
        return ()
    times = ", ".join(f"{time:.3g} s" for time in below["time_scale_s"])
    return (
        f"The effective diffusivity at {times} is not above 0: the offset taken out of the MSD "
        f"({offset_um2:.3g} um^2, from {offset_from}) is as large as the MSD there. Do not quote "
        "it. Give the static error that a film of stuck particles shows, or quote longer times.",
    )


def doubts(
    found: pd.DataFrame,
    values: FloatArray,
    table: pd.DataFrame,
    fractions: pd.DataFrame,
    reference: int,
    frame_interval_s: float,
    free: StokesEinstein | None,
) -> tuple[str, ...]:
    """Say what is too short, what the weights change, and what the fractions do not tell."""
    said = list(free.warnings) if free is not None else []
    unreached = table.loc[table["particles"] == 0, "time_scale_s"]
    if len(unreached):
        named = ", ".join(f"{time:.3g} s" for time in unreached)
        said.append(f"No track is long enough for an effective diffusivity at {named}.")
    short = ~np.isfinite(values)
    if len(found) and _WORTH_SAYING < short.mean() < 1:
        theirs, others = found.loc[short, "D"].median(), found.loc[~short, "D"].median()
        than = ""
        if theirs > 0 and others > 0 and abs(theirs / others - 1) > _WORTH_WEIGHING:
            than = f"; their median D is {theirs / others:.2g} times that of the others"
        said.append(
            f"{short.sum()} of {len(found)} tracks are too short for the effective diffusivity at "
            f"{reference * frame_interval_s:.3g} s and are not in it{than}."
        )
    for row in table.to_dict("records"):
        value, low, high = ends(row, "frame_over_particle")
        if (high < 1 or low > 1) and abs(value - 1) > _WORTH_WEIGHING:
            said.append(
                f"Weighted by frames, the mean effective diffusivity at {row['time_scale_s']:.3g} "
                f"s is {value:.2f} ({low:.2f} to {high:.2f}) times that of equal weights: length "
                "and speed of the tracks go together. Say which weights you quote."
            )
            break
    unknown = fractions.set_index("class").loc["undetermined"]
    if unknown["by_particle"] > _WORTH_SAYING:
        said.append(
            f"{unknown['by_particle']:.0%} of the tracks ({unknown['by_frame']:.0%} by frames) are "
            "too short or too noisy for a class of transport: the other fractions are not those of "
            "the whole population."
        )
    return tuple(said)

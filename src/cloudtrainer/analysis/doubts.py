"""What to be wary of: in the tracks themselves, and in what was estimated from them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.diffusion import AnomalousEstimate, Check, DiffusionSpread, Estimate, Motion
from cloudtrainer.diffusion.estimate import PARTICLES_DIFFER
from cloudtrainer.diffusion.steps import MOST_NEAR_BORDER

BoolArray = NDArray[np.bool_]

# The spread of D is that of the longer tracks; from here on those that are left out matter.
_MUCH_LEFT_OUT = 0.25
# A track is stuck if its D is not told from 0, and surely less than this share of that of all.
_STUCK = 0.1
# So many are worth saying, as a share of the tracks or of their positions.
_LEAST_STUCK = 0.02
_WORTH_SAYING = 0.02


def oddities(tracks: pd.DataFrame) -> list[str]:
    """Say what is odd in the tracks themselves, and changes D without making it impossible."""
    ordered = tracks.sort_values(["particle", "frame"])
    step = ordered[["particle", "frame", "x", "y"]].diff()
    step = step[step["particle"] == 0]
    if step.empty:
        return []
    said = []
    moved = (step[["x", "y"]] != 0).any(axis=1).groupby(ordered.loc[step.index, "particle"]).any()
    if moved.any() and not moved.all():
        said.append(
            f"{(~moved).sum()} of {len(moved)} tracks are at exactly the same place in all frames, "
            "as no measured position is: they count as particles that do not move, and make D "
            "smaller. Remove them if another program filled them in."
        )
    nearest = int(step["frame"].min())
    if nearest > 1:
        said.append(
            f"No track has positions in neighbouring frames: they are {nearest} frames apart or "
            "more. D is right only if the column frame counts the frames, and holds no times."
        )
    return said


def reservations(diffusion: Estimate, motion: Motion, anomalous: AnomalousEstimate) -> list[str]:
    """Say what to be wary of in D and alpha."""
    if not np.isfinite(diffusion.value):
        return [f"D was not estimated: {diffusion.reason}."]
    warnings = []
    if diffusion.particles < 10:
        particles = "particle" if diffusion.particles == 1 else "particles"
        warnings.append(
            f"D rests on {diffusion.particles} {particles}: its interval is rough; film more."
        )
    without_alpha = not np.isfinite(anomalous.alpha.value)
    if without_alpha:
        warnings.append(f"alpha was not estimated: {anomalous.alpha.reason}.")
    if motion.motion_model == "anomalous":
        instead = "the MSD" if without_alpha else "alpha and K"
        warnings.append(
            f"The motion is not Brownian: D depends on the time scale. Quote {instead}, or D with "
            "its time scale."
        )
    if diffusion.near_border > MOST_NEAR_BORDER:
        warnings.append(
            f"{100 * diffusion.near_border:.0f}% of the displacements begin so near to the border "
            "of the frame that the long ones lead out of it and are not seen: D and alpha are too "
            "small. Film a larger field, or faster."
        )
    if diffusion.stride == 1 and diffusion.spread_ratio > PARTICLES_DIFFER:
        warnings.append(
            f"The particles differ: the standard error over particles is "
            f"{diffusion.spread_ratio:.1f} times that of identical particles. D is the mean over "
            "the population; look at the histogram of D."
        )
    return warnings


def spread_reservations(spread: DiffusionSpread, checks: Sequence[Check]) -> list[str]:
    """Say where the spread of D between particles is not that of all of them."""
    if not np.isfinite(spread.value) or not spread.positions_left_out > 0:
        return []
    failed = any(one.failed and one.name == "D against track length" for one in checks)
    if spread.positions_left_out < _MUCH_LEFT_OUT and not failed:
        return []
    said = (
        f"The spread of D between particles is that of {spread.particles} long tracks: "
        f"{100 * spread.tracks_left_out:.0f}% of the tracks, with "
        f"{100 * spread.positions_left_out:.0f}% of the positions, are too short for it. "
    )
    if failed:
        return [
            said + "D depends on the length of the tracks here, so that it is not the spread of "
            "all particles, and may be far from it."
        ]
    return [said + "If fast particles leave the focus sooner, it is not that of all particles."]


def stuck_tracks(particles: pd.DataFrame, diffusion: Estimate) -> BoolArray:
    """Return which tracks do not move: D not told from 0, and surely under a tenth of that of all.

    Where they make up less than 2% of the tracks and of the positions, none is returned: a few
    moving tracks look so by chance.
    """
    none = np.zeros(len(particles), dtype=bool)
    if not diffusion.low > 0:
        return none
    stuck = ((particles["D_low"] <= 0) & (particles["D_high"] < _STUCK * diffusion.value)).to_numpy(
        dtype=bool
    )
    frames = particles["frames"].to_numpy()
    known = particles["D"].notna().to_numpy()
    shares = (stuck.sum() / max(known.sum(), 1), frames[stuck].sum() / max(frames[known].sum(), 1))
    return stuck if max(shares) >= _LEAST_STUCK else none


def stuck_warning(diffusion: Estimate, moving: Estimate, stuck: int, tracks: int) -> str | None:
    """Say what D is without the tracks that do not move, where that makes a difference."""
    change = moving.value - diffusion.value
    if not change > min(diffusion.standard_error, _WORTH_SAYING * diffusion.value):
        return None
    return (
        f"{stuck} of {tracks} tracks do not move: their D is not told from 0 and surely less than "
        f"a tenth of that of all. They count in D = {diffusion}; without them D would be {moving}. "
        "If they are stuck to the glass or are dirt, quote the second, and say so; stuck tracks "
        "that are too short to tell are still in it."
    )

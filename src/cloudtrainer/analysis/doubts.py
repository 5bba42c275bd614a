"""What to be wary of: in the tracks themselves, and in what was estimated from them."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion import AnomalousEstimate, Estimate, Motion
from cloudtrainer.diffusion.steps import MOST_NEAR_BORDER

# An ensemble interval this much wider than the likelihood's says that the particles differ.
_SPREAD_WARNING = 1.5


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
    if diffusion.stride == 1 and diffusion.spread_ratio > _SPREAD_WARNING:
        warnings.append(
            f"The particles differ: the standard error over particles is "
            f"{diffusion.spread_ratio:.1f} times that of identical particles. D is the mean over "
            "the population; look at the histogram of D."
        )
    return warnings

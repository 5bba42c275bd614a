"""Whether particles are missed where they move most, which makes D too small."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

# Steps across gaps are a few per cent of all; fewer than these say nothing.
_LEAST_GAPS, _LEAST_SHARE = 20, 0.005
_LONGER = 1.25


@dataclass(frozen=True)
class GapSteps:
    """Steps across gaps, beside those between consecutive frames.

    Attributes
    ----------
    ratio, error
        Mean square of a step per frame across gaps, over that between consecutive frames, and the
        standard error of that; 1 and 0 where there are none.
    gaps, steps
        How many steps are across gaps, and how many there are.
    """

    ratio: float
    error: float
    gaps: int
    steps: int

    @property
    def are_longer(self) -> bool:
        """Whether particles are missed where they move most."""
        enough = self.gaps >= max(_LEAST_GAPS, _LEAST_SHARE * self.steps)
        return enough and self.ratio - 2 * self.error >= _LONGER


def gap_steps(tracks: pd.DataFrame) -> GapSteps:
    """Compare the steps across gaps with the others.

    The mean square of a step grows with the frames it takes. Where it is larger per frame across
    gaps than between consecutive frames, particles were missed because they moved: smeared by
    their motion during the exposure. (By chance it is 1, or 1.2 where the exposure is as long as
    the frame interval; where the search range cuts steps off, those across gaps are shorter.)

    Parameters
    ----------
    tracks : DataFrame
        ``particle, frame, x, y``, pixels.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    """
    table = checked_positions(tracks, ("frame", "x", "y"), name="tracks")
    if "particle" not in table or table["particle"].ndim != 1:
        raise LabelError("tracks: one column particle is needed.")
    table["particle"] = pd.factorize(table["particle"])[0]
    ordered = table.sort_values(["particle", "frame"])
    step = ordered[["particle", "frame", "x", "y"]].diff()
    passed = step["frame"].to_numpy()
    squared = (step["x"] ** 2 + step["y"] ** 2).to_numpy()
    within = step["particle"].to_numpy() == 0
    consecutive, across = within & (passed == 1), within & (passed > 1)
    gaps, steps = int(across.sum()), int(within.sum())
    usual = float(squared[consecutive].mean()) if consecutive.any() else 0.0
    if gaps < 2 or usual == 0:
        return GapSteps(1.0, 0.0, gaps, steps)
    missed = squared[across] / passed[across]
    error = float(missed.std(ddof=1)) / np.sqrt(gaps) / usual
    return GapSteps(float(missed.mean()) / usual, float(error), gaps, steps)


def missed_while_moving(tracks: pd.DataFrame) -> str | None:
    """Say, in a sentence, that steps across gaps are longer than others; None if they are not.

    The longest steps are then lost, and D is too small.

    Parameters
    ----------
    tracks : DataFrame
        ``particle, frame, x, y``, pixels.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    """
    found = gap_steps(tracks)
    if not found.are_longer:
        return None
    return (
        f"Particles are missed where they move most: across gaps (one step in "
        f"{found.steps / found.gaps:.0f}) the mean square of a step is {found.ratio:.1f} times as "
        "large per frame as elsewhere. Where steps are about as long as particles are wide, these "
        "are smeared by their motion during the exposure, the longest steps are lost, and D comes "
        "out too small: shorten the exposure. Where steps are short, some of the gaps join two "
        "particles: use a shorter memory."
    )

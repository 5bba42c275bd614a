"""Whether particles are missed where they move most, which makes D too small."""

import numpy as np
import pandas as pd

from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

# Steps across gaps are a few per cent of all; fewer than these say nothing.
_LEAST_GAPS, _LEAST_SHARE = 20, 0.005
_LONGER = 1.25


def missed_while_moving(tracks: pd.DataFrame) -> str | None:
    """Say, in a sentence, that steps across gaps are longer than others; None if they are not.

    The mean square of a step grows with the frames it takes. Where it is larger per frame across
    gaps than between consecutive frames, particles were missed because they moved: smeared by
    their motion during the exposure. The longest steps are then lost, and D is too small. (By
    chance, and where the search range cuts steps off, those across gaps are shorter, not longer.)

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
    gaps = int(across.sum())
    if gaps < max(_LEAST_GAPS, _LEAST_SHARE * within.sum()) or not consecutive.any():
        return None
    usual = float(squared[consecutive].mean())
    missed = squared[across] / passed[across]
    ratio = float(missed.mean()) / usual if usual > 0 else 1.0
    error = float(missed.std(ddof=1)) / np.sqrt(gaps) / usual if usual > 0 else 0.0
    if ratio - 2 * error < _LONGER:
        return None
    return (
        f"Particles are missed where they move most: across gaps (one step in "
        f"{within.sum() / gaps:.0f}) the mean square of a step is {ratio:.1f} times as large per "
        "frame as elsewhere. They are smeared by their motion during the exposure, and D is too "
        "small (by about 3% in simulations where it was twice as large): shorten the exposure."
    )

"""D against the search range: a plateau, or a warning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import listed, number, whole_number
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.linking import link_positions
from cloudtrainer.tracking.tables import checked_positions

_SCAN_ROWS = 40_000


def search_range_scan(
    detections: pd.DataFrame,
    value_px: float,
    factors: Sequence[float] = (0.6, 0.8, 1.0, 1.3, 1.6),
    memory: int = 3,
) -> pd.DataFrame:
    """Link with several search ranges and estimate D from each.

    D comes from steps between successive frames by the covariance-based estimator of Vestergaard,
    Blainey & Flyvbjerg 2014 (Phys. Rev. E 89:022726, eq. 14), after the mean step is removed. Of a
    long table only the first 40,000 rows (whole frames) are linked.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels).
    value_px
        The search range in use, pixels.
    factors
        What to multiply it with.
    memory
        As for `track_particles`.

    Returns
    -------
    pandas.DataFrame
        One row a factor: ``factor``, ``search_range_px``, ``D_px2_per_frame``, ``tracks`` (those
        with a displacement), ``displacements`` (between successive frames).

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number.
    ConfigError
        When the range or a factor is not positive, or the memory no whole number of 0 or more.
    """
    value_px = number("value_px", value_px, "pixels", above=True)
    memory = whole_number("memory", memory, "frames")
    factors = [
        number("a factor", factor, above=True)
        for factor in listed("factors", factors, "[1.0, 1.3]")
    ]
    table = checked_positions(detections).sort_values("frame", kind="stable", ignore_index=True)
    if len(table) > _SCAN_ROWS:
        table = table[table["frame"] < max(table["frame"].iloc[_SCAN_ROWS], 1)]
    frames, positions = table["frame"].to_numpy(), table[["y", "x"]].to_numpy()
    rows = []
    for factor in factors:
        particles = link_positions(frames, positions, factor * value_px, memory)
        order = np.lexsort((frames, particles))
        D, tracks, displacements = _covariance_estimate(
            frames[order], particles[order], positions[order]
        )
        rows.append((factor, factor * value_px, D, tracks, displacements))
    return pd.DataFrame(
        rows, columns=["factor", "search_range_px", "D_px2_per_frame", "tracks", "displacements"]
    )


def search_range_warning(scan: pd.DataFrame) -> str | None:
    """Say so when D changes by more than 3% at 1.3 times the search range.

    Parameters
    ----------
    scan
        From `search_range_scan`, with the factors 1.0 and 1.3 among its rows.

    Returns
    -------
    str or None
        One sentence with the numbers, or None when D is stable or cannot be compared.

    Raises
    ------
    LabelError
        When it is no table of `search_range_scan`.
    """
    needed = ("factor", "search_range_px", "D_px2_per_frame")
    if not isinstance(scan, pd.DataFrame) or not set(needed) <= set(scan.columns):
        raise LabelError(
            f"scan: a table with {', '.join(needed)} is needed; give what search_range_scan returns"
        )
    here = scan[np.isclose(scan["factor"], 1.0)]
    wider = scan[np.isclose(scan["factor"], 1.3)]
    if here.empty or wider.empty:
        return None
    D, D_wider = float(here["D_px2_per_frame"].iloc[0]), float(wider["D_px2_per_frame"].iloc[0])
    if not (np.isfinite(D) and np.isfinite(D_wider) and D > 0):
        return None
    change = D_wider / D - 1
    if abs(change) <= 0.03:
        return None
    return (
        f"D changes by {100 * change:+.1f}% when the search range is raised from "
        f"{here['search_range_px'].iloc[0]:.1f} to {wider['search_range_px'].iloc[0]:.1f} px: "
        "steps are cut off, or particles are swapped because they are crowded."
    )


def _covariance_estimate(
    frames: NDArray[np.int64], particles: NDArray[np.int64], positions: NDArray[np.float64]
) -> tuple[float, int, int]:
    """Estimate D (px^2 a frame) from rows sorted by particle and frame."""
    step = np.diff(positions, axis=0)
    good = (np.diff(particles) == 0) & (np.diff(frames) == 1)
    displacements = int(good.sum())
    if displacements == 0:
        return float("nan"), 0, 0
    step = step - step[good].mean(axis=0)
    adjacent = good[1:] & good[:-1]
    squares = np.mean(step[good] ** 2)
    products = np.mean((step[1:] * step[:-1])[adjacent]) if adjacent.any() else np.nan
    tracks = np.unique(particles[1:][good]).size
    return float(squares / 2 + products), tracks, displacements

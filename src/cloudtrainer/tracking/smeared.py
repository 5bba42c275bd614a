"""Particles that are found twice in one frame, because their motion smears them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cloudtrainer.arguments import number, shown
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.linking import link_positions
from cloudtrainer.tracking.tables import checked_positions

# Of the search range: so far apart, at most, are two parts of the way of one exposure.
_REACH = 0.5
# Of the particle's brightness in other frames: two parts have about that of the whole, together
# less than two particles, and the dimmer one more than noise has.
_BOTH_AT_MOST, _DIMMER_AT_LEAST = 1.75, 0.25
_WORTH_SAYING = 0.005
# What a pair has in common; an empty cell is not known.
_MERGED = ("intensity", "area", "x_error", "y_error", "probability")


@dataclass(frozen=True)
class SmearedJoined:
    """Detections in which a particle is found once a frame.

    Attributes
    ----------
    detections
        The table that was given, two parts of one particle joined into one row.
    joined
        How many pairs were joined.
    """

    detections: pd.DataFrame
    joined: int

    @property
    def warning(self) -> str | None:
        """A sentence, or None where hardly any were joined."""
        if self.joined <= _WORTH_SAYING * len(self.detections):
            return None
        return (
            f"{self.joined} times a particle was found as two in a frame, smeared by its motion "
            "during the exposure; the two were joined at their common centre. Without that D would "
            "be too small. Shorten the exposure."
        )


def join_smeared(detections: pd.DataFrame, search_range: float) -> SmearedJoined:
    """Join detections that are two parts of one particle, smeared during the exposure.

    Linking takes the part that is nearer to where the particle was, which shortens the longest
    steps. Two detections of a frame are such parts where all of this holds: each is the other's
    nearest, within half the search range; not both were seen in the frame before, nor both in the
    frame after (linked without memory); and together they are about as bright as the particle in
    its other frames. The centre of brightness of both is the mean position during the exposure.
    None of that looks at how far the particle went.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels) and ``intensity``; without brightness, or where it is
        not known, nothing is joined. Further columns are kept.
    search_range
        The largest step from one frame to the next, pixels.

    Returns
    -------
    SmearedJoined
        A joined row has the sum of both intensities and areas, the larger probability, and errors
        that follow from those of both; all else is that of the brighter one.

    Raises
    ------
    LabelError
        When the table lacks a column, has one twice, or holds something that is no number.
    ConfigError
        When the range is no positive number.
    """
    search_range = number("search_range", search_range, "pixels", above=True)
    checked = checked_positions(detections)
    detections = _with_numbers(detections)
    if "intensity" not in checked.columns or checked.empty:
        return SmearedJoined(detections, 0)
    order = np.argsort(checked["frame"].to_numpy(), kind="stable")
    table = checked.iloc[order]
    frames, xy = table["frame"].to_numpy(), table[["x", "y"]].to_numpy()
    light = detections["intensity"].to_numpy(dtype=np.float64)[order]
    one, other = _mutual_nearest(frames, xy, _REACH * search_range)
    if one.size == 0:
        return SmearedJoined(detections, 0)
    track = link_positions(frames, xy, search_range, memory=0)
    before = np.isin(np.arange(len(track)), np.unique(track, return_index=True)[1], invert=True)
    last = len(track) - 1 - np.unique(track[::-1], return_index=True)[1]
    after = np.isin(np.arange(len(track)), last, invert=True)
    seen = np.bincount(track)[track]
    usual = pd.Series(light).groupby(track).transform("median").to_numpy()
    usual = np.where(seen[one] >= seen[other], usual[one], usual[other])
    both, dimmer = light[one] + light[other], np.minimum(light[one], light[other])
    parts = ~(before[one] & before[other]) & ~(after[one] & after[other])
    parts &= (both <= _BOTH_AT_MOST * usual) & (dimmer >= _DIMMER_AT_LEAST * usual) & (dimmer > 0)
    one, other = order[one[parts]], order[other[parts]]
    return SmearedJoined(_joined(detections, one, other), len(one))


def _with_numbers(detections: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numbers, or nothing, in the columns that pairs have in common."""
    numbers = {}
    for column in _MERGED:
        if column not in detections.columns:
            continue
        given = detections[column]
        if given.ndim != 1:
            raise LabelError(f"detections: the column {column} is there twice; keep one.")
        plain = pd.to_numeric(given, errors="coerce")
        bad = np.flatnonzero((plain.isna() & given.notna()).to_numpy())
        if bad.size:
            raise LabelError(
                f"detections: row {bad[0]}, column {column}: {shown(given.iloc[bad[0]])} is not a "
                "number; correct or remove the row."
            )
        if not isinstance(given.dtype, np.dtype) or given.dtype == object:
            numbers[column] = plain.to_numpy(np.float64, na_value=np.nan)
    return detections.assign(**numbers) if numbers else detections


def _mutual_nearest(
    frames: NDArray[np.int64], xy: NDArray[np.float64], reach_px: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of pairs in one frame that are each other's nearest, within a reach."""
    ones, others = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 1))
    for first, after in zip(starts, np.append(starts[1:], len(frames)), strict=True):
        if after - first < 2:
            continue
        distance, nearest = cKDTree(xy[first:after]).query(xy[first:after], 2)
        mine, its = np.arange(after - first), np.asarray(nearest)[:, 1]
        pair = (its[its] == mine) & (mine < its) & (np.asarray(distance)[:, 1] <= reach_px)
        ones.append(first + mine[pair])
        others.append(first + its[pair])
    return np.concatenate(ones), np.concatenate(others)


def _joined(
    detections: pd.DataFrame, one: NDArray[np.int64], other: NDArray[np.int64]
) -> pd.DataFrame:
    """Join pairs of rows; the row that stays is that of the brighter one."""
    light = detections["intensity"].to_numpy(dtype=np.float64)
    kept, gone = np.where(light[one] >= light[other], (one, other), (other, one))
    share = light[kept] / (light[kept] + light[gone])
    result: pd.DataFrame = detections.copy()

    def put(column: str, values: NDArray[np.float64]) -> None:
        new = result[column].to_numpy(dtype=np.float64, copy=True)
        new[kept] = values
        result[column] = new

    for column in ("x", "y", "x_error", "y_error"):
        if column in result.columns:
            value = detections[column].to_numpy(dtype=np.float64)
            a, b = share * value[kept], (1 - share) * value[gone]
            put(column, np.hypot(a, b) if column.endswith("error") else a + b)
    for column in ("intensity", "area"):
        if column in result.columns:
            value = detections[column].to_numpy(dtype=np.float64)
            put(column, value[kept] + value[gone])
    if "probability" in result.columns:
        value = detections["probability"].to_numpy(dtype=np.float64)
        put("probability", np.maximum(value[kept], value[gone]))
    stay = np.ones(len(result), dtype=bool)
    stay[gone] = False
    return result[stay].reset_index(drop=True)

"""Particles that are found twice in one frame: smeared by their motion, or pairs that stay one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import number, shown
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions
from cloudtrainer.tracking.twice_found import Pairs, TwiceFound

Cause = Literal["smear", "pairs", "unknown"]

_WORTH_SAYING = 0.005
# What a pair has in common; an empty cell is not known.
MERGED = ("intensity", "area", "x_error", "y_error", "probability")
# In `DataFrame.attrs`, which Parquet keeps: joined again, some more pairs would be found.
ARE_JOINED = "smeared_parts_joined"
# The alignment of smeared Brownian particles is 9/4, that of pairs that stay together 0: above
# half of the one, or below a quarter, by two standard errors from so many pairs.
_OF_SMEAR = 9 / 4
_FEWEST_PAIRS = 10


@dataclass(frozen=True)
class SmearedJoined:
    """Detections in which a particle is found once a frame.

    Attributes
    ----------
    detections
        The table that was given, two parts of one particle joined into one row.
    joined
        How many pairs were joined.
    cause
        Why they were found as two: "smear", by their motion during the exposure; "pairs", as two
        particles that stay together; "unknown", where these data do not tell.
    """

    detections: pd.DataFrame
    joined: int
    cause: Cause = "unknown"

    @property
    def warning(self) -> str | None:
        """Sentences, or None where hardly any were joined."""
        return smear_warning(self.joined, len(self.detections), self.cause)


def smear_warning(joined: int, detections: int, cause: Cause) -> str | None:
    """Say that so many pairs were joined, of which so many detections were left, and why.

    None where hardly any were joined.
    """
    if joined <= _WORTH_SAYING * detections:
        return None
    found = f"{joined} times what is one particle in other frames was found as two"
    if cause == "smear":
        return (
            f"{found}, smeared by its motion during the exposure; the two were joined at their "
            "common centre. Without that D would be too small. Shorten the exposure."
        )
    if cause == "pairs":
        return (
            f"{found}; the two were joined at their common centre. They lie in any direction to "
            "the motion: they are no smear of it, which a shorter exposure would cure, but two "
            "particles that stay together (dimers, aggregates) or a particle with structure. Where "
            "you measure single particles, break up or leave out aggregates."
        )
    return (
        f"{found}; the two were joined at their common centre. Either motion during the exposure "
        "smears a particle (then shorten the exposure), or two particles stay together (dimers, "
        "aggregates): these data do not tell."
    )


def join_smeared(detections: pd.DataFrame, search_range: float) -> SmearedJoined:
    """Join detections that are two parts of one particle, mostly smeared during the exposure.

    Linking takes the part that is nearer to where the particle was, which shortens the longest
    steps. Two detections of a frame are such parts where all of this holds: each is the other's
    nearest, within half the search range; not both were seen in the frame before, nor both in the
    frame after (linked without memory); and together they are about as bright as the particle in
    its other frames. The centre of brightness of both is the mean position during the exposure.
    None of that looks at how far the particle went.

    Two particles that stay together and are found as one in other frames meet the same, and are
    joined too; which of both it was is told from how the parts lie to the motion (`cause_of`).

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels) and ``intensity``; without brightness, or where it is
        not known, nothing is joined. Further columns are kept. A table that was joined before is
        known by its ``attrs`` and left as it is.
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
    if "intensity" not in checked.columns or checked.empty or detections.attrs.get(ARE_JOINED):
        return SmearedJoined(detections, 0)
    order = np.argsort(checked["frame"].to_numpy(), kind="stable")
    table = checked.iloc[order]
    xy = table[["x", "y"]].to_numpy()
    light = detections["intensity"].to_numpy(dtype=np.float64)[order]
    numbers, starts = np.unique(table["frame"].to_numpy(), return_index=True)
    twice = TwiceFound(search_range)
    for at, start, stop in zip(numbers, starts, [*starts[1:], len(xy)], strict=True):
        twice.add(int(at), xy[start:stop], light[start:stop])
    pairs = twice.end()
    if not len(pairs.one):
        return SmearedJoined(_marked(detections), 0)
    columns = {
        name: detections[name].to_numpy(dtype=np.float64)
        for name in ("x", "y", *MERGED)
        if name in detections.columns
    }
    new, gone = joined_values(columns, order[pairs.one], order[pairs.other])
    stay = np.ones(len(detections), dtype=bool)
    stay[gone] = False
    kept = detections.assign(**new)[stay].reset_index(drop=True)
    return SmearedJoined(_marked(kept), len(pairs.one), cause_of(pairs))


def _marked(detections: pd.DataFrame) -> pd.DataFrame:
    marked = detections.copy(deep=False)
    marked.attrs = {**detections.attrs, ARE_JOINED: True}
    return marked


def cause_of(pairs: Pairs) -> Cause:
    """Tell motion during the exposure from two particles that stay together.

    Notes
    -----
    Let r be the vector from one part to the other and u the displacement from the frame before to
    the frame after, with its parts along r and across it. Of a Brownian particle r is the mean of
    the second half of its way during the exposure less that of the first, and given r the mean of u
    is (3/2) r, whatever the exposure, with the same scatter along and across: <u_along^2 -
    u_across^2> / <r^2> is 9/4. (Motion in one direction makes it larger.) A pair of particles lies
    in any direction to its motion: it is 0, or a little more where it diffuses faster along its
    axis.
    """
    known = np.isfinite(pairs.moved_px).all(axis=1)
    apart, moved = pairs.apart_px[known], pairs.moved_px[known]
    if len(apart) < _FEWEST_PAIRS:
        return "unknown"
    square = (apart**2).sum(axis=1)
    along = (apart * moved).sum(axis=1) ** 2 / square
    across = (apart[:, 0] * moved[:, 1] - apart[:, 1] * moved[:, 0]) ** 2 / square
    alignment = float((along - across).mean() / square.mean())
    scatter = (along - across - alignment * square).std(ddof=1) / square.mean()
    error = float(scatter / np.sqrt(len(apart)))
    if alignment - 2 * error > _OF_SMEAR / 2:
        return "smear"
    return "pairs" if alignment + 2 * error < _OF_SMEAR / 4 else "unknown"


def _with_numbers(detections: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numbers, or nothing, in the columns that pairs have in common."""
    numbers = {}
    for column in MERGED:
        if column not in detections.columns:
            continue
        given = detections[column]
        if given.ndim != 1:
            raise LabelError(f"detections: the column {column} is there twice; keep one.")
        plain = numbers_of(given, "detections", 0)
        if not isinstance(given.dtype, np.dtype) or given.dtype == object:
            numbers[column] = plain
    return detections.assign(**numbers) if numbers else detections


def numbers_of(column: pd.Series, table: str, first_row: int) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where a cell is empty.

    Raises
    ------
    LabelError
        A cell holds something else; the message names the table, the row and the column.
    """
    plain = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero((plain.isna() & column.notna()).to_numpy())
    if bad.size:
        raise LabelError(
            f"{table}: row {first_row + bad[0]}, column {column.name}: "
            f"{shown(column.iloc[bad[0]])} is not a number; correct or remove the row."
        )
    return plain.to_numpy(np.float64, na_value=np.nan)


def joined_values(
    columns: Mapping[str, NDArray[np.float64]], one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]:
    """Return columns with pairs of rows joined in the row of the brighter one, and which rows go.

    Parameters
    ----------
    columns
        ``x, y, intensity``, and any others that pairs have in common.
    one, other
        The rows of each pair.
    """
    light = columns["intensity"]
    kept, gone = np.where(light[one] >= light[other], (one, other), (other, one))
    share = light[kept] / (light[kept] + light[gone])
    new = {}
    for name, value in columns.items():
        a, b = value[kept], value[gone]
        if name in ("intensity", "area"):
            together = a + b
        elif name == "probability":
            together = np.maximum(a, b)
        elif name.endswith("error"):
            together = np.hypot(share * a, (1 - share) * b)
        else:
            together = share * a + (1 - share) * b
        new[name] = value.copy()
        new[name][kept] = together
    return new, gone

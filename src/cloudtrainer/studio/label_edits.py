"""The labels of a video while they are edited: frames, undo, and what others changed meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A row a label: x, y (px), and the number of its other columns; -1 where it has none.
Points = NDArray[np.float64]

NEW_ROW = -1
_DECIMALS = 3
_SAME_DECIMALS = 4
NO_POINTS: Points = np.empty((0, 3))


@dataclass(frozen=True)
class _Change:
    """What one act of the user did to a frame."""

    frame: int
    before: Points
    after: Points


class LabelEdits:
    """The labels of each frame of a video, with undo and redo over all of them.

    Parameters
    ----------
    table : DataFrame
        ``frame, x, y`` (px) and perhaps other columns, as they are in the file. A label that is
        moved keeps its other columns; one that is added has them empty.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self._others = pd.DataFrame()
        self._saved = self._split(table)
        self._now = dict(self._saved)
        self._done: list[_Change] = []
        self._undone: list[_Change] = []

    @property
    def frames(self) -> list[int]:
        """The frames that have labels, rising."""
        return sorted(self._now)

    @property
    def unsaved(self) -> bool:
        """Whether something differs from what was read or last saved."""
        return any(
            self._now.get(frame) is not self._saved.get(frame)
            for frame in self._now.keys() | self._saved.keys()
        )

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether something that was undone can be done again."""
        return bool(self._undone)

    def at(self, frame: int) -> Points:
        """Return the labels of a frame."""
        return self._now.get(frame, NO_POINTS)

    def change(self, frame: int, points: Points) -> bool:
        """Put other labels in the place of a frame's; tell whether they are others.

        New and moved positions are rounded to 0.001 px; a label that is there twice is taken once.
        """
        before = self.at(frame)
        points = _settled(points, before)
        if _equal(before, points):
            return False
        self._set(frame, points)
        self._done.append(_Change(frame, before, points))
        self._undone.clear()
        return True

    def undo(self) -> int | None:
        """Take the last change back and return its frame; None where there is none."""
        return self._step(self._done, self._undone, lambda one: (one.after, one.before))

    def redo(self) -> int | None:
        """Make the change again that was taken back last, and return its frame."""
        return self._step(self._undone, self._done, lambda one: (one.before, one.after))

    def snapshot(self) -> dict[int, Points]:
        """Return the labels as they are now, for `table` and `mark_saved`."""
        return dict(self._now)

    def table(self, snapshot: dict[int, Points]) -> pd.DataFrame:
        """Return ``frame, x, y`` and all other columns as they are to be written, by frame."""
        frames = sorted(snapshot)
        points = np.concatenate([NO_POINTS, *(snapshot[frame] for frame in frames)])
        counts = [len(snapshot[frame]) for frame in frames]
        table = pd.DataFrame(
            {"frame": np.repeat(np.array(frames, np.int64), counts), "x": points[:, 0]}
        )
        table["y"] = points[:, 1]
        others = self._others.reindex(points[:, 2].astype(np.int64)).reset_index(drop=True)
        for name in others.columns:
            table[name] = _whole(others[name])
        return table

    def mark_saved(self, snapshot: dict[int, Points]) -> None:
        """Note what is in the file now."""
        self._saved = snapshot

    def take(self, table: pd.DataFrame) -> tuple[list[int], list[int]]:
        """Take in what was changed in the file since it was read; what only we changed stays.

        Returns
        -------
        (list of int, list of int)
            The frames that were changed in the file, and those among them that were changed here
            too and not saved. Of those the file's labels are taken, and `undo` brings ours back.
        """
        theirs = self._split(table)
        changed, both = [], []
        for frame in sorted(theirs.keys() | self._saved.keys()):
            base, new = self._saved.get(frame, NO_POINTS), theirs.get(frame, NO_POINTS)
            mine = self.at(frame)
            if _same_places(base, new):
                if mine is base:
                    # Their other columns may be new.
                    self._set(frame, new)
                continue
            changed.append(frame)
            # A change of what is no longer there cannot be taken back.
            self._done = [one for one in self._done if one.frame != frame]
            self._undone = [one for one in self._undone if one.frame != frame]
            if not _same_places(mine, base) and not _same_places(mine, new):
                both.append(frame)
                self._done.append(_Change(frame, mine, new))
            self._set(frame, new)
        self._saved = {
            frame: self._now[frame]
            if frame in self._now and _same_places(self._now[frame], points)
            else points
            for frame, points in theirs.items()
        }
        return changed, both

    def _set(self, frame: int, points: Points) -> None:
        if len(points):
            self._now[frame] = points
        else:
            self._now.pop(frame, None)

    def _step(
        self,
        source: list[_Change],
        target: list[_Change],
        ends: Callable[[_Change], tuple[Points, Points]],
    ) -> int | None:
        if not source:
            return None
        one = source.pop()
        _, wanted = ends(one)
        self._set(one.frame, wanted)
        target.append(one)
        return one.frame

    def _split(self, table: pd.DataFrame) -> dict[int, Points]:
        """Part a table into frames; its other columns are kept under numbers of their own."""
        first = len(self._others)
        others = table.drop(columns=["frame", "x", "y"])
        others.index = pd.RangeIndex(first, first + len(table))
        self._others = others if first == 0 else pd.concat([self._others, others])
        ordered = table.reset_index(drop=True).sort_values("frame", kind="stable")
        points = np.column_stack(
            [ordered["x"], ordered["y"], ordered.index.to_numpy() + first]
        ).astype(np.float64)
        frames, starts = np.unique(ordered["frame"].to_numpy(np.int64), return_index=True)
        parts = np.split(points, starts[1:])
        return {int(frame): part for frame, part in zip(frames, parts, strict=False)}


def _settled(points: Points, before: Points) -> Points:
    """Round what is new or moved, and leave out what is there twice."""
    points = np.asarray(points, np.float64).reshape(-1, 3)
    known = set(map(tuple, before))
    untouched = np.array([tuple(row) in known for row in points], bool)
    xy = np.where(untouched[:, None], points[:, :2], points[:, :2].round(_DECIMALS))
    _, first = np.unique(xy, axis=0, return_index=True)
    return np.column_stack([xy, points[:, 2]])[np.sort(first)]


def _equal(a: Points, b: Points) -> bool:
    """Tell whether both hold the same labels, in any order."""
    return a.shape == b.shape and bool(np.array_equal(_ordered(a), _ordered(b)))


def _same_places(a: Points, b: Points) -> bool:
    """Tell whether both have labels at the same places, to what files keep."""
    return len(a) == len(b) and bool(
        np.array_equal(
            _ordered(a[:, :2].round(_SAME_DECIMALS)), _ordered(b[:, :2].round(_SAME_DECIMALS))
        )
    )


def _ordered(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows[np.lexsort(rows.T[::-1])]


def _whole(column: "pd.Series") -> "pd.Series":
    """Return whole numbers as such where empty cells have made them fractions."""
    if not pd.api.types.is_float_dtype(column):
        return column
    known = column.dropna()
    if column.isna().any() and np.isfinite(known).all() and (known == known.round()).all():
        return column.astype("Int64")
    return column

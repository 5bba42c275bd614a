"""Labels while they are edited: undo over frames, other columns, and what others changed."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.studio.label_edits import NEW_ROW, LabelEdits

TABLE = pd.DataFrame(
    {
        "frame": [0, 0, 3],
        "x": [1.23456789, 2.0, 5.0],
        "y": [1.0, 9.87654321, 5.0],
        "particle": [7, 8, 7],
        "who": ["a", "b", "c"],
    }
)


def with_new(points, x, y):
    return np.vstack([points, [x, y, NEW_ROW]])


def written(edits):
    return edits.table(edits.snapshot())


def places(edits, frame):
    return [tuple(row) for row in edits.at(frame)[:, :2]]


def test_what_is_not_touched_is_written_as_it_was_read():
    edits = LabelEdits(TABLE)
    edits.change(5, with_new(edits.at(5), 1.00049, 2))
    table = written(edits)
    pd.testing.assert_frame_equal(table.iloc[:3][TABLE.columns], TABLE, check_dtype=False)
    assert table.iloc[3].tolist()[:3] == [5, 1.0, 2.0]
    assert table["particle"].tolist()[:3] == [7, 8, 7]
    assert pd.isna(table["particle"].iloc[3])
    # Not 7.0: a number of a particle stays whole where another label has none.
    assert str(table["particle"].dtype) == "Int64"


def test_a_moved_label_keeps_its_other_columns_and_is_rounded():
    edits = LabelEdits(TABLE)
    points = edits.at(0).copy()
    points[1, :2] = 2.12345, 3.0
    assert edits.change(0, points)
    row = written(edits).iloc[1]
    assert (row["x"], row["y"], row["who"]) == (2.123, 3.0, "b")
    assert written(edits)["x"].iloc[0] == 1.23456789


def test_a_label_given_twice_is_taken_once_and_no_change_is_none():
    edits = LabelEdits(TABLE)
    assert not edits.change(0, edits.at(0)[::-1])
    assert edits.change(3, with_new(with_new(edits.at(3), 4, 4), 4.0001, 4))
    assert places(edits, 3) == [(5, 5), (4, 4)]


def test_undo_and_redo_go_over_frames_in_the_order_of_the_acts():
    edits = LabelEdits(TABLE)
    edits.change(0, edits.at(0)[:1])
    edits.change(3, np.empty((0, 3)))
    assert edits.frames == [0]
    assert edits.undo() == 3
    assert edits.undo() == 0
    assert edits.undo() is None
    assert not edits.unsaved
    pd.testing.assert_frame_equal(written(edits)[TABLE.columns], TABLE, check_dtype=False)
    assert edits.redo() == 0
    assert len(edits.at(0)) == 1
    edits.change(0, np.empty((0, 3)))
    assert edits.redo() is None


def test_only_what_differs_from_the_file_is_unsaved():
    edits = LabelEdits(TABLE)
    edits.change(0, edits.at(0)[:1])
    before = edits.snapshot()
    edits.change(3, np.empty((0, 3)))
    edits.mark_saved(before)
    assert edits.unsaved
    edits.mark_saved(edits.snapshot())
    assert not edits.unsaved


def test_changes_of_other_frames_elsewhere_are_taken_and_ours_stay():
    edits = LabelEdits(TABLE)
    edits.change(0, with_new(edits.at(0), 4, 4))
    theirs = pd.concat([TABLE, pd.DataFrame({"frame": [9], "x": [3.0], "y": [3.0]})])
    assert edits.take(theirs) == ([9], [])
    assert edits.frames == [0, 3, 9]
    assert (4, 4) in places(edits, 0)
    assert edits.unsaved
    assert written(edits)["who"].tolist()[:2] == ["a", "b"]


def test_of_a_frame_changed_at_both_ends_theirs_is_taken_and_undo_brings_ours_back():
    edits = LabelEdits(TABLE)
    edits.change(0, with_new(edits.at(0), 4, 4))
    theirs = TABLE[TABLE["who"] != "a"]
    assert edits.take(theirs) == ([0], [0])
    assert places(edits, 0) == [(2, 9.87654321)]
    assert not edits.unsaved
    # The undo is there even after something else was done.
    edits.change(3, np.empty((0, 3)))
    assert edits.undo() == 3
    assert edits.undo() == 0
    assert len(edits.at(0)) == 3


def test_an_act_on_a_frame_that_was_changed_elsewhere_is_not_taken_back():
    edits = LabelEdits(TABLE)
    edits.change(3, with_new(edits.at(3), 4, 4))
    edits.mark_saved(edits.snapshot())
    edits.take(TABLE)
    assert places(edits, 3) == [(5, 5)]
    assert edits.undo() is None


def test_the_same_labels_in_another_order_or_with_more_digits_are_no_change():
    edits = LabelEdits(TABLE)
    edits.change(0, with_new(edits.at(0), 4, 4))
    other = TABLE.iloc[::-1].assign(x=lambda table: table["x"].round(5))
    assert edits.take(other) == ([], [])
    assert edits.unsaved


@pytest.mark.parametrize("table", [TABLE.iloc[:0], TABLE[["frame", "x", "y"]].iloc[:0]])
def test_no_labels_are_no_frames(table):
    edits = LabelEdits(table)
    assert edits.frames == []
    assert not edits.unsaved
    assert written(edits).empty
    edits.change(2, with_new(edits.at(2), 1, 1))
    assert written(edits)["frame"].tolist() == [2]

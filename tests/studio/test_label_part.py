"""The part *Label* without a browser: what clicks, drags, buttons and other tabs do."""

import asyncio

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels
from cloudtrainer.studio.label_edits import NEW_ROW
from cloudtrainer.studio.label_part import LabelPart
from cloudtrainer.studio.videos import list_videos


def labelling(place, name="beads.tif", *, propose=False):
    """Return the part with a video open."""
    part = LabelPart(place)
    part.controls.propose.value = False
    videos = [one for one in list_videos(place) if one.video is not None]
    part.show_videos(videos)
    part.controls.video.value = place.videos / name
    part.wake()
    part.controls.propose.value = propose
    return part


def drawn(part):
    """Return what the browser has: x, y, row of each square."""
    data = part.view.points.data
    return np.column_stack([data["x"], data["y"], data["row"]])


def draw(part, rows):
    """Do what the browser does after a click or a drag."""
    x, y, row = np.asarray(rows).T.tolist()
    part.view.points.data = {"x": x, "y": y, "row": row}


def click(part, x, y):
    draw(part, np.vstack([drawn(part), [x, y, NEW_ROW]]))


def labels(place, name="beads"):
    return read_labels(place.annotations / f"{name}_particles.csv")


def in_frame(place, frame, name="beads"):
    table = labels(place, name)
    return table.loc[table["frame"] == frame, ["x", "y"]].to_numpy().tolist()


def test_a_click_adds_a_drag_moves_and_both_are_in_the_file(place):
    before = labels(place)
    part = labelling(place)
    part.controls.frame.value = 3
    count = len(in_frame(place, 3))
    assert f"Frame 3: {count} labels" in part.controls.about.object
    click(part, 40.2, 50.6)
    assert in_frame(place, 3)[-1] == [40.2, 50.6]
    rows = drawn(part)
    rows[-1, :2] += 2
    draw(part, rows)
    assert in_frame(place, 3)[-1] == [42.2, 52.6]
    assert "Saved: 30 frames" in part.controls.saved.object
    after = labels(place)
    assert len(after) == len(before) + 1
    other, there = (table[table["frame"] != 3].to_numpy() for table in (after, before))
    assert np.array_equal(other, there)


def test_the_selected_label_is_removed_and_undo_goes_back_to_its_frame(place):
    part = labelling(place)
    before = in_frame(place, 0)
    part.controls.delete.clicks += 1
    assert "Click on a label first" in part.controls.said.object
    part.view.points.selected.indices = [2]
    part.controls.delete.clicks += 1
    assert in_frame(place, 0) == before[:1] + before[2:]
    part.controls.frame.value = 9
    part.controls.undo.clicks += 1
    assert part.controls.frame.value == 0
    assert sorted(in_frame(place, 0)) == sorted(before)
    assert len(drawn(part)) == 1 + len(before)
    part.controls.redo.clicks += 1
    assert len(in_frame(place, 0)) == len(before) - 1


def test_proposals_are_no_labels_before_they_are_accepted(place):
    part = labelling(place, "unlabelled.tif", propose=True)
    path = place.annotations / "unlabelled_particles.csv"
    proposed = len(part.view.detections.data["x"])
    assert proposed > 5
    assert f"{proposed} proposals of the bundled model" in part.controls.about.object
    assert "no labels before you accept them" in part.controls.about.object
    part.controls.frame.value = 7
    assert not path.exists()
    part.controls.accept.clicks += 1
    table = labels(place, "unlabelled")
    assert table["frame"].unique().tolist() == [7]
    assert len(part.view.detections.data["x"]) == 0
    assert part.controls.accept.disabled
    part.controls.undo.clicks += 1
    assert not path.exists()


def test_a_click_in_a_circle_takes_the_proposal_to_its_sub_pixel_place(place):
    part = labelling(place, "unlabelled.tif", propose=True)
    x, y = (float(part.view.detections.data[name][0]) for name in ("x", "y"))
    click(part, x + 0.8, y - 0.7)
    (label,) = in_frame(place, 0, "unlabelled")
    assert np.allclose(label, [x, y], atol=6e-4)
    assert drawn(part)[-1, :2].tolist() == label
    circles = np.column_stack([part.view.detections.data[name] for name in ("x", "y")])
    free = next(
        spot for spot in np.argwhere(np.ones((120, 120)))
        if np.hypot(*(circles - spot).T).min() > 8
    )  # fmt: skip
    click(part, *free)
    assert in_frame(place, 0, "unlabelled")[-1] == free.tolist()
    assert "training takes what has none for background" in part.controls.about.object


def test_a_click_outside_or_on_a_frame_that_is_gone_is_not_taken(place):
    part = labelling(place)
    before = in_frame(place, 0)
    click(part, 200, 10)
    assert "outside the frame" in part.controls.said.object
    assert in_frame(place, 0) == before
    assert len(drawn(part)) == 1 + len(before)
    late = np.vstack([drawn(part), [50, 50, NEW_ROW]])
    part.controls.frame.value = 1
    after = in_frame(place, 1)
    draw(part, late)
    assert "was not taken" in part.controls.said.object
    assert in_frame(place, 1) == after
    assert len(drawn(part)) == 1 + len(after)


def test_clicks_faster_than_the_page_is_drawn_are_all_taken(place):
    part = labelling(place, "unlabelled.tif", propose=True)
    circles = [[float(part.view.detections.data[name][at]) for name in "xy"] for at in (0, 1, 2)]
    seen = drawn(part)
    for x, y in circles:
        # The browser has not yet got what the server drew after the click before.
        seen = np.vstack([seen, [x + 0.5, y, NEW_ROW]])
        draw(part, seen)
    taken = np.array(in_frame(place, 0, "unlabelled"))
    assert np.allclose(taken, circles, atol=6e-4)
    assert len(drawn(part)) == 4
    draw(part, seen[:-1])
    assert "was not taken" in part.controls.said.object
    assert len(in_frame(place, 0, "unlabelled")) == 3


def test_a_frame_is_confirmed_as_empty_until_it_gets_a_label(place):
    part = labelling(place, "unlabelled.tif", propose=True)
    part.controls.nothing.value = True
    assert "confirmed as empty" in part.controls.about.object
    assert "learns from it that nothing here is a particle" in part.controls.about.object
    assert part.controls.accept.disabled
    assert not (place.annotations / "unlabelled_particles.csv").exists()
    assert labelling(place, "unlabelled.tif").controls.nothing.value
    click(part, 40, 50)
    assert part.controls.nothing.disabled
    assert not part.controls.nothing.value
    assert not labelling(place, "unlabelled.tif").controls.nothing.value


def test_two_tabs_lose_nothing(place):
    one, other = labelling(place), labelling(place)
    other.controls.frame.value = 5
    click(one, 60, 61)
    click(other, 70, 71)
    assert [60, 61] in in_frame(place, 0)
    assert [70, 71] in in_frame(place, 5)
    assert "frame 0" in other.controls.said.object
    one.refresh()
    assert "frame 5" in one.controls.said.object
    # The same frame at the same time: theirs is there, and Undo brings ours.
    other.controls.frame.value = 0
    click(one, 20, 100)
    click(other, 100, 20)
    assert [100, 20] not in in_frame(place, 0)
    assert "Undo puts yours" in other.controls.said.object
    assert [20, 100] in drawn(other)[:, :2].tolist()
    other.controls.undo.clicks += 1
    assert [100, 20] in in_frame(place, 0)


def test_what_cannot_be_saved_is_told_kept_and_saved_later(place, monkeypatch):
    part = labelling(place)
    path = place.annotations / "beads_particles.csv"
    before = path.read_bytes()
    part_write = pd.DataFrame.to_csv

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    click(part, 40, 40)
    assert "No space left" in part.controls.saved.object
    assert "kept on this page" in part.controls.saved.object
    assert path.read_bytes() == before
    assert part.store.unsaved
    monkeypatch.setattr(pd.DataFrame, "to_csv", part_write)
    # Another video is looked at meanwhile.
    part.controls.video.value = place.videos / "unlabelled.tif"
    monkeypatch.setattr(part.store, "_failed_at", -1e9)
    part.refresh()
    assert [40, 40] in in_frame(place, 0)
    assert not part.store.unsaved


def test_labels_that_cannot_be_read_are_not_edited(place):
    path = place.annotations / "beads_particles.csv"
    path.write_text("frame,x,y\n0,<b>,1\n")
    part = labelling(place)
    assert "nothing can be labelled" in part.controls.said.object
    assert "<b>" not in part.controls.said.object
    assert not part.view.draw.add
    click(part, 10, 10)
    assert path.read_text() == "frame,x,y\n0,<b>,1\n"
    path.unlink()
    part.controls.video.value = place.videos / "unlabelled.tif"
    assert part.view.draw.add


def test_frames_are_suggested_and_gone_to(place):
    part = labelling(place, "unlabelled.tif")
    part.controls.suggest.clicks += 1
    frames = [one for one in part.controls.suggested.options.values() if one >= 0]
    assert 1 <= len(frames) <= 6
    assert part.controls.timeline.suggested.data["x"] == frames
    part.controls.suggested.value = frames[0]
    assert part.controls.frame.value == frames[0]
    click(part, 40, 50)
    part.suggestions.go_on(frames[0])
    assert part.controls.frame.value == frames[1 % len(frames)]
    part.controls.previous_labelled.clicks += 1
    part.controls.next_labelled.clicks += 1
    assert part.controls.frame.value in frames
    # A frame that is labelled needs no suggestion.
    asyncio.run(part.suggestions.look())
    assert frames[0] not in part.controls.suggested.options.values()


def test_the_strip_shows_runs_of_labelled_frames(place):
    part = labelling(place)
    assert part.controls.timeline.runs.data == {"left": [-0.5], "right": [29.5]}
    part.controls.frame.value = 10
    draw(part, drawn(part)[:1])
    assert part.controls.timeline.runs.data == {"left": [-0.5, 10.5], "right": [9.5, 29.5]}


@pytest.mark.parametrize("key", ["next", "previous", "accept", "nonsense"])
def test_keys_do_what_their_buttons_do(place, key):
    part = labelling(place)
    part.controls.frame.value = 5
    part.view.keys.data = {"key": [key], "count": [1]}
    assert part.controls.frame.value == {"next": 6, "previous": 4}.get(key, 5)

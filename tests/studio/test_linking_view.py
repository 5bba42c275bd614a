"""The linking range over the frames: what is linked, what is said of it, and what is passed on."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.detector import load_model
from cloudtrainer.errors import CloudTrainerError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.analysis_part import AnalysisPart
from cloudtrainer.studio.linking_view import around
from cloudtrainer.studio.tails import TRACK_COLOURS, lines_by_colour
from cloudtrainer.tracking import link_detections, suggest_search_range


@pytest.fixture
def part(place, monkeypatch):
    kept = []
    monkeypatch.setattr(jobs, "start", lambda place, kind, wanted: kept.append(wanted))
    part = AnalysisPart(place)
    part.asked = kept
    part.show_models()
    part.show_videos([place.videos / "beads.tif", place.videos / "unlabelled.tif"])
    return part


def drawn_links(part):
    """Count the pairs of neighbouring points of the lines without a gap between them."""
    lines = [source.data["x_track"] for source in part.linking.tails.lines]
    return sum(int(np.isfinite(np.diff(x)).sum()) for x in lines)


def test_the_range_is_suggested_from_the_frames_and_moved_by_hand(part):
    part.look()
    part.start()
    assert part.asked[-1]["config"]["analysis"]["search_range_px"] is None
    preview, numbers = part.found.preview, around(0, 30)
    found = pd.concat([preview.find(n, load_model().threshold).assign(frame=n) for n in numbers])
    suggested = suggest_search_range(found)
    assert part.linking.range_px.value == pytest.approx(suggested.value_px, abs=0.06)
    linked = link_detections(found, suggested.value_px, 3, 1).tracks
    links = len(linked) - linked["particle"].nunique()
    assert f"{links} links up to" in part.linking.said.object
    assert drawn_links(part) == links
    assert f"suggest {suggested.value_px:.1f} px" in part.linking.said.object

    part.linking.range_px.value = 0.6
    assert not part.linking.from_data.value
    part.linking.look()
    assert drawn_links(part) < links
    assert "cuts off steps" in part.linking.said.object
    part.linking.range_px.value = 39.0
    part.linking.look()
    assert "swaps between particles are likely" in part.linking.said.object
    part.start()
    assert part.asked[-1]["config"]["analysis"]["search_range_px"] == 39.0
    part.linking.from_data.value = True
    part.linking.look()
    assert part.linking.range_px.value == pytest.approx(suggested.value_px, abs=0.06)
    part.start()
    assert part.asked[-1]["config"]["analysis"]["search_range_px"] is None


def test_moving_the_range_detects_nothing_anew(part, monkeypatch):
    part.look()
    monkeypatch.setattr(part.found.preview, "_frames", None)
    part.linking.range_px.value = 12.0
    part.linking.look()
    assert "up to 12.0 px" in part.linking.said.object


def test_tracks_of_another_video_are_never_drawn(part, place):
    part.look()
    preview = part.found.preview
    made = part.linking._link(preview, 0)
    part.video.value = place.videos / "unlabelled.tif"
    assert drawn_links(part) == 0
    part.linking._draw(preview, made)
    assert drawn_links(part) == 0


def test_what_speaks_against_linking_is_told(part, monkeypatch):
    def refuse(*_):
        raise CloudTrainerError("give --memory 1")

    part.look()
    monkeypatch.setattr("cloudtrainer.tracking.link_detections", refuse)
    part.linking.look()
    assert "“Memory [frames]” 1" in part.linking.said.object
    assert drawn_links(part) == 0


@pytest.mark.parametrize(
    ("number", "frames", "wanted"),
    [(0, 100, (0, 20)), (50, 100, (40, 60)), (99, 100, (80, 100)), (3, 8, (0, 8)), (0, 1, (0, 1))],
)
def test_the_run_lies_around_the_frame_inside_the_video(number, frames, wanted):
    assert around(number, frames) == range(*wanted)


def test_lines_join_successive_positions_of_each_track():
    tracks = pd.DataFrame(
        {"particle": [7, 2, 7, 2, 7], "frame": [3, 0, 0, 1, 1], "x": [9.0, 1, 5, 2, 6], "y": 0.0}
    )
    lines = lines_by_colour(tracks.assign(particle=tracks["particle"].replace(7, 8)))
    assert len(lines) == len(set(TRACK_COLOURS)) == 6
    # Both are of one colour: 2 and 8.
    assert lines[2]["particle"].tolist() == [2, 2, 2, 8, 8, 8]
    x = lines[2]["x_track"]
    assert np.array_equal(x, np.array([1, 2, np.nan, 5, 6, 9], np.float32), equal_nan=True)
    assert all(len(lines[one]["x_track"]) == 0 for one in (0, 1, 3, 4, 5))

import logging

import numpy as np
import pandas as pd
import pytest
from brownian import detections

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.tracking import track_particles


def line(frames, x=5.0, y=5.0):
    return pd.DataFrame({"frame": frames, "x": float(x), "y": float(y)})


def test_dilute_particles_are_followed_without_a_mistake():
    table = detections(particles=40, step_sd=1.0, seed=1, size=2000.0)
    table["intensity"] = 7.0
    tracks = track_particles(table.sample(frac=1, random_state=0))
    assert len(tracks) == len(table)
    assert list(tracks.columns) == ["frame", "x", "y", "truth", "intensity", "particle"]
    assert (tracks.groupby("truth")["particle"].nunique() == 1).all()
    assert tracks["particle"].dtype == np.int64
    assert sorted(tracks["particle"].unique()) == list(range(40))
    first = tracks.groupby("particle")["frame"].min()
    assert first.is_monotonic_increasing


def test_links_equal_those_of_trackpy_itself():
    import trackpy

    table = detections(particles=150, step_sd=1.5, frames=25, false=0.1, missed=0.1, size=256)
    trackpy.quiet()
    theirs = trackpy.link(table, 6, memory=2)["particle"].to_numpy()
    ours = track_particles(table, 6, memory=2, min_track_frames=0)
    ours = ours.merge(table.assign(theirs=theirs), on=["frame", "x", "y"])
    assert len(ours) == len(table)
    assert ours.groupby("particle")["theirs"].nunique().max() == 1
    assert ours.groupby("theirs")["particle"].nunique().max() == 1


def test_crowds_that_trackpy_gives_up_on_are_linked():
    from trackpy import SubnetOversizeException, link

    table = detections(particles=300, step_sd=1.0, frames=6, size=128)
    with pytest.raises(SubnetOversizeException):
        link(table, 12)
    tracks = track_particles(table, search_range=12)
    steps = tracks.sort_values(["particle", "frame"])
    right = steps["truth"].diff()[steps["particle"].diff() == 0] == 0
    assert right.mean() > 0.85


@pytest.mark.parametrize(("memory", "particles"), [(3, 1), (2, 2)])
def test_gaps_up_to_the_memory_are_closed(memory, particles):
    table = line([0, 1, 2, 3, 4, 8, 9, 10, 11, 12])
    assert track_particles(table, memory=memory)["particle"].nunique() == particles


def test_a_gap_of_a_million_frames_takes_no_time_and_is_no_track():
    table = line([0, 1, 2, 3, 4, *range(1_000_000_000, 1_000_000_005)])
    assert track_particles(table)["particle"].tolist() == [0] * 5 + [1] * 5


def test_short_tracks_are_dropped_and_the_rest_renumbered():
    table = pd.concat([line([0, 1, 2, 3]), line(range(1, 6), x=100), line(range(9), x=200)])
    tracks = track_particles(table)
    assert tracks.groupby("particle")["x"].first().to_dict() == {0: 200.0, 1: 100.0}


def test_an_empty_table_gives_an_empty_table_with_the_columns():
    tracks = track_particles(pd.DataFrame({"frame": [], "x": [], "y": [], "area": []}))
    assert tracks.empty
    assert list(tracks.columns) == ["frame", "x", "y", "area", "particle"]
    assert tracks["particle"].dtype == np.int64
    assert track_particles(line([0]), search_range=None).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [1, "two", 3]}, r"row 1, column x: 'two' is not a number"),
        ({"y": [1, 2, np.inf]}, r"row 2, column y: 'inf' is not a number"),
        ({"y": [None, 2, 3]}, r"row 0, column y: an empty cell is not a number"),
        ({"frame": [0, 1.5, 2]}, r"row 1, column frame: '1.5' is not a frame number"),
        ({"frame": [0, 1, -2]}, r"row 2, column frame: '-2.*' is not a frame number"),
    ],
)
def test_bad_tables_say_where(change, message):
    table = pd.DataFrame({"frame": [0, 1, 2], "x": [1, 2, 3], "y": [1, 2, 3]}).assign(**change)
    with pytest.raises(LabelError, match=message) as caught:
        track_particles(table)
    assert "\n" not in str(caught.value)


def test_missing_columns_and_bad_settings():
    with pytest.raises(LabelError, match=r"no column x, y \(columns found: frame\)"):
        track_particles(pd.DataFrame({"frame": [0]}))
    with pytest.raises(ConfigError, match="search_range"):
        track_particles(line([0]), search_range=0)
    with pytest.raises(ConfigError, match="memory"):
        track_particles(line([0]), memory=-1)


def test_linking_leaves_logging_and_its_input_as_they_were():
    logger = logging.getLogger("trackpy")
    before = logger.level
    table = line([3, 1, 2])
    copy = table.copy()
    track_particles(table)
    assert logger.level == before
    pd.testing.assert_frame_equal(table, copy)

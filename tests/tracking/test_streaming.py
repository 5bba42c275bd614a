import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from brownian import detections
from found_twice import dimers, filmed

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.tracking import (
    detections_file,
    join_smeared,
    link_parquet,
    streaming,
    suggest_search_range,
    track_particles,
    twice_found,
)


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "detections.parquet", tmp_path / "tracks.parquet"


def with_more_columns(table):
    rng = np.random.default_rng(0)
    return table.assign(
        area=rng.integers(3, 9, len(table)),
        probability=rng.random(len(table)).astype(np.float32),
        note=pd.Categorical(rng.choice(["a", "b"], len(table))),
        name=rng.choice(["one", None], len(table)),
    )


@pytest.mark.parametrize(
    ("search_range", "memory", "least", "group"),
    [(6.0, 3, 5, 700), (6.0, 0, 1, 50), (None, 2, 12, 10**6), (9.0, 5, 0, 333), (4.0, 2, 15, 64)],
)
def test_tracks_are_those_of_the_table(paths, search_range, memory, least, group):
    table = detections(60, 1.3, frames=80, size=200, false=0.2, missed=0.3, seed=4)
    table = with_more_columns(table[~table["frame"].isin([5, 20, 21, 22, 23, 24, 25])])
    table.to_parquet(paths[0], row_group_size=group)
    linked = link_parquet(*paths, search_range, memory, least)
    expected = track_particles(table, search_range, memory, least)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), expected)
    assert (linked.detections, linked.positions) == (len(table), len(expected))
    assert linked.particles == expected["particle"].nunique()
    if search_range is None:
        assert linked.suggested == suggest_search_range(table, memory)


def test_the_range_of_a_long_file_is_measured_in_the_same_frames(paths):
    table = detections(50, 1.0, frames=400, size=400, seed=2)
    table.to_parquet(paths[0])
    assert link_parquet(*paths).suggested == suggest_search_range(table)


def test_numbers_of_another_type_and_old_particles_are_replaced(paths):
    table = pd.DataFrame({"particle": 7, "frame": np.arange(9.0), "y": 3, "x": np.float32(1.5)})
    table.to_parquet(paths[0])
    link_parquet(*paths, search_range=5)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), track_particles(table, 5))


@pytest.mark.parametrize("rows", [0, 3])
def test_without_tracks_the_file_has_the_columns(paths, rows):
    table = with_more_columns(detections(3, frames=1)).iloc[:rows]
    table.to_parquet(paths[0])
    assert link_parquet(*paths).positions == 0
    tracks = pd.read_parquet(paths[1])
    assert tracks.empty
    assert list(tracks.columns) == [*table.columns, "particle"]


def test_memory_does_not_grow_with_the_frames(paths, monkeypatch):
    monkeypatch.setattr(detections_file, "_BATCH_ROWS", 1000)
    monkeypatch.setattr(streaming, "_ROWS_A_PIECE", 1000)
    monkeypatch.setattr(streaming, "_FRAMES_TOGETHER", 20)
    peaks = []
    for frames in (100, 300):
        table = detections(40, 1.0, frames=frames, size=200, false=0.5, seed=1)
        table.to_parquet(paths[0], row_group_size=2000)
        tracemalloc.start()
        link_parquet(*paths, search_range=5, overwrite=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="x"), r"d.*: no column x \(columns found: frame, y, truth\)"),
        (
            lambda t: t.iloc[::-1],
            r"row \d+: frame 18 comes after frame 19; sort the table by frame",
        ),
        (lambda t: pd.concat([t, t.iloc[:1]]), r"frame 0 comes after frame 19"),
        (lambda t: t.assign(frame=np.nan), "row 0, column frame: an empty cell is not a frame"),
        (lambda t: t.assign(frame=t["frame"] + 0.5), "row 0, column frame: '0.5' is not a frame"),
        (lambda t: t.assign(y=np.where(t.index == 30, np.inf, 1.0)), "row 30, column y: 'inf'"),
        (lambda t: t.assign(x="three"), "row 0, column x: 'three' is not a number"),
    ],
)
def test_bad_tables_say_where_and_leave_nothing(paths, change, message):
    change(detections(20, frames=20)).to_parquet(paths[0], row_group_size=37)
    with pytest.raises(LabelError, match=message) as caught:
        link_parquet(*paths, search_range=5)
    assert "\n" not in str(caught.value)
    assert list(paths[0].parent.iterdir()) == [paths[0]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
        lambda path, whole: path.write_bytes(b""),
        lambda path, whole: path.write_text("frame,x,y\n0,1,1\n"),
        lambda path, whole: path.write_bytes(
            whole[:400] + bytes(2000) + whole[2400:]  # the pages, not the footer
        ),
    ],
)
def test_files_cut_short_or_damaged_are_refused(paths, spoil):
    detections(100, frames=40).to_parquet(paths[0])
    spoil(paths[0], paths[0].read_bytes())
    with pytest.raises(LabelError, match="not a Parquet file, or damaged or cut short"):
        link_parquet(*paths, search_range=5)
    assert list(paths[0].parent.iterdir()) == [paths[0]]


def test_files_that_are_missing_there_already_or_the_same(paths, tmp_path):
    with pytest.raises(LabelError, match="no such file"):
        link_parquet(*paths)
    detections(9, frames=9).to_parquet(paths[0])
    with pytest.raises(LabelError, match="holds the detections"):
        link_parquet(paths[0], paths[0], overwrite=True)
    with pytest.raises(LabelError, match="no such folder"):
        link_parquet(paths[0], tmp_path / "no" / "tracks.parquet")
    with pytest.raises(LabelError, match="is a folder"):
        link_parquet(paths[0], tmp_path, overwrite=True)
    paths[1].write_text("mine")
    with pytest.raises(LabelError, match="give --overwrite"):
        link_parquet(*paths)
    assert paths[1].read_text() == "mine"
    with pytest.raises(ConfigError, match="search_range"):
        link_parquet(*paths, search_range=-1)


def test_a_column_twice_is_refused(paths):
    ones = pa.array([1.0])
    table = pa.Table.from_arrays([pa.array([0]), ones, ones, ones], ["frame", "x", "y", "x"])
    pq.write_table(table, paths[0])
    with pytest.raises(LabelError, match="column x is there twice"):
        link_parquet(*paths)


@pytest.mark.parametrize("group", [97, 10**6])
@pytest.mark.parametrize(
    ("kind", "search_range"), [("smear", 20.0), ("smear", None), ("pairs", 20.0)]
)
def test_particles_that_were_found_as_two_are_joined_as_in_a_table(
    paths, search_range, group, kind
):
    table = filmed(0, D=10.0) if kind == "smear" else dimers(0, 1.0)
    rng = np.random.default_rng(5)
    table = with_more_columns(table[~table["frame"].isin([7, 8, 30])].reset_index(drop=True))
    table = table.assign(
        x_error=np.float32(0.1),
        y_error=rng.random(len(table)),
        intensity=table["intensity"].where(rng.random(len(table)) > 0.02),
    )
    table.to_parquet(paths[0], row_group_size=group)
    linked = link_parquet(*paths, search_range)
    reach = search_range or suggest_search_range(table).value_px
    joined = join_smeared(table, reach)
    assert joined.joined > 100
    expected = track_particles(joined.detections, reach)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), expected)
    assert (linked.smeared_joined, linked.smeared_cause) == (joined.joined, kind)
    assert linked.detections == len(table)
    assert linked.search_range_px == reach
    assert joined.warning in linked.warnings
    # What was joined before, as the detections of an analysis were, is linked as it is.
    joined.detections.to_parquet(paths[0])
    again = link_parquet(*paths, reach, overwrite=True)
    assert (again.smeared_joined, again.warnings) == (0, ())
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop(columns="intensity"),
        lambda t: t.assign(intensity=np.nan),
        lambda t: t.assign(intensity=1.0),
    ],
    ids=["no brightness", "unknown", "all alike"],
)
def test_without_brightness_detections_are_linked_as_they_are(paths, change):
    table = change(filmed(0, D=10.0))
    table.to_parquet(paths[0])
    linked = link_parquet(*paths, 20.0)
    assert linked.smeared_joined == 0
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), track_particles(table, 20.0))


def test_brightness_as_text_is_read_and_what_is_no_number_is_named(paths):
    table = filmed(0, D=10.0)
    text = table.assign(intensity=table["intensity"].map(repr))
    text.to_parquet(paths[0], row_group_size=100)
    link_parquet(*paths, 20.0)
    expected = track_particles(join_smeared(text, 20.0).detections, 20.0)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), expected)
    paths[1].unlink()
    text.loc[1234, "intensity"] = "bright"
    text.to_parquet(paths[0], row_group_size=100)
    with pytest.raises(LabelError, match="row 1234, column intensity: 'bright' is not a number"):
        link_parquet(*paths, 20.0)
    assert list(paths[0].parent.iterdir()) == [paths[0]]
    ones = pa.array([1.0])
    twice = pa.Table.from_arrays([pa.array([0]), *[ones] * 4], ["frame", "x", "y", *["area"] * 2])
    pq.write_table(twice, paths[0])
    with pytest.raises(LabelError, match="the column area is there twice"):
        link_parquet(*paths, 20.0)


def test_little_is_held_of_detections_whose_pairs_are_joined(paths, monkeypatch):
    monkeypatch.setattr(detections_file, "_BATCH_ROWS", 1000)
    monkeypatch.setattr(streaming, "_ROWS_A_PIECE", 1000)
    monkeypatch.setattr(streaming, "_FRAMES_TOGETHER", 20)
    monkeypatch.setattr(twice_found, "_WAITING_AT_LEAST", 20)
    peaks, rows = [], []
    for frames in (100, 400):
        table = filmed(0, D=5.0, frames=frames)
        table.to_parquet(paths[0], row_group_size=2000)
        joined = join_smeared(table, 20.0).joined
        tracemalloc.start()
        assert link_parquet(*paths, search_range=20.0, overwrite=True).smeared_joined == joined > 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        rows.append(len(table))
    # The brightness of tracks that go on, and what is kept of pairs; a row of the table is 40.
    assert peaks[1] - peaks[0] < 16 * (rows[1] - rows[0])

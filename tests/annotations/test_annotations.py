from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels, read_tracks, write_labels
from cloudtrainer.errors import LabelError

SHAPE = (10, 48, 64)


def written(tmp_path, text, name="video_particles.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


def test_labels_are_read_with_their_types_and_without_other_columns(tmp_path):
    path = written(tmp_path, "\ufeffid, x ,y,frame\na,1.5,2,1\nb,0,47.4,0\n\n")
    labels = read_labels(path, SHAPE)
    expected = pd.DataFrame({"frame": [0, 1], "x": [0.0, 1.5], "y": [47.4, 2.0]})
    pd.testing.assert_frame_equal(labels, expected)


def test_a_header_alone_says_no_particles(tmp_path):
    labels = read_labels(written(tmp_path, "frame,x,y\n"), SHAPE)
    assert labels.empty
    assert labels.dtypes.astype(str).tolist() == ["int64", "float64", "float64"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file is empty"),
        ("frame,x\n0,1\n", r"no column y \(columns found: frame, x\)"),
        ("Frame,X,Y\n0,1,1\n", r"no column frame, x, y \(columns found: Frame, X, Y\)"),
        ("0,20,20.5\n1,20,20.5\n", "first line holds numbers"),
        ("frame,x,y\n0,1,1\n0,left,1\n", "row 3, column x: 'left' is not a number"),
        ("frame,x,y\n0,1,1\n\n0,1,\n", "row 4, column y: an empty cell"),
        ("frame,x,y\n0,1,inf\n", "row 2, column y: 'inf'"),
        ("frame,x,y\n-1,1,1\n", "row 2, column frame: '-1' is not a frame number"),
        ("frame,x,y\n0.5,1,1\n", "row 2, column frame: '0.5' is not a frame number"),
        ("frame,x,y\n10,1,1\n", "row 2, column frame: 10 is past the video's last frame, 9"),
        ("frame,x,y\n0,1,1\n0,63.6,1\n", "row 3, column x: 63.6 is outside the frame, which is 64"),
        ("frame,x,y\n0,1,-0.6\n", "row 2, column y: -0.6 is outside"),
        ("frame,x,y\n0,1,1\n1,1,1\n0,1.0,1\n", "row 4 repeats an earlier label"),
        ("frame,x,y\n0,1,5,2,5\n", "not a table"),
        ("frame,x,y\n0,1,1\n0,1,1,1\n", "not a table"),
        (b"\xff\xfe\x00\x01", "not a text file"),
        (b"frame,x,y\n0,1\x00,1\n", "column x"),
    ],
)
def test_bad_labels_end_in_one_line_that_says_where(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(path, SHAPE)
    assert "\n" not in str(caught.value)
    assert "video_particles.csv" in str(caught.value)


def test_a_missing_file_or_a_folder(tmp_path):
    with pytest.raises(LabelError, match="no such file"):
        read_labels(tmp_path / "nothing.csv")
    with pytest.raises(LabelError, match="cannot be read"):
        read_labels(tmp_path)


def test_written_labels_come_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"note": "a", "y": rng.normal(20, 5, 50), "x": rng.normal(20, 5, 50)})
    table["frame"] = np.sort(rng.integers(0, 10, 50))
    path = tmp_path / "v_particles.csv"
    write_labels(path, table)
    assert path.read_text().startswith("frame,x,y,note\n")
    pd.testing.assert_frame_equal(read_labels(path), table[["frame", "x", "y"]])
    assert [p.name for p in tmp_path.iterdir()] == ["v_particles.csv"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = written(tmp_path, "frame,x,y\n0,1,1\n")

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(LabelError, match="No space left"):
        write_labels(path, pd.DataFrame({"frame": [0], "x": [2.0], "y": [2.0]}))
    assert path.read_text() == "frame,x,y\n0,1,1\n"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(LabelError, match="column x"):
        write_labels(path, pd.DataFrame({"frame": [0], "x": ["a"], "y": [2.0]}))
    with pytest.raises(LabelError, match="cannot be written"):
        write_labels(tmp_path / "no" / "folder.csv", pd.DataFrame({"frame": [], "x": [], "y": []}))


TRACKS = pd.DataFrame(
    {
        "frame": [0, 0, 1, 1],
        "x": [1.0, 5.0, 2.0, 6.0],
        "y": [3.0, 4.0, 3.5, 4.5],
        "particle": [0, 1, 0, 1],
        "mass": [10.0, 20.0, 11.0, 21.0],
    }
)


def test_our_tracks_come_back_from_csv_and_parquet(tmp_path):
    TRACKS.to_csv(tmp_path / "t.csv", index=False)
    TRACKS.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_tracks(tmp_path / "t.csv"), TRACKS)
    pd.testing.assert_frame_equal(read_tracks(tmp_path / "t.parquet"), TRACKS)


def test_tracks_as_trackpy_users_save_them(tmp_path):
    import trackpy

    trackpy.quiet()
    linked = trackpy.link(TRACKS.drop(columns="particle"), 2)
    linked.to_csv(tmp_path / "trackpy.csv")
    read = read_tracks(tmp_path / "trackpy.csv")
    pd.testing.assert_frame_equal(read[TRACKS.columns], TRACKS)
    assert "Unnamed: 0" not in read.columns


HEADER = (
    "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame\n"
    ",,,(quality),({unit}),({unit}),({unit}),(sec),\n"
)
SPOTS = "ID1,1,0,5,2.0,4.0,0,0,0\nID2,2,0,5,3.0,4.5,0,0.5,1\nID3,3,,5,9,9,0,0,0\n"


@pytest.mark.parametrize(
    ("unit", "pixel_size_um", "scale"),
    [
        ("pixel", None, 1),
        ("pixels", 0.5, 1),
        ("micron", 0.5, 2),
        ("µm", 0.25, 4),
        ("nm", 0.5, 2e-3),
    ],
)
def test_trackmate_spots_become_pixels(tmp_path, unit, pixel_size_um, scale):
    path = written(tmp_path, HEADER.format(unit=unit) + SPOTS)
    read = read_tracks(path, pixel_size_um)
    expected = pd.DataFrame({"particle": 0, "frame": [0, 1], "x": [2.0, 3.0], "y": [4.0, 4.5]})
    expected[["x", "y"]] *= scale
    pd.testing.assert_frame_equal(read, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.format(unit="micron") + SPOTS, "positions are in micron; give the pixel size"),
        (HEADER.format(unit="inch") + SPOTS, "neither pixels nor micrometres"),
        (HEADER.split("\n")[0] + "\n" + SPOTS, "unknown unit; give the pixel size"),
        ("TRACK_ID,FRAME,POSITION_X\n0,0,1\n", "without the column POSITION_Y"),
        (HEADER.format(unit="pixel") + "a,1,0,5,left,4,0,0,0\n", "row 5, column x: 'left'"),
        (HEADER.format(unit="pixel") + "a,1,0,5,1,4,0,0,0\n" * 2, "particle 0 is there twice"),
        ("Track,t,x,y\n0,1,2,3\n", r"no column frame, particle \(columns found: Track, t"),
        ("frame,x,y\n0,1,2\n", r"no column particle \(columns found: frame, x, y\)"),
        ("axis-0,axis-1,axis-2\n0,1,2\n", "napari points CSV without tracks: no column particle"),
        ("TrackID,t,x,y\n0,0.5,2,3\n", "row 2, column frame: '0.5' is not a frame number"),
    ],
)
def test_bad_tracks_end_in_one_line(tmp_path, text, message):
    with pytest.raises(LabelError, match=message) as caught:
        read_tracks(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_parquet(tmp_path):
    with pytest.raises(LabelError, match="not a readable Parquet"):
        read_tracks(written(tmp_path, "frame,x,y", "t.parquet"))
    with pytest.raises(LabelError, match="no such file"):
        read_tracks(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    "text",
    ["frame;x;y\n0;12,5;3,25\n2;7;8\n", "frame\tx\ty\n0\t12.5\t3.25\n2\t7\t8\n"],
    ids=["semicolons and decimal commas", "tabs"],
)
def test_tables_of_other_spreadsheets_are_read(text, tmp_path):
    path = tmp_path / "beads_particles.csv"
    path.write_text(text, encoding="utf-8")
    assert read_labels(path).to_numpy().tolist() == [[0, 12.5, 3.25], [2, 7, 8]]

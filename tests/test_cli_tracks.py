"""`cloudtrainer tracks`: detections linked, and tracks for other programs."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.annotations import read_tracks
from cloudtrainer.tracking import join_smeared, track_particles

TRACKS = "frame,particle,x,y\n" + "".join(f"{f},{p},{f}.25,{p}.5\n" for p in (0, 1) for f in (0, 1))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text(TRACKS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "options", "format"),
    [
        ("t.csv", (), "csv"),
        ("t.parquet", (), "parquet"),
        ("t.geff", (), "geff"),
        ("t.xml", ("--to", "trackmate", "--pixel-size-um", 0.5), "trackmate"),
        ("t.xml", ("--to", "challenge"), "challenge"),
        ("t.csv", ("--to", "napari"), "napari"),
    ],
)
def test_tracks_are_written_and_counted(command, source, tmp_path, name, options, format):
    out = tmp_path / name
    code, said, complaints = command("tracks", "convert", source, "-o", out, *options)
    assert (code, complaints) == (0, "")
    assert said == f"Wrote 4 positions of 2 particles to {out} ({format}).\n"
    if format != "geff":
        back = read_tracks(out)[["frame", "particle", "x", "y"]]
        pd.testing.assert_frame_equal(back, read_tracks(source))


@pytest.mark.parametrize(
    "name", ["FakeTracks_TrackMate.xml", "FakeTracks_ISBI.xml", "FakeTracks_Icy.xml"]
)
@pytest.mark.parametrize("to", ["trackmate", "challenge"])
def test_tracks_of_other_programs_go_on_unchanged(command, shared_data, tmp_path, name, to):
    source, out = shared_data / "formats" / name, tmp_path / "t.xml"
    assert command("tracks", "convert", source, "-o", out, "--to", to)[0] == 0

    def as_set(path):
        return {
            frozenset(zip(t["frame"], t["x"], t["y"], strict=True))
            for _, t in read_tracks(path).groupby("particle")
            if to == "challenge" or len(t) > 1
        }

    assert as_set(out) == as_set(source)


@pytest.mark.parametrize(("to", "there"), [("napari", True), ("csv", False)])
def test_other_programs_get_tracks_where_they_lie_in_the_frames(command, tmp_path, to, there):
    frame = np.arange(5)
    tracks = pd.DataFrame({"frame": frame, "particle": 0, "x": 3.0 + frame, "y": 7.0})
    tracks.assign(video_x=2 * tracks["x"], video_y=9.0).to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "o.csv"
    assert command("tracks", "convert", tmp_path / "t.csv", "-o", out, "--to", to)[0] == 0
    back = read_tracks(out)
    assert back["x"].tolist() == ((2 if there else 1) * tracks["x"]).tolist()
    assert back["y"].unique().tolist() == [9.0 if there else 7.0]
    assert ("video_x" in back) is not there


def test_particles_that_trackmate_has_no_tracks_for_are_counted(command, source, tmp_path):
    source.write_text(TRACKS + "5,9,1,1\n", encoding="utf-8")
    out = tmp_path / "t.xml"
    _, said, _ = command("tracks", "convert", source, "-o", out, "--to", "trackmate")
    assert said.splitlines()[1].startswith("Particles with one position: 1;")


def test_tracks_that_are_there_are_kept_unless_told(command, source, tmp_path):
    out = tmp_path / "t.csv"
    out.write_text("mine", encoding="utf-8")
    code, said, complaints = command("tracks", "convert", source, "-o", out)
    assert (code, said) == (2, "")
    assert "give --overwrite" in complaints
    assert out.read_text("utf-8") == "mine"
    assert command("tracks", "convert", source, "-o", out, "--overwrite")[0] == 0
    assert len(read_tracks(out)) == 4


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (TRACKS, ("-o", "t.xml"), "give --to trackmate or --to challenge"),
        (TRACKS, ("-o", "t.txt"), "its ending tells no format"),
        (TRACKS, ("-o", "t.csv", "--to", "matlab"), "not written as 'matlab'"),
        (TRACKS, ("-o", "no/t.csv"), "cannot be written (no such folder)"),
        (TRACKS, ("-o", "t.csv", "--frame-interval-s", "-1"), "must be a positive number"),
        (TRACKS + "0,0,1,1\n", ("-o", "t.csv"), "particle 0 is there twice in frame 0"),
        (TRACKS + "7,0,,1\n", ("-o", "t.csv"), "row 6, column x: an empty cell"),
        ("frame,particle,x,y\n", ("-o", "t.csv"), "holds no positions"),
        ("frame,x,y\n0,1,1\n", ("-o", "t.csv"), "no column particle"),
        (None, ("-o", "t.csv"), "no such file"),
    ],
)
def test_bad_input_ends_in_one_line_and_exit_2(
    command, source, tmp_path, monkeypatch, text, arguments, message
):
    monkeypatch.chdir(tmp_path)
    source.unlink()
    if text is not None:
        source.write_text(text, encoding="utf-8")
    code, said, complaints = command("tracks", "convert", source, *arguments)
    assert (code, said) == (2, "")
    assert complaints.startswith("error: ")
    assert complaints.count("\n") == 1
    assert message in complaints
    assert {each.name for each in tmp_path.iterdir()} <= {"tracks.csv"}


def moving(particles=30, frames=40):
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 1, (frames, particles, 2))
    steps[0] = rng.uniform(0, 400, (particles, 2))
    x, y = steps.cumsum(axis=0).reshape(-1, 2).T
    return pd.DataFrame({"frame": np.repeat(np.arange(frames), particles), "x": x, "y": y})


def test_detections_are_linked(command, tmp_path):
    source, out = tmp_path / "detections.parquet", tmp_path / "tracks.parquet"
    moving().to_parquet(source)
    code, said, complaints = command("tracks", "link", source, "-o", out)
    assert (code, complaints) == (0, "")
    first, second = said.splitlines()
    assert first.startswith("Search range ")
    assert second == f"Linked 1200 of 1200 detections into 30 tracks: {out}"
    expected = track_particles(moving(), search_range=None)
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected)
    assert command("tracks", "link", source, "-o", out)[0] == 2
    code, said, _ = command(
        "tracks", "link", source, "-o", out, "--overwrite", "--search-range", 6, "--memory", 0
    )
    assert code == 0
    assert said.startswith("Linked ")


def test_particles_that_were_found_as_two_are_joined_and_told(command, tmp_path):
    source, out = tmp_path / "detections.parquet", tmp_path / "tracks.parquet"
    table = moving().assign(intensity=100.0)
    # Every thirteenth detection is two halves, 2 px apart.
    split = table.index % 13 == 0
    table.loc[split, "intensity"] = 50.0
    halves = table[split].assign(x=lambda t: t["x"] + 2.0)
    table = pd.concat([table, halves]).sort_values("frame", kind="stable")
    table.to_parquet(source)
    code, said, complaints = command("tracks", "link", source, "-o", out, "--search-range", 6)
    said, complaints = " ".join(said.split()), " ".join(complaints.split())
    assert code == 0
    joined = join_smeared(table, 6.0)
    assert joined.joined == len(halves)
    assert f"Joined {joined.joined} pairs of detections that are two parts of one" in said
    assert f"Linked {len(joined.detections)} of {len(table)} detections into" in said
    assert complaints == f"warning: {joined.warning}"
    expected = track_particles(joined.detections, 6.0)
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected)


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        (moving().iloc[::-1], (), "sort the table by frame first"),
        (moving().drop(columns="y"), (), "no column y"),
        (moving().iloc[:0], (), "holds no detections"),
        (
            moving(),
            ("--search-range", "-3"),
            "search_range is -3.0: give a number of pixels, above 0",
        ),
        (None, (), "not a Parquet file, or damaged or cut short"),
    ],
)
def test_detections_that_cannot_be_linked(command, tmp_path, table, arguments, message):
    source, out = tmp_path / "detections.parquet", tmp_path / "tracks.parquet"
    if table is None:
        source.write_text("frame,x,y\n", encoding="utf-8")
    else:
        table.to_parquet(source)
    code, said, complaints = command("tracks", "link", source, "-o", out, *arguments)
    assert (code, said) == (2, "")
    assert complaints.startswith("error: ")
    assert complaints.count("\n") == 1
    assert message in complaints
    assert list(tmp_path.iterdir()) == [source]

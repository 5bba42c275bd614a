"""`cloudtrainer labels convert`: from other programs' files to our CSV."""

import pandas as pd
import pytest

from cloudtrainer import cli
from cloudtrainer.annotations import read_labels, read_tracks

POINTS = "index,axis-0,axis-1,axis-2\n0,2,10.125,20.3\n1,0,0.1,0.2\n2,2,5,6\n"
LENGTHS = (
    '<Tracks spaceUnits="micron"><particle><detection t="0" x="1" y="2"/>'
    '<detection t="1" x="3" y="4"/></particle></Tracks>'
)


@pytest.fixture
def convert(monkeypatch, capsys):
    """Run `cloudtrainer labels convert`; give exit code, output and complaints."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*argv):
        monkeypatch.setattr("sys.argv", ["cloudtrainer", "labels", "convert", *map(str, argv)])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        return code, *capsys.readouterr()

    return run


def test_points_become_our_csv(tmp_path, convert):
    source, out = tmp_path / "points.csv", tmp_path / "v_particles.csv"
    source.write_text(POINTS, encoding="utf-8")
    code, said, complaints = convert(source, "-o", out)
    assert (code, complaints) == (0, "")
    assert said == f"Wrote 3 positions in 2 frames to {out}.\n"
    assert out.read_text("utf-8") == "frame,x,y\n0,0.2,0.1\n2,20.3,10.125\n2,6.0,5.0\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["points.csv", "v_particles.csv"]


@pytest.mark.parametrize(
    "name",
    ["FakeTracks_TrackMate.xml", "FakeTracks_ISBI.xml", "FakeTracks_Icy.xml", "two_tracks.csv"],
)
def test_every_sample_comes_back_bit_for_bit(tmp_path, convert, shared_data, name):
    source, out = shared_data / "formats" / name, tmp_path / "v_particles.csv"
    assert convert(source, "-o", out)[0] == 0
    pd.testing.assert_frame_equal(read_labels(out), read_labels(source), check_exact=True)


def test_lengths_need_the_pixel_size(tmp_path, convert):
    source, out = tmp_path / "t.xml", tmp_path / "v.csv"
    source.write_text(LENGTHS, encoding="utf-8")
    code, _, complaints = convert(source, "-o", out)
    assert code == 2
    assert complaints.count("\n") == 1
    assert "--pixel-size-um" in complaints
    assert not out.exists()
    assert convert(source, "-o", out, "--pixel-size-um", 0.5)[0] == 0
    assert read_labels(out)["x"].tolist() == [2.0, 6.0]
    code, _, complaints = convert(source, "-o", out, "--overwrite", "--pixel-size-um", 0)
    assert code == 2
    assert "it must be a positive number" in complaints


def test_labels_that_are_there_are_kept_unless_told(tmp_path, convert):
    source, out = tmp_path / "points.csv", tmp_path / "v.csv"
    source.write_text(POINTS, encoding="utf-8")
    out.write_text("mine", encoding="utf-8")
    code, _, complaints = convert(source, "-o", out)
    assert code == 2
    assert "--overwrite" in complaints
    assert complaints.count("\n") == 1
    assert out.read_text("utf-8") == "mine"
    source.write_text("axis-0\n", encoding="utf-8")
    assert convert(source, "-o", out, "--overwrite")[0] == 2
    assert out.read_text("utf-8") == "mine"
    source.write_text(POINTS, encoding="utf-8")
    assert convert(source, "-o", out, "--overwrite")[0] == 0
    assert len(read_labels(out)) == 3


@pytest.mark.parametrize(
    ("name", "text", "out", "message"),
    [
        ("none.csv", None, "v.csv", "no such file"),
        ("p.csv", "", "v.csv", "file is empty"),
        ("p.xml", "<root>", "v.csv", "well-formed"),
        ("p.csv", POINTS, "v.xml", "ends in .csv"),
        ("p.csv", POINTS, "no/v.csv", "cannot be written"),
    ],
)
def test_bad_input_ends_in_one_line_and_exit_2(tmp_path, convert, name, text, out, message):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, said, complaints = convert(tmp_path / name, "-o", tmp_path / out)
    assert (code, said) == (2, "")
    assert complaints.startswith("error: ")
    assert complaints.count("\n") == 1
    assert message in complaints
    assert not (tmp_path / out).exists()


def test_tracks_of_another_program_are_analysed(tmp_path, shared_data):
    from cloudtrainer.analysis.source import Given, open_source

    path = shared_data / "formats" / "FakeTracks_Icy.xml"
    source = open_source(path, Given(pixel_size_um=0.1, frame_interval_s=0.03))
    assert source.video is None
    pd.testing.assert_frame_equal(source.tracks, read_tracks(path))

"""Bad input, as a user gives it: one line that says what and where, exit code 2, nothing left.

Everything runs through the command line's `main`; nothing here reaches the network.
"""

import errno
import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile

from cloudtrainer import cli
from cloudtrainer.analysis import analyze
from cloudtrainer.errors import (
    CalibrationError,
    CloudTrainerError,
    ConfigError,
    LabelError,
    ModelError,
    VideoError,
)

RNG = np.random.default_rng(0)
FRAMES = RNG.normal(100, 5, (5, 32, 40)).astype(np.float32)
TRACKS = "frame,particle,x,y\n" + "".join(
    f"{frame},{particle},{x:.3f},{y:.3f}\n"
    for particle in range(3)
    for frame, (x, y) in enumerate(RNG.normal(0, 1, (12, 2)).cumsum(axis=0) + 20)
)


def write_tiff(path, frames):
    tifffile.imwrite(path, frames, photometric="minisblack")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a good video, a good table, and the user in it."""
    monkeypatch.chdir(tmp_path)
    write_tiff("video.tif", FRAMES)
    (tmp_path / "tracks.csv").write_text(TRACKS)
    return tmp_path


@pytest.fixture
def command(home, monkeypatch, capfd):
    """Run the command line; give exit code, output and complaints."""

    def run(*argv):
        monkeypatch.setattr("sys.argv", ["cloudtrainer", *map(str, argv)])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        output, complaints = capfd.readouterr()
        return code, output, complaints

    return run


@pytest.fixture
def refused(home, command):
    """Run a command that must be refused without a trace; give its one line."""

    def run(*argv):
        before = contents(home)
        code, output, complaints = command(*argv)
        assert code == 2, (output, complaints)
        assert output == ""
        lines = complaints.splitlines()
        assert len(lines) == 1, complaints
        assert lines[0].startswith("error: ")
        assert contents(home) == before
        return lines[0].removeprefix("error: ")

    return run


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# Files that are no video


def no_file(path):
    pass


def truncated(path):
    write_tiff(path, FRAMES)
    path.write_bytes(path.read_bytes()[:12_000])


def holding(frames):
    return lambda path: write_tiff(path, frames)


def with_pixel(value):
    frames = FRAMES.copy()
    frames[3, 10, 20] = value
    return holding(frames)


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("v.tif", no_file, ["no such file"]),
        ("v.tif", lambda path: path.write_bytes(b""), ["empty", "again"]),
        ("v.tif", truncated, ["frame 2", "cut short", "again"]),
        ("v.tif", lambda path: path.write_text("not a picture"), ["not a TIFF file"]),
        ("v.jpg", lambda path: path.write_text("not a picture"), ["not"]),
        ("v.mp4", lambda path: path.write_text("not a movie"), ["not a movie"]),
        ("v.txt", lambda path: path.write_text("x"), [".txt", "not supported", ".tif"]),
        ("v", lambda path: path.mkdir(), ["holds no images"]),
        ("v.tif", with_pixel(np.nan), ["frame 3", "x = 20, y = 10", "NaN"]),
        ("v.tif", with_pixel(np.inf), ["frame 3", "x = 20, y = 10", "infinite"]),
        ("v.tif", holding(np.repeat(FRAMES[:1], 5, axis=0)), ["identical"]),
        ("v.tif", holding(np.zeros((5, 32, 40), np.uint8)), ["black"]),
        ("v.tif", holding(np.full((5, 32, 40), 7, np.uint16)), ["of one value"]),
    ],
)
def test_a_file_that_is_no_video_is_refused(home, refused, name, make, said):
    if name.endswith(".mp4"):
        pytest.importorskip("av")
    make(home / name)
    message = refused("analyze", name, "-o", "out")
    assert message.startswith(name)
    assert all(part in message for part in said), message
    with pytest.raises(VideoError):
        analyze(home / name, home / "out")


@pytest.mark.skipif(importlib.util.find_spec("bioio") is None, reason="bioio is not installed")
def test_a_microscope_file_that_is_none_is_refused(home):
    (home / "v.czi").write_text("not a picture")
    # In a process of its own: pytest takes the logs of this one.
    run = subprocess.run(
        [sys.executable, "-c", "from cloudtrainer.cli import main; main()", "info", "v.czi"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: v.czi")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        *(("video.tif", frames) for frames in ("5:2", "2:2", "-1:3", "0:99", "9:")),
        *(("tracks.csv", frames) for frames in ("5:2", "2:2", "-1:3", "12:")),
    ],
)
def test_frames_that_are_not_there_are_refused(refused, name, frames):
    message = refused("analyze", name, "-o", "out", "--frames", frames)
    assert message.startswith(name)
    assert frames in message.replace("9:5", "9:")
    assert "choose within 0:" in message


@pytest.mark.parametrize("frames", ["all", "3", "1:2:3", "1.5:2", "a:b"])
def test_frames_that_are_no_frames_are_refused(refused, frames):
    assert "--frames" in refused("analyze", "video.tif", "-o", "out", "--frames", frames)


@pytest.mark.parametrize(
    "region", ["0,0,0,0", "-1,0,10,10", "0,0,41,10", "0,0,10,33", "39,31,2,2", "5,5,-2,3"]
)
def test_a_region_outside_the_frame_is_refused(refused, region):
    message = refused("analyze", "video.tif", "-o", "out", "--region", region)
    assert message.startswith("video.tif: region x=")
    assert "40 x 32" in message


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "1;2;3;4", "", "1,2,3,4,5"])
def test_a_region_that_is_none_is_refused(refused, region):
    assert "X,Y,W,H" in refused("analyze", "video.tif", "-o", "out", "--region", region)


def test_a_region_of_a_table_is_refused(refused):
    message = refused("analyze", "tracks.csv", "-o", "out", "--region", "0,0,9,9")
    assert message.startswith("tracks.csv")


# Calibration and settings


@pytest.mark.parametrize("value", ["0", "-0.1", "nan", "inf"])
@pytest.mark.parametrize("option", ["pixel-size-um", "frame-interval-s"])
@pytest.mark.parametrize("name", ["video.tif", "tracks.csv"])
def test_a_calibration_that_is_not_positive_is_refused(refused, name, option, value):
    message = refused("analyze", name, "-o", "out", f"--{option}", value)
    assert option.replace("-", "_") in message
    assert "positive" in message


def test_an_exposure_that_cannot_be_is_refused(refused):
    scale = ("--pixel-size-um", "0.1", "--frame-interval-s", "0.02")
    message = refused("analyze", "tracks.csv", "-o", "out", *scale, "--exposure-s", "0.03")
    assert "0.03 s is longer than the frame interval of 0.02 s" in message
    message = refused("analyze", "tracks.csv", "-o", "out", *scale, "--exposure-s", "-0.01")
    assert "exposure_s is -0.01" in message


@pytest.mark.parametrize(
    ("option", "value", "setting"),
    [
        ("--polarity", "blue", "polarity"),
        ("--threshold", "1.5", "threshold"),
        ("--threshold", "0", "threshold"),
        ("--search-range", "-3", "search_range"),
        ("--search-range", "nan", "search_range"),
        ("--memory", "-1", "memory"),
        ("--min-track-frames", "1", "min_track_frames"),
        ("--drift", "maybe", "drift"),
        ("--channel", "3", "channel 3"),
        ("--plane", "2", "plane 2"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(refused, option, value, setting):
    message = refused("analyze", "video.tif", "-o", "out", option, value)
    assert setting in message
    assert value in message


# Tables of tracks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["empty"]),
        ("a,b\n1,2\n", ["no column", "a, b"]),
        ("frame,x,y\n0,1,1\n", ["no column particle"]),
        ("frame,particle,x,y\n0,0,1,1\n1,0,left,2\n", ["row 3", "column x", "'left'"]),
        ("frame,particle,x,y\n0,0,1,\n", ["row 2", "column y", "empty cell"]),
        ("frame,particle,x,y\n0,0,1,inf\n", ["row 2", "column y"]),
        ("frame,particle,x,y\n-1,0,1,1\n", ["row 2", "column frame", "'-1'"]),
        ("frame,particle,x,y\n0.5,0,1,1\n", ["row 2", "column frame", "'0.5'"]),
        ("frame,particle,x,y\n0,0,1,1\n0,0,2,2\n", ["particle 0", "twice in frame 0"]),
        ("frame,particle,x,y\n1700000000,0,1,1\n", ["column frame", "1700000000", "a time"]),
    ],
)
def test_a_table_that_is_none_of_tracks_is_refused(home, refused, text, said):
    (home / "t.csv").write_text(text)
    message = refused("analyze", "t.csv", "-o", "out")
    assert message.startswith("t.csv: ")
    assert all(part in message for part in said), message


def test_a_parquet_file_that_is_none_is_refused(home, refused):
    (home / "t.parquet").write_bytes(b"PAR?")
    assert refused("analyze", "t.parquet", "-o", "out").startswith("t.parquet: ")
    assert "no such file" in refused("analyze", "missing.parquet", "-o", "out")


def test_tables_in_memory_are_checked_as_those_in_files(tmp_path):
    good = pd.DataFrame({"frame": [0, 1], "particle": [0, 0], "x": [1.0, 2.0], "y": [1.0, 2.0]})
    for bad, said in (
        (good.drop(columns="particle"), "no column particle"),
        (good.assign(x=[1.0, np.nan]), "column x"),
        (good.assign(x=["1", "left"]), "'left'"),
        (good.assign(frame=[0.0, 0.5]), "column frame"),
        (good.assign(frame=[0, 0]), "twice in frame 0"),
    ):
        with pytest.raises(LabelError, match=said):
            analyze(bad, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_library_exceptions_are_of_the_package_and_leave_nothing(home):
    before = contents(home)
    table = home / "tracks.csv"
    for fault, call in (
        (ConfigError, lambda out: analyze([], out)),
        (VideoError, lambda out: analyze(np.zeros((2, 3, 4, 5, 6)), out)),
        (VideoError, lambda out: analyze(np.zeros((0, 8, 8)), out)),
        (VideoError, lambda out: analyze(np.full((4, 8, 8), np.nan), out)),
        (CalibrationError, lambda out: analyze(table, out, pixel_size_um=-1.0)),
        (ModelError, lambda out: analyze(home / "video.tif", out, "no_such_model")),
        (LabelError, lambda out: analyze(table, out, frames=(50, 60))),
    ):
        with pytest.raises(fault) as caught:
            call(home / "out")
        assert isinstance(caught.value, CloudTrainerError)
        assert "\n" not in str(caught.value)
    assert contents(home) == before


# Models


class Trap:
    """A pickle that runs code when it is loaded without care."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


def test_a_checkpoint_that_is_none_is_refused(home, refused):
    (home / "text.ckpt").write_text("weights?")
    (home / "empty.pth").write_bytes(b"")
    for name in ("text.ckpt", "empty.pth", "no_such_version"):
        message = refused("analyze", "video.tif", "-o", "out", "--model", name)
        assert name in message


def test_a_checkpoint_that_runs_code_is_refused_and_does_not_run_it(home, refused):
    import torch

    torch.save({"state_dict": {}, "extra": Trap()}, home / "trap.ckpt")
    message = refused("analyze", "video.tif", "-o", "out", "--model", "trap.ckpt")
    assert "trap.ckpt" in message
    assert "refused" in message
    assert not (home / "sprung").exists()


# The output folder


def test_other_files_in_the_output_folder_ask_for_overwrite(home, refused):
    (home / "out").mkdir()
    (home / "out" / "mine.txt").write_text("mine")
    message = refused("analyze", "tracks.csv", "-o", "out")
    assert message.startswith("out: ")
    assert "--overwrite" in message


@pytest.mark.parametrize("out", ["tracks.csv", "tracks.csv/out", "x" * 300])
def test_a_place_that_cannot_be_a_folder_is_refused(refused, out):
    message = refused("analyze", "tracks.csv", "-o", out)
    assert message.startswith(out)
    assert "give" in message


def test_a_folder_that_may_not_be_written_is_refused(home, refused, monkeypatch):
    def forbidden(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr("cloudtrainer.analysis.outputs.tempfile.mkdtemp", forbidden)
    (home / "there").mkdir()
    for out in ("new/deep/out", "there"):
        message = refused("analyze", "tracks.csv", "-o", out)
        assert message.startswith(f"{out}: cannot be written (Permission denied)")


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "where", ["pandas.DataFrame.to_parquet", "cloudtrainer.analysis.single.write_json"]
)
def test_a_full_disk_leaves_nothing(refused, monkeypatch, where):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    monkeypatch.setattr(where, full)
    message = refused("analyze", "tracks.csv", "-o", "new/out")
    assert message.startswith("new/out: could not be written (No space left on device)")
    assert "free space" in message


def test_a_full_disk_leaves_older_results_as_they_were(home, command, refused, monkeypatch):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    assert command("analyze", "tracks.csv", "-o", "out")[0] == 0
    monkeypatch.setattr("pandas.DataFrame.to_parquet", full)
    refused("analyze", "tracks.csv", "-o", "out", "--overwrite")


def test_a_result_that_cannot_replace_a_folder_changes_nothing(home, refused, monkeypatch):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    (home / "out" / "tracks.csv").mkdir(parents=True)
    (home / "out" / "summary.json").write_text("older")
    message = refused("analyze", "tracks.csv", "-o", "out", "--overwrite")
    assert "tracks.csv: is a folder" in message


def test_parents_of_a_refused_output_folder_do_not_stay(home, refused):
    refused("analyze", "missing.tif", "-o", "new/deep/out")
    assert not (home / "new").exists()


def test_one_bad_video_of_several_leaves_nothing(home, refused):
    with_pixel(np.nan)(home / "bad.tif")
    message = refused("analyze", "tracks.csv", "bad.tif", "-o", "out")
    assert message.startswith("bad.tif: frame 3")


def test_one_video_given_twice_is_refused(home, refused):
    (home / "copy.csv").write_bytes((home / "tracks.csv").read_bytes())
    for again in ("tracks.csv", "copy.csv"):
        message = refused("analyze", "tracks.csv", again, "-o", "out")
        assert message == f"{again}: holds the same as tracks.csv; give each video once"


def test_a_fault_after_the_first_of_several_leaves_nothing(home, refused, monkeypatch):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])

    def breaks(*_, **__):
        raise VideoError("video.tif: frame 4 cannot be decoded; copy it again")

    monkeypatch.setattr("cloudtrainer.analysis.tracks.extract_particles_from_predictions", breaks)
    assert "frame 4" in refused("analyze", "tracks.csv", "video.tif", "-o", "out")


def test_stopping_midway_leaves_nothing(home, command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "cloudtrainer.analysis.tracks.extract_particles_from_predictions", interrupted
    )
    (home / "there").mkdir()
    before = contents(home)
    for out in ("out", "there"):
        code, output, complaints = command("analyze", "video.tif", "-o", out)
        assert code == 130
        assert "Traceback" not in output + complaints
        assert contents(home) == before


def test_a_fault_of_ours_is_told_from_bad_input(home, command, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("[b]ours[/b]")

    monkeypatch.setattr("cloudtrainer.analysis.single.measure", broken)
    before = contents(home)
    code, _, complaints = command("analyze", "tracks.csv", "-o", "out")
    assert code == 1
    assert "internal error: ZeroDivisionError: [b]ours[/b]" in complaints
    assert "Traceback" not in complaints
    assert contents(home) == before


# No error: little or nothing to measure


def warnings_of(home, out):
    import json

    summary = json.loads((home / out / "summary.json").read_text(encoding="utf-8"))
    assert summary["measured"]["D_px2_per_frame"] is None
    assert summary["measured"]["alpha"] is None
    return " ".join(summary["warnings"])


@pytest.mark.parametrize(
    ("frames", "said"),
    [(FRAMES[:1], "single frame"), (FRAMES, "No particles")],
    ids=["one frame", "no particles"],
)
def test_a_video_with_nothing_to_measure_is_no_error(home, command, monkeypatch, frames, said):
    def nothing(model, video, *_, **__):
        columns = ["x", "y", "x_error", "y_error", "probability", "intensity"]
        found = pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})
        if len(video) == 1:
            found.loc[0] = [5.0, 6.0, 0.1, 0.1, 0.9, 100.0]
        found.insert(0, "frame", pd.Series(0, index=found.index, dtype="int64"))
        return found

    monkeypatch.setattr("cloudtrainer.analysis.tracks.extract_particles_from_predictions", nothing)
    write_tiff(home / "v.tif", frames)
    code, output, complaints = command("analyze", "v.tif", "-o", "out")
    assert (code, complaints) == (0, "")
    assert "not estimated" in output
    assert said in warnings_of(home, "out")
    for table in ("detections", "tracks", "particles"):
        assert len(pd.read_csv(home / "out" / f"{table}.csv")) == (
            1 if len(frames) == 1 and table == "detections" else 0
        )
        assert (home / "out" / f"{table}.parquet").is_file()
    assert (home / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "0,0,1,1\n",
        "".join(f"{f},{p},{p},{f}\n" for p in range(3) for f in range(4)),
        # Every position at the same place: nothing was measured anew.
        "".join(f"{f},0,5,5\n" for f in range(12)),
        # Every second frame alone.
        "".join(f"{2 * f},0,{f * f % 7},{f % 3}\n" for f in range(12)),
    ],
    ids=["no row", "one position", "short tracks", "a still particle", "gaps"],
)
def test_tracks_that_tell_nothing_are_no_error(home, command, rows):
    (home / "t.csv").write_text("frame,particle,x,y\n" + rows)
    code, output, complaints = command("analyze", "t.csv", "-o", "out")
    assert code == 0, complaints
    assert "Traceback" not in complaints
    assert "alpha = not estimated" in output
    for table in ("tracks", "particles"):
        assert (home / "out" / f"{table}.csv").is_file()
    assert "nan" not in output.lower()


@pytest.mark.parametrize(
    "extra",
    [
        "".join(f"{f},9,5,5\n" for f in range(12)),
        "".join(f"{2 * f},9,{f * f % 7},{f % 3}\n" for f in range(6)),
    ],
    ids=["one still particle", "one with gaps only"],
)
def test_one_odd_particle_does_not_stop_the_others(home, command, monkeypatch, extra):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    (home / "t.csv").write_text(TRACKS + extra)
    code, _, complaints = command("analyze", "t.csv", "-o", "out")
    assert code == 0, complaints
    alpha = pd.read_csv(home / "out" / "particles.csv").set_index("particle")["alpha"]
    assert alpha[[0, 1, 2]].notna().all()
    assert np.isnan(alpha[9])


def said_of(home, command, monkeypatch, rows, *options):
    import json

    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    (home / "t.csv").write_text("frame,particle,x,y\n" + rows)
    code, output, complaints = command("analyze", "t.csv", "-o", "out", *options)
    assert (code, complaints) == (0, "")
    assert "nan" not in output.lower()
    return json.loads((home / "out" / "summary.json").read_text(encoding="utf-8"))


ROWS = TRACKS.partition("\n")[2]


def test_tracks_that_never_move_are_counted_and_named(home, command, monkeypatch):
    still = "".join(f"{f},9,5,5\n" for f in range(12))
    warnings = said_of(home, command, monkeypatch, ROWS + still)["warnings"]
    assert any("1 of 4 tracks are at exactly the same place" in text for text in warnings)


def test_positions_along_one_line_are_not_measured(home, command, monkeypatch):
    line = "".join(f"{row.rpartition(',')[0]},7\n" for row in ROWS.splitlines())
    summary = said_of(home, command, monkeypatch, line)
    assert summary["measured"]["D_px2_per_frame"] is None
    assert "along y is exactly zero" in " ".join(summary["warnings"])


def test_frames_that_are_apart_everywhere_may_be_times(home, command, monkeypatch):
    times = "".join(
        f"{33 * int(row.partition(',')[0])},{row.partition(',')[2]}\n" for row in ROWS.splitlines()
    )
    warnings = said_of(home, command, monkeypatch, times)["warnings"]
    assert any("33 frames apart or more" in text for text in warnings)


@pytest.mark.parametrize(
    ("pixel", "interval", "said"),
    [
        ("352.78", "0.05", ["print at 72 dpi"]),
        ("264.58", "0.05", ["print at 96 dpi"]),
        ("0.1", "30", ["give --frame-interval-s 0.03333"]),
        ("352.78", "25", ["print at 72 dpi", "give --frame-interval-s 0.04"]),
        ("0.1", "0.05", []),
        ("0.65", "10", []),
    ],
)
def test_a_calibration_that_looks_like_something_else_is_asked_about(
    home, command, monkeypatch, pixel, interval, said
):
    scale = ("--pixel-size-um", pixel, "--frame-interval-s", interval)
    warnings = said_of(home, command, monkeypatch, ROWS, *scale)["warnings"]
    asked = [text for text in warnings if " dpi" in text or "common frame rate" in text]
    assert len(asked) == len(said)
    assert all(part in text for part, text in zip(said, asked, strict=True))


def test_particles_that_flow_are_no_error(home, command, monkeypatch):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    rows = [
        f"{f},{p},{10 * p + 0.3 * np.sin(f * (p + 1))},{f}\n" for p in range(3) for f in range(12)
    ]
    (home / "t.csv").write_text("frame,particle,x,y\n" + "".join(rows))
    code, _, complaints = command("analyze", "t.csv", "-o", "out")
    assert (code, complaints) == (0, "")


# Names


@pytest.mark.parametrize(
    "name",
    [
        "with space.csv",
        'it\'s "so".csv',
        "микрогель 粒子 ä.csv",
        "$HOME $x^2$.csv",
        "<b>bold</b>.csv".replace("/", "_"),
        "[red]tag[_red].csv",
        ":warning:.csv",
        "100%s{0}.csv",
    ],
)
def test_any_name_is_said_as_it_is(home, command, refused, monkeypatch, name):
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
    (home / name).write_text("a,b\n1,2\n")
    assert refused("analyze", name, "-o", "bad").startswith(name)
    (home / name).write_text(TRACKS)
    code, output, complaints = command("analyze", name, "-o", f"out {name}")
    assert (code, complaints) == (0, "")
    assert name in output
    page = (home / f"out {name}" / "report.html").read_text(encoding="utf-8")
    assert "<b>bold" not in page


@pytest.mark.parametrize(
    ("celsius", "said"),
    [("295", "is it in kelvin? give degrees Celsius"), ("-300", "-300 °C"), ("nan", "nan °C")],
)
def test_a_temperature_in_kelvin_is_asked_for(refused, celsius, said):
    options = ("--temperature-c", celsius, "--particle-radius-um", "0.5")
    assert said in " ".join(refused("analyze", "tracks.csv", "-o", "out", *options).split())

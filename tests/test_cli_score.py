"""The verb ``score``: tables in, scores out."""

import re

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write two true tracks, and what was found: one whole, one in two pieces, one position off."""
    monkeypatch.chdir(tmp_path)
    frame = np.arange(10)
    truth = pd.concat(
        pd.DataFrame({"frame": frame, "particle": p, "x": 20.0 * p, "y": 10.0 + frame})
        for p in (1, 2)
    )
    found = truth.assign(
        particle=truth["particle"].where(truth["frame"] < 6, truth["particle"] * 3)
    )
    found["particle"] = found["particle"].replace(3, 1)
    found["x"] += 0.3
    found = pd.concat([found, pd.DataFrame({"frame": [0], "particle": 9, "x": 90.0, "y": 90.0})])
    truth.to_csv("truth.csv", index=False)
    found.assign(x_error=0.4, y_error=0.1).to_parquet("found.parquet", index=False)
    truth.drop(columns="particle").to_csv("labels.csv", index=False)
    return tmp_path


def scores(text):
    """Read the printed tables as {name: text}."""
    rows = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines())
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def test_detections_and_tracks_are_scored(command, files):
    code, text, complaints = command("score", "found.parquet", "truth.csv", "--gate-px", "2")
    assert (code, complaints) == (0, "")
    detected, tracked = (scores(part) for part in text.split("tracks, gate 2 px"))
    assert detected["found, true, matched"] == "21, 20, 20"
    assert detected["F1"] == f"{40 / 41:.4f}"
    assert detected["precision"] == f"{20 / 21:.4f}"
    assert detected["recall"] == "1.0000"
    assert detected["RMSE along x, y"] == "0.3000, 0.0000 px"
    assert detected["bias along x, y"] == "0.3000, 0.0000 px"
    # Every dx is 0.75 stated errors, every dy none.
    assert detected["error / stated error (robust)"] == "0.375 (0.556)"
    assert detected["within stated 68%, 95% intervals"] == "100.0%, 100.0%"
    # 16 of 20 positions in paired tracks, each 0.3 of 2 px off; 4 + 1 positions in spurious ones.
    assert tracked["alpha"] == f"{16 * 0.85 / 20:.4f}"
    assert tracked["beta"] == f"{16 * 0.85 / 25:.4f}"
    assert tracked["JSC (positions)"] == f"{16 / 25:.4f}"
    assert tracked["JSC-theta (tracks)"] == "0.5000"
    assert tracked["tracks TP, FN, FP"] == "2, 0, 2"
    assert tracked["RMSE of the distance"] == "0.3000 px"


def test_labels_without_tracks_score_detections_alone(command, files):
    code, text, _ = command("score", "found.parquet", "labels.csv", "--gate-px", "2")
    assert code == 0
    assert "Tracks are not scored: labels.csv has no column particle." in text
    assert "alpha" not in text
    code, text, _ = command("score", "labels.csv", "labels.csv", "--gate-px", "2")
    assert code == 0
    assert scores(text)["F1"] == "1.0000"
    assert "racks" not in text
    # None are stated.
    assert "stated" not in text


def test_nothing_found(command, files):
    (files / "none.csv").write_text("frame,x,y,particle\n")
    code, text, _ = command("score", "none.csv", "truth.csv", "--gate-px", "2")
    assert code == 0
    assert scores(text)["found, true, matched"] == "0, 20, 0"
    assert scores(text)["alpha"] == "0.0000"
    assert "nan" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.csv", "truth.csv", "--gate-px", "2"], "gone.csv: no such file"),
        (["truth.csv", "gone.csv", "--gate-px", "2"], "gone.csv: no such file"),
        (["truth.csv", "truth.csv", "--gate-px", "0"], "gate_px must be a positive distance"),
        (["text.csv", "truth.csv", "--gate-px", "2"], "row 3, column x: 'left' is not a number"),
        (["twice.csv", "truth.csv", "--gate-px", "2"], "particle 1 is there twice in frame 4"),
        (["sure.csv", "truth.csv", "--gate-px", "2"], "states an error that is not above 0"),
        (["truth.csv", "two.csv", "--gate-px", "2"], "two.csv: its column video names 2 videos"),
        (["double.csv", "truth.csv", "--gate-px", "2"], "double.csv: has the column 'x' twice"),
    ],
)
def test_what_cannot_be_scored_is_said(command, files, arguments, message):
    (files / "text.csv").write_text("frame,x,y\n0,1,1\n1,left,1\n")
    (files / "twice.csv").write_text("frame,x,y,particle\n4,1,1,1\n4,30,1,1\n")
    (files / "sure.csv").write_text("frame,x,y,x_error,y_error\n4,1,1,0,0.1\n")
    (files / "two.csv").write_text("video,frame,x,y\n0,0,1,1\n1,0,1,1\n")
    (files / "double.csv").write_text("frame,x,y,x\n0,1,1,2\n")
    code, text, complaints = command("score", *arguments)
    assert (code, text) == (2, "")
    assert message in complaints
    assert "Traceback" not in complaints


def test_the_gate_must_be_given(command, files):
    code, _, complaints = command("score", "truth.csv", "truth.csv")
    assert code == 2
    assert "--gate-px" in complaints


def test_tracks_without_drift_are_scored_where_they_lie_in_the_frames(command, files):
    found = pd.read_parquet("found.parquet")
    moved = found.assign(
        x=found["x"] - 0.5 * found["frame"], video_x=found["x"], video_y=found["y"]
    )
    moved.to_csv("moved.csv", index=False)
    as_found = command("score", "found.parquet", "truth.csv", "--gate-px", "2")
    assert command("score", "moved.csv", "truth.csv", "--gate-px", "2") == as_found

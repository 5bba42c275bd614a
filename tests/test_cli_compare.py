"""The verb ``compare``: conditions with their folders, in any order, and what is refused."""

import json

import pytest


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Write results of six videos whose D are known."""
    monkeypatch.chdir(tmp_path)
    for number, D in enumerate((0.5, 0.55, 0.6, 0.3, 0.32, 0.36), start=1):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        entry = {"value": D, "low": 0.9 * D, "high": 1.1 * D, "particles": 9, "stride_frames": 1}
        summary = {
            "measured": {"D_um2_per_s": entry, "alpha": None, "motion_model": "brownian",
                         "motion_type": "Undetermined", "tracks": 9},
            "calibration": {"pixel_size_um": 0.1, "frame_interval_s": 0.1, "exposure_s": None},
            "warnings": [], "config": {}, "model": None, "version": "4.0.0",
            "video": {"name": f"v{number}.tif", "sha256": f"{number}"},
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_conditions_are_compared(command, results):
    code, text, complaints = command(
        "compare", "--condition", "control", "r1", "r2", "r3", "-o", "out",
        "--condition", "a drug", "r4", "r5", "r6",
    )  # fmt: skip
    assert (code, complaints) == (0, "")
    # exp(mean of logarithms): 0.3257 over 0.5485.
    assert "a drug / control" in text
    assert "0.594 (95%:" in text or "0.59 (95%:" in text
    assert "p = " in text
    assert (results / "out" / "report.html").is_file()
    (results / "map.csv").write_text("condition,folder\n" + "".join(
        f"{'control' if n < 4 else 'a drug'},r{n}\n" for n in range(1, 7)))  # fmt: skip
    code, again, _ = command("compare", "--table", "map.csv", "-o", "out", "--overwrite")
    assert (code, again) == (0, text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the conditions"),
        (["r1"], "stands before the first condition"),
        (["--condition"], "give the name"),
        (["--condition", "a", "r1"], "two conditions"),
        (["--condition", "a", "r1", "--condition", "a", "r2"], "given twice"),
        (["--condition", "a", "r1", "--condition", "b"], "the condition b"),
        (["--condition", "a", "r1", "--conditions", "b", "r4"], "--conditions: no such option"),
        (["--condition", "a", "r1", "--condition", "b", "r1"], "is in the conditions a and b"),
        (["--condition", "a", "r1", "--condition", "b", "nowhere"], "holds no results"),
        (["--condition", "a", "r1", "--condition", "b", "r4", "--table", "x.csv"], "not both"),
        (["--table", "nowhere.csv"], "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(command, results, words, said):
    code, _, complaints = command("compare", *words, "-o", "out")
    assert code == 2
    assert said in complaints
    assert not (results / "out").exists()

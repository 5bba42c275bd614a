"""The verb ``compare``: conditions with their folders, in any order, and what is refused."""

import json
import os

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


COMPARE = ("compare", "--condition", "a", "r1", "r2", "r3", "--condition", "b", "r4", "r5", "r6")


def everything(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("state", ["missing", "empty", "overwritten"])
def test_of_two_comparisons_into_one_folder_one_is_whole_and_the_other_is_told(
    command, results, monkeypatch, state
):
    """The second run begins and ends while the first one draws its report."""
    out, more = results / "out", ()
    if state == "empty":
        out.mkdir()
    if state == "overwritten":
        assert command(*COMPARE, "-o", "out")[0] == 0
        more = ("--overwrite",)
    from cloudtrainer.analysis.conditions import outputs

    write, won = outputs.write_report, []

    def slowly(path, report):
        write(path, report)
        if not won:
            won.append(True)
            code, _, complaints = command(*COMPARE[:-1], "-o", "out", *more)
            won.append((code, complaints, everything(out)))

    monkeypatch.setattr(outputs, "write_report", slowly)
    code, said, complaints = command(*COMPARE, "-o", "out", *more)
    if state == "empty":
        # The folder of the first is seen by the second, which does not begin.
        assert won[1][0] == 2
        assert "another run is writing its results there" in won[1][1]
        assert code == 0
        assert "r6" in (out / "videos.csv").read_text()
    else:
        assert won[1][0] == 0
        assert (code, said) == (2, "")
        assert complaints.startswith("error: out: another run wrote its results there")
        assert complaints.count("\n") == 1
        assert everything(out) == won[1][2]
    assert {path.name for path in out.iterdir()} == {
        "report.html", "comparison.csv", "videos.csv", "comparison.png", "comparison.svg",
        "methods.txt",
    }  # fmt: skip
    assert not list(results.glob(".unfinished-*"))


def test_files_are_not_moved_while_another_run_moves_its_own(command, results):
    assert command(*COMPARE, "-o", "out")[0] == 0
    out = results / "out"
    before, claim = everything(out), out / ".moving-results"
    claim.mkdir()
    code, _, complaints = command(*COMPARE[:-1], "-o", "out", "--overwrite")
    assert code == 2
    assert "another run wrote its results there" in complaints
    assert everything(out) == before
    # That of a run that was killed is in nobody's way.
    os.utime(claim, (1, 1))
    assert command(*COMPARE, "-o", "out", "--overwrite")[0] == 0
    assert not claim.exists()

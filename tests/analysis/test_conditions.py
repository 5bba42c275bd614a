"""Conditions compared: what is read, what is refused, what is said, and the folder."""

import copy
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from bright_spots import brownian_tracks
from scipy import stats

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.conditions import compare_conditions, read_conditions
from cloudtrainer.analysis.readings import readings
from cloudtrainer.errors import CalibrationError, ConfigError, WorkspaceError

_SUMMARY = {
    "measured": {
        "D_um2_per_s": {"value": 0.5, "low": 0.45, "high": 0.55, "particles": 40,
                        "stride_frames": 1, "unit": "um^2/s"},
        "alpha": {"value": 1.0, "low": 0.9, "high": 1.1, "particles": 40, "stride_frames": 1,
                  "unit": "1"},
        "motion_model": "brownian", "motion_type": "Normal Brownian diffusion", "tracks": 40,
    },
    "calibration": {"pixel_size_um": 0.1, "frame_interval_s": 0.02, "exposure_s": None,
                    "source": "given"},
    "warnings": [],
    "config": {"threshold": None, "drift": "auto", "seed": 0},
    "model": None,
    "version": "4.0.0",
    "video": {"name": "v.tif", "sha256": "", "shape": [10, 9, 9]},
}  # fmt: skip


class Lab:
    """A folder of results whose numbers are made up."""

    def __init__(self, root):
        self.root, self.count = root, 0

    def video(self, D=0.5, change=None):
        """Write the results of a video; ``change`` may alter the summary."""
        self.count += 1
        summary = copy.deepcopy(_SUMMARY)
        entry = summary["measured"]["D_um2_per_s"]
        # No two videos give the same number to the last digit.
        entry.update(value=D, low=0.9 * D, high=1.1 * D + 1e-9 * self.count)
        summary["video"].update(name=f"v{self.count}.tif", sha256=f"{self.count:064x}")
        if change:
            change(summary)
        folder = self.root / f"result{self.count}"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
        return folder

    def videos(self, *values, change=None):
        return [self.video(D, change) for D in values]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def of(comparison, key):
    return next(one for one in comparison.quantities if one.key == key)


def test_means_ratio_and_p_value_are_those_of_the_videos(lab):
    first, second = [0.5, 0.55, 0.61], [0.3, 0.35, 0.32, 0.37]
    found = compare_conditions({"control": lab.videos(*first), "drug": lab.videos(*second)})
    D = of(found, "D")
    assert found.means[D, "control"].value == pytest.approx(np.mean(first))
    assert found.means[D, "drug"].videos == 4
    (pair,) = [one for one in found.pairs if one.quantity == D]
    expected = stats.ttest_ind(np.log(second), np.log(first), equal_var=False)
    assert (pair.first, pair.second) == ("drug", "control")
    assert pair.contrast.value == pytest.approx(stats.gmean(second) / stats.gmean(first))
    assert pair.contrast.p_value == pytest.approx(expected.pvalue)
    # One pair needs no adjustment.
    assert pair.adjusted_p_value == pair.contrast.p_value
    assert found.warnings == ()


def test_three_conditions_are_adjusted_for_three_pairs(lab):
    found = compare_conditions({name: lab.videos(*(D * np.array([0.93, 1, 1.1]))) for name, D in
                                (("a", 0.5), ("b", 0.7), ("c", 0.52))})  # fmt: skip
    pairs = [one for one in found.pairs if one.quantity.key == "D"]
    assert [(one.first, one.second) for one in pairs] == [("b", "a"), ("c", "a"), ("c", "b")]
    p_values = sorted(one.contrast.p_value for one in pairs)
    adjusted = sorted(one.adjusted_p_value for one in pairs)
    assert adjusted[0] == pytest.approx(3 * p_values[0])
    assert adjusted[1] == pytest.approx(max(2 * p_values[1], adjusted[0]))


def test_below_three_videos_no_p_value_is_given_and_the_sentence_why(lab, tmp_path):
    found = compare_conditions(
        {"one": lab.videos(0.5), "two": lab.videos(0.3, 0.32)}, tmp_path / "out"
    )
    assert found.table()["p_value"].isna().all()
    assert any("one: one video with D" in said for said in found.warnings)
    assert any("two: 2 videos with D" in said for said in found.warnings)
    D = of(found, "D")
    assert (found.means[D, "one"].low, found.means[D, "one"].high) == pytest.approx(
        (0.45, 0.55), rel=1e-6
    )
    ratio = next(one for one in found.pairs if one.quantity == D).contrast
    assert np.isnan(ratio.low)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "cannot tell how videos differ" in report
    assert "Conditions with fewer than three videos were not tested." in report
    assert "p = " not in report


def test_a_video_without_D_is_named_and_left_out(lab):
    def nothing(summary):
        summary["measured"]["D_um2_per_s"] = None

    found = compare_conditions(
        {"a": [*lab.videos(0.5, 0.52, 0.55), lab.video(change=nothing)], "b": lab.videos(0.5, 0.6)}
    )
    assert found.means[of(found, "D"), "a"].videos == 3
    assert any("result4 gave no D" in said for said in found.warnings)


def test_a_number_that_is_no_number_is_no_value(lab):
    def nan(summary):
        summary["measured"]["D_um2_per_s"]["value"] = float("nan")

    assert "D" not in {one.key for one in readings(json.loads(
        (lab.video(change=nan) / "summary.json").read_text()))}  # fmt: skip


def change(section, **values):
    return lambda summary: summary.setdefault(section, {}).update(values)


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        (change("calibration", frame_interval_s=0.1), "frame interval is not the same: 0.02 s (a)"),
        (change("calibration", exposure_s=0.01), "exposure is not the same: not known (a), 0.01 s"),
        (change("calibration", pixel_size_um=0.2), "pixel size is not the same: 0.1 um (a)"),
        (change("material", particle_radius_um=0.5), "particle radius is not the same: not known"),
        (change("material", temperature_K=300.0), "temperature is not the same"),
        (change("config", drift="none"), "setting drift is not the same: auto (a), none (b)"),
        (lambda s: s.update(version="4.1.0"), "version of cloudtrainer is not the same"),
        (lambda s: s.update(model={"weights_sha256": "ab"}), "detector is not the same"),
        (lambda s: s["measured"]["D_um2_per_s"].update(stride_frames=5), "step that D rests on"),
        (lambda s: s["measured"].update(motion_model="confined"), "is not plain diffusion"),
        (lambda s: s["warnings"].append("x"), "3 of 6 videos have warnings of their own"),
    ],
)
def test_what_else_differs_is_said(lab, altered, said):
    found = compare_conditions(
        {"a": lab.videos(0.5, 0.52, 0.55), "b": lab.videos(0.3, 0.35, 0.36, change=altered)}
    )
    assert len(found.warnings) == 1
    assert said in found.warnings[0]


def test_a_pot_of_all_tracks_that_says_something_else_is_told(lab):
    def many(summary):
        summary["measured"]["D_um2_per_s"]["particles"] = 5000

    folders = [*lab.videos(0.5, 0.51, 0.52, 0.5, 0.515), lab.video(0.6, many)]
    found = compare_conditions({"a": folders, "b": lab.videos(0.3, 0.31, 0.32)})
    assert any(said.startswith("a: weighted by their particles") for said in found.warnings)


def pixels(summary):
    found = summary["measured"].pop("D_um2_per_s") | {"unit": "px^2/frame"}
    summary["measured"]["D_px2_per_frame"] = found


def test_pixels_and_um_are_not_compared(lab):
    with pytest.raises(CalibrationError, match=r"result2 is in pixels and frames, result1 in um"):
        compare_conditions({"a": lab.videos(0.5), "b": lab.videos(0.5, change=pixels)})
    found = compare_conditions(
        {"a": lab.videos(0.5, change=pixels), "b": lab.videos(0.6, change=pixels)}
    )
    assert of(found, "D").unit == "px^2/frame"
    assert any("magnification" in said for said in found.warnings)


def test_what_is_no_replicate_is_refused(lab):
    a, b = lab.videos(0.5, 0.6)
    with pytest.raises(ConfigError, match="is in the conditions x and y"):
        compare_conditions({"x": [a], "y": [b, a.parent / "." / a.name]})
    with pytest.raises(ConfigError, match="given twice in the condition x"):
        compare_conditions({"x": [a, a], "y": [b]})
    again = lab.video(0.7, lambda s: s["video"].update(sha256=f"{1:064x}"))
    with pytest.raises(ConfigError, match=r"result3 \(y\) and result1 \(x\) are results"):
        compare_conditions({"x": [a], "y": [b, again]})

    def same(summary):
        summary["measured"]["D_um2_per_s"]["high"] = 1.1 * 0.5 + 1e-9

    with pytest.raises(ConfigError, match="same D to the last digit"):
        compare_conditions({"x": [a], "y": [b, lab.video(0.5, same)]})


def test_folders_without_usable_results_are_refused(lab, tmp_path):
    good = lab.video()
    for text, said in (
        (None, "holds no results"),
        ("{", "is damaged"),
        ("[1]", "not one of an analysis"),
        ('{"measured": {}}', "not one of an analysis"),
        (json.dumps({**_SUMMARY, "measured": {**_SUMMARY["measured"], "alpha": {"value": "x"}}}),
         "not one of an analysis"),
    ):  # fmt: skip
        folder = tmp_path / f"bad{abs(hash(text))}"
        folder.mkdir()
        if text is not None:
            (folder / "summary.json").write_text(text)
        with pytest.raises(WorkspaceError, match=said):
            compare_conditions({"a": [good], "b": [folder]})
    with pytest.raises(WorkspaceError, match="holds no results"):
        compare_conditions({"a": [good], "b": [tmp_path / "nowhere"]})


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({}, "two conditions"),
        ({"a": ["x"]}, "two conditions"),
        ({"a": ["x"], "": ["y"]}, "no name"),
        ({"a": ["x"], "b\n": ["y"]}, "no name"),
        ({"a": ["x"], "=cmd": ["y"]}, "formula"),
        ({"a": ["x"], "b": []}, "list of result folders"),
        ({"a": ["x"], "b": "y"}, "list of result folders"),
    ],
)
def test_conditions_that_cannot_be_are_refused(conditions, said):
    with pytest.raises(ConfigError, match=said):
        compare_conditions(conditions)


def test_results_of_several_videos_give_each_of_them(lab, tmp_path):
    singles = [json.loads((one / "summary.json").read_text()) for one in lab.videos(0.5, 0.6, 0.7)]
    both = tmp_path / "both"
    both.mkdir()
    (both / "summary.json").write_text(json.dumps({**singles[0], "videos": singles}))
    found = compare_conditions({"all": [both], "b": lab.videos(0.3)})
    assert [one.name for one in found.of("all")] == ["both/v1.tif", "both/v2.tif", "both/v3.tif"]
    assert found.means[of(found, "D"), "all"].value == pytest.approx(0.6)


def test_a_table_tells_the_conditions(lab, tmp_path):
    lab.videos(0.5, 0.6)
    table = tmp_path / "conditions.csv"
    table.write_text("folder, condition\nresult1, control\nresult2, drug \n")
    assert read_conditions(table) == {
        "control": [tmp_path / "result1"], "drug": [tmp_path / "result2"],
    }  # fmt: skip
    for text, said in (
        ("folder\nx\n", "no column condition"), ("folder,condition\nx,\n", "line 2"),
        ("", "no column"),
        ("condition,folder,folder\na,x,y\n", "column folder twice"),
        ("condition,folder\na,b,c\n", "line 2: has more cells than the header"),
        ('condition,folder\n"a,b\n', "cannot be read as a table"),
    ):  # fmt: skip
        table.write_text(text)
        with pytest.raises((ConfigError, WorkspaceError), match=said):
            read_conditions(table)
    table.write_bytes("condition,folder\nK\xe4lte,x\n".encode("latin-1"))
    with pytest.raises(WorkspaceError, match="UTF-8"):
        read_conditions(table)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_conditions(tmp_path / "nowhere.csv")
    table.write_text("condition;folder;note\n\ncold, dark;result1;x\n;;\n", encoding="utf-8-sig")
    assert read_conditions(table) == {"cold, dark": [tmp_path / "result1"]}
    with pytest.raises(WorkspaceError, match="is no path"):
        compare_conditions({"a": ["x\0y"], "b": ["z"]})


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_the_folder_holds_tables_figure_methods_and_report(lab, tmp_path):
    bold = "<b>gel & $x$</b>"
    out = tmp_path / "out"
    conditions = {"control": lab.videos(0.5, 0.55, 0.6), bold: lab.videos(0.3, 0.36, 0.33)}
    found = compare_conditions(conditions, out)
    assert {one.name for one in out.iterdir()} == {
        "report.html", "comparison.csv", "videos.csv", "comparison.png", "comparison.svg",
        "methods.txt",
    }  # fmt: skip
    table = pd.read_csv(out / "comparison.csv")
    pd.testing.assert_frame_equal(
        table[["value", "low", "high", "p_value"]].astype(float),
        found.table()[["value", "low", "high", "p_value"]].astype(float), rtol=1e-5,
    )  # fmt: skip
    assert len(pd.read_csv(out / "videos.csv")) == 12
    page = Page(out / "report.html")
    assert bold in page.text
    assert "b" not in page.tags
    methods = (out / "methods.txt").read_text(encoding="utf-8")
    assert "control (n = 3 videos)" in methods
    assert "Welch's test over videos" in methods
    with pytest.raises(WorkspaceError, match="holds files already"):
        compare_conditions(conditions, out)
    compare_conditions(conditions, out, overwrite=True)
    with pytest.raises(WorkspaceError, match="results of an analysis"):
        compare_conditions(conditions, conditions["control"][0], overwrite=True)


def test_real_analyses_are_compared_in_all_that_they_have(tmp_path, without_pictures):
    known = {"pixel_size_um": 0.1, "frame_interval_s": 0.0333}
    for seed, step in enumerate((1.0, 1.5)):
        analyze(brownian_tracks(8, 20, step, seed=seed), tmp_path / f"{seed}", **known)
    found = compare_conditions({"slow": [tmp_path / "0"], "fast": [tmp_path / "1"]})
    assert [one.key for one in found.leading] == [
        "D", "alpha", "K", "effective diffusivity 0.1 s by frame",
        "effective diffusivity 0.3 s by frame", "fraction immobile by frame",
    ]  # fmt: skip
    summary = json.loads((tmp_path / "0" / "summary.json").read_text(encoding="utf-8"))
    rows = {row["time_scale_s"]: row for row in summary["mobility"][
        "effective_diffusivity_um2_per_s"]}  # fmt: skip
    mean = found.means[of(found, "effective diffusivity 0.1 s by particle"), "slow"]
    row = rows[min(rows)]
    assert (mean.value, mean.low, mean.high) == (
        row["mean_by_particle"], row["mean_by_particle_low"], row["mean_by_particle_high"]
    )  # fmt: skip
    D = summary["measured"]["D_um2_per_s"]
    assert found.means[of(found, "D"), "slow"].standard_error == pytest.approx(
        D["value"] * np.log(D["high"] / D["low"]) / 3.92, rel=1e-3
    )


def _at(*keys, put):
    """Return a change of a summary: another value at a place."""

    def change(summary):
        for key in keys[:-1]:
            summary = summary.setdefault(key, {})
        summary[keys[-1]] = put

    return change


def _without(*keys):
    def change(summary):
        for key in keys[:-1]:
            summary = summary[key]
        del summary[keys[-1]]

    return change


_D = ("measured", "D_um2_per_s")


@pytest.mark.parametrize(
    "change",
    [
        _at(*_D, "value", put=True), _at(*_D, "value", put="0.5"), _at(*_D, "value", put=10**400),
        _at(*_D, "low", put=0.9), _at(*_D, "unit", put="m^2/s"), _without(*_D, "stride_frames"),
        _without("calibration", "exposure_s"), _at("calibration", put={}),
        _at("material", put=[1]), _at("mobility", "limits", put="none"),
    ],
)  # fmt: skip
def test_a_summary_that_was_changed_by_hand_is_refused_in_words(lab, change):
    # Otherwise a mean of 1 for true, an interval that ends before it begins, a traceback.
    videos = [*lab.videos(0.3, 0.32), lab.video(0.35, change)]
    with pytest.raises(WorkspaceError, match=r"result3.*analyse the video again"):
        compare_conditions({"control": lab.videos(0.5, 0.55, 0.6), "drug": videos})


def test_a_summary_of_endless_brackets_is_refused_in_words(lab):
    folder = lab.video()
    (folder / "summary.json").write_text('{"measured": ' + "[" * 100_000)
    with pytest.raises(WorkspaceError, match="damaged"):
        compare_conditions({"control": lab.videos(0.5), "drug": [folder]})


def test_a_number_that_is_infinite_is_none(lab):
    videos = [*lab.videos(0.3, 0.32), lab.video(0.35, _at(*_D, "value", put=float("inf")))]
    found = compare_conditions({"control": lab.videos(0.5, 0.55, 0.6), "drug": videos})
    assert found.means[of(found, "D"), "drug"].videos == 2

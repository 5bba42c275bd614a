"""The part *Compare*: results are given to conditions, and what is found stands there at once."""

import json

import pandas as pd
import pytest

from cloudtrainer.studio.compare_part import ComparePart
from cloudtrainer.studio.finished import read_given


def write_result(place, name, D, **video):
    """Write what is read of an analysis whose D is known."""
    entry = {"value": D, "low": 0.9 * D, "high": 1.1 * D, "particles": 9, "stride_frames": 1}
    summary = {
        "measured": {"D_um2_per_s": entry, "alpha": None, "motion_model": "brownian",
                     "motion_type": "Undetermined", "tracks": 9},
        "calibration": {"pixel_size_um": 0.1, "frame_interval_s": 0.1, "exposure_s": None},
        "warnings": [], "config": {}, "model": None, "version": "4.0.0",
        "video": {"name": f"{name}.tif", "sha256": name, **video},
    }  # fmt: skip
    folder = place.results / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


@pytest.fixture
def analysed(place):
    """Return a workspace with six finished analyses, and a damaged one."""
    for number, D in enumerate((0.5, 0.55, 0.6, 0.3, 0.32, 0.36)):
        write_result(place, f"run{number}", D)
    (place.results / "worse").mkdir()
    (place.results / "worse" / "summary.json").write_text("{")
    return place


def give(part, rows, name):
    part.table.selection = rows
    part.name.value = name
    part.give.clicks += 1


def test_conditions_are_given_and_compared_at_once(analysed):
    part = ComparePart(analysed)
    table = part.table.value
    assert table["result"].tolist() == [*(f"run{n}" for n in range(6)), "worse"]
    assert table["D"].tolist()[0] == "0.500 µm²/s (95%: 0.450 to 0.550)"
    assert "cannot be read" in table["D"].tolist()[-1]
    give(part, [0, 1, 2], "control")
    assert "control is the only condition so far" in part.said.object
    assert part.save.disabled
    give(part, [3, 4, 5], "<b>drug</b>")
    assert part.said.object == ""
    assert part.view.picture.object[:4] == b"\x89PNG"
    numbers = part.view.numbers.object
    assert "&lt;b&gt;drug" in numbers
    assert "<b>drug" not in numbers
    assert "p = " in numbers
    assert "Welch" in numbers
    # Another tab, or tomorrow.
    again = ComparePart(analysed)
    assert again.conditions == part.conditions
    assert again.view.picture.object[:4] == b"\x89PNG"


def test_the_reference_is_what_others_are_held_against(analysed):
    part = ComparePart(analysed)
    give(part, [0, 1, 2], "zero")
    give(part, [3, 4, 5], "drug")
    assert "drug / zero" in part.view.numbers.object
    part.reference.value = "drug"
    assert "zero / drug" in part.view.numbers.object


def test_a_condition_is_typed_into_the_list(analysed):
    part = ComparePart(analysed)
    table = part.table.value.copy()
    table.loc[[0, 1], "condition"] = ["  slow ", "fast"]
    part.table.value = table
    part._given()
    assert {name: len(folders) for name, folders in part.conditions.items()} == {
        "fast": 1, "slow": 1,
    }  # fmt: skip
    assert "cannot be told from one" in part.view.numbers.object
    assert read_given(analysed) == {"run0": "slow", "run1": "fast"}


def test_what_cannot_be_compared_is_said_and_nothing_old_is_shown(analysed):
    part = ComparePart(analysed)
    give(part, [], "control")
    assert "Mark videos" in part.said.object
    give(part, [0, 1, 2], "control")
    give(part, [3, 4], "drug")
    assert part.view.picture.object is not None
    give(part, [6], "drug")
    assert "worse: its summary.json is damaged" in part.said.object
    assert part.view.picture.object is None
    give(part, [6], "")
    write_result(analysed, "run9", 0.41, sha256="run0")
    part.refresh()
    give(part, [6], "drug")
    assert "are results of the same video" in part.said.object


def test_the_report_is_written_into_the_results(analysed):
    part = ComparePart(analysed, linked=True)
    # Without a server's document the page's own way, in a thread, is left out.
    part.linked = False
    part.refresh()
    give(part, [0, 1, 2], "control")
    give(part, [3, 4, 5], "drug")
    part.linked = True
    part.save.clicks += 1
    (folder,) = analysed.results.glob("comparison_*")
    assert f'href="results/{folder.name}/report.html"' in part.written.object
    assert len(pd.read_csv(folder / "comparison.csv")) == 3
    # It is not taken for an analysis.
    part.linked = False
    part.refresh()
    assert folder.name not in part.table.value["result"].tolist()


def test_damaged_conditions_are_as_none(analysed):
    path = analysed.logs / "studio" / "conditions.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for text in ("{", "[1]", '{"run0": 3}'):
        path.write_text(text)
        assert ComparePart(analysed).conditions == {}


def test_a_workspace_without_results_says_what_to_do(place):
    part = ComparePart(place)
    assert part.none.visible
    assert not part._choices.visible


@pytest.mark.slow
def test_conditions_are_compared_in_the_browser(served, analysed, tmp_path):
    page = served.open()
    page.get_by_text("beads.tif").first.wait_for()
    page.locator(".bk-tab", has_text="Compare").click()
    page.get_by_text("run0.tif").wait_for()
    boxes = page.locator(".tabulator-row input[type=checkbox]")
    for number in range(3):
        boxes.nth(number).click()
    name = page.get_by_label("Condition", exact=True)
    name.fill("control")
    name.press("Enter")
    page.get_by_role("button", name="Give to marked").click()
    page.get_by_text("control is the only condition so far").wait_for()
    cell = page.locator(".tabulator-row").nth(3).locator("[tabulator-field=condition]")
    cell.click()
    page.keyboard.type("drug")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Between conditions").wait_for()
    page.reload()
    page.get_by_text("cannot be told from one").first.wait_for()
    for number in (4, 5):
        boxes.nth(number).click()
    name.fill("drug")
    name.press("Enter")
    page.get_by_role("button", name="Give to marked").click()
    page.get_by_role("cell", name="p = ").first.wait_for()
    page.get_by_role("button", name="Write the report").click()
    with page.expect_popup() as popup:
        page.get_by_text("Open the report").click()
    popup.value.get_by_text("control and drug compared").first.wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download everything").click()
    download.value.save_as(tmp_path / "all.zip")

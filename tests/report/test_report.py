"""The report: one page that stands alone, in order, with every text as text."""

import base64
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from cloudtrainer.errors import WorkspaceError
from cloudtrainer.report import (
    Report,
    ReportFigure,
    ReportLink,
    ReportTable,
    render_report,
    write_report,
)

# A PNG of one grey pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
NASTY = "<script>alert('x')</script> & \"a\" $x_1$"


def report(**changes):
    whole = Report(
        title="Diffusion in demo.tif",
        subtitle="200 frames",
        headline=(("D", "0.402 µm²/s", "95% interval 0.385 to 0.419", "41 particles"),),
        warnings=("The exposure is not known.",),
        figures=(ReportFigure("Detections", "Look for empty circles.", PNG, "A frame."),),
        tables=(ReportTable("Checks", ("Check", "Passed"), (("correlations", True),), "A note."),),
        methods="First paragraph.\n\nSecond paragraph.",
        settings={"tracking": {"memory": 3, "search_range_px": None}},
        provenance={"sha256": "9f86", "shape": (200, 256, 256)},
    )
    return replace(whole, **changes)


class Page(HTMLParser):
    """Elements in order, with their attributes and the text directly in them."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in ("meta", "img"):
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        if self.open:
            self.elements[self.open[-1]][2] += data.strip()

    def texts(self, *tags):
        return [text for tag, _, text in self.elements if tag in tags]

    def attributes(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def test_the_page_is_well_formed_and_says_everything_in_order():
    html = render_report(report())
    page = Page(html)
    assert page.open == []
    assert page.texts("h1", "h2", "summary") == [
        "Diffusion in demo.tif", "Before you use these numbers", "Detections", "Checks",
        "Methods, for a paper", "Settings", "Provenance",
    ]  # fmt: skip
    assert page.texts("dt", "dd") == [
        "D", "0.402 µm²/s", "95% interval 0.385 to 0.419", "41 particles",
    ]  # fmt: skip
    assert html.index("0.402 µm²/s") < html.index("The exposure is not known.")
    assert page.texts("p")[-2:] == ["First paragraph.", "Second paragraph."]
    assert page.attributes("html") == [{"lang": "en"}]


def test_units_of_warnings_are_shown_as_people_write_them():
    html = render_report(report(warnings=("With them D would be 0.5 [0.4, 0.6] um^2/s.",)))
    assert "0.5 [0.4, 0.6] µm²/s." in html


def test_nothing_is_fetched_and_nothing_runs():
    html = render_report(report())
    page = Page(html)
    assert {tag for tag, _, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    for _, attributes, _ in page.elements:
        assert not any(name.startswith("on") or name == "href" for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
    (style,) = page.texts("style")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in re.sub(r"base64,[\w+/=]+", "", html)


def test_the_methods_are_one_text_to_select_and_copy():
    page = Page(render_report(report(methods="Text.\n\nReferences\n[1] A\n[2] B")))
    assert "References\n[1] A\n[2] B" in page.texts("p")
    assert {"class": "text"} in page.attributes("div")
    (style,) = page.texts("style")
    assert "user-select: all" in style
    assert any("methods.txt" in text for text in page.texts("p"))
    assert "methods.txt" not in render_report(report(methods=""))


def test_pictures_are_inside_with_a_text_for_those_who_do_not_see_them():
    (image,) = Page(render_report(report())).attributes("img")
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == PNG
    assert image["alt"] == "A frame."


def test_text_from_outside_never_becomes_html():
    nasty = report(
        title=NASTY, subtitle=NASTY, headline=((NASTY,) * 4,), warnings=(NASTY,),
        figures=(ReportFigure(NASTY, NASTY, PNG, NASTY),),
        tables=(ReportTable(NASTY, (NASTY,), ((NASTY,),), NASTY),),
        methods=NASTY, settings={NASTY: NASTY}, provenance={"video": {NASTY: [NASTY]}},
    )  # fmt: skip
    html = render_report(nasty)
    assert "<script" not in html
    page = Page(html)
    assert page.open == []
    (image,) = page.attributes("img")
    assert image["alt"] == NASTY
    shown = [text for _, _, text in page.elements if NASTY in text]
    # Title twice, subtitle, headline 4, warning, figure 2, table 4, methods, names and values 4.
    assert len(shown) == 19


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"), (False, "no"), (np.True_, "yes"), (np.False_, "no"), (None, "\N{EN DASH}"),
        (float("nan"), "\N{EN DASH}"), (0.123456, "0.1235"), (-1.5, "\N{MINUS SIGN}1.5"),
        (123456, "123456"), (np.float32(0.5), "0.5"), (np.int64(-3), "\N{MINUS SIGN}3"),
        ("a-b", "a-b"),
    ],
)  # fmt: skip
def test_cells_say_numbers_and_truth_as_people_do(value, text):
    tables = (ReportTable("T", ("c",), ((value,),)),)
    page = Page(render_report(report(tables=tables, settings={}, provenance={})))
    assert page.texts("td") == [text]


def test_settings_are_flat_exact_and_folded():
    page = Page(render_report(report(tables=(), settings={"a": {"b": 0.1 + 0.2, "c": False}})))
    assert page.texts("td") == [
        "a.b", "0.30000000000000004", "a.c", "no", "sha256", "9f86", "shape", "200, 256, 256",
    ]  # fmt: skip
    assert page.attributes("details") == [{}, {}]


def test_what_is_not_there_leaves_no_empty_heading():
    bare = Report(title="Nothing found", subtitle="", headline=())
    page = Page(render_report(bare))
    assert page.texts("h1", "h2", "summary") == ["Nothing found"]
    assert not page.attributes("dl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"figures": (ReportFigure("Detections", "", b"GIF89a", ""),)}, "'Detections' is not a"),
        ({"tables": (ReportTable("Checks", ("a", "b"), ((1,),)),)}, "row 0 has 1 cells for 2"),
    ],
)
def test_faulty_parts_are_named_and_leave_the_old_file(tmp_path, changes, message):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=message):
        write_report(path, report(**changes))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]  # noqa: PTH208


def test_the_file_is_the_page_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    assert write_report(path, report()) == path
    assert path.read_text(encoding="utf-8") == render_report(report())
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_a_fault_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError, match=r"report\.html: No space left on device"):
        write_report(path, report())
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WorkspaceError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "report.html", report())
    assert list(tmp_path.iterdir()) == []


def test_a_link_leads_to_a_file_whatever_its_name():
    cells = (ReportLink("open <b>", 'a "b" #1/javascript:x.html'), "plain")
    page = Page(render_report(report(tables=(ReportTable("T", ("a", "b"), (cells,)),))))
    (link,) = page.attributes("a")
    assert link == {"href": "a%20%22b%22%20%231/javascript%3Ax.html"}
    assert "open <b>" in page.texts("a")

"""Messages name the page's fields, not options of the command line."""

import ast
import re
from pathlib import Path

import pytest

import cloudtrainer
from cloudtrainer.analysis.ranges import _RANGES, option_of
from cloudtrainer.studio.analysis_part import AnalysisPart
from cloudtrainer.studio.page_words import in_page_words, page_labels

SOURCE = Path(cloudtrainer.__file__).parent
# What an analysis runs through, and what it may say.
ROOMS = ("analysis", "diffusion", "detector", "inference.py", "simulation", "tracking", "video",
         "report", "figures", "config")  # fmt: skip
# Files are never replaced from the page; the second is pip's.
NEVER_SAID = {"--overwrite", "--no-deps"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def options_named():
    """Return the options in all texts of the rooms but docstrings."""
    found = set()
    for room in ROOMS:
        files = [SOURCE / room] if room.endswith(".py") else (SOURCE / room).rglob("*.py")
        for file in files:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            told = {
                id(node.value) for node in ast.walk(tree)
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }  # fmt: skip
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set() if id(node) in told else set(OPTION.findall(node.value))
    return found


def test_every_option_that_a_message_names_has_a_field_on_the_page():
    named = options_named() | {option_of(name) for name in _RANGES}
    assert {"--pixel-size-um", "--static-error-um", "--region", "--twin"} <= named
    assert named - NEVER_SAID <= set(page_labels())
    for option in named - NEVER_SAID:
        assert option not in in_page_words(f"give {option} 3, or ({option})")


def test_every_label_is_one_of_a_field_that_the_page_shows(place):
    part = AnalysisPart(place)
    shown = {widget.label for widget in part.layout.select(lambda one: hasattr(one, "label"))}
    assert set(page_labels().values()) <= shown


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "if there were 30 frames a second, give --frame-interval-s 0.0333.",
            "if there were 30 frames a second, give “Frame interval [s]” 0.0333.",
        ),
        (
            "particle_radius_um (--particle-radius-um) says nothing",
            "“Radius of the particles [um]” says nothing",
        ),
        ("12 frames; -- and a--b stay.", "12 frames; -- and a--b stay."),
        ("analysis.min_track_frames: too small", "“Min track [frames]”: too small"),
    ],
)
def test_words_of_the_command_line_become_those_of_the_page(message, said):
    assert in_page_words(message) == said

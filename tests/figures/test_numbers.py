"""Numbers, intervals and units as text."""

import math

import pytest

from cloudtrainer.figures import display_sentence, display_unit, with_interval

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (0.40213, 0.3851, 0.4188, "um^2/s", "0.402 µm²/s (95%: 0.385 to 0.419)"),
        (1.0, 0.9, 1.1, "1", "1.00 (95%: 0.90 to 1.10)"),
        (0.5, 0.5 - 4e-4, 0.5 + 4e-4, "um^2/s", "0.50000 µm²/s (95%: 0.49960 to 0.50040)"),
        (1234.5, 1000.0, 1500.0, "px^2/frame", "1230 px²/frame (95%: 1000 to 1500)"),
        (0.3, NAN, NAN, "px^2", "0.300 px²"),
        (0.3, 0.1, INF, "um^2", "0.300 µm²"),
        (-0.0402, -0.05, -0.03, "um^2", "\N{MINUS SIGN}0.040 µm² (95%: "
         "\N{MINUS SIGN}0.050 to \N{MINUS SIGN}0.030)"),
        (0.5, 0.01, 40.0, "um^2/s", "0.50 µm²/s (95%: 0.01 to 40.00)"),
        (0.0, 0.0, 0.02, "um^2/s", "0.000 µm²/s (95%: 0.000 to 0.020)"),
        (4e-9, 0.0, 8e-9, "um^2/s", "4.0e\N{MINUS SIGN}09 µm²/s (95%: 0 to 8.0e\N{MINUS SIGN}09)"),
        (NAN, NAN, NAN, "um^2/s", "not known"),
    ],
)  # fmt: skip
def test_digits_follow_the_interval(value, low, high, unit, text):
    assert with_interval(value, low, high, unit) == text


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("um^2/s", "µm²/s"),
        ("px^2/frame", "px²/frame"),
        ("um^2/s^alpha", "µm²/s\N{MODIFIER LETTER SMALL ALPHA}"),
        ("1", ""),
        ("Pa s", "Pa s"),
    ],
)
def test_units_are_shown_as_people_write_them(unit, shown):
    assert display_unit(unit) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("D would be 0.527 [0.51, 0.55] um^2/s.", "D would be 0.527 [0.51, 0.55] µm²/s."),
        ("its square is 2.1 um^2, and 3 px^2/frame", "its square is 2.1 µm², and 3 px²/frame"),
        ("radius 0.2 um.", "radius 0.2 µm."),
        ("0.3 um/s, 4 um in 1 s (5 um)", "0.3 µm/s, 4 µm in 1 s (5 µm)"),
        ("Deff_0.1s_um2_per_s of beads_2 um.tif", "Deff_0.1s_um2_per_s of beads_2 um.tif"),
    ],
)
def test_units_in_a_sentence_are_shown_as_people_write_them(said, shown):
    assert display_sentence(said) == shown

"""Pixel sizes and times out of metadata."""

import numpy as np
import pytest

from cloudtrainer.video.calibration import (
    Calibration,
    imagej_calibration,
    micrometres,
    ome_calibration,
    resolution_hint,
    seconds,
    square_pixel,
    with_times,
)


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("micron", 1.0),
        ("um", 1.0),
        ("\u00b5m", 1.0),  # micro sign
        ("\u03bcm", 1.0),  # Greek mu
        ("\\u00B5m", 1.0),  # as ImageJ escapes it
        ("nm", 0.001),
        ("mm", 1000.0),
        ("cm", 10000.0),
        ("inch", 25400.0),
        ("m", 1e6),
        ("pixel", None),
        ("", None),
        ("reference frame", None),
    ],
)
def test_units_of_length(unit, um):
    assert micrometres(unit) == um


@pytest.mark.parametrize(
    ("unit", "s"), [("s", 1.0), ("sec", 1.0), ("ms", 0.001), ("min", 60.0), ("frame", None)]
)
def test_units_of_time(unit, s):
    assert seconds(unit) == s


def test_pixels_within_one_percent_are_square():
    assert square_pixel(0.2, 0.2019) == (0.2, None)


def test_pixels_that_are_not_square_have_no_size():
    size, hint = square_pixel(0.2, 0.21)

    assert size is None
    assert "0.2 um by 0.21 um" in hint


@pytest.mark.parametrize(
    ("metadata", "per_unit", "pixel", "interval", "source"),
    [
        ({"unit": "um", "finterval": 0.05}, 10.0, 0.1, 0.05, "ImageJ"),
        ({"unit": "nm", "finterval": 50, "tunit": "ms"}, 0.01, 0.1, 0.05, "ImageJ"),
        ({"unit": "mm"}, 2000.0, 0.5, None, "ImageJ"),
        ({"unit": "inch"}, 254000.0, 0.1, None, "ImageJ"),
        ({"finterval": 2.0}, None, None, 2.0, "ImageJ"),
        ({"unit": "pixel", "finterval": 0}, 1.0, None, None, "unknown"),
        ({"fps": 25.0}, 1.0, None, None, "unknown"),
        ({"unit": "um", "finterval": True}, None, None, None, "unknown"),
        ({}, 72.0, None, None, "unknown"),
    ],
)
def test_imagej(metadata, per_unit, pixel, interval, source):
    found = imagej_calibration(metadata, per_unit, per_unit)

    assert found.pixel_size_um == (None if pixel is None else pytest.approx(pixel, rel=1e-12))
    assert found.frame_interval_s == (
        None if interval is None else pytest.approx(interval, rel=1e-12)
    )
    assert found.source == source


@pytest.mark.parametrize(
    ("metadata", "per_unit", "words"),
    [
        ({"unit": "inch"}, 72.0, "print resolution is 72 dpi"),
        ({"unit": "cm"}, 118.11, "print resolution is 300 dpi"),
        ({"unit": "um", "fps": 25.0}, 10.0, "25 frames/s, which is not a calibration"),
        ({"unit": "furlong"}, 10.0, "'furlong' is not known"),
        ({"finterval": 1, "tunit": "fortnight"}, None, "'fortnight' is not known"),
    ],
)
def test_imagej_hints(metadata, per_unit, words):
    assert words in imagej_calibration(metadata, per_unit, per_unit).hint


@pytest.mark.parametrize(
    ("per_unit", "unit", "words"),
    [
        (300.0, "inch", "300 dpi"),
        (28.3464567, "cm", "72 dpi"),
        (100000.0, "cm", "would mean 0.1 um a pixel"),
    ],
)
def test_a_bare_resolution_is_only_a_hint(per_unit, unit, words):
    assert words in resolution_hint(per_unit, unit)


@pytest.mark.parametrize(("per_unit", "unit"), [(1.0, "inch"), (None, "inch"), (300.0, "none")])
def test_no_hint_from_nothing(per_unit, unit):
    assert resolution_hint(per_unit, unit) is None


def _ome(pixels: str, planes: str = "") -> str:
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f"<Pixels {pixels}>{planes}</Pixels></Image></OME>"
    )


@pytest.mark.parametrize(
    ("pixels", "pixel", "interval"),
    [
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" TimeIncrement="0.05"', 0.1, 0.05),
        (
            'PhysicalSizeX="100" PhysicalSizeXUnit="nm" PhysicalSizeY="1e-4" '
            'PhysicalSizeYUnit="mm" TimeIncrement="50" TimeIncrementUnit="ms"',
            0.1,
            0.05,
        ),
        ('PhysicalSizeX="0.1"', 0.1, None),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"', None, None),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.2"', None, None),
        ('PhysicalSizeX="0" TimeIncrement="0"', None, None),
        ("", None, None),
    ],
)
def test_ome(pixels, pixel, interval):
    found = ome_calibration(_ome(pixels), 0, "T", 0, 0, 3)

    assert found.pixel_size_um == (None if pixel is None else pytest.approx(pixel))
    assert found.frame_interval_s == (None if interval is None else pytest.approx(interval))
    assert found.source == ("OME" if pixel or interval else "unknown")


def test_ome_times_of_the_chosen_channel():
    planes = "".join(
        f'<Plane TheT="{t}" TheC="{c}" TheZ="0" DeltaT="{100 * t + 7 * c}" DeltaTUnit="ms"/>'
        for t in range(4)
        for c in range(2)
    )

    found = ome_calibration(_ome("", planes), 0, "T", 1, 0, 4)

    np.testing.assert_allclose(found.timestamps_s, [0.007, 0.107, 0.207, 0.307])
    assert found.frame_interval_s == pytest.approx(0.1)
    assert found.hint is None


def test_ome_times_that_are_missing_for_a_frame_are_not_used():
    planes = '<Plane TheT="0" DeltaT="0"/><Plane TheT="1" DeltaT="1"/>'

    found = ome_calibration(_ome("", planes), 0, "T", 0, 0, 3)

    assert found.timestamps_s is None
    assert found.frame_interval_s is None


def test_broken_ome_is_a_hint():
    assert "cannot be read" in ome_calibration("<OME", 0, "T", 0, 0, 3).hint


def test_times_rounded_to_ms_keep_the_rate():
    times = np.round(np.arange(31) / 30, 3)

    found = with_times(Calibration(), times)

    assert found.frame_interval_s == pytest.approx(1 / 30, rel=1e-12)
    assert found.hint is None


def test_uneven_times_are_said():
    found = with_times(Calibration(), np.array([0.0, 1.0, 2.0, 4.0]))

    assert found.frame_interval_s == 1.0
    assert "from 1 s to 2 s apart" in found.hint


def test_times_win_over_the_interval_that_was_asked_for():
    found = with_times(Calibration(frame_interval_s=0.03), np.arange(5) * 0.04)

    assert found.frame_interval_s == pytest.approx(0.04)
    assert "states an interval of 0.03 s" in found.hint


@pytest.mark.parametrize("times", [[0.0, 1.0, 0.5], [0.0, 0.0], [0.0, np.nan], [0.0]])
def test_times_that_do_not_increase_are_left_out(times):
    stated = Calibration(frame_interval_s=0.03)

    assert with_times(stated, np.array(times)) is stated

"""Pixel size and frame times, as files state them; what is only a guess becomes a hint."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Source = Literal["ImageJ", "OME", "vendor", "given", "unknown"]

UM_PER_INCH = 25400.0
_MICROMETRES = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "å": 1e-4,
    "in": UM_PER_INCH,
    "inch": UM_PER_INCH,
}
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "us": 1e-6,
    "usec": 1e-6,
    "ns": 1e-9,
    "min": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
# What cameras, scanners and graphics programs write when nobody calibrated anything.
_PRINT_DPI = (72, 75, 90, 96, 100, 120, 150, 180, 200, 240, 300, 350, 400, 600, 1200, 2400)


@dataclass(frozen=True)
class Calibration:
    """What is known of a video's scale in space and time.

    Attributes
    ----------
    pixel_size_um
        Side of a square pixel in the sample, um; None when unknown.
    frame_interval_s
        Time from one frame to the next, s; None when unknown.
    timestamps_s
        Time of each frame (T,), s; None when the file does not state them.
    source
        Where the numbers come from: "ImageJ", "OME", "vendor", "given" or "unknown".
    hint
        A sentence on numbers in the file that look like a calibration and are not one.
    """

    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    timestamps_s: npt.NDArray[np.float64] | None = None
    source: Source = "unknown"
    hint: str | None = None


def micrometres(unit: str) -> float | None:
    """Return how many um one `unit` of length is, or None for a unit that is no length."""
    return _MICROMETRES.get(_plain(unit))


def seconds(unit: str) -> float | None:
    """Return how many s one `unit` of time is, or None for a unit that is no time."""
    return _SECONDS.get(_plain(unit))


def _plain(unit: str) -> str:
    # ImageJ writes the micro sign as an escape; Unicode has it twice (micro sign, Greek mu).
    unit = unit.strip().replace("\\u00B5", "u").replace("\\u00b5", "u")
    return unit.replace("\u00b5", "u").replace("\u03bc", "u").lower()


def is_print_resolution(pixels_per_inch: float) -> bool:
    """Tell whether a resolution is one of those that programs write for printing."""
    return any(math.isclose(pixels_per_inch, dpi, rel_tol=2e-3) for dpi in _PRINT_DPI)


def square_pixel(x_um: float | None, y_um: float | None) -> tuple[float | None, str | None]:
    """Return the side of a pixel in um, and a hint where there is no single one.

    Sides that differ by more than 1% give None: positions here have one scale for both axes.
    A missing side is taken to be equal to the other.
    """
    sides = [s for s in (x_um, y_um) if s is not None and math.isfinite(s) and s > 0]
    if not sides:
        return None, None
    if len(sides) == 2 and abs(sides[0] - sides[1]) > 0.01 * max(sides):
        return None, (
            f"the file states pixels of {sides[0]:.6g} um by {sides[1]:.6g} um, which are not "
            "square: resample the video, or give the pixel size yourself"
        )
    return sides[0], None


def join_hints(*hints: str | None) -> str | None:
    """Return the sentences that are there as one text, or None when there is none."""
    return "; ".join(hint for hint in hints if hint) or None


def with_times(stated: Calibration, times_s: npt.NDArray[np.float64]) -> Calibration:
    """Return a calibration with the times of its frames, which win over a stated interval.

    The interval is the mean step, which times rounded to ms leave exact; where steps differ by more
    than 10% from their median it is the median, and the hint says so. Times that do not increase
    are left out.

    Parameters
    ----------
    stated
        What the file states otherwise.
    times_s
        Time of each frame (T,), s.
    """
    steps = np.diff(times_s)
    if steps.size == 0 or not np.all(np.isfinite(steps) & (steps > 0)):
        return stated
    median = float(np.median(steps))
    if np.max(np.abs(steps - median)) <= 0.1 * median:
        interval, hint = float(steps.mean()), stated.hint
    else:
        interval = median
        hint = join_hints(
            stated.hint,
            f"the frames are uneven in time, from {steps.min():.4g} s to {steps.max():.4g} s "
            f"apart, the median being {median:.4g} s",
        )
    nominal = stated.frame_interval_s
    if nominal is not None and abs(nominal - interval) > 0.01 * interval:
        hint = join_hints(
            hint,
            f"the file states an interval of {nominal:.6g} s, but its frame times are "
            f"{interval:.6g} s apart, which is taken",
        )
    return replace(stated, frame_interval_s=interval, timestamps_s=times_s, hint=hint)


def imagej_calibration(
    metadata: Mapping[str, Any], x_per_unit: float | None, y_per_unit: float | None
) -> Calibration:
    """Return the calibration of an ImageJ TIFF.

    Parameters
    ----------
    metadata
        The entries of ImageJ's description: ``unit``, ``yunit``, ``finterval``, ``tunit``, ``fps``.
    x_per_unit, y_per_unit
        The TIFF's resolution, pixels in one ``unit``.
    """
    unit = str(metadata.get("unit", ""))
    x_factor, y_factor = micrometres(unit), micrometres(str(metadata.get("yunit", unit)))
    pixel, hint, interval = None, None, None
    if x_per_unit and y_per_unit and x_factor and y_factor:
        per_inch = UM_PER_INCH / x_factor * x_per_unit
        if _plain(unit) in ("in", "inch", "cm") and is_print_resolution(per_inch):
            hint = f"the print resolution is {per_inch:.0f} dpi, which is not a calibration"
        else:
            pixel, hint = square_pixel(x_factor / x_per_unit, y_factor / y_per_unit)
    elif unit and not x_factor and _plain(unit) not in ("pixel", "pixels", "px"):
        hint = f"ImageJ's unit of length {unit!r} is not known here"

    raw_interval = _positive(metadata.get("finterval"))
    time_unit = str(metadata.get("tunit", "sec"))
    factor = seconds(time_unit)
    if raw_interval is not None and factor is not None:
        interval = raw_interval * factor
    elif raw_interval is not None:
        hint = join_hints(hint, f"ImageJ's unit of time {time_unit!r} is not known here")
    elif (rate := _positive(metadata.get("fps"))) is not None:
        hint = join_hints(
            hint, f"ImageJ plays the stack at {rate:g} frames/s, which is not a calibration"
        )
    known = pixel is not None or interval is not None
    return Calibration(pixel, interval, None, "ImageJ" if known else "unknown", hint)


def resolution_hint(x_per_unit: float | None, unit: str) -> str | None:
    """Return what a TIFF's bare resolution would mean; it is too often a print resolution.

    Parameters
    ----------
    x_per_unit
        Pixels in one `unit`.
    unit
        "inch" or "cm"; anything else gives None.
    """
    factor = {"inch": UM_PER_INCH, "cm": 1e4}.get(unit)
    if factor is None or not x_per_unit or x_per_unit <= 1:
        return None
    per_inch = x_per_unit * UM_PER_INCH / factor
    if is_print_resolution(per_inch):
        return f"the print resolution is {per_inch:.0f} dpi, which is not a calibration"
    return (
        f"the TIFF resolution would mean {factor / x_per_unit:.6g} um a pixel, "
        "but nothing says that it is a calibration: give the pixel size if it is right"
    )


def ome_calibration(
    xml: str, image: int, time_axis: str | None, channel: int, plane: int, frames: int
) -> Calibration:
    """Return the calibration that OME-XML states for one image.

    Parameters
    ----------
    xml
        The OME-XML document.
    image
        Index of the image in the document.
    time_axis
        The OME axis that is read as time ("T", or "Z" for a stack that only has Z).
    channel, plane
        Indices of the channel and Z-plane whose frame times are taken.
    frames
        Number of frames; the times are used only if each frame has one.
    """
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return Calibration(hint="the OME metadata cannot be read")
    pixels = [element for element in root.iter() if _tag(element) == "Pixels"]
    if image >= len(pixels):
        return Calibration()
    stated = pixels[image]
    pixel, hint = square_pixel(
        _with_unit(stated, "PhysicalSizeX", "µm", micrometres),
        _with_unit(stated, "PhysicalSizeY", "µm", micrometres),
    )
    interval = _with_unit(stated, "TimeIncrement", "s", seconds)

    axis = "TheZ" if time_axis == "Z" else "TheT"
    wanted = {"TheC": channel, "TheZ": plane, "TheT": 0}
    del wanted[axis]
    times: dict[int, float] = {}
    for element in stated:
        if _tag(element) != "Plane" or any(
            element.get(key, "0") != str(value) for key, value in wanted.items()
        ):
            continue
        time = _with_unit(element, "DeltaT", "s", seconds, minimum=-math.inf)
        if time is not None and element.get(axis, "").isdigit():
            times[int(element.get(axis, ""))] = time
    found = Calibration(pixel, interval, None, "unknown", hint)
    if all(frame in times for frame in range(frames)):
        found = with_times(found, np.array([times[frame] for frame in range(frames)]))
    known = found.pixel_size_um is not None or found.frame_interval_s is not None
    return replace(found, source="OME" if known else "unknown")


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _with_unit(
    element: Any,
    name: str,
    default_unit: str,
    factor_of: Callable[[str], float | None],
    minimum: float = 0.0,
) -> float | None:
    try:
        value = float(element.get(name))
    except (TypeError, ValueError):
        return None
    factor = factor_of(element.get(f"{name}Unit", default_unit))
    if factor is None or not math.isfinite(value) or value <= minimum:
        return None
    return value * factor


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None

"""Numbers with their intervals and units, as text for axes, legends and reports."""

import math
import re
from dataclasses import dataclass
from typing import Protocol

MICRO = "µ"
SQUARED = "²"
MINUS = "\N{MINUS SIGN}"

_DISPLAY = {
    "um": f"{MICRO}m",
    "um^2": f"{MICRO}m{SQUARED}",
    "px^2": f"px{SQUARED}",
    "um^2/s": f"{MICRO}m{SQUARED}/s",
    "px^2/frame": f"px{SQUARED}/frame",
    "um^2/s^alpha": f"{MICRO}m{SQUARED}/s\N{MODIFIER LETTER SMALL ALPHA}",
    "px^2/frame^alpha": f"px{SQUARED}/frame\N{MODIFIER LETTER SMALL ALPHA}",
    "1": "",
}


@dataclass(frozen=True)
class Units:
    """Units of length and time on the axes.

    Attributes
    ----------
    length : str
        ``um`` or ``px``.
    time : str
        ``s`` or ``frame``.
    """

    length: str
    time: str

    @property
    def time_axis(self) -> str:
        """The unit of time on an axis: ``s`` or ``frames``."""
        return "frames" if self.time == "frame" else self.time


UM_S = Units("um", "s")
PX_FRAME = Units("px", "frame")


class IntervalLike(Protocol):
    """An estimate with its 95% interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def unit(self) -> str: ...


class OffsetLike(IntervalLike, Protocol):
    """An estimate with the offset of the two-dimensional MSD that goes with it."""

    @property
    def offset(self) -> float: ...


class AnomalousLike(Protocol):
    """Anomalous diffusion, MSD = 4 K t^alpha + offset; the offset is that of K."""

    @property
    def alpha(self) -> IntervalLike: ...
    @property
    def K(self) -> OffsetLike: ...  # noqa: N802 - the physics writes K


def display_unit(unit: str) -> str:
    """Return a unit as people write it: ``um^2/s`` becomes µm²/s, ``1`` nothing.

    A unit that is not known comes back as it is.
    """
    return _DISPLAY.get(unit, unit)


def display_sentence(text: str) -> str:
    """Return a sentence with its units as people write them: ``2 um^2/s`` becomes 2 µm²/s."""
    text = re.sub(r"\b(um|px)\^2(?![\w^])", lambda found: display_unit(found[0]), text)
    text = text.replace(" +- ", " ± ")
    return re.sub(r"(?<=\d )um(?=[\s/,;:)]|\.?$|\.\s)", _DISPLAY["um"], text)


def with_interval(value: float, low: float, high: float, unit: str) -> str:
    """Return ``0.402 µm²/s (95%: 0.385 to 0.419)`` with the digits that the interval allows.

    Parameters
    ----------
    value, low, high : float
        The estimate and its 95% interval; an interval that is not finite is left out, and a
        value that is not is "not known".
    unit : str
        As in the tables, such as ``um^2/s``.
    """
    if not math.isfinite(value):
        return "not known"
    digits = _decimals(value, low, high)
    text = f"{_plain(value, digits)} {display_unit(unit)}".strip()
    if math.isfinite(low) and math.isfinite(high):
        text += f" (95%: {_plain(low, digits)} to {_plain(high, digits)})"
    return text


def _decimals(value: float, low: float, high: float) -> int:
    """Return the decimals that show two digits of half the interval, or three of the value."""
    half = (high - low) / 2
    if math.isfinite(half) and half > 0:
        of_interval = 1 - math.floor(math.log10(half))
        if value == 0:
            return of_interval
        # A wide interval may not round the value itself away.
        of_value = 1 - math.floor(math.log10(abs(value)))
        return min(max(of_interval, of_value), of_interval + 2)
    if value != 0:
        return 2 - math.floor(math.log10(abs(value)))
    return 2


def _plain(number: float, decimals: int) -> str:
    """Return a number without an exponent where it fits, with a true minus sign."""
    if number == 0 and decimals > 6:
        return "0"
    if decimals > 6:
        text = f"{number:.{max(0, decimals + math.floor(math.log10(abs(number))))}e}"
    else:
        text = f"{round(number, decimals):.{max(0, decimals)}f}"
    return text.replace("-", MINUS)

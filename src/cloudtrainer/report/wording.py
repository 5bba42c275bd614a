"""How a methods section says numbers, and how it groups the recordings that it is about."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Summary = Mapping[str, Any]


def span(values: Iterable[float], form: str = "") -> str:
    """Return what all values are, ``0.1``, or from the least to the largest, ``0.1 to 0.2``.

    Parameters
    ----------
    values
        One or more finite numbers.
    form
        A format specification; default: whole numbers as they are, others with four digits.
    """
    ordered = sorted(values)
    least, most = (
        format(value, form or ("" if isinstance(value, int) else ".4g"))
        for value in (ordered[0], ordered[-1])
    )
    return least if least == most else f"{least} to {most}"


def counted(number: int, noun: str) -> str:
    """Return ``1 frame`` or ``1,200 frames``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def among(number: int, of: int) -> str:
    """Return in how many recordings something holds; nothing where it holds in all."""
    return "" if number == of else f" (in {number} of {of} recordings)"


def without_displacements(tracks: int, used: int, stride: int, border: bool) -> str:
    """Return how many tracks have no displacement that enters D, ``13 tracks have no ...``.

    Parameters
    ----------
    tracks, used : int
        All tracks, and those with a displacement that enters.
    stride : int
        Frames that a displacement is over.
    border : bool
        Whether displacements that begin near the border of the field of view were left out.

    Returns
    -------
    str
        Empty where there is none.
    """
    idle = tracks - used
    if idle <= 0:
        return ""
    over = f" over {stride} frames" if stride > 1 else ""
    away = " that begins away from the border of the field of view" if border else ""
    return f"{counted(idle, 'track')} {'has' if idle == 1 else 'have'} no displacement{over}{away}"


def grouped(things: Iterable[T], key: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    """Return the things by their key, in the order of the first of each."""
    groups: dict[Any, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return list(groups.items())


def calibrated(single: Summary) -> bool:
    """Return whether lengths and times are known."""
    calibration = single["calibration"]
    return calibration["pixel_size_um"] is not None and calibration["frame_interval_s"] is not None


def entry_of(summary: Summary, beginning: str) -> Mapping[str, Any] | None:
    """Return the first estimate whose name begins so; None where there is none."""
    measured = summary["measured"]
    found = measured[next(name for name in measured if name.startswith(beginning))]
    return found if found is None else dict(found)

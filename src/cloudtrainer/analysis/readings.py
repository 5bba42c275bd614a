"""The quantities of a summary that videos have in common, so that they can be averaged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from cloudtrainer.arguments import shown
from cloudtrainer.diffusion.videos import VideoValues
from cloudtrainer.figures import display_unit

_CLASSES = ("immobile", "hindered", "diffusive", "active", "undetermined")
# D of the ensemble, and what says how free the particles are; the others stand in the tables.
_LEADING = "by frame"


@dataclass(frozen=True)
class Quantity:
    """What is measured in a video.

    Attributes
    ----------
    key : str
        Its name in tables, with the time scale, the class and the weighting where it has them.
    label : str
        For people, without the unit.
    unit : str
        As in the tables, such as ``um^2/s``.
    positive : bool
        Whether it is positive by nature.
    lowest, highest : float
        Where it ends.
    leading : bool
        Whether it stands in a report; the others in the tables alone.
    """

    key: str
    label: str
    unit: str
    positive: bool = True
    lowest: float = 0.0
    highest: float = np.inf
    leading: bool = True

    @property
    def axis(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({display_unit(self.unit)})" if self.unit != "1" else self.label


@dataclass(frozen=True)
class Reading:
    """A quantity of one video with its 95% interval over particles, and their number."""

    value: float
    low: float
    high: float
    particles: float


Readings = Mapping[Quantity, Reading]


def readings(summary: Mapping[str, Any]) -> dict[Quantity, Reading]:
    """Return what a ``summary.json`` says of a video; what was not estimated is left out.

    Effective diffusivities of neighbouring time scales, such as 0.1 s and three frames of 0.0333 s,
    are the same quantity: their time scales are named with two digits.
    """
    measured = summary["measured"]
    found: dict[Quantity, Reading] = {}

    def add(quantity: Quantity, entry: Mapping[str, Any] | None, of: str = "value") -> None:
        if entry is None:
            return
        ends = "" if of == "value" else f"{of}_"
        value, low, high = (_number(entry.get(n)) for n in (of, f"{ends}low", f"{ends}high"))
        if np.isfinite(value):
            particles = _number(entry.get("particles"))
            found.setdefault(quantity, Reading(value, low, high, particles))

    for name, entry in measured.items():
        if name.startswith("D_") and name != "D_spread":
            unit = "um^2/s" if name == "D_um2_per_s" else "px^2/frame"
            add(Quantity("D", "D", unit), entry)
        elif name.startswith("K_"):
            calibrated = name.startswith("K_um")
            at = "1 s" if calibrated else "1 frame"
            unit = "um^2/s^alpha" if calibrated else "px^2/frame^alpha"
            add(Quantity("K", f"K, MSD / 4 at {at}", unit), entry)
    add(Quantity("alpha", "alpha", "1", positive=False), measured["alpha"])
    _add_mobility(summary.get("mobility") or {}, add)
    return found


def _add_mobility(mobility: Mapping[str, Any], add: Any) -> None:
    for weighting in ("by frame", "by particle"):
        name, leading = weighting.replace(" ", "_"), weighting == _LEADING
        for row in mobility.get("effective_diffusivity_um2_per_s", ()):
            time = f"{row['time_scale_s']:.2g} s"
            add(
                Quantity(
                    f"effective diffusivity {time} {weighting}",
                    f"D effective at {time}, {weighting}", "um^2/s",
                    lowest=-np.inf, leading=leading,
                ),
                row, f"mean_{name}",
            )  # fmt: skip
        total = mobility.get("tracks")
        for kind in _CLASSES:
            rows = [row for row in mobility.get("fractions", ()) if row["class"] == kind]
            for row in rows:
                add(
                    Quantity(
                        f"fraction {kind} {weighting}", f"fraction {kind}, {weighting}", "1",
                        positive=False, highest=1.0, leading=leading and kind == "immobile",
                    ),
                    {**row, "particles": total}, name,
                )  # fmt: skip
        for row in mobility.get("fastest_tenth_um2_per_s", ()):
            if f"by {row['weighting']}" == weighting:
                time = f"{row['time_scale_s']:.2g} s"
                known = np.isfinite(_number(row.get("without_noise")))
                of = "" if known else "as observed "
                add(
                    Quantity(
                        f"fastest tenth {of}{time} {weighting}",
                        f"D effective of the fastest 10 % {of}at {time}, {weighting}", "um^2/s",
                        lowest=-np.inf, leading=False,
                    ),
                    row, "without_noise" if known else "as_observed",
                )  # fmt: skip


def quantities_of(videos: Iterable[Readings]) -> list[Quantity]:
    """Return all quantities that a video has, the leading ones first, in the order of a report."""
    found = dict.fromkeys(quantity for video in videos for quantity in video)
    return sorted(found, key=lambda one: (not one.leading, *_place(one)))


def _place(quantity: Quantity) -> tuple[int, float]:
    kinds = ("D", "alpha", "K", "effective", "fraction", "fastest")
    words = quantity.key.split()
    time = next((float(word) for word in words if word[0].isdigit()), 0.0)
    return kinds.index(words[0]), time


def together(quantity: Quantity, videos: Sequence[Readings]) -> VideoValues:
    """Return a quantity of several videos; those without it are left out."""
    there = [video[quantity] for video in videos if quantity in video]

    def column(name: str) -> Any:
        return np.array([getattr(one, name) for one in there], dtype=np.float64)

    return VideoValues(
        column("value"),
        column("low"),
        column("high"),
        np.nan_to_num(column("particles")),
        quantity.positive,
        quantity.lowest,
        quantity.highest,
    )


def _number(value: object) -> float:
    """Return a number of a summary; NaN where there is none, or it is infinite, as in its file.

    Raises
    ------
    TypeError
        It is something else.
    OverflowError
        It is a whole number that is too large.
    """
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{shown(value)} is no number")
    return float(value) if np.isfinite(float(value)) else float("nan")

"""The report of a comparison, and its methods for a paper."""

import numpy as np

from cloudtrainer.analysis.conditions.compare import Comparison, Pair
from cloudtrainer.analysis.conditions.wording import (
    spoken_mean,
    spoken_names,
    spoken_p,
    spoken_value,
)
from cloudtrainer.analysis.readings import Quantity, Reading
from cloudtrainer.analysis.summary import spoken_motion
from cloudtrainer.figures import with_interval
from cloudtrainer.report import Headline, Report, ReportFigure, ReportTable
from cloudtrainer.report.references import References
from cloudtrainer.report.wording import counted
from cloudtrainer.version import __version__

_MOST_HEADLINES = 4


def comparison_report(comparison: Comparison, png: bytes) -> Report:
    """Return the report of a comparison; ``png`` is its figure."""
    heading = "Each video, and the mean over videos"
    return Report(
        title=f"{', '.join(comparison.conditions[:-1])} and {comparison.conditions[-1]} compared",
        subtitle="The video is the replicate: tracks of one video are not independent.",
        headline=_headline(comparison),
        warnings=comparison.warnings,
        figures=(
            ReportFigure(
                heading=heading,
                caption="Points are videos with their 95% intervals over particles, diamonds means "
                "over videos with their 95% intervals over videos, of which one video has "
                "none. An interval that leaves the picture is cut off.",
                png=png,
                alt=heading,
            ),
        ),
        tables=(
            _means_table(comparison),
            _pairs_table(comparison),
            _videos_table(comparison),
        ),
        methods=comparison_methods(comparison),
        provenance={
            "videos": {one.name: one.summary["video"]["sha256"] for one in comparison.recordings},
            "version": __version__,
        },
    )


def _headline(comparison: Comparison) -> tuple[Headline, ...]:
    """Return D of each condition, and the first ratio."""
    D = next((one for one in comparison.quantities if one.key == "D"), None)
    if D is None:
        return (Headline("D", "not compared", "", "no two conditions have one"),)
    told = []
    for condition in comparison.conditions[:_MOST_HEADLINES]:
        mean = comparison.means[D, condition]
        value, interval = _parted(spoken_mean(mean, D.unit))
        told.append(Headline(f"D, {condition}", value, interval, counted(mean.videos, "video")))
    pairs = [one for one in comparison.pairs if one.quantity == D]
    if len(pairs) == 1:
        value, interval = _parted(spoken_value(pairs[0]))
        p_value = spoken_p(pairs[0].contrast.p_value)
        told.append(
            Headline(
                spoken_names(pairs[0]),
                value,
                interval,
                "; ".join(filter(None, (p_value, pairs[0].contrast.reason))),
            )
        )
    return tuple(told)


def _parted(text: str) -> tuple[str, str]:
    value, _, interval = text.partition(" (95%: ")
    return value, f"95% interval {interval.rstrip(')')}" if interval else ""


def _means_table(comparison: Comparison) -> ReportTable:
    rows = []
    for quantity in comparison.leading:
        for condition in comparison.conditions:
            mean = comparison.means[quantity, condition]
            between = comparison.between(quantity, condition)
            rows.append(
                (
                    quantity.label,
                    condition,
                    mean.videos,
                    spoken_mean(mean, quantity.unit),
                    f"{between:.2g}" if np.isfinite(between) else None,
                    mean.by_particles,
                )
            )
    return ReportTable(
        "Conditions",
        (
            "quantity",
            "condition",
            "videos",
            "mean over videos",
            "scatter between videos",
            "weighted by particles",
        ),
        tuple(rows),
        "In brackets: 95% intervals over videos, then their particles; of one video over its "
        "particles alone. Scatter between videos: standard deviation beyond what their particles "
        "explain, from three videos on. Weighted by particles: what all tracks in one pot would "
        "give, for comparison. K is compared as a number: MSD / 4 at 1 s (or 1 frame).",
    )


def _pairs_table(comparison: Comparison) -> ReportTable:
    several = len(comparison.conditions) > 2
    pairs = [one for one in comparison.pairs if one.quantity.leading]
    unsaid = ("why no ratio or p",) if any(one.contrast.reason for one in pairs) else ()
    rows = [
        (
            pair.quantity.label,
            spoken_names(pair),
            spoken_value(pair),
            _p_cell(pair.contrast.p_value),
            *((_p_cell(pair.adjusted_p_value),) if several else ()),
            *((pair.contrast.reason or None,) if unsaid else ()),
        )
        for pair in pairs
    ]
    adjusted = ("p, adjusted",) if several else ()
    note = (
        "Ratios are of geometric means. Welch's test over videos, from three of each: of "
        "logarithms for ratios. The same videos are tested in each row: decide before which "
        "quantity answers your question."
    )
    if several:
        note += " Adjusted: for the number of pairs of a quantity, by Holm's method."
    return ReportTable(
        "Between conditions",
        ("quantity", "conditions", "ratio or difference", "p", *adjusted, *unsaid),
        tuple(rows),
        note,
    )


def _p_cell(p_value: float) -> str | None:
    return spoken_p(p_value).removeprefix("p = ").removeprefix("p ") or None


def _videos_table(comparison: Comparison) -> ReportTable:
    rows = []
    for one in comparison.recordings:
        named = {quantity.key: (quantity, value) for quantity, value in one.readings.items()}
        rows.append(
            (
                one.condition,
                one.name,
                *(_cell(named.get(name)) for name in ("D", "alpha")),
                one.summary["measured"].get("tracks"),
                spoken_motion(one.summary["measured"]),
                len(one.summary["warnings"]),
            )
        )
    return ReportTable(
        "Each video",
        ("condition", "video", "D", "alpha", "tracks", "kind of motion", "warnings"),
        tuple(rows),
        "In brackets: 95% intervals over the particles of the video. Its warnings are in its own "
        "report.",
    )


def _cell(found: tuple[Quantity, Reading] | None) -> str:
    if found is None:
        return "not estimated"
    quantity, value = found
    return with_interval(value.value, value.low, value.high, quantity.unit)


def comparison_methods(comparison: Comparison) -> str:
    """Return what was done and found, for the methods of a paper."""
    references = References()
    numbers = [len(comparison.of(condition)) for condition in comparison.conditions]
    named = ", ".join(
        f"{condition} (n = {number} videos)" if number != 1 else f"{condition} (n = 1 video)"
        for condition, number in zip(comparison.conditions, numbers, strict=True)
    )
    done = [
        f"Conditions were compared with the video as the replicate, cloudtrainer {__version__}: "
        f"{named}.",
        "Values of a condition are means over its videos, each with equal weight. Their 95% "
        "intervals are those of a bootstrap over videos, with Student's t, or, where that is "
        f"wider, over the particles of the videos {references.cite('efron')}"
        + ("; of a single video over its particles." if 1 in numbers else "."),
    ]
    tested = [one for one in comparison.pairs if np.isfinite(one.contrast.p_value)]
    if tested:
        text = (
            "Conditions were tested for equal means, of logarithms for ratios, by Welch's test "
            f"over videos {references.cite('welch')}, two-sided; a p-value is never smaller than "
            "that of the particles' uncertainty alone"
        )
        if len(comparison.conditions) > 2:
            text += ", and is adjusted for the number of pairs by Holm's method"
        done.append(f"{text}.")
    if any(number < 3 for number in numbers):
        done.append("Conditions with fewer than three videos were not tested.")
    found = [_sentence(one) for one in comparison.pairs if one.quantity.key in ("D", "alpha")]
    parts = [" ".join(done), " ".join(one for one in found if one)]
    parts.append("\n".join(["References", *references.lines()]))
    return "\n\n".join(part for part in parts if part)


def _sentence(pair: Pair) -> str:
    if not np.isfinite(pair.contrast.value):
        return ""
    value = spoken_value(pair).replace("(95%:", "(95% interval")
    p_value = spoken_p(pair.adjusted_p_value)
    freedom = pair.contrast.degrees_of_freedom
    told = f", {p_value} ({freedom:.2g} degrees of freedom)" if p_value else ", not tested"
    label = pair.quantity.label
    if pair.contrast.kind == "ratio":
        return f"{label} of {pair.first} was {value} times that of {pair.second}{told}."
    return f"{label} of {pair.first} less that of {pair.second} was {value}{told}."

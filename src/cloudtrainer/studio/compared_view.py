"""What a comparison of conditions found: its figure, its numbers, its warnings."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

if TYPE_CHECKING:
    from cloudtrainer.analysis.conditions import Comparison

_STYLE = (
    "<style>table{border-collapse:collapse;font-size:13px;margin:4px 0 10px}"
    "th,td{text-align:left;vertical-align:top;padding:3px 16px 3px 0;"
    "border-bottom:1px solid #e3e3e3}th{border-bottom-color:#222}"
    ".warnings{background:#fff8e1;border-left:4px solid #b26a00;padding:6px 12px;margin:6px 0}"
    ".warnings ul{margin:0;padding-left:18px}h3{font-size:14px;margin:8px 0 2px}"
    ".methods{font-size:13px;max-width:900px;white-space:pre-wrap}</style>"
)


class ComparedView:
    """The figure and the numbers of a comparison."""

    def __init__(self) -> None:
        self.picture = pn.pane.PNG(None, width=560)
        self.numbers = pn.pane.HTML("", sizing_mode="stretch_width")

    def show(self, comparison: "Comparison | None", png: bytes) -> None:
        """Show a comparison with its figure; None shows nothing."""
        if comparison is None:
            self.picture.object, self.numbers.object = None, ""
            return
        self.picture.object = png
        self.numbers.object = _STYLE + _warnings(comparison) + _numbers(comparison)


def _warnings(comparison: "Comparison") -> str:
    if not comparison.warnings:
        return ""
    from cloudtrainer.figures import display_sentence

    told = "".join(f"<li>{escape(display_sentence(one))}</li>" for one in comparison.warnings)
    return f'<div class="warnings"><ul>{told}</ul></div>'


def _numbers(comparison: "Comparison") -> str:
    from cloudtrainer.analysis.conditions.document import comparison_methods
    from cloudtrainer.analysis.conditions.wording import (
        spoken_mean,
        spoken_names,
        spoken_p,
        spoken_value,
    )

    means = [
        [
            quantity.label,
            *(
                spoken_mean(comparison.means[quantity, name], quantity.unit)
                for name in comparison.conditions
            ),
        ]
        for quantity in comparison.leading
    ]
    pairs = [
        [
            one.quantity.label,
            spoken_names(one),
            spoken_value(one),
            "; ".join(
                filter(
                    None,
                    (spoken_p(one.adjusted_p_value) or "no test", one.contrast.reason),
                )
            ),
        ]
        for one in comparison.pairs
        if one.quantity.leading
    ]
    p_value = "p, adjusted for the pairs" if len(comparison.conditions) > 2 else "p, over videos"
    return (
        "<h3>Means over videos</h3>"
        + _table(["", *comparison.conditions], means)
        + "<h3>Between conditions</h3>"
        + _table(["", "", "ratio or difference", p_value], pairs)
        + "<h3>Methods, for a paper</h3>"
        + f'<div class="methods">{escape(comparison_methods(comparison))}</div>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"

"""The figure of a comparison."""

from typing import TYPE_CHECKING

import numpy as np

from cloudtrainer.analysis.conditions.compare import Comparison, values_of
from cloudtrainer.analysis.conditions.wording import spoken_pair
from cloudtrainer.analysis.readings import Quantity
from cloudtrainer.figures.conditions import ConditionPoints, ConditionsPanel, conditions_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_conditions(comparison: Comparison) -> "Figure":
    """Draw D, alpha, the effective diffusivity at the longest time, and the immobile fraction."""
    return conditions_figure([_panel(comparison, one) for one in _shown(comparison)])


def _shown(comparison: Comparison) -> list[Quantity]:
    leading = comparison.leading
    effective = [one for one in leading if one.key.startswith("effective")]
    # Where no video has an immobile particle there is nothing to see.
    immobile = [
        one for one in leading
        if one.key.startswith("fraction")
        and any(comparison.means[one, name].value > 0 for name in comparison.conditions)
    ]  # fmt: skip
    return [
        *(one for one in leading if one.key in ("D", "alpha")), *effective[-1:], *immobile
    ]  # fmt: skip


def _panel(comparison: Comparison, quantity: Quantity) -> ConditionsPanel:
    groups = []
    for condition in comparison.conditions:
        found = values_of(comparison, quantity, condition)
        mean = comparison.means[quantity, condition]
        ends = np.array([mean.value, mean.low, mean.high])
        groups.append(
            ConditionPoints(
                condition, found.value, found.low, found.high,
                (float(ends[0]), float(ends[1]), float(ends[2])),
            )
        )  # fmt: skip
    pairs = [pair for pair in comparison.pairs if pair.quantity == quantity]
    title = spoken_pair(pairs[0]) if len(pairs) == 1 else ""
    return ConditionsPanel(quantity.axis, title, tuple(groups))

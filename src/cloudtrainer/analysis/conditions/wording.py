"""How means, ratios and p-values of a comparison are said."""

import numpy as np

from cloudtrainer.analysis.conditions.compare import Pair
from cloudtrainer.diffusion.videos import MeanOverVideos
from cloudtrainer.figures import with_interval


def spoken_mean(mean: MeanOverVideos, unit: str) -> str:
    """Return a mean with its interval and unit."""
    if not np.isfinite(mean.value):
        return "not estimated"
    return with_interval(mean.value, mean.low, mean.high, unit)


def spoken_value(pair: Pair) -> str:
    """Return a ratio or difference with its interval."""
    found = pair.contrast
    if not np.isfinite(found.value):
        return "not estimated"
    unit = "1" if found.kind == "ratio" else pair.quantity.unit
    return with_interval(found.value, found.low, found.high, unit)


def spoken_names(pair: Pair) -> str:
    """Return ``drug / control`` or ``drug - control``."""
    sign = "/" if pair.contrast.kind == "ratio" else "\N{MINUS SIGN}"
    return f"{pair.first} {sign} {pair.second}"


def spoken_p(p_value: float) -> str:
    """Return ``p = 0.012`` with two digits, or nothing where there is none."""
    if not np.isfinite(p_value):
        return ""
    if p_value < 1e-4:
        return "p < 0.0001"
    return f"p = {p_value:.2g}"


def spoken_pair(pair: Pair) -> str:
    """Return names, value and p-value of a pair on two short lines."""
    p_value = spoken_p(pair.adjusted_p_value) or "not tested"
    return f"{spoken_names(pair)}: {spoken_value(pair)}\n{p_value}"

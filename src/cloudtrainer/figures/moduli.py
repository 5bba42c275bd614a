"""Storage and loss modulus against the angular frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudtrainer.errors import LabelError
from cloudtrainer.figures.style import (
    BAND_ALPHA,
    BLUE,
    PANEL_HEIGHT,
    VERMILLION,
    log_axis,
    new_figure,
    panels,
    sentence_figure,
    styled,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_WIDTH, _SPAN = 6.2, 1e4
_FREQUENCY = "angular_frequency_rad_per_s"


@styled
def moduli_figure(moduli: pd.DataFrame) -> Figure:
    """Show G' and G'' with their 95% intervals on logarithmic axes.

    Parameters
    ----------
    moduli : DataFrame
        Columns ``angular_frequency_rad_per_s`` and, in Pa, ``storage_modulus_Pa, storage_low_Pa,
        storage_high_Pa, loss_modulus_Pa, loss_low_Pa, loss_high_Pa``. A modulus that is not
        positive has no place on the axis and is left out.

    Raises
    ------
    LabelError
        The table lacks a column.
    """
    names = [f"{kind}_{part}_Pa" for kind in ("storage", "loss") for part in
             ("modulus", "low", "high")]  # fmt: skip
    missing = [name for name in (_FREQUENCY, *names) if name not in moduli.columns]
    if missing:
        raise LabelError(f"the moduli have no column {', '.join(missing)}")
    known = moduli[["storage_modulus_Pa", "loss_modulus_Pa"]].to_numpy(float)
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        return sentence_figure("No modulus is positive: the tracks are too short or too few.")
    figure = new_figure(_WIDTH, PANEL_HEIGHT + 0.8)
    (ax,) = panels(figure, 1)
    frequency = moduli[_FREQUENCY].to_numpy(float)
    # A modulus that chance leaves close to zero is not to press the others together.
    floor, ceiling = max(known.min() / 3, known.max() / _SPAN), known.max() * 3
    for kind, sign, label, color in (
        ("storage", "o-", "G\N{PRIME}, storage", BLUE),
        ("loss", "s--", "G\N{DOUBLE PRIME}, loss", VERMILLION),
    ):
        value, low, high = (
            moduli[f"{kind}_{part}_Pa"].to_numpy(float) for part in ("modulus", "low", "high")
        )
        shown = np.isfinite(high) & (high > floor)
        ax.fill_between(
            frequency, np.clip(low, floor, ceiling), np.clip(high, floor, ceiling), where=shown,
            color=color, alpha=BAND_ALPHA, linewidth=0,
        )  # fmt: skip
        ax.plot(
            frequency, np.where(value > 0, value, np.nan), sign, color=color, markersize=4,
            label=label,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ends = float(frequency.min() / 1.25), float(frequency.max() * 1.25)
    ax.set_xlim(*ends)
    ax.set_ylim(floor, ceiling)
    log_axis(ax.xaxis, *ends)
    log_axis(ax.yaxis, floor, ceiling)
    ax.set_xlabel("angular frequency (rad/s)")
    ax.set_ylabel("shear modulus (Pa)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure

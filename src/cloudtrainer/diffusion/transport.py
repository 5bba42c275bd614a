"""How a particle is transported: immobile, hindered, diffusive or active, or not to be told."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.arguments import number
from cloudtrainer.errors import ConfigError

CLASSES = ("immobile", "hindered", "diffusive", "active", "undetermined")
# From a 95% interval to one of 99%, where the quantiles are normal: as in `motion_type`, one
# Brownian particle in a hundred is then called something else.
_TO_99 = 2.576 / 1.960


@dataclass(frozen=True)
class TransportLimits:
    """Where the classes of transport part.

    Attributes
    ----------
    immobile_um : float
        A particle that moves, and whose root mean square displacement in the reference time,
        without localisation error, is below this is immobile, um. 0.01: the resolution that Suh,
        Dawson & Hanes 2005 (Adv. Drug Deliv. Rev. 57, 63) take, for 1 s.
    unresolved_um : float
        A particle whose motion cannot be told from localisation error is immobile if its track
        excludes a larger displacement in the reference time than this, um, and undetermined
        otherwise.
    hindered_below, active_above : float
        A moving particle is hindered if its exponent is below the first and differs from 1, active
        if it is above the second and differs from 1, both at the 1% level; otherwise diffusive.
    widest_interval : float
        With a wider 95% interval of the exponent, a particle that differs from neither is
        undetermined.
    slope_immobile, slope_hindered, slope_diffusive : float
        Upper limits of the classes by the slope of log MSD alone, without regard to localisation
        error and chance: those that the program MPTHub comes with (0.2, 0.9, 1.2).
    """

    immobile_um: float = 0.01
    unresolved_um: float = 0.1
    hindered_below: float = 0.9
    active_above: float = 1.1
    widest_interval: float = 1.2
    slope_immobile: float = 0.2
    slope_hindered: float = 0.9
    slope_diffusive: float = 1.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number(field.name, value, above=True)
        if not self.hindered_below <= 1 <= self.active_above:
            raise ConfigError(
                f"hindered_below {self.hindered_below:g} and active_above {self.active_above:g}: "
                "must lie on both sides of 1"
            )
        if not self.slope_immobile < self.slope_hindered < self.slope_diffusive:
            raise ConfigError("slope_immobile, slope_hindered and slope_diffusive: must ascend")


def classify(
    estimates: pd.DataFrame, reference_s: float, limits: TransportLimits
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the class of each particle, and why where it is undetermined.

    Parameters
    ----------
    estimates : DataFrame
        Columns ``D, D_low, D_high`` (um^2/s) and ``alpha, alpha_low, alpha_high``, a row a
        particle: maximum-likelihood estimates with a localisation error of their own for each.
    reference_s : float
        Time in which displacements are compared with the limits, s.
    limits : TransportLimits

    Notes
    -----
    A particle that does not move gives, with its localisation error, a flat MSD, and any exponent
    once an error is subtracted that is not exactly its own. So the motion is tested before the
    exponent is looked at: D = 0 by likelihood ratio, with the error a free parameter of each track.
    """
    D, low, high = (estimates[name].to_numpy(np.float64) for name in ("D", "D_low", "D_high"))
    alpha, alpha_low, alpha_high = (
        estimates[name].to_numpy(np.float64) for name in ("alpha", "alpha_low", "alpha_high")
    )
    # An exponent at an end of the searched range has no value, and an interval open to that end.
    at_end = np.where(alpha_low < 2 - alpha_high, alpha_low, alpha_high)
    alpha = np.where(np.isnan(alpha), at_end, alpha)
    told = np.full(len(estimates), "diffusive", dtype=object)
    why = np.full(len(estimates), "", dtype=object)
    with np.errstate(invalid="ignore"):
        still = ~(low > 0)
        hindered = (alpha < limits.hindered_below) & (alpha + _TO_99 * (alpha_high - alpha) < 1)
        active = (alpha > limits.active_above) & (alpha - _TO_99 * (alpha - alpha_low) > 1)
        vague = ~(alpha_high - alpha_low <= limits.widest_interval)
        unresolved = ~(4 * high * reference_s < limits.unresolved_um**2)
        small = ~still & (4 * D * reference_s < limits.immobile_um**2)
    told[vague] = "undetermined"
    why[vague] = "too short for its exponent"
    told[hindered], told[active] = "hindered", "active"
    told[still & unresolved] = "undetermined"
    why[still & unresolved] = "its motion is not told from localisation error, nor excluded"
    immobile = (still & ~unresolved) | small
    told[immobile] = "immobile"
    unknown = ~np.isfinite(D)
    told[unknown] = "undetermined"
    why[unknown] = "too short, or the same position in every frame"
    why[told != "undetermined"] = ""
    return told.astype(np.str_), why.astype(np.str_)


def by_slope(slope: NDArray[np.float64], limits: TransportLimits) -> NDArray[np.str_]:
    """Return the class that the slope of log MSD alone would give each particle."""
    ends = [limits.slope_immobile, limits.slope_hindered, limits.slope_diffusive]
    names = np.array(CLASSES)
    place = np.where(np.isfinite(slope), np.searchsorted(ends, slope, side="right"), 4)
    return np.asarray(names[place], dtype=np.str_)

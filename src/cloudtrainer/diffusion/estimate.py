"""What an estimate is: a number, its uncertainty, and how both were made."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

# How an interval is asked for: over particles drawn anew, or by the likelihood.
Interval = Literal["bootstrap", "model"]
# From this ratio of the two standard errors of an ensemble on, its particles differ.
PARTICLES_DIFFER = 1.5
# A share of D that linking took is told from this on.
LEAST_LOST = 0.001


@dataclass(frozen=True)
class Estimate:
    """One estimated quantity with its 95% interval.

    Attributes
    ----------
    value : float
        The estimate in `unit`; NaN when there is none, and then `reason` says why.
    standard_error : float
        Standard error by the method named in `interval`.
    low, high : float
        95% interval.
    method : str
        ``mle`` (maximum likelihood) or ``cve`` (covariance-based).
    unit : str
        ``um^2/s``, ``px^2/frame``, ``um^2/s^alpha`` or ``1``.
    interval : str
        How `standard_error`, `low` and `high` were made: ``bootstrap`` over particles, or
        ``model`` (the likelihood, all particles alike); with the reason where it is not the
        one that was asked for.
    model_standard_error : float
        Standard error by the likelihood alone. A `standard_error` over 1.5 times this one says
        that the particles differ, or that the model does not describe them.
    offset : float
        Offset of the two-dimensional MSD, 4 s = 4 sigma^2 - 8 R D dt, in `length_unit` squared;
        it may be negative.
    localisation_error : float or None
        Localisation error sigma per axis in `length_unit`; None while the exposure is unknown,
        because only the offset can then be told; 0 where its square comes out negative.
    length_unit : str
        ``um`` or ``px``.
    particles, displacements : int
        What the estimate rests on.
    degrees_of_freedom : float
        Of the standard error, for Student's t: particles less 1 where all tracks are equally long,
        fewer where a few long ones count most; infinite where the interval is the model's.
    stride : int
        Frames in one step: 1, or more for an estimate from long lags.
    near_border : float
        Share of the tracks' displacements that begin near the border of the field of view. They are
        left out (`with_distance_to_border`), unless they are more than three quarters; 0 where it
        is not known where the border is.
    links_lost : float
        Share of D that linking took, because particles that came close were exchanged; it has been
        put back into `value` and the interval. 0 where nothing was, and for other quantities; NaN
        where so much was lost that it was not put back.
    reason : str or None
        Why there is no estimate.
    """

    value: float
    standard_error: float
    low: float
    high: float
    method: str
    unit: str
    interval: str
    model_standard_error: float
    offset: float
    localisation_error: float | None
    length_unit: str
    particles: int
    displacements: int
    degrees_of_freedom: float = float("inf")
    stride: int = 1
    near_border: float = 0.0
    links_lost: float = 0.0
    reason: str | None = None

    @property
    def spread_ratio(self) -> float:
        """`standard_error` over `model_standard_error`; above 1.5 the particles differ.

        NaN where the interval reaches 0: the likelihood's error means nothing at that boundary.
        """
        if not self.model_standard_error > 0 or not self.low > 0:
            return float("nan")
        return self.standard_error / self.model_standard_error

    def __str__(self) -> str:
        if not np.isfinite(self.value):
            return f"no estimate ({self.reason})"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}] {self.unit}"

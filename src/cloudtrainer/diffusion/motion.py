"""The kind of motion, decided by a test of alpha = 1 and never by the estimate alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cloudtrainer.diffusion.anomalous import AnomalousEstimate
from cloudtrainer.diffusion.estimate import Estimate

BROWNIAN = "Normal Brownian diffusion"
SUBDIFFUSIVE = "Sub-diffusive (confined/hindered)"
SUPERDIFFUSIVE = "Super-diffusive (active transport)"
UNDETERMINED = "Undetermined"

LEVEL = 0.01
# An interval of alpha wider than this, to either side, cannot call motion normal.
WIDEST_HALF_INTERVAL = 0.2
# A single track below this many displacements is not classified.
FEWEST_DISPLACEMENTS = 100


@dataclass(frozen=True)
class Motion:
    """What kind of motion the tracks show.

    Attributes
    ----------
    motion_type : str
        "Normal Brownian diffusion", "Sub-diffusive (confined/hindered)", "Super-diffusive
        (active transport)" or "Undetermined".
    motion_model : {"brownian", "anomalous", "undetermined"}
    p_value : float
        Of alpha = 1; NaN without an estimate.
    sentence : str
        Why.
    """

    motion_type: str
    motion_model: Literal["brownian", "anomalous", "undetermined"]
    p_value: float
    sentence: str


def motion_type(anomalous: AnomalousEstimate, short_lag: AnomalousEstimate | None = None) -> Motion:
    """Decide whether the exponent differs from 1, at the 1% level.

    Parameters
    ----------
    anomalous : AnomalousEstimate
        As `estimate_anomalous` gives it for an ensemble.
    short_lag : AnomalousEstimate or None
        The estimate from all displacements, where `anomalous` is from long lags because the
        displacements are correlated. Anomalous motion has one exponent at all lags; what
        compression or vibration adds has not, and then the kind of motion is undetermined.

    Notes
    -----
    Student's t of ``(alpha - 1) / standard_error`` with one degree of freedom less than there
    are particles; the normal distribution where the interval is the model's. With an unknown
    exposure the answer must be the same for a short and for a full exposure. Motion is called
    normal only where the 95% interval of alpha is within 0.2 of the estimate.
    """
    alpha = anomalous.alpha
    if not np.isfinite(alpha.value):
        return Motion(UNDETERMINED, "undetermined", float("nan"), f"No exponent: {alpha.reason}.")
    p_value = _probability(alpha, alpha.value)
    found = f"alpha = {alpha.value:.2f} (95% interval {alpha.low:.2f} to {alpha.high:.2f})"
    if alpha.particles < 2 and alpha.displacements < FEWEST_DISPLACEMENTS:
        sentence = (
            f"{found}, from one track of {alpha.displacements} displacements: too few to tell "
            f"the kind of motion; it takes {FEWEST_DISPLACEMENTS}."
        )
        return Motion(UNDETERMINED, "undetermined", p_value, sentence)
    if p_value < LEVEL and short_lag is not None and not _agree(alpha, short_lag.alpha):
        sentence = (
            f"{found} at long lags, but {short_lag.alpha.value:.2f} from all displacements: no "
            "single exponent describes them, so the kind of motion is not decided."
        )
        return Motion(UNDETERMINED, "undetermined", p_value, sentence)
    if p_value < LEVEL:
        full = anomalous.alpha_full_exposure
        if full is not None and not (
            _probability(alpha, full) < LEVEL and (full < 1) == (alpha.value < 1)
        ):
            sentence = (
                f"{found} for a short exposure, {full:.2f} for a full one: give the exposure to "
                "tell the kind of motion."
            )
            return Motion(UNDETERMINED, "undetermined", p_value, sentence)
        kind = SUBDIFFUSIVE if alpha.value < 1 else SUPERDIFFUSIVE
        sentence = f"{found} differs from 1 (p = {p_value:.2g}, tested at 1%)."
        return Motion(kind, "anomalous", p_value, sentence)
    if max(alpha.high - alpha.value, alpha.value - alpha.low) > WIDEST_HALF_INTERVAL:
        sentence = f"{found} does not differ from 1, but is too uncertain to call motion normal."
        return Motion(UNDETERMINED, "undetermined", p_value, sentence)
    sentence = f"{found} does not differ from 1 at the 1% level (p = {p_value:.2g})."
    return Motion(BROWNIAN, "brownian", p_value, sentence)


def _agree(first: Estimate, second: Estimate) -> bool:
    """Return whether two exponents differ by less than two standard errors of their difference."""
    error = np.hypot(first.standard_error, second.standard_error)
    return bool(abs(first.value - second.value) < 2 * error)


def _probability(alpha: Estimate, value: float) -> float:
    """Return the two-sided p-value of alpha = 1, had `value` been found."""
    from scipy import stats

    if not alpha.standard_error > 0:
        return 1.0
    ratio = abs(value - 1) / alpha.standard_error
    if alpha.interval == "bootstrap":
        return float(2 * stats.t.sf(ratio, alpha.particles - 1))
    return float(2 * stats.norm.sf(ratio))

"""The kind of motion, decided by a test of alpha = 1 and never by the estimate alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cloudtrainer.arguments import shown
from cloudtrainer.diffusion.anomalous_ensemble import AnomalousEstimate
from cloudtrainer.diffusion.estimate import Estimate
from cloudtrainer.errors import ConfigError

BROWNIAN = "Normal Brownian diffusion"
SUBDIFFUSIVE = "Sub-diffusive (confined/hindered)"
SUPERDIFFUSIVE = "Super-diffusive (active transport)"
UNDETERMINED = "Undetermined"

LEVEL = 0.01
# Motion is normal only where the interval of alpha reaches no farther than this from 1.
FARTHEST_FROM_1 = 0.2
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
    has_exponent : bool
        Whether there is a value of alpha.
    """

    motion_type: str
    motion_model: Literal["brownian", "anomalous", "undetermined"]
    p_value: float
    sentence: str
    has_exponent: bool = True


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

    Raises
    ------
    ConfigError
        An estimate is none of `estimate_anomalous` for an ensemble.

    Notes
    -----
    Student's t of ``(alpha - 1) / standard_error`` with the degrees of freedom of the estimate; the
    normal distribution where the interval is the model's. With an unknown exposure the answer must
    be the same for a short and for a full exposure. Motion is called normal only where the 95%
    interval of alpha is within 0.2 of 1. Where alpha lies at an end of the searched range and has
    no value, the bootstrap samples beyond 1 are the test.
    """
    for name, given in (("anomalous", anomalous), ("short_lag", short_lag)):
        if not (isinstance(given, AnomalousEstimate) or (given is None and name == "short_lag")):
            raise ConfigError(
                f"{name} is {shown(given)}: give what estimate_anomalous returns for all tracks "
                "together"
            )
    alpha = anomalous.alpha
    few = alpha.particles < 2 and alpha.displacements < FEWEST_DISPLACEMENTS
    if not few and anomalous.p_beyond < LEVEL and short_lag is None and _same_side(anomalous):
        kind = SUBDIFFUSIVE if anomalous.end is not None and anomalous.end < 1 else SUPERDIFFUSIVE
        side = "below" if kind == SUBDIFFUSIVE else "above"
        sentence = (
            f"No exponent: {alpha.reason}. That it lies {side} 1 is sure all the same "
            f"(p = {anomalous.p_beyond:.2g} by the bootstrap, tested at 1%)."
        )
        return Motion(kind, "anomalous", anomalous.p_beyond, sentence, has_exponent=False)
    if not np.isfinite(alpha.value):
        sentence = f"No exponent: {alpha.reason}."
        if few and anomalous.end is not None:
            sentence += f" One track of {alpha.displacements} displacements is too few to tell."
        nan = float("nan")
        return Motion(UNDETERMINED, "undetermined", nan, sentence, has_exponent=False)
    p_value = _probability(alpha, alpha.value)
    found = f"alpha = {alpha.value:.2f} (95% interval {alpha.low:.2f} to {alpha.high:.2f})"
    if few:
        sentence = (
            f"{found}, from one track of {alpha.displacements} displacements: too few to tell "
            f"the kind of motion; it takes {FEWEST_DISPLACEMENTS}."
        )
        return Motion(UNDETERMINED, "undetermined", p_value, sentence)
    if p_value < LEVEL and short_lag is not None and not _agree(alpha, short_lag.alpha):
        short = short_lag.alpha
        other = f"{short.value:.2f}" if np.isfinite(short.value) else f"none ({short.reason})"
        sentence = (
            f"{found} at long lags, but {other} from all displacements: no "
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
    if max(alpha.high - 1, 1 - alpha.low) > FARTHEST_FROM_1:
        sentence = (
            f"{found} does not differ from 1 at the 1% level (p = {p_value:.2g}), but is too "
            "uncertain to call motion normal."
        )
        return Motion(UNDETERMINED, "undetermined", p_value, sentence)
    sentence = f"{found} does not differ from 1 at the 1% level (p = {p_value:.2g})."
    return Motion(BROWNIAN, "brownian", p_value, sentence)


def _same_side(anomalous: AnomalousEstimate) -> bool:
    """Return whether a full exposure would put alpha on the same side of 1."""
    full, end = anomalous.alpha_full_exposure, anomalous.end
    return end is not None and (full is None or (full < 1) == (end < 1))


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
        return float(2 * stats.t.sf(ratio, alpha.degrees_of_freedom))
    return float(2 * stats.norm.sf(ratio))

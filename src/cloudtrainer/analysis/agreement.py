"""Where two answers on the kind of motion agree: by the exponent, and by the likelihoods.

The exponent's test resamples the particles, and so holds for particles that differ.
"""

from dataclasses import replace

import pandas as pd

from cloudtrainer.diffusion import Motion, MotionClass
from cloudtrainer.diffusion.motion import BROWNIAN, SUBDIFFUSIVE, SUPERDIFFUSIVE, UNDETERMINED

# Single tracks are called another kind by chance in about 1%: a kind that is there has this share.
_LEAST_SHARE = 0.05
# Kinds by the likelihoods that go with each answer of the exponent's test.
_POSSIBLE = {
    BROWNIAN: ("brownian",),
    SUBDIFFUSIVE: ("confined", "anomalous", "immobile"),
    SUPERDIFFUSIVE: ("directed", "anomalous"),
    UNDETERMINED: ("immobile",),
}


def contradict(motion: Motion, found: MotionClass) -> bool:
    """Return whether both decided, and for kinds that exclude each other."""
    decided = motion.motion_type != UNDETERMINED and found.motion_model != "undetermined"
    return decided and found.motion_model not in _POSSIBLE[motion.motion_type]


def kinds_found(found: MotionClass, particles: pd.DataFrame) -> dict[str, float]:
    """Return the shares of the kinds where the tracks differ and are of several; else nothing."""
    counts = particles["motion_model"].value_counts()
    least = max(2.0, _LEAST_SHARE * len(particles))
    kinds = counts[(counts >= least) & (counts.index != "undetermined")]
    if not found.tracks_differ or len(kinds) < 2:
        return {}
    return {str(kind): float(count / len(particles)) for kind, count in counts.items()}


def agreed(motion: Motion, found: MotionClass) -> MotionClass:
    """Return the kind of motion: that of the exponent where the likelihoods disagree."""
    if found.motion_model in _POSSIBLE[motion.motion_type]:
        return found
    if found.motion_model == "undetermined" and not motion.has_exponent:
        return found
    nan = float("nan")
    said = found.sentence
    if found.tracks_differ:
        said += " These are in particles.csv (motion_model)."
    return replace(
        found,
        motion_model=motion.motion_model,
        confinement_radius=nan,
        confinement_radius_error=nan,
        speed=nan,
        speed_error=nan,
        sentence=motion.sentence if contradict(motion, found) else f"{motion.sentence} {said}",
    )

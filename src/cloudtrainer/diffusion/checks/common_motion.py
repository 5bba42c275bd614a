"""Whether particles move independently of each other, about a mean of zero."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cloudtrainer.diffusion.checks.check import (
    FEWEST_PARTICLES,
    Curve,
    Finding,
    UnitSteps,
    untold,
)
from cloudtrainer.diffusion.tracks import FloatArray

# Of the mean square displacement over ten frames.
SMALLEST_DRIFT_SHARE = 0.05
SMALLEST_SHARED = 0.02
SCALES = (1, 8, 64)
FEWEST_BLOCKS = 8
_DRAWN_BLOCKS = 16


Taken = Literal["none", "steady", "mean"]
_HOW = {
    "steady": "the mean of all steps was subtracted",
    "mean": "the mean step of each frame was subtracted",
}


def drift_check(steps: UnitSteps, taken: Taken = "none") -> Finding:
    """Test the mean displacement over particles (Hotelling's test of a ratio of sums).

    Where a mean of these very displacements was `taken` out, what is left is zero by construction.
    """
    from scipy.stats import f as fisher

    name = "drift left"
    description = "share of the drift in the mean square displacement over ten frames"
    if taken != "none":
        sentence = (
            f"Drift that is left cannot be told after {_HOW[taken]}: the mean displacement is zero "
            "whatever the drift was. Compare D with and without the correction."
        )
        return untold(name, description, sentence)
    moved = np.column_stack(
        [np.bincount(steps.owner, part, minlength=steps.particles) for part in steps.displacement.T]
    )
    count = np.bincount(steps.owner, minlength=steps.particles)
    moved, count = moved[count > 0], count[count > 0]
    particles = len(count)
    if particles < FEWEST_PARTICLES:
        sentence = (
            f"Fewer than {FEWEST_PARTICLES} particles: too few to test for drift that is left."
        )
        return untold(name, description, sentence)
    velocity = moved.sum(0) / count.sum()
    residual = (moved - count[:, None] * velocity) / count.sum()
    covariance = residual.T @ residual * particles / (particles - 1)
    if np.linalg.matrix_rank(covariance) != 2:
        return untold(name, description, "The particles do not move: there is no drift to test.")
    statistic = float(velocity @ np.linalg.solve(covariance, velocity))
    ratio = statistic * (particles - 2) / (2 * (particles - 1))
    along = 100 * float(velocity @ velocity)
    share = along / (along + 40 * max(_diffusion(steps, velocity), 0.0))
    return Finding(
        name=name,
        number=share,
        description=description,
        p_value=float(fisher.sf(ratio, 2, particles - 2)),
        matters=share >= SMALLEST_DRIFT_SHARE,
        fine="The displacements that enter D have no common mean: no steady drift is left.",
        wrong=(
            f"A steady drift of {np.hypot(*velocity):.2g} px a frame is left in the tracks: "
            f"{100 * share:.0f}% of the mean square displacement over ten frames, and more over "
            "longer times. Let drift be subtracted (the setting drift: auto)."
        ),
        curve=_drift_curve(steps, velocity),
    )


def _diffusion(steps: UnitSteps, velocity: FloatArray) -> float:
    """Return the covariance-based D of all displacements about the drift, px^2 a frame."""
    about = steps.displacement - velocity
    beside = np.diff(steps.run) == 0
    product = float((about[1:] * about[:-1])[beside].mean()) if beside.any() else 0.0
    return float((about**2).mean()) / 2 + product


def _drift_curve(steps: UnitSteps, velocity: FloatArray) -> Curve:
    """Return the mean displacement along the drift in sixteenths of the video."""
    along = steps.displacement @ (velocity / max(float(np.hypot(*velocity)), 1e-300))
    first = steps.frame.min()
    span = int(steps.frame.max() - first) + 1
    blocks = min(_DRAWN_BLOCKS, span)
    block = (steps.frame - first) * blocks // span
    count = np.bincount(block, minlength=blocks)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(block, along, minlength=blocks) / count
        spread = np.bincount(block, (along - mean[block]) ** 2, minlength=blocks) / count
        error = np.sqrt(spread / count)
    middle = first + (np.arange(blocks) + 0.5) * span / blocks
    return Curve(middle, mean, error, np.zeros(blocks), "frame", "mean step along drift (px)")


@dataclass(frozen=True)
class SharedMotion:
    """Correlation of the displacements of different particles in the same frames.

    Attributes
    ----------
    value, standard_error, p_value : float
        Correlation over all pairs; p of a value this large or larger.
    """

    value: float
    standard_error: float
    p_value: float


def shared_motion(steps: UnitSteps, frames: int) -> SharedMotion | None:
    """Correlate displacements of different particles over blocks of `frames` frames.

    Returns
    -------
    SharedMotion or None
        None with fewer than eight blocks that hold two particles.

    Notes
    -----
    The statistic is the sum, over blocks and pairs of particles, of the products of their
    displacements about the mean of all. For independent particles the signs of displacements are
    random: the variance and the third cumulant of the sum over signs are exact in the moments of
    each block, and the tail is that of a gamma distribution of these three (Pearson III). The
    variance is widened for displacements of one particle that are correlated between blocks.
    """
    from scipy.stats import gamma, norm

    if not len(steps.frame):
        return None
    block = (steps.frame - steps.frame.min()) // frames
    blocks = int(block.max()) + 1
    # The displacement of each particle within each block, about the mean velocity.
    cell, member = np.unique(block * steps.particles + steps.owner, return_inverse=True)
    about = steps.displacement - steps.displacement.mean(0)
    d = np.column_stack([np.bincount(member, part) for part in about.T])
    owner, where = cell % steps.particles, cell // steps.particles
    members = np.bincount(where, minlength=blocks)
    paired = members[where] > 1
    d, owner, where = d[paired], owner[paired], where[paired]
    if len(np.unique(where)) < FEWEST_BLOCKS:
        return None

    def per_block(values: FloatArray) -> FloatArray:
        return np.bincount(where, values, minlength=blocks).astype(np.float64)

    square = (d**2).sum(1)
    total = per_block(d[:, 0]) ** 2 + per_block(d[:, 1]) ** 2
    statistic = float((total - per_block(square)).sum())
    moments = np.empty((blocks, 2, 2))
    for i in (0, 1):
        for j in (0, 1):
            moments[:, i, j] = per_block(d[:, i] * d[:, j])
    fourth = per_block(square**2)
    variance = 2 * float((np.einsum("bij,bij->b", moments, moments) - fourth).sum())
    if not variance > 0:
        return None
    cubed = np.einsum("bij,bjk,bki->b", moments, moments, moments)
    across = per_block(np.einsum("ni,nij,nj->n", d, moments[where], d) * square)
    third = 8 * float((cubed - 3 * across + 2 * per_block(square**3)).sum())

    order = np.lexsort((where, owner))
    beside = (np.diff(owner[order]) == 0) & (np.diff(where[order]) == 1)
    product = (d[order][1:] * d[order][:-1]).sum(1)[beside]
    autocorrelation = float(product.mean() / square.mean()) if len(product) else 0.0
    variance *= 1 + 2 * autocorrelation**2
    error = float(np.sqrt(variance))
    z, skewness = statistic / error, third / error**3
    if skewness > 1e-3:
        shape = 4 / skewness**2
        p_value = float(gamma.sf(shape + z * np.sqrt(shape), shape))
    else:
        p_value = float(norm.sf(z))
    scale = float(((members[members > 1] - 1) * per_block(square)[members > 1]).sum())
    return SharedMotion(statistic / scale, error / scale, p_value)


def common_motion_check(steps: UnitSteps, taken: Taken = "none") -> Finding:
    """Test whether particles move alike in the same frames, over 1, 8 and 64 frames."""
    name = "motion in common"
    description = "largest correlation between displacements of different particles"
    if taken == "mean":
        sentence = (
            f"Motion in common cannot be told after {_HOW[taken]}: of M particles any two then "
            "correlate by -1/(M - 1). Flow that differs over the field is not excluded: measure "
            "parts of the field apart to see it."
        )
        return untold(name, description, sentence)
    found = {
        frames: shared for frames in SCALES if (shared := shared_motion(steps, frames)) is not None
    }
    if not found:
        sentence = "Too few frames hold two particles to test whether they move alike."
        return untold(name, description, sentence)
    frames = min(found, key=lambda scale: found[scale].p_value)
    value = found[frames].value
    what = (
        "the sample or the camera shakes from frame to frame"
        if frames == 1
        else f"the sample, the stage or the liquid moves slowly (seen over {frames} frames)"
    )
    return Finding(
        name=name,
        number=value,
        description=description,
        p_value=min(1.0, found[frames].p_value * len(found)),
        matters=value >= SMALLEST_SHARED,
        fine="Different particles move independently of each other.",
        wrong=(
            f"Different particles move alike (correlation {value:.2f} over {frames} "
            f"frame{'s' if frames > 1 else ''}): {what}, which makes up {100 * value:.0f}% of "
            "their displacements' variance. Let the drift of each frame be subtracted (the setting "
            "drift: auto does where it is certain); flow that differs over the field, and "
            "particles that stick together, cannot be subtracted: measure the parts apart."
        ),
        curve=Curve(
            x=np.array(list(found), dtype=np.float64),
            y=np.array([shared.value for shared in found.values()]),
            error=np.array([shared.standard_error for shared in found.values()]),
            expected=np.zeros(len(found)),
            x_label="frames of a displacement",
            y_label="correlation of particles",
        ),
    )

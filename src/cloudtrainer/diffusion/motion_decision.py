"""From fits to a kind of motion: tests at the 1% level, and a margin between the alternatives.

Twice the gain in log-likelihood is compared with chi-square laws that bound the simulated null
distributions of single tracks of 12 to 250 frames and of ensembles, at every ratio of motion to
noise (``benchmarks/motion.py --part nulls``). They are not all textbook: D = 0 is a boundary, a
well has no rate where nothing moves, and near D = 0 the law of a plain likelihood ratio for a
velocity has a far longer tail than chi-square, so that the velocity is tested at the Brownian fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.motion_fit import MotionFits
from cloudtrainer.diffusion.tracks import FloatArray

MotionModel = Literal["immobile", "confined", "brownian", "anomalous", "directed", "undetermined"]
MODELS: tuple[MotionModel, ...] = (
    "immobile", "confined", "brownian", "anomalous", "directed", "undetermined"
)  # fmt: skip
ALTERNATIVES: tuple[MotionModel, ...] = ("confined", "anomalous", "directed")

LEVEL = 0.01
# Log-likelihood by which one alternative must exceed the others: 12 to 1.
MARGIN = 2.5
# Where alpha = 1 is not rejected, motion is called Brownian only if its 95% interval lies within
# this of 1.
WIDEST_ALPHA = {"track": 0.4, "ensemble": 0.2}
# A track is called immobile only if motion can make up less than this part of its scatter.
_SMALL_PART = 1 / 3
# Tracks that differ are told apart at this level; their law is wider than chi-square by the factor.
_ALIKE_LEVEL = 0.001
_ALIKE_FACTOR = 1.2
# From this many tracks on, their scatter says how sure the choice of an alternative is (Vuong 1989,
# Econometrica 57, 307).
_ENOUGH_TRACKS = 10
_ONE_SIDED_95 = 1.6448536269514722


@dataclass(frozen=True)
class Decision:
    """A kind of motion for each row.

    Attributes
    ----------
    motion_model : ndarray of str
    p_brownian, p_immobile : ndarray
        p-values of Brownian motion (any D) and of D = 0.
    reason : ndarray of str
        Why the kind is undetermined; empty where it is not.
    """

    motion_model: NDArray[np.object_]
    p_brownian: FloatArray
    p_immobile: FloatArray
    reason: NDArray[np.object_]


def null_probabilities(fits: MotionFits, tracks: int = 1) -> Mapping[str, FloatArray]:
    """Return the p-value of each test: first of Brownian motion, then of D = 0.

    Parameters
    ----------
    fits : MotionFits
    tracks : int
        Tracks of each row.
    """
    from scipy.stats import chi2

    def against(null: FloatArray, other: FloatArray, factor: float) -> FloatArray:
        return np.asarray(np.minimum(factor * chi2.sf(2 * (other - null), 1), 1.0))

    return {
        "confined": against(fits.brownian, fits.confined, 1.0),
        "anomalous": against(fits.brownian, fits.anomalous, 1.0),
        "directed": against(fits.brownian, fits.directed, 0.5),
        "drift": np.asarray(chi2.sf(fits.drift_test, 2 * tracks)),
        "immobile, brownian": against(fits.immobile, fits.brownian, 0.5),
        "immobile, confined": against(fits.immobile, fits.confined, 2.0),
        "immobile, anomalous": against(fits.immobile, fits.anomalous, 1.0),
        "immobile, directed": against(fits.immobile, fits.directed, 1.0),
    }


def decide(
    fits: MotionFits,
    displacements: FloatArray,
    sigma: float | None,
    size: FloatArray,
    unit: Literal["track", "ensemble"],
    shares: Mapping[str, FloatArray] | None = None,
    tracks: int = 1,
) -> Decision:
    """Decide the kind of motion of each row.

    Parameters
    ----------
    fits : MotionFits
    displacements : ndarray, shape (rows,)
        In one track (of an ensemble: the mean).
    sigma : float or None
        Known localisation error per axis in pixels.
    size : ndarray, shape (rows,)
        Measured numbers of each row.
    unit : {"track", "ensemble"}
    shares : mapping or None
        Each track's log-likelihood under each alternative, for an ensemble.
    tracks : int
        Tracks of each row.
    """
    from scipy.stats import chi2

    found = null_probabilities(fits, tracks)
    directed = np.minimum(2 * np.minimum(found["directed"], found["drift"]), 1.0)
    least = np.min([found["confined"], found["anomalous"], directed], axis=0)
    p_brownian = np.minimum(3 * least, 1.0)
    least = np.min([p for name, p in found.items() if name.startswith("immobile")], axis=0)
    p_immobile = np.minimum(4 * least, 1.0)

    rows = len(p_brownian)
    model = np.full(rows, "undetermined", dtype=object)
    reason = np.full(rows, "", dtype=object)
    height = np.array([getattr(fits, name) for name in ALTERNATIVES])
    order = np.argsort(-height, axis=0)
    gap = np.take_along_axis(height, order[:2], 0)
    gap = gap[0] - gap[1]
    widest = WIDEST_ALPHA[unit]
    for i in range(rows):
        if p_immobile[i] >= LEVEL:
            wander = fits.largest_step_variance[i] * displacements[i]
            rattles = sigma is not None and (
                chi2.sf(size[i] * fits.noise_variance[i] / max(sigma**2, 1e-300), size[i]) < LEVEL
            )
            if rattles and wander < fits.noise_variance[i]:
                model[i] = "confined"
            elif wander >= fits.noise_variance[i]:
                reason[i] = "too short to tell slow motion from none"
            elif fits.largest_well_part[i] >= _SMALL_PART:
                reason[i] = "localisation error and motion in a small cage describe it as well"
            else:
                model[i] = "immobile"
        elif p_brownian[i] >= LEVEL:
            low, high = fits.alpha_low[i], fits.alpha_high[i]
            if low >= 1 - widest and high <= 1 + widest:
                model[i] = "brownian"
            else:
                reason[i] = (
                    f"not told from Brownian motion, but alpha may be {low:.2f} to {high:.2f}: "
                    "too few displacements"
                )
        else:
            first, second = (ALTERNATIVES[int(k)] for k in order[:2, i])
            margin = MARGIN
            if shares is not None and tracks >= _ENOUGH_TRACKS:
                scatter = np.std(shares[first] - shares[second], ddof=1)
                margin = max(margin, float(_ONE_SIDED_95 * scatter * np.sqrt(tracks)))
            if gap[i] > margin:
                model[i] = first
            else:
                reason[i] = f"not Brownian, but {first} and {second} motion describe it as well"
    return Decision(model, p_brownian, p_immobile, reason)


def alike(difference: float, tracks: int) -> bool:
    """Return whether tracks may have one part of motion in common.

    Parameters
    ----------
    difference : float
        Twice what the log-likelihood gains when each has its own.
    tracks : int
    """
    from scipy.stats import chi2

    return tracks < 2 or bool(chi2.sf(difference / _ALIKE_FACTOR, tracks - 1) >= _ALIKE_LEVEL)

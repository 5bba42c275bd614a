"""Scores of detections against known positions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cloudtrainer.errors import ConfigError
from cloudtrainer.evaluation.matching import match_detections
from cloudtrainer.evaluation.tables import Floats, stated_errors_in

# 1 over the median absolute value of a standard normal number.
_ROBUST = 1.4826
_TWO_SIDED_95 = 1.959964


@dataclass(frozen=True)
class DetectionScore:
    """How well detections agree with known positions.

    Attributes
    ----------
    f1, precision, recall, jaccard
        Fractions from 0 to 1: 2 M / (F + T), M / F, M / T and M / (F + T - M), with M matched
        pairs, F detections and T true positions. All are 1 when there was nothing to find and
        nothing was found; a fraction of nothing is otherwise 0.
    rmse_px
        Error per axis of the matched detections in pixels, ``sqrt(mean(dx^2 + dy^2) / 2)``: the
        number to hold against `localisation_bound_px`. NaN without matches.
    rmse_x_px, rmse_y_px
        Root mean square of dx and of dy, pixels. NaN without matches.
    bias_px
        Mean of found minus true position along (x, y), pixels. NaN without matches.
    rmse_over_bound
        ``sqrt(mean(e^2 / b^2))`` over dx and dy of the matched detections, e the error and b the
        bound of the true position: 1 is the best that an unbiased detector can do. None when no
        bound was given, NaN without matches.
    error_over_stated
        Standard deviation of errors divided by stated errors, x and y together; 1 is right, above
        1 the stated errors are too small. NaN where none are stated, as in this and the next three
        attributes.
    error_over_stated_robust
        The same as 1.4826 times the median absolute value, which wrong matches hardly change.
    stated_within_68, stated_within_95
        Fractions of errors of at most 1 and 1.96 times the stated error. Gaussian errors of the
        stated size give 0.683 and 0.950.
    matched, found, truth
        Number of pairs, of detections and of true positions.
    """

    f1: float
    precision: float
    recall: float
    jaccard: float
    rmse_px: float
    rmse_x_px: float
    rmse_y_px: float
    bias_px: tuple[float, float]
    rmse_over_bound: float | None
    error_over_stated: float
    error_over_stated_robust: float
    stated_within_68: float
    stated_within_95: float
    matched: int
    found: int
    truth: int


def score_detections(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    gate_px: float,
    *,
    bound_px: ArrayLike | None = None,
    errors_over: NDArray[np.bool_] | None = None,
) -> DetectionScore:
    """Score detections against true positions, paired one to one within each frame.

    Parameters
    ----------
    found, truth
        Tables with the columns ``frame, x, y`` (pixels). Where ``found`` has ``x_error, y_error``
        (pixels, NaN where unknown), they are held against the errors. Other columns are ignored.
    gate_px
        Largest distance of a pair, pixels.
    bound_px
        Smallest possible standard error per axis, pixels, as `localisation_bound_px` gives it: one
        number, or one for each true position.
    errors_over
        The true positions over whose matches errors are taken, bool, (rows of ``truth``,), for
        example from `isolated`; None takes all. All are searched for and counted all the same.

    Returns
    -------
    DetectionScore

    Raises
    ------
    LabelError
        When a table lacks one of the columns or holds something that is not a finite number, a
        frame is not a whole number, or a stated error is not above 0.
    ConfigError
        When the gate or a bound is not a positive number, or ``bound_px`` or ``errors_over`` does
        not fit the true positions.
    """
    pairs = match_detections(found, truth, gate_px)
    matched, n_found, n_truth = len(pairs), len(found), len(truth)
    bound = None if bound_px is None else _bounds(bound_px, n_truth)
    stated = stated_errors_in(found)
    if errors_over is not None:
        pairs = pairs[_chosen(errors_over, n_truth)[pairs["truth"].to_numpy()]]
    error = pairs[["dx", "dy"]].to_numpy()
    dx, dy = error.T
    of_bound = None
    if bound is not None:
        of_bound = _root_mean_square(error / bound[pairs["truth"].to_numpy(), None])
    of_stated = error / stated[pairs["found"].to_numpy()]
    of_stated = of_stated[np.isfinite(of_stated)]
    perfect = n_found == 0 and n_truth == 0
    return DetectionScore(
        f1=1.0 if perfect else 2 * matched / (n_found + n_truth),
        precision=1.0 if perfect else matched / max(n_found, 1),
        recall=1.0 if perfect else matched / max(n_truth, 1),
        jaccard=1.0 if perfect else matched / (n_found + n_truth - matched),
        rmse_px=_root_mean_square(error),
        rmse_x_px=_root_mean_square(dx),
        rmse_y_px=_root_mean_square(dy),
        bias_px=(_mean(dx), _mean(dy)),
        rmse_over_bound=of_bound,
        error_over_stated=float(np.std(of_stated)) if of_stated.size else float("nan"),
        error_over_stated_robust=(
            float(_ROBUST * np.median(np.abs(of_stated))) if of_stated.size else float("nan")
        ),
        stated_within_68=_mean(np.abs(of_stated) <= 1),
        stated_within_95=_mean(np.abs(of_stated) <= _TWO_SIDED_95),
        matched=matched,
        found=n_found,
        truth=n_truth,
    )


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt(_mean(values**2)))


def _bounds(bound_px: ArrayLike, n_truth: int) -> Floats:
    try:
        bound = np.asarray(bound_px, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError("bound_px must hold numbers.") from None
    if bound.shape not in ((), (n_truth,)):
        raise ConfigError(
            f"bound_px has the shape {bound.shape}; give one number, or one for each of the "
            f"{n_truth} true positions."
        )
    if not (np.isfinite(bound) & (bound > 0)).all():
        raise ConfigError("bound_px must be positive, in pixels.")
    return np.broadcast_to(bound, (n_truth,))


def _chosen(errors_over: NDArray[np.bool_], n_truth: int) -> NDArray[np.bool_]:
    chosen = np.asarray(errors_over)
    if chosen.dtype != np.bool_ or chosen.shape != (n_truth,):
        raise ConfigError(
            f"errors_over must say True or False for each of the {n_truth} true positions; it is "
            f"{chosen.dtype} of the shape {chosen.shape}."
        )
    return chosen

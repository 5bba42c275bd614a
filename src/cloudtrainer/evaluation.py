"""Scores of detections against known positions, and the bound no detector can pass."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import erf

from cloudtrainer.errors import ConfigError, LabelError

_BOUND_CHUNK = 256


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
    bias_px
        Mean of found minus true position along (x, y), pixels. NaN without matches.
    matched, found, truth
        Number of pairs, of detections and of true positions.
    """

    f1: float
    precision: float
    recall: float
    jaccard: float
    rmse_px: float
    bias_px: tuple[float, float]
    matched: int
    found: int
    truth: int


def score_detections(found: pd.DataFrame, truth: pd.DataFrame, gate_px: float) -> DetectionScore:
    """Score detections against true positions, paired one to one within each frame.

    Parameters
    ----------
    found, truth
        Tables with the columns ``frame, x, y`` (pixels); other columns are ignored.
    gate_px
        Largest distance of a pair, pixels.

    Returns
    -------
    DetectionScore

    Raises
    ------
    LabelError
        When a table lacks one of the columns or holds something that is not a finite number.
    ConfigError
        When the gate is not a positive number.
    """
    pairs = match_detections(found, truth, gate_px)
    matched, n_found, n_truth = len(pairs), len(found), len(truth)
    if matched:
        dx, dy = pairs["dx"].to_numpy(), pairs["dy"].to_numpy()
        rmse = float(np.sqrt(np.mean(dx**2 + dy**2) / 2))
        bias = (float(dx.mean()), float(dy.mean()))
    else:
        rmse, bias = float("nan"), (float("nan"), float("nan"))
    perfect = n_found == 0 and n_truth == 0
    return DetectionScore(
        f1=1.0 if perfect else 2 * matched / (n_found + n_truth),
        precision=1.0 if perfect else matched / max(n_found, 1),
        recall=1.0 if perfect else matched / max(n_truth, 1),
        jaccard=1.0 if perfect else matched / (n_found + n_truth - matched),
        rmse_px=rmse,
        bias_px=bias,
        matched=matched,
        found=n_found,
        truth=n_truth,
    )


def match_detections(found: pd.DataFrame, truth: pd.DataFrame, gate_px: float) -> pd.DataFrame:
    """Pair detections with true positions one to one within each frame.

    Of all pairings within the gate it takes one with the most pairs, and among those the one with
    the smallest sum of squared distances (Chenouard et al. 2014 use the same kind of optimal
    assignment).

    Parameters
    ----------
    found, truth
        Tables with the columns ``frame, x, y`` (pixels), in any order of rows.
    gate_px
        Largest distance of a pair, pixels; a pair exactly at it counts.

    Returns
    -------
    pandas.DataFrame
        One row a pair, sorted by ``found``: ``found`` and ``truth`` are row numbers (from 0, as
        for ``iloc``), ``frame``, and ``dx, dy`` are found minus true position in pixels.

    Raises
    ------
    LabelError
        When a table lacks one of the columns or holds something that is not a finite number.
    ConfigError
        When the gate is not a positive number.
    """
    if not (np.isfinite(gate_px) and gate_px > 0):
        raise ConfigError(f"gate_px must be a positive distance in pixels, not {gate_px}.")
    a, b = _positions(found, "found"), _positions(truth, "truth")
    rows, columns = _optimal_pairs(a, b, gate_px)
    order = np.argsort(rows)
    rows, columns = rows[order], columns[order]
    offsets = a[rows, 1:] - b[columns, 1:]
    return pd.DataFrame(
        {
            "found": rows,
            "truth": columns,
            "frame": a[rows, 0].astype(np.int64),
            "dx": offsets[:, 0],
            "dy": offsets[:, 1],
        }
    )


def localisation_bound_px(
    photons: ArrayLike,
    sigma_px: ArrayLike,
    background_photons: ArrayLike,
    read_noise: float = 0.0,
) -> NDArray[np.float64]:
    """Compute the Cramer-Rao bound of the position of one Gaussian spot, per axis.

    The Fisher information of position, amplitude and background (all four unknown) is summed over
    the pixels, each the integral of the spot over its square (Smith et al. 2010, Nature Methods
    7:373, eqs. 3-10; Ober et al. 2004, Biophys. J. 86:1185). Read noise is added to the variance
    of each pixel (Huang et al. 2013, Nature Methods 10:653). The variance is averaged over where
    in its pixel the spot sits.

    Parameters
    ----------
    photons
        Photons of the whole spot (its integral, not its peak).
    sigma_px
        Standard deviation of the Gaussian before integration over pixels, pixels.
    background_photons
        Photons of background a pixel.
    read_noise
        Standard deviation of the camera's noise, electrons a pixel.

    Returns
    -------
    numpy.ndarray
        Smallest standard deviation of an unbiased x (or y), pixels; the shape is that to which
        the three arguments broadcast.

    Raises
    ------
    ConfigError
        When photons or sigma are not positive, or background or read noise are negative.
    """
    n, s, b = np.broadcast_arrays(
        np.asarray(photons, dtype=np.float64),
        np.asarray(sigma_px, dtype=np.float64),
        np.asarray(background_photons, dtype=np.float64),
    )
    if not (np.all(n > 0) and np.all(s > 0) and np.all(b >= 0) and read_noise >= 0):
        raise ConfigError(
            "photons and sigma_px must be positive, background_photons and read_noise at least 0."
        )
    bound = np.empty(n.size)
    for start in range(0, n.size, _BOUND_CHUNK):
        part = slice(start, start + _BOUND_CHUNK)
        bound[part] = _bound(n.ravel()[part], s.ravel()[part], b.ravel()[part], read_noise)
    return bound.reshape(n.shape)


def _bound(
    n: NDArray[np.float64], s: NDArray[np.float64], b: NDArray[np.float64], read_noise: float
) -> NDArray[np.float64]:
    half = int(np.ceil(5 * s.max())) + 1
    centres = np.arange(-half, half + 1, dtype=np.float64)
    # The bound is even in both coordinates and symmetric in their exchange.
    positions = [
        (i, j)
        for i in (0.0625, 0.1875, 0.3125, 0.4375)
        for j in (0.0625, 0.1875, 0.3125, 0.4375)
        if j <= i
    ]
    variance = np.zeros(n.size)
    weight = 0.0
    for cx, cy in positions:
        times = 1.0 if cx == cy else 2.0
        gx, dgx = _pixel_profile(centres - cx, s)
        gy, dgy = _pixel_profile(centres - cy, s)
        shape = (n.size, centres.size**2)
        spot = (gy[:, :, None] * gx[:, None, :]).reshape(shape)
        gradient = np.stack(
            [
                n[:, None] * (gy[:, :, None] * dgx[:, None, :]).reshape(shape),
                n[:, None] * (dgy[:, :, None] * gx[:, None, :]).reshape(shape),
                # Amplitude and background as fractions keep the matrix well conditioned.
                n[:, None] * spot,
                np.broadcast_to(np.sqrt(n)[:, None], shape),
            ],
            axis=1,
        )
        # A pixel expects at least a trace of light, so that a dark one far out does not divide 0/0.
        expected = np.maximum(n[:, None] * spot + b[:, None] + read_noise**2, 1e-12)
        information = np.einsum("pak,pbk,pk->pab", gradient, gradient, 1 / expected, optimize=True)
        covariance = np.linalg.inv(information)
        variance += times * (covariance[:, 0, 0] + covariance[:, 1, 1]) / 2
        weight += times
    result: NDArray[np.float64] = np.sqrt(variance / weight)
    return result


def _pixel_profile(
    distance: NDArray[np.float64], s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate a unit Gaussian over pixels, and differentiate by its centre: shapes (spots, n)."""
    low, high = (distance - 0.5) / s[:, None], (distance + 0.5) / s[:, None]
    area = 0.5 * (erf(high / np.sqrt(2)) - erf(low / np.sqrt(2)))
    slope = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / (np.sqrt(2 * np.pi) * s[:, None])
    return area, slope


def _positions(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    missing = [c for c in ("frame", "x", "y") if c not in table.columns]
    if missing:
        raise LabelError(
            f"The table of {name} positions has no column {', '.join(missing)}; "
            f"it needs frame, x and y."
        )
    try:
        values = table[["frame", "x", "y"]].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(
            f"The table of {name} positions holds something that is not a number: {error}."
        ) from None
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise LabelError(
            f"Row {bad[0]} of the table of {name} positions has an empty or infinite value; "
            f"remove it."
        )
    return values


def _optimal_pairs(
    a: NDArray[np.float64], b: NDArray[np.float64], gate: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    none = np.empty(0, dtype=np.int64)
    if len(a) == 0 or len(b) == 0:
        return none, none
    # Frames lie further apart than the gate along a third axis, so no pair joins two of them.
    apart = np.array([3 * gate, 1.0, 1.0])
    near = cKDTree(a * apart).sparse_distance_matrix(
        cKDTree(b * apart), gate, output_type="ndarray"
    )
    i, j = near["i"].astype(np.int64), near["j"].astype(np.int64)
    if i.size == 0:
        return none, none
    squared = near["v"] ** 2
    n_nodes = len(a) + len(b)
    graph = coo_array((np.ones(i.size), (i, j + len(a))), shape=(n_nodes, n_nodes))
    _, label = connected_components(graph, directed=False)
    edges_of = np.bincount(label[i])
    lone = edges_of[label[i]] == 1
    rows, columns = [i[lone]], [j[lone]]
    rest = np.flatnonzero(~lone)
    rest = rest[np.argsort(label[i[rest]], kind="stable")]
    cuts = np.flatnonzero(np.diff(label[i[rest]])) + 1
    for edges in np.split(rest, cuts) if rest.size else []:
        u, at_u = np.unique(i[edges], return_inverse=True)
        v, at_v = np.unique(j[edges], return_inverse=True)
        # One more pair always outweighs any gain in distance; 0 stands for "not paired".
        prize = gate**2 * (min(u.size, v.size) + 1)
        cost = np.zeros((u.size, v.size))
        cost[at_u, at_v] = squared[edges] - prize
        r, c = linear_sum_assignment(cost)
        paired = cost[r, c] < 0
        rows.append(u[r[paired]])
        columns.append(v[c[paired]])
    return np.concatenate(rows), np.concatenate(columns)

"""Positions from what a network answers."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

Array = NDArray[np.float32]

# Answers whose positions lie nearer than this speak of the same particle.
_SAME_WITHIN_PX = 1.6
_LEAST_SHARE = 0.03


def positions_from_grid(share: Array, x: Array, y: Array, x_error: Array, y_error: Array) -> Array:
    """Join the cells that speak of the same particle.

    A particle is shared between neighbouring cells. The cell with the largest share among all that
    point to within 1.6 px of the same place stands for the particle; the others add their shares,
    which together are the probability, and their positions, weighted by share and precision.

    Parameters
    ----------
    share : ndarray
        Share of a particle in each cell, (rows, columns).
    x, y : ndarray
        Positions that the cells point to, in pixels.
    x_error, y_error : ndarray
        Their standard errors in pixels.

    Returns
    -------
    ndarray
        Rows of x, y, x_error, y_error, probability; float32, (particles, 5).
    """
    chosen = share > _LEAST_SHARE
    if not chosen.any():
        return np.empty((0, 5), np.float32)
    weight = share[chosen]
    place = np.stack([x[chosen], y[chosen]], axis=1)
    error = np.stack([x_error[chosen], y_error[chosen]], axis=1)

    tree = cKDTree(place)
    pairs = tree.query_pairs(_SAME_WITHIN_PX, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    order = np.lexsort((np.arange(len(weight)), -weight))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    leads = np.ones(len(weight), bool)
    leads[np.where(rank[first] > rank[second], first, second)] = False

    leaders = np.flatnonzero(leads)
    _, nearest = cKDTree(place[leaders]).query(place, distance_upper_bound=_SAME_WITHIN_PX)
    home = np.asarray(nearest)
    belongs = home < len(leaders)
    home, weight, place, error = home[belongs], weight[belongs], place[belongs], error[belongs]

    def summed(values: Array) -> NDArray[np.float64]:
        return np.bincount(home, values, minlength=len(leaders)).astype(np.float64)

    say = weight[:, None] / error**2
    position = np.stack([summed(say[:, i] * place[:, i]) / summed(say[:, i]) for i in (0, 1)])
    # The cells saw the same photons: their errors do not average down.
    joint = np.stack([np.sqrt(summed(weight) / summed(say[:, i])) for i in (0, 1)])
    probability = np.minimum(summed(weight), 1.0)
    return np.column_stack([*position, *joint, probability]).astype(np.float32)


def positions_from_mask(probability: Array, frame: Array, threshold: float, min_area: int) -> Array:
    """Take the centroids of connected areas, as versions 2.0 and 3.0 did.

    Areas of 4-connected pixels above the threshold under ``min_area`` px² are dropped, the rest is
    opened with a disc of radius 1, and what remains connected is a particle.

    Returns
    -------
    ndarray
        Rows of x, y, probability (mean over the area), area, intensity (mean of ``frame`` over the
        area); float32, (particles, 5).
    """
    mask = _without_small(probability > threshold, min_area)
    disc = ndimage.generate_binary_structure(2, 1)
    # Outside the frame nothing is known: a particle that the border cuts is not eroded from there.
    mask = ndimage.binary_dilation(ndimage.binary_erosion(mask, disc, border_value=1), disc)
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.empty((0, 5), np.float32)
    which = np.arange(1, count + 1)
    centre = np.asarray(ndimage.center_of_mass(mask, labels, which))
    return np.column_stack(
        [
            centre[:, 1],
            centre[:, 0],
            ndimage.mean(probability, labels, which),
            ndimage.sum_labels(mask, labels, which),
            ndimage.mean(frame, labels, which),
        ]
    ).astype(np.float32)


def _without_small(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    keep = area >= min_area
    keep[0] = False
    return np.asarray(keep[labels])

"""The distribution of steps between frames, measured without linking."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree

_BINS = 48
_CHANCE_PAIRS = 12.0
_LEAST_SHARE = 0.02
# A further Gaussian has two parameters; by chance alone it gains this much log-likelihood in less
# than 1 of 10,000 fits.
_LEAST_GAIN = 10.0

FramePair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class StepFit:
    """Gaussian steps fitted to the pairs of detections that chance does not explain.

    Attributes
    ----------
    sd_px
        Standard deviation per axis of each kind of step, ascending, pixels.
    share
        Share of each kind; they sum to 1.
    flow_px
        Mean step along (x, y), pixels.
    steps
        Number of steps found (pairs of one particle with itself).
    seen_again
        That number over the number of detections that had a next frame.
    """

    sd_px: tuple[float, ...]
    share: tuple[float, ...]
    flow_px: tuple[float, float]
    steps: float
    seen_again: float


def fit_steps(pairs: list[FramePair], neighbour_px: float) -> StepFit | None:
    """Fit up to three Gaussian steps to the distances between successive frames.

    Parameters
    ----------
    pairs
        Positions (n, 2) in a frame and (m, 2) in the next, pixels.
    neighbour_px
        Median distance to the nearest neighbour within a frame, pixels.

    Returns
    -------
    StepFit or None
        None when no two detections of successive frames are near each other.
    """
    pairs = [(a, b) for a, b in pairs if len(a) and len(b)]
    if not pairs:
        return None
    reach = _first_reach(pairs, neighbour_px)
    flow = _mean_flow(pairs)
    fit = None
    # The second round looks closer, in bins that suit the steps found in the first.
    for _ in range(2):
        edges = np.concatenate([[0], np.geomspace(min(0.05, reach / 100), reach, _BINS)])
        successive, within = _count_pairs(pairs, flow, edges)
        if successive.sum() == 0:
            return None
        fit = _fit_mixture(successive, within, edges, flow, sum(len(a) for a, _ in pairs))
        if fit is None:
            return None
        reach = min(reach, 8 * fit.sd_px[-1])
        if np.isfinite(neighbour_px):
            reach = max(reach, neighbour_px)
    return fit


def _first_reach(pairs: list[FramePair], neighbour_px: float) -> float:
    """Take the distance within which a detection has a dozen strangers, or the whole frame."""
    corners = np.array([(p.min(axis=0), p.max(axis=0)) for pair in pairs for p in pair])
    width = max(float(np.hypot(*(corners[:, 1].max(axis=0) - corners[:, 0].min(axis=0)))), 1.0)
    if not np.isfinite(neighbour_px) or neighbour_px == 0:
        return width
    # At random positions of density rho the median neighbour is at sqrt(ln 2 / (pi rho)).
    return min(width, neighbour_px * float(np.sqrt(_CHANCE_PAIRS / np.log(2))))


def _mean_flow(pairs: list[FramePair]) -> tuple[float, float]:
    """Find the centre of the steps between mutual nearest neighbours."""
    steps = []
    for before, after in pairs:
        forward = np.asarray(cKDTree(after).query(before)[1])
        back = np.asarray(cKDTree(before).query(after)[1])
        mutual = back[forward] == np.arange(len(before))
        steps.append(after[forward[mutual]] - before[mutual])
    step = np.concatenate(steps)
    # The median does not heed the few wrong pairs, and a stuck minority moves it little.
    centre = np.median(step, axis=0)
    error = 1.2533 * step.std(axis=0) / np.sqrt(len(step))
    if len(step) < 2 or np.all(np.abs(centre) < 4 * error):
        return 0.0, 0.0
    return float(centre[0]), float(centre[1])


def _count_pairs(
    pairs: list[FramePair], flow: tuple[float, float], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count pairs by distance: between successive frames, and of strangers within one frame."""
    successive = np.zeros(len(edges) - 1)
    within = np.zeros(len(edges) - 1)
    for before, after in pairs:
        tree, next_tree = cKDTree(before + np.asarray(flow)), cKDTree(after)
        successive += np.diff(tree.count_neighbors(next_tree, edges, cumulative=True))
        # Both frames, so that the count of strangers is twice as sure.
        for own, other in ((tree, len(after)), (next_tree, len(before))):
            counts = np.asarray(own.count_neighbors(own, edges, cumulative=True), dtype=np.float64)
            strangers = np.diff(counts)
            strangers[0] = counts[1] - own.n
            # As many strangers as the other frame has, not the own.
            within += 0.5 * strangers * other / own.n
        successive[0] += tree.count_neighbors(next_tree, 0.0)
    return successive, within


def _fit_mixture(
    successive: NDArray[np.float64],
    within: NDArray[np.float64],
    edges: NDArray[np.float64],
    flow: tuple[float, float],
    sources: int,
) -> StepFit | None:
    """Maximise the Poisson likelihood of the counts for one, two and three Gaussians."""
    chance = _smooth(within, edges)
    grid = np.geomspace(max(edges[1], edges[-1] / 300), edges[-1] / 3, 22)
    best: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for kinds in (1, 2, 3):
        found = _best_of(successive, chance, edges, grid, kinds)
        value, sd, amount = found
        share = amount[:-1] / max(amount[:-1].sum(), 1e-300)
        if best is not None and (value < best[0] + _LEAST_GAIN or share.min() < _LEAST_SHARE):
            break
        best = found
    if best is None:
        return None
    _, sd, amount = best
    order = np.argsort(sd)
    steps = float(amount[:-1].sum())
    if steps <= 0:
        return None
    share = amount[:-1][order] / steps
    return StepFit(
        sd_px=tuple(float(s) for s in sd[order]),
        share=tuple(float(p) for p in share),
        flow_px=flow,
        steps=steps,
        seen_again=steps / sources,
    )


def _smooth(within: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace a bin of few strangers by what the density of all bins says, where that is more."""
    area = np.diff(edges**2)
    density = within.sum() / area.sum()
    weight = within / (within + 5.0)
    result: NDArray[np.float64] = weight * within + (1 - weight) * density * area
    return result


def _gaussian_bins(sd: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of Gaussian steps in each ring, shape (sd, rings)."""
    survival = np.exp(-(edges**2) / (2 * sd[..., None] ** 2))
    result: NDArray[np.float64] = survival[..., :-1] - survival[..., 1:]
    return result


def _best_of(
    counts: NDArray[np.float64],
    chance: NDArray[np.float64],
    edges: NDArray[np.float64],
    grid: NDArray[np.float64],
    kinds: int,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Try all combinations of a coarse grid, then refine the best."""
    trial = np.array(list(combinations(grid, kinds)))
    rings = np.broadcast_to(chance, (len(trial), 1, len(chance)))
    basis = np.concatenate([_gaussian_bins(trial, edges), rings], axis=1)
    total = basis.sum(axis=2)
    # Expectation-maximisation of the amounts; that of strangers starts where it must be, near 1.
    amount = np.full(basis.shape[:2], max(counts.sum() - chance.sum(), 1.0) / kinds)
    amount[:, -1] = 1.0
    for _ in range(40):
        expected = np.einsum("tk,tkr->tr", amount, basis) + 1e-12
        amount = amount * np.einsum("tkr,tr->tk", basis, counts / expected) / (total + 1e-12)
    expected = np.einsum("tk,tkr->tr", amount, basis) + 1e-12
    value = np.sum(counts * np.log(expected) - expected, axis=1)
    at = int(np.argmax(value))

    def cost(parameters: NDArray[np.float64]) -> float:
        sd, amounts = np.exp(parameters[:kinds]), np.exp(parameters[kinds:])
        mean = amounts[:-1] @ _gaussian_bins(sd, edges) + amounts[-1] * chance + 1e-12
        return float(np.sum(mean - counts * np.log(mean)))

    start = np.log(np.concatenate([trial[at], np.maximum(amount[at], 1e-6)]))
    bounds = [(np.log(edges[1] / 3), np.log(edges[-1]))] * kinds + [(-20.0, 30.0)] * kinds
    result = minimize(cost, start, method="L-BFGS-B", bounds=[*bounds, (np.log(0.8), np.log(1.2))])
    return -float(result.fun), np.exp(result.x[:kinds]), np.exp(result.x[kinds:])

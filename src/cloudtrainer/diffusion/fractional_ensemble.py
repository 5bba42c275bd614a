"""Maximum-likelihood alpha and K of an ensemble of tracks, with its bootstrap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.fractional import ALPHA_BOUNDS, Blocks
from cloudtrainer.diffusion.surface import LEAST_FOR_MOTION, FractionalSurface
from cloudtrainer.diffusion.tracks import FloatArray

_NODES = np.linspace(-4, 4, 9)
# A first look needs no more than this many columns of this many displacements.
_FEW_COLUMNS, _FEW_ROWS = 120, 64
_AT_END = 0.005


@dataclass(frozen=True)
class EnsembleFit:
    """A fit of all particles with one alpha and one K, in px^2 and time units.

    Attributes
    ----------
    alpha, log_coefficient : float
        alpha and log K.
    variance : float
        M(1), the MSD of one axis at a lag of one time unit.
    motion_part : float
        Part of it that is motion.
    covariance : ndarray of float64, shape (2, 2)
        Of alpha and log K by the likelihood, all particles alike.
    alpha_replicates, log_coefficient_replicates : ndarray of float64, shape (replicates,)
        Refitted in each replicate of the bootstrap; empty without weights.
    moves : bool
        Whether localisation error alone is rejected, at 1%.
    """

    alpha: float
    log_coefficient: float
    variance: float
    motion_part: float
    covariance: FloatArray
    alpha_replicates: FloatArray
    log_coefficient_replicates: FloatArray
    moves: bool


def end_of_search(alpha: float) -> float | None:
    """Return the end of the searched range that an exponent lies at, or None."""
    return next((end for end in ALPHA_BOUNDS if abs(alpha - end) < _AT_END), None)


def _thin(blocks: Blocks) -> Blocks:
    """Return a part of the data that is enough for a first look."""
    displacement, length, owner = [], [], []
    for x, n, who in zip(blocks.displacement, blocks.length, blocks.owner, strict=True):
        step = max(1, len(n) // _FEW_COLUMNS)
        displacement.append(x[:_FEW_ROWS, ::step])
        length.append(np.minimum(n[::step], _FEW_ROWS))
        owner.append(who[::step])
    size = np.zeros(len(blocks.size))
    for n, who in zip(length, owner, strict=True):
        size += np.bincount(who, n, minlength=len(size))
    return Blocks(displacement, length, owner, size)


def find_maximum(surface: FractionalSurface) -> tuple[float, float]:
    """Return (alpha, beta) of the largest total likelihood: coarse on a part, then on all."""
    from scipy.optimize import minimize

    low, high = surface.beta_bounds
    thin = surface.restricted(_thin(surface.blocks))
    alphas = np.linspace(0.15, 1.85, 9)
    betas = low + (high - low) * (np.arange(9) + 0.5) / 9
    values = np.array([[thin.total(a, b) for b in betas] for a in alphas])
    i, j = np.unravel_index(int(np.argmax(values)), values.shape)
    start = np.array([alphas[i], betas[j]])
    spread = np.array([0.1, (high - low) / 18])
    for part, tolerance in ((thin, 0.05), (surface, 0.01)):

        def cost(theta: FloatArray, part: FractionalSurface = part) -> float:
            clipped = part.clip(*theta)
            return -part.total(*clipped)

        simplex = np.array(
            [start, start + np.array([spread[0], 0]), start + np.array([0, spread[1]])]
        )
        found = minimize(
            cost, start, method="Nelder-Mead",
            options={"initial_simplex": simplex, "fatol": tolerance, "xatol": 1e-3},
        )  # fmt: skip
        start = np.array(part.clip(*found.x))
        spread = spread / 4
    return float(start[0]), float(start[1])


def _axes(surface: FractionalSurface, alpha: float, beta: float) -> FloatArray:
    """Return the principal axes of the total likelihood as columns, a standard deviation long."""
    centre = surface.total(alpha, beta)

    def fall(da: float, db: float) -> float:
        there = surface.total(*surface.clip(alpha + da, beta + db))
        return min(centre - there, 1e6)

    step = np.array([0.02, 0.02])
    for _ in range(6):
        # Second differences over steps in which the likelihood falls by about a half.
        drop = np.array(
            [
                (fall(step[0], 0) + fall(-step[0], 0)) / 2,
                (fall(0, step[1]) + fall(0, -step[1])) / 2,
            ]
        )
        if ((drop > 0.1) & (drop < 2)).all():
            break
        step = np.minimum(step * np.sqrt(np.clip(0.5 / np.maximum(drop, 1e-6), 0.01, 64)), 0.3)
    hessian = np.diag(2 * np.maximum(drop, 1e-3) / step**2)
    a, b = step
    mixed = (fall(a, b) + fall(-a, -b) - fall(a, -b) - fall(-a, b)) / (4 * a * b)
    limit = 0.99 * np.sqrt(hessian[0, 0] * hessian[1, 1])
    hessian[0, 1] = hessian[1, 0] = float(np.clip(mixed, -limit, limit))
    values, vectors = np.linalg.eigh(np.linalg.inv(hessian))
    lengths = np.minimum(np.sqrt(values), [0.2, 0.2])
    return np.asarray(vectors * lengths)


@dataclass(frozen=True)
class _Lattice:
    """Forms of each particle on points about the maximum, shape (particles, nodes, nodes)."""

    theta: FloatArray
    form: FloatArray
    logs: FloatArray


def _lattice(surface: FractionalSurface, centre: FloatArray, axes: FloatArray) -> _Lattice:
    nodes = len(_NODES)
    theta = np.empty((nodes, nodes, 2))
    form = np.empty((len(surface.blocks.size), nodes, nodes))
    logs = np.empty_like(form)
    for i, z1 in enumerate(_NODES):
        for j, z2 in enumerate(_NODES):
            theta[i, j] = surface.clip(*(centre + axes @ np.array([z1, z2])))
            form[:, i, j], logs[:, i, j] = surface.forms(*theta[i, j])
    return _Lattice(theta, form, logs)


@dataclass(frozen=True)
class _Refit:
    """Maxima of weighted sums; the last two hold the values at every node."""

    alpha: FloatArray
    log_coefficient: FloatArray
    at_edge: NDArray[np.bool_]
    likelihoods: FloatArray
    log_coefficients: FloatArray


def _refit(surface: FractionalSurface, lattice: _Lattice, weights: FloatArray) -> _Refit:
    """Maximise weighted sums of the particles' likelihoods, shape (rows, particles)."""
    nodes = len(_NODES)
    impossible = ~np.isfinite(lattice.form).all(axis=0)
    form = np.tensordot(weights, np.where(impossible, 1.0, lattice.form), 1)
    logs = np.tensordot(weights, np.where(impossible, 0.0, lattice.logs), 1)
    size = weights @ surface.blocks.size
    value, log_K = np.empty_like(form), np.empty_like(form)
    for i in range(nodes):
        for j in range(nodes):
            theta = lattice.theta[i, j]
            log_a = surface.log_variance(form[:, i, j], size, *theta)
            value[:, i, j] = surface.log_likelihood(form[:, i, j], logs[:, i, j], size, *theta)
            log_K[:, i, j] = surface.log_coefficient(log_a, *theta)
    value[:, impossible] = -np.inf
    best = np.argmax(value.reshape(len(value), -1), axis=1)
    i, j = np.unravel_index(best, (nodes, nodes))
    at_edge = (i == 0) | (j == 0) | (i == nodes - 1) | (j == nodes - 1)
    i, j = np.clip(i, 1, nodes - 2), np.clip(j, 1, nodes - 2)
    near = (
        np.arange(len(value))[:, None, None],
        i[:, None, None] + np.array([-1, 0, 1])[:, None],
        j[:, None, None] + np.array([-1, 0, 1]),
    )
    _, gradient, hessian = _quadratic(value[near])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        determinant = hessian[0] * hessian[2] - hessian[1] ** 2
        z1 = -(hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant
        z2 = -(hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant
        usable = np.isfinite(z1) & np.isfinite(z2) & (determinant > 0) & (hessian[0] < 0)
    z1 = np.where(usable, np.clip(z1, -1.5, 1.5), 0.0)
    z2 = np.where(usable, np.clip(z2, -1.5, 1.5), 0.0)

    def there(values: FloatArray) -> FloatArray:
        middle, slope, bend = _quadratic(values[near])
        with np.errstate(invalid="ignore"):
            moved = middle + slope[0] * z1 + slope[1] * z2
            moved = moved + (bend[0] * z1**2 + bend[2] * z2**2) / 2 + bend[1] * z1 * z2
        return np.where(np.isfinite(moved), moved, middle)

    alpha = there(np.broadcast_to(lattice.theta[..., 0], value.shape))
    return _Refit(np.clip(alpha, *ALPHA_BOUNDS), there(log_K), at_edge, value, log_K)


def _quadratic(
    values: FloatArray,
) -> tuple[FloatArray, tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]:
    """Return value, gradient and Hessian at the middle of each 3 x 3 neighbourhood."""
    f = values
    with np.errstate(invalid="ignore"):
        gradient = ((f[:, 2, 1] - f[:, 0, 1]) / 2, (f[:, 1, 2] - f[:, 1, 0]) / 2)
        hessian = (
            f[:, 2, 1] + f[:, 0, 1] - 2 * f[:, 1, 1],
            (f[:, 2, 2] + f[:, 0, 0] - f[:, 2, 0] - f[:, 0, 2]) / 4,
            f[:, 1, 2] + f[:, 1, 0] - 2 * f[:, 1, 1],
        )
    return f[:, 1, 1], gradient, hessian


def fit_ensemble(
    surface: FractionalSurface, stride: int, weights: FloatArray | None
) -> EnsembleFit:
    """Fit all particles with one alpha and one K, and again in every bootstrap replicate.

    Parameters
    ----------
    surface : FractionalSurface
    stride : int
        Interleaved phases in the data; they count as one for `covariance`.
    weights : ndarray, shape (replicates, particles), or None
        How often each replicate draws each particle.

    Notes
    -----
    Every replicate is refitted from the particles' likelihoods on one lattice of points about
    the maximum, along the principal axes of the likelihood; the lattice grows until the
    replicates lie within.
    """
    alpha, beta = find_maximum(surface)
    axes = _axes(surface, alpha, beta)
    lattice = _lattice(surface, np.array([alpha, beta]), axes)
    best = _refit(surface, lattice, np.ones((1, len(surface.blocks.size))))

    # Moments of the likelihood over the lattice; its scale adds 2 / size to the variance of log K.
    share = np.exp((best.likelihoods[0] - best.likelihoods[0].max()) / stride)
    share /= share.sum()
    log_K = np.where(
        np.isfinite(best.log_coefficients[0]), best.log_coefficients[0], best.log_coefficient[0]
    )
    pair = np.stack([lattice.theta[..., 0], log_K])
    pair = pair - (share * pair).sum((1, 2), keepdims=True)
    covariance = np.einsum("ij,aij,bij->ab", share, pair, pair)
    covariance[1, 1] += 2 * stride / surface.blocks.size.sum()

    alpha_b, log_K_b = np.empty(0), np.empty(0)
    if weights is not None:
        for widen in (2.0, 2.0, 1.0):
            refits = _refit(surface, lattice, weights)
            alpha_b, log_K_b = refits.alpha, refits.log_coefficient
            if refits.at_edge.mean() < 0.01 or widen == 1:
                break
            axes = axes * widen
            lattice = _lattice(surface, np.array([alpha, beta]), axes)
    part = surface.motion_part(alpha, beta)
    with np.errstate(divide="ignore"):
        variance = 2 * np.exp(best.log_coefficient[0]) * surface.first(alpha) / part
    still = surface.total(1.0, surface.beta_bounds[0])
    moves = (surface.total(alpha, beta) - still) / stride > LEAST_FOR_MOTION
    return EnsembleFit(
        alpha=float(best.alpha[0]),
        log_coefficient=float(best.log_coefficient[0]),
        variance=float(variance),
        motion_part=part,
        covariance=covariance,
        alpha_replicates=alpha_b,
        log_coefficient_replicates=log_K_b,
        moves=bool(moves),
    )

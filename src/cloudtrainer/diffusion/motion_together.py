"""Fits of each kind of motion to all tracks together: the shape is shared, the scale is not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cloudtrainer.diffusion.fractional import toeplitz_forms
from cloudtrainer.diffusion.motion_fit import MotionFits, added, fit_grids, grids_of
from cloudtrainer.diffusion.motion_lattice import MotionLattice, power_part, well_part
from cloudtrainer.diffusion.profile_likelihood import peak
from cloudtrainer.diffusion.relaxation import Forms, well_forms
from cloudtrainer.diffusion.tracks import FloatArray

# Log-likelihoods are found to this.
_TOLERANCE = 0.005
# Each track's own maximum is sought on finer points where the mean log-likelihood of the tracks is
# within this of its highest (five standard errors of one track), twice.
_NEAR = 12.5
_FINER, _ROUNDS = 16, 2


@dataclass(frozen=True)
class TogetherFit:
    """What all tracks say together.

    Attributes
    ----------
    fits : MotionFits
        One row.
    shares : dict of str to ndarray, shape (tracks,)
        Each track's part of the log-likelihoods `confined`, `anomalous` and `directed`.
    difference : float
        Twice what the log-likelihood of the likeliest kind gains when each track has its own part
        of motion: about chi-square with one degree of freedom less than there are tracks, if they
        are alike. Of another kind it would be larger, as the model is wrong.
    """

    fits: MotionFits
    shares: dict[str, FloatArray]
    difference: float


def fit_together(lattice: MotionLattice) -> TogetherFit:
    """Fit all tracks with one shape.

    Notes
    -----
    The sums over tracks on the grids show where to begin; the errors of the splines would add up
    over many tracks, so the maxima are found again with exact likelihoods.
    """
    size = lattice.blocks.size
    total = added([added([grids], 1) for _, grids in grids_of(lattice)], len(size))
    start = fit_grids(lattice, total, size.sum(keepdims=True))

    exact = _Exact(lattice)
    psi, rate, alpha = lattice.psi.fine, lattice.rate.fine, lattice.alpha.fine
    brownian, at_brownian = exact.climb(exact.brownian, total.well[0, 0], (psi,))
    confined, at_confined = exact.climb(exact.confined, total.well[0], (rate, psi))
    anomalous, at_anomalous = exact.climb(exact.anomalous, total.power[0], (alpha, psi))
    directed, at_directed = exact.climb(exact.directed, total.directed[0], (lattice.wandering, psi))
    # The kinds are nested: a search that ends below the simpler one has found nothing better.
    least = brownian.sum()
    free = exact.free(at_brownian[0])
    explained = (free.drift[0] ** 2).sum(0) / free.drift_weight[0]
    drift_test = (size - 2) * -np.log1p(-explained / free.form[0])
    k = float(lattice.unscaled(at_confined[0]))
    variance = start.well_variance
    if k > 0:
        forms, part = exact.well(at_confined)
        variance = np.array([(forms.form[0] / size).mean() * part / (2 * -np.expm1(-k))])
    speed, speed_error = exact.speed(at_directed[1])
    fits = replace(
        start,
        immobile=exact.brownian(np.zeros(1)).sum(keepdims=True),
        brownian=np.array([least]),
        confined=np.array([max(confined.sum(), least)]),
        anomalous=np.array([max(anomalous.sum(), least)]),
        directed=np.array([max(directed.sum(), least)]),
        drift_test=np.array([drift_test.sum() / lattice.stride]),
        rate=np.array([k]),
        well_variance=variance,
        alpha=np.array([at_anomalous[0]]),
        speed=np.array([speed]),
        speed_error=np.array([speed_error]),
    )
    shares = {"confined": confined, "anomalous": anomalous, "directed": directed}
    best = max(
        (confined, exact.confined, at_confined[:1]),
        (anomalous, exact.anomalous, at_anomalous[:1]),
        (directed, exact.directed, at_directed[:1]),
        (brownian, exact.brownian, at_brownian[:0]),
        key=lambda kind: float(kind[0].sum()),
    )
    difference = 2 * float((exact.each_alone(*best[1:]) - best[0]).sum())
    return TogetherFit(fits, shares, difference)


class _Exact:
    """Log-likelihoods of each track at any point of the axes."""

    def __init__(self, lattice: MotionLattice) -> None:
        self._lattice = lattice

    def _likelihood(self, form: FloatArray, logs: FloatArray) -> FloatArray:
        size = self._lattice.blocks.size
        value = -0.5 * (size * (np.log(form / size) + 1) + logs)
        return np.asarray(value / self._lattice.stride)

    def free(self, place: float) -> Forms:
        """Return the forms of Brownian motion at a place of psi."""
        psi = self._lattice.unscaled(np.array([place]))
        return well_forms(self._lattice.columns, 1.0, well_part(psi, 0.0))

    def each_alone(
        self, shares: Callable[[FloatArray], FloatArray], shape: FloatArray
    ) -> FloatArray:
        """Return each track's largest log-likelihood of a kind, with its own psi.

        Tracks that are alike have their maxima near the common one, and only there need the
        points be dense: what is missed of a track far from it makes a large difference smaller.

        Parameters
        ----------
        shares : callable
            From a point to each track's log-likelihood.
        shape : ndarray
            The point's other coordinate, the same for all tracks; empty for Brownian motion.
        """
        place = finer = self._lattice.psi.node
        tracks = len(self._lattice.blocks.size)
        values = np.empty((0, tracks))
        for _ in range(1 + _ROUNDS):
            found = np.reshape(
                [shares(np.append(shape, at)) for at in finer], (-1, values.shape[1])
            )
            order = np.argsort(place, kind="stable")
            place, values = place[order], np.concatenate([values, found])[order]
            mean = values.mean(1)
            near = np.flatnonzero(mean >= mean.max() - _NEAR)
            first, last = max(near[0] - 1, 0), min(near[-1] + 1, len(place) - 1)
            finer = np.linspace(place[first], place[last], _FINER + 2)[1:-1]
            finer = finer[~np.isin(finer, place)]
            place = np.append(place, finer)
        return peak(values.T, place[: len(values)])[1]

    def well(self, place: FloatArray) -> tuple[Forms, float]:
        """Return the forms of a well at (rate, psi), and v."""
        rate, psi = self._lattice.unscaled(place)
        part = well_part(np.array([psi]), float(rate))
        return well_forms(self._lattice.columns, float(np.exp(-rate)), part), float(part[0])

    def brownian(self, place: FloatArray) -> FloatArray:
        forms = self.free(float(place[0]))
        return self._likelihood(forms.form[0], forms.log_determinant[0])

    def confined(self, place: FloatArray) -> FloatArray:
        forms, _ = self.well(place)
        return self._likelihood(forms.form[0], forms.log_determinant[0])

    def anomalous(self, place: FloatArray) -> FloatArray:
        alpha, psi = float(place[0]), float(self._lattice.unscaled(place[1]))
        exposure = self._lattice.exposure
        part = power_part(psi, alpha, exposure)
        found = toeplitz_forms(self._lattice.blocks, alpha, part, exposure)
        if found is None:
            return np.full(len(self._lattice.blocks.size), -np.inf)
        return self._likelihood(*found)

    def directed(self, place: FloatArray) -> FloatArray:
        forms = self.free(float(place[1]))
        weight = np.exp(place[0]) * forms.drift_weight[0]
        explained = (forms.drift[0] ** 2).sum(0) / forms.drift_weight[0]
        form = forms.form[0] - explained * weight / (1 + weight)
        return self._likelihood(form, forms.log_determinant[0] + 2 * np.log1p(weight))

    def speed(self, place: float) -> tuple[float, float]:
        """Return the root mean square of the tracks' speeds, and its standard error."""
        size = self._lattice.blocks.size
        forms = self.free(place)
        velocity = forms.drift[0] / forms.drift_weight[0]
        left = forms.form[0] - (forms.drift[0] ** 2).sum(0) / forms.drift_weight[0]
        scale = left / np.maximum(size - 2, 1) * self._lattice.stride
        square = (velocity**2).sum(0) - 2 * scale / forms.drift_weight[0]
        speed = float(np.sqrt(max(square.mean(), 0.0)))
        if speed == 0:
            return 0.0, float(np.sqrt((scale / forms.drift_weight[0]).mean() / len(size)))
        if len(size) == 1:
            return speed, float(np.sqrt(scale[0] / forms.drift_weight[0, 0]))
        return speed, float(square.std(ddof=1) / np.sqrt(len(size)) / (2 * speed))

    def climb(
        self,
        shares: Callable[[FloatArray], FloatArray],
        grid: FloatArray,
        axes: tuple[FloatArray, ...],
    ) -> tuple[FloatArray, FloatArray]:
        """Return the tracks' log-likelihoods at the exact maximum near that of a grid, and where.

        Parameters
        ----------
        shares : callable
            From a point to each track's log-likelihood.
        grid : ndarray
            The splines' sums, on the product of the axes.
        axes : tuple of ndarray
        """
        from scipy.optimize import minimize

        low = np.array([axis[0] for axis in axes])
        high = np.array([axis[-1] for axis in axes])
        best = np.unravel_index(int(np.argmax(grid)), grid.shape)
        begin = np.array([axis[i] for axis, i in zip(axes, best, strict=True)])
        simplex = np.tile(begin, (len(axes) + 1, 1))
        for i, axis in enumerate(axes):
            step = axis[1] - axis[0]
            simplex[i + 1, i] += step if begin[i] + step <= high[i] else -step

        def cost(point: FloatArray) -> float:
            return -float(shares(np.clip(point, low, high)).sum())

        found = minimize(
            cost, begin, method="Nelder-Mead",
            options={"initial_simplex": simplex, "fatol": _TOLERANCE, "xatol": 1e-3},
        )  # fmt: skip
        point = np.clip(np.asarray(found.x), low, high)
        return shares(point), point

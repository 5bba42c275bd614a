"""What an exposure that lasts hides of an MSD, and the MSD without it."""

import numpy as np

from cloudtrainer.diffusion.tracks import FloatArray

# The motion that is fitted: A (1 - exp(-(t / T)^a)), with T up to so long that only t^a is left;
# T in exposures.
_ALPHAS = np.round(np.arange(0.2, 1.91, 0.025), 3)
_PLATEAUS = np.append(np.geomspace(0.5, 100, 22), np.inf)
# Lags that are fitted, as a multiple of the first: what happens within a frame shows there.
_FITTED_UP_TO = 8.0
_NODES = 48


class MotionBlur:
    """What motion within the exposure does to the MSD at some lags.

    Positions that are averages over an exposure e have the MSD ``integral of L(s) (M(t + s) -
    M(s))``, where L is the triangle of half width e and area 1, and M the MSD without exposure
    (Savin & Doyle 2005, Biophys. J. 88, 623; for a power law Backlund, Joyner & Moerner 2015, Phys.
    Rev. E 91, 062716). Its second part, ``8 K e^a / ((a + 1)(a + 2))`` for M = 4 K t^a, lowers the
    MSD at all lags; stuck particles do not know it. M below the first lag is taken from a
    stretched approach to a plateau, ``A (1 - exp(-(t / T)^a))``, fitted with its own blur to the
    shortest lags: of it a power law and a bead in a viscoelastic solid are special cases.

    Parameters
    ----------
    time : ndarray, shape (lags,)
        s, ascending, none shorter than the exposure.
    exposure_s : float
        Above 0.
    weights : ndarray, shape (lags,)
        Of the squares of the residuals.
    offset_holds_blur : bool
        Whether what was taken out of the MSD already holds the part that all lags have in common.
    """

    def __init__(
        self,
        time: FloatArray,
        exposure_s: float,
        weights: FloatArray,
        *,
        offset_holds_blur: bool = False,
    ) -> None:
        # The exposure may exceed the first lag by rounding.
        lag = np.maximum(time / exposure_s, 1.0)
        self._sharp, seen = _family(lag)
        if offset_holds_blur:
            seen = seen + _family_hidden()[:, None]
        self._hidden = self._sharp - seen
        self._fitted = time <= _FITTED_UP_TO * time[0]
        weight = weights[self._fitted]
        self._seen = seen[:, self._fitted]
        self._projection = (self._seen * weight).T
        self._norm = (self._seen**2 * weight).sum(1)

    def taken_out(self, motion: FloatArray) -> FloatArray:
        """Return MSDs without blur, of MSDs without localisation error, shape (curves, lags)."""
        overlap = motion[:, self._fitted] @ self._projection
        with np.errstate(invalid="ignore"):
            gain = np.where(overlap > 0, overlap**2 / self._norm, 0.0)
        best = np.argmax(gain, axis=1)
        size = np.maximum(overlap[np.arange(len(best)), best], 0.0) / self._norm[best]
        return np.asarray(motion + size[:, None] * self._hidden[best])


def _grid() -> tuple[FloatArray, FloatArray]:
    alpha, plateau = np.meshgrid(_ALPHAS, _PLATEAUS, indexing="ij")
    return alpha.ravel()[:, None], plateau.ravel()[:, None]


def _motion(lag: FloatArray) -> FloatArray:
    """Return the MSD of each member of the family at lags in exposures."""
    alpha, plateau = _grid()
    power = np.abs(lag) ** alpha
    with np.errstate(divide="ignore"):
        rate = plateau**-alpha
    # Without a plateau the power law itself: both are t^a at short lags.
    bounded = -np.expm1(-power * rate) / np.where(rate > 0, rate, 1.0)
    return np.asarray(np.where(rate > 0, bounded, power))


def _nodes() -> tuple[FloatArray, FloatArray]:
    """Return nodes in (0, 1) and weights for integrals over 1 - s, crowded at both ends."""
    x, weight = np.polynomial.legendre.leggauss(_NODES)
    x = (x + 1) / 2
    node = np.sin(np.pi * x / 2) ** 2
    return node, (1 - node) * weight / 2 * np.pi / 2 * np.sin(np.pi * x)


def _family_hidden() -> FloatArray:
    node, weight = _nodes()
    return np.asarray(2 * _motion(node) @ weight)


def _family(lag: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the MSDs without blur and with it, shape (members, lags)."""
    seen = np.zeros((len(_ALPHAS) * len(_PLATEAUS), len(lag)))
    for node, weight in zip(*_nodes(), strict=True):
        seen += weight * (_motion(lag + node) + _motion(lag - node))
    return _motion(lag), seen - _family_hidden()[:, None]

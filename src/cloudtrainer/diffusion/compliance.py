"""From the creep compliance of a material at some times to its complex modulus."""

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.diffusion.tracks import FloatArray

_FREQUENCIES_A_DECADE = 8
# The compliance is continued by a power law for so many decades beyond the lags at either end; the
# slope at an end is that of so many lags.
_DECADES_BEYOND, _POINTS_A_DECADE = 3, 60
_LAGS_AT_END = 5


class ComplianceTransform:
    """The transform of creep compliances that are known at the same times.

    Exact for straight lines between points (Evans et al. 2009, Phys. Rev. E 80:012501, equation
    10).

    Parameters
    ----------
    time : ndarray, shape (lags,)
        s, ascending.
    """

    def __init__(self, time: FloatArray) -> None:
        self.time = time
        ends = np.log10(time[[0, -1]])
        number = max(2, round(_FREQUENCIES_A_DECADE * (ends[1] - ends[0])) + 1)
        self.angular_frequency = np.logspace(-ends[1], -ends[0], number)
        beyond = np.linspace(0, _DECADES_BEYOND, _DECADES_BEYOND * _POINTS_A_DECADE + 1)[1:]
        between = np.linspace(ends[0], ends[1], max(2, int(_POINTS_A_DECADE * (ends[1] - ends[0]))))
        self._log_dense = np.log(10) * np.concatenate(
            [ends[0] - beyond[::-1], between, ends[1] + beyond]
        )
        self._dense = np.exp(self._log_dense)
        self._waves = np.exp(-1j * self.angular_frequency[:, None] * self._dense)

    def slope(self, msd: FloatArray) -> FloatArray:
        """Return d ln MSD / d ln t at one over each frequency."""
        with np.errstate(invalid="ignore", divide="ignore"):
            slopes = np.gradient(np.log(msd), np.log(self.time))
        return np.asarray(
            np.interp(-np.log(self.angular_frequency), np.log(self.time), slopes), np.float64
        )

    def modulus(self, compliance: FloatArray) -> NDArray[np.complex128]:
        """Return the complex modulus, Pa, (curves, frequencies), of J(t), 1/Pa, (curves, lags)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log = np.log(compliance)
        dense = np.exp(np.stack([self._continued(curve) for curve in log]))
        slopes = np.diff(dense, axis=1) / np.diff(self._dense)
        # From J(0) = 0 in a straight line to the first point, on as between the last two.
        first = dense[:, :1] / self._dense[0] * (1 - self._waves[:, 0])
        between = slopes @ (self._waves[:, :-1] - self._waves[:, 1:]).T
        last = slopes[:, -1:] * self._waves[:, -1]
        return np.asarray(1j * self.angular_frequency / (first + between + last))

    def _continued(self, log_compliance: FloatArray) -> FloatArray:
        if not np.isfinite(log_compliance).all():
            return np.full(self._log_dense.shape, np.nan)
        log_time, end = np.log(self.time), _LAGS_AT_END
        dense = np.interp(self._log_dense, log_time, log_compliance)
        for part, here in ((slice(end), 0), (slice(-end, None), -1)):
            rise = np.polyfit(log_time[part], log_compliance[part], 1)[0]
            beyond = self._log_dense < log_time[0] if here == 0 else self._log_dense > log_time[-1]
            away = self._log_dense[beyond] - log_time[here]
            dense[beyond] = log_compliance[here] + min(max(rise, 0.0), 1.0) * away
        return np.asarray(dense)

"""What the standard error of a mean is worth where the particles weigh unequally."""

import numpy as np

from cloudtrainer.diffusion.tracks import FloatArray


def leverage_factor(weight: FloatArray) -> float:
    """Return by what a bootstrap standard error is too small, for the mean is of the same data.

    Parameters
    ----------
    weight : ndarray, shape (particles,)
        What each counts in the mean, such as its number of displacements; two above 0 or more.

    Notes
    -----
    The bootstrap's variance of a weighted mean is the sum of q^2 e^2 over particles, of share q in
    the weight and residual e. A residual is smaller than the deviation from the true mean by the
    share 1 - q of its variance (the correction HC2: MacKinnon & White 1985, J. Econom. 29, 305).
    With equal weights this is sqrt(n / (n - 1)).
    """
    share = weight / weight.sum()
    return float(np.sqrt((share**2 / np.maximum(1 - share, 1e-12)).sum() / (share**2).sum()))


def share_of_variance(model_error: float, error: float) -> float:
    """Return the share of a variance that the model of particles that are alike explains."""
    return min((model_error / error) ** 2, 1.0) if error > 0 else 1.0


def degrees_of_freedom(weight: FloatArray, alike: float = 0.0) -> float:
    """Return the degrees of freedom of such a standard error, n - 1 where all weigh the same.

    Parameters
    ----------
    weight : ndarray, shape (particles,)
        What each counts; two above 0 or more.
    alike : float
        Share of the variance of the mean that there would be if all particles were alike, 0 to 1:
        the variance of each is then as 1 / weight. The rest is that of particles that differ.

    Notes
    -----
    Satterthwaite's approximation for the HC2 variance (Bell & McCaffrey 2002, Surv. Methodol. 28,
    169): the square of its mean over half of its variance, for normal values whose variances are as
    assumed.
    """
    q = weight[weight > 0] / weight.sum()
    d = q**2 / np.maximum(1 - q, 1e-12)
    s = (1 - alike) / (q**2).sum() + alike / q
    # The variance is the form x' M x with M = (I - 1q')' diag(d) (I - 1q').
    total = d.sum()
    diagonal = d - 2 * d * q + total * q**2
    dd, qq, dq = (s * d**2).sum(), (s * q**2).sum(), (s * d * q).sum()
    everything = 2 * dd * qq + 2 * dq**2 + total**2 * qq**2 - 4 * total * dq * qq
    off = everything - (s**2 * (diagonal - d) ** 2).sum()
    return float((s * diagonal).sum() ** 2 / ((s**2 * diagonal**2).sum() + off))

import numpy as np
import pytest

from cloudtrainer.errors import ConfigError
from cloudtrainer.evaluation import localisation_bound_px


def test_bound_without_background_is_sigma_over_root_photons():
    # A Gaussian integrated over pixels has the variance of both.
    bound = localisation_bound_px(1e4, 3.0, 0.0)
    assert float(bound) == pytest.approx(np.sqrt(9 + 1 / 12) / 100, rel=1e-3)


@pytest.mark.parametrize(
    ("photons", "sigma", "background"), [(300, 1.3, 2.0), (1000, 1.5, 20.0), (5000, 2.0, 50.0)]
)
def test_bound_agrees_with_the_approximation_of_mortensen_and_of_rieger(photons, sigma, background):
    # Rieger & Stallinga 2014, ChemPhysChem 15:664, eq. 2: good to a few percent.
    s2 = sigma**2 + 1 / 12
    tau = 2 * np.pi * s2 * background / photons
    expected = np.sqrt(s2 / photons * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau))))
    assert float(localisation_bound_px(photons, sigma, background)) == pytest.approx(
        expected, rel=0.05
    )


def test_bound_broadcasts_and_orders():
    bound = localisation_bound_px([[100], [400]], [1.0, 1.5, 2.0], 10)
    assert bound.shape == (2, 3)
    assert (bound[0] > bound[1]).all()
    assert (np.diff(bound, axis=1) > 0).all()
    assert localisation_bound_px(100, 1.0, 10, read_noise=3) == pytest.approx(
        localisation_bound_px(100, 1.0, 19)
    )
    with pytest.raises(ConfigError, match="photons"):
        localisation_bound_px(0, 1, 1)


def test_bound_is_the_spread_of_a_maximum_likelihood_fit():
    from scipy.optimize import minimize
    from scipy.special import erf

    rng = np.random.default_rng(0)
    edges = np.arange(-0.5, 13)

    def mean(p):
        gx = np.diff(erf((edges - p[0]) / (1.4 * np.sqrt(2)))) / 2
        gy = np.diff(erf((edges - p[1]) / (1.4 * np.sqrt(2)))) / 2
        return np.exp(p[2]) * np.outer(gy, gx) + np.exp(p[3])

    errors = []
    for _ in range(150):
        truth = np.array([*rng.uniform(5.5, 6.5, 2), np.log(800), np.log(5)])
        image = rng.poisson(mean(truth))
        fit = minimize(lambda p, n=image: np.sum(mean(p) - n * np.log(mean(p))), truth)
        errors.append(fit.x[:2] - truth[:2])
    spread = np.sqrt(np.mean(np.square(errors)))
    # 300 errors: the spread is known to 4%.
    assert spread / localisation_bound_px(800, 1.4, 5) == pytest.approx(1.0, abs=0.12)

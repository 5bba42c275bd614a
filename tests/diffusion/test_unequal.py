"""What a standard error is worth where a few long tracks count most."""

import numpy as np
import pytest

from cloudtrainer.diffusion.unequal import (
    degrees_of_freedom,
    leverage_factor,
    share_of_variance,
)

FEW_LONG = np.r_[np.full(5, 500.0), np.full(100, 10.0)]


@pytest.mark.parametrize("alike", [0.0, 0.4, 1.0])
def test_equal_weights_are_those_of_a_plain_mean(alike):
    assert leverage_factor(np.full(20, 7.0)) == pytest.approx(np.sqrt(20 / 19))
    assert degrees_of_freedom(np.full(20, 7.0), alike) == pytest.approx(19)


@pytest.mark.parametrize("alike", [0.0, 0.4, 1.0])
def test_degrees_of_freedom_are_those_of_the_quadratic_form(alike):
    """(tr B)^2 / tr(B^2), by matrices."""
    q = FEW_LONG / FEW_LONG.sum()
    away = np.eye(len(q)) - np.outer(np.ones(len(q)), q)
    s = np.sqrt((1 - alike) / (q**2).sum() + alike / q)
    B = s[:, None] * (away.T @ np.diag(q**2 / (1 - q)) @ away) * s
    assert degrees_of_freedom(FEW_LONG, alike) == pytest.approx(np.trace(B) ** 2 / (B**2).sum())


def test_the_variance_is_right_on_the_mean_and_scatters_as_the_freedom_says():
    rng = np.random.default_rng(0)
    q = FEW_LONG / FEW_LONG.sum()
    for alike, variance in ((1.0, 1 / q), (0.0, np.ones(len(q)))):
        x = rng.normal(size=(20000, len(q))) * np.sqrt(variance)
        found = (q**2 * (x - (x @ q)[:, None]) ** 2).sum(axis=1) * leverage_factor(FEW_LONG) ** 2
        assert found.mean() / (q**2 * variance).sum() == pytest.approx(1, abs=0.06)
        freedom = 2 * found.mean() ** 2 / found.var()
        assert degrees_of_freedom(FEW_LONG, alike) == pytest.approx(freedom, rel=0.15)


def test_tracks_without_weight_do_not_count():
    assert degrees_of_freedom(np.r_[np.ones(10), 0.0]) == pytest.approx(9)


def test_share_of_variance():
    assert share_of_variance(1.0, 2.0) == 0.25
    assert share_of_variance(2.0, 1.0) == 1.0
    assert share_of_variance(1.0, 0.0) == 1.0

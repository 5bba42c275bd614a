import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.evaluation import localisation_bound_px, match_detections, score_detections


def table(rows):
    return pd.DataFrame(rows, columns=["frame", "x", "y"], dtype=float)


EMPTY = table([])


def test_score_of_a_known_case():
    truth = table([(0, 10, 10), (0, 20, 20), (1, 10, 10), (1, 50, 50)])
    found = table([(0, 10.3, 10.0), (0, 20.0, 19.6), (1, 10.3, 10.4), (1, 30, 30), (2, 50, 50)])
    score = score_detections(found, truth, gate_px=2)
    assert (score.matched, score.found, score.truth) == (3, 5, 4)
    assert score.precision == pytest.approx(0.6)
    assert score.recall == pytest.approx(0.75)
    assert score.f1 == pytest.approx(6 / 9)
    assert score.jaccard == pytest.approx(0.5)
    # (0.3^2 + 0.4^2 + 0.5^2) / 3 pairs / 2 axes
    assert score.rmse_px == pytest.approx(np.sqrt(0.5 / 6))
    assert score.bias_px == pytest.approx((0.2, 0.0))


@pytest.mark.parametrize(
    ("found", "truth", "f1"),
    [(EMPTY, EMPTY, 1.0), (EMPTY, table([(0, 1, 1)]), 0.0), (table([(0, 1, 1)]), EMPTY, 0.0)],
)
def test_score_of_empty_tables(found, truth, f1):
    score = score_detections(found, truth, gate_px=3)
    assert score.f1 == f1
    assert np.isnan(score.rmse_px)
    assert np.isnan(score.bias_px).all()


def test_more_pairs_beat_a_nearer_pair():
    # Nearest first would pair (1 with 1.1) and leave the other two 2.9 apart, out of reach.
    found, truth = table([(0, 0, 0), (0, 1, 0)]), table([(0, 1.1, 0), (0, 2.9, 0)])
    pairs = match_detections(found, truth, gate_px=2)
    assert pairs[["found", "truth"]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert pairs["dx"].to_numpy() == pytest.approx([-1.1, -1.9])


def test_pairs_never_join_frames():
    assert match_detections(table([(0, 5, 5)]), table([(1, 5, 5)]), gate_px=100).empty


point = st.tuples(
    st.integers(0, 1),
    st.integers(0, 40).map(lambda k: k / 4),
    st.integers(0, 40).map(lambda k: k / 4),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(point, max_size=5), st.lists(point, max_size=5), st.sampled_from([1.1, 3.3]))
def test_pairing_equals_brute_force(found, truth, gate):
    pairs = match_detections(table(found), table(truth), gate)
    assert pairs["found"].is_unique
    assert pairs["truth"].is_unique
    best = (0, 0.0)
    slots = [*range(len(truth)), *([None] * len(found))]
    for choice in set(itertools.permutations(slots, len(found))):
        chosen = [(f, truth[k]) for f, k in zip(found, choice, strict=True) if k is not None]
        cost = [(f[1] - t[1]) ** 2 + (f[2] - t[2]) ** 2 for f, t in chosen]
        if all(f[0] == t[0] for f, t in chosen) and all(c <= gate**2 for c in cost):
            best = min(best, (-len(chosen), sum(cost)))
    assert len(pairs) == -best[0]
    assert (pairs["dx"] ** 2 + pairs["dy"] ** 2).sum() == pytest.approx(best[1])


def test_bad_tables_say_what_is_wrong():
    good = table([(0, 1, 1)])
    with pytest.raises(LabelError, match="no column y"):
        score_detections(good[["frame", "x"]], good, 2)
    with pytest.raises(LabelError, match="Row 0 of the table of truth"):
        score_detections(good, table([(0, np.nan, 1)]), 2)
    with pytest.raises(ConfigError, match="gate_px"):
        score_detections(good, good, 0)


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

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.evaluation import isolated, match_detections, matching


def table(rows):
    return pd.DataFrame(rows, columns=["frame", "x", "y"], dtype=float)


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


@settings(max_examples=60, deadline=None)
@given(st.lists(point, max_size=25), st.lists(point, max_size=25), st.sampled_from([1.25, 3.3]))
def test_near_pairs_are_those_of_a_double_loop(a, b, gate):
    listed = [
        (i, j)
        for rows in matching.near_pairs(table(a).to_numpy(), table(b).to_numpy(), gate)
        for i, j in zip(rows[0].tolist(), rows[1].tolist(), strict=True)
    ]
    near = {
        (i, j)
        for (i, p), (j, q) in itertools.product(enumerate(a), enumerate(b))
        if p[0] == q[0] and np.hypot(p[1] - q[1], p[2] - q[2]) <= gate
    }
    assert len(listed) == len(near)
    assert set(listed) == near


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_pairs_are_the_same_in_any_unit_and_any_part(scale, monkeypatch):
    rng = np.random.default_rng(0)
    truth = pd.DataFrame(rng.uniform(0, 30, (400, 2)), columns=["x", "y"])
    truth["frame"] = rng.integers(-1000, 1000, 400) // 250 * 10**9
    found = truth + rng.normal(0, 0.4, truth.shape) * [1, 1, 0]
    whole = match_detections(found, truth, 2.0)
    assert len(whole) > 200
    monkeypatch.setattr(matching, "_AT_ONCE", 7)
    measured = [found * [scale, scale, 1], truth * [scale, scale, 1]]
    parts = match_detections(*measured, 2.0 * scale)
    assert parts[["found", "truth"]].equals(whole[["found", "truth"]])
    assert parts["dx"].to_numpy() == pytest.approx(scale * whole["dx"].to_numpy(), rel=1e-4)


@pytest.mark.parametrize("cells", [0, 10**6])
@pytest.mark.parametrize("seed", range(8))
def test_either_solver_finds_the_heaviest_pairs(cells, seed, monkeypatch):
    monkeypatch.setattr(matching, "_DENSE_CELLS", cells)
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 6, 2)
    weight = rng.choice([0.0, 0.5, 1.0, 1.5], (rows, columns)) + rng.choice([0, rng.random()])
    weight *= rng.random((rows, columns)) < 0.7
    i, j = np.nonzero(weight)
    chosen = matching.heaviest_pairs(i, j, weight[i, j])
    assert len(set(i[chosen])) == len(set(j[chosen])) == len(chosen)
    slots = [*range(columns), *([None] * rows)]
    best = max(
        sum(weight[r, c] for r, c in enumerate(choice) if c is not None)
        for choice in set(itertools.permutations(slots, int(rows)))
    )
    assert weight[i, j][chosen].sum() == pytest.approx(best)


def test_isolated_is_told_within_each_frame():
    spots = [(0, 10, 10), (0, 13, 14), (0, 40, 40), (1, 10, 10), (1, 40, 44.9), (1, 40, 40)]
    # 5 px apart, alone, and the same place in another frame; 4.9 px apart.
    assert isolated(table(spots), 5).tolist() == [False, False, True, True, False, False]
    assert isolated(table(spots), 4.95).tolist() == [True, True, True, True, False, False]


def test_isolated_of_few_and_of_repeated_positions():
    assert isolated(table([]), 3).shape == (0,)
    assert isolated(table([]), 3).dtype == bool
    assert isolated(table([(7, 1, 1)]), 1e9).tolist() == [True]
    assert isolated(table([(0, 1, 1), (0, 1, 1)]), 0.1).tolist() == [False, False]
    with pytest.raises(ConfigError, match="distance_px must be a positive distance"):
        isolated(table([(0, 1, 1)]), 0)
    with pytest.raises(LabelError, match="no column frame"):
        isolated(pd.DataFrame({"x": [1.0], "y": [1.0]}), 3)


def test_isolated_agrees_with_all_distances():
    rng = np.random.default_rng(1)
    spots = pd.DataFrame(rng.uniform(0, 40, (150, 2)), columns=["x", "y"])
    spots["frame"] = rng.integers(0, 3, 150)
    expected = []
    for row in spots.itertuples():
        others = spots[(spots["frame"] == row.frame) & (spots.index != row.Index)]
        expected.append(np.hypot(others["x"] - row.x, others["y"] - row.y).min() > 3)
    assert 10 < sum(expected) < 140
    assert isolated(spots, 3).tolist() == expected

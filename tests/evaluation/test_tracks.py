import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.evaluation import matching, score_tracks

GATE = 5.0


def table(tracks):
    """Make a table of tracks given as {particle: {frame: (x, y)}}."""
    rows = [(p, f, x, y) for p, track in tracks.items() for f, (x, y) in track.items()]
    return pd.DataFrame(rows, columns=["particle", "frame", "x", "y"], dtype=float)


def line(frames, y=10.0):
    return {frame: (10.0 + frame, y) for frame in frames}


EMPTY = table({})


def test_a_worked_example():
    truth = table({1: line(range(5)), 2: dict.fromkeys(range(3), (50, 50))})
    found = table(
        {
            7: line(range(1, 6), y=13),
            8: dict.fromkeys(range(2), (80, 80)),
            9: {2: (50, 54)},
        }
    )
    score = score_tracks(found, truth, GATE)
    # 1 with 7: the gate in frames 0 and 5, 3 px in four frames, together 22 < 5 frames x 5 px;
    # 2 with 9: the gate in two frames and 4 px in one, 14 < 15. Nothing found: 8 x 5 = 40.
    assert score.alpha == pytest.approx(1 - (22 + 14) / 40)
    # 8 is spurious: two frames.
    assert score.beta == pytest.approx((40 - 36) / (40 + 10))
    assert (score.positions_tp, score.positions_fn, score.positions_fp) == (5, 3, 3)
    assert score.jsc == pytest.approx(5 / 11)
    assert (score.tracks_tp, score.tracks_fn, score.tracks_fp) == (2, 0, 1)
    assert score.jsc_theta == pytest.approx(2 / 3)
    assert score.rmse_px == pytest.approx(np.sqrt((4 * 3**2 + 4**2) / 5))
    assert score.rmse_x_px == 0
    assert score.rmse_y_px == score.rmse_px
    assert score.bias_px == pytest.approx((0, (4 * 3 + 4) / 5))


def test_perfect_tracks():
    rng = np.random.default_rng(0)
    truth = table({p: {f: rng.uniform(0, 99, 2) for f in range(p, 2 * p)} for p in range(1, 30)})
    score = score_tracks(truth, truth, 3)
    assert (score.alpha, score.beta, score.jsc, score.jsc_theta) == (1, 1, 1, 1)
    assert (score.rmse_px, score.bias_px) == (0, (0, 0))
    assert (score.positions_tp, score.tracks_tp) == (len(truth), 29)


@pytest.mark.parametrize(
    ("found", "truth", "value"),
    [(EMPTY, EMPTY, 1), (EMPTY, table({1: line([0])}), 0), (table({1: line([0])}), EMPTY, 0)],
)
def test_empty_tables(found, truth, value):
    score = score_tracks(found, truth, GATE)
    assert (score.alpha, score.beta, score.jsc, score.jsc_theta) == (value,) * 4
    assert np.isnan([score.rmse_px, score.rmse_x_px, score.rmse_y_px, *score.bias_px]).all()
    assert (score.positions_fn, score.positions_fp) == (len(truth), len(found))
    assert (score.tracks_fn, score.tracks_fp) == (len(truth), len(found))


def test_a_track_in_two_pieces_is_found_once():
    score = score_tracks(
        table({1: line(range(6)), 2: line(range(6, 10))}), table({1: line(range(10))}), GATE
    )
    assert score.alpha == pytest.approx(0.6)
    assert score.beta == pytest.approx(6 / 14)
    assert score.jsc == pytest.approx(6 / 14)
    assert score.jsc_theta == pytest.approx(1 / 2)


def test_swapped_particles_count_as_found_for_half_of_the_time():
    truth = table({1: line(range(8), y=10), 2: line(range(8), y=30)})
    swapped = table(
        {
            1: line(range(4), y=10) | line(range(4, 8), y=30),
            2: line(range(4), y=30) | line(range(4, 8), y=10),
        }
    )
    score = score_tracks(swapped, truth, GATE)
    assert (score.alpha, score.beta, score.jsc_theta) == (0.5, 0.5, 1)
    assert score.jsc == pytest.approx(8 / 24)


def test_the_globally_best_pairs_are_made():
    # The nearest pair, 1 px apart, would leave the other two 7 px apart: out of reach.
    truth = table({1: line(range(3), y=10), 2: line(range(3), y=14)})
    found = table({1: line(range(3), y=13), 2: line(range(3), y=17)})
    score = score_tracks(found, truth, GATE)
    assert score.tracks_tp == 2
    assert score.rmse_px == 3
    assert score.alpha == pytest.approx(1 - 18 / 30)


def test_frames_that_only_a_found_track_has_outweigh_those_that_match():
    truth = table({1: line(range(3))})
    longer = score_tracks(table({1: line(range(5))}), truth, GATE)
    assert (longer.alpha, longer.jsc) == (pytest.approx(1 / 3), pytest.approx(3 / 5))
    # Three frames won and three lost: no better than no track at all, and so no pair.
    even = score_tracks(table({1: line(range(6))}), truth, GATE)
    assert (even.alpha, even.beta, even.jsc, even.jsc_theta) == (0, 0, 0, 0)


def test_a_gap_costs_where_the_other_has_a_position():
    truth = table({1: line([0, 1, 2, 5, 6])})
    assert score_tracks(truth, truth, GATE).alpha == 1
    found = table({1: line([0, 2, 3, 5, 6])})
    score = score_tracks(found, truth, GATE)
    # Missed in frame 1, too many in frame 3.
    assert score.alpha == pytest.approx(1 - 2 / 5)
    assert (score.positions_tp, score.positions_fn, score.positions_fp) == (4, 1, 1)


def test_positions_at_the_gate_do_not_match():
    truth, found = table({1: line(range(4))}), table({1: line(range(3)) | line([3], y=15)})
    score = score_tracks(found, truth, GATE)
    assert score.positions_tp == 3
    assert score.alpha == pytest.approx(1 - 5 / 20)
    apart = score_tracks(table({1: line(range(4), y=15)}), truth, GATE)
    assert (apart.alpha, apart.jsc, apart.tracks_tp) == (0, 0, 0)


def distance(a, b):
    """Return the distance of two tracks from its definition."""
    return sum(
        min(np.hypot(a[f][0] - b[f][0], a[f][1] - b[f][1]), GATE) if f in a and f in b else GATE
        for f in a.keys() | b.keys()
    )


def by_brute_force(found, truth):
    """Return alpha, beta, JSC and JSC-theta after trying all pairings, dummies included."""
    names = list(truth)
    best = None
    for choice in set(itertools.permutations([*found, *([None] * len(names))], len(names))):
        pairs = list(zip(names, choice, strict=True))
        total = sum(distance(truth[t], found.get(f, {})) for t, f in pairs)
        made = [(truth[t], found[f]) for t, f in pairs if f is not None]
        if best is None or (round(total, 6), len(made)) < best[0]:
            matched = sum(
                distance({k: a[k]}, {k: b[k]}) < GATE for a, b in made for k in a if k in b
            )
            spurious = sum(len(track) for f, track in found.items() if f not in choice)
            best = (round(total, 6), len(made)), total, len(made), matched, spurious
    _, total, made, matched, spurious = best
    n_truth, n_found = (sum(len(track) for track in tracks.values()) for tracks in (truth, found))
    nothing = GATE * n_truth
    return (
        1 - total / nothing,
        (nothing - total) / (nothing + GATE * spurious),
        matched / (n_truth + n_found - matched),
        made / (len(truth) + len(found) - made),
    )


def random_tracks(rng, count, frames):
    """Draw tracks near each other, with gaps; frames may lie far apart."""
    tracks = {}
    for name in rng.choice(1000, count, replace=False).tolist():
        begin, end = np.sort(rng.integers(0, frames, 2))
        seen = [f for f in range(begin, end + 1) if rng.random() < 0.8] or [int(begin)]
        place = rng.uniform(0, 12, 2)
        tracks[name] = {f: tuple(place + rng.normal(0, 1.5, 2)) for f in seen}
    return tracks


@pytest.mark.parametrize("cells", [0, 10**6])
@pytest.mark.parametrize("seed", range(30))
def test_scores_equal_brute_force_over_all_pairings(seed, cells, monkeypatch):
    monkeypatch.setattr(matching, "_DENSE_CELLS", cells)
    monkeypatch.setattr(matching, "_AT_ONCE", 10)
    rng = np.random.default_rng(seed)
    frames = int(rng.choice([6, 200]))
    truth = random_tracks(rng, rng.integers(1, 5), frames)
    found = random_tracks(rng, rng.integers(1, 5), frames)
    if seed % 3:
        # Half of the found tracks follow a true one.
        followed = list(truth.values())[: len(found) // 2 + 1]
        for name, track in zip(list(found), followed, strict=False):
            found[name] = {f: (x + 1, y - 0.5) for f, (x, y) in track.items() if f % 4} or track
    score = score_tracks(table(found), table(truth), GATE)
    assert (score.alpha, score.beta, score.jsc, score.jsc_theta) == pytest.approx(
        by_brute_force(found, truth), abs=1e-9
    )
    assert 0 <= score.beta <= score.alpha <= 1


position = st.tuples(st.integers(0, 12).map(lambda k: k / 2), st.integers(0, 8).map(float))
tracks = st.dictionaries(
    st.integers(0, 5), st.dictionaries(st.integers(0, 4), position, min_size=1), max_size=4
)


@settings(max_examples=80, deadline=None)
@given(tracks, tracks, st.randoms(use_true_random=False))
def test_neither_names_nor_the_order_of_rows_matter(found, truth, random):
    found, truth = table(found), table(truth)
    score = score_tracks(found, truth, 2.5)

    def renamed(rows):
        names = dict(zip(range(6), random.sample(range(-9, 99), 6), strict=True))
        order = random.sample(range(len(rows)), len(rows))
        return rows.assign(particle=rows["particle"].map(names)).iloc[order]

    again = score_tracks(renamed(found), renamed(truth), 2.5)
    for name, value in dataclasses.asdict(score).items():
        assert getattr(again, name) == pytest.approx(value, nan_ok=True), name


def test_later_frames_and_other_units_change_nothing_else():
    rng = np.random.default_rng(2)
    truth, found = table(random_tracks(rng, 8, 90)), table(random_tracks(rng, 9, 90))
    score = score_tracks(found, truth, GATE)
    assert 0 < score.alpha < 1
    shift, scale = [0, 10**7, 0, 0], [1, 1, 0.1, 0.1]
    moved = score_tracks((found + shift) * scale, (truth + shift) * scale, GATE / 10)
    assert moved.alpha == pytest.approx(score.alpha)
    assert moved.beta == pytest.approx(score.beta)
    assert moved.rmse_px == pytest.approx(score.rmse_px / 10)
    assert (moved.positions_tp, moved.tracks_tp) == (score.positions_tp, score.tracks_tp)


def test_many_tracks_over_many_frames():
    rng = np.random.default_rng(4)
    particles, frames, error = 400, 300, 0.5
    start = np.stack(np.divmod(np.arange(particles), 20), axis=1) * 20.0
    x = start[:, None] + np.cumsum(rng.normal(0, 0.3, (particles, frames, 2)), axis=1)
    truth = pd.DataFrame(x.reshape(-1, 2), columns=["x", "y"])
    truth["particle"], truth["frame"] = np.divmod(np.arange(particles * frames), frames)
    found = truth[truth["frame"] < 240].copy()
    found[["x", "y"]] += rng.normal(0, error, (len(found), 2))
    score = score_tracks(found, truth, GATE)
    # The mean distance of a Gaussian error of two axes is sqrt(pi / 2) times that of one.
    assert score.alpha == pytest.approx(0.8 * (1 - np.sqrt(np.pi / 2) * error / GATE), abs=0.002)
    assert score.beta == score.alpha
    assert score.jsc == pytest.approx(0.8, abs=1e-3)
    assert score.jsc_theta == 1
    assert score.rmse_px == pytest.approx(np.sqrt(2) * error, rel=0.01)


def test_bad_tables_say_what_is_wrong():
    good = table({1: line(range(3))})
    for bad, message in [
        (good.drop(columns="particle"), "table of found tracks has no column particle"),
        (good.assign(x=[1, np.nan, 2]), "Row 1 of the table of found tracks has an empty"),
        (good.assign(particle=[1, 1, np.inf]), "Row 2 of the table of found tracks has an empty"),
        (good.assign(y="right"), "something that is not a number"),
        (good.assign(frame=[0, 1, 1.5]), r"Row 2 .* frame 1\.5 is not a whole number"),
        (good.assign(frame=[0, 4, 4]), "particle 1 twice in frame 4"),
    ]:
        with pytest.raises(LabelError, match=message):
            score_tracks(bad, good, GATE)
    with pytest.raises(LabelError, match="table of truth tracks has no column frame"):
        score_tracks(good, good.drop(columns="frame"), GATE)
    for gate in (0, -1, np.nan, np.inf, None):
        with pytest.raises(ConfigError, match="gate_px must be a positive distance"):
            score_tracks(good, good, gate)

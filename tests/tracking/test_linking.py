import time
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from brownian import detections

from cloudtrainer.diffusion import estimate_diffusion
from cloudtrainer.errors import ConfigError, LabelError
from cloudtrainer.tracking import track_particles
from cloudtrainer.tracking.frame_linker import FrameLinker
from cloudtrainer.tracking.linking import link_positions


def line(frames, x=5.0, y=5.0):
    return pd.DataFrame({"frame": frames, "x": float(x), "y": float(y)})


def test_dilute_particles_are_followed_without_a_mistake():
    table = detections(particles=40, step_sd=1.0, seed=1, size=2000.0)
    table["intensity"] = 7.0
    tracks = track_particles(table.sample(frac=1, random_state=0))
    assert len(tracks) == len(table)
    assert list(tracks.columns) == ["frame", "x", "y", "truth", "intensity", "particle"]
    assert (tracks.groupby("truth")["particle"].nunique() == 1).all()
    assert tracks["particle"].dtype == np.int64
    assert sorted(tracks["particle"].unique()) == list(range(40))
    first = tracks.groupby("particle")["frame"].min()
    assert first.is_monotonic_increasing


def same_partition(one, other):
    pairs = pd.DataFrame({"one": one, "other": other}).drop_duplicates()
    return len(pairs) == pairs["one"].nunique() == pairs["other"].nunique()


@pytest.mark.parametrize(
    ("particles", "size", "reach"),
    [(150, 256, 6), (150, 256, 9), (80, 128, 7), (60, 512, 40), (20, 64, 8)],
)
def test_links_without_memory_equal_those_of_trackpy(particles, size, reach):
    import trackpy

    trackpy.quiet()
    for seed in range(3):
        table = detections(
            particles, 1.5, frames=15, size=size, false=0.1, missed=0.15, seed=100 + seed
        )
        table = table[table["frame"] != 8]
        theirs = trackpy.link(table, reach)["particle"].to_numpy()
        frames, positions = table["frame"].to_numpy(), table[["y", "x"]].to_numpy()
        assert same_partition(link_positions(frames, positions, reach, 0), theirs)


@pytest.mark.parametrize(
    ("passed", "ranges", "linked"),
    [(1, 0.99, True), (1, 1.01, False), (2, 1.17, True), (2, 1.19, False), (4, 1.57, True),
     (4, 1.61, False)],
)  # fmt: skip
def test_reach_grows_with_the_spread_of_a_step_over_a_gap(passed, ranges, linked):
    """4 sqrt(2) / 4.8 ranges over two frames, 4 sqrt(4 (1 - ln 2 / 8)) / 4.8 over four."""
    linker = FrameLinker(6.0, memory=3)
    linker.link(0, np.array([[10.0, 10.0]]))
    assert (linker.link(passed, np.array([[10.0 + 6 * ranges, 10.0]]))[0] == 0) == linked


def test_a_particle_that_was_missing_does_not_take_the_place_of_one_that_was_seen():
    """Of two at the same distance the one seen in the last frame is continued."""
    for memory in (1, 2):
        linker = FrameLinker(5.0, memory)
        linker.link(0, np.array([[0.0, 0.0]]))
        linker.link(memory, np.array([[0.0, 6.0]]))
        assert linker.link(memory + 1, np.array([[0.0, 3.0]])).tolist() == [1]


def true_tracks(table, size):
    """Return the tracks as they were simulated, cut where a particle leaves the field."""
    ordered = table[table["truth"] >= 0].sort_values(["truth", "frame"])
    step = ordered[["truth", "x", "y"]].diff().abs()
    cut = (step["truth"] != 0) | (step[["x", "y"]].max(axis=1) > size / 2)
    return ordered.assign(particle=cut.cumsum())


def test_missed_particles_do_not_make_D_too_small():
    """D of the true links is met; with one reach for all gaps, as in trackpy, it is 2% less."""
    import trackpy

    trackpy.quiet()
    ours, theirs = [], []
    for seed in range(4):
        table = detections(100, 1.0, frames=60, missed=0.2, false=0.05, seed=seed)
        D_true = D_of(true_tracks(table, 512.0))
        ours.append(D_of(track_particles(table, 5.0, 3, min_track_frames=1)) / D_true)
        theirs.append(D_of(trackpy.link(table, 5.0, memory=3)) / D_true)
    assert np.mean(ours) == pytest.approx(1.0, abs=0.01)
    assert np.mean(theirs) < 0.985


def D_of(tracks):
    return estimate_diffusion(tracks, None, None, interval="model").value


def test_no_links_have_a_smaller_sum():
    """All assignments of four particles, one by one."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        before, after = rng.uniform(0, 8, (2, 4, 2))
        linker = FrameLinker(5.0, memory=0)
        particles = linker.link(0, before).tolist() + linker.link(1, after).tolist()
        square = ((after[:, None] - before) ** 2).sum(axis=2)
        least = min(
            sum(min(square[k, i], 25.0) for k, i in enumerate(order))
            for order in permutations(range(4))
        )
        links = [(k, i) for k, i in enumerate(particles[4:]) if i < 4]
        found = sum(square[k, i] for k, i in links) + 25.0 * (4 - len(links))
        assert found == pytest.approx(least, abs=1e-5)


def test_a_step_of_exactly_the_search_range_is_linked_also_in_a_crowd():
    linker = FrameLinker(5.0, memory=0)
    linker.link(0, np.array([[0.0, 0.0], [0.0, 10.0]]))
    assert linker.link(1, np.array([[0.0, 5.0], [0.0, 15.0]])).tolist() == [0, 1]


def test_crowds_that_trackpy_gives_up_on_are_linked():
    from trackpy import SubnetOversizeException, link

    table = detections(particles=300, step_sd=1.0, frames=6, size=128)
    with pytest.raises(SubnetOversizeException):
        link(table, 12)
    tracks = track_particles(table, search_range=12)
    steps = tracks.sort_values(["particle", "frame"])
    right = steps["truth"].diff()[steps["particle"].diff() == 0] == 0
    assert right.mean() > 0.85


def test_time_does_not_explode_with_the_crowd():
    """All 2000 particles are within reach of each other, over a chain of neighbours."""
    table = detections(particles=2000, step_sd=1.0, frames=3, size=256)
    begin = time.process_time()
    track_particles(table, search_range=15, min_track_frames=2)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(("memory", "particles"), [(3, 1), (2, 2)])
def test_gaps_up_to_the_memory_are_closed(memory, particles):
    table = line([0, 1, 2, 3, 4, 8, 9, 10, 11, 12])
    assert track_particles(table, memory=memory)["particle"].nunique() == particles


def test_a_gap_of_a_million_frames_takes_no_time_and_is_no_track():
    table = line([0, 1, 2, 3, 4, *range(1_000_000_000, 1_000_000_005)])
    assert track_particles(table)["particle"].tolist() == [0] * 5 + [1] * 5


def test_short_tracks_are_dropped_and_the_rest_renumbered():
    table = pd.concat([line([0, 1, 2, 3]), line(range(1, 6), x=100), line(range(9), x=200)])
    tracks = track_particles(table)
    assert tracks.groupby("particle")["x"].first().to_dict() == {0: 200.0, 1: 100.0}


def test_an_empty_table_gives_an_empty_table_with_the_columns():
    tracks = track_particles(pd.DataFrame({"frame": [], "x": [], "y": [], "area": []}))
    assert tracks.empty
    assert list(tracks.columns) == ["frame", "x", "y", "area", "particle"]
    assert tracks["particle"].dtype == np.int64
    assert track_particles(line([0]), search_range=None).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [1, "two", 3]}, r"row 1, column x: 'two' is not a number"),
        ({"y": [1, 2, np.inf]}, r"row 2, column y: 'inf' is not a number"),
        ({"y": [None, 2, 3]}, r"row 0, column y: an empty cell is not a number"),
        ({"frame": [0, 1.5, 2]}, r"row 1, column frame: '1.5' is not a frame number"),
        ({"frame": [0, 1, -2]}, r"row 2, column frame: '-2.*' is not a frame number"),
    ],
)
def test_bad_tables_say_where(change, message):
    table = pd.DataFrame({"frame": [0, 1, 2], "x": [1, 2, 3], "y": [1, 2, 3]}).assign(**change)
    with pytest.raises(LabelError, match=message) as caught:
        track_particles(table)
    assert "\n" not in str(caught.value)


def test_missing_columns_and_bad_settings():
    with pytest.raises(LabelError, match=r"no column x, y \(columns found: frame\)"):
        track_particles(pd.DataFrame({"frame": [0]}))
    with pytest.raises(ConfigError, match="search_range"):
        track_particles(line([0]), search_range=0)
    with pytest.raises(ConfigError, match="memory"):
        track_particles(line([0]), memory=-1)


def test_linking_leaves_its_input_as_it_was():
    table = line([3, 1, 2])
    copy = table.copy()
    track_particles(table)
    pd.testing.assert_frame_equal(table, copy)


def test_an_unknown_engine_and_splits_without_laptrack_are_refused():
    with pytest.raises(ConfigError, match="engine is 'lap': choose 'trackpy' or 'laptrack'"):
        track_particles(line([0]), engine="lap")
    with pytest.raises(ConfigError, match="knows no splits and merges: take laptrack"):
        track_particles(line([0]), split_merge_range=3)

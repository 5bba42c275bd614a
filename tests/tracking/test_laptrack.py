import sys

import numpy as np
import pandas as pd
import pytest
from brownian import detections

from cloudtrainer.errors import ConfigError
from cloudtrainer.tracking import track_particles

pytest.importorskip("laptrack")


def spans(tracks):
    """Return the first and last frame of each particle, sorted."""
    ends = tracks.groupby("particle")["frame"].agg(["min", "max"])
    return sorted(ends.itertuples(index=False, name=None))


def fork():
    """One particle through 20 frames, from which another parts in frame 10."""
    frame = np.arange(20)
    one = pd.DataFrame({"frame": frame, "x": 10.0, "y": 10 + 0.1 * frame})
    late = frame[10:]
    other = pd.DataFrame({"frame": late, "x": 10 + 0.8 * (late - 9), "y": 10 + 0.1 * late})
    return pd.concat([one, other])


def test_dilute_particles_are_followed_without_a_mistake():
    table = detections(particles=30, step_sd=1.0, frames=20, seed=1, size=2000.0)
    table = table.sample(frac=1, random_state=0)
    tracks = track_particles(table, 8, engine="laptrack")
    assert len(tracks) == len(table)
    assert (tracks.groupby("truth")["particle"].nunique() == 1).all()
    assert tracks["particle"].dtype == np.int64
    pd.testing.assert_frame_equal(tracks, track_particles(table, 8))


@pytest.mark.parametrize(
    ("frames", "memory", "expected"),
    [
        ([0, 1, 2, 6, 7, 8], 3, [(0, 8)]),
        ([0, 1, 2, 6, 7, 8], 2, [(0, 2), (6, 8)]),
        ([0, 1, 2, 3, 4], 0, [(0, 4)]),
        ([0, 1, 2, 4, 5], 0, [(0, 2), (4, 5)]),
        ([0, 1, 1_000_000_000, 1_000_000_001], 3, [(0, 1), (1_000_000_000, 1_000_000_001)]),
        ([3], 3, [(3, 3)]),
        ([], 3, []),
    ],
)
def test_gaps_are_closed_up_to_the_memory(frames, memory, expected):
    table = pd.DataFrame({"frame": frames, "x": 5.0, "y": 5.0})
    tracks = track_particles(table, 10, memory, min_track_frames=0, engine="laptrack")
    assert spans(tracks) == expected


@pytest.mark.parametrize(
    ("table", "expected", "said"),
    [
        (fork(), [(0, 9), (10, 19), (10, 19)], "split 1 times and merged 0 times"),
        (
            fork().assign(frame=lambda t: 19 - t["frame"]),
            [(0, 9), (0, 9), (10, 19)],
            "split 0 times and merged 1 times",
        ),
    ],
)
def test_tracks_end_and_begin_where_particles_split_or_merge(table, expected, said):
    with pytest.warns(UserWarning, match=said):
        tracks = track_particles(table, 3, engine="laptrack", split_merge_range=3)
    assert spans(tracks) == expected


def test_without_a_range_for_it_nothing_splits(recwarn):
    assert spans(track_particles(fork(), 3, engine="laptrack")) == [(0, 19), (10, 19)]
    assert not recwarn.list


def test_where_it_is_missing_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(ConfigError, match=r"pip install 'deeptrack-cloud-trainer\[laptrack\]'"):
        track_particles(fork(), 3, engine="laptrack")

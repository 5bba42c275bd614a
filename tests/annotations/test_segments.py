"""Tracks cut where they split or merge: pieces drawn by hand, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.annotations.segments import unbranched_segments


@pytest.mark.parametrize(
    ("frames", "edges", "pieces"),
    [
        ([0, 1, 2], [], [-1, -1, -1]),
        ([0, 1, 2, 2], [(0, 1), (1, 2)], [0, 0, 0, -1]),
        # Written in any order and direction, and once more.
        ([0, 1, 2], [(2, 1), (0, 1), (1, 0)], [0, 0, 0]),
        # A gap is no cut.
        ([0, 4], [(0, 1)], [0, 0]),
        # One splits into two after frame 1.
        ([0, 1, 2, 2, 3, 3], [(0, 1), (1, 2), (1, 3), (2, 4), (3, 5)], [0, 0, 1, 2, 1, 2]),
        # Two merge in frame 1.
        ([0, 0, 1, 2], [(0, 2), (1, 2), (2, 3)], [0, 1, 2, 2]),
        # Two meet in one spot and part again.
        ([0, 0, 1, 2, 2], [(0, 2), (1, 2), (2, 3), (2, 4)], [0, 1, 2, 3, 4]),
    ],
)
def test_tracks_are_cut_where_they_split_or_merge(frames, edges, pieces):
    found = unbranched_segments(np.array(frames), np.array(edges, dtype=np.int64).reshape(-1, 2))
    assert found.tolist() == pieces


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_piece_has_one_spot_a_frame_and_every_linked_spot_a_piece(data):
    frames = np.array(data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=20)))
    spot = st.integers(0, len(frames) - 1)
    drawn = data.draw(st.lists(st.tuples(spot, spot), max_size=30))
    edges = [(a, b) for a, b in drawn if frames[a] != frames[b]]
    pieces = unbranched_segments(frames, np.array(edges, dtype=np.int64).reshape(-1, 2))
    linked = {end for edge in edges for end in edge}
    assert {i for i, piece in enumerate(pieces) if piece >= 0} == linked
    assert sorted({p for p in pieces if p >= 0}) == list(range(pieces.max() + 1))
    for piece in range(pieces.max() + 1):
        of_piece = frames[pieces == piece]
        assert len(set(of_piece)) == len(of_piece)

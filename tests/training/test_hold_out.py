"""Held-out frames: a block, never learned from, in this run or in any later one."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrainer.training.hold_out import (
    frames_of,
    hold_out_frames,
    hold_out_videos,
    is_held_out,
    stretches_of,
)

SHARES = st.floats(0.1, 0.4)
FRAMES = st.sets(st.integers(0, 300), min_size=1, max_size=40)


def numbered(frames):
    return np.array(sorted(frames), np.int64)


def held(frames, stretches):
    """Return what of the frames is held out, frame by frame."""
    return {frame for frame in frames if any(first <= frame <= last for first, last in stretches)}


@pytest.mark.parametrize(
    ("labelled", "share", "expected"),
    [
        (range(10), 0.2, ((8, 9),)),
        (range(10), 0.4, ((6, 9),)),
        (range(3), 0.1, ((2, 2),)),
        ([0, 3, 4, 9], 0.25, ((9, 9),)),
        ([0, 3, 40, 90], 0.4, ((40, 90),)),
        ([0, 9], 0.4, ((9, 9),)),
        ([0, 4, 9], 1.0, ((4, 9),)),
        ([7], 0.4, ()),
        ([], 0.4, ()),
        ([5, 5, 5, 6, 6, 7], 0.4, ((7, 7),)),
    ],
)
def test_the_last_labelled_frames_are_held_out(labelled, share, expected):
    assert hold_out_frames(np.array(labelled, np.int64), share) == expected


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("before", {80, 81, 82, 83, 84, 85, 86, 87, 88, 89}),
        ("inside", {80, 81, 82, 83, 84, 85, 86, 87, 88, 89}),
        ("behind", {80, 82, 84, 86, 88}),
    ],
)
def test_a_block_stays_where_it_is_when_more_is_labelled(added, expected):
    labelled = set(range(40, 90, 2))
    stretches = hold_out_frames(numbered(labelled), 0.2)
    assert stretches == ((80, 88),)
    more = {"before": range(20, 40), "inside": range(41, 90, 2), "behind": range(89, 100)}[added]
    again = hold_out_frames(numbered(labelled | set(more)), 0.2, stretches)
    assert again == stretches
    assert held(labelled | set(more), again) == (labelled | set(more)) & set(range(80, 89))


def test_more_is_held_out_when_it_is_less_than_half_of_what_is_wanted():
    first = hold_out_frames(np.arange(10), 0.2)
    assert first == ((8, 9),)
    # Of 24 frames 5 are wanted and 2 are fewer than half; of 20, 2 of 4 are enough.
    assert hold_out_frames(np.arange(20), 0.2, first) == first
    assert hold_out_frames(np.arange(24), 0.2, first) == ((8, 9), (21, 23))


def test_what_was_learned_once_is_never_held_out():
    first = hold_out_frames(np.arange(10), 0.2)
    assert first == ((8, 9),)
    # 24 labelled frames want 5 held out; of the 14 new ones the last three join.
    assert hold_out_frames(np.arange(24), 0.2, first, known=((0, 9),)) == ((8, 9), (21, 23))
    # Learned whole, as where whole videos were held out: nothing is left to hold out.
    assert hold_out_frames(np.arange(10), 0.2, (), known=((0, 9),)) == ()
    # Labels behind, before and between.
    labelled = np.arange(0, 60)
    assert hold_out_frames(labelled, 0.4, ((30, 31),), known=((10, 59),)) == ((30, 31), (0, 9))


@given(
    runs=st.lists(st.tuples(FRAMES, SHARES), min_size=2, max_size=6),
)
def test_a_frame_that_was_learned_is_never_held_out_later(runs):
    labelled, stretches, learned = set(), (), set()
    for more, share in runs:
        known = stretches_of(numbered(labelled))
        labelled |= more
        stretches = hold_out_frames(numbered(labelled), share, stretches, known)
        out = held(labelled, stretches)
        # What lies between frames of a stretch is new when it is labelled: it was not learned.
        assert not learned & out
        learned |= labelled - out


def test_stretches_and_frames_are_each_others_inverse():
    assert stretches_of(np.array([5, 1, 2, 9, 2])) == ((1, 2), (5, 5), (9, 9))
    assert stretches_of(np.array([], np.int64)) == ()
    assert frames_of(((1, 2), (5, 5), (2, 3))).tolist() == [1, 2, 3, 5]
    assert frames_of(()).tolist() == []


def test_stretches_do_not_reach_over_frames_that_are_learned_from():
    # 12 of 30 are wanted, 1 is held out: the last 11 others lie on both sides of it.
    labelled, before = np.arange(30), ((25, 25),)
    stretches = hold_out_frames(labelled, 0.4, before)
    assert stretches == ((25, 25), (18, 24), (26, 29))
    # What is labelled between the frames of a stretch later is next to them, and held out as well.
    assert is_held_out(np.array([17, 18, 29, 30]), stretches).tolist() == [False, True, True, False]


@given(labelled=FRAMES, share=SHARES)
def test_a_first_choice_is_one_block_with_frames_on_both_sides_of_the_split(labelled, share):
    stretches = hold_out_frames(numbered(labelled), share)
    out = held(labelled, stretches)
    if len(labelled) == 1:
        assert stretches == ()
        return
    assert len(stretches) == 1
    assert out
    assert labelled - out
    assert max(labelled - out) < min(out)
    assert abs(len(out) - share * len(labelled)) <= 1
    assert is_held_out(numbered(labelled), stretches).tolist() == [
        frame in out for frame in sorted(labelled)
    ]


@given(runs=st.lists(st.tuples(FRAMES, SHARES), min_size=2, max_size=6))
def test_a_frame_that_was_held_out_is_never_learned_from_later(runs):
    labelled, stretches, ever_held_out = set(), (), set()
    for more, share in runs:
        labelled |= more
        before = stretches
        stretches = hold_out_frames(numbered(labelled), share, before)
        out = held(labelled, stretches)
        assert ever_held_out <= out
        assert set(before) <= set(stretches)
        ever_held_out |= out
        if len(labelled) > 1:
            assert out
            assert labelled - out
            wanted = round(share * len(labelled))
            assert len(out) >= min(max(wanted, 1), len(labelled) - 1) / 2


@given(first=FRAMES, later=FRAMES, share=SHARES)
def test_frames_whose_labels_were_removed_stay_held_out_when_they_come_back(first, later, share):
    stretches = hold_out_frames(numbered(first), share)
    between = hold_out_frames(numbered(later), share, stretches)
    again = hold_out_frames(numbered(first | later), share, between)
    assert held(first, stretches) <= held(first, again)


def videos(number):
    return {hashlib.sha256(bytes([i])).hexdigest() for i in range(number)}


@pytest.mark.parametrize(
    ("number", "share", "expected"), [(1, 0.4, 0), (2, 0.1, 1), (5, 0.2, 1), (10, 0.2, 2)]
)
def test_whole_videos_are_held_out_by_their_content(number, share, expected):
    hashes = sorted(videos(number))
    chosen = hold_out_videos(hashes, share, set())
    assert len(chosen) == expected
    assert chosen == hold_out_videos(hashes[::-1], share, set())
    assert chosen <= set(hashes)


def test_a_held_out_video_stays_so_when_others_come_and_go():
    hashes = videos(10)
    chosen = hold_out_videos(hashes, 0.2, set())
    [removed, *_] = sorted(hashes - chosen)
    more = (hashes | {"0" * 64, "1" * 64}) - {removed}
    assert hold_out_videos(more, 0.2, chosen) == chosen
    # One of the two is gone: the other stays, and one joins it; when the first comes back, all do.
    [gone, stays] = sorted(chosen)
    fewer = hold_out_videos(hashes - {gone}, 0.2, chosen)
    assert len(fewer) == 2
    assert stays in fewer
    assert hold_out_videos(hashes, 0.2, chosen | fewer) == chosen | fewer


def test_only_videos_that_no_model_has_learned_are_held_out():
    old, new = set(sorted(videos(6))[:4]), set(sorted(videos(6))[4:])
    assert hold_out_videos(old | new, 0.35, set(), learned=old) == new
    assert hold_out_videos(old, 0.25, set(), learned=old) == set()


@given(
    runs=st.lists(
        st.tuples(st.sets(st.integers(0, 12), min_size=1), SHARES), min_size=2, max_size=5
    )
)
def test_a_video_that_was_held_out_is_never_learned_from_later(runs):
    ever, learned = set(), set()
    for numbers, share in runs:
        hashes = {hashlib.sha256(bytes([i])).hexdigest() for i in numbers}
        chosen = hold_out_videos(hashes, share, ever, learned)
        assert ever & hashes <= chosen <= hashes
        assert not chosen & learned
        assert chosen or len(hashes) == 1 or hashes <= learned
        ever |= chosen
        learned |= hashes - chosen

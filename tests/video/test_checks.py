"""Videos without anything in them."""

import numpy as np
import pytest

from cloudtrainer import Video, VideoError
from cloudtrainer.video import check_frames

NOISE = np.random.default_rng(0).integers(1, 255, (130, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 50, 51, 130])
def test_frames_that_differ_pass(count):
    check_frames(Video(NOISE[:count]))


def test_a_few_black_frames_pass():
    frames = NOISE[:20].copy()
    frames[:10] = 0

    check_frames(Video(frames))


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((5, 8, 8), np.uint8), "all 5 frames are black"),
        (np.zeros((1, 8, 8), np.uint8), "black"),
        (np.zeros((90, 8, 8), np.float32), "the 50 frames sampled are black"),
        (np.full((5, 8, 8), 7, np.uint8), "of one value"),
        (np.arange(5, dtype=np.uint8).repeat(64).reshape(5, 8, 8), "of one value"),
        (NOISE[:1].repeat(6, axis=0), "all 6 frames are identical"),
        (NOISE[:1].repeat(90, axis=0), "the 50 frames sampled are identical"),
    ],
)
def test_frames_without_anything_in_them(frames, words):
    with pytest.raises(VideoError, match=words):
        check_frames(Video(frames))


def test_looks_at_few_frames_of_a_long_video():
    seen = []

    class Counting(Video):
        def frames(self, start=0, stop=None):
            seen.append((start, stop))
            return super().frames(start, stop)

    check_frames(Counting(NOISE[:1].repeat(2000, axis=0) + (np.arange(2000) > 1990)[:, None, None]))

    assert len(seen) <= 51
    assert (1999, 2000) in seen

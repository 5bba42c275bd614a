"""The count at which a video saturates."""

import numpy as np
import pytest

from cloudtrainer.simulation.twin.measure import _saturation


def falling(rng):
    """Return counts of which there are fewer the larger they are, up to 255."""
    return np.minimum(np.floor(rng.exponential(40, (4, 200, 200))), 255).astype(np.float32)


def test_frames_that_do_not_saturate_have_their_largest_count():
    rng = np.random.default_rng(0)
    counts = np.floor(rng.exponential(20, (4, 200, 200))).astype(np.float32)
    assert _saturation(counts) == counts.max()
    assert _saturation(rng.normal(100, 5, (2, 50, 50)).astype(np.float32)) > 110


def test_a_pile_of_pixels_at_the_largest_count_is_found():
    assert _saturation(falling(np.random.default_rng(1))) == 255


def test_compression_leaves_some_pixels_above_the_pile():
    counts = falling(np.random.default_rng(2))
    counts[counts == 255] = 254
    counts[0, 0, :9] = 255
    assert _saturation(counts) == 254


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_frames_of_one_value(value):
    assert _saturation(np.full((2, 5, 5), value, np.float32)) == value

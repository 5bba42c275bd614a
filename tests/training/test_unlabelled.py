import numpy as np
import pytest

from cloudtrainer.detector import load_model
from cloudtrainer.errors import VideoError
from cloudtrainer.training.unlabelled import backdrop_of
from cloudtrainer.video import Video


def film(moves, sign=1, frames=24, side=96, particles=12):
    """Return counts of spots that move by ``moves`` px a frame, or stay."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(8, side - 8, (2, particles))
    rows, columns = np.indices((side, side))
    video = []
    for _ in range(frames):
        light = np.full((side, side), 400.0)
        for cx, cy in zip(x, y, strict=True):
            light += sign * 150 * np.exp(-((columns - cx) ** 2 + (rows - cy) ** 2) / (2 * 1.5**2))
        video.append(rng.poisson(light))
        x = (x + rng.normal(0, moves, particles)) % side
        y = (y + rng.normal(0, moves, particles)) % side
    return Video(np.array(video, np.uint16))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_background_of_moving_particles_is_free_of_them(sign):
    backdrop = backdrop_of(film(moves=12, sign=sign), load_model())
    assert backdrop.background.shape == (96, 96)
    assert float(backdrop.background.std()) < 10


@pytest.mark.parametrize("sign", [1, -1])
def test_particles_that_hardly_move_are_not_taught_as_background(sign):
    with pytest.raises(VideoError, match=r"hardly move, and 1\d of about 1\d stay"):
        backdrop_of(film(moves=0.05, sign=sign), load_model())


def test_a_video_without_particles_has_a_background():
    rng = np.random.default_rng(1)
    backdrop_of(Video(rng.poisson(100, (12, 64, 64)).astype(np.uint16)), load_model())

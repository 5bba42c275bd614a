"""Particles that are missed because they move are told from those missed by chance."""

import numpy as np
import pandas as pd

from cloudtrainer.tracking import missed_while_moving


def tracks(kept, seed=0, particles=40, frames=100):
    """Return Brownian tracks with steps of 1 px; ``kept`` says which positions are found."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, (particles, frames, 2))
    place = np.cumsum(steps, axis=1)
    found = kept(rng, np.hypot(*np.moveaxis(steps, 2, 0)))
    number, frame = np.nonzero(found)
    return pd.DataFrame(
        {"particle": number, "frame": frame, "x": place[found][:, 0], "y": place[found][:, 1]}
    )


def test_fast_moments_that_are_missed_are_told():
    def slow_enough(rng, length):
        return rng.random(length.shape) > 0.3 * (length > 2)

    said = missed_while_moving(tracks(slow_enough))
    assert said is not None
    assert "missed where they move most" in said
    assert "shorten the exposure" in said


def test_what_is_missed_by_chance_is_no_reason_to_warn():
    for seed in range(30):
        by_chance = tracks(lambda rng, length: rng.random(length.shape) > 0.05, seed)
        assert missed_while_moving(by_chance) is None


def test_few_gaps_stuck_particles_and_nothing_say_nothing():
    assert missed_while_moving(tracks(lambda rng, length: length < 4)) is None
    still = tracks(lambda rng, length: rng.random(length.shape) > 0.05).assign(x=1.0, y=2.0)
    assert missed_while_moving(still) is None
    assert missed_while_moving(still.iloc[:0]) is None

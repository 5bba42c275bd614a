"""The fit reaches the Cramer-Rao bound, states its errors, and parts pairs but nothing else."""

import math

import numpy as np
import pytest
import torch

from cloudtrainer.detector.photon_fit import Appearance, Seen, measure_appearance, refine
from cloudtrainer.evaluation import localisation_bound_px

BACKGROUND = 20.0


def refined(film, seen=None, appearance=None):
    seen = seen or film.seen()
    if appearance is None:
        appearance = measure_appearance(film.frames, film.variance, seen.frame, seen.x, seen.y)
    return refine(film.frames, film.variance, seen, appearance), appearance


def errors(found, film):
    return np.stack([found.x.numpy(), found.y.numpy()], axis=1)[: len(film.truth)] - film.truth


@pytest.mark.parametrize("photons", [400.0, 1000.0, 5000.0])
def test_positions_reach_the_bound_and_state_it(film, photons):
    filmed = film(photons, frames=8)
    found, _ = refined(filmed)
    assert len(found) == len(filmed.truth)
    error = errors(found, filmed)
    bound = float(localisation_bound_px(photons, 1.5, BACKGROUND))
    # 1800 numbers: their root mean square is known to 1.7%.
    assert np.sqrt((error**2).mean()) < 1.05 * bound
    assert np.abs(error.mean(axis=0)).max() < 4 * bound / math.sqrt(len(error))
    stated = np.stack([found.x_error.numpy(), found.y_error.numpy()], axis=1)
    assert 0.94 < (error / stated).std() < 1.08
    assert 0.92 < (np.abs(error) < 1.96 * stated).mean() < 0.98


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (2.5, 100.0), (0.2, -5.0)])
def test_gain_and_width_are_measured_whatever_the_camera(film, gain, offset):
    _, appearance = refined(film(1000.0, sigma=1.8, gain=gain, offset=offset))
    assert appearance.gain == pytest.approx(gain, rel=0.12)
    # Light integrated over a pixel looks wider by a twelfth of a square pixel.
    assert appearance.sigma_px == pytest.approx(math.sqrt(1.8**2 + 1 / 12), rel=0.02)
    assert appearance.sigma_spread < 0.06


def test_dark_particles_have_less_noise_than_their_ground(film):
    filmed = film(1000.0)
    # The camera counts photons that a particle takes away.
    rng = np.random.default_rng(1)
    taken = (filmed.counts - BACKGROUND) / 80
    bright = -rng.poisson(np.clip(80 - 40 * np.clip(taken, 0, 1.5), 5, None)).astype(np.float32)
    frames, variance = torch.as_tensor(bright), torch.full((len(bright),), 80.0)
    seen = filmed.seen()
    appearance = measure_appearance(frames, variance, seen.frame, seen.x, seen.y)
    assert appearance.gain < 0
    found = refine(frames, variance, seen, appearance)
    assert np.abs(errors(found, filmed)).max() < 1.0
    assert (found.x_error > 0).all()


@pytest.mark.parametrize("apart_px", [2.5, 3.0, 4.0])
def test_pairs_seen_as_one_are_parted(film, apart_px):
    rng = np.random.default_rng(2)
    single = [np.stack(np.meshgrid(*[np.arange(15, 226, 20.0)] * 2), -1).reshape(-1, 2)] * 4
    angle = rng.uniform(0, 2 * np.pi, (4, len(single[0]), 1))
    half = apart_px / 2 * np.concatenate([np.cos(angle), np.sin(angle)], axis=2)
    # Every third spot is a pair, and the network saw its middle.
    is_pair = np.arange(len(single[0])) % 3 == 0
    places = [
        np.concatenate([xy + np.where(is_pair[:, None], h, 0), (xy - h)[is_pair]])
        for xy, h in zip(single, half, strict=True)
    ]
    filmed = film(1000.0, places=places)
    one = film(1000.0, places=single).seen()
    found, _ = refined(filmed, one)
    parted = len(found) - len(one)
    assert parted >= 0.95 * 4 * is_pair.sum()
    assert parted <= 4 * is_pair.sum() + 1
    for frame, truth in enumerate(places):
        here = torch.stack([found.x, found.y], 1)[found.frame == frame].numpy()
        nearest = np.sqrt(((truth[:, None] - here) ** 2).sum(2)).min(1)
        assert np.median(nearest) < 0.2
        assert (nearest < 0.8).mean() > 0.95


@pytest.mark.parametrize("widths", [(1.5, 1.5), (1.2, 3.0)])
def test_single_spots_of_one_width_or_many_are_not_parted(film, widths):
    rng = np.random.default_rng(3)
    sigma = rng.uniform(*widths, 121)
    found, _ = refined(film(2000.0, sigma=sigma, places=film(frames=4).places))
    assert len(found) <= 4 * 121 + 2


def test_a_shape_that_is_no_gaussian_is_not_parted_and_keeps_its_place(film):
    filmed = film(frames=4)
    rows, columns = np.mgrid[:240, :240]
    rng = np.random.default_rng(4)
    frames = []
    for places in filmed.places:
        light = np.full((240, 240), BACKGROUND)
        for x, y in places:
            radius = np.hypot(rows - y, columns - x)
            light += 150 * np.exp(-0.5 * ((radius - 4) / 1.0) ** 2)
        frames.append(rng.poisson(light))
    counts = torch.as_tensor(np.stack(frames), dtype=torch.float32)
    seen = filmed.seen(off_px=0.1)
    appearance = measure_appearance(counts, filmed.variance, seen.frame, seen.x, seen.y)
    found = refine(counts, filmed.variance, seen, appearance)
    assert len(found) <= 1.02 * len(seen)
    assert np.sqrt((errors(found, filmed) ** 2).mean()) < 0.12


def test_the_answer_does_not_depend_on_other_frames_and_batches(film, monkeypatch):
    filmed = film(800.0)
    seen = filmed.seen()
    found, appearance = refined(filmed, seen)
    for number in range(4):
        here = seen.of(seen.frame == number)
        alone = Seen(**{**vars(here), "frame": torch.zeros_like(here.frame)})
        one = refine(filmed.frames[number : number + 1], filmed.variance[:1], alone, appearance)
        of_all = found.of(found.frame == number)
        assert len(one) == len(of_all)
        torch.testing.assert_close(one.x, of_all.x, atol=2e-3, rtol=0)
    import cloudtrainer.detector.photon_fit.fitting as fitting

    monkeypatch.setattr(fitting, "_NUMBERS_AT_ONCE", 10_000)
    in_parts, _ = refined(filmed, seen, appearance)
    torch.testing.assert_close(in_parts.x, found.x, atol=2e-3, rtol=0)


def test_spots_at_the_border_and_in_constant_frames_are_left_in_peace(film):
    places = [np.array([[0.0, 0.0], [-0.4, 30.0], [59.4, 59.4], [30.0, 59.0]])]
    filmed = film(2000.0, places=places, side=60)
    found, _ = refined(filmed, appearance=Appearance(1.53, 0.05, 1.0, 0.0))
    assert np.abs(errors(found, filmed)).max() < 0.5
    flat = torch.full((1, 60, 60), 100.0)
    seen = filmed.seen()
    variance = torch.full((1,), 1e-24)
    appearance = measure_appearance(flat, variance, seen.frame, seen.x, seen.y)
    same = refine(flat, variance, seen, appearance)
    torch.testing.assert_close(same.x, seen.x)
    assert all(values.isfinite().all() for values in vars(same).values())


def test_nothing_seen_stays_nothing(film):
    filmed = film(frames=1)
    nothing = filmed.seen().of(torch.zeros(0, dtype=torch.long))
    appearance = measure_appearance(
        filmed.frames, filmed.variance, nothing.frame, nothing.x, nothing.y
    )
    assert len(refine(filmed.frames, filmed.variance, nothing, appearance)) == 0


def test_dim_spots_keep_what_the_network_saw(film):
    filmed = film(60.0)
    seen = filmed.seen(off_px=0.3)
    found, _ = refined(filmed, seen, Appearance(1.53, 0.05, 1.0, 0.0))
    torch.testing.assert_close(found.x[: len(seen)], seen.x)

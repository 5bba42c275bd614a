"""Doubtful spots get the probability of Poisson photons, and only where these can tell."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree
from scipy.special import erf
from scipy.stats import poisson

from cloudtrainer.detector.photon_fit import Appearance, Seen, weigh, with_population
from cloudtrainer.detector.photon_fit.appearance import BRIGHTNESS, Population
from cloudtrainer.detector.photon_fit.evidence import gather_evidence
from cloudtrainer.detector.photon_fit.ground import Ground

BACKGROUND = 20.0
SIGMA = 1.5
# Light integrated over a pixel looks wider by a twelfth of a square pixel.
SEEN_SIGMA = math.sqrt(SIGMA**2 + 1 / 12)
USUAL = Appearance(SEEN_SIGMA, 0.03, 1.0, 0.0)


def photons_of(ratio):
    """Return the photons of a spot that a matched filter sees with this signal-to-noise ratio."""
    return ratio * math.sqrt(4 * math.pi * SEEN_SIGMA**2 * BACKGROUND)


def peaks(frames, ground=BACKGROUND, least=2.5):
    """Return local maxima of a matched filter, as a network that is not quite sure of them."""
    tables = []
    for number, frame in enumerate(frames):
        filtered = gaussian_filter(frame - ground, SIGMA)
        ratio = filtered * math.sqrt(4 * math.pi * SIGMA**2 / BACKGROUND)
        y, x = np.nonzero((ratio == maximum_filter(ratio, 5)) & (ratio > least))
        tables.append(np.column_stack([np.full(len(x), number), x, y, ratio[y, x]]))
    frame, x, y, ratio = np.concatenate(tables).T
    probability = np.clip(1 / (1 + np.exp(-1.5 * (ratio - 4.3))), 0.01, 0.98)
    columns = [torch.as_tensor(values, dtype=torch.float32) for values in (x, y, probability)]
    error = torch.full_like(columns[0], 0.4)
    return Seen(torch.as_tensor(frame).long(), columns[0], columns[1], error, error, columns[2])


def one_spot(x, y, probability=0.3):
    places = [torch.tensor([value]) for value in (x, y, 0.4, 0.4, probability)]
    return Seen(torch.tensor([0]), *places)


def is_true(seen, filmed, within_px=1.6):
    found = np.zeros(len(seen), bool)
    for number, places in enumerate(filmed.places):
        here = np.flatnonzero(seen.frame.numpy() == number)
        xy = np.column_stack([seen.x.numpy()[here], seen.y.numpy()[here]])
        found[here] = cKDTree(places).query(xy)[0] < within_px
    return found


def told(filmed, appearance=USUAL, seen=None):
    """Measure on the first six frames, as a video is measured on a few."""
    seen = peaks(filmed.counts[:6]) if seen is None else seen.of(seen.frame < 6)
    return with_population(appearance, filmed.frames[:6], filmed.variance[:6], seen)


@pytest.mark.parametrize(("x", "y"), [(20.3, 19.6), (0.4, 11.0)])
def test_likelihood_ratios_are_those_of_poisson_numbers(film, x, y):
    filmed = film(200.0, places=[np.array([[x, y]])], side=40)
    frames, variance = filmed.frames, filmed.variance
    ground = Ground(torch.full((1, 10, 10), BACKGROUND))
    population = Population((1.0,) * len(BRIGHTNESS), BACKGROUND)
    found = gather_evidence(frames, variance, ground, one_spot(x, y), USUAL, population)

    row, column = np.indices((40, 40))
    disc = np.hypot(row - round(y), column - round(x)) <= 5.5
    counts = filmed.counts[0]
    for number in (4, 7, 10):
        peak = BRIGHTNESS[number].item() * math.sqrt(BACKGROUND) / (math.sqrt(math.pi) * SEEN_SIGMA)
        total = 0.0
        step = 0.02
        around = np.arange(-SEEN_SIGMA, SEEN_SIGMA, 3 * step)
        for dx in around:
            for dy in around[np.hypot(dx, around) <= SEEN_SIGMA]:
                away = (column - x - dx) ** 2 + (row - y - dy) ** 2
                light = peak * np.exp(-away / (2 * SEEN_SIGMA**2))
                ratio = poisson.logpmf(counts, BACKGROUND + light)
                ratio -= poisson.logpmf(counts, BACKGROUND)
                total += math.exp(ratio[disc].sum()) * (3 * step) ** 2
        assert found.log_ratios[0, number].item() == pytest.approx(math.log(total), abs=0.1)


def test_the_population_is_told_from_sure_and_doubtful_spots(film):
    ratio = 6.3
    rng = np.random.default_rng(3)
    places = [rng.uniform(0, 359, (100, 2)) for _ in range(6)]
    filmed = film(photons_of(ratio), places=places, side=360)
    # The fits of dim spots give widths that are off.
    guess = Appearance(0.88 * SEEN_SIGMA, 0.35, 1.0, 0.01)
    appearance = told(filmed, guess)
    assert appearance.sigma_px == pytest.approx(SEEN_SIGMA, rel=0.06)
    density = torch.tensor(appearance.population.density_px2)
    assert density.sum() * 360**2 == pytest.approx(100, rel=0.12)
    mean = (density * BRIGHTNESS).sum() / density.sum()
    assert mean == pytest.approx(ratio, rel=0.08)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (3.0, 100.0), (0.2, -5.0)])
def test_probabilities_are_right_as_often_as_they_say(film, gain, offset):
    filmed = film(120.0, frames=24, side=360, gain=gain, offset=offset, seed=4)
    seen = peaks((filmed.counts - offset) / gain)
    appearance = told(filmed, Appearance(SEEN_SIGMA, 0.03, gain, 0.0), seen)
    assert appearance.population is not None
    found = weigh(filmed.frames, filmed.variance, seen, appearance)
    right, stated = is_true(found, filmed), found.probability.numpy()
    for low, high in ((0.05, 0.35), (0.35, 0.7), (0.7, 0.95), (0.95, 1.0)):
        these = (stated > low) & (stated < high)
        chance = 1 / math.sqrt(4 * these.sum())
        assert right[these].mean() == pytest.approx(stated[these].mean(), abs=0.1 + 2 * chance)
    kept = stated > 0.43
    f1 = 2 * right[kept].sum() / (kept.sum() + len(filmed.truth))
    ranked = np.cumsum(is_true(seen, filmed)[np.argsort(-seen.probability.numpy())])
    best = (2 * ranked / (np.arange(len(ranked)) + 1 + len(filmed.truth))).max()
    # No cut of the matched filter, the best one included, finds as many with as few mistakes.
    assert f1 > best


def test_places_of_dim_spots_are_near_the_bound_and_state_their_error(film):
    filmed = film(150.0, frames=12, side=360, seed=5)
    seen = filmed.seen(off_px=0.5)
    noise = peaks(filmed.counts)
    found = weigh(filmed.frames, filmed.variance, seen, told(filmed, seen=noise))
    error = np.column_stack([found.x.numpy(), found.y.numpy()]) - filmed.truth
    sure = found.probability.numpy() > 0.9
    before = np.column_stack([seen.x.numpy(), seen.y.numpy()]) - filmed.truth
    assert (error[sure] ** 2).mean() < 0.6 * (before[sure] ** 2).mean()
    stated = np.column_stack([found.x_error.numpy(), found.y_error.numpy()])
    assert 0.9 < (error / stated)[sure].std() < 1.1


def test_of_two_spots_in_the_light_of_one_particle_one_is_left(film):
    filmed = film(150.0, frames=8, side=240)
    seen = peaks(filmed.counts)
    appearance = told(filmed, seen=seen)
    doubtful = torch.nonzero((seen.probability > 0.1) & (seen.probability < 0.5))[:, 0]
    second = seen.of(doubtful)
    second = Seen(**{**vars(second), "x": second.x + 2.5})
    both = Seen(
        **{name: torch.cat([values, vars(second)[name]]) for name, values in vars(seen).items()}
    )
    found = weigh(filmed.frames, filmed.variance, both, appearance).probability
    changed = found != both.probability
    weighed = changed[doubtful] & changed[len(seen) :]
    assert weighed.sum() > 10
    assert ((found[doubtful] == 0) | (found[len(seen) :] == 0))[weighed].all()


def test_what_a_likely_spot_sheds_light_on_is_left_alone(film):
    filmed = film(150.0, frames=8, side=240)
    seen = peaks(filmed.counts)
    appearance = told(filmed, seen=seen)
    beside = seen.of(seen.probability > 0.9)
    beside = Seen(**{**vars(beside), "x": beside.x + 4, "probability": 0 * beside.x + 0.3})
    both = Seen(
        **{name: torch.cat([values, vars(beside)[name]]) for name, values in vars(seen).items()}
    )
    found = weigh(filmed.frames, filmed.variance, both, appearance).of(
        torch.arange(len(seen), len(both))
    )
    for name, values in vars(beside).items():
        torch.testing.assert_close(vars(found)[name], values)


def test_bright_spots_keep_their_place(film):
    filmed = film(2000.0, frames=8, side=240)
    seen = filmed.seen()
    appearance = told(filmed, seen=seen)
    assert appearance.population is not None
    found = weigh(filmed.frames, filmed.variance, seen, appearance)
    torch.testing.assert_close(found.x, seen.x)
    torch.testing.assert_close(found.x_error, seen.x_error)
    assert (found.probability > 0.99).all()


def test_frames_do_not_depend_on_what_is_looked_at_with_them(film):
    filmed = film(150.0, frames=8, side=240)
    seen = peaks(filmed.counts)
    appearance = told(filmed, seen=seen)
    together = weigh(filmed.frames, filmed.variance, seen, appearance)
    here = seen.frame == 3
    alone = seen.of(here)
    alone = Seen(**{**vars(alone), "frame": torch.zeros_like(alone.frame)})
    by_itself = weigh(filmed.frames[3:4], filmed.variance[3:4], alone, appearance)
    for name in ("x", "y", "x_error", "probability"):
        torch.testing.assert_close(
            vars(by_itself)[name], vars(together.of(here))[name], rtol=1e-4, atol=1e-4
        )


def test_a_ground_that_is_brighter_on_one_side_has_more_noise_there(film):
    filmed = film(150.0, frames=8, side=360, seed=6)
    rng = np.random.default_rng(7)
    more = np.linspace(-10, 20, 360)
    counts = rng.poisson(_expected(filmed, BACKGROUND + more)).astype(float)
    frames = torch.as_tensor(counts, dtype=torch.float32)
    variance = torch.full((8,), BACKGROUND + 5)
    seen = peaks(counts, BACKGROUND + more, least=2.0)
    appearance = with_population(USUAL, frames, variance, seen)
    assert appearance.population is not None
    found = weigh(frames, variance, seen, appearance)
    right = is_true(found, filmed)
    kept = found.probability.numpy() > 0.43
    brighter = found.x.numpy() > 240
    assert right[kept & brighter].mean() > 0.84
    assert right[kept & ~brighter].mean() > 0.94


def _expected(filmed, ground):
    edges = np.arange(361) - 0.5
    frames = []
    for places in filmed.places:
        light = np.broadcast_to(ground, (360, 360)).copy()
        for x, y in places:
            across, down = (np.diff(erf((edges - at) / (SIGMA * np.sqrt(2)))) / 2 for at in (x, y))
            light += 150 * np.outer(down, across)
        frames.append(light)
    return np.stack(frames)


def test_dark_particles_are_weighed_as_bright_ones_are(film):
    filmed = film(200.0, frames=12, side=360, seed=8)
    taken = _expected(filmed, np.zeros(360)) * 200 / 150
    counts = -np.random.default_rng(9).poisson(60 - np.clip(taken, 0, 50)).astype(float)
    frames, variance = torch.as_tensor(counts, dtype=torch.float32), torch.full((12,), 60.0)
    seen = peaks(counts * math.sqrt(BACKGROUND / 60), -60 * math.sqrt(BACKGROUND / 60))
    appearance = with_population(Appearance(SEEN_SIGMA, 0.03, -1.0, 0.0), frames, variance, seen)
    found = weigh(frames, variance, seen, appearance)
    right, kept = is_true(found, filmed), found.probability.numpy() > 0.43
    before = seen.probability.numpy() > 0.43
    assert right[kept].mean() > 0.9
    assert right[kept].sum() > 0.97 * is_true(seen, filmed)[before].sum()


@pytest.mark.parametrize("kind", ["few", "rings", "none", "noise", "blurred", "contradicted"])
def test_nothing_is_told_where_photons_cannot_decide(film, kind):
    appearance, seen = USUAL, None
    filmed = film(150.0, frames=8, side=240)
    if kind == "few":
        filmed = film(150.0, frames=1, side=120)
    elif kind == "rings":
        appearance = Appearance(SEEN_SIGMA, 0.03, 1.0, 0.1)
    elif kind == "none":
        seen = peaks(filmed.counts, least=1e9)
    elif kind == "noise":
        filmed = film(0.0, frames=8, side=240)
        seen = peaks(filmed.counts)
        seen = Seen(**{**vars(seen), "probability": 0 * seen.x + 0.6})
    elif kind == "blurred":
        wide = film(400.0, sigma=3.5, frames=8, side=240, seed=1)
        filmed = type(filmed)(filmed.counts + wide.counts - BACKGROUND, filmed.places, 1.0)
    else:
        seen = peaks(filmed.counts)
        unseen = torch.arange(len(seen)) % 10 == 0
        seen = Seen(**{**vars(seen), "probability": seen.probability.masked_fill(unseen, 0.02)})
    found = told(filmed, appearance, seen)
    assert found.population is None
    assert found == appearance
    seen = peaks(filmed.counts)
    assert weigh(filmed.frames, filmed.variance, seen, found) is seen


def test_frames_that_look_otherwise_are_left_to_the_network(film):
    filmed = film(250.0, frames=6, side=240)
    appearance = told(filmed)
    assert appearance.population is not None
    dim = film(100.0, frames=2, side=240, seed=1)
    bright_ground = film(250.0, frames=1, side=240, seed=2)
    noise = np.random.default_rng(3).normal(0, 6.0, (1, 240, 240))
    frames = np.concatenate([filmed.counts[:1], dim.counts, bright_ground.counts + noise])
    variance = torch.tensor([BACKGROUND] * 3 + [BACKGROUND + 36.0])
    seen = peaks(frames, least=3.0)
    sure = torch.where(seen.probability > 0.3, 0.9, seen.probability)
    seen = Seen(**{**vars(seen), "probability": sure})
    found = weigh(torch.as_tensor(frames, dtype=torch.float32), variance, seen, appearance)
    changed = found.probability != seen.probability
    assert [bool(changed[seen.frame == n].any()) for n in range(4)] == [True, False, False, False]


@pytest.mark.parametrize("value", [0.0, 4e9])
def test_dropped_and_saturated_frames_change_nothing_for_the_others(film, value):
    filmed = film(150.0, frames=6, side=240)
    seen = peaks(filmed.counts)
    appearance = told(filmed, seen=seen)
    frames, variance = filmed.frames.clone(), filmed.variance.clone()
    frames[[1, 4]], variance[[1, 4]] = value, 1e-24
    there = (seen.frame != 1) & (seen.frame != 4)
    left = with_population(USUAL, frames, variance, seen.of(there)).population
    assert sum(left.density_px2) == pytest.approx(sum(appearance.population.density_px2), rel=0.1)
    whole = weigh(filmed.frames, filmed.variance, seen.of(there), appearance)
    found = weigh(frames, variance, seen.of(there), appearance)
    torch.testing.assert_close(found.probability, whole.probability, atol=1e-4, rtol=1e-4)


def test_noise_that_neighbouring_pixels_share_is_not_taken_for_particles(film):
    filmed = film(220.0, frames=8, side=360, seed=11)
    counts = gaussian_filter(filmed.counts, (0, 0.4, 0.4))
    rough = np.diff(np.diff(counts, 2, axis=1), 2, axis=2)
    variance = torch.full((8,), float((1.4826 * np.median(np.abs(rough)) / 6) ** 2))
    frames = torch.as_tensor(counts, dtype=torch.float32)
    seen = peaks(counts)
    appearance = with_population(USUAL, frames, variance, seen)
    assert 1.15 < appearance.population.shared_noise < 1.5
    found = weigh(frames, variance, seen, appearance)
    assert is_true(found, filmed)[found.probability.numpy() > 0.43].mean() > 0.97

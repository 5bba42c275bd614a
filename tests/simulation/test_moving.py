"""Scenes in several frames: what moves does so as it is drawn, what stays stays."""

import math

import numpy as np
import pytest
import torch

from cloudtrainer.config import SceneSettings
from cloudtrainer.simulation import Backdrop, draw_over, draw_scenes, random_scenes
from cloudtrainer.simulation.draw import Draw
from cloudtrainer.simulation.moving import Motion, draw_motion, in_frames, repeat_at_ends
from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.spots import gaussian_spots
from cloudtrainer.simulation.twin import SpotShape, Twin, draw_twin

STILL = {
    "background_structure": 0.0,
    "ring_share": 0.0,
    "clutter_share": 0.0,
    "compressed_share": 0.0,
    "speck_share": 0.0,
    "smeared_share": 0.0,
}
EMPTY = {**STILL, "density_per_1000_px2": [0, 0]}


def draw(seed=0):
    return Draw(torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spots(images=4, particles=2000):
    zeros = torch.zeros(images, particles)
    return gaussian_spots(zeros + 5, zeros - 3, zeros + 100, 1.5)


def motion(step=0.0, drift_x=0.0, drift_y=0.0, speed=0.0, images=4):
    return Motion(*(torch.full((images, 1), value) for value in (step, drift_x, drift_y, speed)))


def places(moved, images=4):
    """Return x and y, (images, frames, particles)."""
    return (values.view(images, -1, values.shape[-1]) for values in (moved.x, moved.y))


@pytest.mark.parametrize("context", [1, 2, 3])
@pytest.mark.parametrize("step", [0.05, 1.0, 4.0])
def test_steps_are_brownian_and_the_middle_is_where_the_truth_is(context, step):
    moved, _ = in_frames(spots(), motion(step), context, draw())
    for values, start in zip(places(moved), (5.0, -3.0), strict=True):
        assert values.shape == (4, 2 * context + 1, 2000)
        assert torch.equal(values[:, context], torch.full((4, 2000), start))
        steps = values.diff(dim=1).double()
        assert float(steps.std()) == pytest.approx(step, rel=0.03)
        assert float(steps.mean()) == pytest.approx(0.0, abs=0.03 * step)
        # The further a frame, the wider the particles have spread: the steps are independent.
        for frame in range(2 * context + 1):
            lag = abs(frame - context)
            assert float((values[:, frame] - start).double().std()) == pytest.approx(
                step * math.sqrt(lag), rel=0.05
            )


def test_drift_is_common_and_directed_motion_has_a_direction_each():
    moved, _ = in_frames(spots(), motion(drift_x=0.5, drift_y=-2.0), 2, draw())
    x, y = places(moved)
    torch.testing.assert_close(x.diff(dim=1), torch.full((4, 4, 2000), 0.5))
    torch.testing.assert_close(y.diff(dim=1), torch.full((4, 4, 2000), -2.0))
    moved, _ = in_frames(spots(), motion(speed=1.5), 2, draw())
    dx, dy = (values.diff(dim=1) for values in places(moved))
    torch.testing.assert_close(torch.hypot(dx, dy), torch.full((4, 4, 2000), 1.5))
    angle = torch.atan2(dy, dx)
    torch.testing.assert_close(angle[:, 0], angle[:, 3], rtol=1e-4, atol=1e-4)
    assert float(torch.cos(angle).mean()) == pytest.approx(0.0, abs=0.05)


def test_what_is_still_does_not_move():
    still = torch.rand(4, 2000, generator=generator()) < 0.4
    moved, in_view = in_frames(spots(), motion(3.0, 1.0), 1, draw(), still)
    x, _ = places(moved)
    assert torch.equal(x[:, 0] == x[:, 2], still)
    assert bool(in_view[still].all())
    peak = moved.peak.view(4, 3, 2000).permute(0, 2, 1)[still]
    assert torch.equal(peak, torch.full_like(peak, 100.0))


def test_steps_are_drawn_evenly_on_a_logarithmic_scale_from_a_twentieth_to_four_pixels():
    drawn = draw_motion(draw(), 4000)
    logarithm = drawn.step_px.log()
    share = (logarithm - math.log(0.05)) / math.log(4 / 0.05)
    assert float(share.min()) >= 0
    assert float(share.max()) <= 1
    quantiles = torch.quantile(share, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.03, rtol=0)
    drifting = torch.hypot(drawn.drift_x, drawn.drift_y) > 0
    assert 0.1 < float(drifting.float().mean()) < 0.3
    assert 0.1 < float((drawn.speed > 0).float().mean()) < 0.2


def test_a_few_come_or_go_and_only_those_in_the_middle_are_in_view():
    moved, in_view = in_frames(spots(), motion(), 2, draw())
    peak = moved.peak.view(4, 5, 2000)
    seen = peak > 0
    assert torch.equal(in_view, seen[:, 2])
    assert 0.95 < float(in_view.float().mean()) < 1.0
    assert 0.92 < float(seen.all(dim=1).float().mean()) < 0.96
    # Whoever comes stays, and whoever goes is gone.
    assert int((seen[:, 1:] != seen[:, :-1]).sum(dim=1).max()) == 1
    bright = peak[:, [0, 1, 3, 4]][seen[:, [0, 1, 3, 4]]]
    assert 80 <= float(bright.min()) < 99
    assert 101 < float(bright.max()) <= 120
    assert torch.equal(peak[:, 2][in_view], torch.full((int(in_view.sum()),), 100.0))


def test_scenes_have_their_neighbours_and_the_truth_of_the_middle():
    settings = SceneSettings(
        **STILL, peak_snr=[20, 20], density_per_1000_px2=[0.3, 0.3], spot_sigma_px=[1.5, 1.5]
    )
    batch = draw_scenes(settings, 60, 64, generator(), context_frames=2)
    assert batch.context.shape == (60, 5, 64, 64)
    assert torch.equal(batch.images, batch.context[:, 2])
    assert torch.equal(batch.frames, batch.context)
    assert batch.brightest.tolist() == batch.images.amax(dim=(1, 2)).tolist()
    image, place = torch.nonzero(batch.present, as_tuple=True)
    x, y = batch.x[image, place].round().long(), batch.y[image, place].round().long()
    ground = batch.images.flatten(1).median(dim=1).values
    noise = ground.sqrt()[image]
    above = [(batch.context[image, f, y, x] - ground[image]) / noise for f in range(5)]
    assert float((above[2] > 5).float().mean()) == 1.0
    # In the others some are elsewhere, in the farther ones more.
    shares = [float((one > 5).float().mean()) for one in above]
    assert shares[0] < shares[1] < 0.95
    assert shares[4] < shares[3] < 0.95
    assert shares[1] > 0.4


def test_scenes_without_neighbours_have_none():
    batch = draw_scenes(SceneSettings(), 3, 32, generator())
    assert batch.context is None
    assert torch.equal(batch.frames, batch.images[:, None])
    again = batch.to(torch.device("cpu"))
    assert again.context is None
    assert torch.equal(again.images, batch.images)


def without_repeats(monkeypatch):
    monkeypatch.setattr(random_scenes, "repeat_at_ends", lambda counts, draw: counts)


def test_the_ground_stays_and_the_noise_is_new_in_each_frame(monkeypatch):
    without_repeats(monkeypatch)
    # With a spot of light somewhere for the ground's structure to be relative to.
    settings = SceneSettings(
        **{**STILL, "background_structure": 5.0},
        background_photons=[2000, 2000],
        density_per_1000_px2=[0.05, 0.05],
        peak_snr=[30, 30],
    )
    batch = draw_scenes(settings, 30, 64, generator(), context_frames=1)
    first, _, last = batch.context.flatten(2).double().unbind(dim=1)
    difference = (first - last).median(dim=1).values
    # Pixel by pixel the same ground: without it, the difference is noise of twice the variance.
    spread = 1.4826 * (first - last - difference[:, None]).abs().median(dim=1).values
    expected = (2 * first.mean(dim=1)).sqrt()
    np.testing.assert_allclose(spread / expected, 1.0, atol=0.1)
    plain = draw_scenes(
        SceneSettings(**EMPTY, background_photons=[50, 50]), 20, 64, generator(), context_frames=1
    )
    flat = plain.context.flatten(2).double()
    for one, other in ((0, 1), (1, 2), (0, 2)):
        pairs = zip(flat[:, one], flat[:, other], strict=True)
        alike = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
        assert np.abs(np.mean(alike)) < 0.01


def test_hot_pixels_stay_where_they_are_or_are_there_once(monkeypatch):
    without_repeats(monkeypatch)
    settings = SceneSettings(**{**EMPTY, "speck_share": 1.0}, background_photons=[100, 100])
    batch = draw_scenes(settings, 80, 64, generator(), context_frames=1)
    hot = batch.context > 100 + 10 * 12
    counts = hot.sum(dim=1)
    assert int(hot.sum()) > 500
    # Each scene is of one kind; a pixel near the limit may be above it in some frames only.
    stays = (counts == 3).sum(dim=(1, 2)) > (counts == 1).sum(dim=(1, 2))
    assert 0.6 < float(stays.float().mean()) < 0.9


def test_frames_of_a_compressed_scene_share_their_steps():
    counts = torch.full((30, 3, 24, 24), 50.0)
    counts[:, :, 4:8, 4:8] = 20
    counts[:, 0, 12:16, 12:16] = 350
    settings = SceneSettings(**{**STILL, "compressed_share": 1.0})
    seen = random_scenes.compress(counts, settings, draw())
    assert torch.equal(seen, seen.round())
    assert torch.equal(seen[:, 1], seen[:, 2])
    # Smoothing takes the block a little below 350: between 20 and it lie all steps of all frames.
    ground, most = seen[:, :, 20, 20], seen.amax(dim=(1, 2, 3))
    assert torch.equal(ground, ground[:, :1].expand(30, 3))
    share = (ground[:, 0] / most).double()
    assert float(share.median()) == pytest.approx(30 / 330, abs=0.02)


def test_at_an_end_of_a_video_the_outermost_frame_is_repeated():
    counts = torch.arange(5.0)[None, :, None, None].expand(4000, 5, 1, 1)
    orders = repeat_at_ends(counts, draw())[:, :, 0, 0]
    kinds = {tuple(order) for order in orders.int().tolist()}
    first = [(0, 1, 2), (1, 1, 2), (2, 2, 2)]
    last = [(3, 4), (3, 3), (2, 2)]
    assert kinds <= {(*begin, *end) for begin in first for end in last}
    assert {(1, 1, 2, 3, 4), (2, 2, 2, 3, 4), (0, 1, 2, 3, 3), (0, 1, 2, 2, 2)} <= kinds
    whole = (orders == torch.arange(5.0)).all(dim=1).float().mean()
    assert 0.85 < float(whole) < 0.91


def test_a_seed_gives_one_film():
    first = draw_scenes(SceneSettings(), 4, 48, generator(3), 1)
    again = draw_scenes(SceneSettings(), 4, 48, generator(3), 1)
    other = draw_scenes(SceneSettings(), 4, 48, generator(4), 1)
    assert torch.equal(first.context, again.context)
    assert not torch.equal(first.context, other.context)


def test_over_a_backdrop_particles_move_and_the_background_stays():
    rows = torch.arange(60.0)[:, None]
    backdrop = Backdrop(100 + 20 * (rows % 7) + torch.zeros(60, 70), Noise(0, 0, 2.0, 0), 0, 0, 400)
    batch = draw_over(backdrop, SceneSettings(**EMPTY), 40, 48, generator(), context_frames=1)
    assert batch.context.shape == (40, 3, 48, 48)
    first, middle, last = batch.context.unbind(dim=1)
    assert torch.equal(middle, batch.images)
    # Scenes at an end of their video apart, whose frames are the same to the last bit.
    apart = [a - b for a, b in zip(first, last, strict=True) if not torch.equal(a, b)]
    spread = torch.stack(apart).std()
    assert float(spread) == pytest.approx(2 * math.sqrt(2), rel=0.1)
    settings = SceneSettings(clutter_share=0, peak_snr=[30, 30], density_per_1000_px2=[0.5, 0.5])
    moving = draw_over(backdrop, settings, 40, 48, generator(), context_frames=1).context
    assert float((moving[:, 0] - moving[:, 2]).abs().amax(dim=(1, 2)).median()) > 20


def test_particles_of_a_twin_move_and_its_hot_pixels_stay():
    knots = torch.arange(0, 10, 0.5)
    disc, pixel = torch.exp(-(knots**2) / 4.5), torch.exp(-(knots**2) / 0.2)
    shapes = (
        SpotShape(disc, torch.full((5,), 200.0), per_frame=8.0, in_focus=1.0),
        SpotShape(pixel, torch.full((5,), 2000.0), per_frame=4.0, in_focus=0.0, is_speck=True),
    )
    twin = Twin(
        name="gel.tif",
        polarity=1,
        grounds=torch.full((2, 64, 64), 100.0),
        noise=Noise(0.0, 0.0, 2.0, 0.0),
        step=0.0,
        lowest=0.0,
        highest=500.0,
        turned_at=0.0,
        saturated=0.0,
        shapes=shapes,
        focus=None,
        found_per_frame=8.0,
        false_per_frame=0.0,
    )
    batch = draw_twin(twin, 60, 48, generator(), context_frames=1)
    assert batch.context.shape == (60, 3, 48, 48)
    assert torch.equal(batch.images, batch.context[:, 1])
    image, place = torch.nonzero(batch.present, as_tuple=True)
    x, y = (values[image, place].round().long() for values in (batch.x, batch.y))
    assert len(image) > 100
    assert float(batch.images[image, y, x].min()) > 180
    # Hot pixels are ten times as bright as particles.
    hot = batch.context > 1500
    assert int(hot[:, 1].sum()) > 50
    assert torch.equal(hot[:, 0], hot[:, 1])
    assert torch.equal(hot[:, 2], hot[:, 1])
    assert float((batch.context[image, 0, y, x] > 180).float().mean()) < 0.9

from dataclasses import replace

import numpy as np
import pytest
import torch

from cloudtrainer.config import SceneSettings
from cloudtrainer.errors import VideoError
from cloudtrainer.simulation import backdrop as module
from cloudtrainer.simulation import draw_over, draw_scenes, measure_backdrop
from cloudtrainer.simulation.backdrop import Backdrop
from cloudtrainer.simulation.noise import Noise
from cloudtrainer.video import Video

PLAIN = {"ring_share": 0.0, "clutter_share": 0.0}
EMPTY = SceneSettings(**PLAIN, density_per_1000_px2=[0, 0])
SILENT = Noise(gain=0.0, offset=0.0, read_noise=0.0, blur_px=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def errors(backdrop, ground, camera):
    """Return the error of the background in standard deviations of the noise."""
    return (backdrop.background.numpy() - ground) / np.sqrt(camera.variance(ground))


def turned_back(values, video):
    """Return the counts of a video that was turned over; all its frames were looked at."""
    assert len(video) <= 60
    return float(video.frames().max()) - values


def symmetries(frame):
    """Return the eight ways to turn and mirror a square frame."""
    return [np.rot90(side, turn) for side in (frame, frame.T) for turn in range(4)]


@pytest.mark.parametrize("dark", [False, True])
def test_the_background_is_found_below_moving_particles(Camera, film, smooth_background, dark):
    camera = Camera()
    video, ground = film(camera, smooth_background(), dark=dark)
    backdrop = measure_backdrop(video, -1 if dark else 1)
    if dark:
        backdrop = replace(backdrop, background=turned_back(backdrop.background, video))
    wrong = errors(backdrop, ground, camera)
    assert backdrop.background.dtype == torch.float32
    assert abs(wrong.mean()) < 0.1
    assert np.sqrt((wrong**2).mean()) < 0.25
    assert np.percentile(np.abs(wrong), 99) < 0.7


def test_few_frames_give_a_background_without_bias(Camera, film, smooth_background):
    camera = Camera()
    for frames in (3, 4, 7):
        video, ground = film(camera, smooth_background(), frames=frames, particles=0)
        assert abs(errors(measure_backdrop(video), ground, camera).mean()) < 0.03


@pytest.mark.parametrize("polarity", [1, -1])
def test_a_particle_that_lingers_in_under_half_of_the_frames_leaves_no_trace(polarity):
    rng = np.random.default_rng(0)
    frames = rng.normal(500, 5, (60, 64, 64))
    # Ten standard deviations for 27 of 60 frames; elsewhere afterwards.
    frames[:27, 20:26, 20:26] += 50 * polarity
    frames[27:54, 40:46, 40:46] += 50 * polarity
    video = Video(frames.astype(np.float32))
    own = measure_backdrop(video, polarity).background.numpy()
    own = own if polarity > 0 else turned_back(own, video)
    for place in (slice(20, 26), slice(40, 46)):
        assert abs(own[place, place].mean() - 500) < 4
    assert abs(own.mean() - 500) < 0.5


def test_rows_read_in_turn_give_the_same_backdrop(Camera, film, smooth_background, monkeypatch):
    video, _ = film(Camera(), smooth_background(), frames=20)
    whole = measure_backdrop(video)
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", 20 * 160 * 2 * 5)
    striped = measure_backdrop(video)
    torch.testing.assert_close(striped.background, whole.background)
    assert (striped.lowest, striped.highest, striped.step) == (whole.lowest, whole.highest, 1.0)


def test_long_videos_are_sampled_and_not_read_whole(Camera, film, smooth_background):
    video, _ = film(Camera(), smooth_background(), frames=500, particles=0)
    read = []

    class Counting(Video):
        def frames(self, start=0, stop=None):
            read.append(stop - start)
            return super().frames(start, stop)

    measure_backdrop(Counting(video.frames()))
    assert sum(read) <= 60 + 2 * 30
    assert max(read) <= 2


@pytest.mark.parametrize("dark", [False, True])
def test_scenes_have_the_noise_of_the_video_at_the_same_intensity(Camera, film, dark):
    camera = Camera(gain=2.0, read_photons=4.0)
    photons = np.full((96, 96), 30.0)
    photons[:, 48:] = 200.0
    video, ground = film(camera, photons, particles=15, dark=dark)
    backdrop = measure_backdrop(video, -1 if dark else 1)
    images = draw_over(backdrop, EMPTY, 40, 64, generator()).images.numpy()
    counts = turned_back(images, video) if dark else images
    for level in np.unique(ground):
        own = counts[np.abs(counts - level) < 150]
        assert own.size > 10_000
        assert own.mean() == pytest.approx(level, rel=0.03)
        assert own.var() == pytest.approx(camera.variance(level), rel=0.12)


@pytest.mark.parametrize("dark", [False, True])
def test_particles_are_bright_and_where_the_truth_says(Camera, film, smooth_background, dark):
    side, camera = 64, Camera(gain=2.0, read_photons=3.0)
    # Crops as large as the video: each is the whole background, turned or mirrored.
    photons = smooth_background(side, side, low=300, high=1500)
    video, ground = film(camera, photons, particles=5, dark=dark)
    backdrop = measure_backdrop(video, -1 if dark else 1)
    ways = symmetries(turned_back(ground, video) if dark else ground)
    settings = SceneSettings(
        **PLAIN, spot_sigma_px=[1.5, 1.5], peak_snr=[15, 15], density_per_1000_px2=[0.4, 0.4]
    )
    scenes = draw_over(backdrop, settings, 40, side, generator(1))
    off, heights, seen = [], [], set()
    truth = (part.numpy() for part in (scenes.x, scenes.y, scenes.present))
    for image, x, y, present in zip(scenes.images.numpy(), *truth, strict=True):
        way = int(np.argmin([np.median(np.abs(image - ground)) for ground in ways]))
        seen.add(way)
        light = image - ways[way]
        for left, top in zip(x[present], y[present], strict=True):
            near = np.hypot(x - left, y - top) < 14
            if not (6 < left < side - 7 and 6 < top < side - 7) or near.sum() > 1:
                continue
            column, row = round(float(left)), round(float(top))
            rows, columns = np.mgrid[row - 5 : row + 6, column - 5 : column + 6]
            patch = light[rows, columns]
            patch = np.where(patch > 0.2 * patch.max(), patch, 0.0)
            patch /= patch.sum()
            off.append([(columns * patch).sum() - left, (rows * patch).sum() - top])
            heights.append(light[row, column] / np.sqrt(camera.variance(np.median(ground))))
    assert len(seen) > 4
    assert len(off) > 20
    assert np.abs(np.mean(off, axis=0)).max() < 0.05
    assert np.std(off) < 0.2
    assert min(heights) > 5


def test_brightness_is_relative_to_the_noise_at_the_peak(monkeypatch):
    background = torch.full((64, 64), 400.0)
    settings = SceneSettings(**PLAIN, peak_snr=[5, 5])
    peaks = {}
    true_draw = module.draw_particles

    def spy(*arguments):
        particles = true_draw(*arguments)
        peaks["now"] = particles.spots.peak[particles.spots.peak > 0]
        return particles

    monkeypatch.setattr(module, "draw_particles", spy)
    for gain, variance_at in (
        (0.0, lambda peak: 9 + 0 * peak),
        (2.0, lambda peak: 9 + 2 * (400 + peak)),
        (-2.0, lambda peak: 9 + 2 * (600 - 400 - peak)),
    ):
        noise = Noise(gain=gain, offset=600.0 if gain < 0 else 0.0, read_noise=3.0, blur_px=0.0)
        draw_over(Backdrop(background, noise, 0.0, 0.0, 600.0), settings, 8, 64, generator())
        peak = peaks["now"]
        assert len(peak) > 20
        torch.testing.assert_close(peak / variance_at(peak).sqrt(), torch.full_like(peak, 5.0))


@pytest.mark.parametrize("shape", [(20, 24), (24, 200), (1, 3)])
def test_videos_smaller_than_the_crop_go_on_as_in_a_mirror(shape):
    rows, columns = torch.meshgrid(*(torch.arange(float(side)) for side in shape), indexing="ij")
    for own, axis_length in ((rows, shape[0]), (columns, shape[1])):
        backdrop = Backdrop(own, SILENT, 0.0, 0.0, 255.0)
        images = draw_over(backdrop, EMPTY, 16, 64, generator()).images
        assert images.shape == (16, 64, 64)
        steps = torch.cat([images.diff(dim=1).flatten(), images.diff(dim=2).flatten()])
        assert float(steps.abs().max()) <= 1.0
        if axis_length < 64:
            assert all(len(image.unique()) == axis_length for image in images)


def test_crops_come_from_all_over_a_large_video():
    backdrop = Backdrop(torch.arange(90_000.0).view(300, 300), SILENT, 0.0, 0.0, 90_000.0)
    images = draw_over(backdrop, EMPTY, 400, 32, generator()).images
    assert float(images.min()) < 300 * 10
    assert float(images.max()) > 300 * 290
    assert len(images[:, 0, 0].unique()) > 390


def test_a_tiny_video_goes_all_the_way(Camera, film, smooth_background):
    video, _ = film(Camera(), smooth_background(9, 12), particles=1)
    scenes = draw_over(measure_backdrop(video), SceneSettings(), 8, 64, generator())
    assert scenes.images.shape == (8, 64, 64)
    assert bool(torch.isfinite(scenes.images).all())


@pytest.mark.parametrize("frames", [1, 2])
def test_too_few_frames_are_refused(frames):
    video = Video(np.random.default_rng(0).integers(0, 99, (frames, 32, 32), np.uint8))
    with pytest.raises(VideoError, match="particles from the background") as caught:
        measure_backdrop(video)
    assert "\n" not in str(caught.value)


def test_frames_that_are_all_alike_are_refused():
    frame = np.random.default_rng(0).integers(0, 99, (32, 32), np.uint8)
    with pytest.raises(VideoError, match="identical"):
        measure_backdrop(Video(np.repeat(frame[None], 9, axis=0)))


@pytest.mark.parametrize("value", [0, 77])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_constant_video_gives_scenes_with_particles_that_show(value, dtype):
    backdrop = measure_backdrop(Video(np.full((12, 40, 40), value, dtype)))
    settings = SceneSettings(**PLAIN, peak_snr=[10, 10])
    images = draw_over(backdrop, settings, 8, 64, generator()).images
    assert bool(torch.isfinite(images).all())
    assert float(images.median()) == pytest.approx(value, abs=2)
    assert float(images.max()) > value + 5


@pytest.mark.parametrize("polarity", [1, -1])
def test_clipped_8_bit_videos_give_finite_scenes_in_whole_steps(
    Camera, film, smooth_background, polarity
):
    camera = Camera(gain=2.0, offset=-60.0, dtype=np.uint8)
    video, ground = film(camera, smooth_background(low=5, high=180), dark=polarity < 0)
    assert (ground < 0).any()
    assert (ground > 255).any()
    backdrop = measure_backdrop(video, polarity)
    scenes = draw_over(backdrop, SceneSettings(), 16, 64, generator())
    assert bool(torch.isfinite(scenes.images).all())
    assert float(scenes.images.min()) >= 0.0
    torch.testing.assert_close(scenes.images, scenes.images.round())


def test_a_seed_gives_one_batch_and_the_truth_is_inside(Camera, film, smooth_background):
    video, _ = film(Camera(), smooth_background())
    backdrop = measure_backdrop(video)
    first = draw_over(backdrop, SceneSettings(), 12, 64, generator(3))
    again = draw_over(backdrop, SceneSettings(), 12, 64, generator(3))
    for name in ("images", "x", "y", "present", "brightest"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    assert not torch.equal(
        first.images, draw_over(backdrop, SceneSettings(), 12, 64, generator(4)).images
    )
    inside = torch.stack([first.x[first.present], first.y[first.present]])
    assert inside.shape[1] > 20
    assert -0.5 < float(inside.min()) <= float(inside.max()) < 63.5
    assert vars(first).keys() == vars(draw_scenes(SceneSettings(), 2, 64, generator())).keys()


def test_the_brightest_is_the_videos_unless_a_particle_is_brighter(Camera, film):
    video, _ = film(Camera(), np.full((64, 64), 50.0), particles=5)
    backdrop = measure_backdrop(video)
    assert backdrop.highest == video.frames().max()
    scenes = draw_over(backdrop, SceneSettings(peak_snr=[1, 60]), 40, 64, generator())
    own = scenes.images.amax(dim=(1, 2))
    assert torch.equal(scenes.brightest, own.clamp(min=backdrop.highest))
    assert bool((own > backdrop.highest).any())
    assert bool((own < backdrop.highest).any())


@pytest.mark.parametrize(
    ("name", "polarity"), [("bulk_water/bulk_water.tif", -1), ("sptnet/video_00.tif", 1)]
)
def test_scenes_over_real_videos_are_as_rough_as_these(shared_data, name, polarity):
    video = Video(shared_data / name)
    backdrop = measure_backdrop(video, polarity)
    drawn = draw_over(backdrop, EMPTY, 64, 64, generator()).images.numpy()

    def rough(frames):
        # Median, for real frames hold particles: what is left is noise and the 8-bit steps.
        frames = frames.astype(float) + np.random.default_rng(0).uniform(-0.5, 0.5, frames.shape)
        return np.median(np.abs(frames[:, :, 2:] - 2 * frames[:, :, 1:-1] + frames[:, :, :-2]))

    assert rough(drawn) == pytest.approx(rough(video.frames(0, 20)), rel=0.2)

from dataclasses import replace

import numpy as np
import pytest
from known_films import film, gaussian
from scipy import ndimage

from cloudtrainer.errors import VideoError
from cloudtrainer.simulation.twin import measure, measure_twin
from cloudtrainer.video import Video

SPOT = gaussian(1.8)


def doubts(frames, detector, polarity=None):
    return " ".join(measure_twin(Video(frames), detector, polarity).doubts)


def test_a_good_video_raises_none(detector):
    filmed = film([SPOT], [200.0], ground=np.linspace(100, 400, 128))
    assert measure_twin(filmed.video, detector).doubts == ()


def test_saturated_particles_are_said_and_stay_flat(detector):
    frames = film([SPOT], [3000.0]).video.frames().clip(None, 1000)
    twin = measure_twin(Video(frames), detector)
    assert "are saturated (at 1000 counts)" in " ".join(twin.doubts)
    assert twin.saturated > 0.9


def test_smoothed_8_bit_noise_is_not_that_of_photons(detector):
    frames = film([SPOT], [60.0], ground=20.0).video.frames().astype(float)
    smooth = np.rint(ndimage.gaussian_filter(frames, (0, 0.8, 0.8))).astype(np.uint8)
    said = doubts(smooth, detector)
    assert "The noise is not that of photons: it is smoothed over" in said


def test_noise_that_does_not_grow_over_an_uneven_background_is_said(detector):
    ground = np.broadcast_to(np.linspace(100, 500, 128), (128, 128))
    rng = np.random.default_rng(0)
    filmed = film([SPOT], [150.0], ground=ground, gain=1e-3, dtype=np.float32)
    frames = filmed.video.frames() + rng.normal(0, 12, filmed.video.shape)
    assert "does not grow with the intensity" in doubts(frames.astype(np.float32), detector)


def test_blocks_of_a_codec_are_said(detector):
    frames = film([SPOT], [200.0]).video.frames().astype(float)
    rng = np.random.default_rng(0)
    levels = rng.normal(0, 12, (len(frames), 16, 16))
    blocks = levels.repeat(8, axis=1).repeat(8, axis=2)
    assert "blocks of 8 x 8 px" in doubts((frames + blocks).astype(np.float32), detector)


def test_interlaced_frames_are_said(detector):
    both = film([SPOT], [400.0], frames=60, step_px=3.0).video.frames()
    woven = both[::2].copy()
    woven[:, 1::2] = both[1::2, 1::2]
    assert "looks interlaced" in doubts(woven, detector)


def test_flicker_is_said_and_the_background_follows_it(detector):
    lamp = 1 + 0.3 * np.random.default_rng(0).random((30, 1, 1))
    frames = film([SPOT], [300.0]).video.frames() * lamp
    twin = measure_twin(Video(frames.astype(np.float32)), detector)
    assert "flickers or drifts" in " ".join(twin.doubts)
    levels = twin.grounds.flatten(1).median(dim=1).values
    assert levels.std() > 0.02 * levels.mean()


def test_a_moving_background_is_said(detector):
    rng = np.random.default_rng(0)
    wide = ndimage.gaussian_filter(rng.normal(0, 1, (128, 400)), 14)
    wide = 100 * wide / wide.std()
    frames = film([SPOT], [400.0]).video.frames().astype(float)
    frames += 400 + np.stack([wide[:, 6 * n : 6 * n + 128] for n in range(len(frames))])
    assert "background itself moves or changes" in doubts(frames.astype(np.float32), detector)


def test_a_polarity_that_changes_is_said_with_its_frames(detector):
    bright = film([SPOT], [150.0], frames=24).video.frames()
    dark = film([SPOT], [150.0], frames=8, sign=-1, seed=1).video.frames()
    said = doubts(np.concatenate([bright, dark]), detector)
    assert "bright in most of the video, but dark in frame" in said
    assert "31" in said


def test_spots_of_both_signs_are_said(detector):
    bright = film([SPOT], [150.0], particles=14).video.frames().astype(float)
    dark = film([SPOT], [150.0], particles=10, sign=-1, seed=1).video.frames() - 200.0
    said = doubts(np.rint(bright + dark).astype(np.uint16), detector)
    assert "There are bright spots and dark ones" in said


def test_particles_that_hide_the_background_are_said(detector):
    crowd = film([SPOT], [300.0], particles=70, side=96, step_px=0.02)
    assert "in every frame looked at" in doubts(crowd.video.frames(), detector)


@pytest.mark.parametrize("sign", [1, -1])
def test_particles_beyond_the_detector_are_said(detector, sign):
    from cloudtrainer.errors import VideoError

    large = film([gaussian(16)], [400.0], particles=4, side=256, frames=6, ground=600, sign=sign)
    with pytest.raises(VideoError, match=r"too large|no particle"):
        measure_twin(large.video, detector, sign)


def test_shapes_that_rest_on_few_particles_are_said(detector):
    filmed = film([SPOT], [200.0], ground=np.linspace(100, 400, 128))
    few = filmed.video.frames()[:1]
    assert "detections in the frames looked at" in doubts(few, detector)


def test_where_all_that_is_found_is_narrower_than_a_particle_there_is_no_twin(
    detector, monkeypatch
):
    told = measure.particle_shapes

    def specks(*given):
        shapes, focus = told(*given)
        return tuple(replace(one, is_speck=True) for one in shapes), focus

    monkeypatch.setattr(measure, "particle_shapes", specks)
    with pytest.raises(VideoError, match="narrower than a particle"):
        measure_twin(film([SPOT], [200.0]).video, detector)

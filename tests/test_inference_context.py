"""Whole videos seen several frames at once: the same wherever the batches are cut."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import inference
from cloudtrainer.analysis import tracks
from cloudtrainer.config import AnalysisSettings, ExperimentSettings
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.detector.context import widened
from cloudtrainer.inference import (
    extract_particles_from_predictions,
    missing_neighbours,
    polarity_sign,
    read_stacks,
)
from cloudtrainer.simulation import simulate_experiment
from cloudtrainer.video import Video

SIDE = 48


def seeing(context):
    """Return the bundled model, to which its neighbours count a fifth of the frame itself."""
    plain = load_model()
    settings = plain.config.to_dict()
    settings["model"]["context_frames"] = context
    detector = ParticleDetector(settings, threshold=plain.threshold).eval()
    weights = widened(plain.model.state_dict(), detector.model.state_dict())
    own = plain.model.stem[0].weight
    weights["stem.0.weight"] += 0.2 * own.repeat(1, 2 * context + 1, 1, 1).detach()
    detector.model.load_state_dict(weights)
    return detector


@pytest.fixture(scope="module")
def model():
    return seeing(1)


@pytest.fixture(scope="module")
def frames():
    settings = ExperimentSettings(
        frames=9, height_px=SIDE, width_px=SIDE, particles=6, peak_snr=[8, 15], seed=5
    )
    return simulate_experiment(settings).frames


class Counted(Video):
    """A video that remembers which frames were read."""

    read = ()

    def frames(self, start, stop):
        self.read = (*self.read, *range(start, stop))
        return super().frames(start, stop)


@pytest.mark.parametrize("context", [1, 3])
@pytest.mark.parametrize("at_once", [1, 2, 4, 8])
def test_the_result_does_not_depend_on_where_batches_are_cut(frames, monkeypatch, context, at_once):
    model = seeing(context)
    whole = extract_particles_from_predictions(model, frames, polarity="bright")
    assert sorted(whole["frame"].unique()) == list(range(9))
    monkeypatch.setattr(inference, "_PIXELS_AT_ONCE", at_once * SIDE * SIDE)
    common = inference.video_appearance(model, Video(frames), 1)
    monkeypatch.setattr(inference, "video_appearance", lambda model, video, sign: common)
    progress, video = [], Counted(frames)
    cut = extract_particles_from_predictions(
        model, video, polarity="bright", progress=lambda done, every: progress.append(done)
    )
    wanted = model.detect(frames, appearance=common)
    assert cut["frame"].tolist() == whole["frame"].tolist() == wanted["frame"].tolist()
    np.testing.assert_allclose(cut["probability"], whole["probability"], atol=1e-4)
    # Every frame is read once.
    assert sorted(video.read) == list(range(9))
    assert progress == [*range(at_once, 9, at_once), 9]


def test_neighbours_are_those_of_the_video(model, frames):
    found = extract_particles_from_predictions(model, frames, polarity="bright")
    alone = pd.concat(
        [model.detect(frames[n : n + 1]).assign(frame=n) for n in range(9)], ignore_index=True
    )
    same = len(alone) == len(found) and np.allclose(
        alone["probability"], found["probability"], atol=1e-3
    )
    assert not same


@pytest.mark.parametrize("context", [0, 1, 2])
def test_frames_far_apart_are_read_each_with_its_own_neighbours(context):
    video = Video(np.arange(30.0)[:, None, None] * np.ones((1, 4, 4)))
    numbers = [0, 12, 28, 29]
    seen = []
    for stack, (before, behind) in read_stacks(video, numbers, context):
        shown = stack[:, 0, 0].tolist()
        if context:
            assert shown == list(range(int(shown[0]), int(shown[-1]) + 1))
        seen += shown[before : len(shown) - behind]
    assert seen == numbers


@pytest.mark.parametrize("sign", [1, -1])
def test_polarity_is_decided_with_neighbours(model, frames, sign):
    film = frames.astype(float) * sign
    assert polarity_sign(model, Video(film)) == sign


@pytest.mark.parametrize(
    ("number", "words"), [(1, "a single frame"), (2, "2 frames"), (3, None), (9, None)]
)
def test_a_video_that_is_too_short_is_told_of(model, frames, number, words):
    sentence = missing_neighbours(model, Video(frames[:number]))
    assert (sentence is None) == (words is None)
    if words:
        assert sentence.startswith(f"The model sees 3 frames at once and the video has {words}")
    assert missing_neighbours(load_model(), Video(frames[:number])) is None


@pytest.mark.parametrize(("step_px", "told"), [(0.3, True), (1.0, True), (3.0, False)])
def test_shared_frames_are_told_of_where_steps_are_as_small_as_errors(step_px, told):
    rng = np.random.default_rng(0)
    xy = np.cumsum(rng.normal(0, step_px, (8, 30, 2)), axis=1) + rng.normal(0, 0.3, (8, 30, 2))
    particle, frame = np.indices((8, 30))
    table = pd.DataFrame(
        {
            "particle": particle.ravel(),
            "frame": frame.ravel(),
            "x": xy[..., 0].ravel(),
            "y": xy[..., 1].ravel(),
            "x_error": 0.3,
            "y_error": 0.3,
        }
    )
    sentence = tracks._shared_frames(1, table)
    assert (sentence is not None) == told
    if told:
        assert "D from lags under 3 frames may be off" in sentence
    assert tracks._shared_frames(0, table) is None
    assert tracks._shared_frames(1, table.iloc[:0]) is None
    assert tracks._shared_frames(1, table.iloc[:1]) is None


def test_a_single_frame_is_analysed_with_a_warning(model, frames):
    tracked = tracks.track_video(Video(frames[:1]), model, AnalysisSettings())
    assert len(tracked.detections) > 2
    assert any("The model sees 3 frames at once" in line for line in tracked.warnings)

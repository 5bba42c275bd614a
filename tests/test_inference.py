import threading

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import inference
from cloudtrainer.config import ExperimentSettings
from cloudtrainer.detector import load_model
from cloudtrainer.errors import ConfigError, VideoError
from cloudtrainer.evaluation import score_detections
from cloudtrainer.inference import extract_particles_from_predictions, polarity_sign
from cloudtrainer.simulation import simulate_experiment, write_experiment
from cloudtrainer.video import Video


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def experiment():
    settings = ExperimentSettings(
        frames=11, height_px=96, width_px=96, particles=12, peak_snr=[8, 15], seed=21
    )
    return simulate_experiment(settings)


@pytest.fixture(scope="module")
def found(model, experiment):
    return extract_particles_from_predictions(model, experiment.frames)


def test_the_particles_of_every_frame_are_found(found, experiment):
    assert sorted(found["frame"].unique()) == list(range(11))
    score = score_detections(found, experiment.truth, 2.0)
    assert score.f1 > 0.9


@pytest.mark.parametrize("pixels", [96 * 96, 3 * 96 * 96, 10 * 96 * 96, 1])
def test_frames_keep_their_numbers_across_batches(model, experiment, found, monkeypatch, pixels):
    monkeypatch.setattr(inference, "_PIXELS_AT_ONCE", pixels)
    batched = extract_particles_from_predictions(model, experiment.frames)
    assert batched["frame"].tolist() == found["frame"].tolist()
    np.testing.assert_allclose(batched[["x", "y"]], found[["x", "y"]], atol=1e-3)


def test_a_path_a_video_and_an_array_give_the_same(model, experiment, found, tmp_path):
    path = tmp_path / "beads.ome.tif"
    write_experiment(experiment, path)
    for video in (path, str(path), Video(path)):
        pd.testing.assert_frame_equal(extract_particles_from_predictions(model, video), found)


def test_a_window_of_a_video_counts_its_own_frames(model, experiment, found):
    # Polarity is given: a window is too short to decide it from the same frames.
    # So is what all particles have in common: a window's own frames tell it a little otherwise.
    later = extract_particles_from_predictions(
        model,
        experiment.frames[4:],
        polarity="bright",
        appearance=inference.video_appearance(model, Video(experiment.frames), 1),
    )
    wanted = found[found["frame"] >= 4].reset_index(drop=True)
    assert (later["frame"] + 4).tolist() == wanted["frame"].tolist()
    np.testing.assert_allclose(later[["x", "y"]], wanted[["x", "y"]], atol=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_polarity_is_decided_from_the_video(model, seed):
    settings = ExperimentSettings(
        frames=3, height_px=96, width_px=96, particles=12, peak_snr=[5, 15], seed=seed
    )
    frames = simulate_experiment(settings).frames
    inverted = frames.max() - frames
    assert polarity_sign(model, Video(frames)) == 1
    assert polarity_sign(model, Video(inverted)) == -1
    bright = extract_particles_from_predictions(model, frames)
    dark = extract_particles_from_predictions(model, inverted)
    assert len(bright) == len(dark) > 20
    np.testing.assert_allclose(dark[["x", "y"]], bright[["x", "y"]], atol=0.01)


@pytest.mark.parametrize(("polarity", "sign"), [("bright", 1), ("dark", -1)])
def test_a_polarity_that_is_given_is_taken(model, experiment, polarity, sign):
    assert polarity_sign(model, Video(experiment.frames), polarity) == sign


def test_a_wrong_polarity_finds_little(model, experiment, found):
    wrong = extract_particles_from_predictions(model, experiment.frames, polarity="dark")
    assert len(wrong) < 0.3 * len(found)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(model, experiment, threshold):
    with pytest.raises(ConfigError, match="must lie between 0 and 1"):
        extract_particles_from_predictions(model, experiment.frames, threshold=threshold)


def test_a_higher_threshold_keeps_the_surer(model):
    settings = ExperimentSettings(
        frames=3, height_px=96, width_px=96, particles=12, peak_snr=[2, 4], seed=21
    )
    frames = simulate_experiment(settings).frames
    low = extract_particles_from_predictions(model, frames, threshold=0.1)
    high = extract_particles_from_predictions(model, frames, threshold=0.9)
    assert high["probability"].min() >= 0.9
    # A doubtful neighbour that is left out may come back as the second spot of a pair.
    assert len(high) == pytest.approx((low["probability"] >= 0.9).sum(), rel=0.05)
    assert len(high) < len(low)


def test_progress_counts_to_the_end(model, experiment, monkeypatch):
    monkeypatch.setattr(inference, "_PIXELS_AT_ONCE", 4 * 96 * 96)
    calls = []
    extract_particles_from_predictions(
        model, experiment.frames, progress=lambda done, of: calls.append((done, of))
    )
    assert calls == [(4, 11), (8, 11), (11, 11)]


class Recorded(Video):
    """A video that notes which frames are read, and by which thread."""

    def __init__(self, frames):
        super().__init__(frames)
        self.read = []

    def frames(self, start, stop):
        self.read.append((start, stop, threading.get_ident()))
        return super().frames(start, stop)


def test_each_batch_is_read_once_in_order_one_ahead_and_beside_the_network(monkeypatch):
    monkeypatch.setattr(inference, "_PIXELS_AT_ONCE", 2 * 8 * 8)
    video = Recorded(np.arange(7 * 8 * 8).reshape(7, 8, 8))
    taken = []
    for first, frames in inference._read_ahead(video):
        taken.append(first)
        np.testing.assert_array_equal(frames, video._reader.read(first, first + len(frames)))
        assert len(video.read) <= len(taken) + 1
    assert taken == [0, 2, 4, 6]
    assert [part[:2] for part in video.read] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert threading.get_ident() not in {part[2] for part in video.read}


def test_a_fault_of_a_later_batch_reaches_the_caller(model, monkeypatch):
    monkeypatch.setattr(inference, "_PIXELS_AT_ONCE", 32 * 32)

    class Torn(Recorded):
        def frames(self, start, stop):
            if start >= 2:
                raise VideoError("torn.tif: frame 2 is cut short")
            return super().frames(start, stop)

    with pytest.raises(VideoError, match="frame 2 is cut short"):
        extract_particles_from_predictions(
            model, Torn(np.random.default_rng(0).normal(9, 1, (5, 32, 32))), polarity="bright"
        )


def test_a_missing_video_is_said_to_be(model, tmp_path):
    with pytest.raises(VideoError, match=r"none\.tif"):
        extract_particles_from_predictions(model, tmp_path / "none.tif")


@pytest.mark.parametrize("frames", [1, 4])
def test_a_video_without_particles_gives_an_empty_table_of_the_same_form(model, found, frames):
    rng = np.random.default_rng(0)
    empty = extract_particles_from_predictions(
        model, rng.poisson(100, (frames, 64, 64)), threshold=0.95
    )
    assert len(empty) == 0
    assert list(empty.columns) == list(found.columns)
    assert empty.dtypes.equals(found.dtypes)

"""Proposals, and frames chosen by the model's own doubt."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer import extract_particles_from_predictions
from cloudtrainer.detector import load_model
from cloudtrainer.evaluation import score_detections
from cloudtrainer.studio.proposals import Proposer, unlabelled
from cloudtrainer.studio.suggestions import (
    expected_wrong_calls,
    least_sure,
    next_of,
    spread_out,
)
from cloudtrainer.video import Video


@pytest.fixture(scope="module")
def model():
    return load_model()


def test_proposals_are_what_an_analysis_finds(place, model):
    video = Video(place.videos / "beads.tif")
    proposed = Proposer(video, model).propose(4)
    found = extract_particles_from_predictions(model, video)
    assert np.allclose(proposed[["x", "y"]], found.loc[found["frame"] == 4, ["x", "y"]], atol=1e-3)
    truth = pd.read_csv(place.annotations / "beads_particles.csv").query("frame == 4")
    assert score_detections(proposed.assign(frame=4), truth, 2.0).f1 > 0.9


def test_a_dim_noisy_frame_leaves_more_doubt_than_a_clear_one(place, model):
    frames = Video(place.videos / "beads.tif").frames(0, 6).astype(np.float32)
    ground = np.median(frames)
    noise = np.random.default_rng(0).normal(0, 10, frames[2].shape)
    frames[2] = ground + 0.3 * (frames[2] - ground) + noise
    proposer = Proposer(Video(frames), model)
    assert proposer.doubt(2) > 2 * proposer.doubt(1)


@pytest.mark.parametrize(
    ("probability", "wrong"),
    [([], 0), ([1.0, 0.0], 0), ([0.5], 0.5), ([0.9, 0.9, 0.2], 0.4), ([0.45], 0.45)],
)
def test_doubt_is_the_expected_number_of_wrong_calls(probability, wrong):
    assert expected_wrong_calls(np.array(probability), 0.5) == pytest.approx(wrong)


def test_a_proposal_is_hidden_by_one_label_only():
    proposed = pd.DataFrame({"x": [10.0, 12.0, 50.0], "y": [10.0] * 3, "probability": [0.9] * 3})
    labels = pd.DataFrame({"x": [10.4], "y": [10.0]})
    assert unlabelled(proposed, labels)["x"].tolist() == [12.0, 50.0]
    assert len(unlabelled(proposed, labels.iloc[:0])) == 3
    assert unlabelled(proposed.iloc[:0], labels).empty


@pytest.mark.parametrize("frames", [1, 2, 7, 64, 20_000])
def test_every_beginning_of_the_sample_is_spread_over_the_video(frames):
    numbers = spread_out(frames, 64)
    assert len(set(numbers)) == len(numbers) == min(frames, 64)
    assert 0 <= min(numbers) <= max(numbers) < frames
    if frames > 64:
        gaps = np.diff([0, *sorted(numbers[:16]), frames])
        assert gaps.max() < frames / 6


def test_neighbours_of_a_chosen_frame_are_not_chosen():
    doubts = {50: 9.0, 51: 8.9, 52: 8.8, 90: 2.0, 10: 1.0, 70: 0.0}
    assert least_sure(doubts, 3, 100) == [50, 90, 10]
    assert least_sure(doubts, 1, 100) == [50]
    assert least_sure({}, 3, 100) == []
    assert least_sure({0: 0.2, 1: 0.1}, 6, 2) == [0, 1]


@pytest.mark.parametrize(
    ("here", "done", "there"),
    [(5, set(), 50), (50, set(), 90), (90, {50}, 10), (10, {50, 90}, 10), (7, {50, 90, 10}, None)],
)
def test_suggested_frames_are_gone_through_in_their_order(here, done, there):
    assert next_of([50, 90, 10], here, done) == there

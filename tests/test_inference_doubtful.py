"""Dim spots of a whole video: weighed by their photons where these can tell, and told of."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import erf

from cloudtrainer.analysis import analyze
from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model
from cloudtrainer.evaluation import score_detections
from cloudtrainer.inference import extract_particles_from_predictions, video_appearance
from cloudtrainer.video import Video

SIDE, GROUND = 256, 20.0


def film(photons, frames=10, spots=40, seed=0):
    """Return Poisson frames of spots 14 px apart, and where these are."""
    rng = np.random.default_rng(seed)
    edges = np.arange(SIDE + 1) - 0.5
    filmed, truth = [], []
    for number in range(frames):
        grid = np.stack(np.meshgrid(*[np.arange(12, 250, 20)] * 2), axis=-1).reshape(-1, 2)
        places = rng.permutation(grid)[:spots] + rng.uniform(-3, 3, (spots, 2))
        light = np.full((SIDE, SIDE), GROUND)
        for x, y in places:
            across, down = (np.diff(erf((edges - at) / (1.5 * np.sqrt(2)))) / 2 for at in (x, y))
            light += photons * np.outer(down, across)
        filmed.append(rng.poisson(light))
        truth.append(pd.DataFrame({"frame": number, "x": places[:, 0], "y": places[:, 1]}))
    return np.stack(filmed).astype(np.uint16), pd.concat(truth, ignore_index=True)


@pytest.fixture(scope="module")
def model():
    return load_model()


def test_more_dim_spots_are_found_with_fewer_mistakes(model):
    frames, truth = film(150.0)
    appearance = video_appearance(model, Video(frames), 1)
    scores = []
    for common in (appearance, appearance.without_population()):
        found = extract_particles_from_predictions(
            model, frames, polarity="bright", appearance=common
        )
        scores.append(score_detections(found, truth, 3.0))
    weighed, network = scores
    assert appearance.population is not None
    assert weighed.f1 > network.f1 + 0.005
    assert weighed.f1 > 0.95
    assert 0.9 < weighed.error_over_stated_robust < 1.1
    again = extract_particles_from_predictions(model, frames, polarity="bright")
    assert score_detections(again, truth, 3.0) == weighed


def test_a_video_of_few_spots_is_read_by_the_network_alone(model):
    frames, _ = film(150.0, spots=4)
    assert video_appearance(model, Video(frames), 1).population is None


def test_a_model_that_sees_several_frames_is_not_overruled_by_one(model):
    frames, _ = film(150.0)
    settings = model.config.to_dict()
    settings["model"]["context_frames"] = 1
    several = ParticleDetector(settings, threshold=0.43).eval()
    assert several.appearance(frames[:5]).population is None


@pytest.mark.parametrize(
    ("photons", "doubtful_spots", "weighed"),
    [(300.0, "weigh", True), (300.0, "keep", False), (0.0, "weigh", False)],
)
def test_an_analysis_says_whether_it_weighed(tmp_path, photons, doubtful_spots, weighed):
    frames, _ = film(photons, frames=5)
    config = Config.from_dict({"analysis": {"doubtful_spots": doubtful_spots}})
    done = analyze(frames, tmp_path / "out", config=config, pixel_size_um=0.1, frame_interval_s=0.1)
    assert done.summary["model"]["doubtful_spots_weighed"] is weighed

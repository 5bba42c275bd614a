import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.detector import ParticleDetector, load_model, tiles
from cloudtrainer.detector.normalise import by_noise
from cloudtrainer.detector.tiles import answer_in_tiles
from cloudtrainer.errors import VideoError
from cloudtrainer.evaluation import score_detections
from cloudtrainer.simulation import simulate_experiment

COLUMNS = ["frame", "x", "y", "x_error", "y_error", "probability", "intensity"]


def film(**changes):
    settings = {"frames": 3, "particles": 25, "peak_snr": [8, 12], "seed": 11, **changes}
    return simulate_experiment(ExperimentSettings(**settings))


@pytest.fixture(scope="module")
def bundled():
    return load_model()


def unet_detector(**keywords):
    torch.manual_seed(0)
    model = {"architecture": "unet", "unet_channels": [4, 8]}
    return ParticleDetector({"model": model}, **keywords)


def test_detections_are_a_tidy_table_near_the_truth(bundled):
    experiment = film()
    found = bundled.detect(experiment.frames)
    assert list(found.columns) == COLUMNS
    assert found["frame"].dtype == np.int64
    assert found.drop(columns="frame").dtypes.eq(np.float32).all()
    score = score_detections(found, experiment.truth, 2.0)
    assert score.f1 > 0.9
    assert score.rmse_px < 0.3
    assert max(map(abs, score.bias_px)) < 0.05
    assert found["probability"].between(bundled.threshold, 1.0).all()


def test_intensity_is_the_light_above_the_surroundings(bundled):
    experiment = film(particles=4, peak_snr=[30, 30], read_noise_photons=0.0, seed=3)
    found = bundled.detect(experiment.frames)
    photons = experiment.truth["photons"].iloc[0]
    # A circle of 3 px holds 1 - exp(-2) of a Gaussian of 1.5 px.
    inside = found[found["x"].between(8, 247) & found["y"].between(8, 247)]
    assert inside["intensity"].median() == pytest.approx(photons * (1 - np.exp(-2)), rel=0.1)


def test_dark_particles_are_found_as_bright_ones_are(bundled):
    frames = film().frames
    inverted = frames.max() - frames
    found = bundled.detect(inverted, polarity=-1)
    wanted = bundled.detect(frames)
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found[["x", "y"]], wanted[["x", "y"]], atol=0.01)
    np.testing.assert_allclose(found["intensity"], wanted["intensity"], rtol=1e-4, atol=0.1)


def test_detections_turn_with_the_frame(bundled):
    # Learned, not built in: mirrored frames give mirrored positions about as well.
    frames = film().frames
    wanted = bundled.detect(frames)
    mirrored = bundled.detect(frames[:, :, ::-1])
    mirrored["x"] = frames.shape[2] - 1 - mirrored["x"]
    score = score_detections(mirrored, wanted, 1.0)
    assert score.f1 > 0.95
    assert max(map(abs, score.bias_px)) < 0.05


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_a_threshold_of_the_callers_own_takes_the_place_of_the_models(bundled, threshold):
    found = bundled.detect(film().frames, threshold=threshold)
    wanted = bundled.detect(film().frames, threshold=0.05)
    assert len(found) == (wanted["probability"] >= threshold).sum()


def test_errors_scale_with_the_models_own_scale():
    torch.manual_seed(0)
    plain = ParticleDetector(threshold=0.01).eval()
    scaled = ParticleDetector(threshold=0.01, error_scale=3.0).eval()
    scaled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        plain.model.head.bias[0] = scaled.model.head.bias[0] = 0.0
    frames = film(frames=1).frames
    a, b = plain.detect(frames, fit=False), scaled.detect(frames, fit=False)
    assert len(a) > 0
    np.testing.assert_allclose(3 * a["x_error"], b["x_error"], rtol=1e-4)
    np.testing.assert_allclose(3 * a["y_error"], b["y_error"], rtol=1e-4)


@pytest.mark.parametrize("detector", ["bundled", "unet"])
@pytest.mark.parametrize("level", [0, 1000])
def test_a_frame_without_particles_gives_an_empty_table(bundled, detector, level):
    model = bundled if detector == "bundled" else unet_detector(threshold=0.999).eval()
    found = model.detect(np.full((2, 40, 40), level, np.uint16))
    assert len(found) == 0
    assert list(found.columns)[:7] == COLUMNS
    assert found["frame"].dtype == np.int64


@pytest.mark.parametrize("size", [(17, 23), (33, 64), (9, 9), (100, 31)])
@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_frames_of_any_size_are_answered(size, architecture):
    model = ParticleDetector({"model": {"architecture": architecture}}).eval()
    seen = torch.randn(2, 1, *size)
    with torch.no_grad():
        answer = model.answer(seen)
    cell = 2 if architecture == "grid" else 1
    assert answer.shape[2:] == tuple(-(-side // cell) for side in size)
    model.detect(np.random.default_rng(0).normal(size=(2, *size)))


@pytest.mark.parametrize(("architecture", "least"), [("grid", 3), ("unet", 8)])
def test_frames_too_small_to_look_at_are_refused_in_one_line(architecture, least):
    model = ParticleDetector({"model": {"architecture": architecture}}).eval()
    noise = np.random.default_rng(0).normal(size=(2, 50, 50))
    model.detect(noise[:, :least, :least])
    with pytest.raises(VideoError, match=f"needs {least} x {least} px or more") as caught:
        model.detect(noise[:, : least - 1])
    assert "\n" not in str(caught.value)


def test_detections_stay_inside_odd_frames(bundled):
    frames = film(frames=2, particles=60).frames[:, :201, :151]
    found = bundled.detect(frames, threshold=0.05)
    assert found["x"].between(-0.5, 150.5).all()
    assert found["y"].between(-0.5, 200.5).all()


# Of an odd side the U-Net moves every row by resizing, as it did: tiles repeat that in the last.
@pytest.mark.parametrize(("architecture", "size"), [("grid", (337, 450)), ("unet", (336, 456))])
def test_a_network_answers_in_tiles_what_it_answers_at_once(monkeypatch, architecture, size):
    torch.manual_seed(1)
    model = ParticleDetector({"model": {"architecture": architecture}}).eval()
    seen = torch.randn(1, *size)
    with torch.no_grad():
        whole = answer_in_tiles(model.answer, seen, model.model.cell_px)
        monkeypatch.setattr(tiles, "_TILE_PX", 128)
        tiled = answer_in_tiles(model.answer, seen, model.model.cell_px)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-4)


def test_detections_in_tiles_equal_those_without_and_none_doubles_at_a_seam(bundled, monkeypatch):
    frames = film(frames=1, height_px=700, width_px=1100, particles=400, seed=4).frames
    whole = bundled.detect(frames)
    monkeypatch.setattr(tiles, "_TILE_PX", 256)
    tiled = bundled.detect(frames)
    # Each tile is summed up for itself: the dimmest may be judged otherwise.
    score = score_detections(tiled, whole, 0.1)
    assert len(whole) > 300
    assert score.f1 > 0.98


def test_a_mask_model_states_areas_and_no_errors():
    model = unet_detector(normalisation="video_maximum").eval()
    with torch.no_grad():
        for parameter in model.model.parameters():
            parameter.zero_()
        # What is left is the logit of the last bias: everything is a particle.
        model.model.final_conv.bias.fill_(3.0)
    frames = np.full((2, 24, 32), 50, np.uint8)
    frames[1] = 100
    found = model.detect(frames)
    assert list(found.columns) == [*COLUMNS, "area"]
    assert found["frame"].tolist() == [0, 1]
    assert found[["x", "y", "area"]].to_numpy().tolist() == [[15.5, 11.5, 768.0]] * 2
    assert found[["x_error", "y_error"]].isna().all(axis=None)
    np.testing.assert_allclose(found["intensity"], [0.5, 1.0])
    np.testing.assert_allclose(found["probability"], 1 / (1 + np.exp(-3)), rtol=1e-5)
    assert model.detect(frames, video_maximum=200.0)["intensity"].tolist() == [0.25, 0.5]


def test_half_precision_changes_detections_little():
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:64, :64]
    light = 100 + 300 * np.exp(-((x - 30.3) ** 2 + (y - 20.7) ** 2) / (2 * 1.5**2))
    frames = rng.poisson(light, (2, 64, 64)).astype(np.float32)
    model = load_model()
    plain = model.detect(frames)
    with torch.autocast("cpu", torch.bfloat16):
        halved = model.detect(frames)
    assert len(plain) == len(halved) == 2
    np.testing.assert_allclose(halved[["x", "y"]], plain[["x", "y"]], atol=0.1)


@pytest.mark.parametrize("normalisation", ["noise", "video_maximum"])
@pytest.mark.parametrize("architecture", ["grid", "unet"])
def test_the_pieces_put_together_detect_the_same(detector_of, frames, architecture, normalisation):
    model = detector_of(architecture)
    model.normalisation = normalisation
    raw = torch.as_tensor(frames, dtype=torch.float32)
    seen = model.normalise(raw)
    answer = model.answer(seen[:, None])
    # As in training, where the answer is also what is learned from.
    assert answer.requires_grad
    found = model.read(answer, raw, seen)
    pd.testing.assert_frame_equal(found, model.detect(frames))
    fewer = model.read(answer, raw, seen, threshold=0.6, min_area=12)
    pd.testing.assert_frame_equal(fewer, model.detect(frames, threshold=0.6, min_area=12))
    answer.sum().backward()
    assert all(weights.grad is not None for weights in model.parameters())


def test_reading_takes_answers_of_half_precision(detector_of, frames):
    model = detector_of("unet")
    raw = torch.as_tensor(frames, dtype=torch.float32)
    seen = model.normalise(raw)
    answer = model.answer(seen[:, None])
    assert len(model.read(answer.bfloat16(), raw, seen)) > 0


def test_frames_are_normalised_by_their_noise_whatever_their_maximum(detector_of, frames):
    model = detector_of("grid")
    raw = torch.as_tensor(frames, dtype=torch.float32)
    assert torch.equal(model.normalise(-raw, 7.0), by_noise(-raw))


def test_frames_are_divided_by_the_maximum_that_is_given(detector_of):
    model = detector_of("unet")
    model.normalisation = "video_maximum"
    raw = torch.tensor([[[0.0, 5.0], [10.0, 20.0]], [[0.0, 1.0], [2.0, 40.0]]])
    assert torch.equal(model.normalise(raw), raw / 40)
    assert torch.equal(model.normalise(raw, 80.0), raw / 80)
    assert torch.equal(model.normalise(raw, torch.tensor(80)), raw / 80)
    each = model.normalise(raw, torch.tensor([20.0, 0.0]))
    assert torch.equal(each[0], raw[0] / 20)
    assert bool(torch.isfinite(each).all())

"""Every model file of versions 2.0 and 3.0 opens, and finds what it found."""

import numpy as np
import pytest
import torch

import cloudtrainer as ct

KINDS = ["v2_checkpoint", "v3_checkpoint", "v2_export", "v3_export"]


def squares():
    """Return two frames with 5 x 5 squares of which only some pass half the video's maximum."""
    video = np.full((2, 40, 50), 10, np.uint8)
    video[0, 8:13, 20:25] = 150
    video[0, 30:35, 5:10] = 130
    video[1, 18:23, 33:38] = 200
    video[1, 2:7, 2:7] = 90
    return video


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("load", [ct.load_model, ct.ParticleDetector.load_from_checkpoint])
def test_an_earlier_model_loads_and_finds_what_it_found(kind, load, request):
    detector = load(request.getfixturevalue(kind))
    assert detector.config.model.architecture == "unet"
    assert detector.config.training.batch_size == 8
    assert detector.config.data.particle_radius == 3
    assert (detector.normalisation, detector.threshold) == ("video_maximum", 0.5)
    found = ct.extract_particles_from_predictions(detector, squares(), threshold=0.5, min_area=3)
    # Frames over the maximum of the whole video, 200: the squares of 150, 130 and 200 are above
    # half of it; the opening by the smallest disc takes the four corners of a square.
    found = found.sort_values(["frame", "x"], ignore_index=True)
    assert found["frame"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(found["x"], [7, 22, 35], atol=1e-5)
    np.testing.assert_allclose(found["y"], [32, 10, 20], atol=1e-5)
    assert found["area"].tolist() == [21, 21, 21]
    np.testing.assert_allclose(found["intensity"], [0.65, 0.75, 1.0], rtol=1e-5)
    assert found[["x_error", "y_error"]].isna().all(axis=None)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_may_be_given_as_version_3_took_them(kind, request, v3_config):
    v3_config["data"]["particle_radius"] = 5
    path = request.getfixturevalue(kind)
    detector = ct.ParticleDetector.load_from_checkpoint(path, config=v3_config)
    assert detector.config.data.particle_radius == 5
    assert detector.normalisation == "video_maximum"


def test_bare_weights_of_version_2_load_by_themselves(spot_unet, tmp_path):
    torch.save(spot_unet, tmp_path / "weights.pth")
    detector = ct.load_model(tmp_path / "weights.pth")
    assert detector.normalisation == "video_maximum"
    assert len(detector.detect(squares())) == 3


def test_an_earlier_model_trained_on_in_this_version_is_exported_for_earlier_readers(
    v3_checkpoint, spot_unet, tmp_path
):
    from cloudtrainer.detector import export_model

    detector = ct.load_model(v3_checkpoint)
    export_model(detector, tmp_path / "v_1", scores={}, origin={})
    weights = torch.load(tmp_path / "v_1" / "weights.pth", weights_only=True)
    assert weights.keys() == spot_unet.keys()
    assert all(torch.equal(weights[name], spot_unet[name]) for name in spot_unet)
    again = ct.load_model(tmp_path / "v_1")
    assert again.normalisation == "video_maximum"


@pytest.mark.parametrize("channels", [[8, 16], [16, 32, 64, 128]])
def test_other_depths_load_by_their_settings(channels, tmp_path, v3_config):
    v3_config["model"]["unet_channels"] = channels
    weights = ct.ParticleDetector(v3_config).model.state_dict()
    path = tmp_path / "last.ckpt"
    torch.save(
        {
            "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()},
            "hyper_parameters": {"config": v3_config},
        },
        path,
    )
    assert ct.load_model(path).config.model.unet_channels == channels

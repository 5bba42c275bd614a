"""Networks that answer together: constructed members, model files, and ONNX Runtime."""

import json
import math
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.detector.ensemble import EnsembleNet, combined
from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.detector.targets import as_answered, offset_errors
from cloudtrainer.errors import ModelError

MEMBERS = 2


def logit(share):
    return math.log(share / (1 - share))


def cell(share, x, y, x_error, y_error):
    """Return what a network answers to a frame of one cell; errors as the ONNX file tells them."""
    stated = [math.log(math.expm1(error - 0.01)) for error in (x_error, y_error)]
    return torch.tensor([logit(share), x, y, *stated]).reshape(1, 5, 1, 1)


def read(answer):
    """Return share, offsets and errors of an answer of one cell."""
    value = answer.reshape(5).double()
    errors = [0.01 + math.log1p(math.exp(number)) for number in value[3:].tolist()]
    return [1 / (1 + math.exp(-value[0])), *value[1:3].tolist(), *errors]


def joined(*cells):
    return read(combined(torch.stack(cells)))


class Fixed(nn.Module):
    """A grid network that sees one particle, wherever it is told to."""

    cell_px = GridNet.cell_px
    multiple = GridNet.cell_px

    def __init__(self, x, y, error=0.1, logit=9.0):
        super().__init__()
        self.place, self.error, self.logit = (x, y), error, logit

    def forward(self, frames):
        rows, columns = (side // self.cell_px for side in frames.shape[-2:])
        answer = torch.zeros(len(frames), 5, rows, columns)
        x, y = ((torch.arange(n) + 0.5) * self.cell_px - 0.5 for n in (columns, rows))
        answer[:, 1] = self.place[0] - x
        answer[:, 2] = self.place[1] - y[:, None]
        nearest = (answer[:, 1] ** 2 + answer[:, 2] ** 2).flatten(1).argmin(dim=1)
        answer[:, 0] = -12.0
        answer[:, 0].view(len(frames), -1).scatter_(1, nearest[:, None], self.logit)
        answer[:, 3:] = math.log(math.expm1(self.error - 0.01))
        return answer


def detections(*members):
    detector = ParticleDetector(threshold=0.3).eval()
    detector.model = EnsembleNet(members)
    # As the network answers it: there are no photons to fit in these frames.
    return detector.detect(np.random.default_rng(0).normal(100, 5, (1, 32, 32)), fit=False)


@pytest.mark.parametrize("apart", [0.0, 0.1, 0.4])
def test_the_stated_error_grows_with_what_members_disagree_by(apart):
    found = detections(Fixed(14.7 - apart, 10.2), Fixed(14.7 + apart, 10.2))
    assert len(found) == 1
    one = found.iloc[0]
    assert (one.x, one.y) == (pytest.approx(14.7, abs=1e-4), pytest.approx(10.2, abs=1e-4))
    # The variance of two places 2d apart is d²; that of each member's own error is 0.01.
    assert one.x_error == pytest.approx(math.sqrt(0.01 + apart**2), rel=1e-3)
    assert one.y_error == pytest.approx(0.1, rel=1e-3)


def test_a_member_that_sees_nothing_lowers_the_probability_and_leaves_the_position():
    sure, blind = Fixed(14.7, 10.2, logit=2.0), Fixed(14.0, 9.6, logit=-12.0)
    (one,) = detections(sure, blind).itertuples()
    assert one.probability == pytest.approx(1 / (1 + math.exp(-2)) / 2, abs=1e-4)
    assert (one.x, one.y) == (pytest.approx(14.7, abs=1e-3), pytest.approx(10.2, abs=1e-3))
    # As much as one network's of the same doubt.
    (alone,) = detections(Fixed(14.7, 10.2, logit=logit(one.probability))).itertuples()
    assert one.x_error == pytest.approx(alone.x_error, rel=1e-3)


def test_a_cell_is_combined_by_share_and_precision():
    got = joined(cell(0.8, 0.0, 0.5, 0.1, 0.2), cell(0.2, 1.0, -0.5, 0.3, 0.2))
    # Along x the members weigh 0.8/0.01 = 80 and 0.2/0.09 = 20/9; along y 4 to 1.
    x_weight = np.array([80.0, 20 / 9]) / (80 + 20 / 9)
    x = x_weight @ [0.0, 1.0]
    x_variance = x_weight @ [0.01, 0.09] + x_weight @ [x**2, (1 - x) ** 2]
    y_variance = 0.04 + 0.8 * (0.5 - 0.3) ** 2 + 0.2 * (-0.5 - 0.3) ** 2
    want = [0.5, x, 0.3, math.sqrt(x_variance), math.sqrt(y_variance)]
    assert got == pytest.approx(want, rel=1e-4)


def test_members_that_agree_do_not_make_the_error_smaller():
    alike = cell(0.6, 0.3, -0.2, 0.15, 0.25)
    assert joined(*[alike] * 5) == pytest.approx([0.6, 0.3, -0.2, 0.15, 0.25], rel=1e-4)


def test_shares_beyond_what_float32_can_hold_stay_finite():
    answers = torch.zeros(3, 1, 5, 1, 2)
    answers[:, 0, 0, 0, 0] = torch.tensor([-300.0, -200.0, -250.0])
    answers[:, 0, 0, 0, 1] = torch.tensor([300.0, 200.0, 250.0])
    answers[:, 0, 1, 0] = torch.tensor([[0.1], [0.2], [0.3]])
    answer = combined(answers)
    assert torch.isfinite(answer).all()
    assert answer[0, 0, 0].tolist() == pytest.approx(
        [-200 - math.log(3), 200 + math.log(3)], rel=1e-5
    )
    assert answer[0, 1, 0, 0] == pytest.approx(0.2, abs=1e-4)


def test_masks_are_averaged_as_probabilities():
    logits = torch.tensor([logit(0.9), logit(0.3), logit(0.6)]).reshape(3, 1, 1, 1, 1)
    assert torch.sigmoid(combined(logits)).item() == pytest.approx(0.6, abs=1e-6)


def test_errors_are_answered_as_they_are_read():
    errors = torch.tensor([0.0101, 0.02, 0.1, 1.0, 30.0]).reshape(1, 1, 1, 5).repeat(1, 2, 1, 1)
    answer = torch.cat([torch.zeros(1, 3, 1, 5), as_answered(errors)], dim=1)
    torch.testing.assert_close(offset_errors(answer), errors, rtol=1e-3, atol=0)


@pytest.mark.parametrize("network", [GridNet([8, 12]), UNet([4, 8])], ids=["grid", "unet"])
def test_an_ensemble_of_one_is_its_member_exactly(network):
    network.eval()
    frames = torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(EnsembleNet([network])(frames), network(frames))


def test_an_ensemble_of_one_has_the_weights_of_a_single_network():
    detector = ParticleDetector({"training": {"ensemble": 1}})
    assert isinstance(detector.model, GridNet)


def variants(detector_of, architecture):
    """Return detectors of one network, whose weights differ a little."""
    generator = torch.Generator().manual_seed(8)
    members = []
    for _ in range(MEMBERS):
        member = detector_of(architecture)
        for weights in member.model.parameters():
            weights.data *= 1 + 0.1 * torch.randn(weights.shape, generator=generator)
        members.append(member)
    return members


def ensemble_of(detector_of, architecture):
    members = variants(detector_of, architecture)
    config = members[0].config.model_copy(deep=True)
    config.training.ensemble = MEMBERS
    whole = ParticleDetector(config, threshold=0.3, error_scale=1.7).eval()
    for own, member in zip(whole.model.members, members, strict=True):
        own.load_state_dict(member.model.state_dict())
    return whole


@pytest.fixture(params=["grid", "unet"])
def architecture(request):
    return request.param


@pytest.fixture
def ensemble(detector_of, architecture):
    return ensemble_of(detector_of, architecture)


@pytest.fixture(scope="module")
def made():
    return {}


@pytest.fixture
def folder(ensemble, architecture, made, tmp_path, tmp_path_factory):
    """Return a copy of an export that was made once."""
    if architecture not in made:
        place = tmp_path_factory.mktemp(architecture) / "v_20260102_030405"
        export_model(ensemble, place, scores={"val_f1": 0.9}, origin={"num_videos": 0})
        made[architecture] = place
    return shutil.copytree(made[architecture], tmp_path / "models" / "v_20260102_030405")


def test_every_file_of_an_export_finds_what_the_ensemble_finds(ensemble, folder, frames):
    wanted = ensemble.detect(frames, fit=False)
    assert len(wanted) > 3
    whole = load_model(folder)
    assert whole.weights_sha256() == ensemble.weights_sha256()
    assert whole.detect(frames, fit=False).equals(wanted)
    assert load_model(folder / "weights.safetensors").detect(frames, fit=False).equals(wanted)
    found = load_model(folder / "model.onnx").detect(frames, fit=False)
    numbers = ["x", "y", "x_error", "y_error", "probability"]
    np.testing.assert_allclose(found[numbers], wanted[numbers], rtol=1e-3, atol=1e-3)


def test_the_weights_are_named_by_member(folder):
    weights = load_file(folder / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"members"}
    assert {name.split(".")[1] for name in weights} == {"0", "1"}


@pytest.mark.parametrize("size", [(1, 64, 64), (2, 63, 65), (1, 17, 128)])
def test_onnx_runtime_answers_what_pytorch_answers(ensemble, folder, size):
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    frames = torch.randn(size[0], 1, *size[1:], generator=torch.Generator().manual_seed(1))
    (answer,) = session.run(["answer"], {"frames": frames.numpy()})
    with torch.no_grad():
        wanted = ensemble.answer(frames).numpy()
    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-4)


def test_the_whole_answers_the_mean_of_its_members(detector_of, ensemble, architecture):
    frames = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        shares = [
            torch.sigmoid(member.answer(frames)[:, 0])
            for member in variants(detector_of, architecture)
        ]
        whole = torch.sigmoid(ensemble.answer(frames)[:, 0])
    assert torch.stack(shares).std(dim=0).max() > 0.01
    torch.testing.assert_close(whole, torch.stack(shares).mean(dim=0))


def test_metadata_and_card_tell_of_the_members(folder, architecture):
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["architecture"]["members"] == MEMBERS
    assert metadata["training"]["ensemble"] == MEMBERS
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"an ensemble of 2, each a network `{architecture}`" in card
    assert "means over the members" in card


def test_a_folder_without_its_config_still_has_all_its_members(export_like, frames):
    folder, wanted = export_like
    (folder / "config.json").unlink()
    config = {"model": {"grid_channels": [8, 12]}}
    again = ParticleDetector.load_from_checkpoint(folder, config)
    assert again.detect(frames, fit=False).equals(wanted.detect(frames, fit=False))


@pytest.fixture
def export_like(detector_of, tmp_path, monkeypatch):
    """Return an export of a grid ensemble without its ONNX file, and the ensemble."""
    from cloudtrainer.detector import export

    monkeypatch.setattr(export, "_portable", lambda detector: {})
    whole = ensemble_of(detector_of, "grid")
    export_model(whole, tmp_path / "v_1", scores={}, origin={"num_videos": 0})
    return tmp_path / "v_1", whole


def change(folder, edit):
    """Write the weights of an export anew."""
    weights = torch.load(folder / "weights.pth", weights_only=True)
    edit(weights)
    torch.save(weights, folder / "weights.pth")
    save_file(weights, folder / "weights.safetensors")


def refused(folder):
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def without(number):
    def edit(weights):
        for name in [name for name in weights if name.startswith(f"members.{number}.")]:
            del weights[name]

    return edit


@pytest.mark.parametrize("number", range(MEMBERS))
def test_a_missing_member_is_named(export_like, number):
    folder, _ = export_like
    change(folder, without(number))
    assert f"lacks the weights of member {number + 1}" in refused(folder)


def test_a_member_with_weights_of_another_size_is_refused(export_like):
    folder, _ = export_like
    change(folder, lambda weights: weights.update({"members.1.head.bias": torch.zeros(4)}))
    assert "do not fit the network 'grid'" in refused(folder)


def test_a_member_with_a_weight_missing_is_refused(export_like):
    folder, _ = export_like
    change(folder, lambda weights: weights.pop("members.0.head.bias"))
    assert "do not fit the network 'grid'" in refused(folder)


def test_a_file_that_breaks_off_is_refused(export_like):
    folder, _ = export_like
    whole = (folder / "weights.pth").read_bytes()
    (folder / "weights.pth").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as a model" in refused(folder)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (1, "those of an ensemble of 2, its settings (training.ensemble) say 1"),
        (3, "is an ensemble of 3 and lacks the weights of member 3"),
        (0, "training.ensemble"),
        (21, "training.ensemble"),
        ("three", "training.ensemble"),
    ],
)
def test_settings_that_tell_of_other_members_are_refused(export_like, said, message):
    folder, _ = export_like
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["training"]["ensemble"] = said
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert message in refused(folder)


def test_a_single_network_in_the_place_of_an_ensemble_is_refused(export_like, detector_of):
    folder, _ = export_like
    torch.save(detector_of("grid").model.state_dict(), folder / "weights.pth")
    assert "those of a single network" in refused(folder)


def test_an_absurd_number_of_a_member_is_refused(export_like):
    folder, _ = export_like
    (folder / "config.json").unlink()
    change(folder, lambda weights: weights.update({"members.99999999.a": torch.zeros(1)}))
    assert "training.ensemble" in refused(folder)

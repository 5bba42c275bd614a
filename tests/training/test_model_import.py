"""Models taken in from elsewhere: what is taken, under which name, and what is refused."""

import json
import shutil
import zipfile

import pytest
import torch

from cloudtrainer.detector import ParticleDetector, export_model, load_model
from cloudtrainer.errors import ModelError
from cloudtrainer.training.model_import import import_model
from cloudtrainer.workspace import Workspace

SMALL = {"model": {"name": "small", "grid_channels": [4, 4], "unet_channels": [4]}}
BY_VIDEO = {"a.tif": {"f1": 0.9, "precision": 0.95, "recall": 0.85, "rmse_px": 0.2}}


@pytest.fixture
def place(tmp_path):
    return Workspace.create(tmp_path / "lab")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return an export."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("elsewhere") / "v_20250101_120000"
    export_model(
        ParticleDetector(SMALL).eval(), folder, scores={}, origin={}, scores_by_video=BY_VIDEO
    )
    return folder


def packed(folder, path, prefix=None):
    """Write a zip as the page's download makes it."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{prefix or folder.name}/{file.name}")
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "zip of a folder in a folder"])
def test_an_export_is_taken_as_it_is_under_its_own_version(place, made, tmp_path, kind):
    source = made
    if kind != "folder":
        prefix = f"lab/models/{made.name}" if "in a folder" in kind else None
        source = packed(made, tmp_path / "x.zip", prefix)
    folder = import_model(source, place)
    assert folder == place.models / "v_20250101_120000"
    for file in made.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()
    assert load_model(folder).config.model.name == "small"
    assert place.current_model() == folder
    assert sorted(path.name for path in place.models.iterdir()) == [folder.name]


def test_a_guest_does_not_become_the_current_model(place, made, tmp_path):
    older = place.models / "v_20240101_000000"
    export_model(ParticleDetector(SMALL).eval(), older, scores={}, origin={})
    assert import_model(made, place) != older
    # It is newer than the one that was current for being the newest.
    assert place.current_model() == older


def test_a_version_that_is_taken_is_told_from_the_same_model(place, made, tmp_path):
    import_model(made, place)
    with pytest.raises(ModelError, match=f"already, as {made.name}"):
        import_model(made, place)
    other = tmp_path / made.name
    export_model(ParticleDetector(SMALL).eval(), other, scores={}, origin={})
    folder = import_model(other, place)
    assert folder.name != made.name
    assert len(place.model_folders()) == 2


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_checkpoint_of_an_earlier_version_becomes_an_export(place, tmp_path, version):
    config = {"model": {"architecture": "unet", "unet_channels": [4]}}
    weights = ParticleDetector(config).model.state_dict()
    if version == "2.0":
        stored = {"epoch": 3, "model_state_dict": weights, "config": config, "history": {}}
        path = tmp_path / "best_model.pth"
    else:
        stored = {
            "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()},
            "hyper_parameters": {"config": config},
        }
        path = tmp_path / "last.ckpt"
    torch.save(stored, path)
    detector = load_model(import_model(path, place))
    assert detector.normalisation == "video_maximum"
    for name, tensor in detector.model.state_dict().items():
        assert torch.equal(tensor, weights[name])


class Sly:
    def __reduce__(self):
        return print, ("this must not run",)


def write_sly(made, to):
    shutil.copytree(made, to)
    (to / "weights.safetensors").unlink(missing_ok=True)
    torch.save({"a": Sly()}, to / "weights.pth")
    return to


def write_newer(made, to):
    shutil.copytree(made, to)
    config = json.loads((to / "config.json").read_text())
    config["model"]["attention"] = True
    (to / "config.json").write_text(json.dumps(config))
    metadata = json.loads((to / "metadata.json").read_text())
    metadata["compatibility"]["cloudtrainer_version"] = "99.1.0"
    (to / "metadata.json").write_text(json.dumps(metadata))
    return to


def write_cut(made, to):
    shutil.copytree(made, to)
    (to / "weights.pth").write_bytes((to / "weights.pth").read_bytes()[:2000])
    return to


def write_other_network(made, to):
    shutil.copytree(made, to)
    config = json.loads((to / "config.json").read_text())
    config["model"]["grid_channels"] = [8, 8]
    (to / "config.json").write_text(json.dumps(config))
    return to


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (write_sly, "holds more than weights"),
        (write_newer, "was made by cloudtrainer 99.1.0"),
        (write_cut, "cannot be read as a model"),
        (write_other_network, "do not fit the network"),
    ],
)
def test_what_cannot_be_loaded_is_refused_and_leaves_nothing(
    place, made, tmp_path, write, said, capsys
):
    folder = write(made, tmp_path / "v_20250202_000000")
    for source in (folder, packed(folder, tmp_path / "it.zip")):
        with pytest.raises(ModelError, match=said) as caught:
            import_model(source, place)
        assert ".importing" not in str(caught.value)
        assert source.name in str(caught.value)
    assert list(place.models.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_what_is_no_model_is_refused(place, made, tmp_path):
    (tmp_path / "text.pth").write_text("no model")
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "text.txt").write_text("no model")
    (tmp_path / "empty").mkdir()
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("a.png", b"x")
    two = packed(made, tmp_path / "two.zip")
    with zipfile.ZipFile(two, "a") as archive:
        archive.write(made / "weights.pth", "another/weights.pth")
    for name, said in (
        ("text.pth", "no model at all"), ("text.zip", "damaged, or no zip"),
        ("text.txt", "is no model; give a .pth"), ("empty", "holds no weights.pth"),
        ("other.pth", "text|do not fit"), ("pictures.zip", "holds no weights.pth"),
        ("two.zip", "holds 2 models"), ("nowhere.pth", "no such file"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=said):
            import_model(tmp_path / name, place)
    with pytest.raises(ModelError, match="it is a workspace: give one of the folders"):
        import_model(place.root, place)
    assert list(place.models.iterdir()) == []


def test_names_in_a_zip_lead_nowhere(place, made, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in made.iterdir():
            archive.write(file, f"../../{file.name}")
        archive.writestr("../../evil.py", "")
        archive.writestr("../../../evil.txt", "")
    folder = import_model(path, place)
    assert folder.parent == place.models
    assert {file.name for file in folder.iterdir()} == {file.name for file in made.iterdir()}
    assert not list(tmp_path.rglob("evil*"))


def test_a_zip_whose_packed_bytes_are_damaged_is_refused(place, made, tmp_path):
    path = packed(made, tmp_path / "x.zip")
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist(), key=lambda name: "weights" not in name)
        bytes_of = {name: archive.read(name) for name in names}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in bytes_of.items():
            archive.writestr(name, content)
    content = bytearray(path.read_bytes())
    begin = 30 + len(names[0].encode())
    content[begin : begin + 200] = bytes(byte ^ 0xFF for byte in content[begin : begin + 200])
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"x.zip: is damaged, or no zip file"):
        import_model(path, place)
    assert list(place.models.iterdir()) == []


def test_a_zip_that_unpacks_into_more_than_a_model_is_refused(place, made, tmp_path, monkeypatch):
    from cloudtrainer.training import model_import

    monkeypatch.setattr(model_import, "_LARGEST_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than any model"):
        import_model(packed(made, tmp_path / "x.zip"), place)
    assert list(place.models.iterdir()) == []


@pytest.mark.parametrize("small_disk", [1], indirect=True)
def test_a_full_disk_leaves_nothing_behind(small_disk, made, tmp_path):
    big = tmp_path / "v_20250303_000000"
    shutil.copytree(made, big)
    (big / "training_progress.png").write_bytes(bytes(3_000_000))
    place = Workspace.create(small_disk)
    for source in (big, packed(big, tmp_path / "big.zip")):
        with pytest.raises(ModelError, match="could not be added"):
            import_model(source, place)
    assert list(place.models.iterdir()) == []

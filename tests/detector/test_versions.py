"""Which exports a models folder holds, which is current, and where each came from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrainer.detector.versions import current_version, lineage, model_versions, set_current
from cloudtrainer.errors import ModelError

OLD, MIDDLE, NEW = "v_20250101_000000", "v_20250601_120000", "v_20260101_000000"
NOT_VERSIONS = [
    "",
    ".",
    "..",
    "v_1",
    "default",
    "v_20990101_000000",
    f"../models/{OLD}",
    f"{OLD}/",
    f"{OLD}\n",
    f"{OLD}.part",
    f"{OLD}_",
    "v_\uff12\uff10\uff12\uff15\uff10\uff11\uff10\uff11_000000",
    "/etc",
    "a\0b",
]


@pytest.fixture
def models(tmp_path) -> Path:
    folder = tmp_path / "models"
    for version, parent in ((OLD, None), (MIDDLE, OLD), (NEW, MIDDLE)):
        add(folder, version, parent=parent)
    return folder


def add(models, version, weights="weights.pth", **metadata):
    folder = models / version
    folder.mkdir(parents=True)
    (folder / weights).write_bytes(b"x")
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")


def names(paths):
    return [path.name for path in paths]


def test_versions_come_oldest_first_and_the_tenth_of_a_second_after_the_second(tmp_path):
    wanted = [
        "v_20250101_000000",
        "v_20250101_000000_2",
        "v_20250101_000000_10",
        "v_20250101_000001",
        "v_20251231_235959",
        "v_20260101_000000",
    ]
    for version in sorted(wanted, reverse=True):
        add(tmp_path, version, "weights.safetensors" if version.endswith("_2") else "weights.pth")
    assert names(model_versions(tmp_path)) == wanted


def test_what_holds_no_weights_or_is_named_otherwise_is_no_export(models):
    (models / "v_20270101_000000").mkdir()
    add(models, "v_20270101_000000.part")
    add(models, "best")
    add(models, "v_2027_01_01")
    (models / "v_20280101_000000").write_text("a file", encoding="utf-8")
    add(models, "v_20290101_000000", "model.onnx")
    assert names(model_versions(models)) == [OLD, MIDDLE, NEW]
    assert model_versions(models / "nowhere") == []


def test_the_newest_is_current_until_another_is_chosen(models):
    assert current_version(models) == models / NEW
    set_current(models, OLD)
    assert current_version(models) == models / OLD
    assert json.loads((models / "current.json").read_text(encoding="utf-8")) == {"version": OLD}
    add(models, "v_20270101_000000")
    assert current_version(models) == models / OLD
    set_current(models, NEW)
    assert current_version(models) == models / NEW


def test_a_folder_without_exports_has_no_current_one(tmp_path):
    assert current_version(tmp_path) is None
    assert current_version(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{",
        "[]",
        "3",
        "[" * 100_000,
        '{"version": 3}',
        '{"version": null}',
        '{"version": ["v_20250101_000000"]}',
        *(json.dumps({"version": version}) for version in NOT_VERSIONS),
    ],
)
def test_a_note_that_names_no_export_leaves_the_newest_current(models, note):
    (models / "current.json").write_text(note, encoding="utf-8")
    assert current_version(models) == models / NEW


def test_a_note_outside_the_folder_is_not_followed(models, tmp_path):
    add(tmp_path / "elsewhere", OLD)
    outside = os.path.relpath(tmp_path / "elsewhere" / OLD, models)
    (models / "current.json").write_text(json.dumps({"version": outside}), encoding="utf-8")
    assert current_version(models) == models / NEW


@pytest.mark.parametrize("version", NOT_VERSIONS)
def test_only_an_export_can_become_current(models, version):
    set_current(models, OLD)
    for call in (set_current, lineage):
        with pytest.raises(ModelError, match="no such model in") as caught:
            call(models, version)
        assert NEW in str(caught.value)
    assert current_version(models) == models / OLD
    assert {path.name for path in models.iterdir()} == {OLD, MIDDLE, NEW, "current.json"}


def test_a_note_that_cannot_be_written_leaves_the_old_one(models, monkeypatch):
    set_current(models, OLD)

    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ModelError, match="No space left on device") as caught:
        set_current(models, NEW)
    assert "\n" not in str(caught.value)
    assert current_version(models) == models / OLD
    assert not list(models.glob("*.part")) + list(models.glob(".*"))


def test_a_lineage_goes_back_to_the_first(models):
    assert lineage(models, NEW) == [NEW, MIDDLE, OLD]
    assert lineage(models, OLD) == [OLD]


def test_a_lineage_ends_where_the_parent_is_not_there(models):
    add(models, "v_20270101_000000", parent="v_20240101_000000")
    add(models, "v_20270102_000000", parent="bundled")
    add(models, "v_20270103_000000", parent="../models/" + NEW)
    assert lineage(models, "v_20270101_000000")[1:] == ["v_20240101_000000"]
    assert lineage(models, "v_20270102_000000")[1:] == ["bundled"]
    assert lineage(models, "v_20270103_000000")[1:] == ["../models/" + NEW]


@pytest.mark.parametrize("parent", [3, "", None, [OLD], {"a": 1}])
def test_a_parent_that_is_none_ends_the_lineage(models, parent):
    add(models, "v_20270101_000000", parent=parent)
    assert lineage(models, "v_20270101_000000") == ["v_20270101_000000"]


def test_parents_in_a_circle_end(models):
    first, second = "v_20270101_000000", "v_20270102_000000"
    add(models, first, parent=second)
    add(models, second, parent=first)
    assert lineage(models, first) == [first, second]
    add(models, "v_20270103_000000", parent="v_20270103_000000")
    assert lineage(models, "v_20270103_000000") == ["v_20270103_000000"]


def test_damaged_metadata_end_the_lineage(models):
    (models / MIDDLE / "metadata.json").write_bytes(b"\xff{")
    assert lineage(models, NEW) == [NEW, MIDDLE]
    (models / MIDDLE / "metadata.json").unlink()
    assert lineage(models, NEW) == [NEW, MIDDLE]


def test_listing_versions_needs_no_pytorch():
    code = (
        "import sys; from cloudtrainer.detector.versions import model_versions; "
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_note_that_names_no_model_is_told(tmp_path):
    from cloudtrainer.detector.versions import damaged_versions, names_no_model

    models = tmp_path / "models"
    for name in ("v_20260101_000000", "v_20260102_000000"):
        (models / name).mkdir(parents=True)
        (models / name / "weights.pth").write_bytes(b"weights")
    (models / "v_20260103_000000").mkdir()
    assert not names_no_model(models)
    assert damaged_versions(models) == [models / "v_20260103_000000"]
    for text in ("", "junk", "[]", '{"version": "../../etc"}', '{"version": "v_20260103_000000"}'):
        (models / "current.json").write_text(text, encoding="utf-8")
        assert names_no_model(models)
        assert current_version(models) == models / "v_20260102_000000"
    set_current(models, "v_20260101_000000")
    assert not names_no_model(models)
    assert damaged_versions(tmp_path / "nowhere") == []

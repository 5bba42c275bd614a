"""The trainer's commands, one after the other, in a workspace of a lab."""

import json

import pytest

SHORT = [
    "--epochs=2",
    "--batch-size=4",
    "--set=model.grid_channels=[8,12]",
    "--set=training.steps_per_epoch=3",
    "--set=training.crop_px=32",
]


def test_a_lab_trains_lists_compares_chooses_and_exports(workspace, command):
    code, text, _ = command("train", workspace.root, *SHORT)
    assert code == 0
    [first] = workspace.model_folders()
    assert "left out: other.ome.tif: no labels" in text
    assert "epoch 2/2: loss" in text
    assert f"Model: {first}" in text

    code, text, _ = command("train", workspace.root, *SHORT)
    assert (code, workspace.model_folders()) == (0, [first])
    assert "Nothing new to learn" in text

    code, text, _ = command("train", workspace.root, *SHORT, "--full", "--seed=1")
    assert code == 0
    [_, second] = workspace.model_folders()
    assert workspace.current_model() in (first, second)

    code, text, _ = command("models", workspace.root)
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()[2:]] == [first.name, second.name]
    assert "grid 8-12" in text

    code, text, _ = command("models", workspace.root, "--compare")
    assert code == 0
    assert all(name in text for name in ("bundled", first.name, second.name, "beads.ome.tif"))

    for version in (first.name, second.name):
        code, text, _ = command("models", workspace.root, "--set-current", version)
        assert code == 0
        assert workspace.current_model().name == version
    code, _, complaint = command("models", workspace.root, "--set-current", "../beads")
    assert code == 2
    assert "no such model" in complaint

    last = workspace.lightning_logs / "last.ckpt"
    code, text, _ = command("export", last, "--workspace", workspace.root)
    assert code == 0
    third = workspace.model_folders()[-1]
    assert text == f"Model: {third}\n"
    metadata = json.loads((third / "metadata.json").read_text(encoding="utf-8"))
    assert [video["name"] for video in metadata["videos"]] == ["beads.ome.tif"]
    code, _, complaint = command("export", last, "-o", third)
    assert code == 2
    assert "exists already" in complaint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "nothing.ckpt"], "nothing.ckpt"),
        (["--strategy", "nonsense"], "training.strategy"),
        (["--set", "training.epoch=3"], "training.epochs"),
        (["--set", "scenes.peak_snr=4"], "two limits"),
        (["--epochs", "0"], "training.epochs"),
    ],
)
def test_what_cannot_be_done_is_one_line(workspace, command, words, said):
    code, _, complaint = command("train", workspace.root, *SHORT, *words)
    assert code == 2
    assert said in complaint
    assert len(complaint.splitlines()) == 1
    assert workspace.model_folders() == []

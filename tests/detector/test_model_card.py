"""The card as a Markdown reader sees it, and its Python as a person copies it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from cloudtrainer.config import Config
from cloudtrainer.detector.model_card import model_card

NASTY = [
    "a|b.tif",
    "two\nlines.tif",
    "`code`.tif",
    "<script>alert(1)</script>.tif",
    "**bold** _slanted_.tif",
    "[link](javascript:alert(1)).tif",
    "![picture](http://example.org/x.png)",
    "back\\|slash.tif",
    "| --- |",
    "---",
    "&lt;b&gt;.tif",
    "tab\there.tif",
    "~~gone~~.tif",
    "bead_video_1.tif",
    "turned\u202egnp.exe",
    "纳米粒子 é.tif",
]


def metadata(**changes):
    return {
        "model_name": "beads",
        "version": "v_20260102_030405",
        "created_at": "2026-01-02T03:04:05+00:00",
        "architecture": {"type": "grid"},
        "performance": {"val_f1": 0.91234, "val_rmse_px": 0.21},
        "data_info": {"num_videos": 2, "simulated_share": 0.25, "seed": 7},
        "compatibility": {"cloudtrainer_version": "4.0.0"},
        "reading": {"normalisation": "noise", "threshold": 0.58, "error_scale": 1.3},
        "parent": None,
        "videos": [],
        "scores_by_video": {},
        **changes,
    }


def card(tmp_path, settings=None, folder=None, files=(), **changes):
    where = folder or tmp_path / "DeepTrack_Studio" / "models" / "v_20260102_030405"
    return model_card(metadata(**changes), Config.from_dict(settings or {}), where, files)


def shown(tokens):
    """Return the text that a reader sees of inline Markdown, and the kinds of its parts."""
    text = "".join(" " if part.type == "softbreak" else part.content for part in tokens)
    return text, {part.type for part in tokens}


def tables(text):
    """Return the cells of every table, and the kinds of parts in them."""
    found, kinds = [], set()
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 3:
            cell, parts = shown(token.children)
            found[-1][-1].append(cell)
            kinds |= parts
    return found, kinds


def on_one_line(name):
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def test_names_from_outside_stay_text_in_their_cells(tmp_path):
    videos = [{"name": name, "labelled_frames": 3, "sha256": "ab" * 32} for name in NASTY]
    scores = {name: {"val_f1": 0.5} for name in NASTY}
    text = card(tmp_path, videos=videos, scores_by_video=scores)
    (table, _), kinds = tables(text)
    assert table[0] == ["video", "labelled frames", "SHA-256", "val_f1"]
    assert table[1:] == [[on_one_line(name), "3", "abababababab", "0.5"] for name in NASTY]
    assert kinds <= {"text", "text_special"}


@pytest.mark.parametrize("name", NASTY)
def test_names_from_outside_stay_text_everywhere_else(tmp_path, name):
    about = {"num_videos": 1, "videos": [name], "note": name, name: 1}
    text = card(tmp_path, data_info=about, parent=name, model_name=name, version=name)
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    heading = next(token for token in parsed if token.type == "inline")
    assert shown(heading.children)[0] == f"{on_one_line(name)} {on_one_line(name)}"
    kinds = {part.type for token in parsed for part in token.children or []}
    assert kinds <= {"text", "text_special", "softbreak", "code_inline"}
    assert "html_block" not in {token.type for token in parsed}
    assert sum(token.type == "table_open" for token in parsed) == 1


def test_scores_are_told_overall_and_by_video(tmp_path):
    text = card(
        tmp_path,
        videos=[{"name": "a.tif", "labelled_frames": 12}, {"name": "b.tif", "labelled_frames": 30}],
        scores_by_video={"a.tif": {"val_f1": 0.95}, "c.tif": {"val_f1": 0.5, "val_rmse_px": 0.2}},
    )
    (videos, overall), _ = tables(text)
    assert videos[0] == ["video", "labelled frames", "SHA-256", "val_f1", "val_rmse_px"]
    assert videos[1:] == [
        ["a.tif", "12", "", "0.95", ""],
        ["b.tif", "30", "", "", ""],
        ["c.tif", "", "", "0.5", "0.2"],
    ]
    assert overall == [["score", "value"], ["val_f1", "0.9123"], ["val_rmse_px", "0.21"]]
    for told in ("labelled videos: 2", "labelled frames: 42", "25%", "seed: 7", "0.58"):
        assert told in text


def test_a_card_without_scores_or_videos_says_so(tmp_path):
    text = card(tmp_path, performance={}, data_info={"num_videos": 0})
    assert "None were measured." in text
    assert tables(text)[0] == []
    assert "Its training began" not in text
    assert "Its training began with the model default." in card(tmp_path, parent="default")


def test_limits_are_those_of_the_network_and_of_the_data(tmp_path):
    told = card(tmp_path, {"scenes": {"spot_sigma_px": [1.2, 2.7]}})
    assert "1.2 to 2.7 px" in told
    assert "standard errors that it states are multiplied by 1.3" in told
    assert "of the same videos" not in told
    videos = [{"name": "a.tif"}]
    assert "of the same videos" in card(tmp_path, videos=videos)
    assert "of the same videos" not in card(
        tmp_path, {"training": {"hold_out": "videos"}}, videos=videos
    )
    masks = card(
        tmp_path,
        architecture={"type": "unet"},
        reading={"normalisation": "video_maximum", "threshold": 0.5, "error_scale": 1.0},
        data_info={"num_videos": 1, "simulated_share": 0.0},
    )
    assert "areas touch count as one" in masks
    assert "maximum of the whole video" in masks
    assert "Simulated particles" not in masks
    assert "multiplied by" not in masks


def python_of(text):
    (code,) = (
        token.content
        for token in MarkdownIt("commonmark").parse(text)
        if token.type == "fence" and token.info == "python"
    )
    return code


def test_the_python_of_a_card_runs_as_it_is_copied(export, tmp_path):
    code = python_of((export / "MODEL_CARD.md").read_text(encoding="utf-8"))
    assert len([line for line in code.splitlines() if line]) == 3
    assert f'load_model("DeepTrack_Studio/models/{export.name}")' in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "small 0.3\n"


@pytest.mark.parametrize("name", ["DeepTrack_Studio", 'my "own" \\ 粒子 😀', "new\nline", "```"])
def test_the_path_in_a_card_is_the_exports_from_beside_the_workspace(tmp_path, name):
    folder = tmp_path / name / "models" / "v_20260102_030405"
    code = ast.parse(python_of(card(tmp_path, folder=folder)))
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call)]
    (loading,) = (call for call in calls if getattr(call.func, "attr", "") == "load_model")
    assert tmp_path / ast.literal_eval(loading.args[0]) == folder


def test_the_path_of_an_export_elsewhere_is_its_own_name(tmp_path, monkeypatch):
    assert 'load_model("mine")' in card(tmp_path, folder=tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    place = Path("models") / "v_20260102_030405"
    assert f'load_model("{tmp_path.name}/models/{place.name}")' in card(tmp_path, folder=place)


def test_a_card_lists_the_files_that_are_there(tmp_path):
    told = card(tmp_path, files=["weights.pth", "metadata.json"])
    assert "`weights.pth`" in told
    assert "`model.onnx`" not in told
    assert "`model.onnx`: the whole network" in card(tmp_path, files=["model.onnx"])

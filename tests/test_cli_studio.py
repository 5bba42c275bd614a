"""``cloudtrainer studio``: what the command hands on, and what it says of wrong input."""

import sys

import pytest

pytest.importorskip("panel", reason="the Studio needs Panel: the extra studio")


@pytest.fixture
def served(monkeypatch):
    calls = []

    def record(workspace, **settings):
        settings.pop("say")("The Studio is at http://127.0.0.1:1/?token=[x]")
        calls.append((workspace, settings))

    monkeypatch.setattr("cloudtrainer.studio.server.serve", record)
    return calls


def test_a_workspace_is_made_and_served(command, served, tmp_path):
    code, output, _ = command("studio", tmp_path / "lab", "--no-browser", "--port", "5006")
    assert code == 0
    assert "http://127.0.0.1:1/?token=[x]" in output
    ((workspace, settings),) = served
    assert workspace.videos.is_dir()
    assert settings == {"port": 5006, "open_browser": False}


def test_a_file_in_place_of_the_workspace_is_told(command, served, tmp_path):
    (tmp_path / "lab").write_text("")
    code, _, complaints = command("studio", tmp_path / "lab")
    assert code == 2
    assert "cannot be made a workspace" in complaints
    assert served == []


def test_without_panel_it_says_what_to_install(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "panel", None)
    code, _, complaints = command("studio", tmp_path / "lab")
    assert code == 2
    assert "deeptrack-cloud-trainer[studio]" in complaints

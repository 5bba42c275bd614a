"""One command writes the repository's address wherever it is needed."""

import importlib.util
import json
import shutil
import tomllib
from pathlib import Path

import pytest

import cloudtrainer

ROOT = Path(cloudtrainer.__file__).parents[2]
_spec = importlib.util.spec_from_file_location(
    "set_repository", ROOT / "scripts" / "set_repository.py"
)
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)

FILES = ("README.md", "pyproject.toml", script.NOTEBOOK)
LAB = "https://github.com/lab/trainer"


@pytest.fixture
def checkout(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def texts(checkout):
    return [(checkout / name).read_text("utf-8") for name in FILES]


def cell(checkout, number):
    document = json.loads((checkout / script.NOTEBOOK).read_text("utf-8"))
    return "".join(document["cells"][number]["source"])


@pytest.mark.parametrize("address", [LAB, f"{LAB}.git", f"{LAB}/"])
def test_badges_open_the_notebook_and_it_installs_from_there(checkout, address):
    script.set_repository(address, "main", checkout)
    link = f"https://colab.research.google.com/github/lab/trainer/blob/main/{script.NOTEBOOK}"
    title, badge, rest = (checkout / "README.md").read_text("utf-8").split("\n\n", 2)
    assert title == "# DeepTrack Cloud Trainer"
    assert badge.endswith(f"({link})")
    assert rest.startswith("`cloudtrainer` takes")
    assert f"({link})\n\nFrom a" in cell(checkout, 0)
    assert f'\nREPOSITORY = "{LAB}"\n' in cell(checkout, 1)
    project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"] == {"Repository": LAB}
    assert "studio" in project["optional-dependencies"]


def test_a_second_address_takes_the_place_of_the_first(checkout):
    script.set_repository(LAB, "main", checkout)
    once = texts(checkout)
    script.set_repository("https://github.com/other/place", "dev", checkout)
    assert not any("lab/trainer" in text for text in texts(checkout))
    script.set_repository(LAB, "main", checkout)
    assert texts(checkout) == once


def test_nothing_but_the_address_changes(checkout):
    before = [cell(checkout, number) for number in range(2, 5)]
    script.set_repository(LAB, "main", checkout)
    assert [cell(checkout, number) for number in range(2, 5)] == before
    document = (checkout / script.NOTEBOOK).read_text("utf-8").splitlines()
    whole = (ROOT / script.NOTEBOOK).read_text("utf-8").splitlines()
    assert len(set(document) ^ set(whole)) <= 6


@pytest.mark.parametrize(
    ("address", "branch"),
    [("lab/trainer", "main"), (f"{LAB}/tree/main", "main"), (LAB, "a b"), (f"{LAB}\n", "main")],
)
def test_a_wrong_address_changes_nothing(checkout, address, branch):
    before = texts(checkout)
    with pytest.raises(ValueError, match=r"OWNER/NAME|name of a branch"):
        script.set_repository(address, branch, checkout)
    assert texts(checkout) == before

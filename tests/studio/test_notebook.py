"""The notebook runs from top to bottom, in a kernel of its own, as it does on Colab."""

import json
import os
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from small_lab import write_video

import cloudtrainer
from cloudtrainer.workspace import Workspace

ROOT = Path(cloudtrainer.__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "DeepTrack_Cloud_Trainer.ipynb"
TINY = {"training": {"epochs": 2, "steps_per_epoch": 4, "batch_size": 2}}

_DRIVE = """
from pathlib import Path
import cloudtrainer.studio.notebook as notebook

def mount(place):
    assert place == "/content/drive"
    notebook.DRIVE = Path({drive!r})
"""
_FILES = """
from pathlib import Path
import shutil

def download(path):
    shutil.copy(path, {downloads!r})
"""


def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_it_is_short_and_without_outputs():
    assert len(cells()) <= 12
    for cell in cells():
        assert len(cell["source"]) < 25
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", None),
        ("https://github.com/lab/trainer", "git+https://github.com/lab/trainer"),
        ("/content/a checkout", "file:///content/a%20checkout"),
        ("/content/x-4.0.0-py3-none-any.whl", "file:///content/x-4.0.0-py3-none-any.whl"),
    ],
)
def test_it_is_installed_from_the_index_a_repository_or_a_path(given, url, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, check: ran.append(command))
    monkeypatch.chdir(tmp_path)
    source = "".join(cells()[1]["source"])
    exec(re.sub('REPOSITORY = ".*"', f"REPOSITORY = {given!r}", source), {})
    ((*_, wanted),) = ran
    asked = Requirement(wanted)
    assert asked.name == "deeptrack-cloud-trainer"
    assert asked.extras == {"notebook", "movies", "microscopes"}
    assert asked.url == url


@pytest.mark.slow
@pytest.mark.parametrize("colab", [False, True], ids=["local", "colab"])
def test_every_cell_runs(tmp_path, monkeypatch, colab):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    drive, downloads = tmp_path / "drive", tmp_path / "downloads"
    downloads.mkdir()
    root = drive / "MyDrive" / "DeepTrack_Studio" if colab else tmp_path / "DeepTrack_Studio"
    place = Workspace.create(root)
    truth = write_video(place.videos / "beads.tif")
    truth.to_csv(place.annotations / "beads_particles.csv", index=False)
    path = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    if colab:
        stand_in = tmp_path / "modules" / "google" / "colab"
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").write_text("")
        (stand_in / "drive.py").write_text(_DRIVE.format(drive=str(drive)))
        (stand_in / "files.py").write_text(_FILES.format(downloads=str(downloads)))
        path.insert(0, str(tmp_path / "modules"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (given,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    given.source = re.sub(r"SETTINGS = \{\}", f"SETTINGS = {TINY!r}", given.source)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()  # fmt: skip
    assert (place.current_model() / "weights.pth").is_file()
    assert json.loads((place.results / "beads" / "summary.json").read_text())["measured"]["tracks"]
    zips = list(downloads.iterdir()) if colab else list(place.results.glob("*.zip"))
    assert [path.name for path in zips] == ["beads.zip"]
    shown = [
        output for cell in notebook.cells for output in cell.get("outputs", [])
        if output.get("name") == "stderr" or output.output_type == "error"
    ]  # fmt: skip
    assert not [one for one in shown if "Traceback" in one.get("text", "")]

"""What every test may ask for."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side, each with threads for all cores, would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # They are told the width of a terminal, which a console then keeps.
    os.environ.pop("COLUMNS", None)

from cloudtrainer import cli


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real videos, named by CLOUDTRAINER_TEST_DATA or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLOUDTRAINER_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no folder of real videos at {folder}; set CLOUDTRAINER_TEST_DATA")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a folder on a disk of 1 MB, or of as many as its parameter says."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={getattr(request, 'param', 1)}m",
        "tmpfs",
        str(folder),
    ]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted: that needs the rights of root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command line; give exit code, output and complaints."""
    # Help is set for a wide terminal, so that no word is cut in two.
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*argv):
        monkeypatch.setattr("sys.argv", ["cloudtrainer", *map(str, argv)])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        return code, *capsys.readouterr()

    return run

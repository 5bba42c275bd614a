"""A small workspace, and the page of it in a real browser."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudtrainer.workspace import Workspace

pytest.importorskip("panel", reason="the Studio needs Panel: the extra studio")

sys.path.insert(0, str(Path(__file__).parent))

from small_lab import write_video


@pytest.fixture
def place(tmp_path):
    """Return a workspace with a labelled video, one without labels, and a file that is no video."""
    workspace = Workspace.create(tmp_path / "lab")
    truth = write_video(workspace.videos / "beads.tif")
    truth.to_csv(workspace.annotations / "beads_particles.csv", index=False)
    write_video(workspace.videos / "unlabelled.tif", seed=2)
    (workspace.videos / "notes.doc").write_text("no video")
    return workspace


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium here: apt-get install chromium")


@dataclass
class Served:
    """A page that is served, and a browser that looks at it."""

    address: str
    browser: object
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str | None = None):
        """Open the page in a new tab; what the browser complains of is kept."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 720}, accept_downloads=True)
        page.on(
            "console",
            lambda message: message.type == "error" and self.complaints.append(message.text),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._only_from_here)
        page.goto(address or self.address)
        return page

    def _only_from_here(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.complaints.append(f"fetched {request.url}")


@pytest.fixture
def served(place) -> Iterator[Served]:
    """Serve the page of the workspace by the command, and start a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    code = "from cloudtrainer.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "studio", str(place.root), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = server.stdout.readline()
        assert "http://127.0.0.1:" in line
        with playwright.sync_playwright() as run:
            browser = run.chromium.launch(executable_path=path, args=["--no-sandbox"])
            served = Served(line.split()[-1], browser)
            yield served
            browser.close()
            assert served.complaints == []
    finally:
        server.terminate()
        server.wait(timeout=20)

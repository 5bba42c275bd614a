"""How long the Studio's page takes: to the first paint, and from a slider to the overlay.

A 512 x 512 px video with 500 particles a frame, Chromium without a window, the server on the same
machine. The threshold is moved by the keyboard, and the time is taken in the browser: from the key
to the second picture after the circles have changed. The same for the linking range, to the links
of 20 frames. Then the time that the page expects of a run of the preset "quick look on a CPU",
beside the time that the run takes.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tifffile
from playwright.sync_api import Page, sync_playwright

from cloudtrainer.config import Config, ExperimentSettings
from cloudtrainer.simulation import simulate_experiment
from cloudtrainer.studio import jobs
from cloudtrainer.studio.cost import expected, measure
from cloudtrainer.studio.presets import with_preset
from cloudtrainer.workspace import Workspace

RESULTS = Path(__file__).parent / "results" / "studio.json"
FRAMES, SPOTS, SIDE_PX, SEED = 20, 500, 512, 46_000
MOVES, STARTS = 20, 3
# Resolves at the second animation frame after the circles have changed: then they are painted.
WATCH = """
() => {
  const sources = [...Bokeh.documents[0]._all_models.values()].filter(
    (model) => model.type == 'ColumnDataSource' && 'COLUMN' in model.data);
  window.redrawn = new Promise((done) => {
    for (const source of sources) {
      const change = () => {
        source.properties.data.change.disconnect(change);
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
      };
      source.properties.data.change.connect(change);
    }
  });
  window.addEventListener('keydown', () => { window.pressed = performance.now(); },
                          {capture: true, once: true});
}
"""


def first_paint(place: Workspace, run: object, path: str) -> dict[str, float]:
    """Return seconds from the command to its address, and to the page with its first part."""
    begun = time.monotonic()
    server, address = served(place)
    listening = time.monotonic() - begun
    try:
        # A browser that is there already, as a user's is.
        browser = run.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        opened = time.monotonic()
        page.goto(address)
        page.get_by_text("Look again").wait_for()
        painted = time.monotonic() - opened
        browser.close()
    finally:
        server.terminate()
        server.wait()
    return {"address_s": listening, "page_s": painted, "first_paint_s": listening + painted}


def served(place: Workspace) -> tuple[subprocess.Popen[str], str]:
    """Start the command; return its process and the address of its page."""
    code = "from cloudtrainer.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "studio", str(place.root), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    )
    return server, server.stdout.readline().split()[-1]


def redraws(page: Page, slider: int, column: str) -> list[float]:
    """Return the milliseconds from a move of a slider to what it changes, painted.

    The handles of frame, contrast, threshold and linking range are counted from 0.
    """
    handle = page.locator(".noUi-handle").nth(slider)
    handle.focus()
    took = []
    for move in range(MOVES):
        page.evaluate(WATCH.replace("COLUMN", column))
        handle.press("ArrowRight" if move % 2 else "ArrowLeft")
        took.append(page.evaluate("async () => (await window.redrawn) - window.pressed"))
        time.sleep(0.3)
    return took


def a_run(place: Workspace) -> dict[str, float]:
    """Return what a quick run is expected to take, and what it takes."""
    config = with_preset(Config(), "quick look on a CPU")
    cost = expected(config, measure(config))
    begun = time.monotonic()
    job = jobs.start(place, "training", {"config": config.to_dict()})
    while job.state in jobs.LIVING:
        time.sleep(0.2)
    return {"expected_s": cost.seconds, "took_s": time.monotonic() - begun}


def main() -> None:
    path = shutil.which("chromium")
    if path is None:
        sys.exit("no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as run:
        place = Workspace.create(Path(folder) / "DeepTrack_Studio")
        moving = ExperimentSettings(
            frames=FRAMES, height_px=SIDE_PX, width_px=SIDE_PX, particles=SPOTS, seed=SEED
        )
        tifffile.imwrite(place.videos / "crowd.tif", simulate_experiment(moving).frames)
        starts = [first_paint(place, run, path) for _ in range(STARTS)]
        for name in starts[0]:
            print(f"{name:<16} {statistics.median(one[name] for one in starts):6.2f} s", flush=True)
        server, address = served(place)
        try:
            browser = run.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(address)
            page.locator(".bk-tab", has_text="Analyse").click()
            page.get_by_text("links up to").wait_for(timeout=120_000)
            took = {
                "threshold": redraws(page, 3, "probability"),
                "linking range": redraws(page, 4, "x_track"),
            }
            browser.close()
        finally:
            server.terminate()
            server.wait()
        for name, times in took.items():
            print(f"{name:<16} {statistics.median(times):6.0f} ms, at most {max(times):.0f} ms")
        quick = a_run(place)
        print(f"a quick run      {quick['took_s']:6.0f} s, expected {quick['expected_s']:.0f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"starts": starts, "redraw_ms": took, "quick_run": quick}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()

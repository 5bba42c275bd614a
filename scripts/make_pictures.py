"""Make the pictures of README and docs: the Studio's parts, and tracks over a video.

    python scripts/make_pictures.py

Simulates the practice video of the tutorial and six short ones in two conditions, serves their
workspace, and photographs the page in Chromium at 1280 x 720. Writes ``docs/pictures``. About five
minutes on two cores.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.animation import FuncAnimation, PillowWriter
from playwright.sync_api import Page, sync_playwright

from cloudtrainer.analysis import analyze
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
# The commands of docs/tutorial.md.
PRACTICE = ["--frames", "300", "--particles", "60"]
CONDITIONS = {"control": "0.5", "gel": "0.3"}
VIDEOS_EACH = 3
SHOWN_FRAMES, TAIL_FRAMES, SIDE_PX = 40, 15, 280
# Distinct to colour-blind eyes: Okabe and Ito.
COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7"]


def simulate(path: Path, *options: str) -> None:
    """Simulate a video as the tutorial does."""
    command("simulate", "-o", str(path), *options)
    path.with_name(path.name.replace(".ome.tif", "_particles.csv")).unlink()


def command(*words: str) -> None:
    """Run the command line."""
    code = "from cloudtrainer.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *words], check=True)


def make_workspace(root: Path) -> Workspace:
    """Return a workspace with the practice video, and analyses in two conditions."""
    place = Workspace.create(root / "DeepTrack_Studio")
    simulate(place.videos / "practice.ome.tif", *PRACTICE)
    seed = 100
    for condition, D in CONDITIONS.items():
        for number in range(1, VIDEOS_EACH + 1):
            seed += 1
            path = place.videos / f"{condition}_{number}.ome.tif"
            simulate(path, "--frames", "120", "--D-um2-per-s", D, "--seed", str(seed))
            analyze(path, place.results / f"{condition}_{number}")
    return place


@contextmanager
def served(place: Workspace) -> Iterator[Page]:
    """Serve the page of a workspace, and open it."""
    code = "from cloudtrainer.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "studio", str(place.root), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        with sync_playwright() as run:
            browser = run.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(address)
            yield page
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)


def open_part(page: Page, name: str) -> None:
    """Open a part of the page, and wait until it is drawn."""
    page.locator(".bk-tab", has_text=name).click()
    page.wait_for_timeout(4000)


def photograph(page: Page, name: str) -> None:
    """Write what is seen of the page."""
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / f"{name}.png")
    print(name, flush=True)


def photograph_parts(page: Page) -> None:
    """Go through the page as the tutorial does."""
    page.get_by_text("practice.ome.tif").first.click()
    photograph(page, "data")
    open_part(page, "Label")
    page.get_by_label("Video").locator("visible=true").first.select_option("practice.ome.tif")
    page.get_by_text("proposals of the bundled model").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    photograph(page, "label")
    open_part(page, "Train")
    photograph(page, "train")
    open_part(page, "Analyse")
    page.get_by_label("Video").locator("visible=true").first.select_option("practice.ome.tif")
    page.get_by_text("particles in frame 0").first.wait_for(timeout=60_000)
    page.wait_for_timeout(6000)
    photograph(page, "analyse")
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.get_by_text("done, see Results below").first.wait_for(timeout=300_000)
    heading = page.get_by_text("Results of practice.ome.tif").first
    heading.evaluate("one => one.scrollIntoView()")
    page.wait_for_timeout(6000)
    photograph(page, "results")
    open_part(page, "Compare")
    give_conditions(page)
    photograph(page, "compare")


def give_conditions(page: Page) -> None:
    """Mark the videos of each condition, and name it."""
    for condition in CONDITIONS:
        for number in range(1, VIDEOS_EACH + 1):
            row = page.locator(".tabulator-row:visible", has_text=f"{condition}_{number}")
            row.locator("input[type=checkbox]").check()
        page.get_by_label("Condition").locator("visible=true").first.fill(condition)
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Give to marked").click()
        page.wait_for_timeout(3000)
    page.wait_for_timeout(5000)


def film_of_tracks(video: Path, results: Path) -> None:
    """Write an animation of the tracks over the frames."""
    frames = Video(video).frames(0, SHOWN_FRAMES)
    tracks = pd.read_csv(results / "tracks.csv")
    figure, axes = plt.subplots(figsize=(SIDE_PX / 100, SIDE_PX / 100), dpi=100)
    figure.subplots_adjust(0, 0, 1, 1)
    axes.axis("off")
    low, high = frames.min(), 0.8 * frames.max()
    picture = axes.imshow(frames[0], cmap="gray", vmin=low, vmax=high)
    lines = {
        particle: axes.plot([], [], lw=1.4, color=COLOURS[int(particle) % len(COLOURS)])[0]
        for particle in tracks["particle"].unique()
    }

    def draw(number: int) -> list[object]:
        picture.set_data(frames[number])
        now = tracks[tracks["frame"].between(number - TAIL_FRAMES, number)]
        alive = now.loc[now["frame"] == number, "particle"]
        for particle, line in lines.items():
            tail = now[now["particle"] == particle] if particle in alive.to_numpy() else now[:0]
            line.set_data(tail["x"], tail["y"])
        return [picture, *lines.values()]

    film = FuncAnimation(figure, draw, frames=len(frames), blit=True)
    film.save(PICTURES / "tracks.webp", writer=PillowWriter(fps=12), dpi=100)
    plt.close(figure)
    print("tracks", flush=True)


def main() -> None:
    """Make all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab_") as folder:
        place = make_workspace(Path(folder))
        with served(place) as page:
            photograph_parts(page)
        film_of_tracks(place.videos / "practice.ome.tif", place.results / "practice")


if __name__ == "__main__":
    main()

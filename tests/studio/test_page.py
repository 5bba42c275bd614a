"""The page in a real browser: from the first look to a result, and what is refused."""

import base64
import json
import re
import urllib.error
import urllib.request
import zipfile
from urllib.parse import urlsplit

import pytest
from small_lab import wait_until, write_video

from cloudtrainer.annotations import read_labels
from cloudtrainer.studio import jobs

pytestmark = pytest.mark.slow


def part(page, name):
    page.locator(".bk-tab", has_text=name).click()
    return page


def status(page, pattern, seconds=90):
    page.get_by_text(re.compile(pattern)).first.wait_for(timeout=1000 * seconds)


def test_data_are_listed_looked_at_and_added(served, place, tmp_path):
    there = place.videos / "<img src=x onerror=alert(2)>.tif"
    write_video(there, seed=6, frames=1)
    page = served.open()
    page.get_by_text(there.name).first.click()
    status(page, "No labels")
    page.get_by_text("beads.tif").first.click()
    status(page, r"\d+ labels in frame 0")
    assert "token" not in page.url
    nasty = tmp_path / "<img src=x onerror=alert(1)> 'mü' ☃.tif"
    truth = write_video(nasty, seed=5, frames=4)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Send files from this computer").click()
    chooser.value.set_files(str(nasty))
    status(page, "4 frames of 128 x 128 px")
    (there,) = [path for path in place.videos.iterdir() if "☃" in path.name]
    assert there.read_bytes() == nasty.read_bytes()
    assert page.locator("img[src='x']").count() == 0
    labels = tmp_path / f"{there.stem}_particles.csv"
    truth.to_csv(labels, index=False)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Send files from this computer").click()
    chooser.value.set_files(str(labels))
    status(page, f"{len(truth)} labels")
    assert (place.annotations / labels.name).is_file()
    # The same name again, and what is no video: said on the page, and nothing is kept.
    for path, pattern in ((nasty, "already"), (tmp_path / "fake.tif", "fake.tif")):
        path.exists() or path.write_bytes(b"not a tiff at all")
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Send files from this computer").click()
        chooser.value.set_files(str(path))
        page.get_by_role("alert").filter(has_text=pattern).wait_for()
    assert not (place.videos / "fake.tif").exists()
    assert not [path for path in place.videos.iterdir() if path.name.startswith(".")]
    # The browser tells of each refused upload as an error of its own.
    served.complaints[:] = [
        one for one in served.complaints if "409" not in one and "415" not in one
    ]


_DROP = """([files]) => {
    const dropped = new DataTransfer();
    for (const [name, text] of files) {
        const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
        dropped.items.add(new File([bytes], name));
    }
    return dropped;
}"""


def test_parts_and_videos_are_chosen_by_the_keyboard_alone(served):
    page = served.open()
    page.get_by_text("unlabelled.tif").first.wait_for()
    page.get_by_role("button", name="Simulate a twin").wait_for()
    page.get_by_role("button", name="Look again").focus()
    page.keyboard.press("Tab")
    # From beads.tif over a file that is no video.
    for key in ("ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(300)
    status(page, "No labels", 20)
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Simulate a twin").and_(page.locator(":focus")).wait_for()
    page.locator(".bk-tab", has_text="Analyse").focus()
    page.keyboard.press("Enter")
    status(page, r"\d+ particles in frame 0")
    assert (
        page.get_by_label("Video", exact=True).locator("option:checked").inner_text()
        == "unlabelled.tif"
    )


def drop(page, files):
    """Drop files, (name, content), on the page."""
    as_text = [[name, base64.b64encode(content).decode()] for name, content in files]
    dropped = page.evaluate_handle(_DROP, [as_text])
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    page.get_by_text("Drop videos, labels and models here").wait_for()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})


def test_several_files_are_dropped_and_another_tab_sees_them(served, place, tmp_path):
    page, other = served.open(), served.open()
    for tab in (page, other):
        tab.get_by_text("beads.tif").first.wait_for()
    nasty = '<img src=x onerror=alert(1)> "mü" ☃.tif'
    truth = write_video(tmp_path / "x.tif", seed=5, frames=4)
    video = (tmp_path / "x.tif").read_bytes()
    labels = truth.to_csv(index=False).encode()
    # The labels are sent behind their video, in whatever order they were taken.
    drop(page, [("x_particles.csv", labels), (nasty, video), ("x.tif", video), ("f.tif", b"no")])
    page.get_by_text(f"x_particles.csv: {len(truth)} labels.").first.wait_for()
    for text in ("Added x.tif: 4 frames", "f.tif: not a TIFF file"):
        assert page.get_by_text(text).count() >= 1
    assert page.locator("img[src='x']").count() == 0
    assert (place.annotations / "x_particles.csv").read_bytes() == labels
    # Whatever part is open, the list of what was sent stays until it is closed.
    part(page, "Models")
    drop(page, [("bad.pth", b"no model"), ("beads.tif", video)])
    page.get_by_role("alert").filter(has_text="no model at all").wait_for()
    page.get_by_text("beads.tif: a file of this name is in videos already").first.wait_for()
    page.get_by_role("button", name="Close").click()
    other.get_by_text("x.tif", exact=True).first.wait_for()
    # Both tabs send the same name: one of them is told.
    for tab in (page, other):
        drop(tab, [("both.tif", video)])
    for tab in (page, other):
        tab.get_by_text(re.compile("both.tif: (4 frames|.*already)")).first.wait_for()
    assert (place.videos / "both.tif").read_bytes() == video
    assert not [path for path in place.videos.iterdir() if path.name.startswith(".")]
    served.complaints[:] = [
        one for one in served.complaints if "409" not in one and "415" not in one
    ]


def test_a_twin_stands_beside_its_video_and_can_be_learned(served, place):
    page = served.open()
    page.get_by_text("unlabelled.tif").first.click()
    status(page, "No labels")
    page.get_by_role("button", name="Simulate a twin").click()
    status(page, "its twin, simulated at the same contrast", 120)
    status(page, "bright ones found in a frame")
    page.get_by_role("button", name="Train on this twin").click()
    chosen = page.get_by_label("Train on").locator("option:checked")
    wait_until(lambda: chosen.inner_text().endswith("the twin of unlabelled.tif"), 20)
    page.wait_for_url("**part=2*")
    page.reload()
    page.get_by_label("Train on").wait_for()
    wait_until(lambda: chosen.inner_text() == "the labelled videos", 20)
    part(page, "Data")
    page.get_by_text("unlabelled.tif", exact=True).first.click()
    page.get_by_role("button", name="Show its twin").click()
    status(page, "its twin, simulated at the same contrast")
    page.get_by_role("button", name="Back to the list").click()
    page.get_by_text("beads.tif").first.wait_for()


# Where a position in the frame that is labelled lies on the screen.
_ON_SCREEN = """
([x, y]) => {
  const views = [...Bokeh.index.roots];
  for (const view of views) { views.push(...(view.children?.() ?? [])); }
  const tools = (view) => view.model.toolbar?.tools ?? [];
  const view = views.find((one) => tools(one).some((tool) => tool.type == 'PointDrawTool'));
  const {left, top} = view.canvas_view.el.getBoundingClientRect();
  return [left + view.frame.x_scale.compute(x), top + view.frame.y_scale.compute(y)];
}
"""


def test_labels_are_added_dragged_and_removed_on_the_frame(served, place):
    labels = place.annotations / "beads_particles.csv"
    original = labels.read_bytes()

    def in_frame(number):
        table = read_labels(labels)
        return {tuple(row) for row in table[table["frame"] == number][["x", "y"]].round(3).values}

    def on_screen(x, y):
        return page.evaluate(_ON_SCREEN, [x, y])

    before = in_frame(0)
    selected, dragged = sorted(before)[:2]
    page = served.open()
    page.get_by_text("beads.tif").first.wait_for()
    part(page, "Label")
    status(page, rf"Frame 0: {len(before)} labels")
    # The second one comes so soon that Bokeh takes it for half of a double click.
    for place_px in ((50, 90), (20, 85)):
        page.mouse.click(*on_screen(*place_px))
    wait_until(lambda: len(in_frame(0)) == len(before) + 2)
    added = in_frame(0) - before
    assert sorted(added) == [
        pytest.approx((20, 85), abs=0.5), pytest.approx((50, 90), abs=0.5)
    ]  # fmt: skip
    assert (place.annotations / "originals" / labels.name).read_bytes() == original
    # A drag moves what it begins at, and nothing that was selected before.
    page.mouse.click(*on_screen(*selected))
    page.mouse.move(*on_screen(*dragged))
    page.mouse.down()
    page.mouse.move(*on_screen(dragged[0] + 6, dragged[1] + 3), steps=6)
    page.mouse.up()
    wait_until(lambda: dragged not in in_frame(0))
    (moved,) = in_frame(0) - before - added
    assert moved == pytest.approx((dragged[0] + 6, dragged[1] + 3), abs=0.5)
    assert selected in in_frame(0)
    page.mouse.click(*on_screen(*selected))
    page.keyboard.press("Delete")
    wait_until(lambda: selected not in in_frame(0))
    assert len(in_frame(0)) == len(before) + 1
    page.keyboard.press("ArrowRight")
    status(page, r"Frame 1: \d+ labels")
    for _ in range(4):
        page.keyboard.press("Control+z")
    wait_until(lambda: in_frame(0) == before)
    status(page, r"Frame 0: \d+ labels")
    # Proposals of a video without labels become labels when they are accepted, not before.
    page.locator("select").first.select_option(label="unlabelled.tif")
    status(page, r"Frame 0: no labels; training leaves it alone. \d+ proposals")
    new = place.annotations / "unlabelled_particles.csv"
    assert not new.exists()
    page.get_by_role("button", name="Accept all proposals").click()
    wait_until(lambda: new.exists() and len(read_labels(new)) > 5)
    part(page, "Data")
    page.get_by_text(re.compile(r"\d+ on 1 frame")).wait_for()


def test_a_training_is_started_reloaded_stopped_and_continued(served, place):
    page = served.open()
    part(page, "Train")
    page.get_by_label("Epochs", exact=True).fill("0")
    page.get_by_label("Epochs", exact=True).press("Enter")
    page.get_by_text("Must be greater than or equal to 1").first.wait_for()
    page.get_by_label("Preset").select_option("quick look on a CPU")
    for name, value in (("Epochs", "40"), ("Steps per epoch", "12"), ("Batch size", "2")):
        page.get_by_label(name, exact=True).fill(value)
        page.get_by_label(name, exact=True).press("Enter")
    page.get_by_role("button", name="Start").click()
    status(page, r"epoch \d+ of 40")
    status(page, r"On held-out data: loss", 120)
    first = jobs.newest(place, "training")
    # The reloaded page opens where it was.
    page.reload()
    status(page, r"epoch \d+ of 40")
    assert page.get_by_label("Steps per epoch", exact=True).input_value() == "12"
    page.get_by_role("button", name="Stop").click()
    status(page, "^Stopped")
    assert first.state == "stopped"
    epochs = len(first.progress["history"]["val_loss"])
    page.get_by_role("button", name="Start").click()
    status(page, r"epoch \d+ of 40")
    second = jobs.newest(place, "training")
    wait_until(lambda: len(second.progress.get("history", {}).get("val_loss", [])) > epochs)
    assert "Continuing the interrupted run" in second.log
    page.get_by_role("button", name="Stop").click()
    status(page, "^Stopped")


def test_a_video_is_analysed_and_its_results_are_taken_along(served, place, tmp_path):
    page = served.open()
    page.get_by_text("beads.tif").first.wait_for()
    part(page, "Analyse")
    status(page, r"\d+ particles in frame 0 \(the model's own threshold\)")
    # A reloaded page opens there again, and nothing is told to the browser too early.
    page.reload()
    status(page, r"\d+ particles in frame 0 \(the model's own threshold\)")

    def count():
        return int(re.search(r"(\d+) particles in frame", page.content_text()).group(1))

    page.content_text = lambda: page.get_by_text(re.compile("particles in frame")).inner_text()
    before = count()
    handle = page.locator(".noUi-handle").nth(3)
    handle.focus()
    for _ in range(12):
        handle.press("ArrowRight")
    wait_until(lambda: "the model's own threshold is" in page.content_text(), 20)
    for _ in range(60):
        handle.press("ArrowRight")
    wait_until(lambda: count() < before, 20)
    # The linking range, too, with its links over the frame.
    status(page, r"\d+ links up to")
    from_data = page.locator("input[type=checkbox]:visible")
    assert from_data.is_checked()
    handle = page.locator(".noUi-handle").nth(4)
    handle.focus()
    handle.press("End")
    wait_until(lambda: not from_data.is_checked(), 20)
    status(page, r"times the distance to the nearest neighbour")
    page.get_by_text("Material and medium").click()
    page.get_by_label("Temperature [°C]", exact=True).fill("25")
    page.get_by_label("Temperature [°C]", exact=True).press("Enter")
    page.get_by_role("button", name="Analyse").click()
    status(page, "the temperature says nothing of D alone")
    page.get_by_label("Radius of the particles [um]", exact=True).fill("0.1")
    page.get_by_label("Radius of the particles [um]", exact=True).press("Enter")
    page.get_by_role("button", name="Analyse").click()
    status(page, "done, see Results below", 180)
    page.get_by_text("Open the report").wait_for()
    (folder,) = place.results.iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["config"]["threshold"] > 0.5
    assert summary["config"]["search_range_px"] == 40
    assert summary["material"]["temperature_K"] == 298.15
    shown = {
        "MSD": "tracks are drawn", "D of particles": "tracks of 20 frames",
        "alpha of particles": "tracks of 20 frames", "Numbers": "Quantity",
        "Particles": "Kind of motion", "Pictures": "Correlations",
    }  # fmt: skip
    for name, pattern in shown.items():
        page.locator(".bk-tab", has_text=re.compile(f"^{name}$")).click()
        status(page, pattern)
    page.locator(".bk-tab", has_text="Over the video").click()
    status(page, r"Frame 0, 0 s, \d+ measured tracks")
    page.get_by_role("button", name="Play").click()
    status(page, r"of 30 frames a second are drawn")
    status(page, r"Frame 29, .* measured tracks\.$")
    page.get_by_role("button", name="Play").wait_for()
    with page.expect_popup() as popup:
        page.get_by_text("Open the report").click()
    popup.value.get_by_text("Diffusion in beads.tif").first.wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download everything").click()
    download.value.save_as(tmp_path / "all.zip")
    names = zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert {f"{folder.name}/report.html", f"{folder.name}/tracks.csv"} <= set(names)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?token=",
        "/?token=wrong",
        "/static/js/bokeh.min.js",
        "/results/x",
        "/zip/models/x.zip",
    ],
)
def test_nothing_is_given_without_the_token(served, path):
    base = "{0.scheme}://{0.netloc}".format(urlsplit(served.address))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(base + path)
    assert refused.value.code == 403
    assert b"token" in refused.value.read()


def test_a_websocket_and_an_upload_without_the_token_are_refused(served, place):
    base = "{0.scheme}://{0.netloc}".format(urlsplit(served.address))
    asked = urllib.request.Request(
        f"{base}/ws",
        headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Origin": base,
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "bokeh",
        },
    )  # fmt: skip
    upload = urllib.request.Request(
        f"{base}/upload?name=new.csv", data=b"frame,x,y\n", headers={"X-Cloudtrainer": "upload"}
    )
    for request in (asked, upload):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403
    assert not (place.annotations / "new.csv").exists()

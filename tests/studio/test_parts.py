"""The parts of the page without a browser: what they show for what is done to them."""

import asyncio
import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from small_lab import wait_until

import cloudtrainer
from cloudtrainer.config import Config
from cloudtrainer.detector import load_model
from cloudtrainer.errors import CalibrationError, VideoError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.analysis_part import AnalysisPart
from cloudtrainer.studio.cost import Measured, expected, in_words, work_a_pixel
from cloudtrainer.studio.curves import Curves
from cloudtrainer.studio.data_part import DataPart
from cloudtrainer.studio.frame_view import FrameView, shown_pixels
from cloudtrainer.studio.models_part import ModelsPart
from cloudtrainer.studio.preview import Preview
from cloudtrainer.studio.result_view import ResultView
from cloudtrainer.studio.training_part import TrainingPart
from cloudtrainer.studio.uploads import Uploads
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace


@pytest.fixture
def asked(monkeypatch):
    """Keep what is asked of jobs, and start no process."""
    kept = []
    monkeypatch.setattr(
        jobs, "start", lambda place, kind, wanted: kept.append((kind, wanted)) or kept
    )
    return kept


# The list and its frames


def test_a_chosen_video_shows_its_frames_and_labels(place):
    data = DataPart(place)
    data.refresh()
    assert data.table.value["video"].tolist() == ["beads.tif", "notes.doc", "unlabelled.tif"]
    labels = pd.read_csv(place.annotations / "beads_particles.csv")
    for number in (0, 7):
        data.frame.value = number
        here = labels[labels["frame"] == number]
        assert np.allclose(np.sort(data.view.labels.data["x"]), np.sort(here["x"]), atol=1e-4)
        shown = data.view._image.data["image"][0]
        assert np.array_equal(shown, Video(place.videos / "beads.tif").frames(number)[0])
    data.select("unlabelled.tif")
    assert len(data.view.labels.data["x"]) == 0
    assert "No labels" in data.about.object


def test_an_empty_list_says_how_videos_get_into_it(tmp_path):
    data = DataPart(Workspace.create(tmp_path), uploads=Uploads("/send"))
    data.refresh()
    assert "drop files anywhere on this page" in data.said.object
    plain = DataPart(Workspace.open(tmp_path))
    plain.refresh()
    assert "No videos yet: add some above" in plain.said.object


def test_a_path_that_is_wrong_is_told_and_one_that_is_right_is_added(place, tmp_path):
    data = DataPart(place)
    data.path.value = "/nowhere/<b>.tif"
    asyncio.run(data.add_from_path())
    assert "no such file" in data.said.object
    assert "<b>" not in data.said.object
    (place.videos / "beads.tif").rename(tmp_path / "moved.tif")
    data.path.value = str(tmp_path / "moved.tif")
    asyncio.run(data.add_from_path())
    assert "Added moved.tif: 30 frames" in data.said.object
    assert "moved.tif" in data.table.value["video"].tolist()


def test_what_cannot_be_opened_says_when_chosen_what_to_do(place):
    data = DataPart(place)
    data.refresh()
    assert data.table.value["state"][1] == (
        "notes.doc: videos with the extension .doc are not supported"
    )
    data.select("notes.doc")
    assert "use a folder of images or one of .tif" in data.trouble.object
    assert str(place.root) not in data.trouble.object
    assert not data._frames.visible
    data.select("beads.tif")
    assert data.trouble.object == ""


def test_a_dim_16_bit_video_colours_and_a_folder_are_seen_as_well(place):
    video = Video(place.videos / "beads.tif").frames(0, 5)
    dim = (1000 + video / 8).astype(np.uint16)
    tifffile.imwrite(place.videos / "dim.tif", dim)
    colours = np.stack([video, video // 2, video // 4], axis=-1).astype(np.uint8)
    tifffile.imwrite(
        place.videos / "rgb.tif", colours, photometric="rgb", resolution=(72, 72),
        resolutionunit="INCH",
    )  # fmt: skip
    (place.videos / "series").mkdir()
    for number, frame in enumerate(dim):
        tifffile.imwrite(place.videos / "series" / f"{number}.tif", frame)
    data = DataPart(place)
    data.refresh()
    rows = data.table.value.set_index("video")
    for name in ("dim.tif", "rgb.tif", "series"):
        assert rows["size"][name] == "128 x 128 px, 5 frames"
        picture = base64.b64decode(rows["picture"][name].partition(",")[2])
        grey = np.asarray(Image.open(io.BytesIO(picture)))
        # Neither black nor white: its own contrast, whatever the range of its type.
        assert 40 < grey.mean() < 200
        assert grey.std() > 20
        data.select(name)
        assert data.view._grey.low < data.view._grey.high
    data.select("rgb.tif")
    assert "The print resolution is 72 dpi" in data.about.object
    data.select("dim.tif")
    assert 1000 < data.view._grey.low < data.view._grey.high < 1060


def test_without_a_frame_there_are_no_axes():
    view = FrameView()
    assert not view.figure.visible
    view.show_video(Video(np.zeros((1, 30, 50))))
    assert view.figure.visible


def test_a_video_that_is_chosen_in_the_list_is_told_once_and_a_new_one_is_chosen(place):
    data, told = DataPart(place), []
    data.on_choice(lambda path: told.append(path.name))
    data.refresh()
    data.select("notes.doc")
    data.select("unlabelled.tif")
    data.refresh()
    assert told == ["beads.tif", "unlabelled.tif"]
    shutil.copy(place.videos / "beads.tif", place.videos / "a.tif")
    asyncio.run(data.refresh_aside(["a_particles.csv", "a.tif"]))
    assert told == ["beads.tif", "unlabelled.tif", "a.tif"]


def test_row_0_is_at_the_top_and_the_centre_of_a_pixel_is_its_number():
    view = FrameView()
    view.show_video(Video(np.zeros((1, 30, 50))))
    assert (view.figure.x_range.start, view.figure.x_range.end) == (-0.5, 49.5)
    assert (view.figure.y_range.start, view.figure.y_range.end) == (29.5, -0.5)
    data = view._image.data
    assert (data["x"], data["y"], data["dw"], data["dh"]) == ([-0.5], [-0.5], [50], [30])


def test_a_large_frame_is_shown_by_means_of_blocks():
    frame = np.arange(3000 * 2000, dtype=np.uint16).reshape(3000, 2000) % 7
    small = shown_pixels(frame)
    assert small.shape == (1000, 666)
    assert small[3, 5] == pytest.approx(frame[9:12, 15:18].mean())


def test_contrast_limits_are_those_of_the_slider():
    view = FrameView()
    view.show_video(Video(np.random.default_rng(0).normal(100, 5, (2, 32, 32))))
    view.contrast.value = (90.0, 120.0)
    assert (view._grey.low, view._grey.high) == (90.0, 120.0)


# The threshold over the frames


def test_the_preview_finds_what_the_detector_finds_at_any_threshold(place):
    video, model = Video(place.videos / "beads.tif"), load_model()
    preview = Preview(video, model)
    frame = video.frames(3, 4)
    for threshold in (0.1, 0.5, 0.9):
        alone = model.detect(frame, threshold=threshold, fit=False)
        found = preview.find(3, threshold)
        assert len(found) == len(alone) > 0
        assert np.allclose(found[["x", "y"]], alone[["x", "y"]])
    assert preview.knows(3)
    assert not preview.knows(4)


def test_the_threshold_moves_the_circles_and_enters_the_analysis(place, asked):
    part = AnalysisPart(place)
    part.show_models()
    part.show_videos(place.video_files())
    part.look()
    own = load_model().threshold
    assert part.found.threshold.value == pytest.approx(own, abs=0.005)
    many = len(part.found.view.detections.data["x"])
    part.start()
    assert asked[-1][1]["config"]["analysis"]["threshold"] is None
    part.found.threshold.value = 0.99
    assert len(part.found.view.detections.data["x"]) < many
    count = len(part.found.view.detections.data["x"])
    assert f"{count} particles in frame 0" in part.found.count.object
    part.form.widgets["analysis.memory_frames"].value = "1"
    part.given.widgets["exposure_s"].value = "0.01"
    part.start()
    kind, wanted = asked[-1]
    assert kind == "analysis"
    assert wanted["config"]["analysis"]["threshold"] == 0.99
    assert wanted["config"]["analysis"]["memory_frames"] == 1
    assert wanted["given"] == {"exposure_s": 0.01}
    assert wanted["model"] is None


def test_results_of_one_video_do_not_overwrite_each_other(place, asked):
    part = AnalysisPart(place)
    part.show_videos(place.video_files())
    part.start()
    (place.results / "beads").mkdir()
    part.start()
    assert [wanted["out"].rsplit("/", 1)[1] for _, wanted in asked] == ["beads", "beads_2"]


def test_two_that_run_and_wait_get_folders_of_their_own(place):
    part = AnalysisPart(place)
    part.show_videos(place.video_files())
    with jobs.turn(place):
        first, second = part.start(), part.start()
        assert part.status.object.count("beads.tif: ") == 2
        assert Path(first.request["out"]).name == "beads"
        assert Path(second.request["out"]).name == "beads_2"
        for job in (second, first):
            part.stop_button.clicks += 1
            assert job.stop_is_asked
            wait_until(lambda job=job: job.state == "stopped")
            part.refresh()
    assert "nothing was kept" in part.status.object


@pytest.mark.parametrize("text", ["0", "-1", "abc", "nan", "inf"])
def test_a_calibration_that_cannot_be_right_is_refused(place, asked, text):
    part = AnalysisPart(place)
    part.show_videos(place.video_files())
    part.given.widgets["pixel_size_um"].value = text
    with pytest.raises(CalibrationError, match="Pixel size"):
        part.start()
    part.start_button.clicks += 1
    assert "Pixel size" in part.said.object
    assert asked == []


def test_without_a_video_there_is_nothing_to_analyse(place, asked):
    part = AnalysisPart(place)
    part.show_videos([])
    with pytest.raises(VideoError, match="Choose"):
        part.start()


def summary(**more):
    entry = {"value": 0.4, "low": 0.3, "high": 0.5, "unit": "um^2/s"}
    measured = {
        "D_um2_per_s": entry, "alpha": None, "motion_type": "Undetermined", "tracks": 12,
        "particles_per_frame": 3.25,
    }  # fmt: skip
    return {"measured": measured, "warnings": [], "video": {"name": "beads.tif"}, **more}


def test_results_show_numbers_and_warnings_as_text(tmp_path):
    folder = tmp_path / "a'b <i>"
    folder.mkdir()
    told = summary(warnings=["<script>1</script>", "D would be 2 um^2/s."])
    told["measured"]["motion_model_because"] = "alpha does not differ from 1 at the 1% level."
    (folder / "summary.json").write_text(json.dumps(told))
    view = ResultView(tmp_path, linked=True)
    view.show(folder)
    shown = view.numbers.object
    assert "0.40 µm²/s (95%: 0.30 to 0.50)" in shown
    assert "not estimated" in shown
    assert "Undetermined" in shown
    assert "Motion: alpha does not differ from 1" in shown
    assert "<script>" not in shown
    assert "D would be 2 µm²/s." in shown
    assert "a%27b%20%3Ci%3E/report.html" in shown


def test_a_damaged_summary_is_told(tmp_path):
    (tmp_path / "summary.json").write_text("{")
    view = ResultView(tmp_path, linked=False)
    view.show(tmp_path)
    assert "cannot be read" in view.numbers.object


# What a training takes


def measured(config, seconds=0.5):
    work = work_a_pixel(config) * config.training.batch_size * config.training.crop_px**2
    return Measured(
        seconds_a_step=seconds, seconds_a_validation=0.0, memory_mb=600.0, memory_before_mb=400.0,
        start_s=10.0, work=work, work_a_pixel=work_a_pixel(config), device="1 core",
        settings={},
    )  # fmt: skip


def test_time_grows_with_steps_networks_and_pixels_and_memory_with_pixels():
    config = Config.from_dict({"training": {"epochs": 10, "steps_per_epoch": 20}})
    base = measured(config)
    cost = expected(config, base)
    assert cost.seconds == pytest.approx(10 + 10 * 20 * 0.5)
    assert cost.memory_mb == pytest.approx(600)
    config.training.ensemble = 3
    assert expected(config, base).seconds == pytest.approx(10 + 3 * 10 * 20 * 0.5)
    config.training.ensemble = 1
    config.training.crop_px *= 2
    doubled = expected(config, base)
    assert doubled.seconds == pytest.approx(10 + 4 * 10 * 20 * 0.5)
    assert doubled.memory_mb == pytest.approx(400 + 4 * 200)
    assert "scaled from other settings" in str(doubled)


def test_a_wider_network_has_more_work_by_the_rule_of_convolutions():
    # At each level: one convolution from the channels before, three of the level's own.
    config = Config.from_dict({"model": {"architecture": "unet", "unet_channels": [8]}})
    assert work_a_pixel(config) == 9 * (1 * 8 + 3 * 8 * 8)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (75, "75 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_the_cost_follows_the_form_and_a_wrong_value_stops_the_start(place, asked):
    part = TrainingPart(place)
    assert "Measure a few steps" in part.cost.object
    part.measured = measured(part.form.config)
    part.form.widgets["training.epochs"].value = "1"
    first = part.cost.object
    assert "A run takes about" in first
    part.form.widgets["training.epochs"].value = "1000"
    assert part.cost.object != first
    part.form.widgets["training.epochs"].value = "0"
    assert part.start_button.disabled
    assert "Correct the settings" in part.cost.object
    part.start_button.clicks += 1
    assert asked == []
    assert "training.epochs" in part.said.object


def test_curves_show_gaps_where_a_score_is_missing():
    curves = Curves()
    curves.show({})
    assert not curves.pane.visible
    curves.show({"val_loss": [1.0, 0.5], "val_rmse_px": [None, 0.3]})
    assert curves.pane.visible
    assert curves.source.data["epoch"] == [1.0, 2.0]
    assert np.isnan(curves.source.data["val_rmse_px"][0])
    assert np.isnan(curves.source.data["train_f1"]).all()


# Models


def copy_bundled(to, **metadata):
    """Copy the bundled model; what is given takes the place of what its metadata say."""
    shutil.copytree(Path(cloudtrainer.__file__).parent / "models" / "default", to)
    values = json.loads((to / "metadata.json").read_text(encoding="utf-8")) | metadata
    (to / "metadata.json").write_text(json.dumps(values), encoding="utf-8")
    return to


def test_models_are_listed_and_another_is_made_current(place):
    models = ModelsPart(place)
    models.refresh()
    assert "No models yet" in models.about.object
    for version in ("v_20260101_000000", "v_20260102_000000"):
        copy_bundled(place.models / version)
    place.set_current("v_20260102_000000")
    models.refresh()
    assert models.table.value["version"].tolist() == ["v_20260102_000000", "v_20260101_000000"]
    assert models.make_current.disabled
    models.table.selection = [1]
    assert "v_20260101_000000.zip" in models.download.object
    assert "particle" in models.card.object
    models.make_current.clicks += 1
    assert place.current_model().name == "v_20260101_000000"
    part = AnalysisPart(place)
    part.show_models()
    assert next(iter(part.model.options)) == "current model (v_20260101_000000)"
    assert part.model.value == str(place.models / "v_20260101_000000")


def test_scores_are_shown_by_video(place):
    by_video = {
        "<b>.tif": {"f1": 0.9, "precision": 0.95, "recall": 0.85, "rmse_px": 0.2},
        "blank.tif": {"f1": 0.0, "precision": 0.0, "recall": 0.0, "rmse_px": 2.0},
        "damaged.tif": None,
    }
    copy_bundled(place.models / "v_20260101_000000", scores_by_video=by_video)
    copy_bundled(place.models / "v_20250101_000000", scores_by_video=None)
    models = ModelsPart(place)
    models.refresh()
    rows = models.scores.value.to_dict("records")
    assert [row["video"] for row in rows] == ["<b>.tif", "blank.tif"]
    assert (rows[0]["f1"], rows[0]["rmse_px"]) == ("0.900", "0.200")
    assert rows[1]["rmse_px"] == "nothing found"
    models.table.selection = [1]
    assert not models.scores.visible
    assert "keeps no scores by video" in models.about_scores.object


def test_a_model_is_added_by_its_path_and_a_bad_one_is_told(place, tmp_path):
    copy_bundled(tmp_path / "v_20260101_000000")
    (tmp_path / "<b>.pth").write_text("no model")
    models = ModelsPart(place)
    for given, said in (
        ("", "Give the path"), ("/nowhere/<i>.zip", "no such file"),
        (str(tmp_path / "<b>.pth"), "no model at all"), (str(place.root), "it is a workspace"),
        (f' "{tmp_path / "v_20260101_000000"}" ', "it is the current one, for there was none"),
    ):  # fmt: skip
        models.path.value = given
        asyncio.run(models.add_from_path())
        assert said in models.said.object
        assert "<b>" not in models.said.object
        assert "<i>" not in models.said.object
    assert models.table.value["version"].tolist() == ["v_20260101_000000"]
    assert models.path.value == ""


def test_a_preview_of_another_video_or_model_is_never_drawn(place):
    part = AnalysisPart(place)
    part.show_models()
    part.show_videos([place.videos / "beads.tif", place.videos / "unlabelled.tif"])
    part.look()
    assert len(part.found.view.detections.data["x"])
    # The model was still looking at the first video when the second one was chosen.
    part.video.value = place.videos / "unlabelled.tif"
    part.found._draw(0)
    assert len(part.found.view.detections.data["x"]) == 0
    part.look()
    alone = Preview(Video(place.videos / "unlabelled.tif"), load_model())
    found = alone.find(0, part.found.threshold.value)
    assert np.allclose(part.found.view.detections.data["x"], found["x"])


def test_a_threshold_moved_by_hand_stays_with_another_model(place):
    part = AnalysisPart(place)
    part.show_videos([place.videos / "beads.tif"])
    part.found._take_threshold(0.4267)
    assert part.found.threshold.value == 0.43
    part.found._take_threshold(0.2)
    assert part.found.threshold.value == 0.2
    part.found.threshold.value = 0.6
    part.found._take_threshold(0.3)
    assert part.found.threshold.value == 0.6


def test_results_of_another_video_are_not_shown_under_the_one_chosen(place):
    for folder, video in (("a", "beads.tif"), ("b", "gone.tif")):
        (place.results / folder).mkdir()
        (place.results / folder / "summary.json").write_text(
            json.dumps(summary(video={"name": video}, calibration={}))
        )
    part = AnalysisPart(place)
    part.show_videos([place.videos / "beads.tif", place.videos / "unlabelled.tif"])
    assert part.results.choice.value == place.results / "a"
    assert "Results of beads.tif" in part.results.result.numbers.object
    part.video.value = place.videos / "unlabelled.tif"
    assert part.results.choice.value is None
    assert not part.results.result.layout.visible
    job = place.logs / "studio" / "analysis_20260101_120000_000000"
    job.mkdir(parents=True)
    asked = {"video": "beads.tif", "out": str(place.results / "a")}
    (job / "request.json").write_text(json.dumps(asked))
    (job / "state.json").write_text(json.dumps({"state": "done"}))
    part.refresh()
    # A finished analysis opens its results, whatever video is chosen now.
    assert part.results.choice.value == place.results / "a"
    assert "beads.tif: done, see Results below" in part.status.object
    part.results.choice.value = place.results / "b"
    part.refresh()
    assert part.results.choice.value == place.results / "b"
    assert "choose a in Results" in part.status.object
    assert "Results of gone.tif" in part.results.result.numbers.object
    assert "in pixels and frames" in part.results.result.numbers.object

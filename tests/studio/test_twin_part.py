"""The twin beside the video, what is said of it, and what a training is asked to learn."""

import asyncio
import json
import time

import numpy as np
import pytest
import tifffile
from small_lab import pretend

from cloudtrainer.studio import jobs
from cloudtrainer.studio.data_part import DataPart
from cloudtrainer.studio.subject import Subject
from cloudtrainer.studio.training_part import TrainingPart
from cloudtrainer.studio.twin_part import _numbers
from cloudtrainer.studio.twin_words import twin_in_words
from cloudtrainer.studio.videos import list_videos
from cloudtrainer.video import Video


def shape(**more):
    return {
        "per_frame": 7.0, "kind": "particle", "in_focus_share": 1.0, "half_width_px": 1.8,
        "amplitude_counts": {"percentile_50": 55.7}, "amplitude_over_noise": 5.42, **more,
    }  # fmt: skip


def measured(**more):
    return {
        "polarity": "bright",
        "background_counts": {"median": 120.0, "percentile_1": 113.6, "percentile_99": 126.3},
        "noise": {
            "sd_counts": 10.3, "gain_counts_per_photon": 0.94, "read_noise_counts": 1.5,
            "smoothed_px": 0.0,
        },
        "particles": {
            "found_per_frame": 14.2, "simulated_per_frame": 15.4,
            "simulated_per_1000_px2": 0.94, "found_in_focus_per_frame": 6.1,
        },
        "focus": None, "shapes": [shape()], "doubts": [], **more,
    }  # fmt: skip


def test_what_was_measured_is_said_with_its_units():
    said = twin_in_words(measured(), 0.1)
    for text in (
        "14.2 bright ones found in a frame", "15.4 are simulated", "0.94 on 1000 px²",
        "half width at half height 1.8 px (0.18 µm)", "56 counts above the background",
        "5.4 times the noise", "120 counts (113.6 to 126.3 over the frame)",
        "10.3 counts", "0.94 counts a photon over a read noise of 1.5 counts",
    ):  # fmt: skip
        assert text in said
    assert "In focus" not in said
    assert "µm" not in twin_in_words(measured())
    dark = twin_in_words(measured(polarity="dark"))
    assert "14.2 dark ones" in dark
    assert "56 counts below the background" in dark


def test_shapes_focus_hot_pixels_and_warnings_are_said_and_text_stays_text():
    shapes = [shape(), shape(half_width_px=4.3), shape(kind="speck", per_frame=3.0)]
    said = twin_in_words(
        measured(shapes=shapes, focus={"peak_counts": 9.0}, doubts=["<b>It flickers."])
    )
    assert "1.8 to 4.3 px; 2 shapes" in said
    assert "6.1 in a frame" in said
    assert "3 in a frame: drawn, not to be found" in said
    assert "Warning: &lt;b&gt;It flickers." in said


@pytest.mark.parametrize("numbers", [{}, measured(shapes=[]), measured(noise=None), {"a": 1}])
def test_damaged_numbers_are_told(numbers):
    assert "cannot be read" in twin_in_words(numbers)


@pytest.fixture
def asked(monkeypatch):
    """Keep what is asked of jobs, and start no process."""
    kept = []

    def start(place, kind, wanted):
        kept.append((kind, wanted))
        return pretend(place, kind, time.time() + len(kept), **wanted)

    monkeypatch.setattr(jobs, "start", start)
    return kept


def simulated(place, name="unlabelled.tif", sha256=None, frames=None, **more):
    """Put the files of a twin there, and the job that made them."""
    video = Video(place.videos / name)
    folder = place.cache / "twins" / name
    folder.mkdir(parents=True)
    numbers = measured(video_sha256=sha256 or video.sha256, **more)
    (folder / "twin.json").write_text(json.dumps(numbers))
    (folder / "twin.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    frames = np.full((3, *video.shape[1:]), 7, np.uint8) if frames is None else frames
    tifffile.imwrite(folder / "twin_frames.tif", frames, photometric="minisblack")
    files = {"numbers": "twin.json", "frames": "twin_frames.tif", "picture": "twin.png"}
    return pretend(
        place, "twin", 5e9, "done", video=str((place.videos / name).resolve()),
        result={kind: str(folder / file) for kind, file in files.items()},
    )  # fmt: skip


def opened(place, name="unlabelled.tif"):
    data = DataPart(place, uploads=None)
    data.refresh()
    data.select(name)
    asyncio.run(data.twin.open_aside())
    return data


def test_a_video_without_a_twin_is_simulated(place, asked, monkeypatch):
    monkeypatch.setattr("panel.state.add_periodic_callback", lambda *_, **__: None)
    data = opened(place)
    ((kind, wanted),) = asked
    assert kind == "twin"
    assert wanted["video"] == str((place.videos / "unlabelled.tif").resolve())
    assert wanted["out"].startswith(str(place.cache.resolve()))
    assert not data.twin.layout.visible
    assert data.twin.button.disabled
    assert "unlabelled.tif: " in data.twin.said.object


def test_video_and_twin_stand_side_by_side_at_the_same_contrast_and_zoom(place):
    frames = np.stack([np.full((100, 90), 10 + n, np.uint8) for n in range(3)])
    simulated(place, frames=frames, doubts=["It flickers."])
    data = opened(place)
    twin = data.twin
    assert twin.layout.visible
    assert not data._list.visible
    assert "It flickers." in twin.words.object
    assert "the middle, 90 x 100 px" in twin.words.object
    real, made = twin._views()
    assert real.figure.x_range is made.figure.x_range
    real.contrast.value = (5.0, 9.0)
    assert (made._grey.low, made._grey.high) == (5.0, 9.0)
    twin.frame.value = 5
    video = Video(place.videos / "unlabelled.tif").frames(5)[0]
    assert np.array_equal(real._image.data["image"][0], video[14:114, 19:109])
    assert (made._image.data["image"][0] == 12).all()
    twin.back.clicks += 1
    assert data._list.visible
    assert twin.button.label == "Show its twin"


def test_a_twin_of_a_video_that_was_replaced_is_simulated_anew(place, asked, monkeypatch):
    monkeypatch.setattr("panel.state.add_periodic_callback", lambda *_, **__: None)
    simulated(place, sha256="0" * 64)
    data = opened(place)
    assert not data.twin.layout.visible
    assert len(asked) == 1


def test_a_twin_whose_files_are_gone_is_simulated_anew(place, asked, monkeypatch):
    monkeypatch.setattr("panel.state.add_periodic_callback", lambda *_, **__: None)
    simulated(place)
    (place.cache / "twins" / "unlabelled.tif" / "twin_frames.tif").unlink()
    opened(place)
    assert len(asked) == 1


def test_why_a_video_has_no_twin_is_told_beside_it_alone(place):
    from cloudtrainer.atomic import write_json

    video = str((place.videos / "unlabelled.tif").resolve())
    job = pretend(place, "twin", 5e9, "failed", video=video)
    write_json(job.folder / "state.json", {"state": "failed", "message": "no <particle>"})
    data = DataPart(place)
    data.refresh()
    data.select("unlabelled.tif")
    assert "no &lt;particle&gt;" in data.twin.said.object
    data.select("beads.tif")
    assert "particle" not in data.twin.said.object


def test_another_tab_sees_a_simulation_and_a_training_that_run(place):
    here, there = DataPart(place), TrainingPart(place)
    here.refresh()
    running = pretend(place, "twin", 4e9, "running", video=str(place.videos / "beads.tif"))
    training = pretend(place, "training", 4e9, "running")
    with running.lock(), training.lock():
        here.twin.refresh()
        assert "beads.tif: measuring it" in here.twin.said.object
        assert here.twin.stop_button.visible
        there.refresh()
        assert not there.stop_button.disabled
        assert "getting ready" in there.status.object
        there.stop_button.clicks += 1
        here.twin.stop_button.clicks += 1
    assert training.stop_is_asked
    assert running.stop_is_asked


# What a training learns


def test_a_twin_is_learned_of_a_video_without_labels(place, asked):
    part = TrainingPart(place)
    part.show_videos(list_videos(place))
    assert list(part.subject.choice.options) == [
        "the labelled videos", "the labelled videos, and the twin of unlabelled.tif",
    ]  # fmt: skip
    part.start()
    assert asked[-1][1]["twins"] == []
    part.train_on(place.videos / "unlabelled.tif")
    part.start()
    video = str((place.videos / "unlabelled.tif").resolve())
    assert asked[-1][1]["twins"] == [video]
    part.train_on(place.videos / "beads.tif")
    assert part.subject.twins == [video]


def test_without_any_label_the_twin_is_what_is_offered_first(place):
    (place.annotations / "beads_particles.csv").unlink()
    subject = Subject()
    assert subject.twins == []
    subject.show_videos(list_videos(place))
    assert list(subject.choice.options) == [
        "simulated scenes of every kind", "the simulated twin of beads.tif",
        "the simulated twin of unlabelled.tif",
    ]  # fmt: skip
    assert subject.twins == [str((place.videos / "beads.tif").resolve())]
    assert "No labels are needed" in subject.about.object
    # What was chosen by hand stays when the list is read again.
    subject.choice.value = ""
    subject.show_videos(list_videos(place))
    assert subject.twins == []


def test_a_reloaded_page_shows_the_twin_that_is_learned(place):
    pretend(place, "training", 4e9, "done", twins=[str(place.videos / "unlabelled.tif")])
    part = TrainingPart(place)
    part.show_videos([])
    part.show_videos(list_videos(place))
    assert part.subject.twins == [str((place.videos / "unlabelled.tif").resolve())]


def test_numbers_of_endless_brackets_are_none(tmp_path):
    (tmp_path / "twin.json").write_text('{"noise": ' + "[" * 100_000)
    assert _numbers({"numbers": tmp_path / "twin.json"}) == {}

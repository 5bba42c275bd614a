"""The file of labels: nothing is written over unseen, lost unsaid, or left half written."""

import json
import os
import shutil

import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels
from cloudtrainer.errors import LabelError
from cloudtrainer.studio.label_file import LabelFile, LabelsChangedError
from cloudtrainer.training.found_videos import find_videos
from cloudtrainer.training.hashes import ContentHashes
from cloudtrainer.video import Video

SPOTS = """<?xml version="1.0" encoding="UTF-8"?>
<TrackMate version="7"><Model spatialunits="pixel" timeunits="sec"><AllSpots>
<SpotsInFrame frame="0">
<Spot ID="1" FRAME="0" POSITION_X="10.5" POSITION_Y="20.25" VISIBILITY="1"/>
</SpotsInFrame></AllSpots></Model>
<Settings><ImageData pixelwidth="1.0" pixelheight="1.0"/></Settings></TrackMate>
"""


def opened(place, name="beads.tif"):
    path = place.videos / name
    videos = [path for path in place.video_files() if path.suffix == ".tif"]
    return LabelFile(place, path, Video(path), videos)


def one_label(x=3.0):
    return pd.DataFrame({"frame": [2], "x": [x], "y": [4.0]})


def originals(place):
    return sorted(path.name for path in (place.annotations / "originals").glob("*"))


def test_a_video_without_labels_gets_the_file_that_the_trainer_reads(place):
    file = opened(place, "unlabelled.tif")
    assert file.read().empty
    file.save(one_label())
    path = place.annotations / "unlabelled_particles.csv"
    assert path.read_text() == "frame,x,y\n2,3.0,4.0\n"
    assert place.labels_of(place.video_files())[file.path] == path
    assert not originals(place)
    assert not file.changed()


def test_the_last_label_gone_the_file_is_gone_and_says_nothing_of_the_video(place):
    file = opened(place, "unlabelled.tif")
    file.read()
    file.save(one_label())
    file.save(one_label().iloc[:0])
    assert not (place.annotations / "unlabelled_particles.csv").exists()
    file.save(one_label(5.0))
    assert len(opened(place, "unlabelled.tif").read()) == 1


def test_a_file_of_other_hands_is_kept_once_before_it_is_written_over(place):
    path = place.annotations / "beads_particles.csv"
    before = path.read_bytes()
    file = opened(place)
    table = file.read()
    assert "annotations/originals" in file.notice
    file.save(table.iloc[1:])
    file.save(table.iloc[2:])
    assert file.notice == ""
    assert (place.annotations / "originals" / path.name).read_bytes() == before
    # In a later session the Studio's own file is not copied again; another's is.
    again = opened(place)
    again.save(again.read().iloc[1:])
    assert originals(place) == ["beads_particles.csv"]
    path.write_text("frame,x,y,who\n0,1,2,me\n")
    again.save(again.read())
    assert originals(place) == ["beads_particles.csv", "beads_particles_2.csv"]
    assert "who" in path.read_text()


def test_other_columns_are_announced_and_kept(place):
    path = place.annotations / "beads_particles.csv"
    path.write_text("frame,x,y,particle,mass\n0,1.5,2,4,10.25\n")
    file = opened(place)
    table = file.read()
    assert "particle, mass" in file.notice
    file.save(table)
    assert path.read_text().splitlines() == ["frame,x,y,particle,mass", "0,1.5,2.0,4,10.25"]


def test_trackmates_file_is_told_and_kept_and_the_csv_takes_its_place(place):
    (place.annotations / "beads_particles.csv").unlink()
    source = place.annotations / "beads_particles.xml"
    source.write_text(SPOTS)
    file = opened(place)
    table = file.read()
    assert "TrackMate XML" in file.notice
    assert "beads_particles.csv" in file.notice
    assert file.target.name == "beads_particles.csv"
    file.save(table)
    assert not source.exists()
    assert (place.annotations / "originals" / source.name).read_text() == SPOTS
    labels = read_labels(place.labels_of([file.path])[file.path])
    assert labels.values.tolist() == [[0, 10.5, 20.25]]


def test_what_was_changed_since_it_was_read_is_not_written_over(place):
    file, other = opened(place), opened(place)
    table = file.read()
    other.save(other.read().iloc[3:])
    assert file.changed()
    with pytest.raises(LabelsChangedError):
        file.save(table)
    assert len(read_labels(other.target)) == len(table) - 3
    # The same text written anew is no change.
    file.read()
    os.utime(file.target, (1, 1))
    assert not file.changed()


@pytest.mark.parametrize("name", ["unlabelled_particles.csv", "unlabelled.xml"])
def test_labels_that_come_up_elsewhere_are_not_written_over(place, name):
    file = opened(place, "unlabelled.tif")
    file.read()
    text = SPOTS if name.endswith("xml") else "frame,x,y\n0,1,1\n"
    (place.annotations / name).write_text(text)
    with pytest.raises(LabelsChangedError):
        file.save(one_label())
    assert (place.annotations / name).read_text() == text


def test_labels_that_are_wrong_are_never_taken_for_known(place):
    path = place.annotations / "beads_particles.csv"
    file = opened(place)
    table = file.read()
    path.write_text("frame,x,y\n0,5000,1\n")
    with pytest.raises(LabelError, match="outside"):
        file.read()
    with pytest.raises(LabelsChangedError):
        file.save(table)
    assert "5000" in path.read_text()


def test_a_write_that_fails_leaves_the_old_labels(place, monkeypatch):
    file = opened(place)
    table = file.read()
    before = file.target.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(LabelError, match="No space left"):
        file.save(table.iloc[1:])
    monkeypatch.undo()
    assert file.target.read_bytes() == before
    assert not [path for path in place.annotations.iterdir() if path.name.startswith(".")]
    file.save(table.iloc[1:])


def test_two_videos_whose_labels_would_have_one_name_are_refused(place):
    shutil.copy(place.videos / "unlabelled.tif", place.videos / "unlabelled.btf")
    path = place.videos / "unlabelled.tif"
    file = LabelFile(place, path, Video(path), [path, place.videos / "unlabelled.btf"])
    file.read()
    with pytest.raises(LabelError, match=r"rename one of the videos"):
        file.save(one_label())
    assert not (place.annotations / "unlabelled_particles.csv").exists()


def test_the_trainer_reads_what_was_written_and_nothing_beside_it(place):
    for name in ("beads.tif", "unlabelled.tif"):
        file = opened(place, name)
        file.read()
        file.save(one_label())
        file.set_empty(4, True)
    found = find_videos(place, ContentHashes(place.cache / "hashes.json"))
    assert [one.labels.values.tolist() for one in found.labelled] == [[[2, 3, 4]]] * 2
    assert len(found.notes) == 2
    assert all("1 frame confirmed as empty" in note for note in found.notes)


def test_empty_frames_are_remembered_apart_from_the_labels(place):
    file, other = opened(place), opened(place)
    file.read()
    other.read()
    file.set_empty(3, True)
    other.set_empty(5, True)
    assert file.empty_frames == {3, 5}
    file.save(file.read().iloc[1:])
    file.set_empty(3, False)
    assert opened(place).empty_frames == {5}
    notes = place.annotations / "looked_at" / "beads_particles.json"
    notes.write_text(json.dumps({"empty_frames": [1, -2, 900, "x", True]}))
    assert file.empty_frames == {1}
    notes.write_text("{")
    assert file.empty_frames == set()


def test_a_file_in_place_of_the_studios_own_folders_is_told_and_nothing_is_written(place):
    file, other = opened(place), opened(place, "unlabelled.tif")
    before = file.read()
    path = place.annotations / "beads_particles.csv"
    text = path.read_bytes()
    for name in ("looked_at", "originals"):
        in_the_way = place.annotations / name
        in_the_way.write_text("mine")
        with pytest.raises(LabelError, match=rf"{name}: is a file, where a folder .* rename it"):
            file.save(before.iloc[1:])
        if name == "looked_at":
            with pytest.raises(LabelError, match="looked_at: is a file"):
                file.set_empty(3, True)
            other.read()
            with pytest.raises(LabelError, match="looked_at: is a file"):
                other.save(one_label())
            assert not other.target.exists()
        assert file.empty_frames == set()
        assert path.read_bytes() == text
        assert in_the_way.read_text() == "mine"
        in_the_way.unlink()
    file.save(before.iloc[1:])
    assert (place.annotations / "originals" / path.name).read_bytes() == text


def test_a_folder_of_labels_that_is_gone_is_told(place):
    file = opened(place, "unlabelled.tif")
    file.read()
    shutil.rmtree(place.annotations)
    with pytest.raises(LabelError, match=r"cannot be written \(.*non-existent directory"):
        file.save(one_label())

"""The list of videos, names made safe, and files put into a workspace."""

import numpy as np
import pytest
import tifffile
from small_lab import write_video

from cloudtrainer.annotations import read_labels
from cloudtrainer.errors import LabelError, VideoError, WorkspaceError
from cloudtrainer.studio.videos import add_by_path, contrast, destination, list_videos, safe_name
from cloudtrainer.training.hashes import ContentHashes, labels_hash
from cloudtrainer.training.ledger import Ledger, VideoRecord


def states(place):
    return {one.path.name: one.state for one in list_videos(place)}


def test_each_video_is_listed_with_its_labels_and_what_is_wrong(place):
    listed = {one.path.name: one for one in list_videos(place)}
    assert listed["beads.tif"].state == "new"
    assert listed["unlabelled.tif"].state == "no labels"
    assert listed["notes.doc"].video is None
    row = listed["beads.tif"].row()
    assert row["size"] == "128 x 128 px, 30 frames"
    assert row["calibration"] == "0.1 um, 0.03333 s (ImageJ)"
    assert row["labels"].endswith("on 30 frames")
    assert row["picture"]
    bad = listed["notes.doc"].row()
    assert bad["state"].startswith("notes.doc: videos with the extension .doc are not supported")


def test_a_learned_video_is_known_by_its_content_under_another_name(place):
    path = place.videos / "beads.tif"
    md5, sha256 = ContentHashes(place.cache / "none.json").of(path)
    record = VideoRecord(name="beads.tif", md5=md5, sha256=sha256)
    Ledger.open(place.ledger, []).learned([record], "v_20260101_000000")
    assert states(place)["beads.tif"] == "learned by v_20260101_000000"
    path.rename(place.videos / "renamed.tif")
    (place.annotations / "beads_particles.csv").rename(place.annotations / "renamed_particles.csv")
    assert states(place)["renamed.tif"] == "learned by v_20260101_000000"


def test_a_learned_video_is_new_again_when_its_labels_change(place):
    labels = place.annotations / "beads_particles.csv"
    md5, sha256 = ContentHashes(place.cache / "none.json").of(place.videos / "beads.tif")
    record = VideoRecord(
        name="beads.tif", md5=md5, sha256=sha256, labels_sha256=labels_hash(read_labels(labels))
    )
    Ledger.open(place.ledger, []).learned([record], "v_20260101_000000")
    assert states(place)["beads.tif"] == "learned by v_20260101_000000"
    labels.write_text(labels.read_text() + "0,1.5,2.5\n")
    assert states(place)["beads.tif"] == "new: labels changed since v_20260101_000000"


def test_labels_that_are_wrong_or_doubled_are_told_in_the_row(place):
    (place.annotations / "beads_particles.csv").write_text("frame,x,y\n0,5000,1\n")
    assert "outside" in states(place)["beads.tif"]
    (place.annotations / "beads.csv").write_text("frame,x,y\n0,5,1\n")
    assert "two files of labels" in states(place)["beads.tif"]


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("beads.tif", "beads.tif"),
        ("../../etc/passwd.tif", "passwd.tif"),
        ("C:\\data\\run 1.tif", "run 1.tif"),
        ("..", None),
        ("", None),
        ("/", None),
        (".hidden.tif", "hidden.tif"),
        ('a<b>&"c".tif', "a_b_&_c_.tif"),
        ("Teilchen ä ☃ 粒子.ome.tif", "Teilchen ä ☃ 粒子.ome.tif"),
        ("e\u0301.tif", "é.tif"),
        ("evil\u202efit.exe.tif", "evilfit.exe.tif"),
        ("line\nbreak\0.tif", "linebreak.tif"),
        ("CON. ", "CON"),
        ("x" * 400 + ".tif", "x" * 176 + ".tif"),
    ],
)
def test_names_stay_in_their_folder(given, safe):
    if safe is None:
        with pytest.raises(WorkspaceError, match="no name"):
            safe_name(given)
    else:
        assert safe_name(given) == safe


def test_a_file_goes_where_its_kind_belongs_and_never_over_another(place):
    assert destination(place, "new.tif") == (place.videos / "new.tif", "videos")
    assert destination(place, "new.CSV") == (place.annotations / "new.CSV", "labels")
    with pytest.raises(WorkspaceError, match="already"):
        destination(place, "../beads.tif")


def test_files_and_folders_are_added_by_path(place, tmp_path):
    truth = write_video(tmp_path / "new one.tif", seed=9, frames=3)
    assert add_by_path(place, f' "{tmp_path / "new one.tif"}" ') == (
        "new one.tif: 3 frames of 128 x 128 px"
    )
    truth.to_csv(tmp_path / "new one_particles.csv", index=False)
    assert add_by_path(place, str(tmp_path / "new one_particles.csv")) == (
        f"new one_particles.csv: {len(truth)} labels"
    )
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(2):
        tifffile.imwrite(folder / f"{number}.tif", np.zeros((32, 32), np.uint8))
    assert add_by_path(place, str(folder)).startswith("series: 2 frames")
    assert states(place)["new one.tif"] == "new"
    assert not [path for path in place.videos.iterdir() if path.name.startswith(".")]


def test_what_is_no_video_and_labels_that_do_not_fit_are_refused(place, tmp_path):
    (tmp_path / "fake.tif").write_bytes(b"nothing")
    (tmp_path / "unlabelled_particles.csv").write_text("frame,x,y\n99,1,1\n")
    with pytest.raises(VideoError, match="fake"):
        add_by_path(place, str(tmp_path / "fake.tif"))
    with pytest.raises(LabelError, match="99"):
        add_by_path(place, str(tmp_path / "unlabelled_particles.csv"))
    with pytest.raises(WorkspaceError, match="no such file"):
        add_by_path(place, str(tmp_path / "nowhere.tif"))
    assert "fake.tif" not in states(place)


def test_labels_of_no_video_yet_say_what_their_name_must_be(place, tmp_path):
    (tmp_path / "later_particles.csv").write_text("frame,x,y\n0,1,1\n")
    assert "of no video here yet" in add_by_path(place, str(tmp_path / "later_particles.csv"))


def test_a_full_disk_leaves_nothing_behind(small_disk, tmp_path):
    from cloudtrainer.workspace import Workspace

    place = Workspace.create(small_disk)
    write_video(tmp_path / "large.tif", frames=60)
    with pytest.raises(WorkspaceError, match="could not be copied"):
        add_by_path(place, str(tmp_path / "large.tif"))
    assert list(place.videos.iterdir()) == []


def test_contrast_is_that_of_most_pixels_and_never_empty():
    frame = np.full((100, 100), 5.0)
    low, high = contrast(frame)
    assert low == 5
    assert high > low
    frame[0, 0] = np.nan
    frame[0, 1] = 1e9
    assert contrast(frame)[1] < 6

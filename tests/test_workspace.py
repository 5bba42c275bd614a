"""The workspace folder: laid out as versions 2.0 and 3.0 laid it out, and never overwritten."""

from datetime import datetime
from pathlib import Path

import pytest

from cloudtrainer.errors import LabelError, WorkspaceError
from cloudtrainer.workspace import Workspace

FOLDERS = [
    "training_data/videos",
    "training_data/annotations",
    "models",
    "logs",
    "cache",
    "results",
]


@pytest.fixture
def place(tmp_path) -> Workspace:
    return Workspace.create(tmp_path / "DeepTrack_Studio")


def file_at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_create_makes_the_folders_of_earlier_versions(place):
    made = sorted(
        str(path.relative_to(place.root)) for path in place.root.rglob("*") if path.is_dir()
    )
    assert made == sorted([*FOLDERS, "training_data"])


def test_every_path_lies_where_earlier_versions_look_for_it(place):
    root = place.root
    assert place.videos == root / "training_data" / "videos"
    assert place.annotations == root / "training_data" / "annotations"
    assert place.models == root / "models"
    assert place.logs == root / "logs"
    assert place.results == root / "results"


def test_create_leaves_what_is_there_as_it_is(tmp_path):
    kept = file_at(tmp_path / "models" / "v_20250101_000000" / "weights.pth")
    Workspace.create(tmp_path)
    Workspace.create(tmp_path)
    assert kept.read_bytes() == b"x"


@pytest.mark.parametrize("existing", ["training_data", "models"])
def test_an_older_workspace_with_folders_missing_opens_and_gets_them(tmp_path, existing):
    (tmp_path / existing).mkdir()
    assert Workspace.open(tmp_path) == Workspace(tmp_path)
    assert all((tmp_path / folder).is_dir() for folder in FOLDERS)


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_opening_what_is_no_workspace_says_how_to_make_one(tmp_path, name):
    (tmp_path / "empty").mkdir()
    file_at(tmp_path / "file")
    with pytest.raises(WorkspaceError, match=rf"{name}: .*cloudtrainer init .*{name}"):
        Workspace.open(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    assert not list((tmp_path / "empty").iterdir())


def test_a_workspace_cannot_be_made_under_a_file(tmp_path):
    with pytest.raises(WorkspaceError, match=r"file\.txt.*cannot be made a workspace"):
        Workspace.create(file_at(tmp_path / "file.txt") / "inside")


def test_videos_are_files_and_folders_by_name_without_hidden_ones(place):
    for name in ["b.tif", "a.avi", ".DS_Store"]:
        file_at(place.videos / name)
    file_at(place.videos / "c_frames" / "0001.png")
    assert [path.name for path in place.video_files()] == ["a.avi", "b.tif", "c_frames"]


def test_a_fresh_workspace_holds_nothing(place):
    assert place.video_files() == []
    assert place.model_folders() == []


@pytest.mark.parametrize(
    ("video", "labels"),
    [
        ("gel.tif", "gel_particles.csv"),
        ("gel.2.tif", "gel.2_particles.csv"),
        ("gel.ome.tif", "gel_particles.csv"),
        # What versions 2.0 and 3.0 made of the same name: the stem keeps ".ome".
        ("gel.ome.tif", "gel.ome_particles.csv"),
        ("gel.OME.TIFF", "gel_particles.csv"),
        ("movie.avi", "movie_particles.csv"),
        # As TrackMate and others name them.
        ("gel.tif", "gel.xml"),
        ("gel.tif", "gel.csv"),
        ("gel.tif", "gel_particles.xml"),
        ("gel.tif", "gel_particles.parquet"),
        ("gel.tif", "gel_particles.CSV"),
        ("gel_particles.tif", "gel_particles.csv"),
        ('gel 1, the "best" (ü, 粒子).tif', 'gel 1, the "best" (ü, 粒子)_particles.csv'),
        # One letter with two dots, and a letter and its dots, which is how macOS writes it.
        ("m\u00fcsli.tif", "mu\u0308sli_particles.csv"),
        ("mu\u0308sli.tif", "m\u00fcsli_particles.csv"),
    ],
)
def test_labels_are_found_by_the_name_of_a_video(place, video, labels):
    labels = file_at(place.annotations / labels)
    video = file_at(place.videos / video)
    assert place.labels_of([video]) == {video: labels}


def test_labels_of_a_folder_carry_its_whole_name(place):
    expected = file_at(place.annotations / "run_1.5_particles.csv")
    file_at(place.annotations / "run_1_particles.csv")
    file_at(place.videos / "run_1.5" / "0001.png")
    assert place.labels_of(place.video_files()) == {place.videos / "run_1.5": expected}


@pytest.mark.parametrize(
    "other", ["other_particles.csv", "gel_particles.txt", "gel_particles.csv.bak", ".gel.csv"]
)
def test_a_video_without_labels_has_none(place, other):
    file_at(place.annotations / other)
    assert place.labels_of([file_at(place.videos / "gel.tif")]) == {}


def test_two_files_of_labels_for_one_video_are_named(place):
    for name in ("gel_particles.csv", "gel.xml"):
        file_at(place.annotations / name)
    with pytest.raises(LabelError, match=r"gel\.tif: .*gel\.xml.*gel_particles\.csv"):
        place.labels_of([file_at(place.videos / "gel.tif")])


def test_one_file_of_labels_for_two_videos_is_named_with_both(place):
    file_at(place.annotations / "gel_particles.csv")
    videos = [file_at(place.videos / name) for name in ("gel.avi", "gel.tif")]
    with pytest.raises(LabelError, match=r"gel_particles\.csv: .*gel\.avi.*gel\.tif"):
        place.labels_of(videos)


@pytest.mark.parametrize(
    "owners",
    [
        {"gel.tif": "gel_particles.csv", "gel.ome.tif": "gel.ome_particles.csv"},
        {"gel.tif": "gel_particles.csv", "gel.ome.tif": None},
        {"gel.tif": "gel_particles.csv", "gel_particles.tif": "gel_particles_particles.csv"},
    ],
)
def test_where_a_name_fits_two_videos_it_is_whose_it_was_in_version_2(place, owners):
    for name in filter(None, owners.values()):
        file_at(place.annotations / name)
    videos = [file_at(place.videos / name) for name in owners]
    found = {video.name: labels.name for video, labels in place.labels_of(videos).items()}
    assert found == {video: labels for video, labels in owners.items() if labels}


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Workspace.create("~/DeepTrack_Studio").root == tmp_path / "DeepTrack_Studio"
    assert Workspace.open("~/DeepTrack_Studio").models.is_dir()


def test_a_workspace_that_can_be_written_is_left_as_it_was(place):
    before = sorted(place.root.rglob("*"))
    place.check_writable()
    assert sorted(place.root.rglob("*")) == before


def test_processes_that_train_together_may_look_at_the_same_time(place, monkeypatch):
    written = Path.write_bytes

    def taken_away(path, data):
        written(path, data)
        path.unlink()

    monkeypatch.setattr(Path, "write_bytes", taken_away)
    place.check_writable()


def test_a_full_disk_is_told_before_the_training(small_disk):
    place = Workspace.create(small_disk / "lab")
    with pytest.raises(OSError):
        (small_disk / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(WorkspaceError, match=r"logs: cannot be written \(No space left"):
        place.check_writable()
    assert not list(place.root.rglob(".writable"))


def test_a_folder_that_cannot_be_written_is_named(place):
    place.cache.rmdir()
    file_at(place.cache)
    with pytest.raises(WorkspaceError, match=r"cache: cannot be written"):
        place.check_writable()


def test_models_come_oldest_first_and_folders_without_weights_are_none(place):
    for version in ["v_20260301_090000", "v_20251231_235959", "v_20260301_085959"]:
        file_at(place.models / version / "weights.pth")
    file_at(place.models / "v_20270101_000000" / "config.json")
    assert [path.name for path in place.model_folders()] == [
        "v_20251231_235959",
        "v_20260301_085959",
        "v_20260301_090000",
    ]


def test_a_new_model_never_takes_an_existing_folder(place):
    now = datetime(2026, 3, 1, 9, 5, 7)
    names = []
    for _ in range(3):
        folder = place.new_model_folder(now)
        file_at(folder / "weights.pth")
        names.append(folder.name)
    assert names[0] == "v_20260301_090507"
    assert len(set(names)) == 3
    assert [path.name for path in place.model_folders()] == names

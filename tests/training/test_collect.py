"""What a workspace offers to learn from, as labs leave their workspaces."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from cloudtrainer.config import TrainingSettings
from cloudtrainer.errors import LabelError
from cloudtrainer.training import collect as collect_module
from cloudtrainer.training import found_videos
from cloudtrainer.training.collect import collect
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.rehearsal import keep
from cloudtrainer.workspace import Workspace

SHAPE = (10, 24, 30)


def pixels(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 5000, shape).astype(np.uint16)


def labels(*frames):
    return pd.DataFrame({"frame": frames, "x": 5.0, "y": 7.25})


class Lab:
    """A workspace, and what is done in it."""

    def __init__(self, root):
        self.place = Workspace.create(root)

    def film(self, name="gel.tif", seed=0, frames=range(SHAPE[0]), shape=SHAPE, **options):
        """Put a video there, and labels of some of its frames."""
        path = self.place.videos / name
        tifffile.imwrite(path, pixels(seed, shape), photometric="minisblack", **options)
        if len(frames):
            self.label(path.stem, *frames)
        return path

    def label(self, stem, *frames):
        path = self.place.annotations / f"{stem}_particles.csv"
        labels(*frames).to_csv(path, index=False)
        return path

    def collect(self, *learned_by, write=True, whole_maximum=False, **settings):
        ledger = Ledger.open(self.place.ledger, self.place.model_folders())
        return collect(
            self.place,
            ledger,
            TrainingSettings(**settings),
            set(learned_by),
            write=write,
            whole_maximum=whole_maximum,
        )

    def learn(self, version, *learned_by, **settings):
        """Do what a training does with its data at its end."""
        data = self.collect(*learned_by, **settings)
        for video in data.new:
            keep(self.place.rehearsal, video, data.records[video.name])
        ledger = Ledger.open(self.place.ledger, self.place.model_folders())
        ledger.learned(list(data.records.values()), version)
        return data

    def files(self):
        """Return what lies in the workspace, file by file."""
        return {
            str(path.relative_to(self.place.root)): path.read_bytes() if path.is_file() else None
            for path in self.place.root.rglob("*")
        }


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "DeepTrack_Studio")


def names(videos):
    return [video.name for video in videos]


def test_an_empty_workspace_offers_nothing(lab):
    data = lab.collect()
    assert data == replace(data, new=[], earlier=[], left_out=[], notes=[], backdrops=[])


def test_labelled_frames_are_those_of_the_video_with_their_labels(lab):
    path = lab.film(frames=[1, 2, 5, 8])
    data = lab.collect()
    [video] = data.new
    assert video.numbers.tolist() == [1, 2, 5, 8]
    assert video.frame_numbers(held_out=True) == [8]
    assert video.brightest == pixels()[[1, 2, 5, 8]].max()
    for index, number in enumerate(video.numbers):
        np.testing.assert_array_equal(video.images[index], pixels()[number])
        assert video.positions[index].tolist() == [[5.0, 7.25]]
    [record] = data.records.values()
    assert record.name == video.name == "gel.tif"
    assert record.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (record.held_out, record.labelled_frames) == (((8, 8),), 4)
    assert (record.model_version, record.trained_date) == ("", "")
    assert data.notes == data.left_out == data.earlier == []


def test_the_largest_intensity_of_the_whole_video_is_read_when_asked_for(lab):
    lab.film(frames=[1])
    [video] = lab.collect(whole_maximum=True).new
    assert video.brightest == pixels().max() > pixels()[1].max()


def test_a_learned_video_is_an_earlier_one_for_the_models_that_come_of_it(lab):
    lab.film()
    lab.learn("v_1")
    data = lab.collect("v_1", "v_2")
    assert (names(data.new), names(data.earlier), data.notes) == ([], ["gel.tif"], [])
    assert data.records["gel.tif"].model_version == "v_1"
    other = lab.collect("v_2")
    assert (names(other.new), names(other.earlier)) == (["gel.tif"], [])
    assert other.records["gel.tif"].model_version == ""


def test_without_its_history_everything_is_new(lab):
    lab.film("a.tif")
    lab.learn("v_1")
    lab.film("b.tif", seed=1)
    data = lab.collect("v_1").without_history()
    assert sorted(names(data.new)) == ["a.tif", "b.tif"]
    assert data.earlier == []
    assert {record.model_version for record in data.records.values()} == {""}


def test_a_video_whose_labels_changed_is_learned_again(lab):
    lab.film(frames=range(5))
    lab.learn("v_1")
    lab.label("gel", *range(8))
    data = lab.collect("v_1")
    assert names(data.new) == ["gel.tif"]
    assert data.notes == ["gel.tif: its labels have changed; it is learned again"]
    # The last of five; now the last of eight are learned.
    assert data.new[0].frame_numbers(held_out=True) == [4]


def test_labels_in_another_order_or_format_have_not_changed(lab):
    lab.film()
    lab.learn("v_1")
    path = lab.place.annotations / "gel_particles.csv"
    pd.read_csv(path)[::-1].assign(mass=3).to_parquet(path.with_suffix(".parquet"))
    path.unlink()
    data = lab.collect("v_1")
    assert (names(data.earlier), data.notes) == (["gel.tif"], [])


def test_a_renamed_video_is_known_by_its_content(lab):
    lab.film()
    before = lab.learn("v_1")
    (lab.place.videos / "gel.tif").rename(lab.place.videos / "day 1.tif")
    for path in lab.place.annotations.iterdir():
        path.rename(path.with_name("day 1_particles.csv"))
    data = lab.learn("v_2", "v_1")
    assert (names(data.new), names(data.earlier), data.notes) == ([], ["day 1.tif"], [])
    assert data.records["day 1.tif"].held_out == before.records["gel.tif"].held_out
    assert list(json.loads(lab.place.ledger.read_text())) == ["day 1.tif"]
    assert before.identity() != data.identity()
    assert before.identity() == data.without_history().identity()


def test_another_video_under_an_old_name_is_a_new_one_and_the_old_one_is_rehearsed(lab):
    lab.film(seed=0)
    old = lab.learn("v_1").records["gel.tif"]
    lab.film(seed=1)
    data = lab.learn("v_2", "v_1")
    assert names(data.new) == ["gel.tif"]
    np.testing.assert_array_equal(data.new[0].images[3], pixels(1)[3])
    [kept] = data.earlier
    assert kept.name == f"gel.tif ({old.sha256[:8]})"
    np.testing.assert_array_equal(kept.images[3], pixels(0)[3])
    assert any("another video than the one learned under this name" in n for n in data.notes)
    # And back again: both are known.
    lab.film(seed=0)
    again = lab.collect("v_2", "v_1")
    assert again.new == []
    assert set(names(again.earlier)) == {
        "gel.tif",
        f"gel.tif ({data.records['gel.tif'].sha256[:8]})",
    }
    assert again.records["gel.tif"].held_out == old.held_out


def test_two_videos_that_change_names_get_their_own_frames(lab):
    first, second = lab.film("a.tif", 0), lab.film("b.tif", 1)
    for path in (first, second):
        os.utime(path, ns=(1, 1))
    lab.learn("v_1")
    first.rename(lab.place.root / "x")
    second.rename(first)
    (lab.place.root / "x").rename(second)
    data = lab.collect("v_1")
    assert names(data.earlier) == ["a.tif", "b.tif"]
    for video, seed in zip(data.earlier, (1, 0), strict=True):
        np.testing.assert_array_equal(video.images[4], pixels(seed)[4])


def test_frames_once_held_out_are_never_learned_whatever_is_labelled_later(lab):
    rng = np.random.default_rng(0)
    lab.film(frames=[4, 5])
    labelled, out, models = {4, 5}, set(), []
    for run in range(12):
        share = float(rng.choice([0.1, 0.2, 0.4]))
        data = lab.learn(f"v_{run}", *models, validation_split=share)
        models.append(f"v_{run}")
        [video] = [*data.new, *data.earlier]
        assert not out & set(video.frame_numbers(held_out=False))
        assert video.frame_numbers(held_out=False)
        out |= set(video.frame_numbers(held_out=True))
        assert out
        labelled |= set(rng.integers(0, 10, 1).tolist())
        lab.label("gel", *sorted(labelled))


def test_what_joins_the_held_out_frames_of_an_earlier_video_stays_so(lab):
    lab.film(frames=range(5))
    lab.learn("v_1", validation_split=0.1)
    # What was learned is not held out later; of what is labelled anew, the last frames are.
    assert lab.collect("v_1", validation_split=0.4).earlier[0].frame_numbers(held_out=True) == [4]
    lab.film(frames=range(10))
    more = lab.learn("v_2", "v_1", validation_split=0.4).new[0].frame_numbers(held_out=True)
    assert more == [4, 7, 8, 9]
    (lab.place.videos / "gel.tif").unlink()
    kept = lab.collect("v_2", "v_1", validation_split=0.1).earlier[0]
    assert kept.frame_numbers(held_out=True) == more
    lab.film(frames=range(10))
    again = lab.collect("v_2", "v_1", validation_split=0.1).earlier[0]
    assert again.frame_numbers(held_out=True) == more


def version_3(lab, **entries):
    """Leave files as version 3.0 left them, of videos that its model learned."""
    version = "v_20250110_101112"
    tracker = {
        name: {
            "hash": hashlib.md5((lab.place.videos / name).read_bytes()).hexdigest(),
            "trained_date": "2025-01-10T10:11:12.345678",
            "model_version": version,
        }
        for name in entries.values()
    }
    old = {
        "cache/training_tracker.json": json.dumps(tracker, indent=2).encode(),
        "cache/gel_processed.npy": b"float32 frames",
        "logs/current_training/latest_model.pth": b"pickle",
        "logs/training_progress.png": b"picture",
        "logs/lightning_logs/particle_detector_v3/version_0/metrics.csv": b"epoch,val_loss\n",
        "logs/lightning_logs/last.ckpt": b"pickle",
        f"models/{version}/weights.pth": b"weights",
        f"models/{version}/metadata.json": b'{"model_name": "particle_detector_v3"}',
        "results/gel_tracks.csv": b"frame,particle,x,y\n",
    }
    for name, content in old.items():
        path = lab.place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return version


def test_a_workspace_of_version_3_opens_and_its_files_are_left_alone(lab):
    lab.film("gel.tif")
    lab.film("gel.ome.tif", seed=1)
    lab.film("unlabelled.tif", seed=2, frames=())
    version = version_3(lab, first="gel.tif", other="unlabelled.tif")
    before = lab.files()
    data = lab.collect(version)
    assert names(data.earlier) == ["gel.tif"]
    assert names(data.new) == ["gel.ome.tif"]
    [left_out] = data.left_out
    assert left_out.startswith("unlabelled.tif: no labels; they are expected as ")
    assert data.notes == []
    after = lab.files()
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("cache/") for name in set(after) - set(before))


def test_what_version_3_learned_is_known_better_afterwards(lab):
    lab.film(frames=range(5))
    version = version_3(lab, first="gel.tif")
    # Version 3.0 knew no held-out frames: they are chosen now, and stay.
    assert lab.learn("v_2", version).earlier[0].frame_numbers(held_out=True) == [4]
    [record] = Ledger.open(lab.place.ledger, []).records
    assert (record.model_version, record.held_out) == (version, ((4, 4),))
    lab.label("gel", *range(8))
    data = lab.collect(version, "v_2")
    assert data.notes == ["gel.tif: its labels have changed; it is learned again"]
    assert data.new[0].frame_numbers(held_out=True) == [4]


def test_a_damaged_ledger_is_told(lab):
    lab.film()
    lab.learn("v_1")
    lab.place.ledger.write_text("{", encoding="utf-8")
    data = lab.collect("v_1")
    assert "is damaged" in data.notes[0]
    assert names(data.new) == ["gel.tif"]


@pytest.mark.parametrize("ending", ["_particles.xml", ".xml"])
@pytest.mark.parametrize(
    ("sample", "frames", "spots"),
    # Counted with grep in the files.
    [
        ("FakeTracks_TrackMate.xml", 50, 268),
        ("FakeTracks_ISBI.xml", 50, 156),
        ("FakeTracks_Icy.xml", 50, 237),
    ],
)
def test_tracks_of_other_programs_are_labels(lab, shared_data, sample, frames, spots, ending):
    lab.film(frames=(), shape=(50, 128, 128))
    shutil.copy(shared_data / "formats" / sample, lab.place.annotations / f"gel{ending}")
    [video] = lab.collect().new
    assert len(video.numbers) == frames
    assert sum(map(len, video.positions)) == spots


def test_tables_of_other_programs_are_labels(lab, shared_data):
    table = labels(1, 2, 8)
    lab.film("tracks.tif", frames=(), shape=(50, 128, 128))
    shutil.copy(shared_data / "formats" / "two_tracks.csv", lab.place.annotations / "tracks.csv")
    lab.film("napari.tif", 1, frames=())
    axes = table.rename(columns={"frame": "axis-0", "y": "axis-1", "x": "axis-2"})
    axes.to_csv(lab.place.annotations / "napari.csv")
    lab.film("trackmate.tif", 2, frames=())
    rows = [f"a,{i},,{x},{y},{frame}" for i, (frame, x, y) in enumerate(table.to_numpy())]
    text = "LABEL,ID,TRACK_ID,POSITION_X,POSITION_Y,FRAME\n,,,(pixel),(pixel),\n"
    (lab.place.annotations / "trackmate.csv").write_text(text + "\n".join(rows))
    data = lab.collect()
    assert names(data.new) == ["napari.tif", "trackmate.tif", "tracks.tif"]
    assert (len(data.new[2].numbers), sum(map(len, data.new[2].positions))) == (18, 29)
    for video in data.new[:2]:
        assert video.numbers.tolist() == [1, 2, 8]
        assert [xy.tolist() for xy in video.positions] == [[[5.0, 7.25]]] * 3


def test_labels_of_no_video_are_told(lab):
    lab.film()
    lab.label("gel_2", 1)
    (lab.place.annotations / "readme.txt").write_text("labelled by Ana")
    data = lab.collect()
    assert names(data.new) == ["gel.tif"]
    assert [note.partition(":")[0] for note in data.notes] == ["gel_2_particles.csv", "readme.txt"]


def test_two_files_of_labels_for_one_video_are_an_error_that_names_both(lab):
    lab.film()
    shutil.copy(lab.place.annotations / "gel_particles.csv", lab.place.annotations / "gel.csv")
    with pytest.raises(LabelError, match=r"gel\.tif.*gel\.csv and gel_particles\.csv"):
        lab.collect()


def test_one_file_of_labels_for_two_videos_is_an_error_that_names_both(lab):
    lab.film()
    Image.fromarray(pixels()[0].astype(np.uint8)).save(lab.place.videos / "gel.png")
    with pytest.raises(LabelError, match=r"gel_particles\.csv.*gel\.png and gel\.tif"):
        lab.collect()


@pytest.mark.parametrize("other", ["gel.txt", "gel.db", "gel.avi", "gel.csv", "gel"])
def test_what_is_no_video_does_not_share_its_labels(lab, other):
    lab.film()
    path = lab.place.videos / other
    path.write_text("exposure 10 ms") if path.suffix else path.mkdir()
    data = lab.collect()
    assert names(data.new) == ["gel.tif"]
    [reason] = data.left_out
    assert str(path) in reason
    assert data.notes == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3,40,5", r"gel_particles\.csv: row 3, column x: 40 is outside the frame"),
        ("3,5,-1", r"gel_particles\.csv: row 3, column y: -1 is outside"),
        ("10,5,5", r"gel_particles\.csv: row 3, column frame: 10 is past the video's last frame"),
        ("0,5,7.25", r"gel_particles\.csv: row 3 repeats"),
        ("-1,5,5", r"gel_particles\.csv: row 3, column frame"),
        ("3,five,5", r"gel_particles\.csv: row 3, column x"),
        ("3,,5", r"gel_particles\.csv: row 3, column x"),
    ],
)
def test_wrong_labels_are_an_error_that_names_file_and_row(lab, row, message):
    lab.film(frames=())
    path = lab.place.annotations / "gel_particles.csv"
    path.write_text(f"frame,x,y\n0,5,7.25\n{row}\n")
    before = lab.files()
    with pytest.raises(LabelError, match=message):
        lab.collect()
    assert lab.files() == before


def test_labels_without_a_particle_are_an_error(lab):
    lab.film(frames=())
    (lab.place.annotations / "gel_particles.csv").write_text("frame,x,y\n")
    with pytest.raises(LabelError, match=r"gel_particles\.csv: holds no particle"):
        lab.collect()


def test_all_labels_are_checked_before_the_first_video_is_read_through(lab, monkeypatch):
    lab.film("a.tif")
    lab.film("b.tif", seed=1)
    (lab.place.annotations / "b_particles.csv").write_text("frame,x,y\n0,500,3\n")
    monkeypatch.setattr(found_videos.ContentHashes, "of", lambda *_: 1 / 0)
    with pytest.raises(LabelError):
        lab.collect()


def test_a_video_without_labels_is_left_out(lab):
    lab.film("gel.ome.tif", frames=())
    [left_out] = lab.collect().left_out
    assert left_out.startswith("gel.ome.tif: no labels; they are expected as ")


def test_particles_are_simulated_over_videos_without_labels_when_asked(lab):
    lab.film("a.tif")
    lab.film("b.tif", seed=1, frames=())
    lab.film("short.tif", seed=2, frames=(), shape=(2, 24, 30))
    shutil.copy(lab.place.videos / "a.tif", lab.place.videos / "copy.tif")
    data = lab.collect(unlabelled="simulate")
    assert data.drawn_over == ["b.tif"]
    [backdrop] = data.backdrops
    assert tuple(backdrop.background.shape) == SHAPE[1:]
    assert backdrop.highest == pixels(1).max()
    assert [reason.partition(":")[0] for reason in data.left_out] == ["copy.tif", "short.tif"]
    assert data.left_out[0].endswith("the same video as a.tif")
    assert any(note.startswith("b.tif: no labels; simulated") for note in data.notes)
    before = data.identity()
    lab.film("b.tif", seed=3, frames=())
    assert lab.collect(unlabelled="simulate").identity() != before


def test_nothing_is_drawn_over_where_nothing_is_simulated(lab):
    lab.film("a.tif")
    lab.film("b.tif", seed=1, frames=())
    data = lab.collect(unlabelled="simulate", simulated_share=0.0)
    assert data.backdrops == data.drawn_over == []
    [left_out] = data.left_out
    assert left_out.startswith("b.tif: no labels; they are expected as ")
    # Without labels at all everything is simulated, whatever the share.
    (lab.place.annotations / "a_particles.csv").unlink()
    data = lab.collect(unlabelled="simulate", simulated_share=0.0)
    assert data.drawn_over == ["a.tif", "b.tif"]


def test_the_same_video_under_two_names_is_learned_once(lab):
    lab.film("a.tif", frames=[1, 2])
    shutil.copy(lab.place.videos / "a.tif", lab.place.videos / "b.tif")
    lab.label("b", 3, 4)
    data = lab.collect()
    assert names(data.new) == ["a.tif"]
    assert data.left_out == ["b.tif: the same video as a.tif, whose labels are used"]


def test_what_is_no_video_is_left_out_with_the_reason(lab):
    lab.film()
    junk = ["Thumbs.db", "notes.txt", "empty.tif", "text.tif", "other_particles.csv"]
    for name in junk:
        (lab.place.videos / name).write_bytes(b"" if name.startswith("empty") else b"some text")
    for name in (".DS_Store", "._gel.tif", ".hidden.tif"):
        (lab.place.videos / name).write_bytes(b"of macOS")
    (lab.place.videos / "__MACOSX").mkdir()
    (lab.place.videos / "empty folder").mkdir()
    (lab.place.videos / "broken.tif").symlink_to(lab.place.videos / "gone.tif")
    data = lab.collect()
    assert names(data.new) == ["gel.tif"]
    expected = sorted([*junk, "__MACOSX", "empty folder", "broken.tif"])
    assert [next(name for name in expected if name in reason) for reason in data.left_out] == (
        expected
    )
    [table] = [reason for reason in data.left_out if "other_particles" in reason]
    assert str(lab.place.annotations) in table


@pytest.mark.parametrize(
    "name",
    [
        "two words.tif",
        'it\'s "quoted" & <tagged>.tif',
        "粒子 в воде é.tif",
        "100%_{gel}_[1]*?.tif",
        "-rf.tif",
        "gel.v1.2.tif",
        "x" * 240 + ".tif",
        os.fsdecode(b"m\xe4use.tif"),
    ],
)
def test_a_video_may_have_any_name(lab, name):
    lab.film(name)
    data = lab.learn("v_1")
    assert (names(data.new), data.notes, data.left_out) == ([name], [], [])
    assert names(lab.collect("v_1").earlier) == [name]
    (lab.place.videos / name).unlink()
    assert names(lab.collect("v_1").earlier) == [name]


def test_a_folder_of_images_is_a_video(lab):
    folder = lab.place.videos / "run 1.5"
    folder.mkdir()
    for number, frame in enumerate(pixels()):
        Image.fromarray(frame).save(folder / f"{number}.png")
    (folder / "Thumbs.db").write_bytes(b"x")
    lab.label("run 1.5", *range(10))
    data = lab.learn("v_1")
    assert names(data.new) == ["run 1.5"]
    np.testing.assert_array_equal(data.new[0].images[9], pixels()[9])
    assert names(lab.collect("v_1").earlier) == ["run 1.5"]


@pytest.mark.parametrize("settings", [{}, {"unlabelled": "simulate"}])
def test_nothing_is_written_when_it_must_not_be(lab, settings):
    lab.film()
    lab.film("other.tif", seed=1, frames=())
    lab.learn("v_1")
    (lab.place.videos / "gel.tif").rename(lab.place.videos / "moved.tif")
    lab.place.ledger.write_text("{", encoding="utf-8")
    for path in lab.place.cache.glob("*.npy"):
        path.unlink()
    (lab.place.cache / f"{'a' * 32}_{'b' * 16}.npy").write_bytes(b"of a video that is gone")
    before = lab.files()
    lab.collect("v_1", write=False, **settings)
    assert lab.files() == before


def test_the_cache_holds_what_is_used_and_no_more(lab):
    lab.film("a.tif", 0)
    lab.film("b.tif", 1)
    lab.collect()
    first = set(lab.place.cache.glob("*.npy"))
    assert len(first) == 2
    lab.film("a.tif", 2)
    lab.label("b", 1, 2)
    data = lab.collect()
    second = set(lab.place.cache.glob("*.npy"))
    assert len(second) == 2
    assert not first & second
    np.testing.assert_array_equal(data.new[0].images[3], pixels(2)[3])
    np.testing.assert_array_equal(data.new[1].images[0], pixels(1)[1])


def test_a_cache_that_cannot_be_written_is_done_without(lab):
    lab.film()
    lab.place.cache.rmdir()
    lab.place.cache.write_bytes(b"a file")
    [video] = lab.collect().new
    np.testing.assert_array_equal(video.images[3], pixels()[3])


def test_a_video_that_is_gone_is_rehearsed_from_what_was_kept_of_it(lab):
    path = lab.film(frames=range(10))
    before = lab.learn("v_1").new[0]
    path.unlink()
    data = lab.collect("v_1")
    assert data.new == []
    [video] = data.earlier
    assert video.name == "gel.tif"
    assert video.frame_numbers(held_out=True) == before.frame_numbers(held_out=True) == [8, 9]
    for index in range(10):
        np.testing.assert_array_equal(video.images[index], pixels()[index])
        np.testing.assert_array_equal(video.positions[index], before.positions[index])
    [note] = [note for note in data.notes if note.startswith("gel.tif: ")]
    [file] = lab.place.rehearsal.iterdir()
    assert str(file) in note
    file.unlink()
    assert lab.collect("v_1").earlier == []


def test_what_was_kept_for_another_model_is_new_to_this_one(lab):
    lab.film("a.tif", 0)
    lab.learn("v_1")
    path = lab.film("b.tif", 1)
    lab.learn("v_2", "v_1")
    path.unlink()
    data = lab.learn("v_3", "v_1")
    assert (names(data.new), names(data.earlier)) == (["b.tif"], ["a.tif"])
    again = lab.collect("v_3", "v_1")
    assert (again.new, names(again.earlier)) == ([], ["a.tif", "b.tif"])


def test_a_video_that_comes_back_is_learned_from_itself(lab):
    path = lab.film()
    lab.learn("v_1")
    moved = path.rename(lab.place.root / "elsewhere.tif")
    assert len(lab.collect("v_1").notes) == 2  # its labels belong to no video now
    moved.rename(path)
    data = lab.collect("v_1")
    assert (names(data.earlier), data.notes) == (["gel.tif"], [])


def test_what_was_kept_takes_the_place_of_a_video_that_cannot_be_read_any_more(lab):
    path = lab.film(compression="zlib")
    lab.film("good.tif", 1)
    lab.learn("v_1")
    for cached in lab.place.cache.glob("*.npy"):
        cached.unlink()
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[4].dataoffsets[0]
    with path.open("rb+") as file:
        file.seek(place)
        file.write(bytes(200))
    data = lab.collect("v_1")
    assert "gel.tif: frame 4 cannot be decoded" in data.left_out[0]
    assert data.new == []
    assert sorted(names(data.earlier)) == ["gel.tif", "good.tif"]
    path.write_bytes(b"")
    data = lab.collect("v_1")
    assert "gel.tif: the file is empty" in data.left_out[0]
    assert sorted(names(data.earlier)) == ["gel.tif", "good.tif"]


def test_a_damaged_file_of_kept_frames_is_told(lab):
    path = lab.film()
    lab.learn("v_1")
    path.unlink()
    [file] = lab.place.rehearsal.iterdir()
    file.write_bytes(b"half")
    data = lab.collect("v_1")
    assert data.earlier == []
    assert any(str(file) in note for note in data.notes)


def whole_videos_out(data):
    return {v.name for v in [*data.new, *data.earlier] if v.held_out.all()}


def test_whole_videos_are_held_out_when_asked(lab):
    for number in range(5):
        lab.film(f"{number}.tif", number)
    data = lab.learn("v_1", hold_out="videos", validation_split=0.4)
    out = whole_videos_out(data)
    assert len(out) == 2
    rest = [video for video in data.new if video.name not in out]
    assert not any(video.held_out.any() for video in rest)
    assert {note.partition(":")[0] for note in data.notes} == out
    # They stay so: when a video joins, when the share falls, and when frames are held out again.
    lab.film("5.tif", 5)
    assert whole_videos_out(lab.collect("v_1", hold_out="videos", validation_split=0.1)) == out
    later = lab.collect("v_1", hold_out="frames")
    assert whole_videos_out(later) == out
    # The others have been learned whole: nothing of them can be held out any more.
    assert not any(v.held_out.any() for v in later.earlier if v.name not in out)


def test_frames_held_out_before_stay_so_when_whole_videos_are(lab):
    for number in range(4):
        lab.film(f"{number}.tif", number)
    lab.learn("v_1")
    data = lab.collect("v_1", hold_out="videos", validation_split=0.25)
    assert whole_videos_out(data) == set()
    for video in data.earlier:
        assert video.frame_numbers(held_out=True) == [8, 9]


def test_only_videos_that_no_model_has_learned_are_held_out(lab):
    for number in range(4):
        lab.film(f"{number}.tif", number)
    lab.learn("v_1")
    lab.film("new.tif", 9)
    data = lab.collect("v_1", hold_out="videos", validation_split=0.2)
    assert whole_videos_out(data) == {"new.tif"}


def test_a_single_video_cannot_be_held_out_as_a_whole(lab):
    lab.film()
    [video] = lab.collect(hold_out="videos").new
    assert video.frame_numbers(held_out=True) == [8, 9]


@pytest.mark.parametrize("change", ["content", "labels", "held out", "status", "more", "name"])
def test_data_is_the_same_when_content_labels_and_use_are(lab, change):
    path = lab.film("a.tif")
    lab.film("b.tif", 1)
    lab.learn("v_1")
    before, again = lab.collect("v_1").identity(), lab.collect("v_1").identity()
    assert before == again
    settings, models = {}, ["v_1"]
    if change == "content":
        lab.film("a.tif", 5)
    elif change == "labels":
        lab.label("a", 1, 2, 3)
    elif change == "held out":
        ledger = json.loads(lab.place.ledger.read_text(encoding="utf-8"))
        ledger["a.tif"]["held_out"] = [[7, 9]]
        lab.place.ledger.write_text(json.dumps(ledger), encoding="utf-8")
    elif change == "status":
        models = []
    elif change == "more":
        lab.film("c.tif", 2)
    else:
        path.rename(lab.place.videos / "z.tif")
        lab.place.annotations.joinpath("a_particles.csv").rename(
            lab.place.annotations / "z_particles.csv"
        )
    assert (lab.collect(*models, **settings).identity() == before) == (change == "name")


def test_one_detector_looks_at_all_videos_without_labels(lab, monkeypatch):
    loaded = []
    load = collect_module.load_model
    monkeypatch.setattr(collect_module, "load_model", lambda: loaded.append(1) or load())
    for number in range(3):
        lab.film(f"{number}.tif", number, frames=())
    lab.collect(unlabelled="simulate")
    assert loaded == [1]

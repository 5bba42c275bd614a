"""Frames that a user confirmed as empty are examples without particles, from label to crop."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from cloudtrainer.config import Config, TrainingSettings
from cloudtrainer.studio.label_file import LabelFile
from cloudtrainer.studio.videos import list_videos
from cloudtrainer.training import train
from cloudtrainer.training.collect import collect
from cloudtrainer.training.crops import LabelledFrames, held_out_frames
from cloudtrainer.training.frame_cache import VideoFrames
from cloudtrainer.training.hold_out import hold_out_frames
from cloudtrainer.training.labelled import labelled_video
from cloudtrainer.training.ledger import Ledger
from cloudtrainer.training.rehearsal import keep
from cloudtrainer.training.validation_sets import validation_sets
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

SHAPE = (10, 24, 30)


def pixels(seed=0, sign=1):
    """Return frames, each of which says its number, with a spot where the labels are."""
    frames = np.random.default_rng(seed).integers(100, 110, SHAPE).astype(np.uint16)
    frames[:, 7, 5] += np.uint16(60) if sign > 0 else np.uint16(0)
    if sign < 0:
        frames[:, 7, 5] -= 60
    frames[:, 0, 0] = 1000 * (seed + 1) + np.arange(SHAPE[0])
    return frames


class Lab:
    """A workspace, and what is done in it."""

    def __init__(self, root):
        self.place = Workspace.create(root)

    def film(self, name, seed=0, labelled=(), empty=(), sign=1):
        path = self.place.videos / name
        tifffile.imwrite(path, pixels(seed, sign), photometric="minisblack")
        file = LabelFile(self.place, path, Video(path), self.place.video_files())
        file.read()
        if len(labelled):
            file.save(pd.DataFrame({"frame": labelled, "x": 5.0, "y": 7.25}))
        for frame in empty:
            file.set_empty(frame, True)
        return path

    def collect(self, *learned_by, **settings):
        ledger = Ledger.open(self.place.ledger, [])
        return collect(self.place, ledger, TrainingSettings(**settings), set(learned_by))

    def learn(self, version, *learned_by, **settings):
        data = self.collect(*learned_by, **settings)
        for video in data.new:
            keep(self.place.rehearsal, video, data.records[video.name])
        Ledger.open(self.place.ledger, []).learned(list(data.records.values()), version)
        return data


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "DeepTrack_Studio")


def by_number(video):
    return {int(n): len(xy) for n, xy in zip(video.numbers, video.positions, strict=True)}


def test_what_the_label_part_confirms_is_learned_without_particles(lab):
    lab.film("gel.tif", labelled=[1, 2, 5, 8], empty=[0, 5, 6, 9])
    data = lab.collect()
    [video] = data.new
    # A frame with a label is not empty, whatever was confirmed before.
    assert by_number(video) == {0: 0, 1: 1, 2: 1, 5: 1, 6: 0, 8: 1, 9: 0}
    for index, number in enumerate(video.numbers):
        np.testing.assert_array_equal(video.images[index], pixels()[number])
    assert video.frame_numbers(held_out=True) == [8]
    assert video.polarity == 1
    assert data.records["gel.tif"].labelled_frames == 7
    assert data.notes == ["gel.tif: 3 frames confirmed as empty: examples without particles"]
    crops = LabelledFrames(data.new).crops(400, 24, torch.Generator().manual_seed(0))
    sources = LabelledFrames(data.new).sources(400, torch.Generator().manual_seed(0))
    numbers = np.array([int(source.rsplit(" ", 1)[1]) for source in sources])
    assert set(numbers) == {0, 1, 2, 5, 6, 9}
    empty = np.isin(numbers, [0, 6, 9])
    assert not crops.present[torch.from_numpy(empty)].any()
    assert crops.present[torch.from_numpy(~empty)].any()


def test_most_crops_show_particles_however_many_frames_are_empty(lab):
    lab.film("gel.tif", labelled=[1, 8], empty=[0, 2, 3, 4, 5, 6])
    for seed in (1, 2, 3):
        lab.film(f"blank{seed}.tif", seed, empty=range(10))
    frames = LabelledFrames(lab.collect().new)
    assert len(frames) == 1 + 6 + 30
    sources = frames.sources(4000, torch.Generator().manual_seed(0))
    assert sum(s.startswith("blank") for s in sources) / 4000 == pytest.approx(0.25, abs=0.03)
    own = [source for source in sources if source.startswith("gel")]
    assert sum(s == "gel.tif frame 1" for s in own) / len(own) == pytest.approx(0.75, abs=0.03)
    assert len(set(sources)) == len(frames)


def test_few_empty_frames_are_drawn_as_often_as_others():
    images = VideoFrames(Video(pixels()), np.arange(10))
    labels = pd.DataFrame({"frame": range(1, 10), "x": 5.0, "y": 7.0})
    video = labelled_video("v", images, labels, (), empty=np.array([0]))
    sources = LabelledFrames([video]).sources(5000, torch.Generator().manual_seed(0))
    assert sources.count("v frame 0") / 5000 == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_video_without_any_particle_is_learned_beside_one_with_labels(lab, sign):
    path = lab.film("blank.tif", 1, empty=[0, 4], sign=sign)
    data = lab.collect()
    assert data.new == []
    assert data.notes == [
        "blank.tif: its 2 frames confirmed as empty will be learned from once a frame of any video "
        "has labels"
    ]
    assert data.left_out[0].startswith("blank.tif: no labels")
    lab.film("gel.tif", labelled=range(10), sign=sign)
    for version in ("v_1", "v_2"):
        data = lab.learn(version)
        blank = next(v for v in data.new if v.name == "blank.tif")
        assert by_number(blank) == {0: 0, 4: 0}
        assert not blank.held_out.any()
        # What is learned with dark particles is turned over with them.
        assert {video.polarity for video in data.new} == {sign}
        assert not any("none of its labelled frames" in note for note in data.notes)
    # It is rehearsed when it is gone.
    path.unlink()
    [kept] = [v for v in lab.collect("v_2").earlier if v.name == "blank.tif"]
    assert by_number(kept) == {0: 0, 4: 0}
    assert kept.polarity == sign


def test_whole_videos_that_are_held_out_have_particles(lab):
    for seed in range(4):
        lab.film(f"blank{seed}.tif", seed, empty=[0, 1])
    for seed in range(4, 6):
        lab.film(f"gel{seed}.tif", seed, labelled=[1, 2], empty=[3])
    data = lab.collect(hold_out="videos", validation_split=0.4)
    out = {video.name for video in data.new if video.held_out.all()}
    assert len(out) == 1
    assert out < {"gel4.tif", "gel5.tif"}


def test_a_stretch_that_is_held_out_does_not_reach_over_an_empty_frame():
    labelled, empty = np.arange(0, 20, 2), np.array([17])
    assert hold_out_frames(labelled, 0.2) == ((16, 18),)
    assert hold_out_frames(labelled, 0.2, empty=empty) == ((16, 16), (18, 18))


def test_held_out_frames_without_particles_have_no_truth(lab):
    lab.film("gel.tif", labelled=[1, 2, 8, 9])
    lab.learn("v_1")
    lab.film("gel.tif", labelled=[1, 2, 8], empty=[9])
    [video] = lab.collect("v_1").new
    # Frame 9 was held out with its label, and stays so.
    assert video.frame_numbers(held_out=True) == [9]
    [scene] = held_out_frames(video, 5)
    assert not scene.present.any()
    # Nothing to be found: no score is made of it.
    assert not video.scores
    kinds = [one.kind for one in validation_sets(Config(), [video], [])]
    assert kinds == ["simulated"]


def test_a_video_is_learned_again_when_its_empty_frames_change(lab):
    path = lab.film("gel.tif", labelled=[1, 2, 5, 8])
    lab.learn("v_1")
    assert lab.collect("v_1").new == []
    assert list_videos(lab.place)[0].state == "learned by v_1"
    before = lab.collect("v_1").identity()
    LabelFile(lab.place, path, Video(path), [path]).set_empty(6, True)
    data = lab.collect("v_1")
    assert [video.name for video in data.new] == ["gel.tif"]
    assert "gel.tif: its labels have changed; it is learned again" in data.notes
    assert data.identity() != before
    [listed] = list_videos(lab.place)
    assert listed.state == "new: labels changed since v_1"
    assert listed.row()["labels"] == "4 on 4 frames, 1 without particles"


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        ('{"empty_frames": [3, 3, -1, 99, true, "4", 2.0]}', False),
        ("{", True),
        ("[" * 100_000, True),
        ("[3]", True),
        ('{"empty_frames": 3}', True),
    ],
)
def test_a_damaged_note_is_told_and_the_labels_are_learned(lab, text, damaged):
    lab.film("gel.tif", labelled=[1, 2, 5, 8])
    note = lab.place.annotations / "looked_at" / "gel_particles.json"
    note.write_text(text)
    data = lab.collect()
    assert by_number(data.new[0]) == {1: 1, 2: 1, 5: 1, 8: 1} | ({} if damaged else {3: 0})
    assert any(str(note) in said and "is damaged" in said for said in data.notes) == damaged
    shutil.rmtree(note.parent)
    note.parent.write_text("a file")
    assert by_number(lab.collect().new[0]) == {1: 1, 2: 1, 5: 1, 8: 1}


@pytest.mark.parametrize("context_frames", [0, 1])
def test_a_training_with_empty_frames_runs_to_its_end(workspace, tiny, context_frames):
    notes = workspace.annotations / "looked_at"
    notes.mkdir()
    labels = workspace.annotations / "beads_particles.csv"
    table = pd.read_csv(labels)
    table[~table["frame"].isin([1, 2, 3])].to_csv(labels, index=False)
    (notes / "beads_particles.json").write_text(json.dumps({"empty_frames": [1, 3]}))
    (notes / "other.ome_particles.json").write_text(json.dumps({"empty_frames": [0]}))
    config = tiny(simulated_share=0.0)
    config = config.with_values([f"model.context_frames={context_frames}"])
    result = train(workspace.root, config, progress_bar=False)
    card = json.loads((result.model_dir / "metadata.json").read_text(encoding="utf-8"))
    assert {video["name"]: video["labelled_frames"] for video in card["videos"]} == {
        "beads.ome.tif": 7,
        "other.ome.tif": 1,
    }
    assert 0 <= result.scores["val_f1"] <= 1

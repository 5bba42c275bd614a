"""Hashes of videos and labels, and how they are remembered."""

import hashlib
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cloudtrainer.annotations import read_labels
from cloudtrainer.training.hashes import ContentHashes, labels_hash
from cloudtrainer.video import Video


def truth(path):
    data = path.read_bytes()
    return hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "cache" / "content_hashes.json"


@pytest.fixture
def video(tmp_path, memory):
    memory.parent.mkdir()
    path = tmp_path / "videos" / "gel.tif"
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(0).bytes(3_000_000))
    return path


def remembered(memory, *videos):
    hashes = ContentHashes(memory)
    found = [hashes.of(video) for video in videos]
    hashes.save()
    return found


@pytest.fixture
def reads(monkeypatch):
    """Return the paths of the files that are read from end to end."""
    from cloudtrainer.training import hashes

    read, whole = [], hashes._file_hashes
    monkeypatch.setattr(hashes, "_file_hashes", lambda path: read.append(path) or whole(path))
    return read


def test_hashes_are_those_of_the_bytes(video, memory):
    assert remembered(memory, video) == [truth(video)]


def test_a_video_is_read_once(video, memory, reads):
    remembered(memory, video)
    assert remembered(memory, video) == [truth(video)]
    assert reads == [video]


def larger(path):
    path.write_bytes(path.read_bytes() + b"x")


def of_the_same_size(path):
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))


def of_the_same_size_and_time(path):
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("replace", [larger, of_the_same_size, of_the_same_size_and_time])
def test_a_replaced_video_has_another_hash(video, memory, replace):
    [before] = remembered(memory, video)
    replace(video)
    assert remembered(memory, video) == [truth(video)] != [before]


def test_two_videos_of_one_size_and_time_that_change_names_change_hashes(video, memory):
    other = video.with_name("other.tif")
    other.write_bytes(video.read_bytes()[::-1])
    for path in (video, other):
        os.utime(path, ns=(1, 1))
    first, second = remembered(memory, video, other)
    video.rename(video.with_name("third"))
    other.rename(video)
    video.with_name("third").rename(other)
    assert remembered(memory, video, other) == [second, first]


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", "null", '{"gel.tif": 3}', "[" * 100_000, "\x00\xff", "../"]
)
def test_a_damaged_memory_is_no_memory(video, memory, text):
    memory.write_bytes(text.encode("latin-1"))
    assert remembered(memory, video) == [truth(video)]
    assert list(json.loads(memory.read_text(encoding="utf-8"))) == ["gel.tif"]


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("hash_", ["../../elsewhere", "", None, 7, "0" * 63])
def test_what_is_no_hash_is_never_taken_for_one(video, memory, place, hash_):
    remembered(memory, video)
    values = json.loads(memory.read_text(encoding="utf-8"))
    values["gel.tif"][place] = hash_
    memory.write_text(json.dumps(values), encoding="utf-8")
    assert remembered(memory, video) == [truth(video)]


def test_a_memory_that_cannot_be_written_is_no_error(video, memory):
    memory.mkdir()
    assert remembered(memory, video) == [truth(video)]


def test_a_folder_of_images_has_the_hash_of_its_video(tmp_path, memory):
    memory.parent.mkdir()
    folder = tmp_path / "run_1"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(folder / f"{i}.png")
    sha256 = Video(folder).sha256
    assert remembered(memory, folder) == [(sha256, sha256)]
    assert remembered(memory, folder) == [(sha256, sha256)]
    before = (folder / "0.png").stat()
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(folder / "0.png")
    os.utime(folder / "0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert remembered(memory, folder)[0][0] == Video(folder).sha256 != sha256
    shutil.copy(folder / "0.png", folder / "3.png")
    assert remembered(memory, folder)[0][0] == Video(folder).sha256


LABELS = pd.DataFrame(
    {
        "frame": [0, 0, 0, 2, 2, 7],
        "x": [1.5, 1.23456789, 1.23456791, 0.0, 3.0, 10 / 3],
        "y": [2.0, 9.5, 2.5, 1.0, 1.0, 1e-7],
    }
)


def test_labels_in_another_order_have_the_same_hash():
    expected = labels_hash(LABELS)
    for seed in range(20):
        assert labels_hash(LABELS.sample(frac=1, random_state=seed)) == expected


@pytest.mark.parametrize("kind", ["csv", "rounded csv", "parquet", "napari", "challenge"])
def test_labels_in_another_format_have_the_same_hash(tmp_path, kind):
    path = tmp_path / "labels.csv"
    if kind == "csv":
        LABELS.assign(mass=1.0).to_csv(path)
    elif kind == "rounded csv":
        LABELS.to_csv(path, index=False, float_format="%.6f")
    elif kind == "napari":
        LABELS.rename(columns={"frame": "axis-0", "y": "axis-1", "x": "axis-2"}).to_csv(path)
    elif kind == "parquet":
        path = path.with_suffix(".parquet")
        LABELS.astype({"x": "float64", "y": "float64", "frame": "int32"}).to_parquet(path)
    else:
        path = path.with_suffix(".xml")
        spots = "".join(
            f'<particle><detection t="{t}" x="{x}" y="{y}" z="0"/></particle>'
            for t, x, y in LABELS.itertuples(index=False)
        )
        path.write_text(f"<root><TrackContestISBI2012>{spots}</TrackContestISBI2012></root>")
    assert labels_hash(read_labels(path)) == labels_hash(LABELS)


@pytest.mark.parametrize("column", ["frame", "x", "y"])
def test_other_labels_have_another_hash(column):
    other = LABELS.copy()
    other.loc[3, column] += 1
    assert labels_hash(other) != labels_hash(LABELS)
    assert labels_hash(LABELS.iloc[1:]) != labels_hash(LABELS)


def test_a_label_at_minus_zero_is_one_at_zero():
    minus = LABELS.copy()
    minus.loc[3, "x"] = -1e-9
    assert labels_hash(minus) == labels_hash(LABELS)

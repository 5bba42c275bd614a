"""Frames kept of learned videos: the same when read again, few, and never a danger."""

import hashlib
import io
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.training import rehearsal
from cloudtrainer.training.crops import held_out_frames
from cloudtrainer.training.frame_cache import VideoFrames
from cloudtrainer.training.hold_out import is_held_out
from cloudtrainer.training.labelled import labelled_video
from cloudtrainer.training.ledger import VideoRecord
from cloudtrainer.training.rehearsal import keep, kept_videos
from cloudtrainer.video import Video


def record(content="gel", name="gel.tif", stretches=((8, 9),), frames=10):
    return VideoRecord(
        name,
        hashlib.md5(content.encode()).hexdigest(),
        hashlib.sha256(content.encode()).hexdigest(),
        hashlib.sha256(b"labels").hexdigest(),
        stretches,
        frames,
    )


def labelled(known, dtype="uint16", shape=(10, 12, 14)):
    """Return a video with up to three particles in each frame, in some none."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 200, shape).astype(dtype)
    rows = [
        (frame, x, y)
        for frame in range(shape[0])
        for x, y in rng.random((frame % 3 + 1, 2)) * [shape[2] - 1, shape[1] - 1]
    ]
    labels = pd.DataFrame(rows, columns=["frame", "x", "y"])
    images = VideoFrames(Video(frames), np.arange(shape[0]))
    return labelled_video(known.name, images, labels, known.held_out)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_what_is_kept_is_read_again_as_it_was(tmp_path, dtype):
    known = record()
    video = labelled(known, dtype)
    keep(tmp_path / "rehearsal", video, known)
    [kept], notes = kept_videos(tmp_path / "rehearsal")
    assert notes == []
    assert kept.record == known
    again = kept.video
    assert (again.name, again.polarity, again.brightest) == (
        video.name,
        video.polarity,
        video.brightest,
    )
    assert again.frame_numbers(held_out=True) == [8, 9]
    np.testing.assert_array_equal(again.numbers, video.numbers)
    assert len(again.images) == len(again.positions) == 10
    for index in range(10):
        assert again.images[index].dtype == dtype
        np.testing.assert_array_equal(again.images[index], video.images[index])
        np.testing.assert_array_equal(again.positions[index], video.positions[index])
    first, second = (held_out_frames(one, 4) for one in (video, again))
    assert [scene.x.tolist() for scene in first] == [scene.x.tolist() for scene in second]


def test_kept_frames_are_kept_again_as_they_are(tmp_path):
    known = record(frames=100, stretches=((80, 99),))
    keep(tmp_path, labelled(known, shape=(100, 8, 8)), known)
    [file] = tmp_path.iterdir()
    [kept], _ = kept_videos(tmp_path)
    images = [kept.video.images[index] for index in range(len(kept.video.images))]
    # The frames are read from the very file that is written.
    keep(tmp_path, kept.video, kept.record)
    [again], _ = kept_videos(tmp_path)
    assert again.record == known
    assert again.video.numbers.tolist() == kept.video.numbers.tolist()
    for index, image in enumerate(images):
        np.testing.assert_array_equal(again.video.images[index], image)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("frames", "stretches", "learned", "held_out"),
    [
        (10, ((8, 9),), 8, 2),
        (40, ((32, 39),), 32, 8),
        (1000, ((800, 999),), 32, 8),
        (1000, ((999, 999),), 39, 1),
        (1000, ((0, 998),), 1, 8),
        (1000, ((0, 999),), 0, 8),
        (50, (), 40, 0),
        (1, (), 1, 0),
        (2, ((1, 1),), 1, 1),
    ],
)
def test_some_frames_are_kept_from_end_to_end(tmp_path, frames, stretches, learned, held_out):
    known = record(stretches=stretches, frames=frames)
    video = labelled(known, shape=(frames, 6, 6))
    keep(tmp_path, video, known)
    [kept], _ = kept_videos(tmp_path)
    for is_out, number in ((False, learned), (True, held_out)):
        numbers = kept.video.frame_numbers(held_out=is_out)
        possible = video.frame_numbers(held_out=is_out)
        assert len(numbers) == number
        assert set(numbers) <= set(possible)
        if number > 1:
            assert (numbers[0], numbers[-1]) == (possible[0], possible[-1])
            assert max(np.diff(numbers)) <= len(possible) / (number - 1) + 1


@pytest.mark.parametrize(("frames_of_room", "kept_frames"), [(0.5, 2), (3.5, 3), (20.5, 20)])
def test_fewer_of_large_frames_are_kept(tmp_path, monkeypatch, frames_of_room, kept_frames):
    monkeypatch.setattr(rehearsal, "_MOST_BYTES", int(frames_of_room * 64 * 64 * 2))
    known = record(frames=50, stretches=((40, 49),))
    keep(tmp_path, labelled(known, shape=(50, 64, 64)), known)
    [kept], _ = kept_videos(tmp_path)
    assert len(kept.video.images) == kept_frames
    assert 0 < kept.video.held_out.sum() < kept_frames
    [file] = tmp_path.iterdir()
    assert file.stat().st_size < kept_frames * 64 * 64 * 2 + 16_000


def test_frames_are_read_one_by_one(tmp_path):
    known = record()
    keep(tmp_path, labelled(known, shape=(10, 64, 64)), known)
    [kept], _ = kept_videos(tmp_path)
    assert not any(isinstance(part, np.ndarray) for part in vars(kept.video.images).values())


def test_videos_that_are_not_gone_are_not_read(tmp_path):
    for content in ("a", "b"):
        keep(tmp_path, labelled(record(content)), record(content))
    kept, _ = kept_videos(tmp_path, {record("a").sha256})
    assert [one.record.sha256 for one in kept] == [record("b").sha256]


@pytest.mark.parametrize(
    "name",
    [
        "../../elsewhere.tif",
        "/etc/passwd",
        "C:\\videos\\gel.tif",
        'gel "1" (ü, 粒子), a\'b.tif',
        os.fsdecode(b"m\xe4use.tif"),
        "",
        "x" * 1000,
    ],
)
def test_a_name_is_only_a_text(tmp_path, name):
    folder = tmp_path / "a" / "rehearsal"
    known = record(name=name)
    keep(folder, labelled(known), known)
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file == folder / f"{known.sha256}.npz"
    [kept], _ = kept_videos(folder)
    assert kept.record.name == kept.video.name == name


def test_a_missing_folder_holds_nothing(tmp_path):
    assert kept_videos(tmp_path / "rehearsal") == ([], [])


def rewritten(file, **changes):
    """Write the arrays of a file anew, some of them changed or left out."""
    with np.load(file) as stored:
        arrays = {name: changes.get(name, stored[name]) for name in stored.files}
    np.savez(file, **{name: values for name, values in arrays.items() if values is not None})


def flipped(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


def pixel_flipped(file):
    with zipfile.ZipFile(file) as archive:
        inside = archive.getinfo("image_7.npy")
    flipped(file, inside.header_offset + inside.file_size - 20)


class RunMe:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a downloaded file was run')",)


def pickle_inside(file):
    data = io.BytesIO()
    np.lib.format.write_array(data, np.array([RunMe()], object), allow_pickle=True)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in {**parts, "image_3.npy": data.getvalue()}.items():
            archive.writestr(name, part)


DAMAGES = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("not an archive"),
    "a pickle": lambda file: file.write_bytes(pickle.dumps(RunMe())),
    "a pickle inside": pickle_inside,
    "a pixel": pixel_flipped,
    "folder": lambda file: (file.unlink(), file.mkdir()),
    "no numbers": lambda file: rewritten(file, numbers=None),
    "an image missing": lambda file: rewritten(file, image_9=None),
    "other shape": lambda file: rewritten(file, image_4=np.zeros((3, 3), np.uint16)),
    "colour": lambda file: rewritten(file, image_4=np.zeros((12, 14, 3), np.uint16)),
    "too few positions": lambda file: rewritten(file, positions=np.zeros((2, 2))),
    "odd positions": lambda file: rewritten(file, positions=np.zeros((2, 3))),
    "too few flags": lambda file: rewritten(file, held_out=np.zeros(3, bool)),
    "too few counts": lambda file: rewritten(file, particles=np.array([3])),
    "text for a number": lambda file: rewritten(file, polarity=np.array("bright")),
    "no hash": lambda file: rewritten(file, md5=np.array("../x")),
    "nothing": lambda file: rewritten(
        file,
        numbers=np.zeros(0, int),
        particles=np.zeros(0, int),
        held_out=np.zeros(0, bool),
        positions=np.zeros((0, 2)),
    ),
    "not named by a hash": lambda file: file.rename(file.with_name("gel.npz")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_and_passed_over(tmp_path, damage):
    for content in ("a", "b"):
        keep(tmp_path, labelled(record(content)), record(content))
    DAMAGES[damage](tmp_path / f"{record('a').sha256}.npz")
    [damaged] = set(tmp_path.iterdir()) - {tmp_path / f"{record('b').sha256}.npz"}
    kept, notes = kept_videos(tmp_path)
    assert [one.record for one in kept] == [record("b")]
    [note] = notes
    assert str(damaged) in note
    assert "remove it" in note


def test_what_a_killed_run_left_is_passed_over(tmp_path):
    (tmp_path / f".{record().sha256}.npz.part").write_bytes(b"half")
    (tmp_path / "._a.npz").write_bytes(b"what macOS leaves")
    assert kept_videos(tmp_path) == ([], [])


def test_a_full_disk_keeps_what_was_there(small_disk):
    known = record(stretches=((8, 9),))
    keep(small_disk, labelled(known), known)
    [file] = small_disk.iterdir()
    before = file.read_bytes()
    with pytest.raises(OSError):
        keep(small_disk, labelled(known, shape=(10, 300, 300)), known)
    assert list(small_disk.iterdir()) == [file]
    assert file.read_bytes() == before


def test_flags_are_those_of_the_stretches(tmp_path):
    known = record(stretches=((2, 4), (7, 7)))
    keep(tmp_path, labelled(known), known)
    [kept], _ = kept_videos(tmp_path)
    expected = is_held_out(kept.video.numbers, kept.record.held_out)
    assert kept.video.held_out.tolist() == expected.tolist()

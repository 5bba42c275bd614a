"""The cache of decoded frames: the right ones, whatever lies on the disk already."""

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from cloudtrainer.errors import VideoError
from cloudtrainer.training import frame_cache
from cloudtrainer.training.frame_cache import FrameCache, VideoFrames
from cloudtrainer.video import Video

NUMBERS = np.array([0, 3, 4, 9], np.int64)


def pixels(dtype="uint16", seed=0, shape=(10, 24, 30)):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def written(path, frames, **options):
    tifffile.imwrite(path, frames, photometric="minisblack", **options)
    return Video(path)


@pytest.fixture
def video(tmp_path):
    return written(tmp_path / "gel.tif", pixels())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def frames_of(folder, video, numbers=NUMBERS, write=True):
    return FrameCache(folder, write=write).frames(video, video.sha256, numbers)


def check(frames, expected):
    assert len(frames) == len(expected)
    for index, frame in enumerate(expected):
        assert frames[index].dtype == frame.dtype.newbyteorder("=")
        np.testing.assert_array_equal(frames[index], frame)


def images(tmp_path, frames):
    folder = tmp_path / "run_1"
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{number}.png")
    return Video(folder)


KINDS = {
    "8-bit": lambda at: written(at / "v.tif", pixels("uint8")),
    "16-bit": lambda at: written(at / "v.tif", pixels("uint16")),
    "big-endian": lambda at: written(at / "v.tif", pixels(">u2"), byteorder=">"),
    "big-endian and compressed": lambda at: written(
        at / "v.tif", pixels(">u2"), byteorder=">", compression="zlib"
    ),
    "compressed": lambda at: written(at / "v.tif", pixels(), compression="lzw", predictor=True),
    "tiled": lambda at: written(at / "v.tif", pixels(), tile=(16, 16), compression="zlib"),
    "32-bit float": lambda at: written(at / "v.tif", pixels("float32") / 7),
    "64-bit float": lambda at: written(at / "v.tif", pixels("float64") / 7),
    "signed": lambda at: written(at / "v.tif", pixels("int16") - 100),
    "images": lambda at: images(at, pixels("uint8")),
    "large images": lambda at: images(at, pixels("uint16")),
    "array": lambda _: Video(pixels()[:, ::-1]),
    "crop": lambda _: Video(pixels()).crop(region=(3, 2, 20, 10)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_from_the_cache_are_those_of_the_video(tmp_path, folder, kind):
    video = KINDS[kind](tmp_path)
    expected = [video.frames(number, number + 1)[0] for number in NUMBERS]
    check(frames_of(folder, video, write=False), expected)
    check(frames_of(folder, video), expected)
    check(frames_of(folder, video, write=False), expected)


def test_expected_frames_are_those_that_were_written(tmp_path, folder):
    video = written(tmp_path / "v.tif", pixels(">u2"), byteorder=">")
    check(frames_of(folder, video), pixels()[NUMBERS])


def test_frames_in_another_byte_order_than_the_reader_says_are_not_mixed_up(
    video, folder, monkeypatch
):
    read = Video.frames
    monkeypatch.setattr(Video, "frames", lambda *rest: read(*rest).astype(">u2"))
    check(frames_of(folder, video), pixels()[NUMBERS])


def test_the_cache_is_one_plain_array_that_is_read_from_the_disk(video, folder):
    frames = frames_of(folder, video)
    assert isinstance(frames, np.memmap)
    [file] = folder.iterdir()
    np.testing.assert_array_equal(np.load(file, allow_pickle=False), pixels()[NUMBERS])


def test_a_video_is_decoded_once(video, folder, monkeypatch):
    frames_of(folder, video)

    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(Video, "frames", fail)
    check(frames_of(folder, video), pixels()[NUMBERS])
    check(frames_of(folder, video, write=False), pixels()[NUMBERS])


def test_nothing_is_written_when_it_must_not_be(video, folder):
    assert isinstance(frames_of(folder, video, write=False), VideoFrames)
    assert not folder.exists()


def test_a_video_with_another_name_is_found_by_its_content(video, tmp_path, folder):
    frames_of(folder, video)
    other = Video(shutil.copy(video.path, tmp_path / "renamed.tif"))
    assert isinstance(frames_of(folder, other, write=False), np.memmap)


def test_a_replaced_video_does_not_find_the_frames_of_the_old_one(video, tmp_path, folder):
    frames_of(folder, video)
    again = written(tmp_path / "gel.tif", pixels(seed=1))
    check(frames_of(folder, again), pixels(seed=1)[NUMBERS])


def test_what_is_no_longer_used_is_taken_away_and_nothing_else(video, tmp_path, folder):
    folder.mkdir()
    others = [
        "gel_processed.npy",  # of versions 2.0 and 3.0
        "training_tracker.json",
        "content_hashes.json",
        f"{'a' * 32}_{'b' * 16}.txt",
        f"{'A' * 32}_{'b' * 16}.npy",
    ]
    left = [f"{'a' * 32}_{'b' * 16}.npy", f".{'a' * 32}_{'b' * 16}.npy.part"]
    for name in (*others, *left):
        (folder / name).write_bytes(b"x")
    written(tmp_path / "gone.tif", pixels(seed=2))
    frames_of(folder, Video(tmp_path / "gone.tif"))
    cache = FrameCache(folder, write=True)
    frames = cache.frames(video, video.sha256, NUMBERS)
    reader = FrameCache(folder, write=False)
    reader.remove_unused()
    assert len(list(folder.iterdir())) == len(others) + len(left) + 2
    cache.remove_unused()
    [own] = {path.name for path in folder.iterdir()} - set(others)
    assert own.startswith(video.sha256[:32])
    assert {path.name for path in folder.iterdir()} == {*others, own}
    check(frames, pixels()[NUMBERS])


def test_new_labels_make_a_new_cache_and_take_the_old_one_away(video, folder):
    first = frames_of(folder, video)
    more = np.arange(7)
    check(frames_of(folder, video, more), pixels()[:7])
    assert len(list(folder.iterdir())) == 1
    check(first, pixels()[NUMBERS])
    check(frames_of(folder, video), pixels()[NUMBERS])


def header_of(file):
    return len(file.read_bytes()) - 4 * 24 * 30 * 2


def cut_short(file):
    file.write_bytes(file.read_bytes()[:-1])


def lengthened(file):
    file.write_bytes(file.read_bytes() + bytes(2))


def emptied(file):
    file.write_bytes(b"")


def only_a_header(file):
    file.write_bytes(file.read_bytes()[: header_of(file)])


def zeros(file):
    file.write_bytes(bytes(len(file.read_bytes())))


def other_byte_order(file):
    file.write_bytes(file.read_bytes().replace(b"<u2", b">u2").replace(b"|u2", b">u2"))


def other_order_of_axes(file):
    file.write_bytes(file.read_bytes().replace(b"False", b"True "))


def other_shape(file):
    np.save(file, pixels(shape=(4, 30, 24)))


def other_type(file):
    np.save(file, pixels("int16", shape=(4, 24, 30)))


def pickled(file):
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)


def a_folder(file):
    file.unlink()
    file.mkdir()


DAMAGES = [
    cut_short,
    lengthened,
    emptied,
    only_a_header,
    zeros,
    other_byte_order,
    other_order_of_axes,
    other_shape,
    other_type,
    pickled,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_written_anew(video, folder, damage):
    frames_of(folder, video)
    [file] = folder.iterdir()
    whole = file.read_bytes()
    damage(file)
    check(frames_of(folder, video, write=False), pixels()[NUMBERS])
    assert file.read_bytes() != whole
    check(frames_of(folder, video), pixels()[NUMBERS])
    assert file.read_bytes() == whole


def test_a_folder_in_the_place_of_the_cache_is_left_alone(video, folder):
    frames_of(folder, video)
    [file] = folder.iterdir()
    a_folder(file)
    check(frames_of(folder, video), pixels()[NUMBERS])
    assert file.is_dir()


def test_a_cache_that_cannot_be_written_is_done_without(video, folder):
    folder.write_bytes(b"a file")
    check(frames_of(folder, video), pixels()[NUMBERS])
    FrameCache(folder, write=True).remove_unused()
    assert folder.read_bytes() == b"a file"


def test_too_many_frames_are_decoded_each_time(video, folder, monkeypatch):
    monkeypatch.setattr(frame_cache, "_LARGEST_BYTES", 4 * 24 * 30 * 2 - 1)
    check(frames_of(folder, video), pixels()[NUMBERS])
    assert list(folder.iterdir()) == []


def test_half_of_a_small_disk_is_left_for_the_run(small_disk, tmp_path):
    large = written(tmp_path / "large.tif", pixels(shape=(10, 200, 200)))
    for count, cached in ((5, True), (8, False)):
        numbers = np.arange(count)
        frames = frames_of(small_disk, large, numbers)
        assert isinstance(frames, np.memmap) == cached
        check(frames, pixels(shape=(10, 200, 200))[:count])


def test_a_disk_that_fills_up_is_left_as_it_was(small_disk, video, monkeypatch):
    large = pixels(shape=(20, 200, 200))
    full = written(video.path.with_name("large.tif"), large)
    roomy = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy._replace(free=1 << 40))
    check(frames_of(small_disk, full, np.arange(20)), large)
    assert list(small_disk.iterdir()) == []


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path, folder):
    path = tmp_path / "damaged.tif"
    written(path, pixels(), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[4].dataoffsets[0]
    with path.open("rb+") as file:
        file.seek(place)
        file.write(bytes(200))
    with pytest.raises(VideoError, match=r"damaged\.tif: frame 4"):
        frames_of(folder, Video(path))
    assert list(folder.iterdir()) == []
    check(frames_of(folder, Video(path), np.array([0, 9])), pixels()[[0, 9]])

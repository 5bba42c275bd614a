"""Folders of images, and single images."""

import hashlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from cloudtrainer import Video, VideoError
from cloudtrainer.video import check_frames

GREY = np.random.default_rng(5).integers(0, 256, (12, 10, 14), dtype=np.uint8)


def write(folder, frames, pattern="frame{}.png"):
    folder.mkdir(exist_ok=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / pattern.format(i))
    return folder


@pytest.mark.parametrize("pattern", ["frame{}.png", "{:03d}.BMP", "x_2024_{}_c1.tif", "{}.tiff"])
def test_natural_order(tmp_path, pattern):
    video = Video(write(tmp_path / "run_1.5", GREY, pattern))

    assert video.shape == (12, 10, 14)
    assert video.dtype == np.uint8
    assert (video.name, video.stem) == ("run_1.5", "run_1.5")
    np.testing.assert_array_equal(video.frames(), GREY)
    np.testing.assert_array_equal(video.frames(9, 11), GREY[9:11])


def test_other_files_are_left_out(tmp_path):
    folder = write(tmp_path / "run", GREY[:3])
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"not an image")
    (folder / "Thumbs.db").write_bytes(b"1")
    (folder / "old.png").mkdir()

    np.testing.assert_array_equal(Video(folder).frames(), GREY[:3])


def test_sixteen_bits_stay(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    video = Video(write(tmp_path / "run", deep))

    assert video.dtype == np.uint16
    np.testing.assert_array_equal(video.frames(), deep)


def test_colour_becomes_luminance(tmp_path):
    colour = np.random.default_rng(6).integers(0, 256, (3, 10, 14, 4), dtype=np.uint8)
    folder = write(tmp_path / "run", colour)

    video = Video(folder)

    assert video.dtype == np.float32
    expected = colour[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(video.frames(), expected, rtol=1e-6)
    np.testing.assert_array_equal(Video(folder, channel=2).frames(), colour[..., 2])
    with pytest.raises(VideoError, match=r"channel 3 does not exist; 0, 1 or 2"):
        Video(folder, channel=3)


def test_grey_stored_as_colour_keeps_its_values(tmp_path):
    folder = write(tmp_path / "run", GREY[:3, ..., None].repeat(3, axis=-1))

    np.testing.assert_array_equal(Video(folder).frames(), GREY[:3])


@pytest.mark.parametrize("mode", ["1", "LA", "P"])
def test_other_modes_of_images(tmp_path, mode):
    Image.fromarray(GREY[0] // 128 * 255).convert(mode).save(tmp_path / "a.png")

    frame = Video(tmp_path / "a.png").frames()[0]

    np.testing.assert_array_equal(frame > 0, GREY[0] >= 128)


def test_a_single_image(tmp_path):
    Image.fromarray(GREY[0]).save(tmp_path / "a.png", dpi=(300, 300))

    video = Video(tmp_path / "a.png")

    assert video.shape == (1, 10, 14)
    np.testing.assert_array_equal(video.frames(), GREY[:1])
    assert video.pixel_size_um is None
    assert "300 dpi" in video.calibration_hint
    with pytest.raises(VideoError, match="plane 2 does not exist"):
        Video(tmp_path / "a.png", plane=2)


def test_a_folder_of_calibrated_tiffs(tmp_path):
    for i in range(3):
        tifffile.imwrite(
            tmp_path / f"{i}.tif", GREY[i], imagej=True, resolution=(5, 5), metadata={"unit": "um"}
        )

    assert Video(tmp_path).pixel_size_um == 0.2


def test_hash_is_of_names_and_bytes(tmp_path):
    folder = write(tmp_path / "run", GREY)
    digest = hashlib.sha256()
    for name in sorted(path.name for path in folder.iterdir()):
        data = (folder / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)

    before = Video(folder).sha256
    (folder / "frame3.png").rename(folder / "frame20.png")

    assert before == digest.hexdigest()
    assert Video(folder).sha256 != before


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(VideoError, match="no images"):
        Video(tmp_path)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (GREY[0, :9], r"frame10\.png: it is 9 x 14 uint8, but the first image frame0\.png is 10 x"),
        (GREY[0].astype(np.uint16), r"frame10\.png: it is 10 x 14 uint16"),
        (GREY[0, ..., None].repeat(3, axis=-1), r"frame10\.png: it is 10 x 14 float32"),
    ],
)
def test_the_first_odd_image_is_named(tmp_path, odd, words):
    folder = write(tmp_path / "run", GREY)
    Image.fromarray(odd).save(folder / "frame10.png")
    Image.fromarray(odd).save(folder / "frame11.png")

    with pytest.raises(VideoError, match=words):
        Video(folder)


def test_a_stack_within_a_folder_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="minisblack")

    with pytest.raises(VideoError, match=r"a\.tif: this TIFF holds 12 frames"):
        Video(tmp_path)


@pytest.mark.parametrize("kept", [0, 20, 60])
def test_an_image_that_is_cut_short(tmp_path, kept):
    folder = write(tmp_path / "run", GREY)
    data = (folder / "frame5.png").read_bytes()
    (folder / "frame5.png").write_bytes(data[:kept])

    with pytest.raises(VideoError, match=r"frame5\.png: "):
        Video(folder).frames()


def test_opening_decodes_nothing(tmp_path, monkeypatch):
    folder = write(tmp_path / "run", GREY)
    decoded = []
    original = Image.Image.load

    from PIL.PngImagePlugin import PngImageFile

    original = PngImageFile.load
    monkeypatch.setattr(
        PngImageFile, "load", lambda self: decoded.append(self.filename) or original(self)
    )

    video = Video(folder)
    assert decoded == []
    video.frames(10, 11)
    assert {str(name).rpartition("/")[2] for name in decoded} == {"frame10.png"}


def test_beads(shared_data):
    folder = shared_data / "beads" / "run_1"

    video = Video(folder)

    assert video.shape == (200, 480, 640)
    assert video.pixel_size_um is None
    assert video.frame_interval_s is None
    with Image.open(folder / "frame00123.jpg") as image:
        grey = np.asarray(image.convert("RGB")) @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(video.frames(123, 124)[0], grey, rtol=1e-6)
    check_frames(video)

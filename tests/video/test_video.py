"""Video itself: arrays, views, hashes, calibration that is given, and bad input."""

import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cloudtrainer import CalibrationError, Video, VideoError

MOVIE = np.random.default_rng(0).integers(0, 4000, (9, 12, 17), dtype=np.uint16)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.b.tif"
    tifffile.imwrite(
        path,
        MOVIE,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.5},
    )
    return path


def test_an_array_is_a_video():
    video = Video(MOVIE)

    assert video.shape == (9, 12, 17)
    assert len(video) == 9
    assert video.dtype == np.uint16
    assert (video.name, video.stem, video.path) == ("array", "array", None)
    assert (video.pixel_size_um, video.frame_interval_s) == (None, None)
    assert video.timestamps_s is None
    assert (video.calibration_source, video.calibration_hint) == ("unknown", None)
    np.testing.assert_array_equal(video.frames(3, 5), MOVIE[3:5])


def test_frames_of_an_array_are_copies():
    array = MOVIE.copy()

    Video(array).frames()[:] = 0

    np.testing.assert_array_equal(array, MOVIE)


def test_one_image_is_a_video_of_one_frame():
    video = Video(MOVIE[0])

    assert video.shape == (1, 12, 17)
    np.testing.assert_array_equal(video.frames(), MOVIE[:1])


def test_bytes_in_the_other_order_are_turned():
    video = Video(MOVIE.astype(">u2"))

    assert video.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(video.frames(), MOVIE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 4, 4)), "no pixels"),
        (np.zeros((4, 0, 4)), "no pixels"),
        (np.zeros(5), r"\(T, Y, X\) or \(Y, X\), this one has 1"),
        (np.zeros((2, 2, 4, 4)), "this one has 4"),
        (np.zeros((2, 4, 4), complex), "complex128"),
        (np.full((2, 4, 4), "a"), "<U1"),
        (np.full((2, 4, 4), None), "object"),
    ],
)
def test_arrays_that_are_no_videos(array, words):
    with pytest.raises(VideoError, match=words):
        Video(array)


@pytest.mark.parametrize("choice", ["channel", "plane", "image"])
def test_an_array_has_nothing_to_choose(choice):
    with pytest.raises(VideoError, match=f"{choice} 1 does not exist"):
        Video(MOVIE, **{choice: 1})


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (0, 10), (5, 4), (10, None)])
def test_frames_that_do_not_exist(start, stop):
    with pytest.raises(VideoError, match=r"do not exist; it has frames 0:9"):
        Video(MOVIE).frames(start, stop)


def test_what_the_file_states(path):
    video = Video(path)

    assert (video.pixel_size_um, video.frame_interval_s) == (0.25, 0.5)
    assert video.calibration_source == "ImageJ"
    assert (video.name, video.stem, video.path) == ("a.b.tif", "a.b", path)


def test_given_numbers_win(path):
    video = Video(str(path), pixel_size_um=0.1, frame_interval_s=0.02)

    assert (video.pixel_size_um, video.frame_interval_s) == (0.1, 0.02)
    assert video.calibration_source == "given"


def test_one_given_number_leaves_the_other(path):
    video = Video(path, pixel_size_um=0.1)

    assert (video.pixel_size_um, video.frame_interval_s) == (0.1, 0.5)
    assert video.calibration_source == "given"


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["pixel_size_um", "frame_interval_s"])
def test_calibration_that_cannot_be_right(name, value):
    with pytest.raises(CalibrationError, match=f"{name} = .*positive"):
        Video(MOVIE, **{name: value})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_named(value):
    array = MOVIE.astype(np.float32)
    array[6, 4, 11] = value
    video = Video(array)

    assert len(video.frames(0, 6)) == 6
    with pytest.raises(VideoError, match=r"frame 6 holds 1 pixel.*x = 11, y = 4"):
        video.frames(5, 8)


@given(data=st.data())
def test_a_view_is_a_slice(data):
    count, rows, columns = MOVIE.shape
    a = data.draw(st.integers(0, count - 1))
    b = data.draw(st.integers(a + 1, count))
    x = data.draw(st.integers(0, columns - 1))
    y = data.draw(st.integers(0, rows - 1))
    width = data.draw(st.integers(1, columns - x))
    height = data.draw(st.integers(1, rows - y))

    view = Video(MOVIE, pixel_size_um=0.2).crop((a, b), (x, y, width, height))

    assert view.shape == (b - a, height, width)
    assert view.pixel_size_um == 0.2
    np.testing.assert_array_equal(view.frames(), MOVIE[a:b, y : y + height, x : x + width])


def test_a_view_of_a_view(path):
    video = Video(path)

    view = video.crop((2, 8), (3, 1, 10, 9)).crop((1, 4), (2, 5, 4, 3))

    np.testing.assert_array_equal(view.frames(), MOVIE[3:6, 6:9, 5:9])
    np.testing.assert_array_equal(view.frames(1, 2), MOVIE[4:5, 6:9, 5:9])
    assert video.shape == (9, 12, 17)
    assert view.sha256 == video.sha256
    assert view.name == video.name


def test_a_view_of_everything(path):
    np.testing.assert_array_equal(Video(path).crop().frames(), MOVIE)


@pytest.mark.parametrize("frames", [(3, 3), (5, 3), (-1, 2), (0, 10)])
def test_views_of_frames_that_do_not_exist(frames):
    with pytest.raises(VideoError, match="choose within 0:9"):
        Video(MOVIE).crop(frames=frames)


@pytest.mark.parametrize(
    "region", [(0, 0, 18, 5), (0, 0, 5, 13), (-1, 0, 5, 5), (0, 0, 0, 5), (16, 0, 2, 2)]
)
def test_views_outside_the_field(region):
    with pytest.raises(VideoError, match=r"not within its 17 x 12 pixels"):
        Video(MOVIE).crop(region=region)


def test_hash_of_a_file(path):
    assert Video(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_hash_of_an_array():
    same, other = Video(MOVIE.copy()).sha256, Video(MOVIE + 1).sha256

    assert Video(MOVIE).sha256 == same != other
    assert Video(MOVIE.reshape(9, 17, 12)).sha256 != same
    assert Video(MOVIE.view(np.int16)).sha256 != same
    assert Video(MOVIE).crop((0, 2)).sha256 == same


def test_goes_to_another_process_and_back(path):
    view = pickle.loads(pickle.dumps(Video(path, pixel_size_um=0.3).crop((2, 4))))

    assert view.pixel_size_um == 0.3
    np.testing.assert_array_equal(view.frames(), MOVIE[2:4])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(Video(MOVIE))).frames(), MOVIE)


def test_a_missing_file(tmp_path):
    with pytest.raises(VideoError, match=r"none\.tif: no such file"):
        Video(tmp_path / "none.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.avi", "a.mp4", "a.czi", "a.nd2"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()

    with pytest.raises(VideoError, match=r"empty \(0 bytes\)"):
        Video(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "a.tif",
        "a.png",
        "a.jpg",
        "a.bmp",
        "a.avi",
        "a.mp4",
        "a.mov",
        "a.czi",
        "a.nd2",
        "a.lif",
        "a.oir",
    ],
)
def test_text_with_the_extension_of_a_video(tmp_path, name):
    (tmp_path / name).write_text("frame,x,y\n0,1.5,2.5\n" * 50)

    with pytest.raises(VideoError, match=name.replace(".", r"\.")) as raised:
        Video(tmp_path / name)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.csv", "a", "a.gif"])
def test_an_unknown_extension_lists_the_known(tmp_path, name):
    (tmp_path / name).write_bytes(b"1")

    with pytest.raises(VideoError, match=r"\.tif .*\.png .*\.avi .*\.czi"):
        Video(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_a_file_without_permission(path):
    path.chmod(0)

    with pytest.raises(VideoError, match="cannot be opened"):
        Video(path)


def test_importing_is_light():
    heavy = [
        "tifffile",
        "PIL",
        "av",
        "bioio",
        "torch",
        "matplotlib",
        "pandas",
        "scipy",
        "dask",
        "xarray",
    ]
    code = "import sys, cloudtrainer.video; print(*(set(sys.argv[1:]) & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []

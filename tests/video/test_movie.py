"""AVI, MP4 and MOV movies, written by PyAV and read back."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from cloudtrainer import Video, VideoError

av = pytest.importorskip("av")

HEIGHT, WIDTH, COUNT = 48, 70, 60


def moving_blob(count=COUNT):
    """Return a bright blob on a grey ramp that moves half a pixel a frame: every frame differs."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres = 10 + 0.5 * np.arange(count)[:, None, None]
    blob = 150 * np.exp(-((x - centres) ** 2 + (y - 20) ** 2) / 18)
    return (40 + 0.5 * x + blob).astype(np.uint8)


def write(path, frames, codec, pixels, source="gray", options=None, gop=12, rate=25):
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.gop_size = pixels, gop
        for i, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format=source)
            frame.pts, frame.time_base = i, Fraction(1, rate)
            for packet in stream.encode(frame):
                movie.mux(packet)
        for packet in stream.encode():
            movie.mux(packet)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".avi", "ffv1"), (".avi", "rawvideo"), (".mov", "png")]
)
def test_lossless_grey_comes_back_exactly(tmp_path, suffix, codec):
    frames = moving_blob()

    video = Video(write(tmp_path / f"a{suffix}", frames, codec, "gray"))

    assert video.shape == (COUNT, HEIGHT, WIDTH)
    assert video.dtype == np.uint8
    np.testing.assert_array_equal(video.frames(), frames)


def test_sixteen_bits_stay(tmp_path):
    frames = moving_blob(5).astype(np.uint16) * 257

    video = Video(write(tmp_path / "a.avi", frames, "ffv1", "gray16le", source="gray16le"))

    assert video.dtype == np.uint16
    np.testing.assert_array_equal(video.frames(), frames)


def test_uncompressed_colour_becomes_luminance(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write(tmp_path / "a.avi", colour, "rawvideo", "bgr24", source="rgb24")

    video = Video(path)

    assert video.dtype == np.float32
    expected = colour @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(video.frames(), expected, rtol=1e-6)
    np.testing.assert_array_equal(Video(path, channel=0).frames(), colour[..., 0])


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels", "options"),
    [
        (".avi", "mjpeg", "yuvj420p", {"q": "2"}),
        (".avi", "mpeg4", "yuv420p", {"b": "4000000"}),
        (".avi", "mpeg4", "yuv420p", {"b": "4000000", "bf": "2"}),
        (".mp4", "mpeg4", "yuv420p", {"b": "4000000", "bf": "2"}),
        (".mp4", "libx264", "yuv420p", {"crf": "12", "bf": "3"}),
        (".mov", "libx264", "yuv420p", {"crf": "12"}),
    ],
)
def test_any_frame_is_the_one_of_decoding_in_order(tmp_path, suffix, codec, pixels, options):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    frames = moving_blob()
    path = write(tmp_path / f"a{suffix}", frames, codec, pixels, options=options)
    with av.open(str(path)) as movie:
        decoded = [frame.to_ndarray()[:HEIGHT] for frame in movie.decode(video=0)]

    video = Video(path)

    assert video.shape == (COUNT, HEIGHT, WIDTH) == (len(decoded), HEIGHT, WIDTH)
    assert video.dtype == np.uint8
    for number in (40, 41, 3, 0, 59, 13, 12, 11, 58):
        np.testing.assert_array_equal(video.frames(number, number + 1)[0], decoded[number])
    np.testing.assert_array_equal(video.frames(), decoded)
    # The blob is where it was put: the frames are the right ones, not only consistent ones.
    bright = video.frames()[:, 20].argmax(axis=1)
    np.testing.assert_allclose(bright, moving_blob()[:, 20].argmax(axis=1), atol=3)


def test_the_playback_rate_is_only_a_hint(tmp_path):
    video = Video(write(tmp_path / "a.avi", moving_blob(3), "ffv1", "gray", rate=30))

    assert (video.pixel_size_um, video.frame_interval_s, video.timestamps_s) == (None, None, None)
    assert video.calibration_source == "unknown"
    assert video.calibration_hint == ("the movie plays at 30 frames/s, which is not a calibration")


def test_reading_on_decodes_each_frame_once(tmp_path, monkeypatch):
    from cloudtrainer.video.movie import MovieReader

    video = Video(write(tmp_path / "a.avi", moving_blob(), "ffv1", "gray"))
    opened = []
    original = MovieReader._open
    monkeypatch.setattr(MovieReader, "_open", lambda self: opened.append(1) or original(self))

    for start in range(1, COUNT, 7):
        video.frames(start, min(start + 7, COUNT))

    assert opened == []


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_a_movie_that_is_cut_short_is_refused(tmp_path, suffix, kept):
    path = write(tmp_path / f"a{suffix}", moving_blob(), "mpeg4", "yuv420p")
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])

    with pytest.raises(VideoError, match="cut short") as raised:
        Video(path)

    assert "\n" not in str(raised.value)


def test_an_mp4_with_its_index_first_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as movie:
        stream = movie.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for array in moving_blob():
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="gray")))
        movie.mux(stream.encode())
    data = path.read_bytes()
    path.write_bytes(data[: int(0.8 * len(data))])

    with pytest.raises(VideoError, match=r"cut short|breaks off"):
        Video(path)


def test_a_file_of_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as movie:
        stream = movie.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 44100
        movie.mux(stream.encode(sound))
        movie.mux(stream.encode())

    with pytest.raises(VideoError, match="no video stream"):
        Video(tmp_path / "a.mp4")


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.avi", moving_blob(2), "ffv1", "gray")
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(VideoError, match=r"pip install 'deeptrack-cloud-trainer\[movies\]'"):
        Video(path)


def test_movies_have_one_plane(tmp_path):
    path = write(tmp_path / "a.avi", moving_blob(2), "ffv1", "gray")

    with pytest.raises(VideoError, match="plane 1 does not exist"):
        Video(path, plane=1)
    with pytest.raises(VideoError, match="leave channel out"):
        Video(path, channel=1)


def test_damaged_frames_are_named(tmp_path):
    path = write(tmp_path / "a.mov", moving_blob(9), "png", "gray")
    with av.open(str(path)) as movie:
        packet = [packet for packet in movie.demux(video=0) if packet.size][5]
        where, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[where : where + size] = b"\xff" * size
    path.write_bytes(data)
    video = Video(path)

    assert len(video.frames(0, 5)) == 5
    with pytest.raises(VideoError, match="frame 5 of 9 cannot be decoded"):
        video.frames(4, 7)
    np.testing.assert_array_equal(video.frames(2, 4), moving_blob(9)[2:4])

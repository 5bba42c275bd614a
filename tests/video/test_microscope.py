"""Files of microscopes: .czi written by Zeiss's own library, .lif laid out by hand."""

import struct
import sys

import numpy as np
import pytest

from cloudtrainer import Video, VideoError

pytest.importorskip("bioio_openreadout")
czi = pytest.importorskip("pylibCZIrw.czi")

DATA = np.random.default_rng(0).integers(0, 60000, (6, 2, 3, 20, 31), dtype=np.uint16)  # TCZYX


def write(path, data=DATA, pixel_um=0.1625, scenes=1):
    with czi.create_czi(str(path)) as file:
        for scene in range(scenes):
            for t, c, z in np.ndindex(data.shape[:3]):
                file.write(
                    data=(data[t, c, z] + scene)[..., None],
                    plane={"T": t, "C": c, "Z": z},
                    scene=scene,
                    location=(100 * scene, 0),
                )
        if pixel_um is not None:
            file.write_metadata(scale_x=pixel_um * 1e-6, scale_y=pixel_um * 1e-6)
    return path


def test_a_plain_series(tmp_path):
    path = write(tmp_path / "a.czi", DATA[:, :1, :1])

    video = Video(path)

    assert video.shape == (6, 20, 31)
    assert video.dtype == np.uint16
    np.testing.assert_array_equal(video.frames(), DATA[:, 0, 0])
    np.testing.assert_array_equal(video.frames(2, 4), DATA[2:4, 0, 0])
    assert video.frames(3, 3).shape == (0, 20, 31)


def test_the_pixel_size_is_read_and_an_unknown_interval_is_none(tmp_path):
    video = Video(write(tmp_path / "a.czi", DATA[:, :1, :1]))

    assert video.pixel_size_um == pytest.approx(0.1625)
    assert video.frame_interval_s is None
    assert video.calibration_source == "vendor"


def test_an_unknown_pixel_size_is_none(tmp_path):
    video = Video(write(tmp_path / "a.czi", DATA[:, :1, :1], pixel_um=None))

    assert video.pixel_size_um is None
    assert video.calibration_source == "unknown"


def test_channels_and_planes_are_chosen(tmp_path):
    path = write(tmp_path / "a.czi")

    with pytest.raises(VideoError, match=r"2 channels: pass channel=0 or 1 and 3 Z-planes"):
        Video(path)
    video = Video(path, channel=1, plane=2)
    np.testing.assert_array_equal(video.frames(1, 5), DATA[1:5, 1, 2])


def test_planes_without_time_are_the_movie(tmp_path):
    path = write(tmp_path / "a.czi", DATA[:1])

    np.testing.assert_array_equal(Video(path, channel=1).frames(1, 3), DATA[0, 1, 1:3])


def test_scenes_are_chosen(tmp_path):
    path = write(tmp_path / "a.czi", DATA[:, :1, :1], scenes=2)

    with pytest.raises(VideoError, match="2 images: pass image=0 to 1"):
        Video(path)
    np.testing.assert_array_equal(Video(path, image=1).frames(), DATA[:, 0, 0] + 1)


def test_a_single_image(tmp_path):
    video = Video(write(tmp_path / "a.czi", DATA[:1, :1, :1]))

    assert video.shape == (1, 20, 31)
    np.testing.assert_array_equal(video.frames(), DATA[:1, 0, 0])


def test_colour_becomes_luminance(tmp_path):
    bgr = np.random.default_rng(1).integers(0, 256, (4, 20, 31, 3), dtype=np.uint8)
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, frame in enumerate(bgr):
            file.write(data=frame, plane={"T": t, "C": 0, "Z": 0})

    video = Video(tmp_path / "a.czi")

    expected = bgr @ np.array([0.0722, 0.7152, 0.2126])
    np.testing.assert_allclose(video.frames(), expected, rtol=1e-6)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_a_file_that_is_cut_short(tmp_path, kept):
    path = write(tmp_path / "a.czi", DATA[:, :1, :1])
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])

    with pytest.raises(VideoError, match=r"a\.czi: .*again") as raised:
        Video(path).frames()

    assert "\n" not in str(raised.value)


def test_without_bioio_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.czi", DATA[:1, :1, :1])
    monkeypatch.setitem(sys.modules, "bioio", None)

    with pytest.raises(VideoError, match=r"pip install 'deeptrack-cloud-trainer\[microscopes\]'"):
        Video(path)


def attach_times(path, times):
    """Add the attachment in which Zeiss's microscopes keep the time of each frame.

    Segments, attachments and their directory as in the published layout of ZISRAW files.
    """
    data = bytearray(path.read_bytes())

    def segment(name, payload):
        position = len(data)
        data.extend(struct.pack("<16sQQ", name, len(payload), len(payload)) + payload)
        return position

    position = len(data)
    entry = struct.pack(
        "<2s10xQI16s8s80s", b"A1", position, 0, b"\x01" * 16, b"CZTIMS", b"TimeStamps"
    )
    stamps = struct.pack(f"<II{len(times)}d", 8 + 8 * len(times), len(times), *times)
    head = (struct.pack("<I12x", len(stamps)) + entry).ljust(256, b"\0")
    segment(b"ZISRAWATTACH", head + stamps)
    directory = segment(b"ZISRAWATTDIR", struct.pack("<I", 1).ljust(256, b"\0") + entry)
    struct.pack_into("<Q", data, 32 + 72, directory)
    path.write_bytes(data)


def test_the_measured_times_of_a_czi(tmp_path):
    path = write(tmp_path / "a.czi", DATA[:, :1, :1])
    times = [12.0, 12.05, 12.101, 12.15, 12.2, 12.25]
    attach_times(path, times)

    video = Video(path)

    np.testing.assert_array_equal(video.frames(), DATA[:, 0, 0])
    np.testing.assert_allclose(np.diff(video.timestamps_s), np.diff(times))
    assert video.frame_interval_s == pytest.approx(0.05)
    assert video.calibration_source == "vendor"


def write_lif(path, data, pixel_um, interval_s):
    """Write frames (T, Y, X) in the published layout of Leica's files: XML, then blocks of memory.

    Lengths in the XML run from the first pixel or frame to the last.
    """
    count, rows, columns = data.shape
    steps = {
        1: (columns, (columns - 1) * pixel_um * 1e-6, "m", 2),
        2: (rows, (rows - 1) * pixel_um * 1e-6, "m", 2 * columns),
        4: (count, (count - 1) * interval_s, "s", 2 * columns * rows),
    }
    dimensions = "".join(
        f'<DimensionDescription DimID="{dimension}" NumberOfElements="{number}" Origin="0" '
        f'Length="{length:.12e}" Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
        for dimension, (number, length, unit, step) in steps.items()
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" Visibility="1"><Children>'
        '<Element Name="Series001" Visibility="1"><Data><Image><ImageDescription><Channels>'
        '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" '
        'Min="0" Max="65535" Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="0" BitInc="0"/>'
        f"</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_1"/><Children/></Element>'
        "</Children></Element></LMSDataContainerHeader>"
    )

    def chunk(content):
        return struct.pack("<iI", 0x70, len(content)) + content

    def text(string):
        return b"\x2a" + struct.pack("<I", len(string)) + string.encode("utf-16-le")

    block = b"\x2a" + struct.pack("<Q", data.nbytes) + text("MemBlock_1")
    path.write_bytes(chunk(text(xml)) + chunk(block) + data.astype("<u2").tobytes())
    return path


def test_leica_with_its_interval(tmp_path):
    path = write_lif(tmp_path / "a.lif", DATA[:, 0, 0], pixel_um=0.2, interval_s=0.0417)

    video = Video(path)

    assert video.shape == (6, 20, 31)
    np.testing.assert_array_equal(video.frames(1, 5), DATA[1:5, 0, 0])
    assert video.pixel_size_um == pytest.approx(0.2, rel=1e-6)
    assert video.frame_interval_s == pytest.approx(0.0417, rel=1e-6)
    assert video.calibration_source == "vendor"


def test_leica_cut_short(tmp_path):
    path = write_lif(tmp_path / "a.lif", DATA[:, 0, 0], pixel_um=0.2, interval_s=0.0417)
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(VideoError, match=r"a\.lif: .*again"):
        Video(path).frames()

"""TIFF stacks of every kind, written by tifffile and Pillow and read back."""

import numpy as np
import pytest
import tifffile

from cloudtrainer import Video, VideoError


@pytest.fixture
def stack():
    return np.random.default_rng(1).integers(0, 60000, (7, 11, 13), dtype=np.uint16)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metadata": None},
        {"bigtiff": True},
        {"imagej": True},
        {"ome": True},
        {"compression": "zlib"},
        {"compression": "lzw", "predictor": True},
        {"compression": "zstd", "metadata": None},
        {"tile": (16, 16)},
        {"rowsperstrip": 3, "compression": "zlib"},
        {"byteorder": ">"},
        {"byteorder": ">", "imagej": True},
        {"metadata": {"axes": "ZYX"}, "imagej": True},
        {"metadata": {"axes": "ZYX"}, "ome": True},
        {"metadata": None, "contiguous": False},
    ],
    ids=str,
)
def test_a_plain_stack_is_time(tmp_path, stack, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", **options)

    video = Video(path)

    assert video.shape == (7, 11, 13)
    assert video.dtype == np.uint16
    assert video.frames().dtype == np.uint16
    np.testing.assert_array_equal(video.frames(), stack)
    np.testing.assert_array_equal(video.frames(2, 5), stack[2:5])
    assert video.frames(3, 3).shape == (0, 11, 13)


def test_a_stack_of_separate_pages(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for frame in stack:
            tiff.write(frame, metadata=None, contiguous=False, compression="zlib")

    np.testing.assert_array_equal(Video(tmp_path / "a.tif").frames(), stack)


def test_a_stack_written_by_pillow(tmp_path, stack):
    from PIL import Image

    images = [Image.fromarray(frame.astype(np.uint8)) for frame in stack]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:], dpi=(96, 96))

    video = Video(tmp_path / "a.tif")

    np.testing.assert_array_equal(video.frames(), stack.astype(np.uint8))
    assert video.pixel_size_um is None
    assert "96 dpi" in video.calibration_hint


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64]
)
def test_keeps_the_pixel_type(tmp_path, stack, dtype):
    tifffile.imwrite(tmp_path / "a.tif", stack.astype(dtype), photometric="minisblack")

    video = Video(tmp_path / "a.tif")

    assert video.dtype == dtype
    np.testing.assert_array_equal(video.frames(1, 4), stack[1:4].astype(dtype))


def test_one_bit_becomes_uint8(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack > 30000, photometric="minisblack")

    video = Video(tmp_path / "a.tif")

    assert video.dtype == np.uint8
    np.testing.assert_array_equal(video.frames(), (stack > 30000).astype(np.uint8))


def test_complex_pixels_are_refused(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack.astype(np.complex64), photometric="minisblack")

    with pytest.raises(VideoError, match="complex64"):
        Video(tmp_path / "a.tif")


@pytest.mark.parametrize("order", ["interleaved", "planar", "rgba"])
def test_colour_becomes_luminance(tmp_path, order):
    colour = np.random.default_rng(2).integers(0, 256, (5, 11, 13, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    if order == "planar":
        planes = np.moveaxis(colour, -1, 1)
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    elif order == "rgba":
        opaque = np.full((5, 11, 13, 1), 99, np.uint8)
        rgba = np.concatenate([colour, opaque], axis=-1)
        tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
    else:
        tifffile.imwrite(path, colour, photometric="rgb")

    video = Video(path)

    assert video.shape == (5, 11, 13)
    assert video.dtype == np.float32
    expected = colour @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(video.frames(), expected, rtol=1e-6)
    np.testing.assert_array_equal(Video(path, channel=1).frames(), colour[..., 1])


def test_palettes_become_luminance(tmp_path, stack):
    indices = (stack % 256).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 257
    green = np.stack([0 * ramp, ramp, 0 * ramp])
    tifffile.imwrite(
        tmp_path / "a.tif", indices, photometric="palette", colormap=green, metadata=None
    )

    np.testing.assert_allclose(Video(tmp_path / "a.tif").frames(), 0.7152 * indices, rtol=1e-6)


def test_imagej_lookup_tables_leave_the_intensities(tmp_path, stack):
    indices = (stack % 256).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 257
    tifffile.imwrite(
        tmp_path / "a.tif",
        indices,
        imagej=True,
        photometric="palette",
        colormap=np.stack([ramp[::-1], ramp, 0 * ramp]),
    )

    video = Video(tmp_path / "a.tif")

    assert video.dtype == np.uint8
    np.testing.assert_array_equal(video.frames(), indices)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_channels_and_planes_are_chosen(tmp_path, kind):
    data = np.random.default_rng(3).integers(0, 60000, (4, 3, 2, 11, 13), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, data, photometric="minisblack", metadata={"axes": "TZCYX"}, **{kind: True}
    )

    with pytest.raises(VideoError, match=r"2 channels: pass channel=0 or 1 and 3 Z-planes"):
        Video(path)
    video = Video(path, channel=1, plane=2)
    assert video.shape == (4, 11, 13)
    np.testing.assert_array_equal(video.frames(1, 3), data[1:3, 2, 1])


def test_ome_in_another_order(tmp_path):
    data = np.random.default_rng(3).integers(0, 60000, (2, 4, 11, 13), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "CTYX"})

    video = Video(tmp_path / "a.ome.tif", channel=1)

    np.testing.assert_array_equal(video.frames(), data[1])


def test_axes_without_names_are_ambiguous(tmp_path):
    data = np.zeros((5, 3, 11, 13), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")

    with pytest.raises(VideoError, match=r"5 x 3 images.*array\[:, 0\] for 5 frames"):
        Video(tmp_path / "a.tif")


def test_several_positions_need_a_choice(tmp_path, stack):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(stack, photometric="minisblack", metadata={"axes": "TYX"})
        tiff.write(
            stack[:4] // 2,
            photometric="minisblack",
            metadata={"axes": "TYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25},
        )

    with pytest.raises(VideoError, match=r"2 images: pass image=0 to 1"):
        Video(path)
    with pytest.raises(VideoError, match="image 2 does not exist"):
        Video(path, image=2)
    video = Video(path, image=1)
    np.testing.assert_array_equal(video.frames(), stack[:4] // 2)
    assert video.pixel_size_um == 0.25


def test_pages_of_two_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.ones((11, 13), np.uint8), metadata=None)
        tiff.write(np.ones((11, 13), np.uint8), metadata=None)
        tiff.write(np.ones((11, 14), np.uint8), metadata=None)

    with pytest.raises(VideoError, match=r"first is 11 x 13 uint8, another is 11 x 14 uint8"):
        Video(tmp_path / "a.tif")


def test_imagej_calibration(tmp_path, stack):
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(10, 10),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.05, "fps": 7.0},
    )

    video = Video(tmp_path / "a.tif")

    assert video.pixel_size_um == 0.1
    assert video.frame_interval_s == 0.05
    assert video.calibration_source == "ImageJ"
    assert video.timestamps_s is None


def test_ome_calibration_and_times(tmp_path, stack):
    times = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        ome=True,
        photometric="minisblack",
        metadata={
            "axes": "TYX",
            "PhysicalSizeX": 162.5,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 162.5,
            "PhysicalSizeYUnit": "nm",
            "Plane": {"DeltaT": times},
        },
    )

    video = Video(tmp_path / "a.tif")

    assert video.pixel_size_um == pytest.approx(0.1625)
    assert video.frame_interval_s == pytest.approx(0.1)
    assert video.calibration_source == "OME"
    np.testing.assert_allclose(video.timestamps_s, times)
    np.testing.assert_allclose(video.crop(frames=(2, 5)).timestamps_s, times[2:5])


def test_a_plain_tiff_has_no_calibration(tmp_path, stack):
    tifffile.imwrite(
        tmp_path / "a.tif", stack, resolution=(72, 72), resolutionunit="inch", metadata=None
    )

    video = Video(tmp_path / "a.tif")

    assert (video.pixel_size_um, video.frame_interval_s) == (None, None)
    assert video.calibration_source == "unknown"
    assert "72 dpi" in video.calibration_hint


def test_bulk_water(shared_data):
    path = shared_data / "bulk_water" / "bulk_water.tif"

    video = Video(path)

    assert video.shape == (150, 424, 640)
    assert video.dtype == np.uint8
    assert video.pixel_size_um == 100 / 285
    assert video.frame_interval_s == 1 / 24
    assert video.calibration_source == "ImageJ"
    np.testing.assert_array_equal(video.frames(70, 73), tifffile.imread(path)[70:73])


def test_an_imagej_file_that_calls_time_slices(shared_data):
    path = shared_data / "formats" / "tracks1_crop.tif"

    assert Video(path).shape == (5, 119, 101)
    np.testing.assert_array_equal(Video(path).frames(), tifffile.imread(path))


# Bad input


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": None, "compression": "zlib"},
        {"compression": "zlib"},
        {"metadata": None},
        {"imagej": True},
        {"imagej": True, "compression": "zlib"},
        {"ome": True},
        {"bigtiff": True},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("kept", [0.95, 0.6, 0.3, 0.02])
def test_a_truncated_file_is_refused(tmp_path, options, kept):
    noise = np.random.default_rng(4).integers(0, 60000, (20, 64, 64), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise, photometric="minisblack", **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])

    with pytest.raises(VideoError, match=r"a\.tif: .*again") as raised:
        Video(path)

    assert "\n" not in str(raised.value)


def test_ome_planes_that_are_not_in_the_file_are_refused(tmp_path, stack):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "TYX"})
    xml = tifffile.tiffcomment(path)
    xml = xml.replace('SizeT="7"', 'SizeT="9"').replace('PlaneCount="7"', 'PlaneCount="9"')
    tifffile.tiffcomment(path, xml.encode())

    with pytest.raises(VideoError, match="image 7 is not in this file"):
        Video(path)


def test_damaged_pixels_are_named_by_frame(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, compression="zlib", metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[3].dataoffsets[0], tiff.pages[3].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\xff" * count
    path.write_bytes(data)

    video = Video(path)

    assert len(video.frames(0, 3)) == 3
    with pytest.raises(VideoError, match="frame 3 cannot be decoded"):
        video.frames(2, 5)


@pytest.mark.parametrize("content", [b"frame,x,y\n0,1,2\n", b"\x89PNG\r\n\x1a\n", b"II*\0", b"I"])
def test_another_file_called_tif_is_refused(tmp_path, content, caplog):
    (tmp_path / "a.tif").write_bytes(content)

    with pytest.raises(VideoError, match=r"a\.tif: ") as raised:
        Video(tmp_path / "a.tif")

    assert "\n" not in str(raised.value)
    assert not caplog.records


# Laziness


def test_reads_only_the_pages_asked_for(tmp_path, stack, monkeypatch):
    tifffile.imwrite(
        tmp_path / "a.tif", stack, compression="zlib", metadata=None, photometric="minisblack"
    )
    read = []
    for kind in (tifffile.TiffPage, tifffile.TiffFrame):
        original = kind.asarray
        monkeypatch.setattr(
            kind,
            "asarray",
            lambda page, *args, original=original, **kw: (
                read.append(page.index) or original(page, *args, **kw)
            ),
        )

    video = Video(tmp_path / "a.tif")
    assert read == []
    np.testing.assert_array_equal(video.frames(2, 4), stack[2:4])

    # A frame's asarray may hand over to its key page's.
    assert set(read) <= {2, 3}
    assert read


def test_an_imagej_stack_over_4_gb_is_not_read_to_open_it(tmp_path):
    """ImageJ writes one directory and then all pixels; the file here is a hole on the disk."""
    path, frames, side = tmp_path / "a.tif", 20000, 512
    tifffile.imwrite(
        path,
        np.zeros((side, side), np.uint8),
        description=f"ImageJ=1.54f\nimages={frames}\nframes={frames}\nfinterval=0.5\n",
        metadata=None,
    )
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[0].dataoffsets[0]
    mark = np.arange(side, dtype=np.uint8)
    with path.open("r+b") as file:
        file.seek(start + (frames - 2) * side * side)
        file.write(mark.tobytes())
        file.truncate(start + frames * side * side)
    assert path.stat().st_size > 2**32

    video = Video(path)

    assert video.shape == (frames, side, side)
    assert video.frame_interval_s == 0.5
    np.testing.assert_array_equal(video.frames(frames - 2, frames - 1)[0, 0], mark)


def test_twenty_thousand_pages_open(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for number in range(20000):
            frame = np.full((8, 8), number, np.uint16)
            tiff.write(frame, metadata=None, contiguous=False)

    video = Video(path)

    assert len(video) == 20000
    assert video.frames(19999)[0, 0, 0] == 19999

"""Videos whose file says when each frame was taken, and from which frames are missing."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from bright_spots import spots_video

from cloudtrainer.analysis import analyze
from cloudtrainer.config import Config

INTERVAL_S = 0.05


def write_timed(path, frames, times):
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "um",
        "PhysicalSizeY": 0.1,
        "PhysicalSizeYUnit": "um",
        "Plane": {"DeltaT": [float(time) for time in times]},
    }
    tifffile.imwrite(path, frames, ome=True, photometric="minisblack", metadata=metadata)
    return path


@pytest.fixture
def there():
    """Three frames of four, the first of 60 among them."""
    return np.array([number for number in range(60) if number % 4 != 2])


@pytest.fixture
def gappy(tmp_path, there):
    return write_timed(tmp_path / "gappy.ome.tif", spots_video(60, seed=3)[there], there * 0.05)


def test_missing_frames_are_gaps_in_the_tracks(stand_in, without_pictures, gappy, there, tmp_path):
    found = analyze(gappy, tmp_path / "out")
    assert sorted(found.tracks["frame"].unique()) == there.tolist()
    assert (there[found.tracks["video_frame"]] == found.tracks["frame"]).all()
    assert found.summary["calibration"]["frame_interval_s"] == pytest.approx(INTERVAL_S)
    assert any("15 frames are missing from the video in 15 places" in w for w in said(found))
    # Steps of 1.5 px of 0.1 um an interval; D by index would be a third larger.
    assert found.diffusion.value == pytest.approx(0.15**2 / 2 / INTERVAL_S, rel=0.2)
    again = analyze(
        tmp_path / "out" / "tracks.csv", tmp_path / "again",
        pixel_size_um=0.1, frame_interval_s=INTERVAL_S,
    )  # fmt: skip
    as_linked = found.diffusion.value * (1 - found.diffusion.links_lost)
    assert again.diffusion.value == pytest.approx(as_linked, rel=1e-3)


def said(analysis):
    return analysis.summary["warnings"]


def test_a_part_is_numbered_as_in_the_whole(stand_in, without_pictures, gappy, there, tmp_path):
    found = analyze(gappy, tmp_path / "out", frames=(20, 40), region=(0, 0, 80, 80))
    tracks = pd.read_parquet(tmp_path / "out" / "tracks.parquet")
    assert sorted(tracks["video_frame"].unique()) == list(range(20, 40))
    assert (there[tracks["video_frame"]] == tracks["frame"]).all()
    particles = pd.read_parquet(tmp_path / "out" / "particles.parquet")
    assert particles["first_frame"].min() == there[20]
    assert any(f"{there[39] - there[20] - 19} frames are missing" in w for w in said(found))


@pytest.mark.parametrize(("interval", "known"), [(INTERVAL_S, True), (0.1, False)])
def test_a_given_interval_keeps_times_that_agree(
    stand_in, without_pictures, gappy, tmp_path, interval, known
):
    found = analyze(gappy, tmp_path / "out", frame_interval_s=interval)
    assert found.summary["calibration"]["frame_interval_s"] == interval
    assert any("frames are missing" in w for w in said(found)) == known
    assert ("video_frame" in found.tracks) == known


def test_uneven_times_are_said(stand_in, without_pictures, tmp_path):
    times = np.cumsum(np.random.default_rng(1).exponential(0.05, 30))
    video = write_timed(tmp_path / "a.ome.tif", spots_video(30), times)
    found = analyze(video, tmp_path / "out")
    mean = (times[-1] - times[0]) / 29
    assert found.summary["calibration"]["frame_interval_s"] == pytest.approx(mean)
    assert any("not taken at regular times" in w for w in said(found))


@pytest.mark.slow
def test_pictures_of_a_video_with_missing_frames(stand_in, gappy, tmp_path):
    analyze(gappy, tmp_path / "out")
    assert (tmp_path / "out" / "figures" / "trajectories.png").exists()


def test_laptrack_links_and_is_named(stand_in, without_pictures, tmp_path):
    pytest.importorskip("laptrack")
    config = Config.from_dict(
        {"analysis": {"linking_engine": "laptrack", "split_merge_range_px": 5.0}}
    )
    found = analyze(spots_video(20), tmp_path / "out", config=config)
    assert found.tracks["particle"].nunique() == 9
    assert "by linear assignment with laptrack" in (tmp_path / "out" / "report.html").read_text(
        "utf-8"
    )

"""The detections of an analysis, linked by themselves, are its tracks."""

import numpy as np
import pandas as pd
import pytest
from bright_spots import DETECTOR, write_video

from cloudtrainer.analysis import analyze
from cloudtrainer.config import AnalysisSettings, Config
from cloudtrainer.tracking import link_parquet

D, FRAMES, SIDE = 5.0, 50, 200.0


def found_twice(model, video, *_, **__):
    """Brownian particles; those that moved far during the frame are found as two halves."""
    rng = np.random.default_rng(4)
    steps = rng.normal(0, np.sqrt(2 * D / 16), (len(video), 16, 9, 2))
    start = np.stack(np.meshgrid([40, 100, 160], [40, 100, 160]), axis=-1).reshape(-1, 2)
    path = start + steps.reshape(-1, 9, 2).cumsum(axis=0).reshape(steps.shape)
    halves = path.reshape(len(video), 2, 8, 9, 2).mean(axis=2)
    rows = []
    for frame, particle in np.ndindex(len(video), 9):
        parts = halves[frame, :, particle]
        split = np.hypot(*(parts[1] - parts[0])) > 3
        found = parts if split else [parts.mean(axis=0)]
        rows += [(frame, *xy, 300.0 if split else 600.0) for xy in found]
    table = pd.DataFrame(rows, columns=["frame", "x", "y", "intensity"])
    table = table[((table[["x", "y"]] > 0) & (table[["x", "y"]] < SIDE - 1)).all(axis=1)]
    return table.reset_index(drop=True).assign(x_error=0.05, y_error=0.05, probability=0.9)


@pytest.mark.parametrize("written", ["by the analysis", "before it"])
def test_linking_a_table_gives_the_tracks_of_the_analysis(monkeypatch, tmp_path, written):
    monkeypatch.setattr("cloudtrainer.analysis.tracks.extract_particles_from_predictions",
                        found_twice)  # fmt: skip
    monkeypatch.setattr("cloudtrainer.analysis.run.load_model", lambda model: DETECTOR)
    pixels = np.random.default_rng(0).normal(100, 5, (FRAMES, int(SIDE), int(SIDE)))
    video = write_video(tmp_path / "gel.tif", pixels.astype(np.uint16))
    result = analyze(
        video,
        tmp_path / "out",
        pixel_size_um=0.1,
        frame_interval_s=0.05,
        config=Config(analysis=AnalysisSettings(drift="none", polarity="bright")),
    )
    assert any("found as two, smeared" in warning for warning in result.summary["warnings"])
    detections = tmp_path / "out" / "detections.parquet"
    reach = None
    if written == "before it":
        detections = tmp_path / "raw.parquet"
        found_twice(None, pixels).to_parquet(detections)
    else:
        reach = result.summary["measured"]["search_range_px"]
    linked = link_parquet(detections, tmp_path / "again.parquet", reach)
    assert (linked.smeared_joined > 10) == (written == "before it")
    again = pd.read_parquet(tmp_path / "again.parquet")
    tracks = pd.read_parquet(tmp_path / "out" / "tracks.parquet")
    columns = ["frame", "particle", "x", "y", "intensity", "x_error"]
    pd.testing.assert_frame_equal(again[columns], tracks[columns])

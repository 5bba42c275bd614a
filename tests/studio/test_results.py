"""What the page shows of a folder of results: read, drawn, and never estimated anew."""

import json

import numpy as np
import pandas as pd
import pytest
from bokeh.models import MultiLine
from small_lab import write_video

from cloudtrainer.diffusion import mean_squared_displacement
from cloudtrainer.errors import CloudTrainerError, VideoError, WorkspaceError
from cloudtrainer.studio.result_charts import histogram, histogram_chart, msd_chart
from cloudtrainer.studio.result_files import MOST_LINES, ResultFiles, evenly
from cloudtrainer.studio.result_player import video_and_tracks
from cloudtrainer.studio.result_tables import numbers_of, numbers_table, particles_table
from cloudtrainer.studio.result_view import _TABS, ResultView
from cloudtrainer.studio.track_player import TrackPlayer, Trajectories
from cloudtrainer.video import Video

PIXEL_UM, INTERVAL_S, D = 0.1, 0.05, 0.4


def estimate(value, unit):
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value, "unit": unit, "method": "mle"}


def walks(particles, frames=40, seed=0):
    rng = np.random.default_rng(seed)
    step_px = np.sqrt(2 * D * INTERVAL_S) / PIXEL_UM
    xy = 60 + np.cumsum(rng.normal(0, step_px, (frames, particles, 2)), axis=0)
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(frames), particles),
            "particle": np.tile(np.arange(particles), frames),
            "x": xy[..., 0].ravel(), "y": xy[..., 1].ravel(),
        }
    )  # fmt: skip


def write_results(folder, particles=30, video="beads.tif", sha256="0", more=None, tracks=None):
    folder.mkdir(parents=True, exist_ok=True)
    tracks = walks(particles) if tracks is None else tracks
    tracks.to_parquet(folder / "tracks.parquet")
    msd = mean_squared_displacement(tracks, frame_interval_s=INTERVAL_S, pixel_size_um=PIXEL_UM)
    pd.DataFrame(
        {"lag_frames": msd.lag, "lag_s": msd.lag_time, "msd_um2": msd.ensemble,
         "standard_error_um2": msd.standard_error, "pairs": msd.pairs.sum(axis=0)}
    ).to_csv(folder / "msd.csv", index=False)  # fmt: skip
    numbers = np.arange(particles)
    pd.DataFrame(
        {"particle": numbers, "first_frame": 0, "frames": 40, "D": 0.3 + 0.01 * numbers,
         "D_low": 0.1, "D_high": 0.9, "alpha": 1.0 + 0.001 * numbers, "alpha_low": 0.5,
         "alpha_high": 1.5, "motion_model": "brownian", "motion_reason": None}
    ).to_parquet(folder / "particles.parquet")  # fmt: skip
    measured = {
        "D_um2_per_s": estimate(D, "um^2/s"), "D_spread": estimate(0.1, "1"),
        "alpha": estimate(1.0, "1"), "K_um2_per_s_to_alpha": estimate(D, "um^2/s^alpha"),
        "msd_offset_um2": 0.01, "anomalous_msd_offset_um2": 0.02, "tracks": particles,
        "motion_type": "Normal Brownian diffusion", "drift_method": "none",
    }  # fmt: skip
    summary = {
        "measured": measured | (more or {}),
        "calibration": {"pixel_size_um": PIXEL_UM, "frame_interval_s": INTERVAL_S},
        "warnings": [], "video": {"name": video, "sha256": sha256},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return ResultFiles(folder)


def plain(layout):
    return " ".join(str(pane.object) for pane in layout.select(lambda one: hasattr(one, "object")))


# Figures


def test_the_msd_is_that_of_the_folder_and_its_models_those_of_the_summary(tmp_path):
    files = write_results(tmp_path)
    ensemble = files.msd()
    written = pd.read_csv(tmp_path / "msd.csv")
    assert len(ensemble) == 10
    assert np.allclose(ensemble["msd"], written["msd_um2"][:10])
    assert np.allclose(
        ensemble["high"] - ensemble["msd"], 1.96 * written["standard_error_um2"][:10]
    )
    curves = files.track_curves(10)
    alone = mean_squared_displacement(
        files.tracks(), 10, frame_interval_s=INTERVAL_S, pixel_size_um=PIXEL_UM
    )
    assert np.array_equal(curves.msd, alone.per_track)
    layout = msd_chart(files, curves)
    chart = layout[0].object
    (lines,) = [one for one in chart.renderers if isinstance(one.glyph, MultiLine)]
    assert lines.data_source.data["particle"] == list(range(30))
    assert lines.data_source.data["D"][3] == "0.33 µm²/s"
    brownian, anomalous = (one.data_source.data for one in chart.renderers[-2:])
    assert np.allclose(brownian["y"], 4 * D * np.asarray(brownian["x"]) + 0.01)
    assert np.allclose(anomalous["y"], 4 * D * np.asarray(anomalous["x"]) + 0.02)
    assert "All 30 tracks are drawn" in plain(layout)
    assert "analyse again" not in plain(layout)
    files.measured.pop("anomalous_msd_offset_um2")
    assert "analyse again" in plain(msd_chart(files, curves))


def test_of_very_many_tracks_some_are_drawn_and_that_is_said(tmp_path):
    files = write_results(tmp_path, particles=500)
    curves = files.track_curves(10)
    assert len(curves.particle) == MOST_LINES
    assert "200 of the 500 tracks are drawn" in plain(msd_chart(files, curves))
    chosen = evenly(np.arange(5000))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 4999, MOST_LINES)
    assert set(np.diff(chosen)) <= {25, 26}


def test_a_histogram_counts_every_track_and_hides_none_behind_a_wild_one():
    values = np.append(np.random.default_rng(0).normal(1, 0.1, 400), 1e6)
    bars = histogram(values)
    assert bars["count"].sum() == 401
    assert bars["right"][-1] < 2
    assert histogram(np.array([2.0, 2.0]))["count"].sum() == 2


def test_too_few_tracks_are_told_in_place_of_figures(tmp_path):
    files = write_results(tmp_path)
    particles = files.particles()
    assert "Fewer than two" in plain(histogram_chart(files, "D", particles.assign(frames=5)))
    assert "Fewer than two" in plain(histogram_chart(files, "D", particles.iloc[:0]))
    assert "Fewer than two" in plain(histogram_chart(files, "alpha", pd.DataFrame()))
    assert "30 tracks of 20 frames" in plain(histogram_chart(files, "D", particles))
    (tmp_path / "msd.csv").write_text("lag_frames,lag_s,msd_um2,standard_error_um2,pairs\n")
    assert "too short" in plain(msd_chart(files, files.track_curves(0)))


# Tables


def test_numbers_have_their_intervals_and_units(tmp_path):
    files = write_results(tmp_path)
    files.summary["material"] = {
        "temperature_K": 298.0, "measured_viscosity_Pa_s": estimate(0.004, "Pa s")
    }  # fmt: skip
    table = numbers_of(files).set_index("what")
    assert table.loc["D", ["value", "low", "high"]].tolist() == pytest.approx([0.4, 0.36, 0.44])
    assert table.loc["D", "unit"] == "µm²/s"
    assert table.loc["viscosity", "value"] == 0.004
    assert table.loc["offset of the MSD", "unit"] == "µm²"
    assert table.loc["tracks", "value"] == 30
    shown = numbers_table(numbers_of(files))
    # The browser's own writing of a number: a count has no decimals, and 2e-8 is not 0.
    assert shown.formatters["value"] == {"type": "plaintext"}
    assert len(shown.value) == len(table)


def test_particles_are_listed_page_by_page(tmp_path):
    files = write_results(tmp_path, particles=500)
    table = particles_table(files, files.particles())
    assert (len(table.value), table.pagination) == (500, "remote")
    assert table.titles["D"] == "D (µm²/s)"


# The player


def test_the_frame_that_is_due_is_shown_and_late_ones_are_left_out():
    video = Video(np.zeros((50, 16, 16), np.uint8))
    tracks = walks(4, frames=50)
    particles = pd.DataFrame({"particle": [0, 1], "D": [0.3, 0.5]})
    player = TrackPlayer(video, Trajectories.of(tracks, particles, "µm²/s"), 0.1)
    assert player.speed.value == 10
    player._start = (100.0, 5)
    assert [player.due(100 + seconds) for seconds in (0.0, 0.09, 1.0, 60.0)] == [5, 5, 15, 49]
    player.tail.value = 3
    player.frame.value = 30
    heads = player.tails.heads.data
    here = tracks[tracks["frame"] == 30]
    assert np.allclose(heads["x"], here["x"])
    # Tracks 0 to 3 have colours of their own.
    lengths = [len(source.data["x_track"]) for source in player.tails.lines]
    assert sum(lengths) == 4 * 4 + 3
    assert np.allclose(heads["D"], [0.3, 0.5, np.nan, np.nan], equal_nan=True)
    assert "Frame 30, 3 s, 4 measured tracks" in player.said.object


@pytest.mark.parametrize("kind", ["float64", "Float64", "object"])
def test_rows_without_a_position_are_not_drawn(kind):
    video = Video(np.zeros((9, 16, 16), np.uint8))
    tracks = walks(3, frames=9).astype({"frame": "float64", "particle": "float64"})
    clean = Trajectories.of(tracks, pd.DataFrame(), "px²/frame")
    bad = tracks.iloc[[4, 4, 4, 4, 4]].copy().reset_index(drop=True)
    for row, name in enumerate(("frame", "particle", "x", "y")):
        bad.loc[row, name] = np.nan
    bad.loc[4, "x"] = np.inf
    mixed = pd.concat([bad, tracks, bad]).astype(kind)
    shown = Trajectories.of(mixed, pd.DataFrame({"particle": [0, 2], "D": [0.3, np.nan]}), "µm²/s")
    pd.testing.assert_frame_equal(shown.table, clean.table)
    player = TrackPlayer(video, shown, None)
    player.frame.value = 8
    drawn = np.concatenate([source.data["x_track"] for source in player.tails.lines])
    assert np.isfinite(drawn).sum() == 3 * 9
    assert len(player.tails.heads.data["x"]) == 3
    nothing = Trajectories.of(bad, pd.DataFrame({"particle": [0], "D": [0.3]}), "µm²/s")
    assert len(nothing.table) == 0
    TrackPlayer(video, nothing, None).frame.value = 3


def test_only_the_frames_that_are_shown_are_read():
    class Watched(Video):
        read = ()

        def frames(self, start, stop=None):
            self.read = (*self.read, (start, stop))
            return super().frames(start, stop)

    video = Watched(np.zeros((20_000, 4, 4), np.uint8))
    player = TrackPlayer(video, Trajectories.of(walks(2), pd.DataFrame(), "px²/frame"), None)
    player.frame.value = 12_345
    assert {stop - start for start, stop in video.read} == {1}
    assert video.read[-1] == (12_345, 12_346)


def test_tracks_are_played_over_their_own_video_alone(place, tmp_path):
    path = place.videos / "beads.tif"
    files = write_results(tmp_path / "a", sha256=Video(path).sha256)
    video, tracks = video_and_tracks(files, place.videos)
    assert (len(video), len(tracks.table), tracks.unit) == (30, 1200, "µm²/s")
    assert tracks.D[3] == pytest.approx(0.33)
    write_video(path, seed=9)
    with pytest.raises(VideoError, match="not the one that was analysed"):
        video_and_tracks(files, place.videos)
    for name in ("gone.tif", "../videos/beads.tif", str(path)):
        with pytest.raises(VideoError, match="not among those"):
            video_and_tracks(write_results(tmp_path / "b", video=name), place.videos)


def test_tracks_without_drift_are_played_where_the_particles_are(tmp_path):
    tracks = walks(3)
    moved = {"drift_method": "steady"}
    with pytest.raises(WorkspaceError, match="analyse again"):
        write_results(tmp_path / "a", 3, more=moved, tracks=tracks).tracks_in_video()
    there = tracks.assign(video_x=tracks["x"] + 7, video_y=tracks["y"], video_frame=tracks["frame"])
    shown = write_results(tmp_path / "b", 3, more=moved, tracks=there).tracks_in_video()
    assert np.allclose(shown["x"], tracks["x"] + 7)
    assert set(shown) == {"particle", "frame", "x", "y"}


# All of it


def test_every_part_of_a_result_opens(place):
    write_results(place.results / "a", sha256=Video(place.videos / "beads.tif").sha256)
    view = ResultView(place.videos, linked=False)
    view.show(place.results / "a")
    for number, name in enumerate(_TABS):
        view.tabs.active = number
        assert len(view.pages[name]) == 1
    assert "No figures were drawn" in plain(view.pages["Pictures"])
    (place.results / "a" / "tracks.parquet").write_text("damaged")
    (place.results / "a" / "particles.parquet").unlink()
    view.show(place.results / "a")
    for number, name in enumerate(_TABS):
        view.tabs.active = number
        assert len(view.pages[name]) == 1


def test_several_videos_together_have_no_tracks_to_show(tmp_path):
    files = write_results(tmp_path / "a")
    (tmp_path / "a" / "msd.csv").unlink()
    assert not files.is_of_one_video
    view = ResultView(tmp_path, linked=False)
    view.show(tmp_path / "a")
    assert "Several videos together" in plain(view.pages["Over the video"])


def test_a_damaged_folder_is_told(tmp_path):
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(CloudTrainerError, match="cannot be read"):
        ResultFiles(tmp_path)


# Files that were changed by hand


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("MSD", lambda one: one["measured"]["D_um2_per_s"].pop("value")),
        ("MSD", lambda one: one["measured"]["alpha"].update(value="x")),
        ("MSD", lambda one: one.update(calibration=None)),
        ("D of particles", lambda one: one["measured"]["D_um2_per_s"].update(low={})),
        ("Numbers", lambda one: one["measured"]["alpha"].update(high="<b>")),
        ("Numbers", lambda one: one["measured"].update(tracks=10**400)),
    ],
)
def test_numbers_changed_by_hand_are_told_where_they_would_be_shown(tmp_path, name, change):
    write_results(tmp_path / "beads")
    summary = json.loads((tmp_path / "beads" / "summary.json").read_text())
    change(summary)
    (tmp_path / "beads" / "summary.json").write_text(json.dumps(summary))
    view = ResultView(tmp_path, linked=True)
    view.show(tmp_path / "beads")
    view.tabs.active = _TABS.index(name)
    said = plain(view.pages[name]) + view.numbers.object
    assert "analyse again" in said
    assert "'<b>'" not in said


@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("MSD", "tracks.parquet", "particle"), ("MSD", "particles.parquet", "D"),
        ("D of particles", "particles.parquet", "frames"),
    ],
)  # fmt: skip
def test_tables_without_a_column_are_told_where_they_would_be_shown(tmp_path, name, file, column):
    write_results(tmp_path / "beads")
    path = tmp_path / "beads" / file
    pd.read_parquet(path).drop(columns=column).to_parquet(path)
    view = ResultView(tmp_path, linked=True)
    view.show(tmp_path / "beads")
    view.tabs.active = _TABS.index(name)
    assert "analyse again" in plain(view.pages[name])


def test_a_summary_of_endless_brackets_is_told(tmp_path):
    (tmp_path / "summary.json").write_text('{"measured": ' + "[" * 100_000)
    view = ResultView(tmp_path, linked=True)
    view.show(tmp_path)
    assert "cannot be read" in view.numbers.object

"""What the numbers of an analysis are: truth, units, several videos."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bright_spots import brownian_tracks

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.measure import idle_tracks
from cloudtrainer.analysis.several import combine
from cloudtrainer.figures import with_interval

PIXEL_UM, INTERVAL_S = 0.1, 1 / 30
# D = 0.5 um^2/s: variance of a step 2 D dt = 1/30 um^2 per axis.
STEP_SD_PX = (1 / 30) ** 0.5 / PIXEL_UM

pytestmark = pytest.mark.usefixtures("without_pictures")


def test_D_and_alpha_of_known_tracks_are_found_within_their_errors(tmp_path):
    tracks = brownian_tracks(60, 60, STEP_SD_PX, noise_px=0.6, seed=11)
    found = analyze(
        tracks, tmp_path / "out", pixel_size_um=PIXEL_UM, frame_interval_s=INTERVAL_S, exposure_s=0
    )
    for estimate, truth in ((found.diffusion, 0.5), (found.alpha, 1.0)):
        assert abs(estimate.value - truth) <= 4 * estimate.standard_error
        assert estimate.low <= truth <= estimate.high
    # 3600 steps of two axes tell D to a few per cent: an error of 10% would say nothing.
    assert found.diffusion.standard_error < 0.03
    assert found.alpha.standard_error < 0.08
    measured = found.summary["measured"]
    assert measured["localisation_error_um"] == pytest.approx(0.06, rel=0.1)
    assert measured["localisation_error_from"] == "offset of the MSD and the exposure"
    assert measured["motion_type"] == "Normal Brownian diffusion"


def test_tracks_of_which_nothing_enters_D_are_told():
    """Where the border was left out that is the reason; where all tracks enter nothing is said."""
    D = SimpleNamespace(value=0.5, particles=73, stride=1, near_border=0.2)
    assert idle_tracks(D, 86) == (
        "13 tracks have no displacement that begins away from the border of the field of view"
    )
    D.stride, D.near_border = 5, 0.0
    assert idle_tracks(D, 74) == "1 track has no displacement over 5 frames"
    assert idle_tracks(D, 73) == ""
    D.value = float("nan")
    assert idle_tracks(D, 86) == ""


def test_pixels_and_frames_give_the_calibrated_numbers_after_conversion(tmp_path):
    tracks = brownian_tracks(20, 30, STEP_SD_PX, seed=12)
    plain = analyze(tracks, tmp_path / "px")
    scaled = analyze(tracks, tmp_path / "um", pixel_size_um=PIXEL_UM, frame_interval_s=INTERVAL_S)
    assert plain.diffusion.unit == "px^2/frame"
    assert scaled.diffusion.unit == "um^2/s"
    factor = PIXEL_UM**2 / INTERVAL_S
    for name in ("value", "standard_error", "low", "high"):
        inside = getattr(plain.diffusion, name)
        assert getattr(scaled.diffusion, name) == pytest.approx(inside * factor, rel=1e-6)
        assert getattr(scaled.alpha, name) == pytest.approx(getattr(plain.alpha, name), rel=1e-3)
    msd = [pd.read_csv(tmp_path / unit / "msd.csv") for unit in ("px", "um")]
    assert list(msd[0].columns) == [
        "lag_frames", "lag_frame", "msd_px2", "standard_error_px2", "pairs"
    ]  # fmt: skip
    assert list(msd[1].columns) == [
        "lag_frames", "lag_s", "msd_um2", "standard_error_um2", "pairs"
    ]  # fmt: skip
    np.testing.assert_allclose(msd[1]["msd_um2"], msd[0]["msd_px2"] * PIXEL_UM**2, rtol=2e-5)
    np.testing.assert_allclose(msd[1]["lag_s"], msd[1]["lag_frames"] * INTERVAL_S, rtol=2e-5)


def test_the_msd_is_that_of_the_tracks_and_counts_every_pair(tmp_path):
    tracks = brownian_tracks(5, 8, 1.0, seed=13)
    analyze(tracks, tmp_path / "out")
    msd = pd.read_csv(tmp_path / "out" / "msd.csv").set_index("lag_frames")
    xy = tracks[["x", "y"]].to_numpy().reshape(5, 8, 2)
    for lag in (1, 4, 7):
        squares = ((xy[:, lag:] - xy[:, :-lag]) ** 2).sum(axis=-1)
        assert msd.loc[lag, "msd_px2"] == pytest.approx(squares.mean(), rel=1e-5)
        assert msd.loc[lag, "pairs"] == squares.size


def test_one_known_half_of_the_calibration_leaves_pixels_and_frames_with_a_warning(tmp_path):
    tracks = brownian_tracks(12, 20, 1.0)
    found = analyze(tracks, tmp_path / "out", pixel_size_um=0.1, exposure_s=0.01)
    assert found.diffusion.unit == "px^2/frame"
    warning = next(text for text in found.summary["warnings"] if "unknown" in text)
    assert "frame interval" in warning
    assert "pixel size" not in warning
    assert "exposure is not used" in warning


def test_particles_that_differ_are_called_so(tmp_path):
    slow, fast = brownian_tracks(15, 40, 0.5, seed=1), brownian_tracks(15, 40, 3.0, seed=2)
    mixed = pd.concat([slow, fast.assign(particle=fast["particle"] + 15)], ignore_index=True)
    found = analyze(mixed, tmp_path / "out")
    assert any("particles differ" in text for text in found.summary["warnings"])
    alike = analyze(brownian_tracks(30, 40, 1.0, seed=3), tmp_path / "alike")
    assert not any("particles differ" in text for text in alike.summary["warnings"])


def test_how_much_particles_differ_is_in_the_summary_and_in_the_table(tmp_path):
    rng = np.random.default_rng(4)
    tables = [
        brownian_tracks(1, 40, np.sqrt(variance), seed=int(number)).assign(particle=number)
        for number, variance in enumerate(rng.choice([0.2, 2.0], 40))
    ]
    found = analyze(pd.concat(tables, ignore_index=True), tmp_path / "out")
    exponents = found.summary["measured"]["alpha_spread"]
    assert exponents["low"] <= exponents["value"] <= exponents["high"]
    assert exponents["low"] == 0
    entry = found.summary["measured"]["D_spread"]
    assert entry["low"] < 0.9 / 1.1 < entry["high"]
    assert entry["particles"] == 40
    assert entry["low"] > 0.3
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "spread of D between particles" in report
    few = analyze(brownian_tracks(4, 40, 1.0), tmp_path / "few")
    assert few.summary["measured"]["D_spread"] is None


def shaken(rate, amplitude_px):
    """Tracks that vibrate along x, each at its own phase."""
    tracks = brownian_tracks(80, 120, 1.0, noise_px=0.3, seed=21)
    phase = np.random.default_rng(22).uniform(0, 2 * np.pi, 80)[tracks["particle"]]
    moved = amplitude_px * np.sin(2 * np.pi * rate * tracks["frame"] + phase)
    return tracks.assign(x=tracks["x"] + moved)


def test_D_comes_from_long_lags_where_they_help_and_nowhere_else(tmp_path):
    # Steps of variance 1 an axis: D = 0.5 px^2 a frame.
    fast = analyze(shaken(0.4, 0.8), tmp_path / "fast", frame_interval_s=0.02, pixel_size_um=1.0)
    assert fast.diffusion.stride == 5
    assert fast.diffusion.low < 0.5 / 0.02 < fast.diffusion.high
    assert any("line at 20" in text and "Hz" in text for text in fast.summary["warnings"])
    slow = analyze(shaken(0.05, 3.0), tmp_path / "slow")
    assert slow.diffusion.stride == 1
    assert any("cycles a frame" in text for text in slow.summary["warnings"])

    uneven = brownian_tracks(120, 60, 1.0, noise_px=0.3, seed=23)
    first = uneven.groupby("particle")["x"].transform("first")
    uneven["x"] = first + (0.7 + 0.6 * first / 1000) * (uneven["x"] - first)
    found = analyze(uneven, tmp_path / "uneven")
    assert found.diffusion.stride == 1
    assert any("in the right half" in text for text in found.summary["warnings"])


def test_several_tables_give_their_mean_with_students_interval(tmp_path):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"run{seed}.csv")
        brownian_tracks(12, 30, STEP_SD_PX, seed=seed).to_csv(paths[-1], index=False)
    found = analyze(paths, tmp_path / "out", pixel_size_um=PIXEL_UM, frame_interval_s=INTERVAL_S)
    own = np.array([single.diffusion.value for single in found.videos])
    error = own.std(ddof=1) / np.sqrt(3)
    assert found.diffusion.value == pytest.approx(own.mean(), rel=1e-12)
    # No narrower than what the particles of the three videos leave.
    ends = [(single.diffusion.low, single.diffusion.high) for single in found.videos]
    within = np.sqrt(np.mean([np.log(high / low) ** 2 for low, high in ends]) / 3) / 3.919928
    # 4.302653: the 97.5% quantile of Student's t with 2 degrees of freedom.
    half = max(4.302653 * error / own.mean(), 1.959964 * within)
    assert found.diffusion.high == pytest.approx(own.mean() * np.exp(half), rel=1e-6)
    assert found.diffusion.low == pytest.approx(own.mean() * np.exp(-half), rel=1e-6)
    means = pd.read_csv(tmp_path / "out" / "means_over_videos.csv").set_index("quantity")
    assert means.loc["D", "value"] == pytest.approx(own.mean(), rel=1e-5)
    assert means.loc["D", "high"] == pytest.approx(found.diffusion.high, rel=1e-5)
    share = [
        single.transport.mobility.effective["mean_by_frame"].iloc[0] for single in found.videos
    ]
    name = "effective diffusivity 0.1 s by frame"
    assert means.loc[name, "value"] == pytest.approx(np.mean(share), rel=1e-5)

    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    entry = summary["measured"]["D_um2_per_s"]
    assert entry["particles"] == 36
    assert entry["model_standard_error"] is None
    assert "Student's t over 3 videos" in entry["method"]
    assert summary["measured"]["tracks"] == 36
    assert "localisation_error_um" in summary["measured"]
    assert [single["video"]["name"] for single in summary["videos"]] == [p.name for p in paths]
    assert summary["calibration"]["pixel_size_um"] == PIXEL_UM
    together = pd.read_csv(tmp_path / "out" / "tracks.csv")
    assert sorted(together["video"].unique()) == ["run0", "run1", "run2"]
    # Particles are numbered through: none belongs to two videos.
    assert together.groupby("particle")["video"].nunique().max() == 1
    assert together["particle"].nunique() == 36
    for name in ("run0", "run1", "run2"):
        assert (tmp_path / "out" / name / "summary.json").is_file()


def test_the_mean_has_the_share_near_the_border_of_all_videos(tmp_path):
    tables = [brownian_tracks(8, 20, 1.0, seed=seed) for seed in range(2)]
    singles = analyze(tables, tmp_path / "out").videos
    estimates = [
        (replace(single.diffusion, near_border=share), single.alpha)
        for single, share in zip(singles, (0.1, 0.3), strict=True)
    ]
    combined = combine([single.summary for single in singles], estimates)
    assert combined.diffusion.near_border == pytest.approx(0.2)


def test_a_table_without_an_estimate_is_left_out_of_the_mean_and_named(tmp_path):
    good, empty = tmp_path / "good.csv", tmp_path / "empty.csv"
    brownian_tracks(12, 30, STEP_SD_PX).to_csv(good, index=False)
    empty.write_text("frame,particle,x,y\n")
    found = analyze([empty, good], tmp_path / "out")
    assert found.diffusion.value == found.videos[1].diffusion.value
    assert "D_px2_per_frame" in found.summary["measured"]
    assert "empty.csv gave no estimate and is left out." in found.summary["warnings"]
    assert any("Only one video" in text for text in found.summary["warnings"])
    assert "within the one video" in found.diffusion.interval


def test_the_analysis_in_words_has_numbers_with_units_and_every_warning(tmp_path):
    found = analyze(brownian_tracks(4, 20, 1.0), tmp_path / "out")
    lines = str(found).splitlines()
    # The digits of the report.
    for line, name, estimate, unit in (
        (lines[0], "D     = ", found.diffusion, " px^2/frame"),
        (lines[1], "alpha = ", found.alpha, ""),
    ):
        digits = with_interval(estimate.value, estimate.low, estimate.high, "1")
        value, _, interval = digits.rstrip(")").partition(" (95%: ")
        assert line == f"{name}{value}{unit}, 95% interval {interval} (bootstrap)"
    assert lines[2] == f"Motion: {found.summary['measured']['motion_type']}"
    assert lines[3:] == [f"warning: {text}" for text in found.summary["warnings"]]
    assert any("4 particles" in line for line in lines[3:])


def test_of_several_videos_each_warning_is_printed_once(tmp_path):
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.csv")
        brownian_tracks(4, 20, 1.0, seed=seed).to_csv(paths[-1], index=False)
    found = analyze(paths, tmp_path / "out")
    lines = str(found).splitlines()
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: {text}" for text in found.summary["warnings"]
    ]
    said = [text for video in found.videos for text in video.summary["warnings"]]
    assert said
    assert all(sum(text in line for line in lines) == 1 for text in set(said))
    assert lines[0] == "0.csv:"
    assert lines.index("") == 4


def test_the_words_for_nothing_measured_say_why(tmp_path):
    found = analyze(brownian_tracks(4, 3, 1.0), tmp_path / "out")
    assert "D     = not estimated (" in str(found)
    assert "nan" not in str(found).lower()

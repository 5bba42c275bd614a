"""What is in the output folder, and what stays of what was there."""

import json
import math
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import openpyxl
import pandas as pd
import pytest
import tifffile
from bright_spots import brownian_tracks, spots_video, write_video

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.outputs import RESULTS
from cloudtrainer.analysis.run import _folder_names
from cloudtrainer.errors import WorkspaceError

TOP = {
    "measured", "calibration", "warnings", "checks", "config", "model", "version", "video",
}  # fmt: skip
# Written where temperature and radius are given.
OF_MATERIAL = {"moduli.csv", "figures/moduli.png", "figures/moduli.svg"}
OF_MANY_PARTICLES = {"figures/D_over_field.png", "figures/D_over_field.svg"}
OF_SEVERAL = {"means_over_videos.csv", "figures/videos.png", "figures/videos.svg"}
ESTIMATE = {"value", "standard_error", "low", "high", "method"}
MOTION_TYPES = {
    "Normal Brownian diffusion",
    "Sub-diffusive (confined/hindered)",
    "Super-diffusive (active transport)",
    "Undetermined",
}
MOTION_MODELS = {"immobile", "confined", "brownian", "anomalous", "directed", "undetermined"}


class Page(HTMLParser):
    """Text and references of an HTML page."""

    def __init__(self, path):
        super().__init__()
        self.text, self.references, self.tags = "", [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [v for k, v in attrs if k in ("src", "href", "srcset", "data") and v]

    def handle_data(self, data):
        self.text += data


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def video_run(tmp_path_factory):
    """One whole analysis of a video, with all its figures."""
    from bright_spots import DETECTOR, find_bright_spots

    folder = tmp_path_factory.mktemp("video")
    name = "gel <b>100$ & “ä 1.tif"
    video = write_video(folder / name, spots_video(frames=30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cloudtrainer.analysis.tracks.extract_particles_from_predictions", find_bright_spots
        )
        patch.setattr("cloudtrainer.analysis.run.load_model", lambda model: DETECTOR)
        return analyze(
            video, folder / "out", pixel_size_um=0.1, frame_interval_s=0.05, exposure_s=0.01
        )


def test_the_folder_of_a_video_holds_every_file_and_no_other(video_run):
    expected = set(RESULTS) - OF_MATERIAL - OF_SEVERAL - OF_MANY_PARTICLES
    assert files_in(video_run.out) == expected
    assert [path.name for path in sorted(video_run.out.parent.iterdir())] == [
        "gel <b>100$ & “ä 1.tif",
        "out",
    ]


def test_every_column_of_every_table_has_its_unit(video_run):
    units = pd.read_csv(video_run.out / "columns.csv", keep_default_na=False)
    for path in video_run.out.glob("*.csv"):
        if path.name != "columns.csv":
            of_file = units[units["file"] == path.name]
            assert of_file["column"].to_list() == list(pd.read_csv(path, nrows=0).columns)
    assert (units["what"] != "").all(), units[units["what"] == ""]
    unit = units.set_index(["file", "column"])["unit"]
    assert unit["particles.csv", "D"] == "um^2/s"
    assert unit["particles.csv", "K_high"] == "um^2/s^alpha"
    assert unit["tracks.csv", "x"] == "px"
    assert unit["mobility_tracks.csv", "D_low_um2_per_s"] == "um^2/s"
    assert unit["mobility_tracks.csv", "Deff_0.1s_um2_per_s"] == "um^2/s"
    assert unit["msd.csv", "lag_s"] == "s"


def test_units_without_calibration_are_pixels_and_frames(tmp_path, without_pictures):
    tracks = brownian_tracks(12, 20, 1.0).assign(mine=1)
    analyze(tracks, tmp_path / "out")
    units = pd.read_csv(tmp_path / "out" / "columns.csv", keep_default_na=False)
    unit = units.set_index(["file", "column"])["unit"]
    assert unit["particles.csv", "D"] == "px^2/frame"
    assert unit["particles.csv", "speed"] == "px/frame"
    assert unit["msd.csv", "msd_px2"] == "px^2"
    assert not units["unit"].str.contains("um").any()
    # The user's own columns are listed, if they are kept, and nothing is said of them.
    assert set(units.loc[units["what"] == "", "column"]) <= {"mine"}


def test_the_summary_has_the_keys_that_others_rely_on(video_run):
    summary = strict_json(video_run.out / "summary.json")
    assert set(summary) == TOP | {"mobility"}
    measured = summary["measured"]
    assert measured.keys() >= {
        "D_um2_per_s", "alpha", "particles_per_frame", "tracks", "localisation_error_um",
        "motion_type", "motion_model",
    }  # fmt: skip
    assert not [name for name in measured if "px2" in name or name.endswith("error_px")]
    for name in ("D_um2_per_s", "alpha"):
        entry = measured[name]
        assert entry.keys() >= ESTIMATE
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert measured["particles_per_frame"] == pytest.approx(9, abs=0.2)
    assert measured["motion_type"] in MOTION_TYPES
    assert measured["motion_model"] in MOTION_MODELS
    assert summary["calibration"] == {
        "pixel_size_um": 0.1, "frame_interval_s": 0.05, "exposure_s": 0.01, "source": "given",
    }  # fmt: skip
    for check in summary["checks"]:
        assert check.keys() >= {"name", "passed", "number"}
    assert summary["video"]["name"] == "gel <b>100$ & “ä 1.tif"
    assert summary["video"]["shape"] == [30, 120, 120]
    assert len(summary["video"]["sha256"]) == 64
    assert summary == video_run.summary


def test_without_calibration_the_keys_say_pixels_and_frames(tmp_path, without_pictures):
    found = analyze(brownian_tracks(12, 20, 1.0), tmp_path / "out")
    summary = strict_json(tmp_path / "out" / "summary.json")
    assert set(summary) == TOP
    assert summary["measured"].keys() >= {"D_px2_per_frame", "localisation_error_px"}
    assert not [name for name in summary["measured"] if "_um" in name]
    assert summary["calibration"]["source"] == "unknown"
    assert summary == found.summary


def test_what_was_not_estimated_is_null_and_never_nan(tmp_path, without_pictures):
    found = analyze(brownian_tracks(3, 3, 1.0), tmp_path / "out")
    measured = strict_json(tmp_path / "out" / "summary.json")["measured"]
    assert measured["D_px2_per_frame"] is None
    assert measured["alpha"] is None
    assert measured["localisation_error_px"] is None
    assert measured["motion_type"] == "Undetermined"

    def numbers(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [number for part in value for number in numbers(part)]
        return [value] if isinstance(value, float) else []

    assert all(math.isfinite(number) for number in numbers(found.summary))


@pytest.mark.parametrize(
    ("table", "first_columns"),
    [
        ("detections", ["frame", "x", "y", "x_error", "y_error", "probability", "intensity"]),
        ("tracks", ["frame", "x", "y", "x_error", "y_error", "probability", "intensity"]),
        ("particles", ["particle", "first_frame", "frames", "D"]),
    ],
)
def test_tables_are_the_same_as_csv_and_parquet(video_run, table, first_columns):
    text = pd.read_csv(video_run.out / f"{table}.csv")
    binary = pd.read_parquet(video_run.out / f"{table}.parquet")
    assert set(first_columns) <= set(binary.columns)
    assert len(binary) > 0
    pd.testing.assert_frame_equal(text, binary, check_dtype=False, rtol=1e-5)


def test_tracks_are_detections_with_a_particle_number(video_run):
    tracks = pd.read_parquet(video_run.out / "tracks.parquet")
    assert "particle" in tracks
    assert not tracks.duplicated(["frame", "particle"]).any()
    assert tracks["particle"].nunique() == 9
    particles = pd.read_parquet(video_run.out / "particles.parquet")
    assert sorted(particles["particle"]) == sorted(tracks["particle"].unique())
    assert particles.set_index("particle")["frames"].equals(
        tracks.groupby("particle").size().rename("frames")
    )


def test_the_report_needs_nothing_from_outside_and_shows_everything(video_run):
    page = Page(video_run.out / "report.html")
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert "script" not in page.tags
    assert "url(" not in (video_run.out / "report.html").read_text(encoding="utf-8")
    figures = {name for name in files_in(video_run.out) if name.endswith(".png")}
    assert page.tags.count("img") == len(figures) == 10
    for warning in video_run.summary["warnings"]:
        assert warning in page.text
    D = video_run.diffusion
    for number in (D.value, D.low, D.high):
        # At least the first two digits, however the report rounds.
        assert f"{number:.6f}"[:4] in page.text
    assert video_run.summary["measured"]["motion_type"] in page.text
    assert video_run.summary["video"]["sha256"] in page.text


def test_names_are_escaped_in_the_report(video_run):
    source = (video_run.out / "report.html").read_text(encoding="utf-8")
    assert "gel <b>" not in source
    assert "gel <b>100$ & “ä 1.tif" in Page(video_run.out / "report.html").text


def test_frames_and_region_give_positions_in_the_whole_video(tmp_path, stand_in, without_pictures):
    video = write_video(tmp_path / "v.tif", spots_video(frames=20))
    whole = analyze(video, tmp_path / "whole").detections
    part = analyze(video, tmp_path / "part", frames=(8, None), region=(40, 30, 60, 80))
    assert set(part.detections["frame"]) == set(range(8, 20))
    # Not those that the border of the region cuts in two.
    inside = part.detections[
        part.detections["x"].between(46, 94) & part.detections["y"].between(36, 104)
    ]
    assert len(inside) >= 12
    for row in inside.itertuples():
        same = whole[whole["frame"] == row.frame]
        distance = ((same["x"] - row.x) ** 2 + (same["y"] - row.y) ** 2) ** 0.5
        assert distance.min() < 0.1
    assert part.tracks["frame"].min() == 8
    assert part.tracks["x"].min() > 40
    written = pd.read_csv(part.out / "particles.csv")
    assert written["first_frame"].min() == 8
    assert part.summary["video"]["first_frame"] == 8
    assert (part.summary["video"]["region_x"], part.summary["video"]["region_y"]) == (40, 30)
    assert part.summary["video"]["shape"] == [12, 80, 60]


def test_where_drift_is_taken_out_the_places_in_the_video_are_kept(tmp_path, without_pictures):
    still = brownian_tracks(12, 60, 1.0)
    drifting = still.assign(x=still["x"] + 2.0 * still["frame"])
    calibration = {"pixel_size_um": 0.1, "frame_interval_s": 0.05}
    analysis = analyze(drifting, tmp_path / "a", **calibration)
    assert analysis.summary["measured"]["drift_method"] != "none"
    tracks = pd.read_parquet(tmp_path / "a" / "tracks.parquet")
    both = tracks.merge(drifting, on=["frame", "particle"], suffixes=("", "_given"))
    assert len(both) == len(tracks)
    assert both["video_x"].to_numpy() == pytest.approx(both["x_given"].to_numpy())
    assert both["video_y"].to_numpy() == pytest.approx(both["y_given"].to_numpy())
    assert (both["x"] - both["video_x"]).abs().max() > 10
    described = pd.read_csv(tmp_path / "a" / "columns.csv", keep_default_na=False)
    there = described[described["column"].isin(["video_x", "video_y"])]
    assert there["unit"].to_list() == ["px", "px"]
    assert there["what"].str.contains("drift not taken out").all()
    analyze(still, tmp_path / "b", **calibration)
    assert "video_x" not in pd.read_parquet(tmp_path / "b" / "tracks.parquet")


def test_frames_of_a_table_are_those_asked_for(tmp_path, without_pictures):
    found = analyze(brownian_tracks(12, 40, 1.0), tmp_path / "out", frames=(10, 30))
    assert (found.tracks["frame"].min(), found.tracks["frame"].max()) == (10, 29)


def test_other_files_survive_overwriting_and_older_results_do_not(
    tmp_path, stand_in, without_pictures
):
    out = tmp_path / "out"
    analyze(write_video(tmp_path / "v.tif", spots_video()), out)
    assert (out / "detections.csv").is_file()
    for name in ("notes.txt", "figures/mine.png", "figures/msd.png", "v/frame000.png"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("kept")
    table = tmp_path / "tracks.csv"
    brownian_tracks(12, 20, 1.0).to_csv(table, index=False)
    with pytest.raises(WorkspaceError, match="--overwrite"):
        analyze(table, out)
    assert strict_json(out / "summary.json")["video"]["name"] == "v.tif"

    analyze(table, out, overwrite=True)
    assert strict_json(out / "summary.json")["video"]["name"] == "tracks.csv"
    # No detections of another video beside these tracks, and no figure of it.
    assert not (out / "detections.csv").exists()
    assert not (out / "figures" / "msd.png").exists()
    for name in ("notes.txt", "figures/mine.png", "v/frame000.png"):
        assert (out / name).read_text() == "kept"
    assert not list(out.glob(".*"))


def test_overwriting_where_the_videos_are_keeps_their_images(tmp_path, stand_in, without_pictures):
    from PIL import Image

    folders = []
    for run in range(2):
        folders.append(tmp_path / f"run_{run}")
        folders[-1].mkdir()
        for number, frame in enumerate(spots_video(frames=8, seed=run)):
            Image.fromarray((frame // 4).astype("uint8")).save(folders[-1] / f"{number:03}.png")
    analyze(folders, tmp_path, overwrite=True)
    for folder in folders:
        assert len(list(folder.glob("*.png"))) == 8
        assert (folder / "summary.json").is_file()


def test_a_table_is_not_replaced_by_results_from_it(tmp_path, without_pictures):
    first = analyze(brownian_tracks(12, 20, 1.0), tmp_path / "out")
    before = (first.out / "tracks.csv").read_bytes()
    with pytest.raises(WorkspaceError, match="output folder"):
        analyze(first.out / "tracks.csv", first.out, overwrite=True)
    assert (first.out / "tracks.csv").read_bytes() == before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_our_own_tracks_can_be_analysed_again(tmp_path, without_pictures, ending):
    tracks = brownian_tracks(12, 20, 1.0).assign(intensity=3.5)
    first = analyze(tracks, tmp_path / "first")
    again = analyze(first.out / f"tracks.{ending}", tmp_path / "again")
    assert again.diffusion.value == pytest.approx(first.diffusion.value, rel=1e-3)
    assert "intensity" in again.tracks


def test_trackpys_table_can_be_analysed(tmp_path, without_pictures):
    import trackpy

    truth = brownian_tracks(12, 20, 0.5, spread_px=400)
    trackpy.quiet()
    linked = trackpy.link(truth.drop(columns="particle"), search_range=5)
    linked.to_csv(tmp_path / "trackpy.csv")
    found = analyze(tmp_path / "trackpy.csv", tmp_path / "file")
    assert found.summary["measured"]["tracks"] == 12
    # trackpy leaves the frame in the index as well.
    held = analyze(linked.set_index("frame", drop=False), tmp_path / "held")
    assert held.diffusion.value == pytest.approx(found.diffusion.value, rel=1e-3)


def test_videos_of_one_name_get_folders_of_their_own(tmp_path, without_pictures):
    paths = []
    for seed, folder in enumerate(("monday", "tuesday")):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "cell.csv")
        brownian_tracks(12, 20, 1.0, seed=seed).to_csv(paths[-1], index=False)
    found = analyze(paths, tmp_path / "out")
    first, second = (single.out for single in found.videos)
    assert first != second
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {
        first.name, second.name, "figures"
    }  # fmt: skip
    assert (
        strict_json(first / "summary.json")["video"]["sha256"]
        != (strict_json(second / "summary.json")["video"]["sha256"])
    )


def test_a_video_and_a_table_together(tmp_path, stand_in, without_pictures):
    video = write_video(tmp_path / "v.tif", spots_video())
    table = tmp_path / "t.csv"
    brownian_tracks(12, 20, 0.7).to_csv(table, index=False)
    found = analyze([video, table], tmp_path / "out")
    assert {path.name for path in found.out.iterdir()} == {
        "report.html", "methods.txt", "summary.json", "tracks.csv", "tracks.parquet", "v", "t",
        "figures", "means_over_videos.csv", "columns.csv",
    }  # fmt: skip
    units = pd.read_csv(found.out / "columns.csv", keep_default_na=False)
    for name in ("tracks.csv", "means_over_videos.csv"):
        columns = list(pd.read_csv(found.out / name, nrows=0).columns)
        assert units.loc[units["file"] == name, "column"].to_list() == columns
    assert (units["what"] != "").all(), units[units["what"] == ""]
    # Only the video says how many particles there are in a frame.
    assert found.summary["measured"]["particles_per_frame"] == pytest.approx(9, abs=0.3)
    page = Page(found.out / "report.html")
    assert all(
        reference.startswith("data:") or (found.out / reference).is_file()
        for reference in page.references
    )


def test_a_calibrated_and_an_uncalibrated_video_have_no_common_D(
    tmp_path, stand_in, without_pictures
):
    plain = write_video(tmp_path / "plain.tif", spots_video(seed=1))
    scaled = tmp_path / "scaled.tif"
    tifffile.imwrite(
        scaled,
        spots_video(seed=2),
        imagej=True,
        resolution=(10.0, 10.0),
        metadata={"unit": "um", "finterval": 0.05, "axes": "TYX"},
    )
    found = analyze([plain, scaled], tmp_path / "out")
    assert [single.diffusion.unit for single in found.videos] == ["px^2/frame", "um^2/s"]
    summary = strict_json(tmp_path / "out" / "summary.json")
    assert [summary["measured"][name] for name in summary["measured"] if name[:2] == "D_"] == [None]
    # An exponent has no unit: it can be averaged.
    assert summary["measured"]["alpha"] is not None
    assert any("D is not averaged" in text for text in summary["warnings"])
    assert summary["calibration"] == {
        "pixel_size_um": None, "frame_interval_s": None, "exposure_s": None, "source": None,
    }  # fmt: skip


def test_folder_names_suit_windows_and_spreadsheets():
    names = ['=HYPERLINK("x") é中<b>.csv', "-1|2:3?*\\4.csv", "gel 1.csv", "gel 1.tif", "+x", "_x"]
    names.append("Figures.tif")
    sources = [SimpleNamespace(name=name) for name in names]
    assert _folder_names(sources) == [
        "_HYPERLINK(_x_) é中_b_", "_1_2_3___4", "gel 1", "gel 1_2", "_x", "_x_2", "Figures_2"
    ]  # fmt: skip


def test_viscosity_and_mobility_of_several_videos_are_those_of_their_mean(
    tmp_path, without_pictures
):
    tables = [brownian_tracks(8, 60, 1.0, seed=seed) for seed in range(2)]
    known = {"pixel_size_um": 0.1, "frame_interval_s": 0.02, "temperature_K": 295.0}
    out = tmp_path / "out"
    found = analyze(
        tables, out, **known, particle_radius_um=0.5, particle_radius_relative_error=0.1
    )
    # k_B T / (6 pi radius D), um^3 to m^3.
    viscosity = 1.380649e-23 * 295.0 / (6 * np.pi * 0.5e-18 * found.diffusion.value)
    entry = found.summary["material"]["measured_viscosity_Pa_s"]
    assert entry["value"] == pytest.approx(viscosity, rel=1e-6)
    # The error of the radius is that of all videos: it is not averaged away.
    relative = np.hypot(found.diffusion.standard_error / found.diffusion.value, 0.1)
    assert entry["standard_error"] == pytest.approx(relative * viscosity, rel=1e-6)
    page = Page(out / "report.html")
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "viscosity (Pa s)" in report
    assert "G' and G'' are not averaged" in page.text
    links = [reference for reference in page.references if not reference.startswith("data:")]
    assert len(links) == 2
    assert all((out / unquote(link)).is_file() for link in links)
    book = openpyxl.load_workbook(out / "mobility.xlsx")
    assert book.sheetnames == ["means over videos", "each video", "settings and units"]
    assert [cell.value for cell in book["each video"][1]] == [
        "quantity", "unit", *(single.out.name for single in found.videos)
    ]  # fmt: skip
    assert str(found.material.from_diffusion) in str(found)


def test_videos_that_are_not_filmed_alike_are_told(tmp_path, without_pictures, stand_in):
    paths = []
    for number, interval in enumerate((0.05, 0.1)):
        paths.append(tmp_path / f"v{number}.tif")
        tifffile.imwrite(
            paths[-1], spots_video(seed=number), imagej=True, resolution=(10.0, 10.0),
            metadata={"unit": "um", "finterval": interval, "axes": "TYX"},
        )  # fmt: skip
    found = analyze(paths, tmp_path / "out")
    assert any(
        "The frame interval is not the same: 0.05 s (v0), 0.1 s (v1)." in said
        for said in found.summary["warnings"]
    )

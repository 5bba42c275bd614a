"""Tracks written for other programs, and read back."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels, read_tracks, write_tracks
from cloudtrainer.annotations.exports import FORMATS
from cloudtrainer.errors import CalibrationError, LabelError

# A name for each format; trackmate and challenge share their ending.
NAMES = {format: f"out{endings[0]}" for format, endings in FORMATS.items()}


@pytest.fixture
def tracks():
    """Three particles numbered as they appear, with a gap, errors, and a value that is unknown."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        [(f, p) for p, frames in enumerate([(0, 1, 2, 5), (0, 1), (2, 3, 4)]) for f in frames],
        columns=["frame", "particle"],
    )
    table[["x", "y"]] = rng.uniform(-0.5, 511.5, (len(table), 2))
    table["x_error"] = rng.uniform(0.01, 0.3, len(table))
    table["y_error"] = table["x_error"] / 3
    table["probability"] = rng.uniform(0, 1, len(table))
    table["intensity"] = rng.uniform(1, 1e5, len(table))
    table.loc[2, ["x_error", "intensity"]] = np.nan
    table["note"] = 'a<b & "c", d'
    return table.sort_values(["frame", "particle"], ignore_index=True)


def write(tracks, folder, format, **settings):
    path = folder / NAMES[format]
    write_tracks(tracks, path, format=format, **settings)
    assert [each.name for each in folder.iterdir()] == [path.name]
    return path


def positions(tracks):
    return tracks[["frame", "particle", "x", "y"]]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_our_tables_keep_every_column_bit_for_bit(tmp_path, tracks, format):
    back = read_tracks(write(tracks, tmp_path, format))
    assert back.columns.tolist()[:4] == ["frame", "particle", "x", "y"]
    pd.testing.assert_frame_equal(back, tracks, check_exact=True, check_dtype=format == "parquet")


@pytest.mark.parametrize("format", ["trackmate", "challenge", "napari"])
def test_positions_are_read_back_bit_for_bit(tmp_path, tracks, format):
    shuffled = tracks.sample(frac=1, random_state=0)
    back = read_tracks(write(shuffled, tmp_path, format))
    pd.testing.assert_frame_equal(positions(back), positions(tracks), check_exact=True)


@pytest.mark.parametrize("format", ["csv", "parquet", "napari"])
def test_tables_keep_the_numbers_of_particles(tmp_path, tracks, format):
    tracks["particle"] = tracks["particle"].map({0: 7, 1: -3, 2: 2**40})
    back = read_tracks(write(tracks, tmp_path, format))
    expected = tracks.sort_values(["frame", "particle"], ignore_index=True)
    pd.testing.assert_frame_equal(positions(back), positions(expected), check_exact=True)


@pytest.mark.parametrize("format", ["trackmate", "challenge"])
def test_xml_numbers_particles_anew_and_keeps_who_is_who(tmp_path, tracks, format):
    tracks["particle"] = tracks["particle"].map({0: 7, 1: 3, 2: 12})
    back = read_tracks(write(tracks, tmp_path, format))
    both = positions(back).merge(tracks, on=["frame", "x", "y"], validate="one_to_one")
    assert len(both) == len(tracks)
    assert both.groupby("particle_x")["particle_y"].unique().map(len).eq(1).all()
    assert both["particle_x"].nunique() == 3


def test_trackmate_holds_lengths_times_and_what_was_measured(tmp_path, tracks):
    path = write(tracks, tmp_path, "trackmate", pixel_size_um=0.1625, frame_interval_s=0.05)
    back = positions(read_tracks(path))
    pd.testing.assert_frame_equal(back, positions(tracks), check_exact=False, rtol=1e-14)
    root = ET.parse(path).getroot()
    model = root.find("Model")
    assert model.attrib == {"spatialunits": "micron", "timeunits": "sec"}
    image = root.find("Settings/ImageData").attrib
    assert (image["pixelwidth"], image["timeinterval"]) == ("0.1625", "0.05")
    assert (image["nframes"], image["nslices"]) == ("6", "1")
    declared = {each.get("feature") for each in root.iter("Feature")}
    spots = [spot.attrib for spot in root.iter("Spot")]
    assert set(spots[0]) - {"ID", "name"} <= declared
    assert len({spot["ID"] for spot in spots}) == len(tracks)
    for (_, row), spot in zip(tracks.iterrows(), spots, strict=True):
        assert float(spot["POSITION_X"]) == row["x"] * 0.1625
        assert float(spot["POSITION_T"]) == row["frame"] * 0.05
        assert float(spot["QUALITY"]) == row["probability"]
        np.testing.assert_equal(float(spot["X_ERROR"]), row["x_error"] * 0.1625)
        np.testing.assert_equal(float(spot["INTENSITY"]), row["intensity"])
    # As Java writes it: "nan" is no number there.
    assert "NaN" in path.read_text("utf-8")
    assert "nan" not in path.read_text("utf-8")
    for frame in root.iter("SpotsInFrame"):
        assert {spot.get("FRAME") for spot in frame} == {frame.get("frame")}


def test_trackmate_links_are_those_of_the_tracks_and_all_are_shown(tmp_path, tracks):
    tracks["particle"] += 5
    root = ET.parse(write(tracks, tmp_path, "trackmate")).getroot()
    found = {int(track.get("TRACK_ID")): len(track.findall("Edge")) for track in root.iter("Track")}
    assert found == {5: 3, 6: 1, 7: 2}
    assert [int(each.get("TRACK_ID")) for each in root.iter("TrackID")] == [5, 6, 7]
    assert root.find("Model").attrib == {"spatialunits": "pixel", "timeunits": "frame"}


def test_what_trackmate_needs_to_open_a_file_is_there(tmp_path, tracks):
    root = ET.parse(write(tracks, tmp_path, "trackmate")).getroot()
    assert tuple(map(int, root.get("version").split("."))) >= (2, 1, 0)
    for place in (
        "Model/FeatureDeclarations/SpotFeatures", "Model/FeatureDeclarations/EdgeFeatures",
        "Model/FeatureDeclarations/TrackFeatures", "Model/AllSpots", "Model/AllTracks",
        "Model/FilteredTracks", "Settings/ImageData", "Settings/InitialSpotFilter",
        "Settings/SpotFilterCollection", "Settings/TrackFilterCollection",
        "Settings/DetectorSettings", "Settings/TrackerSettings", "GUIState",
    ):  # fmt: skip
        assert root.find(place) is not None, place


def test_a_particle_seen_once_is_a_spot_without_a_track_in_trackmate(tmp_path, tracks):
    single = tracks.drop_duplicates("particle")
    path = write(single, tmp_path, "trackmate")
    assert read_tracks(path).empty
    assert len(read_labels(path)) == 3
    write_tracks(single, path, format="challenge", overwrite=True)
    assert len(read_tracks(path)) == 3


def test_napari_gets_track_t_y_x_sorted_by_track(tmp_path, tracks):
    path = write(tracks, tmp_path, "napari")
    assert path.read_text("utf-8").splitlines()[0] == "track_id,t,y,x"
    data = np.loadtxt(path, delimiter=",", skiprows=1)
    expected = tracks.sort_values(["particle", "frame"])[["particle", "frame", "y", "x"]]
    np.testing.assert_array_equal(data, expected.to_numpy())


def zarr_array(folder):
    """Read an array of Zarr's second format, of one uncompressed chunk."""
    about = json.loads((folder / ".zarray").read_text("utf-8"))
    chunk = folder / ".".join("0" for _ in about["shape"])
    data = chunk.read_bytes() if chunk.exists() else b""
    return np.frombuffer(data, about["dtype"]).reshape(about["shape"])


def test_geff_holds_nodes_edges_and_axes(tmp_path, tracks):
    path = write(tracks, tmp_path, "geff", pixel_size_um=0.1, frame_interval_s=0.5)
    props = path / "nodes" / "props"
    for name, column in {"t": "frame", "y": "y", "x": "x", "particle": "particle"}.items():
        values = zarr_array(props / name / "values")
        np.testing.assert_array_equal(values, tracks[column])
        assert values.dtype == tracks[column].dtype
    np.testing.assert_array_equal(zarr_array(props / "x_error" / "values"), tracks["x_error"])
    np.testing.assert_array_equal(
        zarr_array(props / "x_error" / "missing"), tracks["x_error"].isna()
    )
    assert not (props / "probability" / "missing").exists()
    edges = zarr_array(path / "edges" / "ids").astype(int)
    particle, frame = tracks["particle"].to_numpy(), tracks["frame"].to_numpy()
    assert len(edges) == len(tracks) - 3
    assert (particle[edges[:, 0]] == particle[edges[:, 1]]).all()
    assert (frame[edges[:, 0]] < frame[edges[:, 1]]).all()
    assert len(np.unique(edges[:, 0])) == len(np.unique(edges[:, 1])) == len(edges)
    metadata = json.loads((path / ".zattrs").read_text("utf-8"))["geff"]
    assert (metadata["geff_version"], metadata["directed"]) == ("1.3", True)
    assert [axis["name"] for axis in metadata["axes"]] == ["t", "y", "x"]
    assert [axis["scale"] for axis in metadata["axes"]] == [0.5, 0.1, 0.1]


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("linked", [True, False])
def test_geffs_own_library_finds_it_valid_and_reads_it_back(tmp_path, tracks, calibrated, linked):
    geff = pytest.importorskip("geff")
    from geff.validate.data import ValidationConfig, validate_data

    if not linked:
        tracks = tracks.drop_duplicates("particle")
    settings = {"pixel_size_um": 0.1, "frame_interval_s": 0.5} if calibrated else {}
    path = write(tracks, tmp_path, "geff", **settings)
    geff.validate_structure(path)
    memory = geff.GeffReader(path)
    memory.read_node_props()
    read = memory.build()
    validate_data(read, ValidationConfig(graph=True, lineage=True, tracklet=True))
    graph, _ = geff.read(path, backend="networkx")
    assert graph.number_of_nodes() == len(tracks)
    assert graph.number_of_edges() == len(tracks) - tracks["particle"].nunique()
    for node, (_, row) in enumerate(tracks.iterrows()):
        held = graph.nodes[node]
        assert (held["t"], held["y"], held["x"]) == (row["frame"], row["y"], row["x"])
        assert ("x_error" in held) == (not np.isnan(row["x_error"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="particle"), "no column particle"),
        (lambda t: t.drop(columns=["x", "y"]), "no column x, y"),
        (lambda t: pd.concat([t, t.iloc[[0]]]), "particle 0 is there twice in frame 0"),
        (lambda t: t.assign(x=np.nan), "column x: an empty cell is not a number"),
        (lambda t: t.assign(y=np.inf), "column y: 'inf' is not a number"),
        (lambda t: t.assign(frame=-1), "column frame: '-1' is not a frame number"),
        (lambda t: t.assign(particle=0.5), "column particle: '0.5' is not a number"),
        (lambda t: t.iloc[:0], "holds no positions"),
        (lambda t: pd.DataFrame(), "no column frame, x, y, particle"),
        (lambda t: t.assign(x_error="big"), "frame 0, column x_error: 'big' is not a number"),
        (lambda t: t.assign(intensity=np.inf), "column intensity: 'inf' is not a number"),
        (lambda t: pd.concat([t, t[["y_error"]]], axis=1), "column y_error is there twice"),
        (lambda t: t.assign(video=t["frame"].astype(str)), "names 6 videos"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_bad_tables_are_refused_and_nothing_is_left(tmp_path, tracks, format, change, message):
    with pytest.raises(LabelError, match=message) as caught:
        write(change(tracks), tmp_path, format)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["pixel_size_um", "frame_interval_s"])
@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_calibration_that_cannot_be_right_is_refused(tmp_path, tracks, name, value):
    with pytest.raises(CalibrationError, match=name):
        write_tracks(tracks, tmp_path / "t.csv", **{name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("t.txt", None, "its ending tells no format"),
        ("t", None, "its ending tells no format"),
        ("t.xml", None, "give --to trackmate or --to challenge"),
        ("t.csv", "matlab", "not written as 'matlab'"),
        ("t.csv", "trackmate", r"ends in \.csv, which trackmate does not; let it end in \.xml"),
        ("t.XML", "geff", r"let it end in \.geff"),
        ("t.geff", "csv", r"let it end in \.csv"),
    ],
)
def test_an_ending_or_a_format_that_does_not_fit_is_refused(
    tmp_path, tracks, name, format, message
):
    with pytest.raises(LabelError, match=message):
        write_tracks(tracks, tmp_path / name, format=format)
    assert list(tmp_path.iterdir()) == []


def test_any_other_ending_is_taken_with_a_format(tmp_path, tracks):
    write_tracks(tracks, tmp_path / "t.txt", format="csv")
    write_tracks(tracks, tmp_path / "t.PQ")
    assert len(read_tracks(tmp_path / "t.txt")) == len(read_tracks(tmp_path / "t.PQ"))


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_stays_unless_told(tmp_path, tracks, format):
    path = write(tracks, tmp_path, format)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    before = [file.read_bytes() for file in files]
    fewer = tracks[tracks["particle"] == 1]
    with pytest.raises(LabelError, match="is there already; give --overwrite"):
        write(fewer, tmp_path, format)
    with pytest.raises(LabelError, match="no column particle"):
        write(tracks.drop(columns="particle"), tmp_path, format, overwrite=True)
    assert [file.read_bytes() for file in files] == before
    write(fewer, tmp_path, format, overwrite=True)
    size = sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())
    assert 0 < size < sum(map(len, before))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_ends_in_one_line(tmp_path, tracks, format, folder):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(LabelError, match="cannot be written") as caught:
        write_tracks(tracks, tmp_path / folder / NAMES[format], format=format)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_what_was_there(small_disk, tracks, format):
    path = write(tracks, small_disk, format)
    before = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}
    rng = np.random.default_rng(0)
    many = pd.DataFrame({"frame": np.arange(60_000), "particle": 0})
    many[["x", "y"]] = rng.uniform(0, 100, (len(many), 2))
    with pytest.raises(LabelError, match="cannot be written"):
        write_tracks(many, path, format=format, overwrite=True)
    assert {p: p.read_bytes() for p in small_disk.rglob("*") if p.is_file()} == before


def test_a_folder_of_something_else_is_never_replaced(tmp_path, tracks):
    folder = tmp_path / "t.geff"
    (folder / "mine").mkdir(parents=True)
    with pytest.raises(LabelError, match="is there and no GEFF"):
        write_tracks(tracks, folder, overwrite=True)
    assert (folder / "mine").is_dir()
    with pytest.raises(LabelError, match="is a folder; give the name of a file"):
        write_tracks(tracks, folder / "mine", format="csv", overwrite=True)
    (tmp_path / "u.geff").write_text("mine", encoding="utf-8")
    with pytest.raises(LabelError, match="is there and no GEFF"):
        write_tracks(tracks, tmp_path / "u.geff", overwrite=True)
    assert (tmp_path / "u.geff").read_text("utf-8") == "mine"


def test_numbers_that_trackmate_cannot_read_are_refused(tmp_path, tracks):
    tracks["particle"] += 2**31
    with pytest.raises(LabelError, match="more than the 32 bits"):
        write(tracks, tmp_path, "trackmate")
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_parquet_cannot_hold_is_named_in_one_line(tmp_path, tracks):
    tracks["note"] = pd.Series([1, "a", *[None] * (len(tracks) - 2)], dtype=object)
    with pytest.raises(LabelError, match="a column cannot be written") as caught:
        write(tracks, tmp_path, "parquet")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_columns_of_any_kind_of_number_are_taken(tmp_path, tracks, format):
    tracks = tracks.drop(columns="note")
    tracks["x_error"] = tracks["x_error"].astype("Float64")
    tracks["intensity"] = 1
    tracks["probability"] = tracks["probability"].astype(str)
    tracks[["x", "y"]] = tracks[["x", "y"]].astype(np.float32)
    write(tracks, tmp_path, format, pixel_size_um=np.float32(0.5), frame_interval_s=1)

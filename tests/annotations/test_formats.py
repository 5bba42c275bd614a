"""Files of TrackMate, Icy, napari and the particle tracking challenge."""

import pandas as pd
import pytest

from cloudtrainer.annotations import read_labels, read_tracks
from cloudtrainer.errors import CalibrationError, LabelError

SHAPE = (50, 128, 128)
SAMPLES = {
    # name: labels, frames with labels, positions in tracks, tracks; counted with grep in the file
    "FakeTracks_TrackMate.xml": (268, 50, 237, 15),
    "FakeTracks_ISBI.xml": (156, 50, 156, 6),
    "FakeTracks_Icy.xml": (237, 50, 237, 16),
    "two_tracks.csv": (29, 18, 29, 2),
}
# Read by eye in the file: file, frame, x, y, frames of the track that it is in.
SEEN = [
    ("FakeTracks_TrackMate.xml", 0, 104.62962822368571, 112.37497065014082, (0, 49)),
    ("FakeTracks_TrackMate.xml", 42, 0.0, 109.0, (42, 43)),
    # Splits after frame 15 and merges in frame 27.
    ("FakeTracks_TrackMate.xml", 16, 41.5828343348868, 47.505930020081664, (16, 26)),
    ("FakeTracks_ISBI.xml", 0, 64.00558680057657, 3.9587411612103076, (0, 41)),
    ("FakeTracks_ISBI.xml", 49, 108.5155211844903, 55.540627167691, (39, 49)),
    ("FakeTracks_Icy.xml", 16, 41.5828343348868, 47.505930020081664, (16, 26)),
    ("FakeTracks_Icy.xml", 29, 22.59595984376219, 10.424936508845596, (16, 29)),
    ("two_tracks.csv", 26, 54.76543582275898, 82.56952403357312, (9, 26)),
]


def written(tmp_path, text, name):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_hold_what_was_counted_in_them(shared_data, name):
    path = shared_data / "formats" / name
    labels, tracks = read_labels(path, SHAPE), read_tracks(path)
    assert labels.columns.tolist() == ["frame", "x", "y"]
    assert labels.dtypes.astype(str).tolist() == ["int64", "float64", "float64"]
    assert labels["frame"].is_monotonic_increasing
    counted = (len(labels), labels["frame"].nunique(), len(tracks), tracks["particle"].nunique())
    assert counted == SAMPLES[name]


@pytest.mark.parametrize(("name", "frame", "x", "y", "lasts"), SEEN)
def test_samples_hold_what_was_seen_in_them(shared_data, name, frame, x, y, lasts):
    tracks = read_tracks(shared_data / "formats" / name)
    here = tracks[(tracks["frame"] == frame) & (tracks["x"] == x) & (tracks["y"] == y)]
    assert len(here) == 1
    of_track = tracks[tracks["particle"] == here["particle"].iloc[0]]["frame"]
    assert (of_track.min(), of_track.max()) == lasts
    labels = read_labels(shared_data / "formats" / name)
    assert ((labels["frame"] == frame) & (labels["x"] == x) & (labels["y"] == y)).sum() == 1


def as_set(path):
    tracks = read_tracks(path)
    return {
        frozenset(zip(t["frame"], t["x"], t["y"], strict=True))
        for _, t in tracks.groupby("particle")
    }


def test_the_formats_agree_on_the_same_tracks(shared_data):
    folder = shared_data / "formats"
    trackmate, icy = (
        as_set(folder / "FakeTracks_TrackMate.xml"),
        as_set(folder / "FakeTracks_Icy.xml"),
    )
    # Icy's file cuts the one track that has a gap (frame 44) in two, which TrackMate's bridges.
    (bridged,) = trackmate - icy
    before, after = sorted(icy - trackmate, key=min)
    assert before | after == bridged
    assert (max(before)[0], min(after)[0]) == (43, 45)
    # Of the two tracks that split, the challenge's file has one position a frame; the four others
    # are whole.
    shared = trackmate & as_set(folder / "FakeTracks_ISBI.xml")
    assert sorted(len(track) for track in shared) == [2, 2, 10, 50]
    assert as_set(folder / "two_tracks.csv") <= icy & trackmate


SPOT = (
    '<Spot ID="{0}" name="ID{0}" FRAME="{1}" POSITION_X="{2}" POSITION_Y="{3}" POSITION_Z="0" '
    'VISIBILITY="{4}"/>'
)


def trackmate_xml(
    unit="micron",
    image='<ImageData pixelwidth="0.5" pixelheight="0.25" width="64" height="48"/>',
    spots=((1, 0, 1.0, 2.0, 1), (2, 1, 1.5, 2.0, 1), (3, 1, 8.0, 8.0, 0), (4, 0, 5.0, 5.0, 1)),
    tracks='<Track TRACK_ID="7"><Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="2"/></Track>',
    shown='<FilteredTracks><TrackID TRACK_ID="7"/></FilteredTracks>',
):
    inside = "".join(f"<SpotsInFrame>{SPOT.format(*spot)}</SpotsInFrame>\n" for spot in spots)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<TrackMate version="7.1"><Log>text &amp; so</Log>'
        f'<Model spatialunits="{unit}" timeunits="sec"><AllSpots>\n{inside}</AllSpots>'
        f"<AllTracks>{tracks}</AllTracks>{shown}</Model><Settings>{image}</Settings></TrackMate>"
    )


@pytest.mark.parametrize("unit", ["micron", "µm", "pixel", "inch"])
def test_trackmate_positions_are_divided_by_the_pixels_own_width_and_height(tmp_path, unit):
    # TrackMate multiplies by the image's calibration whatever its unit is called.
    path = written(tmp_path, trackmate_xml(unit), "t.xml")
    expected = pd.DataFrame({"frame": [0, 0, 1], "x": [2.0, 10.0, 3.0], "y": [8.0, 20.0, 8.0]})
    # Invisible spots are ones that the user's filters removed.
    pd.testing.assert_frame_equal(read_labels(path, (2, 48, 64)), expected)
    tracks = read_tracks(path, pixel_size_um=3.0)
    assert tracks[["frame", "particle", "x", "y"]].to_numpy().tolist() == [
        [0, 0, 2.0, 8.0],
        [1, 0, 3.0, 8.0],
    ]


def test_trackmate_without_a_pixel_width_needs_the_pixel_size(tmp_path):
    path = written(tmp_path, trackmate_xml("nm", image=""), "t.xml")
    with pytest.raises(LabelError, match="positions are in nm; give the pixel size"):
        read_labels(path)
    labels = read_labels(path, pixel_size_um=0.001)
    assert labels["x"].tolist() == pytest.approx([1.0, 5.0, 1.5])
    with pytest.raises(CalibrationError, match=r"pixel_size_um is -1"):
        read_labels(path, pixel_size_um=-1)
    pixels = written(tmp_path, trackmate_xml("pixels", image=""), "p.xml")
    assert read_labels(pixels)["x"].tolist() == [1.0, 5.0, 1.5]


def test_tracks_that_trackmates_filters_removed_are_left_out(tmp_path):
    hidden = written(tmp_path, trackmate_xml(shown="<FilteredTracks/>"), "h.xml")
    assert read_tracks(hidden).empty
    assert len(read_labels(hidden)) == 3
    assert len(read_tracks(written(tmp_path, trackmate_xml(shown=""), "a.xml"))) == 2


HEADER = "LABEL,ID,TRACK_ID,POSITION_X,POSITION_Y,FRAME\nL,I,T,X,Y,F\n,,,({unit}),({unit}),\n"


def test_labels_from_trackmates_csv_are_all_its_spots(tmp_path):
    text = HEADER.format(unit="micron") + "a,1,0,1,2,0\nb,2,,3,4,1\n"
    labels = read_labels(written(tmp_path, text, "t.csv"), pixel_size_um=0.5)
    assert labels.to_numpy().tolist() == [[0, 2.0, 4.0], [1, 6.0, 8.0]]
    assert len(read_tracks(tmp_path / "t.csv", 0.5)) == 1


TRACKS = (
    '<Tracks nTracks="2" spaceUnits="{unit}" frameInterval="0.1" timeUnits="sec">{inside}</Tracks>'
)
TWO = (
    '<particle nSpots="2"><detection t="3" x="1.0" y="2.0" z="0"/>'
    '<detection t="4" x="1.5" y="2.5" z="0"/></particle>'
    '<particle nSpots="1"><detection t="3" x="1.0" y="2.0" z="0"/></particle>'
)


def test_trackmates_export_of_tracks_alone(tmp_path):
    path = written(tmp_path, TRACKS.format(unit="micron", inside=TWO), "t.xml")
    with pytest.raises(LabelError, match="positions are in micron; give the pixel size"):
        read_tracks(path)
    tracks = read_tracks(path, 0.5)[["frame", "particle", "x", "y"]]
    assert tracks.to_numpy().tolist() == [[3, 0, 2, 4], [3, 1, 2, 4], [4, 0, 3, 5]]
    # Where a track splits, some programs write the last spot before it into both.
    assert read_labels(path, pixel_size_um=0.5).to_numpy().tolist() == [[3, 2, 4], [4, 3, 5]]


def test_what_icy_guessed_where_it_saw_nothing_is_left_out(tmp_path):
    text = (
        '<root><trackfile version="1"/><trackgroup><track id="-5">'
        '<detection t="0" x="1" y="2" type="1"/><detection t="1" x="1.5" y="2" type="2"/>'
        '<detection t="2" x="2" y="2" type="1"/></track></trackgroup></root>'
    )
    tracks = read_tracks(written(tmp_path, text, "icy.xml"))
    assert tracks["frame"].tolist() == [0, 2]
    assert tracks["particle"].tolist() == [0, 0]


def test_napari_points_are_frame_y_x(tmp_path):
    text = "index,axis-0,axis-1,axis-2,label\n0.0,4.0,10.5,20.25,a\n1.0,0.0,47.0,63.0,b\n"
    labels = read_labels(written(tmp_path, text, "points.csv"), (5, 48, 64))
    expected = pd.DataFrame({"frame": [0, 4], "x": [63.0, 20.25], "y": [47.0, 10.5]})
    pd.testing.assert_frame_equal(labels, expected)


def test_xml_under_another_name_and_in_another_encoding(tmp_path):
    text = TRACKS.format(unit="pixel", inside=TWO)
    assert len(read_tracks(written(tmp_path, "\ufeff" + text, "t.csv"))) == 3
    declared = f'<?xml version="1.0" encoding="UTF-16"?>{text}'
    assert len(read_tracks(written(tmp_path, declared.encode("utf-16"), "t.xml"))) == 3


ISBI = "<root>\n<TrackContestISBI2012>\n<particle>\n{}\n</particle></TrackContestISBI2012></root>"
BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>' + ISBI.format("&c;")
OUTSIDE = '<!DOCTYPE root [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + ISBI.format("&b;")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.xml", "", "not a whole, well-formed XML file: no element found"),
        ("t.xml", "frame,x,y\n0,1,2\n", "not a whole, well-formed XML file"),
        ("t.xml", b"\x89PNG\r\n\x1a\n\x00\x00", "not a whole, well-formed XML file"),
        ("t.xml", trackmate_xml()[:-60], "not a whole, well-formed XML file"),
        ("t.xml", ISBI.format("")[:-3], "not a whole, well-formed XML file"),
        ("t.xml", '<?xml version="1.0" encoding="klingon"?><root/>', "unknown encoding"),
        ("t.xml", "<html><body><p/></body></html>", "an XML file, but not TrackMate's"),
        ("t.xml", "<root/>", "an XML file, but not TrackMate's"),
        ("t.xml", "<root>&c;</root>", "undefined entity"),
        ("t.xml", BOMB, r"line 1: declares a document type \(DOCTYPE\)"),
        ("t.csv", OUTSIDE, r"line 1: declares a document type \(DOCTYPE\)"),
        ("t.xml", ISBI.format('<detection t="0" x="1"/>'), "row 4, column y: an empty cell"),
        ("t.xml", ISBI.format('<detection t="0" x="l" y="1"/>'), "row 4, column x: 'l' is not"),
        ("t.xml", ISBI.format('<detection t="0" x="nan" y="1"/>'), "row 4, column x"),
        ("t.xml", ISBI.format('<detection t="-1" x="1" y="1"/>'), "column frame: '-1' is not"),
        ("t.xml", ISBI.format('<detection t="0.2" x="1" y="1"/>'), "column frame: '0.2' is not"),
        ("t.xml", ISBI.format('<detection t="0" x="1" y="1"/>' * 2), "particle 0 is there twice"),
        ("t.xml", TRACKS.format(unit="inch", inside=TWO), "neither pixels nor micrometres"),
        ("t.xml", trackmate_xml(image='<ImageData pixelwidth="0"/>'), "pixelwidth is '0', not a"),
        ("t.xml", trackmate_xml(image='<ImageData pixelwidth="a"/>'), "pixelwidth is 'a', not a"),
        ("t.xml", trackmate_xml(spots=((1, 0, 1, 1, 1),) * 2), "two spots have one ID"),
        ("t.xml", trackmate_xml(spots=((1, 0, 1, 1, 1),)), "a track holds the spot '2'"),
        ("t.xml", trackmate_xml(spots=((1, 0, "a", 1, 1),)), "row 3, column x: 'a' is not"),
        (
            "t.xml",
            trackmate_xml(spots=((1, 3, 1, 1, 1), (2, 3, 2, 1, 1))),
            "an edge links two spots of frame 3",
        ),
        ("t.csv", "TrackID,t,x,y\n0,0,1,2\n0,0,3,4\n", "particle 0 is there twice in frame 0"),
        ("t.csv", HEADER.format(unit="parsec") + "a,1,0,1,2,0\n", "neither pixels nor micro"),
    ],
)
def test_bad_tracks_end_in_one_line(tmp_path, name, text, message):
    with pytest.raises(LabelError, match=message) as caught:
        read_tracks(written(tmp_path, text, name), 0.5)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,axis-0,axis-1\n0,1,2\n", "napari points without the column axis-2"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n", "four or more axes"),
        ("index,axis-0,axis-1,axis-2\n0,0.5,2,3\n", "row 2, column frame: '0.5' is not a frame"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,left\n", "row 2, column x: 'left' is not a number"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,3\n1,1,2,3\n", "row 3 repeats an earlier label"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,64\n", "row 2, column x: 64 is outside the frame"),
        ("index,axis-0,axis-1,axis-2\n0,9,2,3\n", "row 2, column frame: 9 is past"),
        (ISBI.format('<detection t="0" x="1" y="48"/>'), "row 4, column y: 48 is outside"),
        (trackmate_xml(), "row 3, column x: 2 is outside the frame, which is 2 wide"),
    ],
)
def test_bad_labels_end_in_one_line(tmp_path, text, message):
    shape = (5, 48, 2) if "TrackMate" in text else (5, 48, 64)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(written(tmp_path, text, "p.csv"), shape)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("p.csv")

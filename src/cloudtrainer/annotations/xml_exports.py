"""Tracks written as XML: TrackMate's file, and the particle tracking challenge's."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from cloudtrainer.errors import LabelError
from cloudtrainer.version import __version__

# How large TrackMate draws a spot: tracks do not say how large a particle is.
_DRAWN_RADIUS_PX = 3.0
# TrackMate numbers frames, spots and tracks in 32 bits.
_LARGEST_NUMBER = 2**31 - 1

_SPOT_FEATURES = """\
<Feature feature="QUALITY" name="Quality" shortname="Quality" dimension="QUALITY" isint="false"/>
<Feature feature="POSITION_X" name="X" shortname="X" dimension="POSITION" isint="false"/>
<Feature feature="POSITION_Y" name="Y" shortname="Y" dimension="POSITION" isint="false"/>
<Feature feature="POSITION_Z" name="Z" shortname="Z" dimension="POSITION" isint="false"/>
<Feature feature="POSITION_T" name="T" shortname="T" dimension="TIME" isint="false"/>
<Feature feature="FRAME" name="Frame" shortname="Frame" dimension="NONE" isint="true"/>
<Feature feature="RADIUS" name="Radius" shortname="R" dimension="LENGTH" isint="false"/>
<Feature feature="VISIBILITY" name="Visibility" shortname="Visibility" dimension="NONE" \
isint="true"/>
"""
# Ours: the column, the feature that it becomes, its name and its dimension.
_OWN_FEATURES = (
    ("x_error", "X_ERROR", "Standard error of x", "LENGTH"),
    ("y_error", "Y_ERROR", "Standard error of y", "LENGTH"),
    ("intensity", "INTENSITY", "Intensity", "INTENSITY"),
)
_EDGE_FEATURES = """\
<Feature feature="SPOT_SOURCE_ID" name="Source spot ID" shortname="Source ID" dimension="NONE" \
isint="true"/>
<Feature feature="SPOT_TARGET_ID" name="Target spot ID" shortname="Target ID" dimension="NONE" \
isint="true"/>
"""
_TRACK_FEATURES = """\
<Feature feature="NUMBER_SPOTS" name="Number of spots in track" shortname="N spots" \
dimension="NONE" isint="true"/>
<Feature feature="TRACK_INDEX" name="Track index" shortname="Index" dimension="NONE" isint="true"/>
<Feature feature="TRACK_ID" name="Track ID" shortname="ID" dimension="NONE" isint="true"/>
"""
# TrackMate does not open a file without its filters, and complains of one without the rest.
_SETTINGS = """\
<Settings>
<ImageData filename="" folder="" width="{width}" height="{height}" nslices="1" \
nframes="{frames}" pixelwidth="{size}" pixelheight="{size}" voxeldepth="1.0" \
timeinterval="{interval}"/>
<BasicSettings xstart="0" xend="{last_x}" ystart="0" yend="{last_y}" zstart="0" zend="0" \
tstart="0" tend="{last_frame}"/>
<DetectorSettings DETECTOR_NAME="MANUAL_DETECTOR" RADIUS="{radius}"/>
<InitialSpotFilter feature="QUALITY" value="0.0" isabove="true"/>
<SpotFilterCollection/>
<TrackerSettings TRACKER_NAME="MANUAL_TRACKER"/>
<TrackFilterCollection/>
<AnalyzerCollection><SpotAnalyzers/><EdgeAnalyzers/><TrackAnalyzers/></AnalyzerCollection>
</Settings>
<GUIState state="ConfigureViews"/>
"""


def write_trackmate(
    table: pd.DataFrame,
    path: Path,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> None:
    """Write tracks as the file that TrackMate loads.

    A particle with a single position becomes a spot outside any track, for TrackMate's tracks are
    made of links.

    Parameters
    ----------
    table
        Checked tracks (px), sorted by frame; ``probability`` becomes the spots' quality, which is
        1 without it.
    path
        The file to write.
    pixel_size_um, frame_interval_s
        Calibration; without them positions are in pixels and times in frames.

    Raises
    ------
    LabelError
        When a frame or a particle's number has more than 32 bits.
    OSError
        When the file cannot be written.
    """
    for column in ("frame", "particle"):
        largest = int(table[column].abs().max())
        if largest > _LARGEST_NUMBER:
            raise LabelError(
                f"tracks for TrackMate: the {column} {largest} has more than the 32 bits that "
                "TrackMate reads; number them anew."
            )
    size, interval = float(pixel_size_um or 1.0), float(frame_interval_s or 1.0)
    unit = "pixel" if pixel_size_um is None else "micron"
    time_unit = "frame" if frame_interval_s is None else "sec"
    own = [each for each in _OWN_FEATURES if each[0] in table.columns]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<TrackMate version="7.0.0">\n')
        file.write(f"<Log>Written by cloudtrainer {__version__}.</Log>\n")
        file.write(f'<Model spatialunits="{unit}" timeunits="{time_unit}">\n')
        file.write(f"<FeatureDeclarations>\n<SpotFeatures>\n{_SPOT_FEATURES}")
        for _, feature, name, dimension in own:
            file.write(
                f'<Feature feature="{feature}" name="{name}" shortname="{feature}" '
                f'dimension="{dimension}" isint="false"/>\n'
            )
        file.write(f"</SpotFeatures>\n<EdgeFeatures>\n{_EDGE_FEATURES}</EdgeFeatures>\n")
        file.write(f"<TrackFeatures>\n{_TRACK_FEATURES}</TrackFeatures>\n</FeatureDeclarations>\n")
        _write_spots(file, table, own, size, interval)
        _write_links(file, table)
        file.write("</Model>\n")
        frames = int(table["frame"].max()) + 1
        width, height = (max(int(np.ceil(table[axis].max())) + 1, 1) for axis in ("x", "y"))
        file.write(
            _SETTINGS.format(
                width=width,
                height=height,
                frames=frames,
                last_x=width - 1,
                last_y=height - 1,
                last_frame=frames - 1,
                size=_text(size),
                interval=_text(interval),
                radius=_text(_DRAWN_RADIUS_PX * size),
            )
        )
        file.write("</TrackMate>\n")


def write_challenge(table: pd.DataFrame, path: Path) -> None:
    """Write tracks in the form of the particle tracking challenge of 2012: pixels, frames, z = 0.

    Parameters
    ----------
    table
        Checked tracks (px), sorted by frame.
    path
        The file to write.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<root>\n')
        file.write('<TrackContestISBI2012 snr="?" density="?" scenario="?">\n')
        for _, track in table.groupby("particle"):
            file.write("<particle>\n")
            file.writelines(
                f'<detection t="{frame}" x="{_text(x)}" y="{_text(y)}" z="0"/>\n'
                for frame, x, y in _rows(track, ["frame", "x", "y"])
            )
            file.write("</particle>\n")
        file.write("</TrackContestISBI2012>\n</root>\n")


def _write_spots(
    file: TextIO,
    table: pd.DataFrame,
    own: list[tuple[str, str, str, str]],
    size: float,
    interval: float,
) -> None:
    """Write all positions, frame by frame; a spot's ID is its row in the table."""
    radius = _text(_DRAWN_RADIUS_PX * size)
    spots = pd.DataFrame(
        {
            "ID": np.arange(len(table)),
            "QUALITY": table.get("probability", np.ones(len(table))),
            "POSITION_X": table["x"] * size,
            "POSITION_Y": table["y"] * size,
            "POSITION_T": table["frame"] * interval,
        }
    )
    for column, feature, _, dimension in own:
        spots[feature] = table[column] * (size if dimension == "LENGTH" else 1.0)
    features = " ".join(f'{name}="%s"' for name in spots.columns[1:])
    file.write(f'<AllSpots nspots="{len(table)}">\n')
    for frame, here in spots.groupby(table["frame"]):
        file.write(f'<SpotsInFrame frame="{frame}">\n')
        file.writelines(
            f'<Spot ID="{identity}" name="ID{identity}" FRAME="{frame}" '
            f"{features % tuple(map(_text, values))} "
            f'POSITION_Z="0.0" RADIUS="{radius}" VISIBILITY="1"/>\n'
            for identity, *values in _rows(here, list(spots.columns))
        )
        file.write("</SpotsInFrame>\n")
    file.write("</AllSpots>\n")


def _write_links(file: TextIO, table: pd.DataFrame) -> None:
    """Write the tracks as links from each position to the particle's next, and show them all."""
    written: list[int] = []
    file.write("<AllTracks>\n")
    for _, track in table.reset_index(names="ID").groupby("particle"):
        particle, identities = int(track["particle"].iloc[0]), track["ID"].tolist()
        if len(identities) < 2:
            continue
        file.write(
            f'<Track name="Track_{particle}" TRACK_ID="{particle}" TRACK_INDEX="{len(written)}" '
            f'NUMBER_SPOTS="{len(identities)}">\n'
        )
        file.writelines(
            f'<Edge SPOT_SOURCE_ID="{source}" SPOT_TARGET_ID="{target}"/>\n'
            for source, target in pairwise(identities)
        )
        file.write("</Track>\n")
        written.append(particle)
    file.write("</AllTracks>\n<FilteredTracks>\n")
    file.writelines(f'<TrackID TRACK_ID="{particle}"/>\n' for particle in written)
    file.write("</FilteredTracks>\n")


def _rows(table: pd.DataFrame, columns: list[str]) -> Iterator[tuple[float, ...]]:
    return zip(*(table[column].tolist() for column in columns), strict=True)


def _text(value: float) -> str:
    """Write a number so that it is read back bit for bit, by Java too."""
    return repr(value) if value == value else "NaN"

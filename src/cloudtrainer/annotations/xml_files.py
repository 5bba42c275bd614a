"""Positions in XML files: TrackMate's, the particle tracking challenge's, Icy's."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
import pandas as pd

from cloudtrainer.annotations.segments import unbranched_segments
from cloudtrainer.annotations.spots import Spots
from cloudtrainer.annotations.units import pixels_per_unit
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.tables import checked_positions

_CHUNK_BYTES = 1 << 18
# In Icy a detection of type 2 is one that the tracker guessed where it saw none.
_ICY_GUESSED = "2"


@dataclass(frozen=True)
class _Element:
    parent: str
    name: str
    attributes: dict[str, str]
    line: int


@dataclass
class _Found:
    """Positions gathered while an XML file is read."""

    particle: list[int] = field(default_factory=list)
    frame: list[str | None] = field(default_factory=list)
    x: list[str | None] = field(default_factory=list)
    y: list[str | None] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def add(self, particle: int, element: _Element, frame: str, x: str, y: str) -> None:
        """Add the position in the attributes of these names."""
        self.particle.append(particle)
        self.frame.append(element.attributes.get(frame))
        self.x.append(element.attributes.get(x))
        self.y.append(element.attributes.get(y))
        self.line.append(element.line)

    def spots(self, form: str, name: str, scale: tuple[float, float] = (1.0, 1.0)) -> Spots:
        """Return what was found as checked positions, x and y times the scale."""
        rows = np.array(self.line, dtype=np.int64)
        table = pd.DataFrame(
            {
                "frame": pd.Series(self.frame, dtype=object),
                "x": pd.Series(self.x, dtype=object),
                "y": pd.Series(self.y, dtype=object),
                "particle": np.array(self.particle, dtype=np.int64),
            }
        )
        table = checked_positions(table, name=name, row_numbers=rows)
        table["x"] *= scale[0]
        table["y"] *= scale[1]
        return Spots(table, rows, form, repeats=True)


def read_xml(path: Path, pixel_size_um: float | None = None) -> Spots:
    """Read the positions in an XML file; its elements tell the program that wrote it.

    The file is read in one pass, a part at a time. A file that declares a document type is
    refused, so that no entity is expanded and nothing outside the file is opened.

    Parameters
    ----------
    path
        TrackMate's file (``TrackMate``) or its simple export of tracks (``Tracks``); the particle
        tracking challenge's (``TrackContestISBI2012``); or Icy's (``trackgroup``).
    pixel_size_um
        Micrometres a pixel, needed where TrackMate wrote a unit of length and no pixel width.

    Returns
    -------
    Spots
        ``frame, x, y`` (px), ``particle``: tracks numbered from 0 in the order of the file, those
        of TrackMate cut where they split or merge. Depth is left out.

    Raises
    ------
    LabelError
        When the file is not well formed, declares a document type or is in no known format; holds
        a value that is not a number; or is in a unit that cannot be made pixels.
    OSError
        When the file is missing or cannot be read.
    """
    elements = _elements(path)
    for element in elements:
        if element.name == "TrackMate":
            return _trackmate(elements, path.name, pixel_size_um)
        if element.name == "Tracks" and not element.parent:
            unit = element.attributes.get("spaceUnits")
            scale = pixels_per_unit(unit, pixel_size_um, path.name)
            found = _detections(elements, "particle")
            return found.spots("TrackMate's tracks XML", path.name, (scale, scale))
        if element.name == "TrackContestISBI2012":
            found = _detections(elements, "particle")
            return found.spots("particle tracking challenge XML", path.name)
        if element.name == "trackgroup":
            return _detections(elements, "track").spots("Icy XML", path.name)
        if element.parent and element.parent != "root":
            break
    raise LabelError(
        f"{path.name}: an XML file, but not TrackMate's, the particle tracking challenge's or "
        "Icy's; export it as one of them or as CSV."
    )


def _elements(path: Path) -> Iterator[_Element]:
    """Give the elements of an XML file as they begin, each with the name of its parent."""
    parser = expat.ParserCreate()
    ready: list[_Element] = []
    inside: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        parent = inside[-1] if inside else ""
        ready.append(_Element(parent, name, attributes, parser.CurrentLineNumber))
        inside.append(name)

    def end(name: str) -> None:
        inside.pop()

    def refuse(*declared: object) -> None:
        raise LabelError(
            f"{path.name}: line {parser.CurrentLineNumber}: declares a document type (DOCTYPE), "
            "which no file of tracks needs; remove the declaration if you trust the file."
        )

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                parser.Parse(chunk, False)
                yield from ready
                ready.clear()
            parser.Parse(b"", True)
            yield from ready
    # An unknown encoding that is named in the file is a LookupError or a ValueError.
    except (expat.ExpatError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise LabelError(
            f"{path.name}: not a whole, well-formed XML file: {reason}; export it again."
        ) from None


def _detections(elements: Iterator[_Element], track: str) -> _Found:
    """Gather detections, each inside an element that stands for its track."""
    found = _Found()
    particle = -1
    for element in elements:
        if element.name == track:
            particle += 1
        elif (
            element.name == "detection"
            and element.parent == track
            and (track != "track" or element.attributes.get("type") != _ICY_GUESSED)
        ):
            found.add(particle, element, "t", "x", "y")
    return found


def _trackmate(elements: Iterator[_Element], name: str, pixel_size_um: float | None) -> Spots:
    found = _Found()
    index: dict[str, int] = {}
    edges: list[tuple[str, str]] = []
    edge_tracks: list[str] = []
    shown: set[str] | None = None
    track = ""
    unit = None
    image: dict[str, str] = {}
    for element in elements:
        attributes = element.attributes
        if element.name == "Spot" and element.parent == "SpotsInFrame":
            # What the user's filters removed is kept in the file as invisible.
            if attributes.get("VISIBILITY") != "0":
                index[attributes.get("ID", "")] = len(found.frame)
                found.add(-1, element, "FRAME", "POSITION_X", "POSITION_Y")
        elif element.name == "Edge" and element.parent == "Track":
            source = attributes.get("SPOT_SOURCE_ID", "")
            edges.append((source, attributes.get("SPOT_TARGET_ID", "")))
            edge_tracks.append(track)
        elif element.name == "Track":
            track = attributes.get("TRACK_ID", "")
        elif element.name == "FilteredTracks":
            shown = set()
        elif element.name == "TrackID" and shown is not None:
            shown.add(attributes.get("TRACK_ID", ""))
        elif element.name == "Model":
            unit = attributes.get("spatialunits")
        elif element.name == "ImageData":
            image = attributes
    if len(index) != len(found.frame):
        raise LabelError(f"{name}: two spots have one ID, or none; save the file again.")
    spots = found.spots("TrackMate XML", name, _trackmate_scale(image, unit, pixel_size_um, name))
    try:
        ends = [
            (index[source], index[target])
            for (source, target), its in zip(edges, edge_tracks, strict=True)
            if shown is None or its in shown
        ]
    except KeyError as error:
        raise LabelError(
            f"{name}: a track holds the spot {str(error)[:40]}, which is not among the visible "
            "spots; save the file again."
        ) from None
    linked = np.array(ends, dtype=np.int64).reshape(-1, 2)
    frames = spots.table["frame"].to_numpy()
    same = np.flatnonzero(frames[linked[:, 0]] == frames[linked[:, 1]])
    if same.size:
        raise LabelError(
            f"{name}: an edge links two spots of frame {frames[linked[same[0], 0]]}; a track goes "
            "from frame to frame."
        )
    particles = unbranched_segments(frames, linked)
    table = spots.table.assign(particle=np.where(particles < 0, np.nan, particles))
    return Spots(table, spots.rows, spots.format, untracked=True)


def _trackmate_scale(
    image: dict[str, str], unit: str | None, pixel_size_um: float | None, name: str
) -> tuple[float, float]:
    """Return pixels a unit of length in x and y: TrackMate multiplies by the pixel's width."""
    scale = []
    for key in ("pixelwidth", "pixelheight"):
        if key not in image:
            return (pixels_per_unit(unit, pixel_size_um, name),) * 2
        try:
            size = float(image[key])
        except ValueError:
            size = float("nan")
        if not (np.isfinite(size) and size > 0):
            raise LabelError(
                f"{name}: the image's {key} is {image[key][:40]!r}, not a positive number; correct "
                "it in the file, or export the spots as CSV."
            )
        scale.append(1.0 / size)
    return scale[0], scale[1]

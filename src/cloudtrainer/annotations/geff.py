"""Tracks written as GEFF, the graph exchange file format: a folder of Zarr arrays.

Every position is a node, every step from it to the particle's next a directed edge. The layout is
that of version 1.3 of the specification (https://liveimagetrackingtools.org/geff/), in the second
version of Zarr's storage format, uncompressed, which takes plain files and no further package.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_VERSION = "1.3"
# Each property of a node: its column, its unit, what it is.
_PROPERTIES = {
    "t": ("frame", "frame", "frame, from 0"),
    "y": ("y", "pixel", "row; the centre of the first pixel is at 0"),
    "x": ("x", "pixel", "column; the centre of the first pixel is at 0"),
    "particle": ("particle", None, "number of the track"),
    "x_error": ("x_error", "pixel", "standard error of x"),
    "y_error": ("y_error", "pixel", "standard error of y"),
    "probability": ("probability", None, "probability that it is a particle"),
    "intensity": ("intensity", None, "light above the surroundings"),
}


def write_geff(
    table: pd.DataFrame,
    folder: Path,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> None:
    """Write tracks as a GEFF.

    Parameters
    ----------
    table
        Checked tracks (px), sorted by frame; an empty error, probability or intensity is written
        as missing.
    folder
        An empty folder.
    pixel_size_um, frame_interval_s
        Calibration, written as the scales of the axes; positions are in pixels and frames.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    properties = {name: each for name, each in _PROPERTIES.items() if each[0] in table.columns}
    metadata = {
        "geff_version": _VERSION,
        "directed": True,
        "axes": [
            _axis(table["frame"], "t", "time", frame_interval_s, "second"),
            _axis(table["y"], "y", "space", pixel_size_um, "micrometer"),
            _axis(table["x"], "x", "space", pixel_size_um, "micrometer"),
        ],
        "node_props_metadata": {
            name: {
                "identifier": name,
                "dtype": table[column].dtype.name,
                "unit": unit,
                "description": description,
            }
            for name, (column, unit, description) in properties.items()
        },
        "edge_props_metadata": {},
        "track_node_props": {"lineage": "particle", "tracklet": "particle"},
    }
    for group in ("", "nodes", "nodes/props", "edges", "edges/props"):
        _make_group(folder / group)
    _write_json(folder / ".zattrs", {"geff": metadata})
    _write_array(folder / "nodes/ids", np.arange(len(table), dtype=np.uint64))
    _write_array(folder / "edges/ids", _steps(table))
    for name, (column, _, _) in properties.items():
        values = table[column].to_numpy()
        _make_group(folder / "nodes/props" / name)
        _write_array(folder / "nodes/props" / name / "values", values)
        missing = np.isnan(values)
        if missing.any():
            _write_array(folder / "nodes/props" / name / "missing", missing)


def _axis(
    values: pd.Series, name: str, kind: str, scale: float | None, scaled_unit: str
) -> dict[str, Any]:
    axis = {
        "name": name,
        "type": kind,
        "unit": "frame" if kind == "time" else "pixel",
        "min": float(values.min()),
        "max": float(values.max()),
    }
    return axis if scale is None else axis | {"scale": float(scale), "scaled_unit": scaled_unit}


def _steps(table: pd.DataFrame) -> NDArray[np.uint64]:
    """Return the rows of each position and of its particle's next, shape (steps, 2)."""
    order = np.lexsort((table["frame"].to_numpy(), table["particle"].to_numpy()))
    particle = table["particle"].to_numpy()[order]
    goes_on = particle[:-1] == particle[1:]
    return np.column_stack([order[:-1][goes_on], order[1:][goes_on]]).astype(np.uint64)


def _make_group(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    _write_json(folder / ".zgroup", {"zarr_format": 2})


def _write_array(folder: Path, values: NDArray[Any]) -> None:
    """Write an array as one chunk."""
    little = values.astype(values.dtype.newbyteorder("<"))
    folder.mkdir()
    _write_json(
        folder / ".zarray",
        {
            "zarr_format": 2,
            "shape": list(values.shape),
            "chunks": [max(length, 1) for length in values.shape],
            "dtype": little.dtype.str,
            "compressor": None,
            "filters": None,
            "fill_value": False if values.dtype == np.bool_ else 0,
            "order": "C",
            "dimension_separator": ".",
        },
    )
    if values.size:
        (folder / ".".join("0" * values.ndim)).write_bytes(little.tobytes())


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

"""Files of labels and tracks: which format a file is in, and what it holds."""

from pathlib import Path

import pandas as pd

from cloudtrainer.annotations.csv_files import read_csv
from cloudtrainer.annotations.spots import Spots
from cloudtrainer.annotations.units import check_pixel_size
from cloudtrainer.annotations.xml_files import read_xml
from cloudtrainer.errors import LabelError


def read_spots(path: Path, pixel_size_um: float | None = None) -> Spots:
    """Read the positions in a file, whose format is told by its ending and its content.

    Parameters
    ----------
    path
        ``.parquet`` or ``.pq``; XML (``.xml``, or any file that begins with ``<``); otherwise CSV,
        whose columns tell the program that wrote it.
    pixel_size_um
        Micrometres a pixel, for formats that give lengths without it.

    Raises
    ------
    LabelError
        When the file cannot be read, is in no known format, or is in a unit that cannot be made
        pixels.
    CalibrationError
        When the pixel size is not a positive number.
    """
    check_pixel_size(pixel_size_um)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return Spots(_read_parquet(path), None, "Parquet")
        if path.suffix.lower() == ".xml" or _begins_as_xml(path):
            return read_xml(path, pixel_size_um)
        return read_csv(path, pixel_size_um)
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file.") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}).") from None


def _begins_as_xml(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        raise LabelError(f"{path.name}: not a readable Parquet file.") from None

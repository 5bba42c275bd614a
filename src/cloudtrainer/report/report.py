"""The report: what it holds, and its page."""

import base64
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from cloudtrainer.errors import WorkspaceError
from cloudtrainer.figures import display_sentence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pictures are drawn at 130 dots an inch: shown so, their letters have the size of the text.
_SHOWN = 0.8
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"


class Headline(NamedTuple):
    """One of the large numbers at the top, such as ``D``, ``0.402 µm²/s``, an interval, a note.

    Attributes
    ----------
    label, value : str
    interval : str
        Such as ``95% interval 0.385 to 0.419``; may be empty.
    note : str
        What else a reader must know of the number; may be empty.
    """

    label: str
    value: str
    interval: str
    note: str


class ReportLink(NamedTuple):
    """A cell that leads to another file.

    Attributes
    ----------
    text : str
    target : str
        Path of the file, from the folder of the report, as the disk has it.
    """

    text: str
    target: str


@dataclass(frozen=True)
class ReportFigure:
    """A figure with what to look for in it.

    Attributes
    ----------
    heading, caption : str
    png : bytes
        The picture as a PNG file.
    alt : str
        What the picture shows, for readers who do not see it.
    """

    heading: str
    caption: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class ReportTable:
    """A table.

    Attributes
    ----------
    heading : str
    columns : tuple of str
    rows : tuple of tuples
        Texts, numbers, truth values (shown as yes or no), links or None (a dash), one a column.
    note : str
        A sentence below; may be empty.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that the page says, in its order; all texts are plain, never HTML.

    Attributes
    ----------
    title, subtitle : str
    headline : tuple of Headline
        Tuples of four texts will do: label, value, interval, note.
    warnings : tuple of str
        Whole sentences.
    figures : tuple of ReportFigure
    tables : tuple of ReportTable
    methods : str
        Paragraphs for a paper, apart by empty lines.
    settings, provenance : mapping
        Names to values; a value may be a mapping or a sequence of its own.
    """

    title: str
    subtitle: str
    headline: tuple[tuple[str, str, str, str], ...]
    warnings: tuple[str, ...] = ()
    figures: tuple[ReportFigure, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    methods: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)


def render_report(report: Report) -> str:
    """Return the report as one HTML page that needs nothing beside it.

    Parameters
    ----------
    report : Report

    Raises
    ------
    ValueError
        A figure is not a PNG file, or a table's row has not one cell a column.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    for table in report.tables:
        for number, row in enumerate(table.rows):
            if len(row) != len(table.columns):
                raise ValueError(
                    f"table {table.heading!r}: row {number} has {len(row)} cells for "
                    f"{len(table.columns)} columns"
                )
    environment = Environment(
        loader=PackageLoader("cloudtrainer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    environment.filters["sentence"] = display_sentence
    environment.filters["is_number"] = _is_number
    environment.filters["address"] = _address
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=[Headline(*item) for item in report.headline],
        figures=[(figure, *_picture(figure)) for figure in report.figures],
        methods=[part.strip() for part in report.methods.split("\n\n") if part.strip()],
        folded=[
            (heading, _flat(values))
            for heading, values in (
                ("Settings", report.settings),
                ("Provenance", report.provenance),
            )
            if values
        ],
    )


def write_report(path: str | os.PathLike[str], report: Report) -> Path:
    """Write the report as one HTML file; the file is whole or, on a fault, as it was before.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    report : Report

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WorkspaceError
        The folder does not exist or cannot be written.
    ValueError
        As `render_report`.
    """
    target = Path(path)
    page = render_report(report)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the report {target}: {error.strerror or error}; give a folder that "
            "exists and may be written"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _picture(figure: ReportFigure) -> tuple[str, int, int]:
    """Return a figure's data URI, and the width and height at which it is shown."""
    if not figure.png.startswith(_SIGNATURE) or len(figure.png) < 24:
        raise ValueError(f"figure {figure.heading!r} is not a PNG file")
    width, height = (round(_SHOWN * int.from_bytes(figure.png[at : at + 4])) for at in (16, 20))
    return f"data:image/png;base64,{base64.b64encode(figure.png).decode()}", width, height


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _address(value: object) -> str:
    """Return where a cell leads to; nothing where it is no link."""
    return quote(value.target) if isinstance(value, ReportLink) else ""


def _cell(value: object) -> str:
    """Return what a cell says: four digits of a number, yes or no, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _DASH
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return str(value).replace("-", _MINUS)
    if isinstance(value, Real):
        return f"{float(value):.4g}".replace("-", _MINUS)
    return value.text if isinstance(value, ReportLink) else str(value)


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return names and texts of nested values, the names joined by points."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            found.append((f"{prefix}{name}", ", ".join(_exact(part) for part in value)))
        else:
            found.append((f"{prefix}{name}", _exact(value)))
    return found


def _exact(value: object) -> str:
    """Return a setting as it was given: all digits, and a dash for nothing."""
    return (
        _DASH
        if value is None
        else "yes"
        if value is True
        else "no"
        if value is False
        else str(value)
    )

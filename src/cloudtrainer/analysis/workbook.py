"""Tables as an Excel workbook, in which no text ever becomes a formula."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

# What a sheet holds at the most (Excel's specification), and what a text cell holds.
_MOST_COLUMNS, _MOST_ROWS, _MOST_LETTERS = 16384, 1048576, 32767
_WIDEST = 60
# Numbers are shown with so many digits, and held with all of them.
_DIGITS = 4


def write_workbook(sheets: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write each table to a sheet of its own, with its columns' names in the first row.

    Text is written as text, whatever it begins with: a file name such as ``=cmd.tif`` stays one.
    NaN, infinite and missing values become empty cells, and text that is wider than a column is
    broken into lines. Columns and rows beyond what a sheet can hold are left out.

    Parameters
    ----------
    sheets : mapping of str to DataFrame
        Names of sheets (31 letters at the most) to tables.
    path : Path
    """
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    for name, table in sheets.items():
        shown = table.iloc[: _MOST_ROWS - 1, :_MOST_COLUMNS]
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for number, column in enumerate(shown.columns, start=1):
            texts = [str(column), *(x for x in shown[column].head(200) if isinstance(x, str))]
            width = min(max(len(text) for text in texts) + 2, _WIDEST)
            sheet.column_dimensions[get_column_letter(number)].width = max(width, 10)
        sheet.append(_cells(sheet, (str(column) for column in shown.columns), bold=True))
        for row in shown.itertuples(index=False, name=None):
            sheet.append(_cells(sheet, row, bold=False))
    book.save(path)


def _cells(sheet: Any, values: Iterable[Any], *, bold: bool) -> list[Any]:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment, Font

    cells = []
    for value in values:
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, str):
            cell = WriteOnlyCell(sheet)
            cell.value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", plain)[
                :_MOST_LETTERS
            ]
            cell.data_type = "s"
            # So that it stays text when someone edits the cell.
            cell.quotePrefix = plain[:1] in ("=", "+", "-", "@")
            cell.alignment = Alignment(vertical="top", wrap_text=len(plain) > _WIDEST)
            if bold:
                cell.font = Font(bold=True)
            cells.append(cell)
        elif isinstance(plain, bool):
            cells.append("yes" if plain else "no")
        elif plain is None or plain != plain or plain in (float("inf"), float("-inf")):
            cells.append(None)
        elif isinstance(plain, float):
            cell = WriteOnlyCell(sheet, plain)
            cell.number_format = _number_format(plain)
            cell.alignment = Alignment(vertical="top")
            cells.append(cell)
        else:
            cells.append(plain)
    return cells


def _number_format(value: float) -> str:
    """Return Excel's format that shows a number with four digits."""
    if value == 0:
        return "0"
    decimals = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    if not -_DIGITS < decimals <= 2 * _DIGITS:
        return f"0.{'0' * (_DIGITS - 1)}E+00"
    return f"0.{'0' * decimals}" if decimals > 0 else "0"

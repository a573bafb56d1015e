"""Workbooks of Excel since 2007 (.xlsx, .xlsm), by `openpyxl`, which keeps whole numbers of any length."""

import re
import zipfile
from pathlib import Path
from typing import Any

from pipeline.data.readers.compression import check_zip
from pipeline.data.tables.typed_files.sheet import Merged, Sheet, SheetSource, number_filled
from pipeline.errors import BadData
from pipeline.formatting import format_count

MERGED = re.compile(rb'<mergeCell ref="([A-Z0-9:]+)"')


NEVER_COMPUTED = re.compile(
    rb'<c r="([A-Z]+\d+)"(?![^<>]*t="str")[^<>]*>\s*<f(?:[^<>]*/>|[^<>]*>[^<]*</f>)'
    rb"\s*(?:(?:<v\s*/>|<v>\s*</v>)\s*)?</c>"
)
"""A cell with a formula and without its value; an empty text may be one. Nothing in it can match the same
letters in two ways: on files made for that, the search would take hours."""


def is_xlsx(path: Path) -> bool:
    """Return whether a file is such a workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def open_workbook(path: Path) -> list[SheetSource]:
    """Return its sheets of cells.

    Raises:
        BadData: `openpyxl` is not installed, or the file unpacks to more than it may.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise BadData(
            f"{path} needs the package openpyxl to be read, got none; "
            "pip install openpyxl, or save the table as CSV"
        ) from None
    check_zip(path)
    book = load_workbook(path, read_only=True, data_only=True)
    return [_make_source(path, sheet) for sheet in book.worksheets]


def _make_source(path: Path, sheet: Any) -> SheetSource:
    # A file says what size its sheet once had: cells beyond it would be lost.
    sheet.reset_dimensions()

    def read() -> Sheet:
        rows = number_filled(sheet.iter_rows(values_only=True))
        with zipfile.ZipFile(path) as archive:
            content = archive.read(sheet._worksheet_path)
        _refuse_formulas(path, content)
        return Sheet(sheet.title, rows, _find_merged(content))

    return SheetSource(
        sheet.title,
        sheet.sheet_state == "visible",
        lambda rows: list(sheet.iter_rows(max_row=rows, values_only=True)),
        read,
    )


def _refuse_formulas(path: Path, content: bytes) -> None:
    """Raise BadData where formulas have no values, as where a program wrote them that does not compute."""
    cells = NEVER_COMPUTED.findall(content) if b"<f" in content else []
    if cells:
        raise BadData(
            f"{path} must hold values, got {format_count(len(cells), 'formula')} never computed "
            f"({cells[0].decode()}); open it in a program for workbooks and save it, or write the values"
        )


def _find_merged(content: bytes) -> list[Merged]:
    """Return the merged cells of a sheet, which openpyxl does not read in rows."""
    from openpyxl.utils import range_boundaries

    _, _, behind = content.rpartition(b"</sheetData>")
    ranges = [range_boundaries(ref.decode()) for ref in MERGED.findall(behind)]
    return [merged for merged in ranges if None not in merged]

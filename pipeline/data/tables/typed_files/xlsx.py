"""Workbooks of Excel since 2007 (.xlsx, .xlsm), by `openpyxl`, which keeps whole numbers of any length."""

import re
import zipfile
from pathlib import Path
from typing import Any

from pipeline.data.readers.compression import check_zip
from pipeline.data.tables.typed_files.sheet import Merged, Sheet, SheetSource, number_filled
from pipeline.errors import BadData

MERGED = re.compile(rb'<mergeCell ref="([A-Z0-9:]+)"')


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
    def read() -> Sheet:
        rows = number_filled(sheet.iter_rows(values_only=True))
        return Sheet(sheet.title, rows, _find_merged(path, sheet))

    return SheetSource(
        sheet.title,
        sheet.sheet_state == "visible",
        lambda rows: list(sheet.iter_rows(max_row=rows, values_only=True)),
        read,
    )


def _find_merged(path: Path, sheet: Any) -> list[Merged]:
    """Return the merged cells of a sheet, which openpyxl does not read in rows."""
    from openpyxl.utils import range_boundaries

    with zipfile.ZipFile(path) as archive:
        _, _, behind = archive.read(sheet._worksheet_path).rpartition(b"</sheetData>")
    ranges = [range_boundaries(ref.decode()) for ref in MERGED.findall(behind)]
    return [merged for merged in ranges if None not in merged]

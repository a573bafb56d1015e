"""Workbooks of old Excel (.xls), in binary (.xlsb) and of LibreOffice (.ods), by `python-calamine`."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pipeline.data.readers.compression import check_zip
from pipeline.data.tables.typed_files.sheet import Merged, Sheet, SheetSource, number_filled
from pipeline.errors import BadData

TABLES = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def open_workbook(path: Path) -> list[SheetSource]:
    """Return its sheets of cells.

    Raises:
        BadData: `python-calamine` is not installed, or the file unpacks to more than it may.
    """
    try:
        from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum
    except ImportError:
        raise BadData(
            f"{path} needs the package python-calamine to be read, got none; "
            "pip install python-calamine, or save the table as CSV or .xlsx"
        ) from None
    if zipfile.is_zipfile(path):
        check_zip(path)
    book = CalamineWorkbook.from_path(path)
    return [
        _make_source(path, book, listed.name, listed.visible == SheetVisibleEnum.Visible)
        for listed in book.sheets_metadata
        if listed.typ == SheetTypeEnum.WorkSheet
    ]


def _make_source(path: Path, book: Any, name: str, is_visible: bool) -> SheetSource:
    def read_rows(count: int | None) -> list[list[object]]:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=count)
        return [[None if cell == "" else cell for cell in row] for row in rows]

    def read() -> Sheet:
        ranges = book.get_sheet_by_name(name).merged_cell_ranges  # None in files of LibreOffice
        if ranges is None:
            merged = list(_find_merged(path, name))
        else:
            merged = [(left + 1, top + 1, right + 1, bottom + 1) for (top, left), (bottom, right) in ranges]
        return Sheet(name, number_filled(read_rows(None)), merged)

    return SheetSource(name, is_visible, read_rows, read)


def _find_merged(path: Path, name: str) -> Iterator[Merged]:
    """Yield the merged cells of a sheet of LibreOffice."""
    with zipfile.ZipFile(path) as archive, archive.open("content.xml") as file:
        for _, table in ElementTree.iterparse(file):
            if table.tag != f"{TABLES}table":
                continue
            if table.get(f"{TABLES}name") == name:
                yield from _find_spans(list(table.iter(f"{TABLES}table-row")))
            table.clear()


def _find_spans(rows: Sequence[Any]) -> Iterator[Merged]:
    line = 1
    for row in rows:
        left = 1
        for cell in row:
            down, right = (int(cell.get(f"{TABLES}number-{what}-spanned", 1)) for what in ("rows", "columns"))
            if down > 1:
                yield left, line, left + right - 1, line + down - 1
            left += int(cell.get(f"{TABLES}number-columns-repeated", 1))
        line += int(row.get(f"{TABLES}number-rows-repeated", 1))

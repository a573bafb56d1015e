"""Workbooks of old Excel (.xls), in binary (.xlsb) and of LibreOffice (.ods), by `python-calamine`."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pipeline.data.readers.compression import check_zip, compute_bound, explain_bomb
from pipeline.data.tables.typed_files.sheet import Merged, Sheet, SheetSource, number_filled
from pipeline.errors import BadData

TABLES = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
SPACES = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}s"
COUNT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}c"
CONTENT = "content.xml"


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
    merged: dict[str, list[Merged]] = {}
    if zipfile.is_zipfile(path):
        check_zip(path)
        merged = _scan_content(path)
    book = CalamineWorkbook.from_path(path)
    return [
        _make_source(
            book, listed.name, listed.visible == SheetVisibleEnum.Visible, merged.get(listed.name, [])
        )
        for listed in book.sheets_metadata
        if listed.typ == SheetTypeEnum.WorkSheet
    ]


def _make_source(book: Any, name: str, is_visible: bool, merged: Sequence[Merged]) -> SheetSource:
    def read_rows(count: int | None) -> list[list[object]]:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=count)
        return [[None if cell == "" else cell for cell in row] for row in rows]

    def read() -> Sheet:
        ranges = book.get_sheet_by_name(name).merged_cell_ranges  # None in files of LibreOffice
        spans = [(left + 1, top + 1, right + 1, bottom + 1) for (top, left), (bottom, right) in ranges or ()]
        return Sheet(name, number_filled(read_rows(None)), merged if ranges is None else spans)

    return SheetSource(name, is_visible, read_rows, read)


def _scan_content(path: Path) -> dict[str, list[Merged]]:
    """Return the merged cells of each sheet of LibreOffice.

    Raises:
        BadData: their texts are larger than the file may unpack to: one may be written once for many cells.
    """
    merged: dict[str, list[Merged]] = {}
    left = compute_bound(path)
    with zipfile.ZipFile(path) as archive:
        if CONTENT not in archive.namelist():
            return merged
        with archive.open(CONTENT) as file:
            for _, element in ElementTree.iterparse(file):
                if element.tag == f"{TABLES}table-row":
                    left -= _measure_texts(element)
                    if left < 0:
                        raise explain_bomb(path)
                elif element.tag == f"{TABLES}table":
                    rows = list(element.iter(f"{TABLES}table-row"))
                    merged[element.get(f"{TABLES}name", "")] = list(_find_spans(rows))
                    element.clear()
    return merged


def _measure_texts(row: Any) -> int:
    """Return how many letters the cells of a row have, and of the rows that are like it."""
    letters = 0
    for cell in row:
        length = sum(len(text) for text in cell.itertext())
        length += sum(int(spaces.get(COUNT, 1)) for spaces in cell.iter(SPACES))
        letters += length * _count_alike(cell, "columns")
    return letters * _count_alike(row, "rows")


def _count_alike(element: Any, what: str) -> int:
    return int(element.get(f"{TABLES}number-{what}-repeated", 1))


def _find_spans(rows: Sequence[Any]) -> Iterator[Merged]:
    line = 1
    for row in rows:
        left = 1
        for cell in row:
            down, right = (int(cell.get(f"{TABLES}number-{what}-spanned", 1)) for what in ("rows", "columns"))
            if down > 1:
                yield left, line, left + right - 1, line + down - 1
            left += _count_alike(cell, "columns")
        line += _count_alike(row, "rows")

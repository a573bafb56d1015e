"""Workbooks: all cells of a sheet, whatever its file says of itself, and its header where there is one."""

import re
import zipfile
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.table_files import read_table
from tests.support import places

ROWS = [["v", "n", "y"], *([row + 0.5, row % 5, "ab"[row % 2]] for row in range(20))]


def write(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def read(path: Path, label: str = "y") -> CellTable:
    data = places.cells(path, label=label, columns=None)
    return read_table(path, data, ScratchSpace(path.parent / "scratch", 10**9), Findings())


@pytest.mark.parametrize("size", ["A1", "A1:C11", "A1:B21", "A1:XFD1048576"])
def test_what_a_sheet_says_of_its_size_is_not_believed(tmp_path: Path, size: str) -> None:
    whole, path = write(tmp_path / "whole.xlsx", ROWS), tmp_path / "t.xlsx"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, re.sub(rb'(<dimension ref=)"[^"]*"', rb'\1"%b"' % size.encode(), source.read(name))
            )
    table = read(path)
    assert table.names == ("v", "n", "y")
    assert table.read_row(len(table) - 1) == ["19.5", "4", "b"]


@pytest.mark.parametrize(
    ("rows", "names", "count"),
    [
        (ROWS[1:], ("column_0", "column_1", "column_2"), 20),
        (ROWS, ("v", "n", "y"), 20),
        ([[2023, 2024, "y"], *ROWS[1:]], ("2023", "2024", "y"), 20),
        ([["v", None, "y"], *ROWS[1:]], ("v", "unnamed_1", "y"), 20),
    ],
)
def test_the_first_row_is_no_header_where_it_is_as_all_others(
    tmp_path: Path, rows: list[list[object]], names: tuple[str, ...], count: int
) -> None:
    table = read(write(tmp_path / "t.xlsx", rows), label="-1")
    assert (table.names, len(table)) == (names, count)


def test_a_negative_duration_is_read_as_the_cell_shows_it(tmp_path: Path) -> None:
    from pipeline.data.sources import load

    hours = [[timedelta(hours=3 * row - 20), row / 2, "ab"[row % 2]] for row in range(20)]
    path = write(tmp_path / "t.xlsx", [["late", "v", "y"], *hours])
    loaded = load(places.cells(path, label="y", columns=None), tmp_path)
    assert loaded.train.features.numbers[:, 0].tolist() == [3600 * (3 * row - 20) for row in range(20)]  # type: ignore[union-attr]

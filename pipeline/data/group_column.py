"""A column that divides the rows of a split into groups, read from the user's file: it may be no input."""

import sys
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.prepared import Split
from pipeline.data.quality.drift import write_date
from pipeline.data.readers import file_list
from pipeline.data.readers.quantities import parse_quantity
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import Texts
from pipeline.data.tables.column_content import count_values
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.data.tables.find_type import find_type
from pipeline.data.tables.labels import find_column
from pipeline.data.tables.number_formats import choose_format, find_marks
from pipeline.data.tables.read_columns import read_numbers, read_words
from pipeline.data.tables.table_files import read_table
from pipeline.errors import BadData, BadSetting
from pipeline.files import expand_home
from pipeline.settings.data import Data
from pipeline.settings.kinds import option_name
from pipeline.settings.tables import Csv

KEY = "evaluate.groups"
MANY_NUMBERS = 20
"""More different numbers than this become groups of a quarter of the rows each."""
QUARTERS = 4
MOST_GROUPS = 50
"""Groups of the most rows; the others are one group."""
EMPTY, OTHERS = "(empty)", "(others)"


def read_groups(data: Data, name: str, split: Split, is_test: bool = True) -> np.ndarray:
    """Return the name of the group of each row of a split, object [n].

    `name`: the column; `is_test`: the split has a file of its own where `data.test_path` names one.

    Raises:
        BadSetting: the data have no columns, or none of this name; or they were prepared by an earlier
            release, which did not keep where each row was.
    """
    if split.places is None:
        raise BadSetting(
            f"{KEY} must have data that this release has prepared, got some of an earlier one; "
            "set cache_dir=... to another folder"
        )
    if isinstance(data, Csv):
        return _read_table_column(data, name, split.places.places, is_test)
    path = expand_home(str(getattr(data, "path", "")))
    if isinstance(split.places.places, Texts) and path.suffix.lower() in file_list.SUFFIXES:
        return make_groups(_read_list_column(path, name, split.places.places))
    raise BadSetting(
        f"{KEY} must be null for data without columns, got {name} with data={option_name(type(data))}; "
        "leave it out, or name a table or a list of files (CSV)"
    )


def _read_table_column(data: Csv, name: str, lines: Any, is_test: bool) -> np.ndarray:
    path = expand_home(data.test_path if is_test and data.test_path is not None else data.path)
    table = read_table(path, data, ScratchSpace(Path(), sys.maxsize), Findings())
    name = find_column(name, table.names, KEY, path)
    cells = table.get_column(name).combine_chunks()
    column = _find_type(name, cells, data, table.separator)
    cells = cells.take(np.searchsorted(table.lines, np.asarray(lines)))
    if column.kind in (Kind.number, Kind.date):
        numbers, _ = read_numbers(column, cells)
        if len(np.unique(numbers[np.isfinite(numbers)])) > MANY_NUMBERS:
            return _cut_into_quarters(numbers, column.kind is Kind.date)
    return _name_cells(read_words(column, cells).to_pylist())


def _find_type(name: str, cells: Any, data: Csv, separator: str) -> ColumnType:
    """Return what a column holds by the rules for inputs; what these would refuse holds words."""
    content = count_values(name, cells)
    try:
        _, choice = find_type(content, data, "")
        form = choose_format(choice.formats, find_marks([choice.formats]), separator, name, Path(), "")
    except BadData:
        _, choice = find_type(content, replace(data, categorical=[name]), "")
        form = NumberFormat()
    return choice.with_format(form)


def _read_list_column(path: Path, name: str, places: Texts) -> list[str]:
    names, rows = file_list.read_list_cells(path)
    column = find_column(name, names, KEY, path)
    return [rows[file][column] if file in rows else "" for file in map(str, places[slice(None)])]


def make_groups(cells: list[str]) -> np.ndarray:
    """Return the name of the group of each cell, object [n]: the cell, or the range of its number."""
    read = {cell: parse_quantity(cell) for cell in {*cells} if cell}
    if None not in read.values() and len({*read.values()}) > MANY_NUMBERS:
        return _cut_into_quarters(np.array([read.get(cell, np.nan) for cell in cells], np.float64))
    return _name_cells(cells)


def _name_cells(cells: list[str]) -> np.ndarray:
    common = {cell for cell, _ in Counter(cells).most_common(MOST_GROUPS)}
    names = [_name_cell(cell) if cell in common else OTHERS for cell in cells]
    return np.array(names, object)


def _name_cell(cell: str) -> str:
    """Return the name of a cell's group; a cell that reads as one of ours is told from it by quotes."""
    return repr(cell) if cell in (EMPTY, OTHERS) else cell or EMPTY


def _cut_into_quarters(numbers: np.ndarray, are_dates: bool = False) -> np.ndarray:
    """Return the ranges of four groups of equal numbers of rows, or fewer where numbers are the same.

    `numbers`: float64 [n], NaN where a cell is empty; `are_dates`: they are seconds since 1970.
    """
    filled = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(filled, np.linspace(0, 1, QUARTERS + 1)[1:-1]))
    places = np.searchsorted(edges, numbers)
    names = np.full(len(numbers), EMPTY, object)
    parts = [np.isfinite(numbers) & (places == number) for number in range(len(edges) + 1)]
    parts = [rows for rows in parts if rows.any()]
    ends = [(numbers[rows].min(), numbers[rows].max()) for rows in parts]
    for rows, name in zip(parts, (_name_dates if are_dates else _name_ranges)(ends), strict=True):
        names[rows] = name
    return names


def _name_ranges(ends: list[tuple[float, float]]) -> list[str]:
    """Return a name for each range, with as many digits as tell all ends apart: two of one name are one."""
    different = len({*chain(*ends)})
    for digits in range(6, 18):
        texts = [(f"{low:.{digits}g}", f"{high:.{digits}g}") for low, high in ends]
        if len({*chain(*texts)}) == different:
            break
    return [f"{low} .. {high}" for low, high in texts]


def _name_dates(ends: list[tuple[float, float]]) -> list[str]:
    return [f"{write_date(low)} .. {write_date(high)}" for low, high in ends]

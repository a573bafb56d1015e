"""CSV tables with a header line: numbers and categories, or one column of texts. Read row by row, twice."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline.data.features import Cells, Words
from pipeline.data.samples import Raw, Table, TextWriter
from pipeline.data.sources.loaded import Loaded, Samples, digest
from pipeline.data.sources.scratch import Scratch
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data_kinds import Csv

EMPTY = {"", "?", "na", "n/a", "nan", "null", "none"}
NUMERIC_SHARE = 0.9
"""A column with more numbers than this, but not all, is taken for numbers with a mistake in it."""


@dataclass(slots=True)
class Column:
    """What a column holds: cells that are not empty, those that are numbers, and the first that is none."""

    name: str
    place: int
    cells: int = 0
    numbers: int = 0
    odd: str = ""
    odd_line: int = 0

    def look(self, line: int, cell: str) -> None:
        if _empty(cell):
            return
        self.cells += 1
        if _number(cell) is not None:
            self.numbers += 1
        elif not self.odd:
            self.odd, self.odd_line = cell, line


@dataclass(slots=True)
class Layout:
    """What is looked at in a file with this header."""

    label: int
    numeric: list[Column] = field(default_factory=list)
    categorical: list[Column] = field(default_factory=list)
    text: int | None = None


def fingerprint(data: Csv) -> str:
    return digest([_path(path, key) for path, key in _files(data)])


def load(data: Csv, scratch: Scratch) -> Loaded:
    """A table, or texts where `data.text` names a column.

    Raises:
        BadData: a column is missing, a row has another number of cells, or a number is none.
    """
    (train_path, key), *rest = _files(data)
    path = _path(train_path, key)
    header = _header(path, data)
    layout = _layout(path, header, data)
    train, labels = _read(path, layout, data, scratch)
    tests = []
    for test_path, test_key in rest:
        found = _path(test_path, test_key)
        if _header(found, data) != header:
            raise BadData(f"{found} must have the columns of {path}, got others; use files of one table")
        tests.append(_read(found, layout, data, scratch))
    classes = _classes(labels + [label for _, more in tests for label in more], data)
    form = Cells() if layout.text is None else Words()
    test = Samples(tests[0][0], _numbered(tests[0][1], classes)) if tests else None
    return Loaded(Samples(train, _numbered(labels, classes)), test, classes, form)


def _files(data: Csv) -> list[tuple[str, str]]:
    test = [] if data.test_path is None else [(data.test_path, "data.test_path")]
    return [(data.path, "data.path"), *test]


def _path(text: str, key: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise DataMissing(f"{key} must be a CSV file, got {path}, which is not there; set {key}=...")
    return path


# ---- rows ---------------------------------------------------------------------------------------------


def _rows(path: Path, data: Csv) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells, the header first."""
    try:
        with path.open(encoding=data.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=data.separator)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (UnicodeDecodeError, LookupError, csv.Error, OSError) as error:
        raise BadData(f"{path} must be CSV in {data.encoding}, got: {error}; set data.encoding=...") from None


def _header(path: Path, data: Csv) -> list[str]:
    _, header = next(_rows(path, data), (0, []))
    names = [name.strip().removeprefix("\ufeff") for name in header]
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadData(
            f"{path} must begin with a line of different column names, got {header}; "
            "add one, or set data.separator=..."
        )
    return names


def _body(path: Path, columns: int, data: Csv) -> Iterator[tuple[int, list[str]]]:
    rows = _rows(path, data)
    next(rows)
    for line, cells in rows:
        if len(cells) != columns:
            raise BadData(
                f"{path} must have {columns} cells in every line, got {len(cells)} in line {line}; "
                "mend the line, or set data.separator=..."
            )
        yield line, cells


# ---- columns ------------------------------------------------------------------------------------------


def _place(name: str, header: Sequence[str], key: str, path: Path) -> int:
    if name not in header:
        near = get_close_matches(name, header, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(header[:12])}"
        raise BadData(f"{key} must be a column of {path}, got {name}; {hint}")
    return list(header).index(name)


def _layout(path: Path, header: list[str], data: Csv) -> Layout:
    label = _place(data.label, header, "data.label", path)
    if data.text is not None:
        return Layout(label, text=_place(data.text, header, "data.text", path))
    names = [name for name in header if name != data.label] if data.columns is None else data.columns
    columns = [Column(name, _place(name, header, "data.columns", path)) for name in names]
    for name in data.categorical or ():
        _place(name, names, "data.categorical", path)
    for line, cells in _body(path, len(header), data):
        for column in columns:
            column.look(line, cells[column.place])
    layout = Layout(label)
    for column in columns:
        numeric = _is_numeric(column, data, path)
        (layout.numeric if numeric else layout.categorical).append(column)
    return layout


def _is_numeric(column: Column, data: Csv, path: Path) -> bool:
    if data.categorical is not None:
        if column.name in data.categorical:
            return False
        mistaken = column.odd != ""
    else:
        mistaken = column.odd != "" and column.numbers > NUMERIC_SHARE * column.cells
    if mistaken:
        raise BadData(
            f"column {column.name} of {path} must hold numbers, got {column.odd!r} in line {column.odd_line}"
            f"; mend the cell, or say that it is a category: data.categorical=[{column.name}]"
        )
    return column.numbers == column.cells


def _empty(cell: str) -> bool:
    return cell.strip().lower() in EMPTY


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


# ---- content ------------------------------------------------------------------------------------------


def _read(path: Path, layout: Layout, data: Csv, scratch: Scratch) -> tuple[Raw, list[str]]:
    """The samples and the words that stand in the label column."""
    columns = len(_header(path, data))
    size = path.stat().st_size
    if layout.text is not None:
        writer, found = TextWriter(scratch.file_for(size)), []
        for _, cells in _body(path, columns, data):
            writer.add(cells[layout.text].strip())
            found.append(cells[layout.label].strip())
        return writer.texts(), found
    rows = sum(1 for _ in _body(path, columns, data))
    numbers = scratch.room((rows, len(layout.numeric)), np.dtype(np.float32))
    writers = [TextWriter(scratch.file_for(size)) for _ in layout.categorical]
    labels = []
    for row, (line, cells) in enumerate(_body(path, columns, data)):
        numbers[row] = [_filled(cells[column.place], column.name, line, path) for column in layout.numeric]
        for column, writer in zip(layout.categorical, writers, strict=True):
            cell = cells[column.place].strip()
            writer.add("" if _empty(cell) else cell)
        labels.append(cells[layout.label].strip())
    # A saved model knows its inputs by the columns' names, and Keras no name with a slash.
    columns_of = (layout.numeric, layout.categorical)
    names = (tuple(column.name.replace("/", "|") for column in each) for each in columns_of)
    return Table(numbers, tuple(writer.texts() for writer in writers), *names), labels


def _filled(cell: str, name: str, line: int, path: Path) -> float:
    if _empty(cell):
        return math.nan
    number = _number(cell)
    if number is None:  # only in a test file: the other was looked through
        raise BadData(
            f"column {name} of {path} must hold numbers, got {cell!r} in line {line}; mend the cell"
        )
    return number


def _classes(labels: list[str], data: Csv) -> tuple[str, ...]:
    """Names in the order of their numbers where all are whole numbers, else of the alphabet."""
    names = {label for label in labels if not _empty(label)}
    if not names:
        raise BadData(f"the column {data.label} must hold classes, got empty cells only; set data.label=...")
    whole = all(name.lstrip("+-").isdigit() for name in names)
    return tuple(sorted(names, key=int) if whole else sorted(names))


def _numbered(labels: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """-1: no class, for cleaning to drop."""
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places.get(label, -1) for label in labels], np.int64)

"""CSV tables with a header line: numbers and categories, or one column of texts. Read row by row, twice."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline.data.features import TableSamples, TextSamples
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import RawSamples, Table, TextWriter
from pipeline.errors import BadData, DataMissing
from pipeline.files import expand_home
from pipeline.settings.data import Csv

EMPTY = {"", "?", "na", "n/a", "nan", "null", "none"}
NUMERIC_SHARE = 0.9
"""A column with more numbers than this, but not all, is taken for numbers with a mistake in it."""


@dataclass(slots=True, kw_only=True)
class TableColumn:
    """A column and what is in it: `cells` that are not empty, `numbers` among them, the first that is none.

    `index`: from 0; `first_text`: the first cell that is no number, "" if all are, and its line.
    """

    name: str
    index: int
    cells: int = 0
    numbers: int = 0
    first_text: str = ""
    first_text_line: int = 0

    def count_cell(self, line: int, cell: str) -> None:
        """Count one cell of this column, from line `line` of the file (from 1)."""
        if _is_empty(cell):
            return
        self.cells += 1
        if _to_number(cell) is not None:
            self.numbers += 1
        elif not self.first_text:
            self.first_text, self.first_text_line = cell, line


@dataclass(slots=True)
class TableLayout:
    """The columns that are read: `label`, and either `text` or the others. Indices are from 0."""

    label: int
    numeric: list[TableColumn] = field(default_factory=list)
    categorical: list[TableColumn] = field(default_factory=list)
    text: int | None = None


def fingerprint(data: Csv, _data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the training file and the test file, if there is one."""
    return hash_files([_find_file(path, key) for path, key in _list_files(data)])


def load(data: Csv, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read a table, or texts where `data.text` names a column.

    Raises:
        BadData: a column is missing, a row has another number of cells, or a number is none.
    """
    (train_path, key), *rest = _list_files(data)
    path = _find_file(train_path, key)
    header = _read_header(path, data)
    layout = _choose_layout(path, header, data)
    train, labels = _read_samples(path, layout, data, scratch)
    tests = []
    for test_path, test_key in rest:
        other_path = _find_file(test_path, test_key)
        if _read_header(other_path, data) != header:
            raise BadData(f"{other_path} must have the columns of {path}, got others; use files of one table")
        tests.append(_read_samples(other_path, layout, data, scratch))
    classes = _list_classes(labels + [label for _, more in tests for label in more], data)
    kind = TableSamples() if layout.text is None else TextSamples()
    test = LabelledSamples(tests[0][0], _number_labels(tests[0][1], classes)) if tests else None
    return LoadedData(
        train=LabelledSamples(train, _number_labels(labels, classes)), test=test, classes=classes, kind=kind
    )


def _list_files(data: Csv) -> list[tuple[str, str]]:
    test = [] if data.test_path is None else [(data.test_path, "data.test_path")]
    return [(data.path, "data.path"), *test]


def _find_file(text: str, key: str) -> Path:
    path = expand_home(text)
    if not path.is_file():
        raise DataMissing(f"{key} must be a CSV file, got {path}, which is not there; set {key}=...")
    return path


# ---- rows ---------------------------------------------------------------------------------------------


def _read_rows(path: Path, data: Csv) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells, the header first."""
    try:
        with path.open(encoding=data.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=data.separator)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (UnicodeDecodeError, LookupError, csv.Error, OSError) as error:
        raise BadData(f"{path} must be CSV in {data.encoding}, got: {error}; set data.encoding=...") from None


def _read_header(path: Path, data: Csv) -> list[str]:
    _, header = next(_read_rows(path, data), (0, []))
    names = [name.strip().removeprefix("\ufeff") for name in header]
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadData(
            f"{path} must begin with a line of different column names, got {header}; "
            "add one, or set data.separator=..."
        )
    return names


def _read_body(path: Path, columns: int, data: Csv) -> Iterator[tuple[int, list[str]]]:
    rows = _read_rows(path, data)
    next(rows)
    for line, cells in rows:
        if len(cells) != columns:
            raise BadData(
                f"{path} must have {columns} cells in every line, got {len(cells)} in line {line}; "
                "mend the line, or set data.separator=..."
            )
        yield line, cells


# ---- columns ------------------------------------------------------------------------------------------


def _find_column(name: str, header: Sequence[str], key: str, path: Path) -> int:
    if name not in header:
        near = get_close_matches(name, header, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(header[:12])}"
        raise BadData(f"{key} must be a column of {path}, got {name}; {hint}")
    return list(header).index(name)


def _choose_layout(path: Path, header: list[str], data: Csv) -> TableLayout:
    label = _find_column(data.label, header, "data.label", path)
    if data.text is not None:
        return TableLayout(label, text=_find_column(data.text, header, "data.text", path))
    names = [name for name in header if name != data.label] if data.columns is None else data.columns
    columns = [
        TableColumn(name=name, index=_find_column(name, header, "data.columns", path)) for name in names
    ]
    for name in data.categorical or ():
        _find_column(name, names, "data.categorical", path)
    for line, cells in _read_body(path, len(header), data):
        for column in columns:
            column.count_cell(line, cells[column.index])
    layout = TableLayout(label)
    for column in columns:
        numeric = _is_numeric(column, data, path)
        (layout.numeric if numeric else layout.categorical).append(column)
    return layout


def _is_numeric(column: TableColumn, data: Csv, path: Path) -> bool:
    if data.categorical is not None:
        if column.name in data.categorical:
            return False
        has_mistake = column.first_text != ""
    else:
        has_mistake = column.first_text != "" and column.numbers > NUMERIC_SHARE * column.cells
    if has_mistake:
        raise BadData(
            f"column {column.name} of {path} must hold numbers, got {column.first_text!r} in line "
            f"{column.first_text_line}; mend the cell, or say that it is a category: "
            f"data.categorical=[{column.name}]"
        )
    return column.numbers == column.cells


def _is_empty(cell: str) -> bool:
    return cell.strip().lower() in EMPTY


def _to_number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


# ---- content ------------------------------------------------------------------------------------------


def _read_samples(
    path: Path, layout: TableLayout, data: Csv, scratch: ScratchSpace
) -> tuple[RawSamples, list[str]]:
    """Read the samples and the words in the label column."""
    columns = len(_read_header(path, data))
    size = path.stat().st_size
    if layout.text is not None:
        writer, classes = TextWriter(scratch.make_path_if_large(size)), []
        for _, cells in _read_body(path, columns, data):
            writer.add(cells[layout.text].strip())
            classes.append(cells[layout.label].strip())
        return writer.finish(), classes
    rows = sum(1 for _ in _read_body(path, columns, data))
    numbers = scratch.allocate((rows, len(layout.numeric)), np.dtype(np.float32))
    writers = [TextWriter(scratch.make_path_if_large(size)) for _ in layout.categorical]
    labels = []
    for row, (line, cells) in enumerate(_read_body(path, columns, data)):
        numbers[row] = [
            _parse_number(cells[column.index], column.name, line, path) for column in layout.numeric
        ]
        for column, writer in zip(layout.categorical, writers, strict=True):
            cell = cells[column.index].strip()
            writer.add("" if _is_empty(cell) else cell)
        labels.append(cells[layout.label].strip())
    # A saved model knows its inputs by the columns' names, and Keras no name with a slash.
    kinds = (layout.numeric, layout.categorical)
    names = (tuple(column.name.replace("/", "|") for column in kind) for kind in kinds)
    return Table(numbers, tuple(writer.finish() for writer in writers), *names), labels


def _parse_number(cell: str, name: str, line: int, path: Path) -> float:
    if _is_empty(cell):
        return math.nan
    number = _to_number(cell)
    if number is None:  # only in a test file: the other was looked through
        raise BadData(
            f"column {name} of {path} must hold numbers, got {cell!r} in line {line}; mend the cell"
        )
    return number


def _list_classes(labels: list[str], data: Csv) -> tuple[str, ...]:
    """List the classes, sorted as numbers where all are whole numbers, else by the alphabet."""
    names = {label for label in labels if not _is_empty(label)}
    if not names:
        raise BadData(f"the column {data.label} must hold classes, got empty cells only; set data.label=...")
    are_numbers = all(name.lstrip("+-").isdigit() for name in names)
    return tuple(sorted(names, key=int) if are_numbers else sorted(names))


def _number_labels(labels: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """Replace the labels by their numbers in `classes`; -1: no class, for cleaning to drop."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers.get(label, -1) for label in labels], np.int64)

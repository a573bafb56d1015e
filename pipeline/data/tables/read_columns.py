"""From the cells of a table to numbers and words, by what its columns were taken for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import Table, Texts
from pipeline.data.tables import dates, numbers
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_types import ColumnType, Kind
from pipeline.errors import BadData


def read_numbers(column: ColumnType, cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers (of dates: seconds since 1970) float64 [n], NaN for empty, and which cells are none.

    `cells`: a pyarrow array of text without spaces around it.
    """
    if column.date and column.date not in dates.SECONDS:
        return dates.parse_dates(cells, column.date, column.missing)
    parsed, mistaken = numbers.parse_numbers(cells, column.number, column.missing)
    return parsed / dates.SECONDS.get(column.date, 1.0), mistaken


def read_words(column: ColumnType, cells: Any) -> Any:
    """Return the words of a category, a pyarrow array of text; an empty cell is ""."""
    words = pc.fill_null(cells, pa.scalar("", cells.type))
    if not column.missing:
        return words
    missing = pc.is_in(pc.utf8_lower(words), pa.array(column.missing, cells.type))
    return pc.if_else(missing, pa.scalar("", cells.type), words)


def read_batch(columns: Sequence[ColumnType], cells: Mapping[str, Sequence[object]]) -> dict[str, np.ndarray]:
    """Return cells by column, as anybody may send them, as a batch that a saved model answers to.

    They are read as those of the training file: text or numbers, with spaces around them or None. A cell that
    is not what its column holds counts as empty; a word that training never saw is left to the model.

    Raises:
        KeyError: a column is missing.
    """
    batch: dict[str, np.ndarray] = {}
    for column in columns:
        texts = [None if cell is None or cell != cell else str(cell) for cell in cells[column.name]]
        array = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
        if column.kind is Kind.category:
            batch[column.name] = np.array(read_words(column, array).to_pylist(), object)
        else:
            batch[column.name] = read_numbers(column, array)[0]
    return batch


def build_table(
    content: CellTable, columns: Sequence[ColumnType], scratch: ScratchSpace, path: Path
) -> Table:
    """Return the columns of a table as samples; what is larger than `scratch.limit` lies on disk.

    Raises:
        BadData: a cell of `path` is not what its column was taken for.
    """
    counted = [column for column in columns if column.kind is not Kind.category]
    worded = [column for column in columns if column.kind is Kind.category]
    array = scratch.allocate((len(content), len(counted)), np.dtype(np.float64))
    for position, column in enumerate(counted):
        array[:, position] = read_column(content, column, path)
    words = tuple(
        make_texts([read_words(column, chunk) for chunk in content.get_column(column.name).chunks], scratch)
        for column in worded
    )
    return Table(
        array, words, tuple(column.name for column in counted), tuple(column.name for column in worded)
    )


def read_column(content: CellTable, column: ColumnType, path: Path) -> np.ndarray:
    """Return the numbers of a column, float64 [n] as `read_numbers`.

    Raises:
        BadData: a cell of `path` is not what its column was taken for.
    """
    array, start = np.empty(len(content)), 0
    for chunk in content.get_column(column.name).chunks:
        parsed, mistaken = read_numbers(column, chunk)
        if mistaken.any():
            row = int(np.flatnonzero(mistaken)[0])
            _refuse_cell(column, chunk[row].as_py(), int(content.lines[start + row]), path)
        array[start : start + len(chunk)] = parsed
        start += len(chunk)
    return array


def _refuse_cell(column: ColumnType, cell: str, line: int, path: Path) -> None:
    what = f"dates ({column.date})" if column.date else "numbers"
    raise BadData(
        f"column {column.name} of {path} must hold {what}, got {cell[:60]!r} in line {line}; mend the cell, "
        f"or call it an empty one: data.missing=[{cell[:60]}]"
    )


def make_texts(chunks: Sequence[Any], scratch: ScratchSpace) -> Texts:
    """Return texts of pyarrow arrays of large strings without nulls; many letters lie in a file."""
    lengths = [np.asarray(pc.binary_length(chunk), np.int64) for chunk in chunks]
    ends = np.cumsum(np.concatenate(lengths)) if lengths else np.zeros(0, np.int64)
    letters = scratch.allocate((int(ends[-1]) if len(ends) else 0,), np.dtype(np.uint8))
    start = 0
    for chunk in chunks:
        _, offsets, content = chunk.buffers()
        if content is None or not len(chunk):
            continue
        bounds = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        part = np.frombuffer(content, np.uint8)[bounds[0] : bounds[-1]]
        letters[start : start + len(part)] = part
        start += len(part)
    return Texts(letters, ends)

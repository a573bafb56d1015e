"""From the cells of a table to numbers and words, by what its columns were taken for."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import Table, Texts
from pipeline.data.tables import dates, numbers
from pipeline.data.tables.cells import CellTable, take_marks_off
from pipeline.data.tables.column_types import WORDS, ColumnType, Kind, NumberFormat
from pipeline.errors import BadData
from pipeline.formatting import format_list

PLAIN_DATE = "year-month-day"
MOST_WHOLE = 1e15
"""Floats below this are whole numbers exactly."""


def read_numbers(column: ColumnType, cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers (of dates: seconds since 1970) float64 [n], NaN for empty, and which cells are none.

    `cells`: a pyarrow array of text without spaces around it.
    """
    if column.date and column.date not in dates.SECONDS:
        return dates.parse_dates(cells, column.date, column.missing)
    parsed, mistaken = numbers.parse_numbers(cells, column.number, column.missing)
    return parsed / dates.SECONDS.get(column.date, 1.0), mistaken


def read_words(column: ColumnType, cells: Any) -> Any:
    """Return the words of a category or the free texts, a pyarrow array of text; an empty cell is ""."""
    words = pc.fill_null(cells, pa.scalar("", cells.type))
    if not column.missing:
        return words
    missing = pc.is_in(pc.utf8_lower(words), pa.array(column.missing, cells.type))
    return pc.if_else(missing, pa.scalar("", cells.type), words)


def read_batch(
    columns: Sequence[ColumnType],
    cells: Mapping[str, Sequence[object]],
    categories: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return cells by column, as anybody may send them, as a batch that a saved model answers to.

    They are read as those of the training file: text with spaces around it, or None. A number is itself,
    however the file wrote numbers, and so is text that is a plain number; a date may be as in ISO 8601.
    `categories`: words that training saw, by which 3.0 is "3" and true is "True" where those are words.
    The second result says, by column, in which rows a cell is not what its column holds: it counts as empty.

    Raises:
        KeyError: a column is missing.
    """
    batch: dict[str, np.ndarray] = {}
    mistaken: dict[str, np.ndarray] = {}
    for column in columns:
        sent = cells[column.name]
        if column.kind in WORDS:
            seen_words = frozenset((categories or {}).get(column.name, ()))
            texts = [_write_word(cell, seen_words) for cell in sent]
            batch[column.name] = np.array(read_words(column, _make_cells(texts)).to_pylist(), object)
        else:
            batch[column.name], wrong = _read_sent_numbers(column, sent)
            if wrong.any():
                mistaken[column.name] = wrong
    return batch, mistaken


def read_numbers_of_any_form(column: ColumnType, cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """Do as `read_numbers`; a cell that is not as in training may be a plain number or an ISO date."""
    values, wrong = read_numbers(column, cells)
    if not wrong.any() or column.date in dates.CLOCKS:
        return values, wrong
    plain = replace(column, number=NumberFormat(), date=PLAIN_DATE if column.kind is Kind.date else "")
    others, still_wrong = read_numbers(plain, cells)
    return np.where(wrong, others, values), wrong & still_wrong


def _read_sent_numbers(column: ColumnType, sent: Sequence[object]) -> tuple[np.ndarray, np.ndarray]:
    is_number = np.array([_is_number(cell) and column.kind is Kind.number for cell in sent], bool)
    texts = [
        None if number or _is_missing(cell) else _write_word(cell, frozenset())
        for cell, number in zip(sent, is_number, strict=True)
    ]
    values, wrong = read_numbers_of_any_form(column, _make_cells(texts))
    for row in map(int, np.flatnonzero(is_number)):
        values[row] = float(sent[row])  # type: ignore[arg-type]
    return values, wrong


def _make_cells(texts: Sequence[str | None]) -> Any:
    return take_marks_off(pc.utf8_trim_whitespace(pa.array(texts, pa.large_string())))


def _is_number(cell: object) -> bool:
    return isinstance(cell, Real | Decimal) and not isinstance(cell, bool) and not _is_missing(cell)


def _is_missing(cell: object) -> bool:
    return cell is None or cell != cell  # NaN, and what pandas has for no date


def _write_word(cell: object, seen_words: frozenset[str]) -> str | None:
    """Return a cell as text: of the ways to write a number or a truth value one that training saw."""
    if _is_missing(cell):
        return None
    text = str(cell)
    if isinstance(cell, bool | np.bool_):
        choices = [text.lower(), text, text.upper(), str(int(cell)), f"{int(cell)}.0"]
    elif _is_number(cell) and float(cell).is_integer() and abs(float(cell)) < MOST_WHOLE:  # type: ignore[arg-type]
        choices = [str(int(cell)), text, f"{int(cell)}.0"]  # type: ignore[call-overload]
    else:
        text = text.encode("utf-8", "replace").decode()
        choices = [unicodedata.normalize("NFC", text), text]
    return next((choice for choice in choices if choice in seen_words), choices[0])


def build_table(
    content: CellTable, columns: Sequence[ColumnType], scratch: ScratchSpace, path: Path
) -> Table:
    """Return the columns of a table as samples; what is larger than `scratch.limit` lies on disk.

    Raises:
        BadData: a cell of `path` is not what its column was taken for.
    """
    counted = [column for column in columns if column.kind not in WORDS]
    worded = [column for column in columns if column.kind in WORDS]
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
        f"or call it an empty one: {format_list('data.missing', cell[:60])}"
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

"""The cells of a table as a file has them: text by column, in memory or, where they are many, on disk."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.scratch import ScratchSpace

ROWS_PER_PORTION = 8192
UNSEEN = "\ufeff\u200b\0 "
"""What may stand around a cell and nobody sees: a byte order mark within joined files, and the like."""
APART = "[\u0300-\u036f\u3099\u309a\u1100-\u11ff]"
"""Accents, Japanese sound marks and parts of Korean syllables that stand as letters of their own."""
MARKED = r"""^(?:="([^"]*)"|'([+-]?\d[\d.,]*))$"""
"""What spreadsheets write so that a cell stays the text that it is: ="0001" and '0001."""
Row: TypeAlias = tuple[int, Sequence[str | None]]
"""The number of a row's first line in the file (from 1), and its cells; None: one that is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTable:
    """Cells as text: `content` has a column of strings for each of `names`; `lines` int64 [n], from 1.

    `separator`: what stood between the cells, "" where nothing did; `descriptions`: what rows below the
    header say of each column, such as its unit; () where there are none; `filler`: what all cells of a column
    hold that the file does not name, None where a file names all.
    """

    names: tuple[str, ...]
    content: Any
    lines: np.ndarray
    separator: str = ""
    descriptions: tuple[str, ...] = ()
    filler: str | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def get_column(self, name: str) -> Any:
        """Return the cells of a column without the spaces around them, a pyarrow chunked array [n].

        Letters are in composed form (NFC): é is one letter, and no e with an accent behind it. Marks of
        spreadsheets for texts are taken off.
        """
        return take_marks_off(self._trim(name))

    def find_marked(self, name: str) -> str:
        """Return the first cell of a column with a mark of spreadsheets for texts; "" where there is none."""
        cells = self._trim(name)
        if not may_be_marked(cells):
            return ""
        row = pc.index(pc.match_substring_regex(cells, MARKED), True).as_py()
        return "" if row < 0 else str(cells[row].as_py())

    def _trim(self, name: str) -> Any:
        cells = pc.utf8_trim(self.content.column(self.names.index(name)), UNSEEN)
        return pc.utf8_trim_whitespace(_compose_letters(cells))

    def fill(self, names: Sequence[str]) -> "CellTable":
        """Return the table with all of these columns; as it is where its file names all that it has."""
        absent = [name for name in names if name not in self.names]
        if self.filler is None or not absent:
            return self
        cells = pa.repeat(pa.scalar(self.filler, pa.large_string()), len(self))
        content = self.content
        for number in range(len(self.names), len(self.names) + len(absent)):
            content = content.append_column(str(number), cells)
        return replace(self, names=(*self.names, *absent), content=content)

    def read_row(self, row: int) -> list[str]:
        """Return the cells of one row without the spaces around them; "" for an empty one."""
        cells = [column[row].as_py() or "" for column in self.content.columns]
        return [unicodedata.normalize("NFC", cell).strip(UNSEEN).strip() for cell in cells]

    def find_line(self, name: str, cell: str) -> int:
        """Return the line of the first row with this cell in a column."""
        row = pc.index(self.get_column(name), pa.scalar(cell, pa.large_string())).as_py()
        return int(self.lines[row])


def may_be_marked(cells: Any) -> bool:
    """Return whether any cell begins as one with a mark of spreadsheets does, at the price of a look."""
    return any(pc.any(pc.starts_with(cells, sign)).as_py() is True for sign in "='")


def take_marks_off(cells: Any) -> Any:
    """Return cells of text without the marks by which spreadsheets keep texts as they are."""
    return pc.replace_substring_regex(cells, MARKED, r"\1\2") if may_be_marked(cells) else cells


def _compose_letters(cells: Any) -> Any:
    """Return cells in composed form; pyarrow 25 itself takes letters apart, whatever form it is told."""
    if pc.all(pc.string_is_ascii(cells)).as_py() is not False:
        return cells
    if not pc.any(pc.match_substring_regex(cells, APART)).as_py():
        return cells
    chunks = [
        pa.array([cell and unicodedata.normalize("NFC", cell) for cell in chunk.to_pylist()], cells.type)
        for chunk in cells.chunks
    ]
    return pa.chunked_array(chunks, cells.type)


def collect_cells(names: Sequence[str], rows: Iterable[Row], scratch: ScratchSpace) -> CellTable:
    """Collect rows of as many cells as there are names; more than `scratch.limit` bytes go to a file."""
    schema = pa.schema([(str(number), pa.large_string()) for number in range(len(names))])
    lines: list[np.ndarray] = []

    def make_batches() -> Iterator[Any]:
        remaining = scratch.bound((row, sum(len(cell or " ") for cell in row[1])) for row in rows)
        while portion := list(islice(remaining, ROWS_PER_PORTION)):
            lines.append(np.array([line for line, _ in portion], np.int64))
            columns = zip(*(cells for _, cells in portion), strict=True)
            yield pa.record_batch([_make_column(column) for column in columns], schema=schema)

    content = collect_batches(schema, make_batches(), scratch)
    numbers = np.concatenate(lines) if lines else np.zeros(0, np.int64)
    return CellTable(names=tuple(names), content=content, lines=numbers)


def _make_column(cells: Sequence[str | None]) -> Any:
    try:
        return pa.array(cells, pa.large_string())
    except UnicodeEncodeError:  # half a character of UTF-16, which JSON can hold
        encoded = [cell and cell.encode("utf-8", "replace").decode() for cell in cells]
        return pa.array(encoded, pa.large_string())


def collect_batches(schema: Any, batches: Iterable[Any], scratch: ScratchSpace) -> Any:
    """Return a pyarrow table of record batches: in memory, or memory-mapped where it passes the limit."""
    waiting: list[Any] = []
    size, writer, path = 0, None, None
    for batch in batches:
        size += batch.nbytes
        waiting.append(batch)
        if writer is None and size > scratch.limit:
            path = scratch.make_path()
            writer = pa.ipc.new_file(str(path), schema)
        if writer is not None:
            for done in waiting:
                writer.write_batch(done)
            waiting.clear()
    if writer is None:
        return pa.Table.from_batches(waiting, schema)
    writer.close()
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()

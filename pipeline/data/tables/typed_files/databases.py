"""Tables of an SQLite database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from urllib.parse import quote

from pipeline.data.readers.compression import compute_bound
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, Row, collect_cells
from pipeline.data.tables.typed_files.written_cells import write_cell
from pipeline.errors import BadData

MAGIC = b"SQLite format 3"
CHANGES = {"-wal": b"\x37\x7f\x06", "-journal": b"\xd9\xd5\x05\xf9"}
"""How files begin that lie beside a database while it is written, by the end of their name."""
FEWEST_STEPS, STEPS_A_BYTE = 300_000_000, 100
"""Steps that all queries may take, and more of them for each byte of the file: a view can have endless rows.
A table is read in some ten steps a cell, and a cell has a byte at least."""
MOST_LETTERS = 1 << 28
"""Of all cells of a view; those of a table are in the file."""
SHORT = 64
"""Letters of a cell that is not counted: as many as there are cells to be read, the steps bound."""
STEPS_AT_ONCE = 100_000
INTERRUPTED = "interrupted"
SHOWN = 12


def read_sqlite(path: Path, scratch: ScratchSpace, label: str, findings: Findings) -> CellTable:
    """Read the one table or view of a database that has the label, or its only one; nothing is written.

    Raises:
        BadData: it is damaged, open elsewhere, holds no table, or several may be meant.
    """
    _refuse_open(path)
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
        ) as database:
            _bound_queries(database, path)
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            columns = dict(_list_columns(database))
            name = _choose_table(path, columns, label)
            others = [table for table in columns if table != name]
            findings.add("table", f"left out: {name} is read", ", ".join(others[:8]), len(others))
            blobs = _find_blobs(database, name, columns[name])
            findings.add("column", "left out: bytes that are no text", ", ".join(blobs[:8]), len(blobs))
            names = [column for column in columns[name] if column not in blobs]
            return collect_cells(names, _read_rows(database, name, names, path), scratch)
    except sqlite3.Error as error:
        if str(error) == INTERRUPTED:
            raise _explain_view(path) from None
        raise BadData(f"{path} must be a whole SQLite database, got: {error}; copy it again") from None


def _refuse_open(path: Path) -> None:
    """Raise BadData where changes lie beside a database: rows would be lost, or not those that count."""
    for suffix, magic in CHANGES.items():
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            with beside.open("rb") as file:
                is_changed = file.read(8).startswith(magic)
            if is_changed:
                raise BadData(
                    f"{path} must be a database that no program has open, got one with changes beside it in "
                    f"{beside.name}; close that program, or: sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'"
                )


def _bound_queries(database: sqlite3.Connection, path: Path) -> None:
    """Let queries take no more steps than suit a file of this size, and make no cell beyond its bound."""
    size = path.stat().st_size
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(compute_bound(size), 2**31 - 1))
    rounds = count(1)
    most = (FEWEST_STEPS + STEPS_A_BYTE * size) // STEPS_AT_ONCE
    database.set_progress_handler(lambda: next(rounds) > most, STEPS_AT_ONCE)


def _list_columns(database: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
    for (table,) in database.execute(listed).fetchall():
        if table.startswith("sqlite_"):
            continue
        yield table, [row[1] for row in database.execute(f"PRAGMA table_info({_quote(table)})")]


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _choose_table(path: Path, columns: dict[str, list[str]], label: str) -> str:
    having = [table for table, names in columns.items() if label in names]
    chosen = having or list(columns)
    if len(chosen) != 1:
        got = f"{len(chosen)}" + (f": {', '.join(chosen[:SHOWN])}" if chosen else "")
        raise BadData(
            f"{path} must hold one table with the column data.label ({label}), got {got}; "
            "set data.label=..., or save the table as CSV"
        )
    return chosen[0]


def _find_blobs(database: sqlite3.Connection, table: str, names: list[str]) -> list[str]:
    blobs = []
    for name in names:
        column = _quote(name)
        query = f"SELECT 1 FROM {_quote(table)} WHERE typeof({column}) = 'blob' LIMIT 1"
        if database.execute(query).fetchone():
            blobs.append(name)
    return blobs


def _read_rows(database: sqlite3.Connection, table: str, names: list[str], path: Path) -> Iterator[Row]:
    columns, left = ", ".join(map(_quote, names)), max(MOST_LETTERS, path.stat().st_size)
    for number, row in enumerate(database.execute(f"SELECT {columns} FROM {_quote(table)}"), 1):
        cells = [write_cell(cell) for cell in row]
        left -= sum(len(cell) for cell in cells if cell and len(cell) > SHORT)
        if left < 0:
            raise _explain_view(path)
        yield number, cells


def _explain_view(path: Path) -> BadData:
    return BadData(
        f"{path} must hold a table, or a view that is no more work than suits its size, got one that is "
        "more, as those are that are made to fill a machine; if you trust it, save the view as a table"
    )

"""Text files of rows and separators (CSV, TSV and the like), row by row.

Python's own `csv` reads them: it tells each row's line, and a short row from one with empty cells.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pipeline.data.tables.cells import UNSEEN, Row
from pipeline.data.tables.frame.dialect import find_dialect, is_ruler
from pipeline.data.tables.frame.footers import is_note
from pipeline.data.tables.text_files import OpenText
from pipeline.errors import BadData
from pipeline.settings.data import OnError
from pipeline.settings.tables import Csv

END_OF_FILE = "\x1a"
"""What DOS wrote at the end of a text."""


class DelimitedFile:
    """The rows of a text file.

    `bad_rows` lists the lines that were left out with `data.on_error=skip`; `repeated_headers` those that
    repeat the header, as in files that were joined; `rulers` those of nothing but strokes; `notes` those
    below the table that are remarks on it, the first of which is `first_note`.
    """

    def __init__(self, path: Path, open_text: OpenText, data: Csv) -> None:
        self._path, self._open_text, self._on_error = path, open_text, data.on_error
        csv.field_size_limit(sys.maxsize)
        self._dialect = find_dialect(open_text, path, data)
        self.separator, self.is_fixed_width = self._dialect.separator, bool(self._dialect.columns)
        self.bad_rows: list[int] = []
        self.repeated_headers: list[int] = []
        self.rulers: list[int] = []
        self.notes: list[int] = []
        self.first_note = ""
        self._blank = 0  # the last line without a cell

    def read_head(self, rows: int) -> list[list[str]]:
        """Return the cells of the first rows; of an absent one there are none."""
        found = [[cell.strip() for cell in cells] for _, cells in islice(self._read_rows(), rows)]
        return found + [[]] * (rows - len(found))

    def read_body(self, names: Sequence[str], skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`, each with a cell for each of the names.

        Rows that repeat the names are left out, and rulers: below the header, and of another width. An empty
        cell at the end of a longer row is a separator too many. Remarks below the last row are left out.

        Raises:
            BadData: a row has another number of cells, or a quote that is opened is not closed.
        """
        width = len(names)
        waiting: list[tuple[int, list[str]]] = []  # rows of another width: remarks, if no other row follows
        before = 0
        for line, cells in self._read_data(names, skip):
            if len(cells) == width + 1 and not cells[-1].strip():
                cells.pop()
            if len(cells) != width and not any(cell.strip() for cell in cells):
                self._blank = line
            elif is_note(cells, width, before < self._blank or bool(waiting)):
                waiting.append((line, cells))
            else:
                others = waiting if len(cells) == width else [*waiting, (line, cells)]
                for row in others:
                    if len(row[1]) == width:
                        yield row
                    else:
                        self._refuse_width(*row, width)
                waiting = []
                if len(cells) == width:
                    before = line
                    yield line, cells
        self.notes = [line for line, _ in waiting]
        self.first_note = " ".join(waiting[0][1]) if waiting else ""

    def _read_data(self, names: Sequence[str], skip: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows after the first `skip` but for rulers and repeated headers."""
        rows, width = self._read_rows(), len(names)
        for _ in range(skip):
            next(rows, None)
        for number, (line, cells) in enumerate(rows):
            if (number == 0 or len(cells) != width) and is_ruler("".join(cells)):
                self.rulers.append(line)
            elif skip and cells[-1].strip() == names[-1] and _clean(cells) == list(names):
                self.repeated_headers.append(line)
            else:
                yield line, cells

    def _refuse_width(self, line: int, cells: Sequence[str], width: int) -> None:
        if self._on_error is OnError.stop:
            raise BadData(
                f"{self._path} must have {width} cells in every line, got {len(cells)} in line {line}; "
                "mend the line, set data.separator=... or data.quote=none, or leave such lines out with "
                "data.on_error=skip"
            )
        self.bad_rows.append(line)

    def _read_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line in which each row begins (from 1), and its cells; empty lines have none."""
        with self._open_text() as file:
            for _ in range(self._dialect.skipped):
                file.readline()
            reader = self._dialect.read_rows(file)
            while True:
                line = reader.line_num + 1 + self._dialect.skipped
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise BadData(
                        f"{self._path} must close every quote, got one that opens in line {line} ({error}); "
                        "mend the line, or set data.quote=none where quotes are letters"
                    ) from None
                if reader.line_num + self._dialect.skipped > line + 1:
                    self._check_long_row(line, cells)
                if not cells:
                    self._blank = line
                elif cells != [END_OF_FILE]:
                    yield line, cells

    def _check_long_row(self, line: int, cells: list[str]) -> None:
        """Refuse a row whose quote holds lines that are rows themselves: a stray quote swallowed them."""
        separator = self._dialect.separator
        for cell in cells:
            inner = cell.splitlines()[1:-1]
            if len(cells) > 1 and inner and all(row.count(separator) == len(cells) - 1 for row in inner):
                raise BadData(
                    f"{self._path} must close every quote, got one that opens in line {line} and swallows "
                    f"{len(inner)} rows; mend the line, or set data.quote=none where quotes are letters"
                )


def _clean(cells: Sequence[str]) -> list[str]:
    return [cell.strip(UNSEEN).strip() for cell in cells]

"""Text files of rows and separators (CSV, TSV and the like): how they are written, and their rows.

Python's own `csv` reads them: it tells each row's line, and a short row from one with empty cells.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TextIO

from pipeline.data.tables.cells import UNSEEN, Row
from pipeline.data.tables.frame import fixed_width
from pipeline.data.tables.frame.footers import is_note
from pipeline.data.tables.text_files import OpenText
from pipeline.errors import BadData
from pipeline.settings.data import OnError
from pipeline.settings.tables import Csv

SEPARATORS = (",", ";", "\t", "|", " ", "\x01", "^", "~")
SAMPLE_LETTERS = 1 << 16
SAMPLE_ROWS = 200
QUOTED = {
    quote: re.compile(rf"(?:^|[,;\t|]) *{quote}[^{quote}\n]*{quote} *(?=[,;\t|\r\n]|$)") for quote in "\"'"
}
"""A cell in quotes, which may hold separators."""
RULER, STROKES = re.compile(r"[\s|+:=-]*"), re.compile(r"[-=]{3}")
"""What programs draw below a header, and around a table: ---|---, +-----+. In one pattern the search would
take minutes on a long row of strokes that is none."""
END_OF_FILE = "\x1a"
"""What DOS wrote at the end of a text."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
NO_QUOTE = "none"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written. `quote`: "" for none; `skipped`: lines before the header (`sep=;`, `# ...`).

    `columns`: where columns of a fixed width begin, () where the separator tells.
    """

    separator: str
    quote: str
    backslash: bool
    skipped: int = 0
    columns: tuple[int, ...] = ()

    def read_rows(self, lines: Iterator[str]) -> Any:
        """Return a reader of these lines, strict about quotes."""
        return csv.reader(
            lines,
            delimiter=fixed_width.SEPARATOR if self.columns else self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar="\\" if self.backslash else None,
            skipinitialspace=True,
            strict=True,
        )


def find_dialect(open_text: OpenText, path: Path, data: Csv) -> Dialect:
    """Find separator and quotes from the first rows, where the settings do not say them."""
    with open_text() as file:
        sample = file.read(SAMPLE_LETTERS)
        if file.read(1):  # the last line may be cut
            sample = sample[: 1 + max(sample.rfind("\n"), sample.rfind("\r"))] or sample
    lines = sample.splitlines(keepends=True)
    skipped = 0
    stated = data.separator
    if lines and (match := SEPARATOR_LINE.match(lines[0])):
        skipped, stated = 1, stated or match[1]
    lines = lines[skipped:]
    quote = _find_quote(lines) if data.quote is None else data.quote.replace(NO_QUOTE, "")
    backslash = bool(quote) and any(f"\\{quote}" in line for line in lines)
    first = ("\t", *SEPARATORS) if ".tsv" in path.name.lower() or ".tab" in path.name.lower() else SEPARATORS
    choices = [Dialect(separator, quote, backslash, skipped) for separator in ([stated] if stated else first)]
    comments = sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    body = [line for line in lines[comments:] if not _is_ruler(line)]
    best = max(choices, key=lambda dialect: _rate_dialect(dialect, body))
    width = _rate_dialect(best, body)[2]
    remarks = sum(1 for _ in takewhile(lambda line: _count_cells(best, line) != width, lines[:comments]))
    columns = fixed_width.find_columns(body) if best.separator == " " and not stated else ()
    return replace(best, skipped=skipped + remarks, columns=columns, quote="" if columns else best.quote)


def _count_cells(dialect: Dialect, line: str) -> int:
    try:
        return len(next(dialect.read_rows(iter([line])), ()))
    except csv.Error:
        return 0


def _is_ruler(line: str) -> bool:
    return RULER.fullmatch(line) is not None and STROKES.search(line) is not None


def _find_quote(lines: Sequence[str]) -> str:
    """Return the quote that stands around more cells: `"`, or `'` where it is used in its place."""
    sample = lines[:SAMPLE_ROWS]
    quoted = {quote: sum(len(cell.findall(line)) for line in sample) for quote, cell in QUOTED.items()}
    return "'" if quoted["'"] > max(quoted['"'], len(sample) // 2) else '"'


def _rate_dialect(dialect: Dialect, lines: Sequence[str]) -> tuple[float, bool, int]:
    """Return how many of the first rows have the usual number of cells (share), and that number.

    Between them: whether the separator is no space, as spaces stand beside other separators, too.
    """
    is_visible = dialect.separator != " "
    widths: list[int] = []
    try:
        for cells in dialect.read_rows(iter(_trim_lines(lines, dialect))):
            if cells:
                widths.append(len(cells))
            if len(widths) == SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a stray quote further down; the rows before it count
    if not widths:
        return 0.0, is_visible, 0
    usual, count = Counter(widths).most_common(1)[0]
    return (count / len(widths), is_visible, usual) if usual > 1 else (0.0, is_visible, usual)


def _clean(cells: Sequence[str]) -> list[str]:
    return [cell.strip(UNSEEN).strip() for cell in cells]


def _trim_lines(lines: "Sequence[str] | TextIO", dialect: Dialect) -> Iterator[str]:
    """Yield the lines; where spaces separate, those around a line do not."""
    if dialect.separator != " ":
        yield from lines
    elif dialect.columns:
        yield from fixed_width.separate(iter(lines), dialect.columns)
    else:
        for line in lines:
            yield f"{line.strip()}\n"


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
            if (number == 0 or len(cells) != width) and _is_ruler("".join(cells)):
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
            reader = self._dialect.read_rows(_trim_lines(file, self._dialect))
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

"""How a text file of rows is written: its separator, its quotes, and what stands before its first row."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from pipeline.data.tables.frame import fixed_width
from pipeline.data.tables.text_files import OpenText
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

    def read_rows(self, lines: Iterable[str]) -> Any:
        """Return a reader of these lines, strict about quotes."""
        return csv.reader(
            self._trim_lines(lines),
            delimiter=fixed_width.SEPARATOR if self.columns else self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar="\\" if self.backslash else None,
            skipinitialspace=True,
            strict=True,
        )

    def _trim_lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines; where spaces separate, those around a line do not."""
        if self.separator != " ":
            yield from lines
        elif self.columns:
            yield from fixed_width.separate(iter(lines), self.columns)
        else:
            for line in lines:
                yield f"{line.strip()}\n"


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
    body = [line for line in lines[comments:] if not is_ruler(line)]
    best = max(choices, key=lambda dialect: _rate_dialect(dialect, body))
    width = _rate_dialect(best, body)[2]
    remarks = sum(1 for _ in takewhile(lambda line: _count_cells(best, line) != width, lines[:comments]))
    columns = fixed_width.find_columns(body) if best.separator == " " and not stated else ()
    return replace(best, skipped=skipped + remarks, columns=columns, quote="" if columns else best.quote)


def _count_cells(dialect: Dialect, line: str) -> int:
    try:
        return len(next(dialect.read_rows([line]), ()))
    except csv.Error:
        return 0


def is_ruler(line: str) -> bool:
    """Return whether a line, or what stands in its cells, is nothing but strokes."""
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
        for cells in dialect.read_rows(lines):
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

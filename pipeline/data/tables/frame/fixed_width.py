"""Text in columns of a fixed width, whose cells may hold spaces: told from words with spaces between them."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipeline.data.tables.numbers import is_number

SAMPLE_ROWS = 200
FEWEST_ROWS = 3
GAP = re.compile(r"\s{2,}")
SEPARATOR = "\t"
"""What is put between the cells; a line with it is in no such columns."""


def find_columns(lines: Sequence[str]) -> tuple[int, ...]:
    """Return where each column begins; () where spaces tell as well, or the lines are in no such columns.

    Between columns all lines have a space, and cells hold single ones: words, not only numbers.
    """
    lines = [line.rstrip() for line in lines if line.strip()][:SAMPLE_ROWS]
    words, chunks = [line.split() for line in lines], [GAP.split(line.strip()) for line in lines]
    if len(lines) < FEWEST_ROWS or any(SEPARATOR in line for line in lines) or max(map(len, chunks)) == 1:
        return ()
    if all(len(word) == len(chunk) for word, chunk in zip(words, chunks, strict=True)):
        return ()
    is_filled = [
        any(line[column : column + 1].strip() for line in lines) for column in range(max(map(len, lines)))
    ]
    starts = tuple(
        column
        for column, (before, filled) in enumerate(pairwise([False, *is_filled]))
        if filled and not before
    )
    counts = {len(word) for word in words}
    if len(starts) < 2 or counts == {len(starts)}:
        return ()
    inner = [cell.split() for line in lines for cell in _cut(line, starts) if " " in cell]
    are_numbers = [[is_number(word) for word in cell] for cell in inner]
    # Where all lines have as many words, a number beside a word is rather a cell of its own.
    is_doubtful = any(any(cell) if len(counts) == 1 else all(cell) for cell in are_numbers)
    return () if is_doubtful else starts


def separate(lines: Iterator[str], starts: Sequence[int]) -> Iterator[str]:
    """Yield the lines with `SEPARATOR` between their cells; one that does not fit stays as it is."""
    for line in lines:
        fits = all(not line[start - 1 : start].strip() for start in starts if start)
        yield SEPARATOR.join(_cut(line, starts)) + "\n" if fits and line.strip() else line


def _cut(line: str, starts: Sequence[int]) -> list[str]:
    return [line[start:end].strip() for start, end in pairwise([*starts, len(line) + starts[-1]])]

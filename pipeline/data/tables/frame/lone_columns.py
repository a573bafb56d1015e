"""Text files of one column, as new data without a label may be: no separator tells their cells."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pipeline.data.tables.frame import dialect
from pipeline.data.tables.text_files import OpenText
from pipeline.settings.tables import Csv

SEPARATORS = tuple(separator for separator in dialect.SEPARATORS if separator != " ")
"""Spaces stand between the words of one cell, too."""
NO_SEPARATOR = "\x1f"
"""Between units of a record in ASCII: no text that a person wrote has it."""
SAMPLE_LINES = 200
PLAIN_SUFFIX = ".txt"


def read_as_one_column(open_text: OpenText, path: Path, data: Csv, name: str) -> Csv:
    """Return `data` so that a file of one column is read as that; as it is for any other file.

    `name`: what the column is called; "" for texts, of any name or of none: then each line is one.
    """
    if data.separator is not None:
        return data
    with open_text() as file:
        lines = [line for line in islice(file, SAMPLE_LINES) if line.strip()]
    if not lines:
        return data
    first = lines[0].strip().strip('"')
    is_plain = path.name.lower().endswith(PLAIN_SUFFIX)
    widths = [_count_cells(lines, separator) for separator in SEPARATORS]
    is_alone = all(counts[:1] == [1] for counts in widths)
    if name:
        is_alone &= first == name or len(first.split()) == 1
        return replace(data, separator=NO_SEPARATOR, header=True) if is_alone else data
    if is_plain or data.header is False:  # a sentence may have commas, a table has as many in each line
        is_table = any(len(set(counts)) == 1 and counts[0] > 1 for counts in widths)
        is_alone = not is_table or (is_plain and len(lines) == 1)
    if not is_alone:
        return data
    has_header = first == data.label or (not is_plain and len(first.split()) == 1)
    header, quote = has_header if data.header is None else data.header, data.quote
    if is_plain and quote is None and any(not _is_quoted(line) for line in lines):
        quote = dialect.NO_QUOTE  # these are marks of speech
    return replace(data, separator=NO_SEPARATOR, header=header, quote=quote)


def _count_cells(lines: Sequence[str], separator: str) -> list[int]:
    try:
        return [
            len(cells) for cells in csv.reader(lines, delimiter=separator, skipinitialspace=True) if cells
        ]
    except csv.Error:
        return []


def _is_quoted(line: str) -> bool:
    cell = line.strip()
    return len(cell) > 1 and cell[0] == cell[-1] == '"'
